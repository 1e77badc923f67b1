"""Counts of successes and failures on the left: the rows written out, as R's glm has them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf


@pytest.fixture
def counts() -> pd.DataFrame:
    d = pd.DataFrame({"g": list("cctttc"), "dev": list("dmdmtt"), "s": [124, 10, 125, 11, 5, 4]})
    d["fail"] = [909, 152, 906, 154, 39, 36]
    return d.assign(n=d["s"] + d["fail"], w=[1.0, 2, 1, 2, 1, 3], k=np.arange(6) % 3)


def written_out(d: pd.DataFrame) -> pd.DataFrame:
    parts = [d.loc[d.index.repeat(d[name])].assign(y=y) for name, y in (("s", 1), ("fail", 0))]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("measure", ["difference", "ratio", "odds_ratio", "nnt"])
@pytest.mark.parametrize("formula", ["{} ~ treat(g) + adjust(dev)", "{} ~ treat(g)", "{} ~ treat(g) + modify(dev)"])
def test_the_effect_of_the_rows_written_out(measure, formula, counts):
    right = cf.fit(formula.format("y"), written_out(counts), family="binomial", measure=measure)
    got = cf.fit(formula.format("cbind(s, fail)"), counts, family="binomial", measure=measure)
    assert (got.estimate, got.std_error) == pytest.approx((right.estimate, right.std_error), rel=1e-8)


def test_with_weights(counts):
    f = "{} ~ treat(g) + adjust(dev) + weights({})"
    got = cf.fit(f.format("cbind(s, fail)", "w"), counts, family="binomial", vcov="HC0")
    right = cf.fit(f.format("I(s / n)", "w * n"), counts, family="binomial", vcov="HC0")
    assert (got.estimate, got.std_error) == pytest.approx((right.estimate, right.std_error))


def test_rows_without_trials(counts):
    more = pd.concat([counts, counts.iloc[:1].assign(s=0, fail=0)], ignore_index=True)
    f = "cbind(s, fail) ~ treat(g) + adjust(dev)"
    got, right = (cf.fit(f, d, family="binomial") for d in (more, counts))
    assert (got.estimate, got.std_error, got.nobs) == pytest.approx((right.estimate, right.std_error, 6))


@pytest.mark.parametrize(
    ("formula", "method", "family", "kind", "says"),
    [
        ("cbind(s, fail) ~ treat(g) + dev", None, None, cf.DataError, r"family='binomial'.*weights\(n\)"),
        ("cbind(s, fail) ~ treat(g)", "difference_in_means", None, cf.CapabilityError, "write the units out"),
        ("cbind(s, fail) ~ treat(g) + dev", "ipw", "binomial", cf.CapabilityError, "write the units out"),
        ("cbind(s, fail, n) ~ treat(g) + dev", None, "binomial", cf.DataError, "has 3 columns"),
        ("cbind(s, k - 1) ~ treat(g) + dev", None, "binomial", cf.DataError, "counts below zero"),
    ],
)
def test_what_cannot_be_done_names_the_way_out(formula, method, family, kind, says, counts):
    options = {} if family is None else {"family": family}
    with pytest.raises(kind, match=says):
        cf.fit(formula, counts, method, **options)


def test_designs(counts):
    with pytest.raises(cf.CapabilityError, match="write the units out"):
        cf.design("cbind(s, fail) ~ treat(g) + dev", counts, "ipw")
    with pytest.raises(cf.CapabilityError, match="write the units out"):
        cf.design("~ treat(g) + dev", counts, "ipw").fit("cbind(s, fail) ~ treat(g)", family="binomial")
