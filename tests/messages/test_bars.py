"""A bar between the terms of a plain model: fixed effects to every reader, and R's logical "or" only where asked."""

import numpy as np
import pytest

import causalformula as cf

DATA = {"y": np.arange(8.0) ** 2, "x": np.arange(8) % 2, "g": np.arange(8) // 2 % 2, "h": np.arange(8) // 4}


@pytest.mark.parametrize("fit", [cf.lm, cf.glm, cf.model_matrix])
@pytest.mark.parametrize("right", ["x | g", "x + h | g", "x | g + h", ". | g", "x | g | h", "!x | g"])
def test_a_bar_is_refused(fit, right):
    with pytest.raises(cf.FormulaError, match=r"(?s)fixed effects.*factor\(g\).*I\(.*\|.*\^") as error:
        fit(f"y ~ {right}", DATA)
    assert right in str(error.value)


@pytest.mark.parametrize("right", ["(x | g) + h", "I(x | g) + h", "h + (x | g)"])
def test_the_logical_or_is_written_in_brackets(right):
    found = cf.lm(f"y ~ {right}", DATA)
    either = cf.lm("y ~ either + h", {**DATA, "either": (DATA["x"] + DATA["g"]) > 0})
    np.testing.assert_allclose(sorted(found.params), sorted(either.params))
    assert list(cf.model_matrix(f"y ~ {right}", DATA).columns) == list(found.params.index)
