"""A small form of what is timed with ``-m benchmark``: the package and the bare loop learn the same, fit for fit."""

import numpy as np
import pytest

from causalformula.backends.learning import crossfit
from tests.benchmarks.learning import FOLDS, LEARNERS, Study, irm_bare, ours, plr_bare


@pytest.mark.parametrize(("model", "functions"), [("plr", 2), ("irm", 3)])
@pytest.mark.parametrize("name", ["linear", "forests"])
def test_the_learners_work_is_all_of_the_work(model, functions, name, monkeypatch):
    """One fit for each function and fold, and the bare loop's estimate."""
    fits, fit = [], crossfit._fit
    monkeypatch.setattr(crossfit, "_fit", lambda *a: fits.append(1) or fit(*a))
    study, (regressor, classifier) = Study.of(400, 5, dose=model == "plr"), LEARNERS[name]
    treatment = regressor if model == "plr" else classifier
    expected = plr_bare(study, regressor) if model == "plr" else irm_bare(study, regressor, classifier)
    np.testing.assert_allclose(ours(study, model, regressor, treatment), expected, rtol=1e-8)
    assert len(fits) == functions * FOLDS
