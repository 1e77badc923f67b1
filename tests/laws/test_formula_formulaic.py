"""formulaic reads most formulas as R does: there the matrices are the same. Where it does not is a list, known true."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from formulaic import Formula

import causalformula as cf
from causalformula.errors import DataError, FormulaError

N = 40
RNG = np.random.default_rng(11)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.uniform(0.5, 6, N),
        "z": RNG.uniform(1, 5, N),
        "k": RNG.integers(1, 4, N),
        "g": RNG.choice(["c", "a", "b"], N),
        "h": pd.Categorical(RNG.choice(["u", "v", "w"], N), ["w", "u", "v"]),
        "o": pd.Categorical(RNG.choice(["lo", "mid", "hi"], N), ["lo", "mid", "hi"], ordered=True),
        "b": RNG.random(N) > 0.5,
        "m": np.where(np.arange(N) % 9, RNG.uniform(1, 5, N), np.nan),
        "a b": RNG.normal(size=N),
        "I.H": RNG.uniform(1, 2, N),
    }
)

# R's text, and formulaic's where it is another.
AGREE: dict[str, str | None] = {
    **dict.fromkeys(
        [
            *["1", "x", "x + z", "0 + x", "x * z", "x + z + x:z", "g", "0 + g", "h + g", "0 + g + h", "0 + x + g"],
            *["b", "b * x", "x:g", "g + h + g:h", "g * h", "x * g", "g * x - g", "x + g:x", "g / x", "x / g", "g / h"],
            *["(g + h) / x", "g / (h + x)", "g / h / x", "`a b` + `I.H`", "log(x)", "log(`I.H`):z", "log2(x) + exp(z)"],
            *[
                "poly(x, 2)",
                "0 + poly(x, 3)",
                "poly(x, 2):g",
                "scale(x) + g",
                "bs(x, df = 5)",
                "bs(x, df = 5, degree = 2)",
            ],
            *[
                "C(k)",
                "0 + C(k) * x",
                "C(g, contr.sum) * x",
                "C(g, contr.helmert) + h",
                "0 + C(g, contr.poly)",
                "m + x",
            ],
        ]
    ),
    "(x + z + k + g)^3": "(x + z + k + g)**3",
    "factor(k)": "C(k)",
    "factor(g, levels = c('b', 'a', 'c'))": "C(g, levels=['b', 'a', 'c'])",
    "C(g, contr.sdif)": "C(g, contr.diff)",
    "C(o, contr.treatment)": "C(o, contr.treatment)",
    "I(x^2)": "I(x**2)",
    "I(-(x - z)^2 / 3):g": "I(-(x - z)**2 / 3):g",
    "I(x %% 2) + I(x %/% 2)": "I(x % 2) + I(x // 2)",
    "sqrt(x) + log1p(z) + ceiling(x)": "np.sqrt(x) + np.log1p(z) + np.ceil(x)",
    "scale(x, scale = FALSE)": "center(x)",
    "scale(x, center = FALSE)": "scale(x, center=False)",
    "poly(x, 2, raw = TRUE)": "poly(x, 2, raw=True)",
    "bs(x, knots = c(3, 4), Boundary.knots = c(0, 9))": "bs(x, knots=[3, 4], lower_bound=0, upper_bound=9)",
    "relevel(factor(g), ref = 'b')": "C(g, contr.treatment('b'))",
    "C(o, contr.poly, scores = c(1, 2, 4))": "C(o, contr.poly(scores=[1, 2, 4]))",
    "as.numeric(x > 3):g": "I(x > 3):g",
}
# What the other has no words for: it is left out of the translation that way.
ONE_WAY = {"C(o, contr.poly, scores = c(1, 2, 4))", "as.numeric(x > 3):g", "1"}
ONE_WAY |= {"relevel(factor(g), ref = 'b')"} | {text for text in AGREE if text.startswith("0")}

DIFFER = {
    "o": "o",
    "C(o)": "C(o)",
    "0 + b": "0 + b",
    "b:g": "b:g",
    "g:h": "g:h",
    "h + g:h": "h + g:h",
    "x:g + h:g": "x:g + h:g",
    "x %in% g": "x %in% g",
    "I(k^2)": "I(k^2)",
    "I(x > 3):g": "I(x > 3):g",
    "I(m > 3)": "I(m > 3)",
    "bs(x, df = 6, intercept = TRUE)": "bs(x, df=6, include_intercept=True)",
    "ns(x, 3)": "cr(x, 3)",
    "0 + relevel(factor(g), ref = 'b')": "0 + C(g, contr.treatment('b'))",
    "scale(m)": "scale(m)",
    "poly(m, 2)": "poly(m, 2)",
    "log(x, 2)": "log(x, 2)",
}


def ours(formula: str | Formula) -> np.ndarray:
    return cf.model_matrix(formula if isinstance(formula, Formula) else f"~ {formula}", DATA).to_numpy()


def theirs(formula: str | Formula) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        formula = formula if isinstance(formula, Formula) else Formula(formula)
        return formula.get_model_matrix(DATA).to_numpy(dtype=float)


@pytest.mark.parametrize("text", AGREE)
def test_the_same_columns_in_the_same_order(text: str) -> None:
    """By each library's own reading, and by what we make of its formula."""
    expected, other = ours(text), Formula(AGREE[text] or text)
    for found in (theirs(other), ours(other)):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("text", sorted(set(AGREE) - ONE_WAY))
def test_what_we_write_for_formulaic_is_what_we_meant(text: str) -> None:
    part = cf.parse(f"~ treat(y) + adjust({text})").to_formulaic()["adjust"]
    np.testing.assert_allclose(theirs(part), ours(text), rtol=0, atol=1e-9)


def answer(read, text: str) -> np.ndarray | None:
    try:
        return read(text)
    except Exception:  # whatever either raises: it has no matrix
        return None


@pytest.mark.parametrize("text", DIFFER)
def test_what_is_listed_as_different_is_different(text: str) -> None:
    a, b = answer(ours, text), answer(theirs, DIFFER[text])
    assert a is not None or b is not None
    assert a is None or b is None or a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=1e-8, equal_nan=True)


def test_the_list_is_the_one_in_the_vignette() -> None:
    page = (Path(__file__).resolve().parents[2] / "vignettes" / "departures.md").read_text(encoding="utf-8")
    section = page.partition("## formulaic reads differently")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(.+?)` \|", section, flags=re.MULTILINE) == list(DIFFER)


@pytest.mark.parametrize("text", ["x %in% g", "I(x > 3):g", "bs(x, df = 6, intercept = TRUE)", "ns(x, 3)", "log(x, 2)"])
def test_what_formulaic_would_read_otherwise_is_not_written(text: str) -> None:
    with pytest.raises(FormulaError, match="formulaic cannot say"):
        cf.parse(f"~ treat(y) + adjust({text})").to_formulaic()


@pytest.mark.parametrize("text", ["I(k^2)", "bs(x, df=6, include_intercept=True)", "cr(x, 3)", "log(x, 2)"])
def test_what_r_would_read_otherwise_is_not_taken(text: str) -> None:
    with pytest.raises(FormulaError):
        ours(Formula(text))


def test_factors_of_a_formula_object_are_coded_as_r_codes_them() -> None:
    """The terms are formulaic's; contrasts, and which factor is coded in full, are R's."""
    for text in ("o", "C(o)", "0 + b", "b:g", "g:h", "h + g:h", "x:g + h:g"):
        np.testing.assert_array_equal(ours(Formula(text)), ours(text))
    with pytest.raises(DataError, match="missing values"):
        ours(Formula("poly(m, 2)"))
