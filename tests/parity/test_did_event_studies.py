"""R: event studies of fixest 0.14.2 (leads and lags, ``sunab``), didimputation 0.5.0, did2s 1.2.1, etwfe 0.5.0 with
``emfx``, and bacondecomp 0.1.1, through ``cf.fit`` and ``did(...)``.

R's fixed effects of didimputation and did2s are iterated until they move by less than 1e-6 (fixest's ``fixef.tol``),
and so far their estimates agree; ours are also compared with those of dummies, which have no such error.
"""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf
from tests.parity.reference import close, data, matrix, values, vector

STAG = "y ~ did(g, t, unit = id)"
MPDTA = "lemp ~ did(`first.treat`, year, unit = countyreal)"
ITERATED = 1e-6


@pytest.fixture(scope="module")
def stag():
    return data("stag.csv")


@pytest.fixture(scope="module")
def mpdta():
    return data("mpdta.csv")


def coeftable(fit, r, rtol=1e-9, first=None):
    """Estimates, standard errors, statistics and p-values as fixest has them."""
    table, theirs = fit.tidy(), np.array(r.get("coeftable", r)["values"], dtype=float)
    theirs = theirs[:first]
    for column, own in zip(("estimate", "std.error", "statistic", "p.value"), theirs.T, strict=True):
        close(table[column], own, rtol, scale=np.abs(own) + 1e-12 + (column == "estimate") * theirs[:, 1])


def frame(fit, r, estimates, errors):
    columns = r["columns"]
    table, se = fit.tidy(), vector(columns["std.error"])
    close(table["estimate"], vector(columns["estimate"]), estimates, scale=se)
    close(table["std.error"], se, errors)


# -- fixest ---------------------------------------------------------------------------------------------------------

FIXEST, EVENTS = values("did_fixest_eventstudy"), values("eventstudy_stag_fixest")


def test_leads_and_lags(stag, mpdta):
    for fit, r in (
        (cf.fit(STAG, stag, event_study=True), EVENTS["twfe_event"]),
        (cf.fit(MPDTA, mpdta, event_study=True), FIXEST["event"]),
    ):
        coeftable(fit, r)
        close(fit.covariance.matrix, matrix(r["vcov"]).to_numpy(), 1e-9, scale=np.abs(matrix(r["vcov"])).max().max())
        names = [int(name.partition("::")[2]) for name in r["coef"]]
        assert fit.tidy()["event"].tolist() == names


def test_bins_and_two_references_without_units_that_are_never_treated(stag):
    fit = cf.fit(STAG, stag[stag["g"] > 0], event_study=True, bins=(-5, 5), reference=(-1, -5), vcov="~st")
    coeftable(fit, EVENTS["twfe_event_binned_treated_only"])


def test_wald_test_of_leads(stag):
    test, r = cf.fit(STAG, stag, event_study=True).pretrends(), EVENTS["wald_pretrends"]
    close([test.statistic, test.p_value], [r["stat"], r["p"]], 1e-8)
    assert tuple(test.df) == (r["df1"], r["df2"])


def test_sun_and_abraham(stag, mpdta):
    fit = cf.fit(STAG, stag, "sunab")
    coeftable(fit, EVENTS["sunab"])
    coeftable(fit.overall, EVENTS["sunab_att"])
    coeftable(fit.aggregate("group"), EVENTS["sunab_cohort"])
    fit = cf.fit(MPDTA, mpdta, "sunab")
    coeftable(fit, FIXEST["sunab_dynamic"])
    coeftable(fit.overall, FIXEST["sunab_att"])
    coeftable(fit.aggregate("group"), FIXEST["sunab_cohort"])


@pytest.mark.parametrize("covariates", ["x", "x:factor(t)"])
def test_sun_and_abraham_with_trends_by_a_covariate(stag, covariates):
    """A covariate that is the same in all periods has a slope in each, as ``x:i(t)``."""
    fit = cf.fit(f"{STAG} + adjust({covariates})", stag, "sunab", vcov="~st")
    coeftable(fit.overall, EVENTS["sunab_x_att"], 1e-8, first=1)


# -- imputation -----------------------------------------------------------------------------------------------------

IMPUTED, IMPUTED_M = values("imputation_stag"), values("imputation_mpdta")


