"""Data that stay elsewhere: what is hard to read, what is refused, and what is said."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.results.result import Result
from causalformula.scale.sources.source import chunk_of
from tests.scale.test_law import DATA, agree

duckdb = pytest.importorskip("duckdb")
FORMULA = "y ~ treat(A) + adjust(x + g)"


def pieces(frame: pd.DataFrame, *ends: int) -> Any:
    """A frame in pieces, which are never collected."""
    return cf.scan([frame.iloc[a:b] for a, b in zip([0, *ends], [*ends, len(frame)], strict=True)], limit=0)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Two Parquet files, with NaN and NULL."""
    first, second = DATA.iloc[:100].copy(), DATA.iloc[100:].copy()
    first["w"] = first["w"].where(first.index != 5)
    first.to_parquet(tmp_path / "a.parquet")
    second.to_parquet(tmp_path / "b.parquet")
    return f"{tmp_path}/*.parquet"


def test_files_of_nan_and_null_are_the_frame_in_memory(path: str) -> None:
    whole = pd.concat([pd.read_parquet(path.replace("*", k)) for k in "ab"])
    relation = duckdb.connect().sql(
        f"SELECT * REPLACE (CASE WHEN c = 7 THEN 'NaN'::DOUBLE ELSE y END AS y) FROM '{path}'"
    )
    for data, known in ((path, whole), (relation, whole.assign(y=whole.y.where(whole.c != 7)))):
        formula = "y ~ treat(A) + adjust(x + w + g + day)"
        agree(cf.fit(formula, cf.scan(data, limit=0), vcov="~c"), cf.fit(formula, known.reset_index(), vcov="~c"))


def test_a_table_of_a_database(path: str, tmp_path: Path) -> None:
    connection = duckdb.connect(str(tmp_path / "file.db"))
    connection.execute(f"CREATE TABLE t AS SELECT * FROM '{path}'")
    connection.close()
    found = cf.fit(FORMULA, cf.scan(f"duckdb:///{tmp_path}/file.db?table=t", limit=0))
    agree(found, cf.fit(FORMULA, DATA))
    assert "Rows: in table t of file.db" in str(found)


def test_few_rows_are_collected_and_that_is_said(path: str) -> None:
    fit = cf.fit(FORMULA, path)
    assert type(fit) is Result
    assert "Note: 240 rows were collected from 2 Parquet files" in str(fit)
    model = cf.lm("y ~ x", path)
    assert "240 rows were collected" in str(model.summary())
    with pytest.raises(cf.OptionError, match="limit"):
        cf.scan(path, limit=-1)
    with pytest.raises(cf.OptionError, match=r"cf\.scan takes a path"):
        cf.scan(DATA)


def test_a_level_that_only_the_last_chunk_has() -> None:
    data = DATA.dropna().reset_index(drop=True)
    data["late"] = np.where(data.index == len(data) - 1, "rare", "usual")
    data["rank"] = data["late"].astype("category")
    for term in ("late", "factor(late):x", "rank"):
        formula = f"y ~ treat(A) + adjust({term})"
        agree(cf.fit(formula, pieces(data, 50, 120)), cf.fit(formula, data))


def test_a_treatment_in_parts_and_of_text() -> None:
    data = DATA.sort_values("arm").reset_index(drop=True)  # no chunk has all levels
    formula = "y ~ treat(arm, ref = 'mid') + adjust(w)"
    agree(cf.fit(formula, pieces(data, 80, 160), vcov="HC1"), cf.fit(formula, data, vcov="HC1"))
    text = data.assign(B=np.where(data.A == 1, "yes", "no"), out=np.where(data.b == 1, "up", "down"))
    formula = "out ~ treat(B) + adjust(w)"
    options: dict[str, Any] = {"family": "binomial", "vcov": "HC1"}
    agree(cf.fit(formula, pieces(text, 80), **options), cf.fit(formula, text, **options))


def test_clusters_numbered_past_two_to_the_53rd() -> None:
    data = DATA.assign(c=2**53 + DATA["c"])
    found = cf.fit(FORMULA, pieces(data, 31, 99), vcov="CR1 ~ c")
    assert found.std_error == pytest.approx(cf.fit(FORMULA, DATA, vcov="CR1 ~ c").std_error, rel=1e-10)


