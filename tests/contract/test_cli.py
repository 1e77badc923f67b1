"""The shell command: what it passes on, what it writes, and that an error is one message and never a traceback."""

import gzip
import io
import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula import cli, datasets
from causalformula.datasets.tables import read
from causalformula.inference.request_text import NAMES
from causalformula.shell import commands, written
from causalformula.shell.asked import compared_methods, contrast, literal, truth

FORMULA = "Severity ~ treat(Drug) + adjust(I.H)"


def run(capsys, *arguments):
    """Status, standard output and standard error of one run in this process."""
    try:
        status = cli.main(list(arguments))
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def asked(monkeypatch):
    """Replace ``fit``: what it was called with, and a result with awkward numbers."""
    calls = {}

    def fit(formula, data, **keywords):
        calls.update(formula=formula, data=data, keywords=keywords)
        row = {"term": "Drug", "contrast": "1 - 0", "estimate": np.float64(-9.5), "df": np.inf, "conf.low": -np.inf}
        tidy = pd.DataFrame([row | {"p.value": np.nan, "n": np.int64(3)}])
        return SimpleNamespace(
            summary=lambda level: SimpleNamespace(as_html=lambda: "<table></table>"),
            tidy=lambda level: tidy.assign(level=level),
            glance=lambda: pd.DataFrame([{"nobs": 1000, "vcov": "classical"}]),
        )

    monkeypatch.setattr(commands, "fit", fit)
    monkeypatch.setattr(written, "facts", lambda result: {"formula": calls["formula"]})
    return calls


# ---- the whole way, for real


def test_text_is_the_summary(capsys):
    status, out, err = run(capsys, "fit", FORMULA, "--data", "heart")
    assert (status, err) == (0, "")
    assert out == str(cf.fit(FORMULA, datasets.load("heart")).summary()).rstrip("\n") + "\n"
    assert "-9.8877" in out


def test_json_has_the_effect_at_the_level_asked_for(capsys):
    request = ["--vcov", "HC3", "--level", ".9", "--format", "json"]
    status, out, _ = run(capsys, "fit", FORMULA, "--data", "heart", *request)
    expected = cf.fit(FORMULA, datasets.load("heart"), vcov="HC3").tidy(level=0.9).iloc[0]
    (row,) = json.loads(out)["tidy"]
    assert status == 0
    assert row["estimate"] == expected["estimate"]
    assert row["conf.low"] == expected["conf.low"]
    assert json.loads(out)["glance"]["nobs"] == 1000


def test_json_says_what_was_asked_and_of_which_data(capsys, tmp_path):
    path = tmp_path / "heart.csv"
    heart = datasets.load("heart")
    heart.loc[:4, "I.H"] = np.nan
    heart.to_csv(path, index=False)
    request = ["--vcov", "bootstrap", "--reps", "60", "--measure", "ratio", "--format", "json"]
    status, out, err = run(capsys, "fit", FORMULA, "--data", str(path), *request)
    assert (status, err) == (0, "")
    document = json.loads(out)
    asked = {name: document[name] for name in ("formula", "outcome", "treatment", "method", "estimand", "measure")}
    assert asked == {
        "formula": FORMULA,
        "outcome": "Severity",
        "treatment": "Drug",
        "method": "regression",
        "estimand": "ATE",
        "measure": "ratio",
    }
    assert (document["nobs"], document["rows_dropped"], document["missing_by"]) == (995, 5, {"I.H": 5})
    assert document["level"] == 0.95
    assert isinstance(document["notes"], list)
    # the seed that was drawn, as the label has it, gives the same numbers again
    assert f"60 replicates, seed {document['seed']}" in document["vcov"]
    again = run(capsys, "fit", FORMULA, "--data", str(path), *request, "--seed", str(document["seed"]))[1]
    assert again == out