def test_imputation(stag, mpdta):
    fit = cf.fit(STAG, stag, "imputation")
    frame(fit, IMPUTED["overall"], ITERATED, 1e-7)
    assert np.isinf(fit.covariance.df).all()
    limits = IMPUTED["overall"]["columns"]
    close(fit.confint(), [[limits["conf.low"][0], limits["conf.high"][0]]], 1e-4, scale=fit.std_error)  # R's 1.96
    frame(fit.aggregate("dynamic"), IMPUTED["horizon_all"], ITERATED, 1e-7)
    frame(fit.aggregate("dynamic", max_e=2), IMPUTED["horizons_0_2"], ITERATED, 1e-7)
    frame(fit.with_vcov("CR0 ~ st"), IMPUTED["cluster_st"], ITERATED, 1e-7)
    frame(cf.fit(f"{STAG} + adjust(x)", stag, "imputation"), IMPUTED["with_x_by_t"], ITERATED, 1e-7)
    frame(cf.fit(MPDTA, mpdta, "imputation"), IMPUTED_M["overall"], ITERATED, 1e-7)
    frame(cf.fit(f"{MPDTA} + adjust(lpop)", mpdta, "imputation"), IMPUTED_M["lpop"], ITERATED, 1e-7)


def test_imputation_by_dummies(stag):
    """``mean(tau[d == 1])``, and by horizon, of ``tau = y - predict(feols(y ~ 1 | id + t, d[d$d == 0, ]))``."""
    unit, time = (stag[name].to_numpy()[:, None] == np.unique(stag[name]) for name in ("id", "t"))
    y, on = stag["y"].to_numpy(), stag["d"].to_numpy() == 1
    above = y - _imputed(np.hstack([unit, time[:, 1:]]).astype(float), y, 1.0 * ~on)
    fit = cf.fit(STAG, stag, "imputation")
    close(fit.estimate, above[on].mean(), 1e-10)
    close(fit.estimate, IMPUTED["by_hand_att"], ITERATED)
    by_horizon = stag.assign(above=above)[on].groupby(stag["t"] - stag["g"])["above"].mean()
    dynamic = fit.aggregate("dynamic").tidy()
    close(dynamic["estimate"], by_horizon, 1e-9)
    close(dynamic["estimate"], vector(IMPUTED["by_hand_att_by_horizon"]), ITERATED, scale=dynamic["std.error"])


@pytest.mark.parametrize(
    ("name", "asked", "formula"),
    [("horizon_pretrends", range(-4, 0), STAG), ("pretrends_only", True, STAG), ("event", [-4, -3, -2], MPDTA)],
)
def test_times_before_treatment(stag, mpdta, name, asked, formula):
    """R's standard errors have fixest's small-sample factor before treatment, and none after it; here none has one."""
    of, r = (stag, IMPUTED) if formula == STAG else (mpdta, IMPUTED_M)
    fit = cf.fit(formula, of, "imputation", pretrends=asked).aggregate("dynamic")
    columns = r[name]["columns"]
    before = [k for k, term in enumerate(columns["term"]) if term.startswith("-")]
    ours = fit.tidy().iloc[: len(before)]
    assert ours["event"].tolist() == [int(columns["term"][k]) for k in before]
    close(ours["estimate"], vector(columns["estimate"])[before], scale=vector(columns["std.error"])[before])
    rows = fit.call.frame
    used, units = int((fit.fit.models["outcome"].model.weights > 0).sum()), len(rows.unit.levels)
    k = len(before) + len(rows.panel.periods.levels)
    factor = np.sqrt(units / (units - 1) * (used - 1) / (used - k))
    close(ours["std.error"] * factor, vector(columns["std.error"])[before], 1e-6)


def test_weights_of_an_imputation(mpdta):
    """didimputation's standard error multiplies the design by the weights where their root belongs.

    The weights ``v`` of the outcomes that it has then do not add up to its estimate, as those by the root do.
    """
    fit, r = cf.fit(f"{MPDTA} + weights(lpop)", mpdta, "imputation"), IMPUTED_M["weighted"]["columns"]
    close(fit.estimate, r["estimate"][0], ITERATED)
    total, error = _by_weights_of_outcomes(mpdta, 2, squares=True)
    close(error, r["std.error"][0], 1e-6)
    assert abs(total / r["estimate"][0] - 1) > 0.04
    total, error = _by_weights_of_outcomes(mpdta, 1, squares=False)
    close(total, fit.estimate, 1e-10)
    close(error, fit.std_error)


