"""R's way of writing numbers: ``format``, ``formatC``, ``format.pval``, ``signif``, ``round`` and ``print``.

Every function is pure: arrays in, strings (or rounded arrays) out. NaN stands for R's NA unless a function says
otherwise. The reference is R 4.2.2 at ``options(digits = 7, scipen = 0, width = 80)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from causalformula.numerics.arrays import Array
from causalformula.results.text.page import pad_left

EPS = float(np.finfo(float).eps)
STAR_LEGEND = "0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1"
_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."), (1.0, " "))
_DOUBLE_DIGITS = 15


# ---- rounding ----------------------------------------------------------------------------------------------------


def _exponent(r: float) -> int:
    """Return the decimal exponent of a positive number, without the rounding error of ``log10``."""
    return int(f"{r:.17e}".split("e")[1])


def _power_of_ten(n: int) -> float:
    """Return ``10**n`` (n >= 0) by repeated squaring; beyond 10^22 its last bit is part of R's rounding."""
    result, square = 1.0, 10.0
    while n:
        if n & 1:
            result *= square
        square *= square
        n >>= 1
    return result


def _round_one(x: float, digits: int) -> float:
    if not math.isfinite(x) or x == 0.0:
        return x
    if digits == 0:
        return float(np.rint(x))
    # More decimals than a double carries: nothing to round. The size is judged in powers of two.
    size = (math.frexp(x)[1] - 0.5) * math.log10(2)
    if digits + size > _DOUBLE_DIGITS or digits > 300:
        return x
    if digits < -300:
        return 0.0
    power = _power_of_ten(abs(digits))
    scaled = abs(x) * power if digits > 0 else abs(x) / power
    low, high = math.floor(scaled), math.ceil(scaled)
    below, above = (low / power, high / power) if digits > 0 else (low * power, high * power)
    # The nearer of the two representable candidates; a tie goes to the even last digit.
    to_below, to_above = abs(x) - below, above - abs(x)
    nearest = below if to_below < to_above or (to_below == to_above and low % 2 == 0) else above
    return math.copysign(nearest, x)


def r_round(x: ArrayLike, digits: int = 0) -> Array:
    """Round to ``digits`` decimals as R (4.0.0 and later) does: the closest representable candidate, ties to even.

    Parameters
    ----------
    x : array_like
        Numbers of any shape.
    digits : int
        Decimals; negative values round to tens, hundreds and so on.

    Returns
    -------
    numpy.ndarray
        The rounded numbers, in the shape of ``x``.
    """
    a = np.asarray(x, dtype=float)
    return np.array([_round_one(float(v), digits) for v in a.ravel()], dtype=float).reshape(a.shape)


def _signif_one(x: float, digits: int) -> float:
    if not math.isfinite(x) or x == 0.0:
        return x
    shift = digits - 1 - math.floor(math.log10(abs(x)))
    if shift > 300:
        return float(f"{x:.{digits - 1}e}")
    power = _power_of_ten(abs(shift))
    if shift > 0:
        return float(np.rint(x * power) / power)
    rounded = float(np.rint(x / power)) * power
    # Next to the largest double, rounding up has nowhere to go.
    return rounded if math.isfinite(rounded) else math.trunc(x / power) * power


def signif(x: ArrayLike, digits: int = 6) -> Array:
    """Round to ``digits`` significant digits (R's ``signif``)."""
    a = np.asarray(x, dtype=float)
    digits = max(1, digits)
    if digits > 22:
        return a.copy()
    return np.array([_signif_one(float(v), digits) for v in a.ravel()], dtype=float).reshape(a.shape)


def zapsmall(x: ArrayLike, digits: int = 7) -> Array:
    """Round so that numbers tiny beside the largest become zero (R's ``zapsmall``)."""
    a = np.asarray(x, dtype=float)
    known = a[~np.isnan(a)]
    largest = float(np.max(np.abs(known))) if known.size else 0.0
    if largest == 0.0:
        return r_round(a, digits)
    if math.isinf(largest):
        return r_round(a, 0)
    # round() takes a fractional number of decimals to the nearest whole one.
    return r_round(a, max(0, math.floor(digits - math.log10(largest) + 0.5)))


