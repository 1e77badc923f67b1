"""R's functions of numbers, element by element: roots and logarithms, trigonometry, gamma, normal and logistic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from causalformula.errors import FormulaError
from causalformula.formula.expressions.operators import floats, like, truth, vector
from causalformula.formula.expressions.signature import Function, flag, scalar, whole
from causalformula.formula.expressions.times import Times
from causalformula.formula.expressions.values import Factor, Logical, Matrix, Strings, Value, kind
from causalformula.numerics.arrays import Array


def _elementwise(name: str, function: Callable[[Any], Any]) -> Function:
    def run(x: Value) -> Value:
        return like(function(floats(x, f"{name}()")), x)

    return Function(name, ("x",), run)


def _log(x: Value, base: Value = None) -> Value:
    out = np.log(floats(x, "log()"))
    return like(out if base is None else out / np.log(scalar(base, "base")), x)


def _round(x: Value, digits: Any = 0) -> Value:
    """R 4's rule: the nearer of the two decimals on either side of x, the even one on a tie."""
    values, places = floats(x, "round()"), whole(digits, "digits")
    if places == 0:
        return like(np.round(values), x)
    unit = 10.0 ** min(abs(places), 300)
    scaled = values * unit if places > 0 else values / unit
    low, high = (f(scaled) / unit if places > 0 else f(scaled) * unit for f in (np.floor, np.ceil))
    below, above = values - low, high - values
    even = np.mod(np.floor(scaled), 2) == 0
    out = np.where((below < above) | ((below == above) & even), low, high)
    return like(np.where(np.isfinite(values), out, values), x)


def _special(name: str) -> Callable[..., Any]:
    """A function of scipy, which is loaded when it is first called."""

    def run(*arrays: Array) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(*arrays)

    return run


def _gamma(x: Array) -> Array:
    """Not defined at zero and the negative whole numbers."""
    out: Array = np.where((x <= 0) & (x == np.floor(x)), np.nan, _special("gamma")(x))
    return out


def _factorial(x: Array) -> Array:
    return np.asarray(np.where(x < 0, np.nan, np.where(x == np.round(x), np.round(_gamma(x + 1)), _gamma(x + 1))))


def _two(name: str, function: Callable[..., Any], a: Value, b: Value) -> Value:
    return np.asarray(function(*np.broadcast_arrays(vector(a, f"{name}()"), vector(b, f"{name}()"))))


def _choose(n: Array, k: Array) -> Array:
    """Binomial coefficients of any real n; k is rounded to a whole number."""
    whole_k = np.round(k)
    out = np.where(whole_k < 0, 0.0, np.where(whole_k == 0, 1.0, np.nan))
    for size in np.unique(whole_k[whole_k > 0]):
        rows = whole_k == size
        steps = np.arange(size) if size < 30 else None
        x = n[rows]
        if steps is not None:
            out[rows] = np.prod((x[:, None] - steps) / (steps + 1), axis=1)
        else:
            out[rows] = _special("binom")(x, size)
    exact = (n == np.round(n)) & np.isfinite(out)
    return np.asarray(np.where(exact, np.round(out), np.where(np.isnan(n) | np.isnan(k), np.nan, out)))


def _xor(x: Value, y: Value) -> Value:
    a, b = np.broadcast_arrays(truth(x, "xor()"), truth(y, "xor()"))
    return Logical.of(a != b, (a < 0) | (b < 0))


def _test(name: str, function: Callable[[Any], Any]) -> Function:
    """``is.finite`` and its like: never missing, and false of what is no number."""

    def run(x: Value) -> Value:
        if isinstance(x, Matrix):
            raise FormulaError(f"{name}() of a matrix is not one column")
        if isinstance(x, Logical | Factor | Strings):
            there = x.codes >= 0
            return Logical.of(there & (name == "is.finite" and not isinstance(x, Strings)))
        if not isinstance(x, np.ndarray | Times):
            raise FormulaError(f"{name}() needs a column, and this is {kind(x)}")
        return Logical.of(function(floats(x, f"{name}()")))

    return Function(name, ("x",), run)


def _pnorm(q: Value, mean: Value = None, sd: Value = None, lower_tail: Any = True) -> Value:
    z = _standard(q, mean, sd, "pnorm()")
    out: Array = _special("ndtr")(z if flag(lower_tail, "lower.tail") else -z)
    return out


def _dnorm(x: Value, mean: Value = None, sd: Value = None) -> Value:
    z = _standard(x, mean, sd, "dnorm()")
    return np.asarray(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) / _or(sd, 1.0, "dnorm()"))


def _qnorm(p: Value, mean: Value = None, sd: Value = None, lower_tail: Any = True) -> Value:
    z = _special("ndtri")(vector(p, "qnorm()"))
    side = 1.0 if flag(lower_tail, "lower.tail") else -1.0
    return np.asarray(_or(mean, 0.0, "qnorm()") + side * z * _or(sd, 1.0, "qnorm()"))


def _plogis(q: Value, location: Value = None, scale: Value = None, lower_tail: Any = True) -> Value:
    z = _standard(q, location, scale, "plogis()")
    out: Array = _special("expit")(z if flag(lower_tail, "lower.tail") else -z)
    return out


def _qlogis(p: Value, location: Value = None, scale: Value = None, lower_tail: Any = True) -> Value:
    z = _special("logit")(vector(p, "qlogis()"))
    side = 1.0 if flag(lower_tail, "lower.tail") else -1.0
    return np.asarray(_or(location, 0.0, "qlogis()") + side * z * _or(scale, 1.0, "qlogis()"))


def _standard(x: Value, center: Value, scale: Value, what: str) -> Array:
    return np.asarray((vector(x, what) - _or(center, 0.0, what)) / _or(scale, 1.0, what))


def _or(value: Value, default: float, what: str) -> Array:
    return np.array([default]) if value is None else vector(value, what)


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "exp": np.exp, "expm1": np.expm1, "sqrt": np.sqrt,
    "abs": np.abs, "sign": np.sign, "floor": np.floor, "ceiling": np.ceil, "trunc": np.trunc,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "gamma": _gamma, "lgamma": _special("gammaln"), "digamma": _special("digamma"),
    "factorial": _factorial,
}  # fmt: skip

MATHEMATICS = (
    *(_elementwise(name, function) for name, function in _PLAIN.items()),
    Function("log", ("x", "base"), _log),
    Function("round", ("x", "digits"), _round),
    Function("atan2", ("y", "x"), lambda y, x: _two("atan2", np.arctan2, y, x)),
    Function("beta", ("a", "b"), lambda a, b: _two("beta", _special("beta"), a, b)),
    Function("lbeta", ("a", "b"), lambda a, b: _two("lbeta", _special("betaln"), a, b)),
    Function("choose", ("n", "k"), lambda n, k: _two("choose", _choose, n, k)),
    Function("xor", ("x", "y"), _xor),
    _test("is.finite", np.isfinite),
    _test("is.infinite", np.isinf),
    _test("is.nan", np.isnan),
    Function("pnorm", ("q", "mean", "sd", "lower.tail"), _pnorm),
    Function("dnorm", ("x", "mean", "sd"), _dnorm),
    Function("qnorm", ("p", "mean", "sd", "lower.tail"), _qnorm),
    Function("plogis", ("q", "location", "scale", "lower.tail"), _plogis),
    Function("qlogis", ("p", "location", "scale", "lower.tail"), _qlogis),
)