def _by_weights_of_outcomes(mpdta, m, *, squares):
    """``sum v y`` and ``sqrt(sum_i (sum_t v e)^2)``, with ``v = W Z0 (Z0' W^m Z0)^{-1} Z1' W^(m-1) w1``.

    The treated's errors ``e`` are counted from the mean of their group in their period, by ``v^2`` or by the weights.
    """
    w, start, year = (mpdta[name].to_numpy(dtype=float) for name in ("lpop", "first.treat", "year"))
    on, y = (start > 0) & (year >= start), mpdta["lemp"].to_numpy()
    unit = np.unique(mpdta["countyreal"], return_inverse=True)[1]
    Z = np.hstack([unit[:, None] == np.arange(unit.max() + 1), year[:, None] == np.unique(year)[1:]]).astype(float)
    power = w ** (m - 1)
    share = w * on / w[on].sum()
    inner = Z[~on].T @ (Z[~on] * (w * power)[~on, None])
    v = np.where(on, share, -w * (Z @ np.linalg.solve(inner, Z.T @ (share * power))))
    e = y - _imputed(Z, y, w * ~on)
    by = v**2 if squares else w
    for cell in np.unique((1e4 * start + year)[on]):
        inside = on & (1e4 * start + year == cell)
        e[inside] -= by[inside] @ e[inside] / by[inside].sum()
    return v @ y, np.sqrt((np.bincount(unit, v * e) ** 2).sum())


def _imputed(Z, y, w):
    return Z @ np.linalg.solve(Z.T @ (Z * w[:, None]), Z.T @ (w * y))


def test_two_stages(stag, mpdta):
    r, m = values("did2s_stag"), values("did2s_mpdta")
    static = cf.fit(STAG, stag, "imputation", vcov="two_stage")
    for fit, theirs in (
        (static, r["static"]),
        (static.with_vcov("two_stage ~ st"), r["static_st"]),
        (cf.fit(f"{STAG} + adjust(x)", stag, "imputation", vcov="two_stage"), r["covariate"]),
        (cf.fit(MPDTA, mpdta, "imputation", vcov="two_stage"), m["static"]),
    ):
        table = np.array(theirs["coeftable"]["values"])
        close(fit.estimate, table[0, 0], ITERATED)
        close(fit.std_error, table[0, 1], 1e-6)
    for formula, of, theirs in ((STAG, stag, r["event"]), (MPDTA, mpdta, m["event"])):
        fit = cf.fit(formula, of, "imputation", pretrends="residuals", vcov="two_stage").aggregate("dynamic")
        there = fit.tidy()["event"] != -1  # which R leaves out
        table = np.array(theirs["coeftable"]["values"])
        close(fit.tidy()["estimate"][there], table[:, 0], ITERATED, scale=table[:, 1])
        close(fit.tidy()["std.error"][there], table[:, 1], 1e-6)


# -- extended two-way fixed effects ---------------------------------------------------------------------------------

KINDS = {"simple": "simple", "event": "dynamic", "group": "group", "calendar": "calendar"}


def test_extended_two_way_fixed_effects(stag, mpdta):
    """The standard errors of ``emfx`` are by numerical derivatives."""
    r, m = values("etwfe_stag"), values("etwfe_mpdta")
    fit = cf.fit(STAG, stag, "etwfe")
    close(fit.estimate, cf.fit(STAG, stag, "imputation").estimate, 1e-10)  # as R's note says
    for name in ("simple", "event", "group"):
        frame(fit.aggregate(KINDS[name]), r[name], 1e-10, 1e-6)
    fit = cf.fit(f"{STAG} + adjust(x)", stag, "etwfe", vcov="~st")
    frame(fit, r["x_simple"], 1e-10, 1e-6)
    frame(fit.aggregate("group"), r["x_group"], 1e-10, 1e-6)
    fit = cf.fit(MPDTA, mpdta, "etwfe")
    for name, kind in KINDS.items():
        frame(fit.aggregate(kind), m[name], 1e-8, 1e-5)
    frame(fit, m["feo_simple"], 1e-8, 1e-5)
    table = matrix(m["none_coeftable"])
    close(fit.fit.outcomes.estimate.theta, table["Estimate"], scale=table["Std. Error"])


