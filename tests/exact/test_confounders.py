"""The ways to choose confounders, by hand, by other packages, and by what they are known to do on simulated designs."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit
from scipy.stats import chi2
from sklearn.feature_selection import RFECV
from sklearn.linear_model import LinearRegression, LogisticRegression

import causalformula as cf
from causalformula.backends.learning.folds import make_folds
from causalformula.frame.bind import bind
from causalformula.numerics.families import family
from causalformula.numerics.rlasso import first_residuals, rlasso
from causalformula.results.confounders.adaptive_lasso import POWERS, attempts
from causalformula.results.confounders.candidates import How, read_candidates
from causalformula.results.confounders.recursive_elimination import Equation, equations

pytestmark = pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
HOW = How(family=family("gaussian"), change=0.1, c_linear=1.0, c_quadratic=2.71, folds=5, seed=0)
NAMES = ("c1", "c2", "p1", "p2", "i1", "i2", "s1", "s2")
F = f"y ~ treat(a) + adjust({' + '.join(NAMES)})"


def study(n: int = 1000, seed: int = 1, hidden: float = 0.0, effect: float = 1.0) -> pd.DataFrame:
    """Confounders c, predictors of the outcome p, instruments i and spurious s (Shortreed and Ertefaie 2017).

    ``hidden`` is what an unmeasured confounder does to both.
    """
    rng = np.random.default_rng(seed)
    d = pd.DataFrame(rng.normal(size=(n, len(NAMES))), columns=list(NAMES))
    u = hidden * rng.normal(size=n)
    d["a"] = (rng.random(n) < expit(0.6 * (d.c1 + d.c2) + 1.2 * (d.i1 + d.i2) + u)).astype(int)
    d["y"] = effect * d.a + 0.8 * (d.c1 + d.c2 + d.p1 + d.p2) + u + rng.normal(size=n)
    return d


D = study()


def chosen(method: str, data: pd.DataFrame = D, formula: str = F, **options) -> cf.Confounders:
    return cf.select_confounders(formula, data, method, **options)


def candidates(data: pd.DataFrame = D, formula: str = F, keep: str | None = None):
    return read_candidates(bind(cf.parse(formula), data), keep)


# ---- what each is known to do ----------------------------------------------------------------------------------------


def test_who_leaves_instruments_out():
    """The adaptive lasso leaves out instruments and keeps predictors; models of the treatment do the opposite."""
    assert set(chosen("outcome_adaptive_lasso").selected) == {"c1", "c2", "p1", "p2"}
    assert set(chosen("stepwise", c_linear=6.6, c_quadratic=12).selected) == {"c1", "c2", "i1", "i2"}
    assert set(chosen("double_lasso").selected) == {"c1", "c2", "p1", "p2", "i1", "i2"}


def test_change_in_estimate_keeps_instruments():
    """An instrument moves a small effect by chance; beside a confounder that nobody measured, any effect for good."""
    kept = {"change_in_estimate": 0, "outcome_adaptive_lasso": 0}
    for seed in range(8):
        data = study(500, seed, effect=0.2)
        for method in kept:
            found = chosen(method, data, "y ~ treat(a) + adjust(c1 + c2 + p1 + i1)").selected
            kept[method] += "i1" in found
            assert {"c1", "c2"} <= set(found)
    print(kept)
    assert kept["change_in_estimate"] >= 4 > 1 >= kept["outcome_adaptive_lasso"]
    beside = study(3000, hidden=1.2)
    assert {"i1", "i2"} <= set(chosen("change_in_estimate", beside, change=0.05).selected)


# ---- double lasso ----------------------------------------------------------------------------------------------------


def test_double_lasso_is_the_union_of_two_lassos():
    X = D[list(NAMES)].to_numpy()
    sides = [rlasso(X, v, start=first_residuals(X, v, centred=False)) for v in (D.y.to_numpy(), D.a.to_numpy(float))]
    union = sides[0].selected | sides[1].selected
    found = chosen("double_lasso")
    assert found.selected == tuple(np.array(NAMES)[union])
    own = cf.fit(F, D, "dml", model="double_selection")
    assert found.fit(vcov="HC1").estimate == pytest.approx(own.estimate, rel=1e-10)
    scale = np.array([D.y.std(ddof=0), D.a.std(ddof=0)])
    size = [abs(side.coef) * X.std(axis=0) / unit for side, unit in zip(sides, scale, strict=True)]
    np.testing.assert_allclose(found.reasons["statistic"], np.maximum(*size), rtol=1e-10)
    why = found.reasons.set_index("term")["why"]  # an instrument does so by way of the treatment
    assert why["p1"] == "predicts the outcome" and why["i1"] == "predicts the outcome and the treatment"


def test_terms_that_stay_bear_no_penalty():
    """They are partialled out; and stay, though they predict nothing."""
    found = chosen("double_lasso", keep="s1 + i1")
    Z = np.column_stack([np.ones(len(D)), D.s1, D.i1])
    free = [name for name in NAMES if name not in ("s1", "i1")]
    left = [M - Z @ np.linalg.lstsq(Z, M, rcond=None)[0] for M in (D[free].to_numpy(), D.y.to_numpy(), D.a.to_numpy())]
    taken = rlasso(left[0], left[1]).selected | rlasso(left[0], left[2]).selected
    assert set(found.selected) == {"s1", "i1", *np.array(free)[taken]}
    stays = found.reasons.set_index("term").loc["s1"]
    assert stays["kept"] and np.isnan(stays["statistic"])


def test_terms_are_taken_whole():
    """A factor by one level, a polynomial by one column, an interaction with what it is made of."""
    rng = np.random.default_rng(5)
    d = D.assign(f=rng.choice(list("uvwx"), len(D)), m=rng.normal(size=len(D)), k=rng.normal(size=len(D)))
    d["y"] = d.y + 2 * (d.f == "w") + d.s1**2 + 2 * d.m * d.k
    found = chosen("double_lasso", d, "y ~ treat(a) + adjust(c1 + f + poly(s1, 3) + m * k + s2)")
    assert found.formula == "y ~ treat(a) + adjust(c1 + f + poly(s1, 3) + m + k + m:k)"
    rows = found.reasons.set_index("term")
    assert rows.loc["m", "why"] == "a kept interaction has it; alone: predicts neither"
    assert len(found.fit().outcome.params) == 1 + 1 + 1 + 3 + 3 + 3


def test_a_chosen_term_that_others_imply_is_left_out():
    d = D.assign(again=3 * D.c1 - 1)
    found = chosen("double_lasso", d, "y ~ treat(a) + adjust(c1 + again + c2)")
    assert found.selected == ("c1", "c2")
    assert "other kept terms imply it" in found.reasons.set_index("term").loc["again", "why"]


@pytest.mark.parametrize("method", [
    "double_lasso", "outcome_adaptive_lasso", "change_in_estimate", "recursive_elimination", "stepwise"
])  # fmt: skip
def test_the_choice_does_not_know_where_columns_have_their_zero(method):
    """A date in seconds is no intercept: 1e9 more of a confounder, and of the outcome, changes nothing."""
    few = "y ~ treat(a) + adjust(c1 + c2 + p1 + i1 + s1)"
    away = D.assign(c1=D.c1 + 1e9, i1=D.i1 - 1e9, y=D.y + 1e9)
    found = chosen(method, away, few)
    assert found.selected == chosen(method, D, few).selected
    assert "c1" in found.selected and not found.reasons["why"].str.contains("imply").any()


def test_more_terms_than_rows():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 90))
    d = pd.DataFrame(X, columns=[f"x{j}" for j in range(90)])
    d["a"] = (X[:, 0] + rng.normal(size=60) > 0).astype(int)
    d["y"] = d.a + 3 * X[:, 1] + rng.normal(size=60)
    assert {"x1"} <= set(chosen("double_lasso", d, "y ~ treat(a) + .").selected)
    with pytest.raises(cf.DataError, match=r"92 coefficients and 60 rows.*method='double_lasso'"):
        chosen("outcome_adaptive_lasso", d, "y ~ treat(a) + .")


# ---- outcome-adaptive lasso ------------------------------------------------------------------------------------------


def test_adaptive_lasso_is_a_minimum():
    """``|sum z_ij (a_i - p_i)| <= lambda |beta_j|^-gamma`` where a coefficient is zero, with equality elsewhere."""
    n, X, a = len(D), D[list(NAMES)].to_numpy(), D.a.to_numpy(float)
    Z = (X - X.mean(axis=0)) / X.std(axis=0, ddof=1)
    beta = np.linalg.lstsq(np.column_stack([np.ones(n), Z, a]), D.y, rcond=None)[0][1:-1]
    tried = list(attempts(Z, a, beta, np.ones(8, dtype=bool)))
    assert [each.power for each in tried] == list(POWERS)
    for each in tried[2:]:
        penalty = n**each.power
        gamma = 2 + 2 * np.log(n**2 / penalty) / np.log(n)
        bound = penalty * np.abs(beta) ** -gamma
        level = np.log(((a == 1).mean()) / (a == 0).mean())
        for _ in range(100):
            p = expit(level + Z @ each.coef)
            level += (a - p).sum() / (p * (1 - p)).sum()
        gradient = Z.T @ (a - p)
        inside = each.coef != 0
        np.testing.assert_allclose(gradient[inside], (bound * np.sign(each.coef))[inside], atol=1e-6)
        assert (np.abs(gradient) <= bound + 1e-6).all()
        w = np.where(a == 1, 1 / p, 1 / (1 - p))
        means = [np.average(Z[a == arm], axis=0, weights=w[a == arm]) for arm in (0, 1)]
        assert each.imbalance == pytest.approx(np.abs(beta) @ np.abs(means[1] - means[0]), rel=1e-6)
    found = chosen("outcome_adaptive_lasso")
    best = min(tried, key=lambda each: each.imbalance)
    assert found.selected == tuple(np.array(NAMES)[np.abs(best.coef) > 1e-8])
    np.testing.assert_allclose(found.steps["imbalance"], [each.imbalance for each in tried], rtol=1e-8)


# ---- change in estimate ----------------------------------------------------------------------------------------------


def test_change_in_estimate_by_hand():
    def effect(names):
        X = np.column_stack([np.ones(len(D)), D.a, D[list(names)]])
        return np.linalg.lstsq(X, D.y, rcond=None)[0][1]

    full, left, gone = effect(NAMES), list(NAMES), []
    while left:
        change = {name: abs(effect([x for x in left if x != name]) / full - 1) for name in left}
        least = min(change, key=change.get)
        if change[least] >= 0.1:
            break
        left.remove(least)
        gone.append((least, change[least]))
    found = chosen("change_in_estimate")
    assert found.selected == tuple(left)
    assert found.steps["left.out"].tolist() == ["", *(name for name, _ in gone)]
    np.testing.assert_allclose(found.steps["change"][1:], [value for _, value in gone], rtol=1e-6)
    last = found.reasons.set_index("term")["statistic"]
    np.testing.assert_allclose(last[left], [change[name] for name in left], rtol=1e-6)


def test_the_most_that_any_effect_changes():
    """Of several levels, and of a dose; an interaction leaves before what it is made of."""
    d = D.assign(arm=np.where(D.a == 0, "none", np.where(D.i1 > 0, "high", "low")), dose=D.a + D.c1)
    found = chosen("change_in_estimate", d, "y ~ treat(arm, ref = 'none') + adjust(c1 + p1)")
    both = [cf.fit(f"y ~ treat(arm, ref = 'none') + adjust({x})", d).tidy()["estimate"] for x in ("c1 + p1", "c1")]
    first = found.steps["change"][1] if found.steps["left.out"][1] == "p1" else None
    assert first == pytest.approx(float((both[1] / both[0] - 1).abs().max()), rel=1e-8)
    steps = chosen("change_in_estimate", D, "y ~ treat(a) + adjust(s1 * s2 + c1)", change=5).steps["left.out"].tolist()
    assert steps.index("s1:s2") < min(steps.index("s1"), steps.index("s2"))


# ---- recursive elimination -------------------------------------------------------------------------------------------


def test_elimination_is_scikit_learns():
    """Of single columns: ``RFECV(LogisticRegression(C=inf))`` for the treatment, on the same folds."""
    d = D.head(300)
    found = candidates(d)
    folds = make_folds(found.frame, 3, 1, 0)
    cv = [(np.flatnonzero(folds.outside(0, k)), np.flatnonzero(folds.inside(0, k))) for k in range(3)]
    outcome, treatment = equations(found, HOW)
    other = RFECV(LogisticRegression(C=np.inf, tol=1e-9, solver="newton-cholesky"), cv=cv, scoring="neg_log_loss")
    other.fit(treatment.columns.X, treatment.v)
    steps = chosen("recursive_elimination", d, folds=3).steps.query("model == 'treatment'")
    losses = dict(zip(steps["terms"], steps["loss"], strict=True))
    sizes = other.cv_results_["n_features"] if "n_features" in other.cv_results_ else range(1, 9)
    expected = dict(zip(sizes, -other.cv_results_["mean_test_score"], strict=True))
    np.testing.assert_allclose([losses[k] for k in expected], list(expected.values()), rtol=1e-6)
    path = [labels for labels, _ in treatment.path(np.ones(300, dtype=bool), np.zeros(300, dtype=bool))]
    assert set(path[8 - other.n_features_]) == set(np.array(NAMES)[other.support_])
    # a linear one, without the treatment that ours always has
    linear = Equation("outcome", found, outcome.columns, np.ones((300, 1)), outcome.v, False)
    other = RFECV(LinearRegression(), cv=cv, scoring="neg_mean_squared_error").fit(linear.columns.X, linear.v)
    paths = [linear.path(folds.outside(0, k), folds.inside(0, k)) for k in range(3)]
    mean = np.mean([[loss for _, loss in path] for path in paths], axis=0)
    np.testing.assert_allclose(mean[:-1][::-1], -other.cv_results_["mean_test_score"], rtol=1e-8)


def test_elimination_keeps_what_either_model_keeps_and_repeats_by_seed():
    found = chosen("recursive_elimination", D.head(200), seed=3, folds=4)
    for model, name in (("outcome", "Kept in the outcome model"), ("treatment", "Kept in the treatment model")):
        rows = found.steps[found.steps["model"] == model]
        size = int(rows.loc[rows["loss"].idxmin(), "terms"])
        assert f"{name}: {size} of 8" in str(found)
    assert found.reasons.equals(chosen("recursive_elimination", D.head(200), seed=3, folds=4).reasons)
    whole = D.assign(g=np.arange(len(D)) // 10)
    assert "folds" in str(chosen("recursive_elimination", whole, f"{F} + cluster(g)"))


# ---- stepwise --------------------------------------------------------------------------------------------------------


def test_stepwise_by_statsmodels():
    """Forward by likelihood ratios, first of the terms, then of squares and products of what is in."""
    rng = np.random.default_rng(4)
    n = 400
    d = pd.DataFrame(rng.normal(size=(n, 4)), columns=list("uvwz")).assign(k=rng.integers(0, 2, n))
    d["a"] = (rng.random(n) < expit(d.u - 0.8 * d.v + 0.7 * d.u * d.v + 0.4 * d.k)).astype(int)

    def likelihood(columns):
        X = np.column_stack([np.ones(n), *columns])
        return sm.Logit(d.a, X).fit(disp=0, method="newton", tol=1e-12, maxiter=100).llf

    def climbed(inside, pool, limit):
        found = []
        while pool:
            base = likelihood(inside.values())
            ratios = {name: 2 * (likelihood([*inside.values(), x]) - base) for name, x in pool.items()}
            best = max(ratios, key=ratios.get)
            if ratios[best] <= limit:
                return found
            inside[best] = pool.pop(best)
            found.append((best, ratios[best]))
        return found

    inside = {"z": d.z}
    first = climbed(inside, {name: d[name] for name in "uvwk"}, 1.0)
    mains = [name for name in "uvwzk" if name in inside]
    pool = {f"I({x}^2)": d[x] ** 2 for x in mains if x != "k"}
    pool |= {f"{x}:{y}": d[x] * d[y] for i, x in enumerate(mains) for y in mains[i + 1 :]}
    second = climbed(inside, pool, 2.71)
    found = cf.select_confounders("~ treat(a) + adjust(u + v + w + z + k)", d, "stepwise", keep="z")
    assert found.steps["term"].tolist() == [name for name, _ in [*first, *second]]
    np.testing.assert_allclose(found.steps["ratio"], [value for _, value in [*first, *second]], rtol=1e-6)
    assert set(found.selected) == {"z", *(name for name, _ in first), *(name for name, _ in second)}
    assert "u:v" in found.selected
    assert str(cf.design(found.formula, d, "ipw").call.spec) == found.formula


def test_limits_of_terms_of_several_columns():
    """The limit is the quantile of as many degrees of freedom at the same tail."""
    d = D.assign(f=np.random.default_rng(3).choice(list("uvw"), len(D)))
    found = cf.select_confounders("~ treat(a) + adjust(c1 + f)", d, "stepwise", c_linear=4.0)
    limit = chi2.isf(chi2.sf(4.0, 1), 2)
    fits = [cf.glm(f"a ~ {x}", d, family="binomial").glance()["deviance"].iloc[0] for x in ("c1", "c1 + f")]
    row = found.reasons.set_index("term").loc["f"]
    assert row["statistic"] == pytest.approx(fits[0] - fits[1], rel=1e-5)
    assert row["kept"] == (row["statistic"] > limit)
    assert f"limit {limit:.3g}" in row["why"]


# ---- the object ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["double_lasso", "outcome_adaptive_lasso", "change_in_estimate",
                                    "recursive_elimination", "stepwise"])  # fmt: skip
def test_the_choice(method):
    found = chosen(method, D.head(300))
    assert found.reasons["term"].tolist()[:8] == list(NAMES)
    assert list(found.reasons["term"][found.reasons["kept"]]) == list(found.selected)
    assert found.formula == str(cf.parse(found.formula))
    fit, plain = found.fit(), cf.fit(found.formula, D.head(300))
    assert fit.estimate == plain.estimate and fit.std_error == plain.std_error
    text = str(found)
    assert f"Formula: {found.formula}" in text
    assert ("hold their level" in text.split("Warning")[0]) == (method == "double_lasso")
    assert ("Warning: intervals after this choice" in text) == (method != "double_lasso")
    assert f"method='{method}'" in str(fit.summary())
    assert pickle.loads(pickle.dumps(found)).formula == found.formula
    assert "<table" in found.as_html() and "tabular" in found.as_latex() and "|" in found.as_markdown()


def test_rows_come_back_that_only_a_term_left_out_misses():
    d = D.head(400).copy()
    d.loc[:49, "s1"] = np.nan
    found = chosen("double_lasso", d, "y ~ treat(a) + .")
    assert "50 observations deleted" in str(found) and "s1" not in found.selected
    assert found.fit().nobs == 400


def test_roles_stay_and_a_dot_is_written_out():
    found = chosen("double_lasso", D.assign(g=np.arange(len(D)) // 5), "y ~ treat(a) + . + modify(s2) + cluster(g)")
    assert found.formula == "y ~ treat(a) + adjust(c1 + c2 + p1 + p2 + i1 + i2) + modify(s2) + cluster(g)"
    assert "cluster(...) plays no part in the choice" in str(found)


def test_without_anything_kept():
    rng = np.random.default_rng(0)
    d = pd.DataFrame({"x": rng.normal(size=200), "a": np.arange(200) % 2, "y": rng.normal(size=200)})
    found = chosen("double_lasso", d, "y ~ treat(a) + adjust(x)")
    assert found.selected == () and found.formula == "y ~ treat(a)"
    assert found.fit().estimate == pytest.approx(d.y[d.a == 1].mean() - d.y[d.a == 0].mean())


def test_the_picture():
    from matplotlib import pyplot as plt

    found = chosen("change_in_estimate")
    ax = found.plot()
    marks = {line.get_label(): line for line in ax.lines}
    kept = found.reasons["kept"].to_numpy()
    np.testing.assert_array_equal(marks["Kept"].get_xdata(), found.reasons["statistic"][kept])
    np.testing.assert_array_equal(marks["Left out"].get_xdata(), found.reasons["statistic"][~kept])
    assert marks["Limit 0.1"].get_xdata()[0] == 0.1
    assert [text.get_text() for text in ax.get_yticklabels()] == list(NAMES)
    plt.close("all")
