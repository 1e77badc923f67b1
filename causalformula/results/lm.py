"""``lm`` and ``glm``: plain regressions by R's formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from causalformula.backends.options import is_number, shown, whole
from causalformula.errors import FormulaError, OptionError, asks, choose, warn
from causalformula.formula.language.from_formulaic import formula_text
from causalformula.formula.language.wrap import CUTOFF, INDENT, wrapped
from causalformula.formula.matrix.design import Contrasts
from causalformula.frame.regression_frame import RegressionFrame, bind_regression
from causalformula.frame.response import left_side, response
from causalformula.inference.absorbing import fit_absorbed
from causalformula.inference.absorbing_glm import fit_absorbed_glm
from causalformula.inference.generalised import fit_glm
from causalformula.inference.linear import fit_linear
from causalformula.inference.regression import FittedRegression
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import Vcov
from causalformula.inference.small_sample import SmallSample
from causalformula.numerics.arrays import Array
from causalformula.numerics.families import Family
from causalformula.numerics.families import family as read_family
from causalformula.results.elsewhere import collected, scanned, with_notes
from causalformula.results.families.elsewhere import ModelElsewhere
from causalformula.results.model import Model
from causalformula.results.models.core import model_covariance
from causalformula.results.models.formula import family_text
from causalformula.results.named import grouping_names
from causalformula.results.several import each, listed
from causalformula.scale.estimators.regression import plain
from causalformula.scale.passes import Passes
from causalformula.scale.plan import plan_regression
from causalformula.scale.whole import WholeRegression, whole_regression
from causalformula.words import FamilyName, NaAction

if TYPE_CHECKING:
    from formulaic import Formula

Env = Mapping[str, Callable[..., Any]]
# Ends a piece of text that goes on in the next one.
CONTINUES = "\0"


@asks
def lm(
    formula: str | Formula,
    data: Any,
    *,
    weights: str | None = None,
    offset: str | None = None,
    subset: Any = None,
    na_action: NaAction = "omit",
    contrasts: Contrasts | None = None,
    env: Env | None = None,
    vcov: Vcov | None = None,
    ssc: SmallSample | None = None,
    **refused: Any,
) -> Model:
    """Linear model by (weighted) least squares, R's ``lm``.

    Solves ``sum_i w_i x_i (y_i - o_i - x_i' b) = 0``.

    Parameters
    ----------
    formula : str or formulaic.Formula
        One of R's model formulas, ``"log(y) ~ x * f + offset(o)"``; ``.`` stands for all other columns. Fixed effects
        are absorbed behind a bar, ``"y ~ x | unit + year"``, or in ``fe(unit + year)``: ``a^b`` is one factor of two
        columns, ``a[x]`` gives each level of a a slope of x too, ``a[[x]]`` the slope alone. Rows that are alone in a
        level are left out, and counted in the print.
    data : data frame
        pandas, polars, pyarrow or any other frame that narwhals reads, or an Arrow stream; it is not changed. Or rows
        that are elsewhere: a path or glob of Parquet or CSV files, a DuckDB relation, and what else ``cf.scan`` takes.
    weights : str, optional
        Prior weights: a column or an expression of columns. Variances are inverse to them; rows of weight zero take no
        part.
    offset : str, optional
        Known part of the mean, added to the offsets in the formula.
    subset : str or boolean array, optional
        Rows to use.
    na_action : {"omit", "fail"}
        Drop rows with missing values and report them, or raise.
    contrasts : mapping or pair of str, optional
        Contrasts of factors, as R's ``contrasts``.
    env : mapping of str to callable, optional
        Functions that the formula may call beside the fixed table.
    vcov : str, request or matrix, optional
        Covariance of the coefficients: ``"classical"`` (the default), or any other that ``cf.fit`` takes.
    ssc : SmallSample, optional
        Its small-sample rules, as ``cf.ssc`` makes them; those of fixest where effects are absorbed.

    Returns
    -------
    Model
        Coefficients that the data do not determine are NaN, as R's NA. Of a formula that stands for several,
        ``c(y1, y2) ~ csw(x, z) | sw0(unit, unit + year)``, ``Fits``: a sequence of models.

    Raises
    ------
    FormulaError, DataError, OptionError
        Each says what failed, where, and what to do.

    Notes
    -----
    R 4.2.2: ``stats::lm``; with ``vcov``, ``lmtest::coeftest`` of ``sandwich``'s covariance. With absorbed effects
    ``fixest::feols`` 0.14.

    Examples
    --------
    >>> import causalformula as cf
    >>> model = cf.lm("Severity ~ Drug + I.H", cf.datasets.load("heart"))
    >>> round(model.coef["Drug"], 4)
    np.float64(-9.8877)
    """
    _refuse(refused, lm)
    if (formulas := listed(formula, env)) is not None:
        rest = {"subset": subset, "na_action": na_action, "contrasts": contrasts, "env": env, "vcov": vcov, "ssc": ssc}
        one = partial(lm, data=data, weights=weights, offset=offset, **rest)
        return cast(Model, each(formulas, one))
    given = {"weights": weights, "offset": offset, "subset": subset}
    rules = {"na_action": na_action, "contrasts": contrasts, "env": env}
    request = read_request("classical" if vcov is None else vcov, ssc)
    data, said, away = _found(formula, data, vcov, given, rules)
    if away is not None:
        return _elsewhere(away, _call("lm", away.text, given), request, None)
    frame = with_notes(_bind(formula, data, vcov, given, {**rules, "absorbs": True}), said)
    found = _least_squares(frame)
    if frame.effects:
        frame = frame.without_design()
    return _model(found, frame, _call("lm", frame.text, given), request)


def _least_squares(frame: RegressionFrame) -> FittedRegression:
    """The linear model of a frame; effects that it absorbs are taken from its design in place."""
    y, w, o = left_side(frame).numeric(), frame.weights, frame.offset
    if not frame.effects:
        return fit_linear(frame.X, y, frame.names, weights=w, offset=o, intercept=frame.intercept)
    effects, names = [one.effect() for one in frame.effects], [one.name for one in frame.effects]
    return fit_absorbed(frame.X, y, frame.names, effects, names, weights=w, offset=o, in_place=True)


@asks
def glm(
    formula: str | Formula,
    data: Any,
    *,
    family: FamilyName | str | Family = "gaussian",
    weights: str | None = None,
    offset: str | None = None,
    start: Any = None,
    epsilon: float = 1e-8,
    maxit: int = 25,
    subset: Any = None,
    na_action: NaAction = "omit",
    contrasts: Contrasts | None = None,
    env: Env | None = None,
    vcov: Vcov | None = None,
    ssc: SmallSample | None = None,
    **refused: Any,
) -> Model:
    """Generalised linear model by iteratively reweighted least squares, R's ``glm``.

    Solves ``sum_i w_i x_i (y_i - mu_i) (d mu_i / d eta_i) / V(mu_i) = 0`` with ``eta_i = x_i' b + o_i``, from R's
    starting values and with R's stopping rule.

    Parameters
    ----------
    formula : str or formulaic.Formula
        As for ``lm``. A binomial outcome is 0/1, logical, a factor or text (the first level is failure), a proportion
        with the number of trials as weights, or ``cbind(successes, failures)``. Beside absorbed effects, levels in
        which a poisson outcome is always 0, or a binomial one always 0 or always 1, are left out too, and counted:
        their effects are infinite.
    data : data frame
    family : str or Family
        ``"binomial"``, ``"binomial(link = 'probit')"``, ``"poisson"``, ``"quasipoisson"``, ...
    weights, offset, subset, na_action, contrasts, env, vcov, ssc
        As for ``lm``; the offset belongs to the linear predictor.
    start : array_like, optional
        Coefficients to start from; not beside absorbed effects.
    epsilon, maxit : float, int
        R's ``glm.control``. Beside absorbed effects the steps end where no coefficient moves by more than a share
        ``epsilon`` of it or of its standard error, 1e-10 at most.

    Returns
    -------
    Model
        ``Fits`` of a formula that stands for several, as of ``lm``.
        What R warns of (separation, no convergence) is a ``CausalFormulaWarning`` and stands in ``notes``.

    Raises
    ------
    FormulaError, DataError, OptionError, ConvergenceError
        Each says what failed, where, and what to do.

    Notes
    -----
    R 4.2.2: ``stats::glm``. With absorbed effects ``fixest::fepois`` and ``feglm`` 0.14.

    Examples
    --------
    >>> import causalformula as cf
    >>> heart = cf.datasets.load("heart")
    >>> model = cf.glm("Drug ~ I.H", heart, family="binomial")
    >>> model.converged
    True
    """
    _refuse(refused, glm)
    if not isinstance(family, (str, Family)):
        raise OptionError(f"family is named by text, such as 'binomial', not {shown(family)}")
    _check_control(epsilon, maxit)
    start = None if start is None else _start(start)
    found = read_family(family)
    if (formulas := listed(formula, env)) is not None:
        rest = {"subset": subset, "na_action": na_action, "contrasts": contrasts, "env": env, "vcov": vcov, "ssc": ssc}
        rest |= {"start": start, "epsilon": epsilon, "maxit": maxit}
        one = partial(glm, data=data, family=family, weights=weights, offset=offset, **rest)
        return cast(Model, each(formulas, one))
    given = {"weights": weights, "offset": offset, "subset": subset}
    rules: dict[str, Any] = {"na_action": na_action, "contrasts": contrasts, "env": env}
    request = read_request("classical" if vcov is None else vcov, ssc)
    data, said, away = _found(formula, data, vcov, given, rules)
    if away is not None:
        text = _call("glm", away.text, {"family": family_text(found), **given})
        return _elsewhere(away, text, request, found, epsilon=epsilon, maxit=maxit, start=start)
    frame = with_notes(_bind(formula, data, vcov, given, {**rules, "absorbs": True, "family": found}), said)
    fitted = _likeliest(frame, found, start, epsilon, maxit)
    return _model(fitted, frame, _call("glm", frame.text, {"family": family_text(found), **given}), request)


def _likeliest(
    frame: RegressionFrame, family: Family, start: Array | None, epsilon: float, maxit: int
) -> FittedRegression:
    """The generalised linear model of a frame, beside the effects that it absorbs."""
    answer = response(frame, family)
    control: dict[str, Any] = {"epsilon": epsilon, "maxit": maxit}
    if frame.effects:
        if start is not None:
            raise OptionError("start= is not of models with absorbed effects, whose own starting values are not given")
        effects, names = [one.effect() for one in frame.effects], [one.name for one in frame.effects]
        given = {"weights": answer.weights, "offset": frame.offset}
        return fit_absorbed_glm(frame.X, answer.y, frame.names, family, effects, names, **given, **control)
    return fit_glm(
        frame.X,
        answer.y,
        frame.names,
        family,
        weights=answer.weights,
        offset=frame.offset,
        intercept=frame.intercept,
        start=start,
        mustart=answer.mustart,
        **control,
    )


# Arguments of other packages, and what is written here.
HINTS = {
    **dict.fromkeys(("cluster", "clusters"), "clusters are of vcov=, as in vcov='~g'"),
    **dict.fromkeys(
        ("se", "se_type", "robust", "cov_type", "vcov_type", "cov_kwds"),
        "standard errors are asked for by vcov=, as in vcov='HC3' or vcov='~g'",
    ),
    **dict.fromkeys(("level", "alpha", "conf_level"), "the level is of the reading: model.tidy(level=0.9)"),
    "link": "the link belongs to the family: family=\"binomial(link = 'probit')\"",
    "control": "epsilon= and maxit= are arguments of their own",
}


def _refuse(given: Mapping[str, Any], verb: Callable[..., Any]) -> None:
    """An ``OptionError`` for arguments that there are not."""
    for name in given:
        if name in HINTS:
            raise OptionError(f"cf.{verb.__name__} has no argument {name!r}: {HINTS[name]}")
        known = [p.name for p in signature(verb).parameters.values() if p.kind is not p.VAR_KEYWORD]
        raise OptionError(f"cf.{verb.__name__} has no argument {name!r}{choose(name, known, 'it takes')}")


def _check_control(epsilon: float, maxit: int) -> None:
    if not is_number(epsilon) or epsilon <= 0:
        raise OptionError(f"epsilon is a number above 0, such as 1e-8, not {shown(epsilon)}")
    whole("maxit", maxit, "the greatest number of iterations", 10**6)


def _start(start: Any) -> Array:
    """Coefficients to start from."""
    try:
        values = np.asarray(start, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.empty((0, 0))
    if values.ndim != 1 or not np.isfinite(values).all():
        raise OptionError(f"start holds one number a coefficient, not {shown(start)}")
    return values


def _bind(
    formula: str | Formula, data: Any, vcov: Any, given: Mapping[str, Any], rules: Mapping[str, Any]
) -> RegressionFrame:
    """The frame; columns that the covariance names count as used."""
    extra = () if vcov is None else grouping_names(read_request(vcov))
    frame = bind_regression(formula, data, extra=extra, **given, **rules)
    if frame.outcome is None:
        raise FormulaError("no outcome: write it on the left of `~`", frame.text, (0, 1))
    return frame


def _found(
    formula: str | Formula, data: Any, vcov: Any, given: Mapping[str, Any], rules: Mapping[str, Any]
) -> tuple[Any, tuple[str, ...], WholeRegression | None]:
    """The data in memory and what is said of them, or the frame of rows that are elsewhere."""
    elsewhere = scanned(data)
    if elsewhere is None:
        return data, (), None
    found, said = collected(elsewhere)
    if found is not None:
        return found, said, None
    extra = () if vcov is None else grouping_names(read_request(vcov))
    text = formula_text(formula, ())
    frame = whole_regression(
        Passes(elsewhere.source, plan_regression(text, elsewhere.source, extra=extra, **given, **rules))
    )
    if frame.outcome is None:
        raise FormulaError("no outcome: write it on the left of `~`", frame.text, (0, 1))
    return None, (), frame


def _elsewhere(frame: WholeRegression, call: str, vcov: Any, family: Family | None, **passed: Any) -> Model:
    """The model of rows that are elsewhere."""
    fitted = plain(frame, family, **passed)
    for note in fitted.notes:
        warn(note)
    return ModelElsewhere(fitted, model_covariance(fitted, frame, vcov), frame, frame.replay, call, fitted.notes)


def _model(fitted: FittedRegression, frame: RegressionFrame, call: str, vcov: Any) -> Model:
    for note in fitted.notes:
        warn(note)
    return Model(fitted, model_covariance(fitted, frame, vcov), frame, frame.replay, call, fitted.notes)


def _call(name: str, formula: str, given: Mapping[str, Any]) -> str:
    """The call as it could be typed again, over several lines where R would break it."""
    shown = {k: v if isinstance(v, str) else "..." for k, v in given.items() if v is not None}
    pieces = [*_quoted_lines(formula), *(f"{k}={_quoted(v)}" for k, v in shown.items())]
    lines, last = [f"cf.{name}("], len(pieces) - 1
    for k, piece in enumerate(pieces):
        comma = "" if piece.endswith(CONTINUES) else ", " if k < last else ")"
        lines[-1] += piece.removesuffix(CONTINUES) + comma
        if k < last and (piece.endswith(CONTINUES) or len(lines[-1]) > CUTOFF):
            lines[-1] = lines[-1].rstrip()
            lines.append(INDENT)
    return "\n".join(lines)


def _quoted_lines(formula: str) -> list[str]:
    """A long formula as several texts, which Python joins."""
    lines = [line.strip() for line in wrapped(formula).split("\n")]
    return [_quoted(line + " ") + CONTINUES for line in lines[:-1]] + [_quoted(lines[-1])]


def _quoted(text: str) -> str:
    if text == "...":
        return text
    return f'"{text}"' if '"' not in text else repr(text)
