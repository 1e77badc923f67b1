"""What is said when something is wrong with a fit: the class, the words, and the caret where there is one."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

import causalformula as cf
from causalformula.frame.parts import Part
from tests.laws.strategies import simulate

F = "y ~ treat(a) + adjust(x + z)"


@pytest.fixture(scope="module")
def data():
    d = simulate(1)
    d["gaps"] = d["x"].where(d.index > 4)
    d["missing_arm"] = d["a"].astype("Int64").where(d.index != 30)
    d["twin"] = 1 - d["a"]
    d["double"] = 2 * d["x"]
    d["zero"] = 0.0
    d["when"] = pd.Timedelta(days=1)
    d["one"] = 1
    return d


def refused(kind, message, formula, data, *args, **options):
    """The fit raises exactly `kind`, its message holding `message` (a plain text, or a pattern where compiled)."""
    with pytest.raises(cf.CausalFormulaError) as caught:
        cf.fit(formula, data, *args, **options)
    assert type(caught.value) is kind, f"{type(caught.value).__name__}: {caught.value}"
    found = message.search(str(caught.value)) if isinstance(message, re.Pattern) else message in str(caught.value)
    assert found, str(caught.value)
    return caught.value


# -- the formula and the data --------------------------------------------------------------------------------------


def test_an_unknown_column_is_pointed_at():
    heart = cf.datasets.load("heart")
    error = refused(cf.FormulaError, "unknown column 'Drugs'", "Severity ~ treat(Drugs) + adjust(I.H)", heart)
    assert str(error) == (
        "unknown column 'Drugs'; did you mean 'Drug'?\n"
        "  Severity ~ treat(Drugs) + adjust(I.H)\n"
        "                   ^^^^^"
    )


def test_an_unknown_column_that_is_near_none_lists_the_columns():
    heart = cf.datasets.load("heart")
    refused(cf.FormulaError, "unknown column 'zzz'; the data have I.H, Drug, Severity", "zzz ~ treat(Drug)", heart)


FORMULAS = [
    (cf.FormulaError, "no treatment: mark it", "y ~ x", {}),
    (cf.FormulaError, "no outcome: write it on the left", "~ treat(a) + x", {}),
    (cf.FormulaError, 'outcome="Y"', "treat(a) + x", {}),
    (cf.FormulaError, "y is the outcome and cannot stand on the right", "y ~ treat(a) + adjust(x + y)", {}),
    (cf.FormulaError, "a is the treatment and enters by itself", "y ~ treat(a) + adjust(x + a)", {}),
    (cf.FormulaError, "treat(poly(q, 2)) is a matrix", "y ~ treat(poly(q, 2)) + x", {}),
    (cf.FormulaError, "the formula is empty", "", {}),
    (cf.FormulaError, "a formula is text, not int", 3, {}),
    (cf.FormulaError, "unknown function or role 'system'", "y ~ treat(a) + system(x)", {}),
    (cf.CapabilityError, "no method for survival outcomes", "Surv(q, d) ~ treat(a) + x", {}),
    (cf.DataError, "the outcome poly(y, 2) has 2 columns", "poly(y, 2) ~ treat(a) + x", {}),
    (cf.DataError, "column 'when' has type Duration", "y ~ treat(a) + when", {}),
    (cf.DataError, "the treatment 'one' has only '1' in the rows used", "y ~ treat(one) + x", {}),
    (cf.DataError, "the treatment 'a' has only '1' in the rows used", F, {"subset": "a == 1"}),
    (cf.DataError, "the outcome 'one' is constant", "one ~ treat(a) + x", {}),
    (cf.DataError, re.compile(r"log\(zero\) is infinite in 60 rows \(0, 1, .* and 50 more\)"),
     "y ~ treat(a) + log(zero)", {}),
    (cf.DataError, "missing values in missing_arm (1), gaps (5); rows 0, 1, 2, 3, 4, 30. Use na_action='omit'",
     "y ~ treat(missing_arm) + gaps", {"na_action": "fail"}),
    (cf.OptionError, "na_action must be one of omit, fail, not 'fial'; did you mean 'fail'?", F, {"na_action": "fial"}),
    (cf.DataError, "weights(x) has values below zero, in rows", F + " + weights(x)", {}),
    (cf.DataError, "weights(zero) are all zero", F + " + weights(zero)", {}),
    (cf.DataError, "weights(z) must be numbers", F + " + weights(z)", {}),
    (cf.DataError, "subset leaves no row", F, {"subset": "x > 99"}),
    (cf.FormulaError, "unknown column 'xx'; did you mean 'x'?\n  xx > 0\n  ^^", F, {"subset": "xx > 0"}),
    (cf.OptionError, "is not a condition", F, {"subset": "x"}),
    (cf.OptionError, "60 booleans", F, {"subset": [1, 2]}),
    (cf.OptionError, "contrasts= names 'zz'", F, {"contrasts": {"zz": "contr.sum"}}),
    (cf.OptionError, "unknown contrast 'contr.summ'; did you mean 'contr.sum'?", F, {"contrasts": {"z": "contr.summ"}}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "message", "formula", "options"), FORMULAS)
def test_formula_and_data(data, kind, message, formula, options):
    refused(kind, message, formula, data, **options)


def test_duplicated_column_names(data):
    twice = pd.concat([data, data[["x"]]], axis=1)
    refused(cf.DataError, "duplicated column names: x; rename them", F, twice)


@pytest.mark.parametrize("what", [None, [1, 2], np.zeros((3, 3)), "data"])
def test_data_of_another_kind(what):
    refused(cf.DataError, "data must be a data frame", F, what)


def test_a_file_that_is_not_there(data):
    refused(cf.DataError, "there is no file data.csv", F, "data.csv")


def test_lazy_data(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # polars on reading the columns of a lazy frame
        with pytest.raises(cf.DataError, match=r"call \.collect\(\) first"):
            cf.model_matrix("~ x", pl.from_pandas(data).lazy())


def test_no_rows(data):
    refused(cf.DataError, "the data have no rows", F, data.iloc[:0])


def test_no_complete_row(data):
    message = "no row is left after dropping missing values (missing by variable: x: 60)"
    refused(cf.DataError, message, F, data.assign(x=np.nan))


# -- identification ------------------------------------------------------------------------------------------------


def test_an_aliased_treatment_names_the_terms(data):
    error = refused(
        cf.IdentificationError, "the effect of a is not identified", "y ~ treat(a) + adjust(x + twin)", data
    )
    assert "twin = a combination of (Intercept), a" in str(error)


def test_an_aliased_confounder_is_na(data):
    plain = cf.fit("y ~ treat(a) + adjust(x)", data)
    both = cf.fit("y ~ treat(a) + adjust(x + double)", data)
    assert both.estimate == pytest.approx(plain.estimate, rel=1e-12)
    assert both.std_error == pytest.approx(plain.std_error, rel=1e-12)
    model = both.fit.models["outcome"].model
    assert np.isnan(model.coef[model.names.index("double")])


def test_a_covariate_that_decides_the_arm(data):
    decided = data.assign(a=(data["z"] == "u").astype(int))
    refused(cf.IdentificationError, "the effect of a is not identified", F, decided)


def test_an_interaction_without_overlap(data):
    data = data[(data["z"] != "w") | (data["a"] == 1)]
    refused(cf.IdentificationError, "a:zw = a combination of zw", F, data, interact=True)


def test_an_empty_stratum(data):
    data = data.assign(u=np.where(data["a"] == 1, "p", "q"))
    message = "every block needs every arm; these do not have them: p (no a = 0), q (no a = 1)"
    refused(cf.DataError, message, "y ~ treat(a) + strata(u)", data)


# -- options -------------------------------------------------------------------------------------------------------

OPTIONS = [
    (cf.OptionError, "method 'regression' has no option 'interakt'; did you mean 'interact'? It takes", F,
     {"interakt": True}),
    (cf.OptionError, "interact must be True or False, not 'no'", F, {"interact": "no"}),
    (cf.OptionError, "unknown method 'regresion'; did you mean 'regression'?", F, {"method": "regresion"}),
    (cf.OptionError, "unknown method 3", F, {"method": 3}),
    (cf.OptionError, "did you mean 'ATT'? Method 'regression' offers ATE, ATT, ATC", F, {"estimand": "att"}),
    (cf.OptionError, "does not estimate the ATO; it offers ATE, ATT, ATC", F, {"estimand": "ATO"}),
    (cf.OptionError, "unknown measure 'ratoi'; did you mean 'ratio'?", F, {"measure": "ratoi"}),
    (cf.OptionError, "unknown contrast 'pairwse'; did you mean 'pairwise'?", F, {"contrast": "pairwse"}),
    (cf.OptionError, "not {'a': 1}", F, {"contrast": {"a": 1}}),
    (cf.OptionError, "contrast=10 is for a dose; 'a' has the levels 0, 1", F, {"contrast": 10}),
    (cf.OptionError, "contrast='slope' is for a dose", F, {"contrast": "slope"}),
    (cf.OptionError, "'a' has no level '2'; its levels are 0, 1", F, {"contrast": (0, 2)}),
    (cf.OptionError, "compares a level with itself", F, {"contrast": (1, 1)}),
    (cf.OptionError, "contrast='pairwise' is for a treatment with levels; 'q' is a dose", "y ~ treat(q) + x",
     {"contrast": "pairwise"}),
    (cf.OptionError, "finite number other than zero", "y ~ treat(q) + x", {"contrast": 0}),
    (cf.OptionError, "has measure='difference' only", "k ~ treat(q) + x",
     {"contrast": "slope", "measure": "ratio", "family": "poisson"}),
    (cf.OptionError, "ref= names the reference level", "y ~ treat(q, ref = 2) + x", {}),
    (cf.OptionError, "ref = 'midle' is not a level of 'm'; its levels are", 'y ~ treat(m, ref = "midle") + x', {}),
    (cf.OptionError, "unknown covariance 'HC9'", F, {"vcov": "HC9"}),
    (cf.OptionError, "vcov must be a string", F, {"vcov": 3}),
    (cf.OptionError, "shape (3, 3)", F, {"vcov": np.eye(3)}),
    (cf.OptionError, "symmetric", F, {"vcov": np.array([[1.0, 2.0], [0.0, 1.0]])}),
    (cf.OptionError, "the data have no column 'gg'; did you mean 'g'?", F, {"vcov": "~gg"}),
    (cf.OptionError, "not 'CR9'", F, {"vcov": "CR9 ~ g"}),
    (cf.OptionError, "unknown family 'binomal'; did you mean 'binomial'?", F, {"family": "binomal"}),
    (cf.OptionError, "unknown link 'probitt'; did you mean 'probit'?", F, {"family": "binomial(link = 'probitt')"}),
    (cf.OptionError, "family is named by text", F, {"family": 3}),
    (cf.OptionError, "estimand='ATT' needs arms; 'q' is a dose, so only the ATE is defined", "y ~ treat(q) + x",
     {"estimand": "ATT"}),
    (cf.OptionError, "estimand='ATC' needs arms", "y ~ treat(q) + x", {"estimand": "ATC"}),
    (cf.OptionError, "needs focal=", "y ~ treat(m) + x", {"estimand": "ATT"}),
    (cf.OptionError, "'m' has no level 'lo'; did you mean 'low'?", "y ~ treat(m) + x",
     {"estimand": "ATT", "focal": "lo"}),
    (cf.OptionError, "focal= names the level whose units are the target", "y ~ treat(m) + x", {"focal": "low"}),
    (cf.OptionError, "the outcome 'z' is a factor or text; pass family='binomial'", "z ~ treat(a) + x", {}),
    (cf.DataError, "more than two levels (u, v, w)", "z ~ treat(a) + x", {"family": "binomial"}),
    (cf.DataError, "must lie between 0 and 1", F, {"family": "binomial"}),
    (cf.DataError, "negative values are not allowed", "x ~ treat(a) + w", {"family": "poisson"}),
    (cf.OptionError, "measure='ratio' needs positive means; these are -", "I(x - 9) ~ treat(a) + w",
     {"measure": "ratio"}),
    (cf.OptionError, "means strictly between 0 and 1", F, {"measure": "odds_ratio"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "message", "formula", "options"), OPTIONS)
def test_options(data, kind, message, formula, options):
    refused(kind, message, formula, data, **options)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "percntile"}, "did you mean 'percentile'?"),
        ({"reps": 1}, "reps must be at least 2"),
        ({"df": -1}, "df must be positive"),
    ],
)
def test_bootstrap_requests(fields, message):
    with pytest.raises(cf.OptionError, match=re.escape(message)):
        cf.Bootstrap(**fields)


def test_bootstrap_over_an_unknown_column(data):
    refused(cf.OptionError, "the data have no column 'gg'", F, data, vcov=cf.Bootstrap(cluster="gg"))


def test_the_bootstrap_that_keeps_failing_says_so(data):
    few = data[(data["a"] == 1) | (data.index == data.index[data["a"] == 0][0])]
    message = re.compile(r"of 40 bootstrap replicates failed \(more than 5%\)")
    refused(cf.ConvergenceError, message, "y ~ treat(a)", few, "regression", vcov=cf.Bootstrap(reps=40, seed=1))


# -- what is not there ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ipw", "nearest", "dml", "tmle", "did", "iv"])
def test_a_planned_method_is_no_typo(data, method):
    from causalformula.backends import registry

    if method in registry.names():
        pytest.skip(f"{method} is there")
    refused(cf.CapabilityError, f"method={method!r} is not available yet", F, data, method)


@pytest.mark.parametrize(
    ("formula", "role"),
    [
        ("y ~ treat(a) + iv(x)", "iv"),
        ("y ~ did(a, s) + x", "did"),
        ("y ~ treat(a) + x | g", "fe"),
        ("y ~ treat(a) + propensity(x)", "propensity"),
    ],
)
def test_a_role_without_a_method_is_refused_at_the_fit_not_at_the_parse(data, formula, role):
    from causalformula.backends import registry

    assert cf.parse(formula).has(role)
    if any(role in record.roles for record in registry.methods()):
        pytest.skip(f"{role}(...) has a method")
    refused(cf.CapabilityError, re.compile(rf"'{role}'|{role}\(\.\.\.\)"), formula, data)


def test_a_role_that_the_method_ignores_is_refused(data):
    message = "method 'difference_in_means' does not use adjust(...); these do: regression"
    refused(cf.CapabilityError, message, F, data, "difference_in_means")


def test_a_treatment_that_the_method_does_not_take(data):
    message = "method 'difference_in_means' does not take a treatment that is a dose (here 'q'); these do: regression"
    refused(cf.CapabilityError, message, "y ~ treat(q)", data, "difference_in_means")


def test_unit_level_effects_are_the_learners(data):
    with pytest.raises(cf.CapabilityError, match="no effects of units"):
        cf.fit(F, data).effects()


def test_groups_of_a_difference_in_means(data):
    with pytest.raises(cf.CapabilityError, match="method='regression' with modify"):
        cf.fit("y ~ treat(a)", data).by("z")


# -- warnings ------------------------------------------------------------------------------------------------------


def test_complete_separation_warns_and_answers(data):
    """The target is finite, so the fit stands, and says what happened, in the warning and in the print."""
    separated = data.assign(u=(data["x"] > 0).astype(int))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = cf.fit("u ~ treat(a) + x", separated, family="binomial")
    assert {w.category for w in caught} == {cf.CausalFormulaWarning}
    assert any("separation" in str(w.message) for w in caught)
    assert np.isfinite(fit.estimate)
    assert "no finite maximum (separation)" in str(fit)


def test_quiet_when_all_is_well(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = cf.fit(F, data)
        str(fit), fit.tidy(), fit.with_vcov("HC3"), fit.means(), fit.by("z")


def test_nothing_is_printed(data, capsys):
    fit = cf.fit(F, data, vcov=cf.Bootstrap(reps=49, seed=1))
    fit.tidy()
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


# -- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "message"), [(95, "did you mean 0.95?"), (0, "between 0 and 1"), (1, "between 0 and 1"), ("a", "not 'a'")]
)
@pytest.mark.parametrize("reading", ["tidy", "summary", "confint"])
def test_levels(data, level, message, reading):
    with pytest.raises(cf.OptionError, match=re.escape(message)):
        getattr(cf.fit(F, data), reading)(level=level)


def test_alpha(data):
    with pytest.raises(cf.OptionError, match="alpha must lie between 0 and 1, not 5"):
        cf.fit(F, data).conf_int(alpha=5)


def test_one_number_of_several(data):
    fit = cf.fit("y ~ treat(m) + x", data)
    for name in ("estimate", "std_error"):
        with pytest.raises(
            ValueError, match=re.escape(f"there are 2 effects, so no single {name}; read them with tidy()")
        ):
            getattr(fit, name)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("b2 = 0", cf.FormulaError, "unknown estimate 'b2'; there are b1, a, a 1 - 0"),
        ("b1 = 0 = 1", cf.FormulaError, "an equation has one `=`"),
        ("sin(b1) = 0", cf.FormulaError, "a hypothesis is arithmetic of estimates"),
        ([], cf.OptionError, "no hypothesis was given"),
        (["b1 = 0", "2 * b1 = 0"], cf.OptionError, "not independent"),
        ("log(b1 - b1) = 0", cf.OptionError, "not defined at the estimates"),
    ],
)
def test_hypotheses(data, text, kind, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(kind, match=re.escape(message)):
            cf.fit(F, data).hypothesis(text)


def test_unknown_groups(data):
    with pytest.raises(cf.OptionError, match=r"the data have no column 'zz'; did you mean 'z'\?"):
        cf.fit(F, data).by("zz")


def test_missing_clusters(data):
    gaps = data.assign(g=data["g"].where(data["g"] > 2))
    with pytest.raises(cf.DataError, match=r"'g' is missing in 15 of the rows used .*and 5 more"):
        cf.fit(F, gaps).with_vcov("~g")
    # named at the fit, the rows are dropped and reported
    named = cf.fit(F, gaps, vcov="~g")
    assert named.nobs == 45
    assert "g: 15" in str(named)


def test_one_cluster(data):
    refused(cf.DataError, "leaves 1 cluster", F, data, vcov="~one")


def test_differences(data):
    fit = cf.fit(F, data)
    with pytest.raises(cf.OptionError, match="1 and 2 effects"):
        fit - cf.fit("y ~ treat(m) + x", data)
    with pytest.raises(cf.OptionError, match="measures difference and ratio"):
        fit - cf.fit("d ~ treat(a) + x", data, measure="ratio")
    with pytest.raises(cf.OptionError):
        fit - 3
    repeated = data.set_axis([0] * len(data))
    with pytest.raises(cf.DataError, match=r"labels repeat \(0\)"):
        fit - cf.fit(F, repeated)


def test_a_level_that_was_not_there(data):
    from causalformula.frame.columns import Table

    frame = cf.fit(F, data).call.frame
    new = Table(data.assign(z="new"))
    with pytest.raises(cf.DataError, match=r"(?s)z.*new"):
        frame.design(Part("outcome")).recipe.apply(new.columns(["a", "x", "z"]), new.n)