def quantile7(x: ArrayLike, probs: ArrayLike = (0.0, 0.25, 0.5, 0.75, 1.0)) -> Array:
    """Return sample quantiles of R's default type 7, with R's order of operations.

    Parameters
    ----------
    x : array_like
        The sample, without missing values.
    probs : array_like
        Probabilities in [0, 1].
    """
    sample = np.asarray(x, dtype=float).ravel()
    at = (sample.size - 1) * np.asarray(probs, dtype=float)
    low, high = np.floor(at).astype(int), np.ceil(at).astype(int)
    ordered = np.partition(sample, np.unique([low, high]))
    lower, upper = ordered[low], ordered[high]
    share = at - low
    # Equal neighbours are left alone: (1 - h) * a + h * a need not be a.
    between: Array = np.where((share > 0) & (lower != upper), (1 - share) * lower + share * upper, lower)
    return between


# ---- format ------------------------------------------------------------------------------------------------------


def _special(x: float, na: str = "NA") -> str:
    """Write the values that have no digits."""
    if math.isnan(x):
        return na
    return "Inf" if x > 0 else "-Inf"


def _fixed_left(r: float, power: int, exponent: int, digits: int) -> int:
    """Count the digits before the point in fixed notation.

    Rounding to ``digits`` significant digits may carry into a new power of ten (99996 is 1.000e+05 at four digits)
    where fixed notation, which never drops digits before the point, does not carry.
    """
    if exponent == power or exponent <= 0:
        return max(1, exponent + 1)
    whole = f"{r:.{max(0, digits - exponent)}f}".split(".")[0]
    return len(whole)


class _Layout:
    """The common notation of a vector: what fixed and scientific writing would need, and which one is shorter."""

    def __init__(self, finite: Sequence[float], digits: int):
        self.left = self.mantissa = self.exponent_width = 1
        self.right = 0
        negative = False
        for x in finite:
            self._take(x, digits)
            negative = negative or x < 0
        self.decimals = max(0, self.mantissa - 1)
        self.fixed_width = self.left + self.right + (self.right > 0)
        mantissa_width = self.mantissa + (self.mantissa > 1)
        self.scientific_width = negative + mantissa_width + 3 + self.exponent_width
        self.empty = not finite

    def width(self, fixed: bool) -> int:
        """Return the width reserved, which a sign and a long exponent on different elements may leave unfilled."""
        if self.empty:
            return 0
        return self.fixed_width if fixed else self.scientific_width

    def _take(self, x: float, digits: int) -> None:
        r = abs(x)
        mantissa, exponent_text = f"{r:.{digits - 1}e}".split("e")
        exponent = int(exponent_text)
        significant = max(1, len(mantissa.replace(".", "").rstrip("0")))
        power = _exponent(r) if r > 0 else 0
        self.left = max(self.left, (x < 0) + _fixed_left(r, power, exponent, digits))
        self.right = max(self.right, significant - exponent - 1)
        self.mantissa = max(self.mantissa, significant)
        self.exponent_width = max(self.exponent_width, 2 if abs(exponent) >= 100 else 1)


def format_num(
    x: ArrayLike,
    digits: int = 7,
    nsmall: int = 0,
    width: int = 0,
    *,
    scientific: bool | None = None,
    trim: bool = False,
    na: str = "NA",
) -> list[str]:
    """Write numbers in one common notation, as R's ``format`` does.

    The vector gets as many significant digits (``digits`` at most) as its neediest element asks for, fixed notation
    unless scientific is shorter, and a common width.

    Parameters
    ----------
    x : array_like
        Numbers of any shape (written in C order).
    digits : int
        Significant digits.
    nsmall : int
        The least number of decimals in fixed notation.
    width : int
        The least common width.
    scientific : bool, optional
        Force (True) or forbid (False) scientific notation.
    trim : bool
        Leave out the padding.
    na : str
        How NaN is written: R's NA, or ``"NaN"`` where R's arithmetic would have made one.
    """
    values = [float(v) + 0.0 for v in np.asarray(x, dtype=float).ravel()]
    finite = [v for v in values if math.isfinite(v)]
    layout = _Layout(finite, max(1, digits))
    fixed = layout.fixed_width <= layout.scientific_width if scientific is None else not scientific
    right = max(layout.right, nsmall)
    texts = []
    for v in values:
        if not math.isfinite(v):
            texts.append(_special(v, na))
        elif fixed:
            texts.append(f"{v:.{right}f}")
        else:
            texts.append(f"{v:.{layout.decimals}e}")
    return texts if trim else pad_left(texts, max(width, layout.width(fixed)))


def format_each(x: ArrayLike, digits: int = 7) -> list[str]:
    """Write each number by itself, as ``cat`` does (``paste`` and ``as.character`` use ``digits=15``)."""
    return [format_num([v], digits)[0] for v in np.asarray(x, dtype=float).ravel()]


