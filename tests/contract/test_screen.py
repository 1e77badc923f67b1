"""A screen goes on where it was interrupted, gives the same numbers over processes, and is drawn."""

from __future__ import annotations

import json
import pickle

import joblib
import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pytest

import causalformula as cf
from causalformula import cli
from causalformula.datasets import tables
from causalformula.results.screening import store, verb
from causalformula.results.screening.answers import Designs, Piece, answer_piece

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
pytestmark = pytest.mark.filterwarnings("ignore")
DRUGS = [f"drug{k}" for k in range(5)]
F = "y ~ treat(drug) + adjust(u + s)"


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 150
    d = pd.DataFrame({"u": rng.normal(size=n), "s": rng.choice(list("pqr"), n), "other": 1.0})
    for name in DRUGS:
        d[name] = (rng.random(n) < 1 / (1 + np.exp(0.3 - d["u"] / 2))).astype(int)
    d["y"], d["z"] = d["u"] + 2 * d["drug1"] + rng.normal(size=n), rng.normal(size=n)
    d["ill"] = (rng.random(n) < 0.3 + 0.3 * d["drug2"]).astype(int)
    return d.assign(none=0)


# -- results in a file ------------------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch):
    """Which questions were asked, and after how many the work is interrupted."""
    told = {"asked": [], "most": 10**6}

    def counting(asked, piece):
        if len(told["asked"]) >= told["most"]:
            raise KeyboardInterrupt
        told["asked"] += [question.treatment for question in piece.questions]
        return answer_piece(asked, piece)

    monkeypatch.setattr(verb, "answer_piece", counting)
    return told


def test_an_interrupted_screen_goes_on(data, tmp_path, counted):
    path = tmp_path / "results.parquet"
    counted["most"] = 3
    with pytest.raises(KeyboardInterrupt):
        cf.screen(F, data, "ipw", treatments=[*DRUGS, "none"], path=path)
    assert counted["asked"] == DRUGS[:3] and len(pd.read_parquet(path)) == 3
    counted.update(asked=[], most=10**6)
    again = cf.screen(F, data, "ipw", treatments=[*DRUGS, "none"], path=path)
    assert counted["asked"] == [*DRUGS[3:], "none"]
    whole = cf.screen(F, data, "ipw", treatments=[*DRUGS, "none"])
    pd.testing.assert_frame_equal(again.tidy(), whole.tidy(), check_exact=True)
    assert "Note: 3 questions answered before, in " in str(again)
    assert [file.name for file in tmp_path.iterdir()] == ["results.parquet"]


def test_what_failed_is_asked_again_and_what_is_new_is_added(data, tmp_path, counted):
    path = str(tmp_path / "results.parquet")
    cf.screen(F, data, treatments=["drug0", "none"], path=path)
    counted["asked"] = []
    more = cf.screen(F, data, treatments=["none", "drug1", "drug0"], negative_controls=["drug3", "drug4"], path=path)
    assert sorted(counted["asked"]) == ["drug1", "drug3", "drug4", "none"]
    assert more.tidy()["treatment"].tolist() == ["none", "drug1", "drug0", "drug3", "drug4"]
    assert more.nulls["y"].n == 2
    counted["asked"] = []
    fewer = cf.screen(F, data, treatments=["drug1"], path=path)
    assert counted["asked"] == [] and fewer.tidy()["estimate"][0] == cf.fit(F.replace("drug", "drug1"), data).estimate
    assert len(pd.read_parquet(path)) == 5


def test_other_columns_may_change(data, tmp_path, counted):
    path = tmp_path / "results.parquet"
    cf.screen(F, data, treatments=["drug0"], path=path)
    counted["asked"] = []
    cf.screen(F, data.assign(other=2.0, drug4=0), treatments=["drug0"], path=path)
    assert counted["asked"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"data": lambda d: d.assign(u=d["u"] + 1e-9)},
            "holds an answer for drug0 on y on other data: values of its col",
        ),
        ({"data": lambda d: d.iloc[:-1]}, "holds an answer for drug0 on y on other data"),
        ({"formula": "y ~ treat(drug) + adjust(u)"}, "holds answers with formula y ~ treat(drug) + adjust(u + s), and"),
        ({"method": "ebal"}, "holds answers with method= 'ipw', and here it is 'ebal'; give another path=, or delete"),
        ({"estimand": "ATT"}, "holds answers with estimand= nothing, and here it is 'ATT'"),
        ({"stabilize": True}, "holds answers with stabilize= nothing, and here it is True"),
        ({"vcov": "HC0"}, "holds answers with vcov= None, and here it is HC(df=None"),
        ({"level": 0.9}, "holds answers with level= 0.95, and here it is 0.9"),
        ({"subset": "u > 0"}, "holds answers with subset= None, and here it is 'u > 0'"),
        ({"subset": lambda d: (d["u"] > 0).to_numpy()}, "holds answers with subset= None, and here it is '"),
    ],
)
def test_a_file_of_other_answers_is_refused(data, tmp_path, change, words):
    path = tmp_path / "results.parquet"
    cf.screen(F, data, "ipw", treatments=["drug0"], path=path)
    asked = {"formula": F, "data": data, "method": "ipw", "treatments": ["drug0"], "path": path}
    changed = {name: value(data) if callable(value) else value for name, value in change.items()}
    with pytest.raises(cf.OptionError) as error:
        cf.screen(**{**asked, **changed})
    assert words in str(error.value)