def test_such_clusters_beside_a_missing_one(tmp_path: Path) -> None:
    path = f"{tmp_path}/ids.parquet"
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE t AS SELECT k, (k % 2)::INT AS A, random() AS y, "
        "CASE WHEN k < 200 THEN 9007199254740992 + k % 40 WHEN k = 200 THEN NULL ELSE k % 9 END AS id "
        "FROM range(300) r(k)"
    )
    connection.execute(f"COPY t TO '{path}'")
    low, high = (duckdb.sql(f"SELECT * FROM '{path}' WHERE k {side}").to_arrow_table() for side in ("< 200", ">= 200"))
    found = cf.fit("y ~ treat(A)", cf.scan([chunk_of(low).frame, chunk_of(high).frame], limit=0), vcov="CR1 ~ id")
    assert "clusters id: 49" in str(found)
    with pytest.raises(cf.DataError, match=r"'id' has whole numbers past 2\^53 beside missing ones"):
        cf.fit("y ~ treat(A)", cf.scan(path, limit=0), vcov="CR1 ~ id")


def test_separation_is_told() -> None:
    data = DATA.assign(s=(DATA["dose"] > 0).astype(int))
    formula = "s ~ treat(A) + adjust(dose)"
    with pytest.warns(cf.CausalFormulaWarning, match="separation"):
        found = cf.fit(formula, pieces(data, 100), family="binomial")
    assert "Note: the likelihood has no finite maximum (separation)" in str(found)


def test_an_effect_that_is_not_identified_is_refused_alike() -> None:
    data = DATA.assign(twin=2 * DATA["A"] + 1)
    formula = "y ~ treat(A) + adjust(twin)"
    with pytest.raises(cf.IdentificationError) as known:
        cf.fit(formula, data)
    with pytest.raises(cf.IdentificationError) as found:
        cf.fit(formula, pieces(data, 100))
    assert str(found.value) == str(known.value)


def test_an_arm_in_one_cluster_has_no_standard_error() -> None:
    data = DATA.assign(h=np.where(DATA["A"] == 1, 1, DATA["c"] + 2))
    options: dict[str, Any] = {"method": "regression", "vcov": "~h"}
    with pytest.warns(cf.CausalFormulaWarning, match="without one cluster of h it does not exist"):
        found = cf.fit("y ~ treat(A) + adjust(w)", pieces(data, 100), **options)
    with pytest.warns(cf.CausalFormulaWarning):
        known = cf.fit("y ~ treat(A) + adjust(w)", data, **options)
    assert np.isnan(found.std_error)
    agree_but_advice(found, known)


def test_an_arm_of_one_row_has_no_standard_error_without_leverage() -> None:
    data = DATA.assign(one=(DATA.index == 50).astype(int))
    for vcov in ("HC1", "HC3"):
        with pytest.warns(cf.CausalFormulaWarning):
            found = cf.fit("y ~ treat(one) + adjust(w)", pieces(data, 100), vcov=vcov)
        with pytest.warns(cf.CausalFormulaWarning):
            known = cf.fit("y ~ treat(one) + adjust(w)", data, vcov=vcov)
        assert np.isnan(found.std_error) and np.isnan(known.std_error)
        assert "Note: " in str(found)


def lines_of(result: Any, words: str) -> list[str]:
    return [line.removeprefix("Note: ") for line in str(result.summary()).splitlines() if words in line]


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
@pytest.mark.parametrize("vcov", ["HC0", "HC1", "HC2", "HC3", "asympt"])
def test_rows_of_leverage_one_leave_the_estimates_that_they_do_not_move(vcov: str) -> None:
    data = DATA.assign(site=np.where(DATA.index == 50, "own", np.where(DATA["w"] > 1, "a", "b")))
    both = pieces(data, 0, 70, 100), data
    for formula, family in (("y ~ treat(A) + adjust(x + site)", "gaussian"), ("b ~ treat(A) + adjust(x)", "binomial")):
        agree(*(cf.fit(formula, rows, vcov=vcov, family=family) for rows in both))
    found, known = (cf.fit("y ~ treat(A) + adjust(x + site)", rows, vcov=vcov).outcome for rows in both)
    np.testing.assert_allclose(found.bse, known.bse, rtol=1e-9)
    assert np.isnan(found.bse["siteown"]) == (vcov in ("HC2", "HC3")) and found.bse["A"] > 0
    assert lines_of(found, "rests on one row") == lines_of(known, "rests on one row")
    told = [line.replace("1 row has", "row 50 has") for line in lines_of(found, "leverage one")]
    assert told == lines_of(known, "leverage one") and bool(told) == (vcov in ("HC2", "HC3"))


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
def test_the_model_behind_an_arm_in_one_cluster_has_no_standard_error_either() -> None:
    data = DATA.assign(h=np.where(DATA["A"] == 1, 1, DATA["c"] + 2))
    found, known = (cf.fit("y ~ treat(A) + adjust(w)", rows, vcov="~h").outcome for rows in (pieces(data, 90), data))
    assert np.isnan(known.bse["A"])
    np.testing.assert_allclose(found.bse, known.bse, rtol=1e-9)


