"""R: ``fixest::fepois`` and ``feglm`` 0.14.2, with absorbed effects, its statistics and its print.

Estimates to 1e-6 and standard errors to 1e-5: fepois stops at a relative change of the deviance of 1e-5.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import causalformula as cf
from tests.parity.reference import close, covariance_scale, data, matrix, values
from tests.parity.test_fixest import curly

STORED = values("fixest_fepois_feglm")
MODELS = {
    "pois_fe": ("k ~ treat + age | race", "poisson"),
    "pois_2fe": ("k ~ treat + age | race + educ", "poisson"),
    "pois": ("k ~ treat + age", "poisson"),
    "logit": ("y ~ treat + age | race", "binomial"),
}
CASES = {
    "pois_fe_iid": ("pois_fe", "classical"),
    "pois_fe_hetero": ("pois_fe", "HC1"),
    "pois_fe_cluster": ("pois_fe", "~educ"),
    "pois_2fe": ("pois_2fe", "classical"),
    "logit_fe": ("logit", "classical"),
    "logit_cluster": ("logit", "~educ"),
    "pois_iid": ("pois", "classical"),
}


@cache
def model(name: str) -> cf.Model:
    formula, family = MODELS[name]
    frame = data("lalonde.csv")
    frame["k"], frame["y"] = np.round(frame["re78"] / 2000), (frame["re78"] > 0).astype(int)
    return cf.glm(formula, frame, family=family)


@pytest.mark.parametrize("name", CASES)
def test_estimates_and_errors(name):
    which, vcov = CASES[name]
    # of a model without absorbed effects fixest's factor is asked for
    found, r = model(which).with_vcov(vcov, ssc=cf.ssc()), STORED[name]
    table, covariance = matrix(r["coeftable"]), matrix(r["vcov"])
    tidy = found.tidy()
    close(tidy["estimate"], table["Estimate"], rtol=1e-6, scale=table["Std. Error"])
    close(tidy["std.error"], table["Std. Error"], rtol=1e-5)
    close(tidy["statistic"], table["z value"], rtol=1e-5, scale=1.0)
    close(found.cov_params(), covariance, rtol=1e-5, scale=covariance_scale(covariance))
    limits = r["confint"]["columns"]
    close(tidy["conf.low"], limits["2.5 %"], rtol=1e-5, scale=table["Std. Error"])
    assert found.nobs - found.df_residual == r["n_params"]
    assert np.isinf(tidy["df"]).all()  # R's are z values


def test_statistics_of_the_fit():
    found, r = model("pois_fe"), STORED
    close(found.deviance, r["deviance"], rtol=1e-8)
    close(found.loglik, r["loglik"], rtol=1e-8)
    close([found.pseudo_r_squared, found.adj_pseudo_r_squared], [r["pseudo_r2"][k] for k in ("pr2", "apr2")], rtol=1e-7)


def test_the_print():
    assert str(model("pois_fe")) == curly(STORED["printed"])