@pytest.mark.parametrize(
    ("flags", "request_"),
    [
        (["--vcov", "bootstrap", "--reps", "500", "--seed", "1"], cf.Bootstrap(500, seed=1)),
        (["--vcov", "bootstrap ~ id", "--seed", "7"], cf.Bootstrap(cluster="id", seed=7)),
        (["--vcov", "bootstrap(500, kind = bca)", "--seed", "2"], cf.Bootstrap(500, "bca", seed=2)),
        (["--vcov", "wild ~ id", "--reps", "99"], cf.Wild(99, cluster="id")),
    ],
)
def test_replicates_and_seed(capsys, asked, flags, request_):
    status, _, err = run(capsys, "fit", FORMULA, "--data", "heart", "--format", "csv", *flags)
    assert (status, err) == (0, "")
    assert asked["keywords"] == {"vcov": request_}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seed", "1"], "--seed: no --vcov is given"),
        (["--vcov", "HC3", "--reps", "99", "--seed", "1"], "--reps and --seed: --vcov HC3 draws nothing"),
        (["--vcov", "jackknife", "--reps", "99"], "--vcov bootstrap"),
        (["--vcov", "bootstrap", "--reps", "1"], "at least 2"),
        (["--vcov", "bootstrap", "--reps", "many"], "invalid int value"),
        (["--vcov", "bootstrap(500, sed = 1)"], "did you mean 'seed'?"),
    ],
)
def test_replicates_and_seed_that_make_no_sense(capsys, flags, message):
    assert message in refused(capsys, "fit", FORMULA, "--data", "heart", *flags)


def test_csv_reads_back(capsys, tmp_path):
    target = tmp_path / "effect.csv"
    status, out, _ = run(capsys, "fit", FORMULA, "--data", "heart", "--format", "csv", "--out", str(target))
    assert (status, out) == (0, "")
    expected = cf.fit(FORMULA, datasets.load("heart")).tidy()
    written = pd.read_csv(target, **datasets.EXACT)
    assert list(written) == list(expected)
    assert written["estimate"][0] == expected["estimate"].iloc[0]


def test_html(capsys):
    status, out, _ = run(capsys, "fit", FORMULA, "--data", "heart", "--format", "html")
    assert status == 0
    assert "<table" in out


def test_methods_lists_every_record(capsys):
    from causalformula.backends.registry import methods

    status, out, _ = run(capsys, "methods")
    assert status == 0
    first = {line.split()[0].rstrip(",") for line in out.splitlines() if line}
    assert {record.name for record in methods()} <= first
    assert {"regression", "difference_in_means"} <= first


def test_methods_explains_its_words(capsys):
    _, out, _ = run(capsys, "methods")
    tables = [table.splitlines() for table in out.split("\n\n")]
    defaults = {line.split()[0].rstrip(","): line for line in tables[0][1:]}
    assert "classical; clustered by id with unit = id" in defaults["did"]
    glossed = {line.split()[0]: line for line in (*tables[2][1:], *tables[3][1:])}
    assert {"ATO", "ATM", "ATOS", "LATE", "asympt"} <= set(glossed)
    assert "p(1 - p)" in glossed["ATO"] and "M-estimation" in glossed["asympt"]


def test_datasets_lists_every_name(capsys):
    status, out, _ = run(capsys, "datasets")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["name", *datasets.names()]


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"causalformula {cf.__version__}\n", "")


def test_as_a_process():
    command = [sys.executable, "-m", "causalformula.cli", "fit", FORMULA.replace("Drug", "Drugs"), "--data", "heart"]
    root = Path(cf.__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("causalformula: ")
    assert "'Drug'" in done.stderr
    assert "Traceback" not in done.stderr


# ---- what is passed on


def test_flags_not_given_leave_the_defaults_to_fit(capsys, asked):
    run(capsys, "fit", FORMULA, "--data", "heart", "--format", "csv")
    assert asked["formula"] == FORMULA
    assert asked["keywords"] == {}
    pd.testing.assert_frame_equal(asked["data"], datasets.load("heart"))


def test_flags_and_options_become_keywords(capsys, asked):
    flags = ["--outcome", "Y", "--method", "regression", "--estimand", "ATT"]
    flags += ["--vcov", "~id", "--family", "binomial", "--measure", "ratio"]
    options = ["--option", "interact=true", "--option", "std.caliper=.25", "--option", "exact=~ race + poly(age, 2)"]
    status, _, err = run(capsys, "fit", "treat(A)", "--data", "heart", "--format", "csv", *flags, *options)
    assert (status, err) == (0, "")
    assert asked["keywords"] == {
        "outcome": "Y",
        "method": "regression",
        "estimand": "ATT",
        "vcov": "~id",
        "family": "binomial",
        "measure": "ratio",
        "interact": True,
        "std_caliper": 0.25,
        "exact": "~ race + poly(age, 2)",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("2.5", 2.5),
        (".5", 0.5),
        ("1e-8", 1e-8),
        ("true", True),
        ("FALSE", False),
        ("NULL", None),
        ("null", None),
        ("Inf", math.inf),
        ('"2"', "2"),
        ("[1, 2]", (1, 2)),
        ("nearest", "nearest"),
        ("~ a, b", "~ a, b"),
        ("", ""),
        ("0.1,0.9", (0.1, 0.9)),
        ("(0.1, 0.9)", (0.1, 0.9)),
        ("[.1, 0.9]", (0.1, 0.9)),
        ("(1,)", (1,)),
        ("[f1, f2]", ("f1", "f2")),
        ("a,b", "a,b"),
        ("~ poly(x, 2)", "~ poly(x, 2)"),
    ],
)
def test_literals(text, value):
    got = literal(text)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize("bounds", ["[0.1,0.9]", "(0.1, 0.9)", "0.1,0.9", "0.1, 0.9"])