def test_a_file_of_something_else_is_refused(data, tmp_path):
    path = tmp_path / "results.parquet"
    data.to_parquet(path)
    with pytest.raises(cf.OptionError, match=r"is there, and no file of a screen; give another path="):
        cf.screen(F, data, treatments=["drug0"], path=path)
    path.write_text("text")
    with pytest.raises(cf.OptionError, match=r"is there, and no file of a screen"):
        cf.screen(F, data, treatments=["drug0"], path=path)


def test_levels_in_another_order_are_other_data(data, tmp_path):
    path, levels = tmp_path / "results.parquet", ["low", "mid", "high"]
    dose = np.resize(levels, len(data))
    cf.screen(F, data.assign(drug0=pd.Categorical(dose, levels)), treatments=["drug0"], path=path)
    with pytest.raises(cf.OptionError, match=r"an answer for .*drug0.* on other data"):
        cf.screen(F, data.assign(drug0=pd.Categorical(dose, levels[::-1])), treatments=["drug0"], path=path)
    with pytest.raises(cf.OptionError, match=r"an answer for .*drug0.* on other data"):
        cf.screen(F, data.assign(drug0=dose), treatments=["drug0"], path=path)


def test_values_of_every_type_are_known_again(tmp_path):
    frame = pd.DataFrame(
        {"a": [0, 1] * 10, "y": np.arange(20.0) ** 2, "c": pd.Categorical(list("xy") * 10), "t": ["p", None] * 10,
         "b": [True, False] * 10, "d": pd.date_range("2020", periods=20)}
    )  # fmt: skip
    for name in frame:
        hashes = store.Table(frame).hashes(name)
        np.testing.assert_array_equal(hashes, store.Table(pl.from_pandas(frame)).hashes(name))
        assert (hashes != store.Table(frame.iloc[::-1]).hashes(name)).any()


