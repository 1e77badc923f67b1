"""R: rbounds 2.2, ``psens``, ``hlsens`` and ``binarysens``, on pairs of MatchIt's nearest matching of ``lalonde``."""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf
from causalformula.inference.sensitivity.rosenbaum import Discordant, SignedRank, chance
from tests.parity.reference import data, values

R = values("rbounds")
FORMULA = "re78 ~ treat(treat) + adjust(age + educ + race + married + nodegree + re74 + re75)"
# The steps in which hlsens looks for its limits.
STEP = 0.1


@pytest.fixture(scope="module")
def outcomes():
    design = cf.fit(FORMULA, data("lalonde.csv"), method="nearest").design
    pairs, y = design.pairs, data("lalonde.csv")["re78"]
    return y.loc[pairs["treated"]].to_numpy(), y.loc[pairs["control"]].to_numpy()


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
def test_psens(outcomes):
    r = R["psens"]["columns"]
    found = cf.rosenbaum(*outcomes, gamma=r["Gamma"]).tidy()
    # R rounds to four decimals
    np.testing.assert_allclose(found["p.value.low"], r["Lower bound"], atol=5.001e-5, rtol=0)
    np.testing.assert_allclose(found["p.value.high"], r["Upper bound"], atol=5.001e-5, rtol=0)
    assert R["psens_p"] == pytest.approx(found["p.value.high"][0], abs=5.001e-5)


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
def test_a_fit_has_the_same(outcomes):
    fit = cf.fit(FORMULA, data("lalonde.csv"), method="nearest")
    r = R["psens"]["columns"]
    found = fit.sensitivity("rosenbaum", gamma=r["Gamma"]).tidy()
    np.testing.assert_allclose(found["p.value.high"], r["Upper bound"], atol=5.001e-5, rtol=0)


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
def test_hlsens(outcomes):
    """R takes the first step beyond the near end of the stretch that leaves the statistic at its mean; ours its middle.

    Its estimate without bias is ``wilcox.test``'s, of the pairs with a difference.
    """
    d = outcomes[0] - outcomes[1]
    every = np.sort((np.add.outer(d, d) / 2)[np.triu_indices(len(d))])[::-1]
    r = R["hlsens"]["columns"]
    for gamma, low, high in zip(r["Gamma"][1:], r["Lower bound"][1:], r["Upper bound"][1:], strict=True):
        for up, limit in ((False, low), (True, high)):
            k = round(chance(gamma, not up) * len(every))
            assert k == pytest.approx(chance(gamma, not up) * len(every), abs=1e-9)
            near = every[k] if up else every[k - 1]
            beyond = limit - near if up else near - limit
            assert -0.01 <= beyond <= STEP + 0.05  # printed to five digits
            assert SignedRank(d).estimate(gamma, up) == pytest.approx((every[k - 1] + every[k]) / 2, rel=1e-12)
    found = SignedRank(d[d != 0]).estimate(1, True)
    assert found == pytest.approx(R["hl_est"], abs=0.2)  # uniroot's tolerance


def test_binarysens():
    """R leaves the observed table out, ``P(T > t)``: ours with one pair more in favour."""
    r, counts = R["binary"]["columns"], R["binary_counts"]
    x, y = counts["x"], counts["y"]
    for gamma, low, high in zip(r["Gamma"], r["Lower bound"], r["Upper bound"], strict=True):
        found = Discordant(y + 1, x - 1)
        assert [found.p_value(gamma, up) for up in (False, True)] == pytest.approx([low, high], abs=5.001e-6)