def test_a_pair_as_an_option(capsys, bounds):
    flags = ["--method", "aipw", "--format", "json", "--option", f"bounds={bounds}"]
    status, out, _ = run(capsys, "fit", FORMULA, "--data", "heart", *flags)
    expected = cf.fit(FORMULA, datasets.load("heart"), "aipw", bounds=(0.1, 0.9))
    assert status == 0 and json.loads(out)["tidy"][0]["estimate"] == pytest.approx(expected.estimate)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pairwise", "pairwise"),
        ("1", 1),
        ("-2.5", -2.5),
        ("B, A", ("B", "A")),
        ("(1, 0)", (1, 0)),
        ('["a, b", "c"]', ("a, b", "c")),
    ],
)
def test_contrasts(text, value):
    assert contrast(text) == value


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".feather"])
def test_files(tmp_path, ending):
    heart = datasets.load("heart")
    path = tmp_path / f"heart{ending}"
    if ending.startswith((".csv", ".tsv")):
        heart.to_csv(path, index=False, sep="\t" if "tsv" in ending else ",")
    else:
        pytest.importorskip("pyarrow")
        (heart.to_parquet if ending == ".parquet" else heart.to_feather)(path)
    pd.testing.assert_frame_equal(read(str(path)), heart)


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input(capsys, monkeypatch, packed):
    content = datasets.load("heart").to_csv(index=False).encode()
    stream = SimpleNamespace(buffer=io.BytesIO(gzip.compress(content) if packed else content))
    monkeypatch.setattr(sys, "stdin", stream)
    status, out, err = run(capsys, "fit", FORMULA, "--data", "-", "--format", "csv")
    assert (status, err) == (0, "")
    written = pd.read_csv(io.StringIO(out), **datasets.EXACT)
    assert written["estimate"][0] == cf.fit(FORMULA, datasets.load("heart")).estimate


@pytest.mark.parametrize(("name", "sep"), [("a.csv", ","), ("a.tsv", "\t"), ("-", ",")])
def test_a_header_with_a_name_twice_is_refused(capsys, monkeypatch, tmp_path, name, sep):
    content = f"y{sep}p{sep}y\n1{sep}0{sep}2\n2{sep}1{sep}3\n".encode()
    path = tmp_path / name
    path.write_bytes(content)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    err = refused(capsys, "fit", "y ~ treat(p)", "--data", "-" if name == "-" else str(path))
    assert "duplicated column names: y" in err


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfy,p\n1,0\n")
    assert list(read(str(path))) == ["y", "p"]


# ---- what comes out


def test_json_writes_missing_as_null_and_infinities_as_text(capsys, asked):
    _, out, _ = run(capsys, "fit", FORMULA, "--data", "heart", "--format", "json")
    document = json.loads(out, parse_constant=pytest.fail)
    assert document["tidy"] == [
        {
            "term": "Drug",
            "contrast": "1 - 0",
            "estimate": -9.5,
            "df": "Inf",
            "conf.low": "-Inf",
            "p.value": None,
            "n": 3,
            "level": 0.95,
        }
    ]
    assert document["glance"] == {"nobs": 1000, "vcov": "classical"}
    assert (document["formula"], document["level"]) == (FORMULA, 0.95)