def test_clusters_of_days_and_weights_that_are_not_estimated() -> None:
    agree(cf.fit(FORMULA, pieces(DATA, 70), vcov="~day"), cf.fit(FORMULA, DATA, vcov="~day"))
    for data in (DATA, pieces(DATA, 70)):
        with pytest.raises(cf.OptionError, match="estimates none"):
            cf.fit(FORMULA, data, vcov=cf.HC("HC0", weights="fixed"))


def test_notes_of_the_data_are_those_of_memory() -> None:
    data = DATA.assign(t=DATA["k"].astype(str))
    formula = "y ~ treat(A) + adjust(log(dose) + t)"
    with pytest.warns(cf.CausalFormulaWarning):
        found = cf.fit(formula, pieces(data, 17, 180))
    with pytest.warns(cf.CausalFormulaWarning):
        known = cf.fit(formula, data)
    assert sorted(found.call.frame.notes) == sorted(known.call.frame.notes)


@pytest.mark.parametrize("vcov", ["CR2 ~ c", "HC5", "NeweyWest", "wild ~ c", "jackknife", "DriscollKraay ~ day"])
def test_what_needs_all_rows_is_refused(vcov: str) -> None:
    with pytest.raises(cf.CapabilityError, match="needs all rows at once"):
        cf.fit(FORMULA, pieces(DATA, 100), vcov=vcov)


def test_what_there_is_instead_has_the_clusters_that_were_asked_for() -> None:
    data = pieces(DATA, 100)
    for vcov in ("CR2 ~ c", "wild ~ c", "jackknife ~ c", cf.Cluster("c", fix=True)):
        with pytest.raises(
            cf.CapabilityError, match=r"'CR1 ~ c' or 'CR1S ~ c', 'bootstrap' or 'bootstrap ~ c', or fit"
        ):
            cf.fit(FORMULA, data, vcov=vcov)
    assert cf.fit(FORMULA, data, vcov="bootstrap(9, seed = 1) ~ c").std_error > 0


@pytest.mark.parametrize(
    "options", [{"method": "regression"}, {"method": "ipw"}, {"method": "subclass", "subclass": 3}]
)
def test_what_is_safer_of_few_clusters_is_that_of_memory(options: dict[str, Any]) -> None:
    data, options = DATA.assign(h=DATA["c"] % 9), {**options, "vcov": "CR0 ~ h" if len(options) == 1 else "~h"}
    found, known = (cf.fit("y ~ treat(A) + adjust(x)", rows, **options) for rows in (pieces(data, 70), data))
    told = [note for note in known.covariance.notes if "Safer: " in note]
    assert told
    said = [note for note in found.covariance.notes if "Safer: " in note]
    assert [note.replace("with the rows, or a sample of them, in memory: ", "") for note in said] == told


def test_other_methods_and_arguments_are_refused() -> None:
    data = pieces(DATA, 100)
    with pytest.raises(cf.CapabilityError, match=r"'nearest' needs all rows in memory.*regression"):
        cf.fit(FORMULA, data, method="nearest")
    with pytest.raises(cf.CapabilityError, match="subset= is an expression"):
        cf.fit(FORMULA, data, subset=np.ones(len(DATA), dtype=bool))
    with pytest.raises(cf.CapabilityError, match="env= see a chunk"):
        cf.fit("y ~ treat(A) + adjust(f(x))", data, env={"f": np.exp})
    with pytest.raises(cf.CapabilityError, match="depends on all rows and their order"):
        cf.fit("y ~ treat(A) + adjust(rank(x))", data)
    with pytest.raises(cf.CapabilityError, match=r"fe\(...\) does not run"):
        cf.fit("y ~ treat(A) + x | g", data)
    with pytest.raises(cf.CapabilityError, match="not absorbed"):
        cf.lm("y ~ x | g", data)
    with pytest.raises(cf.CapabilityError, match="ssc= is of rows in memory"):
        cf.lm("y ~ x", data, vcov="HC1", ssc=cf.ssc())
    with pytest.raises(cf.FormulaError, match="unknown column 'nowhere'"):
        cf.fit("y ~ treat(A) + adjust(nowhere)", data)
    with pytest.raises(cf.OptionError, match="no column 'nowhere'"):
        cf.fit(FORMULA, data, vcov="~nowhere")
    with pytest.raises(cf.DataError, match="missing values in x"):
        cf.fit(FORMULA, data, na_action="fail")
    with pytest.raises(cf.DataError, match="subset leaves no row"):
        cf.fit(FORMULA, data, subset="w > 10")