def format_int(x: ArrayLike) -> list[str]:
    """Write counts at a common width; whole numbers never turn scientific (R's ``format`` of an integer vector)."""
    values = np.asarray(x, dtype=float).ravel()
    if all(v.is_integer() for v in map(float, values)):
        return pad_left([str(int(v)) for v in values])
    return format_num(values)


def format_c(
    x: float, digits: int | None = None, format: str = "g", width: int | None = None, flag: str = "", big_mark: str = ""
) -> str:
    """Write one number as C's ``printf`` would, the way R's ``formatC`` does.

    Parameters
    ----------
    x : float
        The number.
    digits : int, optional
        Significant digits for ``"g"``, decimals for ``"f"`` and ``"e"``; four significant digits if absent.
    format : {"g", "f", "e", "d"}
        The conversion.
    width : int, optional
        The field width. R pads to ``digits + 1`` when digits are given without a width, and so do we.
    flag : str
        C flags: ``"-"`` left-justifies, ``"0"`` pads with zeros, ``"#"`` keeps trailing zeros.
    big_mark : str
        What separates thousands.
    """
    if width is None:
        width = 0 if digits is None else digits + 1
    if not math.isfinite(x):
        text = _special(x, "NaN")
        return text.ljust(width) if "-" in flag else text.rjust(width)
    text = _c_text(x, digits, format, "#" in flag)
    if big_mark:
        text = _group_thousands(text, big_mark)
    if "-" in flag:
        return text.ljust(width)
    return text.zfill(width) if "0" in flag else text.rjust(width)


def _c_text(x: float, digits: int | None, format: str, keep_zeros: bool) -> str:
    if format == "d":
        return str(int(np.rint(x)))
    alternate = "#" if keep_zeros else ""
    precision = (4 if format == "g" else 6) if digits is None else digits
    return f"{x:{alternate}.{precision}{format}}"


def _group_thousands(text: str, mark: str) -> str:
    whole, point, rest = text.partition(".")
    if "e" in whole:
        return text
    return f"{int(whole):,}".replace(",", mark) + point + rest


# ---- p-values ----------------------------------------------------------------------------------------------------


def format_pval(pv: ArrayLike, digits: int = 7, eps: float = EPS, na_form: str = "NA") -> list[str]:
    """Write p-values as R's ``format.pval`` does: those below ``eps`` as ``<eps``, fixed and tiny ones apart.

    Parameters
    ----------
    pv : array_like
        The p-values; NaN is written ``na_form``.
    digits : int
        Significant digits.
    eps : float
        The smallest p-value worth its digits.
    na_form : str
        What stands for a missing value.
    """
    p = np.asarray(pv, dtype=float).ravel()
    known = ~np.isnan(p)
    tiny = known & (p < eps)
    texts = np.full(p.shape, na_form, dtype=object)
    # R writes those from 0.0001 up (0.001 at one digit) in one notation and the smaller ones in another.
    plain = known & ~tiny & ((p >= (1e-4 if digits > 1 else 1e-3)) | (p == 0))
    small = known & ~tiny & ~plain
    for group in (plain, small):
        if group.any():
            texts[group] = format_num(p[group], digits)
    if tiny.any():
        texts[tiny] = _below(eps, digits, [len(t) for t in texts[known & ~tiny]])
    return [str(t) for t in texts]


def _below(eps: float, digits: int, widths: Sequence[int]) -> str:
    """Write ``<eps`` with digits that fit the column of the other p-values, whose widths are given."""
    digits = max(1, digits - 2)
    gap = "" if digits == 1 else " "
    if widths:
        widest = max(widths)
        if digits > 1 and digits + 6 > widest:
            digits = max(1, widest - 7)
        gap = "" if digits == 1 and widest <= 6 else " "
    return f"<{gap}{format_num([eps], digits)[0]}"


def stars(p: ArrayLike) -> list[str]:
    """Return the significance mark of each p-value (``***`` up to 0.001, and so on); none for a missing one."""
    values = np.asarray(p, dtype=float).ravel()
    return [next((mark for cut, mark in _STARS if v <= cut), "") for v in values]


# ---- tables --------------------------------------------------------------------------------------------------------


def as_table(table: Any) -> Array:
    """Return ``table`` as a two-dimensional float array (one row a coefficient)."""
    return np.atleast_2d(np.asarray(table, dtype=float))