# ---- errors: one message on the standard error, status 2


def refused(capsys, *arguments):
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert out == ""
    assert err.startswith("causalformula: ")
    assert "Traceback" not in err
    assert "should not happen" not in err
    return err


def test_no_command(capsys):
    assert "COMMAND" in refused(capsys)


def test_unknown_command(capsys):
    assert "'fits'" in refused(capsys, "fits")


def test_data_are_required(capsys):
    assert "--data" in refused(capsys, "fit", FORMULA)


def test_unknown_data_offers_the_near_name(capsys):
    assert "did you mean 'heart'?" in refused(capsys, "fit", FORMULA, "--data", "hart")


def test_unknown_ending(capsys, tmp_path):
    path = tmp_path / "heart.xlsx"
    path.write_bytes(b"PK")
    assert ".parquet" in refused(capsys, "fit", FORMULA, "--data", str(path))


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.feather"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x81 not a table", b'a,b\n1,"2\n3,4,5,6\n'])
def test_broken_files(capsys, tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert name in refused(capsys, "fit", FORMULA, "--data", str(path))


def test_a_folder_is_not_data(capsys, tmp_path):
    assert "cannot tell the format" in refused(capsys, "fit", FORMULA, "--data", str(tmp_path))


@pytest.mark.parametrize("text", ["ratio", "=2", "a b=2", "2=2"])
def test_malformed_option(capsys, text):
    assert "name=value" in refused(capsys, "fit", FORMULA, "--data", "heart", "--option", text)


def test_option_that_has_a_flag(capsys):
    assert "--method" in refused(capsys, "fit", FORMULA, "--data", "heart", "--option", "method=ipw")
    assert "Python" in refused(capsys, "fit", FORMULA, "--data", "heart", "--option", "env=1")


def test_option_given_twice(capsys):
    err = refused(capsys, "fit", FORMULA, "--data", "heart", "--option", "ratio=1", "--option", "ratio=2")
    assert "ratio is given twice" in err


def test_unknown_option(capsys):
    assert "nonsense" in refused(capsys, "fit", FORMULA, "--data", "heart", "--option", "nonsense=1")


def test_unknown_method(capsys):
    assert "regression" in refused(capsys, "fit", FORMULA, "--data", "heart", "--method", "regresion")


def test_bad_formula_shows_where(capsys):
    err = refused(capsys, "fit", "Severity ~ treat(Drug) + adjust(I.H", "--data", "heart")
    assert "^" in err


@pytest.mark.parametrize("level", ["95", "0", "1", "nan", "high"])
def test_bad_level(capsys, level):
    assert "confidence level" in refused(capsys, "fit", FORMULA, "--data", "heart", "--level", level)


def test_bad_format(capsys):
    assert "'pdf'" in refused(capsys, "fit", FORMULA, "--data", "heart", "--format", "pdf")


def test_out_that_cannot_be_written(capsys, tmp_path):
    target = tmp_path / "nowhere" / "a.txt"
    assert str(target) in refused(capsys, "fit", FORMULA, "--data", "heart", "--out", str(target))


def test_an_unforeseen_error_is_a_message_too(capsys, monkeypatch):
    monkeypatch.delenv(cli.DEBUG, raising=False)
    monkeypatch.setattr(commands, "fit", lambda *_, **__: [][1])
    status, out, err = run(capsys, "fit", FORMULA, "--data", "heart")
    assert (status, out) == (2, "")
    assert "should not happen (IndexError" in err


def test_the_traceback_can_be_asked_for(capsys, monkeypatch):
    monkeypatch.setenv(cli.DEBUG, "1")
    monkeypatch.setattr(commands, "fit", lambda *_, **__: [][1])
    with pytest.raises(IndexError):
        run(capsys, "fit", FORMULA, "--data", "heart")


def test_a_warning_is_one_line(capsys, monkeypatch, asked):
    import warnings

    fit = commands.fit

    def warned(*arguments, **keywords):
        warnings.warn("fitted probabilities 0 or 1", stacklevel=1)
        return fit(*arguments, **keywords)

    monkeypatch.setattr(commands, "fit", warned)
    status, _, err = run(capsys, "fit", FORMULA, "--data", "heart", "--format", "csv")
    assert (status, err) == (0, "causalformula: warning: fitted probabilities 0 or 1\n")


def test_the_help_lists_the_covariances(capsys):
    status, out, _ = run(capsys, "fit", "--help")
    assert status == 0
    assert ", ".join(NAMES) in " ".join(out.split())


# ---- compare


def compared(capsys, *more, methods="difference_in_means,regression,aipw"):
    return run(capsys, "compare", FORMULA, "--data", "heart", "--methods", methods, *more)


def test_a_comparison_is_the_print_of_compare(capsys):
    status, out, err = compared(capsys, "--truth", "-10", "--level", ".9")
    methods = ["difference_in_means", "regression", "aipw"]
    expected = cf.compare(FORMULA, datasets.load("heart"), methods, truth=-10).summary(level=0.9)
    assert (status, err) == (0, "")
    assert out == str(expected).rstrip("\n") + "\n" and "unadjusted" in out and "5 %" in out


def test_a_comparison_as_json_and_csv(capsys):
    status, out, _ = compared(
        capsys, "--truth", "-10", "--format", "json", "--vcov", "HC0", methods="regression, exact"
    )
    document = json.loads(out)
    found = cf.compare(FORMULA, datasets.load("heart"), ["regression"], vcov="HC0")
    assert status == 0 and document["formula"] == FORMULA and document["nobs"] == 1000
    assert document["tidy"][0]["std.error"] == found.fits["regression"].std_error
    assert document["tidy"][0]["truth"] == -10
    assert document["tidy"][1]["estimate"] is None and "nobody can be matched" in document["notes"][-1]
    assert document["agreement"][0]["note"] == "exact: no estimate" and document["test"] is None
    assert document["balance"][0]["covariate"] == "I.H"
    _, out, _ = compared(capsys, "--format", "csv")
    pd.testing.assert_series_equal(
        pd.read_csv(io.StringIO(out))["estimate"],
        cf.compare(FORMULA, datasets.load("heart"), ["difference_in_means", "regression", "aipw"]).tidy()["estimate"],
    )


def test_true_effects_of_units_are_a_column(capsys, tmp_path):
    data = datasets.load("heart").assign(effect=lambda d: -10 + d["I.H"])
    data.to_csv(tmp_path / "heart.csv", index=False)
    arguments = ("compare", FORMULA, "--data", str(tmp_path / "heart.csv"), "--methods", "regression,t_learner")
    status, out, _ = run(capsys, *arguments, "--truth", "effect", "--format", "json")
    rows = json.loads(out)["tidy"]
    found = cf.compare(FORMULA, data, ["regression", "t_learner"], truth="effect").tidy()
    assert status == 0 and rows[0]["correlation"] is None
    assert [row["PEHE"] for row in rows] == pytest.approx(found["PEHE"].tolist())


def test_options_of_one_method_of_a_comparison():
    listed = compared_methods("ipw, nearest", ["nearest.ratio=2", "nearest.caliper=.1"])
    assert listed == ["ipw", cf.Nearest(ratio=2, caliper=0.1)]
    assert truth("-1") == -1 and truth("0, .5") == [0, 0.5]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--option", "ratio=2"), "write METHOD.name=value, as in --option regression.name=2"),
        (("--option", "regresion.interact=true"), "did you mean 'regression'"),
        (("--option", "regression.ratio=2"), "method 'regression' has no option 'ratio'"),
        (("--option", "regression.estimand=ATT"), "estimand is given by --estimand"),
        (("--option", "regression.interact=true", "--option", "regression.interact=true"), "given twice"),
        (("--truth", "some"), "the data have no column 'some'"),
        (("--truth", "1, some"), "truth= is the true effect"),
        (("--estimand", "ATO"), "all of them can answer with estimand='ATE'"),
        (("--reps", "9"), "no --vcov is given"),
    ],
)
def test_comparisons_that_make_no_sense(capsys, flags, message):
    arguments = ("compare", FORMULA, "--data", "heart", "--methods", "regression,ebal", *flags)
    assert message in refused(capsys, *arguments)