def test_no_verb_answers_from_the_rows_of_a_prototype() -> None:
    fit, model = cf.fit(FORMULA, pieces(DATA, 100)), cf.lm("y ~ x", pieces(DATA, 100))
    assert fit.nobs == 237
    asked = {
        fit: ["influence", "augment", "permutation_test", "refute"],
        model: ["influence", "augment", "hatvalues", "rstandard", "cooks_distance", "residuals"],
    }
    for result, verbs in asked.items():
        for verb in verbs:
            with pytest.raises(cf.CapabilityError, match="2 frames in memory"):
                getattr(result, verb)()
    for verb in ("matched_data", "weights"):
        with pytest.raises(cf.CapabilityError, match="2 frames in memory"):
            getattr(fit.design, verb)
    for both in (lambda: cf.stack([fit, fit]), lambda: fit - fit, lambda: model - model):
        with pytest.raises(cf.CapabilityError, match="2 frames in memory"):
            both()
    with pytest.raises(cf.CapabilityError, match="2 frames in memory"):
        cf.glm("b ~ x", pieces(DATA, 100), family="binomial").confint(method="profile")
    for verb in ("fitted", "resid"):
        with pytest.raises(cf.CapabilityError, match="2 frames in memory"):
            getattr(model, verb)
    with pytest.raises(cf.CapabilityError, match="2 frames in memory"):
        fit.plot("outcome")
    with pytest.raises(cf.CapabilityError, match="2 frames in memory"):
        cf.bptest(model)


def test_results_pickle_where_their_source_does(path: str) -> None:
    fit = cf.fit(FORMULA, cf.scan(path, limit=0), vcov="HC1")
    again = pickle.loads(pickle.dumps(fit))
    agree(again.with_vcov("~c"), fit.with_vcov("~c"))
    relation = cf.scan(duckdb.connect().sql(f"SELECT * FROM '{path}'"), limit=0)
    with pytest.raises(cf.DataError, match="cannot be pickled"):
        pickle.dumps(cf.fit(FORMULA, relation))


def test_predictions_of_other_rows_need_none_of_the_fit() -> None:
    model, known = cf.lm("y ~ poly(w, 2) + g", pieces(DATA, 100)), cf.lm("y ~ poly(w, 2) + g", DATA)
    new = DATA.dropna().iloc[:5]
    np.testing.assert_allclose(model.predict(new), known.predict(new), rtol=1e-10)


def test_what_one_cluster_knows_alone_is_told() -> None:
    data = DATA.assign(h=DATA["k"], own=(DATA["k"] == 3).astype(int))
    data.loc[data["k"] == 3, "A"] = 1
    heavy = data.assign(m=np.where(data["k"] == 3, 500.0, 0.0) * data["dose"])
    cases = [
        ("y ~ own + x", data, "(Intercept)"),  # a dummy variable of one cluster
        ("y ~ m + x", heavy, "m"),  # a column of one cluster
    ]
    for formula, frame, _ in cases:
        found, known = cf.lm(formula, pieces(frame, 90), vcov="~h"), cf.lm(formula, frame, vcov="~h")
        agree_but_advice(found, known)
    formula = "y ~ treat(A) + adjust(own)"
    agree_but_advice(cf.fit(formula, pieces(data, 90), vcov="~h"), cf.fit(formula, data, vcov="~h"))


def agree_but_advice(found: Any, known: Any) -> None:
    a, b = found.read(), known.read()
    np.testing.assert_allclose(a.std_error, b.std_error, rtol=1e-8)
    said, meant = ([note.partition("Safer")[0] for note in each.covariance.notes] for each in (found, known))
    assert said == meant


