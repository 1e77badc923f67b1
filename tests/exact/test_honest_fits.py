"""``fit.honest``: ``cf.honest`` of the coefficients and the covariance that the fit has, by hand."""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf
from tests.parity.reference import data

F = "y ~ did(g, t, unit = id)"
ASKED = {"M": 0.5, "seed": 3}
FITS = {
    "group-time": {"base_period": "universal"},
    "anticipation": {"base_period": "universal", "anticipation": 1},
    "leads and lags": {"event_study": True},
    "sunab": {"method": "sunab"},
    "imputation": {"method": "imputation", "pretrends": True},
    "etwfe": {"method": "etwfe", "control_group": "nevertreated"},
}


@pytest.fixture(scope="module")
def stag():
    return data("stag.csv")


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
@pytest.mark.parametrize("options", FITS.values(), ids=FITS)
def test_as_by_hand(stag, options):
    study = cf.fit(F, stag, **options).aggregate("dynamic", min_e=-4, max_e=1)
    event = study.tidy()["event"].to_numpy()
    reference = -2 if "anticipation" in options else -1
    kept = event != reference
    sigma = study.covariance.matrix[np.ix_(kept, kept)]
    sizes = {"num_pre": (event < reference).sum(), "num_post": (event > reference).sum()}
    hand = cf.honest(study.tidy()["estimate"][kept], sigma, "relative_magnitude", **sizes, **ASKED)
    ours = study.honest("relative_magnitude", **ASKED)
    np.testing.assert_array_equal(ours.to_frame()[["lower", "upper"]], hand.to_frame()[["lower", "upper"]])
    assert (ours.study.num_pre, ours.study.num_post) == (sizes["num_pre"], sizes["num_post"])
    assert ("imputed effects" in str(ours)) == ("pretrends" in options)


def test_a_fit_is_summarised_by_time_since_treatment(stag):
    fit = cf.fit(F, stag, base_period="universal")
    ours, theirs = (of.honest("smoothness", M=0.1).to_frame() for of in (fit, fit.aggregate("dynamic")))
    assert ours.equals(theirs)


def test_what_the_fit_said_is_said_again(stag):
    few = stag[(stag["g"] != 5) | (stag["id"].isin(stag.loc[stag["g"] == 5, "id"].unique()[:3]))]
    with pytest.warns(cf.CausalFormulaWarning, match="few treated units in g = 5"):
        fit = cf.fit(F, few, "sunab")
    assert "Note: few treated units in g = 5 (3)" in str(fit.honest("smoothness", M=0.1))