def test_a_comparison_needs_methods(capsys):
    assert "--methods" in refused(capsys, "compare", FORMULA, "--data", "heart")
    assert "methods= is empty" in refused(capsys, "compare", FORMULA, "--data", "heart", "--methods", ",")


# ---- refute


def refuted_by(capsys, *more, tests="placebo,subset"):
    return run(capsys, "refute", FORMULA, "--data", "heart", "--tests", tests, "--reps", "9", "--seed", "1", *more)


def test_a_refutation_is_the_print_of_refute(capsys):
    status, out, err = refuted_by(capsys)
    expected = cf.fit(FORMULA, datasets.load("heart")).refute(["placebo", "subset"], reps=9, seed=1)
    assert (status, out.rstrip(), err) == (0, str(expected).rstrip(), "")


def test_a_refutation_as_json_csv_and_html(capsys):
    expected = cf.fit(FORMULA, datasets.load("heart"), "ipw").refute(["placebo", "leave_one_out"], reps=9, seed=1)
    more = ("--method", "ipw")
    _, out, _ = refuted_by(capsys, *more, "--format", "json", tests="placebo, leave_one_out")
    document = json.loads(out)
    assert [row["test"] for row in document["tests"]] == ["placebo", "leave_one_out"]
    assert document["tests"][1]["p.value"] is None
    assert document["tests"][0]["refuted"] == expected.to_frame()["refuted"][0]
    assert document["tables"]["leave_one_out"][0]["refuted"] == expected.table("leave_one_out")["refuted"][0]
    _, out, _ = refuted_by(capsys, *more, "--format", "csv", tests="placebo, leave_one_out")
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(out)), expected.to_frame())
    _, out, _ = refuted_by(capsys, *more, "--format", "html", tests="placebo, leave_one_out")
    assert "<table" in out and "leave_one_out" in out