def test_without_pyarrow_it_is_said(data, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(cf.CapabilityError, match=r"needs pyarrow: pip install 'causalformula\[arrow\]'"):
        cf.screen(F, data, treatments=["drug0"], path=tmp_path / "results.parquet")


# -- over processes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(monkeypatch):
    """joblib's door to other processes: what goes through is pickled, and read again."""
    pieces = []

    class Elsewhere:
        def __init__(self, n_jobs=None, return_as="list"):
            self.return_as = return_as

        def __call__(self, calls):
            for call in calls:
                function, args, kwargs = pickle.loads(pickle.dumps(call))
                pieces.append(args[0])
                yield pickle.loads(pickle.dumps(function(*args, **kwargs)))

    monkeypatch.setattr(joblib, "Parallel", Elsewhere)
    return pieces


@pytest.mark.parametrize("adjust", ["holm", "romano_wolf"])
def test_processes_give_the_same_numbers(data, sent, adjust):
    given = {"treatments": DRUGS[:3], "outcomes": ["y", "z", "ill"], "adjust": adjust, "seed": 1, "reps": 99}
    one = cf.screen(F, data, "ipw", **given)
    several = cf.screen(F, data, "ipw", n_jobs=2, keep=True, **given)
    pd.testing.assert_frame_equal(one.tidy(), several.tidy(), check_exact=True)
    assert [len(piece.questions) for piece in sent] == [3, 3, 3]
    # no column goes along that the questions do not use
    assert [set(piece.table.names) for piece in sent] == [{"u", "s", "y", "z", "ill", name} for name in DRUGS[:3]]
    assert several.fits["drug1", "z"].estimate == cf.fit("z ~ treat(drug1) + u + s", data, "ipw").estimate


def test_the_outcomes_of_few_treatments_are_shared(data, sent):
    cf.screen("~ treat(drug0) + u", data, outcomes=["y", "z", "ill"], n_jobs=2)
    assert [len(piece.questions) for piece in sent] == [2, 1]


def test_the_configuration_counts(data, sent):
    with joblib.parallel_config(n_jobs=2):
        cf.screen(F, data, treatments=DRUGS)
    assert len(sent) == 5


@pytest.mark.slow
def test_real_processes(data):
    one = cf.screen(F, data, treatments=DRUGS)
    several = cf.screen(F, data, treatments=DRUGS, n_jobs=2)
    pd.testing.assert_frame_equal(one.tidy(), several.tidy(), check_exact=True)


def test_a_piece_takes_no_designs_along(data):
    designs = Designs("drug0", [object()])
    assert pickle.loads(pickle.dumps(Piece(store.Table(data), (), frozenset(), designs))).designs.made == []


# -- what comes back --------------------------------------------------------------------------------------------------


def test_fits_are_kept_where_asked_for(data):
    kept = cf.screen(F, data, treatments=["drug0", "none"], keep=True)
    assert list(kept.fits) == [("drug0", "y")]
    assert kept.fits["drug0", "y"].by("s").tidy().equals(cf.fit(F.replace("drug", "drug0"), data).by("s").tidy())
    assert not cf.screen(F, data, treatments=["drug0"]).fits


def test_it_pickles_and_reads_any_frame(data):
    found = cf.screen(F, data, treatments=DRUGS, negative_controls=["drug3", "drug4"])
    assert str(pickle.loads(pickle.dumps(found))) == str(found)
    other = cf.screen(F, pl.from_pandas(data), treatments=DRUGS, negative_controls=["drug3", "drug4"])
    pd.testing.assert_frame_equal(found.tidy(), other.tidy(), check_exact=True)
    assert found.tidy("snake").columns.tolist()[5:9] == ["estimate", "std_error", "statistic", "df"]
    assert "<table" in found.as_html() and "tabular" in found.as_latex() and "|" in found.as_markdown()


def test_the_page(data):
    found = cf.screen(F, data, treatments=[*DRUGS, "none"], negative_controls=["drug3", "drug4"])
    text = str(found)
    assert text.startswith("Screen of 6 treatments on y: 6 questions, 2 of them on negative controls\nEffect: 1 - 0  ")
    rows = [line.split()[0] for line in text.splitlines() if line.startswith("drug")]
    p = found.tidy().set_index("treatment")["p.calibrated"]
    assert rows == sorted(["drug0", "drug1", "drug2"], key=lambda name: p[name])
    assert "over 3 effects)" in text and "\nRows: 150\n" in text
    many = cf.screen(
        F, data.assign(**{f"a{k}": data["drug0"] for k in range(20)}), treatments=[f"a{k}" for k in range(20)]
    )
    assert "The 15 smallest p-values of 20; to_frame() has all" in str(many)


def test_the_volcano(data):
    found = cf.screen(F, data, treatments=DRUGS, negative_controls=["drug3", "drug4"])
    ax, tidy = found.volcano(), found.tidy().set_index("treatment")
    drawn = {
        line.get_label(): np.column_stack(line.get_data()) for line in ax.lines if not line.get_label().startswith("_")
    }
    names = {
        "adjusted p-value below 0.05": ["drug1"],
        "others": ["drug0", "drug2"],
        "negative controls": ["drug3", "drug4"],
    }
    for label, inside in names.items():
        own = np.column_stack([tidy.loc[inside, "estimate"], -np.log10(tidy.loc[inside, "p.calibrated"])])
        np.testing.assert_allclose(drawn[label][np.argsort(drawn[label][:, 0])], own[np.argsort(own[:, 0])])
    assert [text.get_text() for text in ax.texts] == ["drug1"]
    assert ax.get_ylabel() == "-log10 of the calibrated p-value" and ax.get_xlabel() == "Effect on y, ATE"
    assert not found.volcano(plt.subplots()[1], top=0).texts
    ratios = cf.screen("ill ~ treat(drug)", data, treatments=DRUGS, measure="ratio").volcano()
    assert ratios.get_xscale() == "log" and ratios.get_ylabel() == "-log10 of the p-value"


def test_the_forest(data):
    found = cf.screen(F, data, treatments=[*DRUGS, "none"])
    ax, tidy = found.forest(top=3), found.tidy().sort_values("p.value")
    assert [text.get_text() for text in ax.get_yticklabels()] == tidy["treatment"].tolist()[:3]
    np.testing.assert_allclose(ax.lines[-1].get_xdata(), tidy["estimate"][:3])
    assert "the 3 smallest p-values of 5" in ax.get_xlabel()


def test_in_a_shell(data, tmp_path, capsys):
    table, path = tmp_path / "data.csv", tmp_path / "results.parquet"
    data.to_csv(table, index=False)
    flags = ["--data", str(table), "--treatments", "drug*", "--negative-controls", "drug3,drug4", "--adjust", "holm"]
    own = cf.screen(
        F, tables.read(str(table)), "ipw", treatments=DRUGS, negative_controls=["drug3", "drug4"], adjust="holm"
    )
    assert cli.main(["screen", F, *flags, "--method", "ipw", "--format", "json", "--path", str(path)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["estimate"] for row in document["tidy"]] == own.tidy()["estimate"].tolist()
    assert document["nulls"]["y"]["mean"] == own.nulls["y"].mean and path.exists()
    assert cli.main(["screen", F, *flags, "--method", "ipw"]) == 0
    assert capsys.readouterr().out.rstrip() == str(own).rstrip()
    assert cli.main(["screen", F, *flags, "--format", "csv", "--option", "interact=true"]) == 0
    assert capsys.readouterr().out.startswith("treatment,outcome,control,term,")
    assert cli.main(["screen", F, *flags, "--option", "path=x"]) == 2
    assert "path is given by --path" in capsys.readouterr().err
