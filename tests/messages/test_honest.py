"""``cf.honest`` with what makes no sense: sizes, covariances, words, and what does not go together."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import causalformula as cf
from tests.parity.reference import data as reference

BETAS, SIGMA = [0.1, 0.2, 1.0, 2.0], 0.01 * np.eye(4)
GIVEN = {"betas": BETAS, "sigma": SIGMA, "kind": "smoothness", "num_pre": 2, "num_post": 2, "M": 0.1}
INDEFINITE = 0.01 * (np.full((4, 4), -0.5) + 1.5 * np.eye(4))


def asked(**changed):
    return cf.honest(**{**GIVEN, **changed})


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"num_pre": 3}, cf.DataError, r"shape \(4,\), and num_pre=3 \+ num_post=2 makes 5 coefficients"),
        ({"num_pre": 0}, cf.OptionError, "num_pre must be a whole number from 1, not 0: how many .* before treatment"),
        ({"num_post": 2.0}, cf.OptionError, "num_post must be a whole number from 1, not 2.0: .* after treatment"),
        ({"betas": [BETAS]}, cf.DataError, r"betas has the shape \(1, 4\)"),
        ({"betas": [0.1, np.nan, 1, 2]}, cf.DataError, "betas has a missing or infinite value"),
        ({"betas": ["a", "b", "c", "d"]}, cf.DataError, "betas must be numbers"),
        ({"sigma": np.eye(3)}, cf.DataError, r"sigma has the shape \(3, 3\); the covariance of 4 betas is 4 by 4"),
        ({"sigma": INDEFINITE}, cf.DataError, "sigma must be positive definite, and here a weighted sum"),
        ({"sigma": np.ones((4, 4))}, cf.DataError, "fewer clusters than coefficients"),
        ({"sigma": np.diag([1, 1, 0, 1])}, cf.DataError, "the variance of number 3 is not above 0"),
        ({"sigma": SIGMA + 0.005 * np.eye(4, k=1)}, cf.DataError, "sigma is not symmetric"),
        ({"kind": "smooth"}, cf.OptionError, "unknown kind 'smooth'; did you mean 'smoothness'"),
        ({"method": "CLF"}, cf.OptionError, "unknown method 'CLF'; did you mean 'C-LF'"),
        ({"direction": "up"}, cf.OptionError, "unknown direction 'up'.* positive, negative, increasing, decreasing"),
        ({"direction": "positive", "method": "FLCI"}, cf.OptionError, "makes no use of direction='positive': .*'C-LF'"),
        ({"kind": "relative_magnitude", "method": "FLCI"}, cf.OptionError, "makes no use of relative magnitudes"),
        ({"bound": "deviation from linear trend"}, cf.OptionError, "bound= is of kind='relative_magnitude'"),
        ({"kind": "relative_magnitude", "bound": "linear"}, cf.OptionError, "unknown bound 'linear'"),
        (
            {"kind": "relative_magnitude", "bound": "deviation from linear trend", "num_pre": 1, "num_post": 3},
            cf.OptionError,
            "second differences before treatment, and num_pre=1 has none",
        ),
        ({"l_vec": [1]}, cf.DataError, "l_vec has 1 weights for num_post=2 periods"),
        ({"l_vec": [0, 0]}, cf.DataError, "l_vec is zero"),
        ({"M": -1}, cf.OptionError, "M=-1: give a number that is not negative"),
        ({"M": []}, cf.OptionError, r"M=\[\]"),
        ({"M": [0, np.inf]}, cf.OptionError, "M="),
        ({"M": True}, cf.OptionError, "M=True"),
        ({"alpha": 5}, cf.OptionError, "alpha must lie between 0 and 1, not 5"),
        ({"seed": -1}, cf.OptionError, "seed must be a whole number from 0"),
        ({"seed": None}, cf.OptionError, "seed must be a whole number from 0, so that"),
    ],
)
def test_what_is_said(changed, error, message):
    with pytest.raises(error, match=message):
        asked(**changed)


def test_missing_sizes_are_asked_for():
    message = r"without num_pre \(int\) and num_post \(int\): write honest\(.*, num_pre=, num_post=, ...\)"
    with pytest.raises(cf.OptionError, match=message):
        cf.honest(BETAS, SIGMA, "smoothness")


def test_bounds_that_are_not_there():
    with pytest.raises(cf.CapabilityError, match="relative to what happened before treatment"):
        asked(kind="relative_magnitude", M=1).bounds()
    with pytest.raises(cf.CapabilityError, match="two coefficients or more"):
        asked(num_pre=1, num_post=3).bounds()


def test_breakdown_at_no_number():
    with pytest.raises(cf.OptionError, match="null must be a number, not 'zero'"):
        asked().breakdown("zero")


def test_axes_that_are_none():
    with pytest.raises(cf.OptionError, match="ax must be a matplotlib Axes"):
        asked().plot(ax=3)


# -- of a fit ----------------------------------------------------------------------------------------------------------

F = "y ~ did(g, t, unit = id)"


def of_fit(aggregated=None, data=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cf.fit(F, reference("stag.csv") if data is None else data, **options)
        return fit if aggregated is None else fit.aggregate("dynamic", **aggregated)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "changes from one period to the next, and .* fit with base_period='universal'"),
        ({"method": "etwfe"}, "no effect is of a time before treatment: .* control_group='nevertreated'"),
        ({"method": "imputation"}, "no effect is of a time before treatment: .*pretrends="),
        ({"method": "imputation", "pretrends": [-2]}, "the reference is -10, -9, .* 3 more: ask for pretrends=True"),
        ({"method": "imputation", "pretrends": "residuals"}, "the reference is none of them"),
        ({"event_study": True, "reference": (-1, -4)}, "one reference, and here there are -1, -4: .* linear trend"),
        ({"method": "sunab", "aggregated": {"min_e": 0}}, "of a time before the reference, -1: without one"),
        ({"method": "sunab", "aggregated": {"max_e": -2}}, "of a time after the reference, -1: .* widen max_e"),
    ],
)
def test_event_studies_that_are_none(options, message):
    with pytest.raises(cf.CapabilityError, match=message):
        of_fit(**options).honest("smoothness", M=0.1)


def test_a_gap_in_time():
    stag = reference("stag.csv")
    data = stag[~stag["t"].isin([stag["t"].max() - 1])]
    with pytest.raises(cf.CapabilityError, match=r"between the event times .* there is a gap"):
        of_fit(data=data[data["g"].isin([0, 5])], event_study=True).honest("smoothness", M=0.1)


def test_summaries_of_another_kind():
    with pytest.raises(cf.CapabilityError, match="honest\\(\\) is of effects by time since treatment"):
        of_fit(base_period="universal").aggregate("group").honest("smoothness")
    two = cf.fit("Severity ~ did(Drug, Post, unit = id)", cf.datasets.load("did_panel"))
    with pytest.raises(cf.CapabilityError, match="honest\\(\\) is of groups treated at different times"):
        two.honest("smoothness")
