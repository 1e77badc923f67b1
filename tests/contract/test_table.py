"""``cf.table``: modelsummary's layout, checked cell by cell and against what it stands for."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

RULE = "+ p < 0.1, * p < 0.05, ** p < 0.01, *** p < 0.001"


@pytest.fixture(scope="module")
def heart():
    return cf.datasets.load("heart")


@pytest.fixture(scope="module")
def naive(heart):
    return cf.fit("Severity ~ treat(Drug)", heart)


@pytest.fixture(scope="module")
def adjusted(heart):
    return cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart)


class Stub:
    """Anything that reads as broom has it is a column."""

    def __init__(self, p=(0.0005, 0.005, 0.03, 0.07, 0.5), **glance):
        self.p, self.statistics = p, glance

    def tidy(self, level=0.95):
        n = len(self.p)
        return pd.DataFrame(
            {
                "term": [f"x{k}" for k in range(n)],
                "estimate": np.arange(n) + 0.5,
                "std.error": 0.25,
                "p.value": list(self.p),
                "conf.low": -level,
                "conf.high": level,
            }
        )

    def glance(self):
        return pd.DataFrame([self.statistics or {"nobs": 12}])


def cells(table, column="(1)"):
    """Cells of a column by term and statistic."""
    frame = table.to_frame()
    return dict(zip(zip(frame["term"], frame["statistic"], strict=True), frame[column], strict=True))


def test_text_is_laid_out_like_a_papers_table(naive, adjusted):
    table = cf.table({"Naive": naive, "Adjusted": adjusted}, glance=["nobs", "vcov"])
    assert str(table).splitlines() == [
        "-" * 33,
        "             Naive     Adjusted",
        "-" * 33,
        "Drug 1 - 0  3.471***    -9.888***",
        "           (0.800)      (0.353)",
        "-" * 33,
        "Num.Obs.     1000         1000",
        "Std.Errors    HC2    Classical",
        "-" * 33,
        RULE,
    ]


def test_stars_are_modelsummarys():
    found = cells(cf.table([Stub()]))
    assert [found[f"x{k}", "estimate"] for k in range(5)] == ["0.500***", "1.500**", "2.500*", "3.500+", "4.500"]


def test_a_cut_off_itself_has_no_star():
    assert cells(cf.table([Stub(p=(0.05, 0.001, np.nan))]))["x0", "estimate"] == "0.500+"
    assert cells(cf.table([Stub(p=(0.05, 0.001, np.nan))]))["x1", "estimate"] == "1.500**"
    assert cells(cf.table([Stub(p=(0.05, 0.001, np.nan))]))["x2", "estimate"] == "2.500"


def test_stars_of_ones_own_and_none():
    own = cf.table([Stub()], stars={"#": 0.04, "##": 0.01})
    assert cells(own)["x1", "estimate"] == "1.500##"
    assert cells(own)["x2", "estimate"] == "2.500#"
    assert own.legend == "# p < 0.04, ## p < 0.01"
    bare = cf.table([Stub()], stars=False)
    assert cells(bare)["x0", "estimate"] == "0.500"
    assert "p <" not in bare.as_text() + bare.as_markdown() + bare.as_html() + bare.as_latex()


def test_statistics_below_the_estimate(adjusted):
    assert cells(cf.table([adjusted], statistic="conf.int"))["Drug 1 - 0", "conf.int"] == "[-10.580, -9.195]"
    limits = adjusted.tidy(level=0.5)[["conf.low", "conf.high"]].iloc[0]
    half = cells(cf.table([adjusted], statistic="conf.int", level=0.5, digits=5))
    assert half["Drug 1 - 0", "conf.int"] == f"[{limits.iloc[0]:.5f}, {limits.iloc[1]:.5f}]"
    assert cells(cf.table([adjusted], statistic="p.value"))["Drug 1 - 0", "p.value"] == "(<0.001)"
    assert cells(cf.table([Stub()], statistic="p.value"))["x3", "p.value"] == "(0.070)"
    alone = cf.table([adjusted], statistic=None).to_frame()
    assert list(alone["statistic"])[:2] == ["estimate", ""]


def test_digits_are_decimals(adjusted):
    found = cells(cf.table([adjusted], digits=1))
    assert (found["Drug 1 - 0", "estimate"], found["Drug 1 - 0", "std.error"]) == ("-9.9***", "(0.4)")


def test_models_and_effects_share_a_line_by_name(heart, adjusted):
    model = cf.lm("Severity ~ Drug + I.H", heart)
    table = cf.table([adjusted, model], rename={"Drug 1 - 0": "Drug"})
    frame = table.to_frame()
    assert list(frame["term"][frame["statistic"] == "estimate"]) == ["(Intercept)", "Drug", "I.H"]
    assert cells(table, "(1)")["Drug", "estimate"] == cells(table, "(2)")["Drug", "estimate"] == "-9.888***"
    assert cells(table, "(1)")["I.H", "estimate"] == ""
    assert cells(table, "(2)")["R2", ""] == "0.856"
    assert cells(table, "(2)")["AIC", ""] == "5997.2"
    assert cells(table, "(2)")["Log.Lik.", ""] == "-2994.616"


def test_rename_by_a_function():
    assert ("X0", "estimate") in cells(cf.table([Stub()], rename=str.upper))


def test_two_rows_of_a_fit_cannot_share_a_line():
    with pytest.raises(cf.OptionError, match="two rows of \\(1\\) are called 'x'"):
        cf.table([Stub()], rename=lambda name: "x")


def test_a_new_row_stands_below_the_row_that_it_follows():
    class Fit(Stub):
        def __init__(self, terms):
            super().__init__(p=(0.5,) * len(terms))
            self.terms = terms

        def tidy(self, level=0.95):
            return super().tidy(level).assign(term=self.terms)

    table = cf.table([Fit(["(Intercept)", "x", "z"]), Fit(["(Intercept)", "x", "w", "z"]), Fit(["v"])], statistic=None)
    assert list(table.to_frame()["term"])[:5] == ["(Intercept)", "x", "w", "z", "v"]


def test_groups_are_part_of_the_name(heart):
    by = cf.fit("Severity ~ treat(Drug) + modify(I.H)", heart).by("I.H")
    terms = cf.table([by]).to_frame()["term"]
    assert terms[0].startswith("I.H=[") and terms[0].endswith("Drug 1 - 0")


def test_glance_rows_are_those_that_a_fit_has(naive, adjusted):
    default = cf.table([naive, adjusted]).to_frame().set_index("term")
    assert default.loc["R2", "(1)"] == "" and default.loc["R2", "(2)"] == "0.856"
    assert default.loc["Num.Obs.", "(1)"] == "1000"
    assert not len(cf.table([naive], glance=[]).to_frame().query("part == 'glance'"))
    assert "R2" not in set(cf.table([naive]).to_frame()["term"])
    with pytest.raises(cf.OptionError, match=r"no fit has 'r\.squred'; did you mean 'r\.squared'"):
        cf.table([adjusted], glance=["r.squred"])


def test_an_aliased_coefficient_is_na():
    class Aliased(Stub):
        def tidy(self, level=0.95):
            return super().tidy(level).assign(estimate=np.nan)

    found = cells(cf.table([Aliased(p=(np.nan,)), Stub(p=(0.5, 0.5))]))
    assert (found["x0", "estimate"], found["x0", "std.error"]) == ("NA", "")
    assert found["x1", "estimate"] == found["x1", "std.error"] == ""


def test_limits_and_errors_that_do_not_exist_are_na():
    class Undefined(Stub):
        def tidy(self, level=0.95):
            limits = {"std.error": np.nan, "p.value": np.nan, "conf.low": np.nan, "conf.high": np.inf}
            return super().tidy(level).assign(**limits)

    assert cells(cf.table([Undefined()], statistic="conf.int"))["x0", "conf.int"] == "[NA, Inf]"
    assert cells(cf.table([Undefined()]))["x0", "std.error"] == "(NA)"
    assert cells(cf.table([Undefined()], statistic="p.value"))["x0", "p.value"] == "(NA)"
    assert cells(cf.table([Undefined()]))["x0", "estimate"] == "0.500"


def test_small_numbers_keep_their_digits():
    class Small(Stub):
        def tidy(self, level=0.95):
            values = np.array([0.00012345, -0.00000002, 0.001, 0.0, 0.0009996])
            return super().tidy(level).assign(**{"estimate": values, "std.error": abs(values) / 4})

    found = cells(cf.table([Small(sigma=0.00004567, nobs=5)], stars=False, glance=["sigma"]))
    shown = [found[f"x{k}", "estimate"] for k in range(5)]
    assert shown == ["0.000123", "-2.00e-08", "0.001", "0.000", "0.00100"]
    assert found["x0", "std.error"] == "(3.09e-05)"
    assert found["Sigma", ""] == "4.57e-05"
    assert cells(cf.table([Small()], digits=5, stars=False))["x0", "estimate"] == "0.00012"


def test_digits_hold_for_the_statistics_of_the_fits_too(adjusted):
    exact = adjusted.glance().iloc[0]
    for digits in (1, 3, 6):
        found = cells(cf.table([adjusted], digits=digits))
        assert found["R2", ""] == f"{exact['r.squared']:.{digits}f}"
        assert found["AIC", ""] == f"{exact['AIC']:.{max(0, digits - 2)}f}"
        assert found["Num.Obs.", ""] == "1000"


def test_a_hypothesis_does_not_show_the_statistics_of_its_fit(adjusted):
    derived = adjusted.hypothesis("b1 = -10")
    assert "R2" not in set(cf.table([derived]).to_frame()["term"])
    frame = cf.table([adjusted, derived]).to_frame().set_index("term")
    assert (frame.loc["R2", "(1)"], frame.loc["R2", "(2)"]) == ("0.856", "")
    assert frame.loc["AIC", "(2)"] == ""
    assert frame.loc["Num.Obs.", "(2)"] == "1000"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cf.table([]), "there is no fit"),
        (lambda: cf.table(Stub()), "takes a list"),
        (lambda: cf.table([Stub()], names=["a", "b"]), "needs 1 name in a list"),
        (lambda: cf.table([Stub(), Stub()], names=["a", "a"]), "needs 2 different names"),
        (lambda: cf.table([Stub()], statistic="std.eror"), "did you mean 'std.error'"),
        (lambda: cf.table([Stub()], level=95), "level must lie between 0 and 1"),
    ],
)
def test_wrong_arguments_say_what_to_do(call, message):
    with pytest.raises(cf.OptionError, match=message):
        call()


# ---- the other forms ------------------------------------------------------------------------------------------------


def test_markdown_is_a_pipe_table(adjusted):
    lines = cf.table([adjusted], glance=["nobs"]).as_markdown().splitlines()
    assert lines[:3] == ["|  | (1) |", "| :-- | --: |", "| Drug 1 - 0 | -9.888\\*\\*\\* |"]
    assert lines[-1] == "\\" + RULE.replace("*", "\\*")  # a plus in front would begin a list
    assert len({line.count("|") for line in lines[:-2]}) == 1


class Rows(HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_html_has_the_same_cells(naive, adjusted):
    table = cf.table({"A & B": naive, "<i>": adjusted}, statistic="p.value")
    page = Rows()
    page.feed(table.as_html())
    assert not page.open
    frame = table.to_frame()
    assert page.rows[0] == ["", "A & B", "<i>"]
    assert [row[1:] for row in page.rows[1:]] == frame[["A & B", "<i>"]].to_numpy().tolist()
    assert table._repr_html_() == table.as_html()


def test_latex_has_three_rules_and_escapes(adjusted):
    text = cf.table({"50% & more": adjusted}, glance=["nobs", "vcov"]).as_latex()
    assert text.count("\\hline") == 4
    assert "50\\% \\& more" in text
    assert "Drug 1 - 0 & -9.888***" in text
    body = text[: text.index("\\end{tabular}")]
    assert all(line.endswith("\\\\") or line.startswith(("\\hline", "\\begin")) for line in body.strip().splitlines())