def test_extended_two_way_fixed_effects_with_covariates(mpdta):
    m = values("etwfe_mpdta")
    fit = cf.fit(f"{MPDTA} + adjust(lpop)", mpdta, "etwfe")
    frame(fit, m["lpop_simple"], 1e-8, 1e-5)
    frame(fit.aggregate("dynamic"), m["lpop_event"], 1e-8, 1e-5)
    fit = cf.fit(f"{MPDTA} + adjust(lpop)", mpdta, "etwfe", control_group="nevertreated")
    frame(fit, m["never_simple"], 1e-8, 1e-5)
    columns = m["never_event"]["columns"]
    there = [e != -1 for e in columns["event"]]  # R's zero of the reference
    table, se = fit.aggregate("dynamic").tidy(), vector(columns["std.error"])[there]
    close(table["estimate"], vector(columns["estimate"])[there], scale=se)
    close(table["std.error"], se, 1e-5)


def test_extended_two_way_poisson_regression(mpdta):
    """The standard errors of ``emfx`` hold the absorbed effects at their estimates; ours know that they are estimated.

    R's are those of the same averages by the coefficients' covariance alone.
    """
    r = values("etwfe_mpdta")["poisson"]
    fit = cf.fit(f"emp ~ {MPDTA.split('~')[1]} + adjust(lpop)", mpdta.assign(emp=np.exp(mpdta["lemp"])), "etwfe",
                 family="poisson")  # fmt: skip
    close(fit.outcome.params, vector(list(r["coef"].values())), 1e-8)
    rows, model, V = fit.fit.outcomes.rows, fit.fit.models["outcome"].model, np.asarray(fit.outcome.vcov())
    event = np.where(rows.event >= 0, rows.event, np.nan)
    for result, theirs, parts in (
        (fit, r["simple"], [event >= 0]),
        (fit.aggregate("dynamic"), r["event"], [event == e for e in range(4)]),
    ):
        columns = theirs["columns"]
        close(result.tidy()["estimate"], columns["estimate"], 1e-6, scale=vector(columns["std.error"]))
        rise = np.array([(model.X[part] * model.mu[part, None]).mean(axis=0) for part in parts])
        close(np.sqrt(np.diag(rise @ V @ rise.T)), columns["std.error"], 1e-5)


# -- Goodman-Bacon --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("formula", "file", "name"), [(STAG, "stag", "stag"), (MPDTA, "mpdta", "mpdta")])
def test_comparisons_behind_the_two_way_coefficient(formula, file, name):
    r = values("bacon_stag")
    fit = cf.fit(formula, data(f"{file}.csv"), "sunab")
    found = fit.decompose()
    (coefficient,) = r["twfe" if name == "stag" else "twfe_mpdta"]["coef"].values()
    close(found.coefficient, coefficient, 1e-8)
    theirs = r[name]["two_by_two"]["columns"]
    ours = {(row.treated, row.control): row for row in found.to_frame().itertuples()}
    assert len(ours) == len(theirs["treated"])
    for k, pair in enumerate(zip(theirs["treated"], theirs["untreated"], strict=True)):
        row = ours[pair[0], np.inf if pair[1] == 99999 else pair[1]]
        close([row.estimate, row.weight], [theirs["estimate"][k], theirs["weight"][k]], 1e-8)
        assert row.type == theirs["type"][k]
    kinds = r[name]["by_type"]["columns"]
    table = found.by_type().set_index("type")
    close(table.loc[kinds["type"], "weight"], kinds["w"], 1e-8)
    close(table.loc[kinds["type"], "estimate"], kinds["e"], 1e-8)


def test_comparisons_with_a_covariate(stag):
    r = values("bacon_stag")
    found = cf.fit(f"{STAG} + adjust(x:t)", stag, "sunab").decompose()
    close(found.within, [r["with_covariate"]["Omega"], r["with_covariate"]["beta_hat_w"]], 1e-8)
    close(found.coefficient, r["twfe_with_covariate"]["coef"]["d"], 1e-8)
    theirs = r["with_covariate"]["two_by_twos"]["columns"]
    ours = {frozenset((row.treated, row.control)): row for row in found.to_frame().itertuples()}
    assert len(ours) == len(theirs["treated"])
    for k, pair in enumerate(zip(theirs["treated"], theirs["untreated"], strict=True)):
        row = ours[frozenset(np.inf if start == 99999 else start for start in pair)]
        close([row.estimate, row.weight], [theirs["estimate"][k], theirs["weight"][k]], 1e-8)
        assert row.type == theirs["type"][k]
    table, (share, within) = found.to_frame(), found.within
    close(share * within + (1 - share) * (table["weight"] @ table["estimate"]), found.coefficient, 1e-10)