def test_strengths_of_a_confounder_from_the_shell(capsys):
    _, out, _ = refuted_by(capsys, "--strengths", "0, 0.25", "--format", "json", tests="unobserved_confounder")
    cells = json.loads(out)["tables"]["unobserved_confounder"]
    assert [(cell["outcome"], cell["treatment"]) for cell in cells] == [(0, 0), (0.25, 0), (0, 0.25), (0.25, 0.25)]
    fit = cf.fit(FORMULA, datasets.load("heart"))
    se, df = fit.std_error, fit.tidy()["df"][0]
    # Cinelli and Hazlett (2020): the bias is se sqrt(df) sqrt(R2_y R2_a / (1 - R2_a))
    assert cells[-1]["refuted"] == pytest.approx(fit.estimate + se * np.sqrt(df * 0.25 * 0.25 / 0.75))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--strengths", "0.1,x", "--tests", "unobserved_confounder"), "strengths= lists shares of variance"),
        (("--tests", "placebos"), "unknown refuter 'placebos'; did you mean 'placebo'?"),
        (("--tests", "negative_control_outcome"), "needs negative_outcome="),
        (("--negative-outcome", "Drugs"), "negative_outcome='Drugs' is no column of the data; did you mean 'Drug'?"),
        (("--reps", "1"), "reps must be at least 2"),
    ],
)
def test_refutations_that_make_no_sense(capsys, flags, message):
    assert message in refused(capsys, "refute", FORMULA, "--data", "heart", *flags)


def test_summaries_of_group_time_effects(capsys, tmp_path):
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"id": np.repeat(np.arange(40), 4), "t": np.tile([1, 2, 3, 4], 40), "y": rng.normal(size=160)})
    data["g"] = np.array([0, 3, 4])[data["id"] % 3]
    data.to_csv(tmp_path / "panel.csv", index=False)
    question = "y ~ did(g, t, unit = id)"
    flags = ["--data", str(tmp_path / "panel.csv"), "--aggregate", "dynamic", "--format", "json"]
    status, out, _ = run(capsys, "fit", question, *flags, "--option", "control_group=notyettreated")
    expected = cf.fit(question, data, control_group="notyettreated").aggregate("dynamic").tidy()
    assert status == 0
    assert [row["event"] for row in json.loads(out)["tidy"]] == expected["event"].tolist()
    assert [row["estimate"] for row in json.loads(out)["tidy"]] == pytest.approx(expected["estimate"].tolist())
    status, _, err = run(capsys, "fit", FORMULA, "--data", "heart", "--aggregate", "dynamic")
    assert status != 0 and "--aggregate is of group-time effects" in err