def test_rows_are_written_back(path: str, tmp_path: Path) -> None:
    fit, known = cf.fit(FORMULA, cf.scan(path, limit=0)), cf.fit(FORMULA, DATA)
    written = f"{tmp_path}/rows.parquet"
    fit.augment(written)
    columns = [".fitted", ".resid", ".hat"]
    np.testing.assert_allclose(pd.read_parquet(written)[columns], known.augment()[columns], rtol=1e-9)
    cf.lm("y ~ w", pieces(DATA, 0, 90)).augment(written)
    np.testing.assert_allclose(pd.read_parquet(written)[columns], cf.lm("y ~ w", DATA).augment()[columns], rtol=1e-9)


WRITTEN: list[tuple[str, str, dict[str, Any]]] = [
    ("difference_in_means", "y ~ treat(A)", {}),
    *((method, FORMULA, {}) for method in ("regression", "ipw", "ebal", "cbps", "ipt", "aipw")),
    ("subclass", FORMULA, {"subclass": 4}),
    ("subclass", FORMULA, {"subclass": 3, "discard": "both", "min_n": 0}),
    ("ipw", "y ~ treat(arm) + adjust(x)", {"trim": 0.9}),
]


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
@pytest.mark.parametrize(("method", "formula", "options"), WRITTEN)
def test_the_design_is_written_back_too(method: str, formula: str, options: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    found, known = (cf.fit(formula, rows, method=method, **options) for rows in (pieces(DATA, 90), DATA))
    found.augment(f"{tmp_path}/rows.parquet")
    written, rows = pd.read_parquet(f"{tmp_path}/rows.parquet"), known.augment()
    assert list(written) == list(rows)
    columns = [name for name in rows if name.startswith(".")]
    np.testing.assert_allclose(written[columns].astype(float), rows[columns].astype(float), rtol=1e-7, atol=1e-9)


def cells(seed: int, rows: int = 60) -> pd.DataFrame:
    """Few rows a cell, so that some cells are of one arm."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"g": rng.choice(list("abcdef"), rows), "h": rng.choice(list("uvw"), rows)})
    data["x"] = rng.normal(size=rows)
    data["A"] = (rng.uniform(size=rows) < 1 / (1 + np.exp(-data.x))).astype(int)
    return data.assign(y=data.x + data.A + rng.normal(size=rows))


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
@pytest.mark.parametrize("method", ["ipw", "aipw"])
@pytest.mark.parametrize("seed", [23, 48])
def test_cells_of_one_arm_beside_an_intercept_that_they_imply(method: str, seed: int) -> None:
    data = cells(seed)
    formula = "y ~ treat(A) + propensity(g:h) + outcome(x)"
    found, known = (cf.fit(formula, rows, method=method) for rows in (pieces(data, 20), data))
    # the model is saturated: its probabilities are the cells' shares
    shares = data.groupby(["g", "h"])["A"].transform("mean")
    np.testing.assert_allclose(known.design.distance, shares, atol=1e-8)
    np.testing.assert_allclose(found.std_error, known.std_error, rtol=1e-6)
    assert found.estimate == pytest.approx(known.estimate, rel=1e-8)
    assert lines_of(found, "leaves out") == lines_of(known, "leaves out") != []


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
@pytest.mark.parametrize("vcov", ["asympt", "HC1", "~k", cf.Asympt(weights="fixed")])
def test_rows_of_leverage_one_in_the_outcome_model_of_augmented_scores(vcov: Any) -> None:
    own = DATA.assign(site=np.where(DATA.index == 50, "own", np.where(DATA["w"] > 1, "a", "b")))
    few = cells(1).assign(k=np.arange(60) // 2)
    cases = (
        (own, "y ~ treat(A) + adjust(x) + outcome(site)", (50, 51, 100)),
        (few, "y ~ treat(A) + adjust(g * h)", (9,)),
    )
    for data, formula, ends in cases:
        found, known = (cf.fit(formula, rows, method="aipw", vcov=vcov) for rows in (pieces(data, *ends), data))
        assert found.estimate == pytest.approx(known.estimate, rel=1e-9)
        np.testing.assert_allclose(found.std_error, known.std_error, rtol=1e-6)
        assert np.isnan(found.std_error) == (data is few)
        told, words = (lines_of(fit, "leverage one") for fit in (found, known))
        assert len(told) == len(words) == (data is few)
        assert not told or told[0].partition("leverage one")[2] == words[0].partition("leverage one")[2]
