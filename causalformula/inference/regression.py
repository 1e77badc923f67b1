"""Fitted regressions as stages: one linear or generalised linear model, with everything that inference reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from causalformula.errors import CausalFormulaError, ConvergenceError
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence, influence_error
from causalformula.inference.stage import Hat, Stage
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.families import Family
from causalformula.numerics.families import family as read_family
from causalformula.numerics.irls import GLMFit, information, irls, newton, polish
from causalformula.numerics.least_squares import least_squares, replicates


@dataclass(frozen=True, eq=False)
class FittedRegression:
    """A fitted linear or generalised linear model.

    Parameters
    ----------
    names : tuple of str
        All columns of the design, aliased ones included.
    coef : ndarray (p,)
        NaN where aliased, as R's NA.
    kept : ndarray (r,) of int
        Estimable columns, in order.
    alias : ndarray (r, p - r)
        Each aliased column as a combination of the kept ones.
    X, y, weights, offset : ndarray
        What was fitted; ``weights`` are prior weights.
    family : Family
    mu, eta : ndarray (n,)
        Fitted values and linear predictor.
    hat : Hat
        Over the estimable columns.
    deviance, null_deviance, aic : float
    df_null : float
    iterations : int
        Fisher scoring iterations; 0 for least squares.
    converged, boundary : bool
    weighted, has_offset, intercept : bool
        What the caller gave.
    notes : tuple of str
        R's warnings.
    earlier : tuple of Stage
        Stages that were estimated before it (of its weights).
    cross : mapping of str to ndarray (r, p_earlier)
        Derivatives of its scores in their parameters.
    """

    names: tuple[str, ...]
    coef: Array
    kept: Codes
    alias: Array
    X: Array
    y: Array
    weights: Array
    offset: Array | None
    family: Family
    mu: Array
    eta: Array
    hat: Hat
    deviance: float
    null_deviance: float
    aic: float
    df_null: float
    iterations: int
    converged: bool
    boundary: bool
    weighted: bool
    intercept: bool
    linear: bool
    notes: tuple[str, ...] = ()
    earlier: tuple[Stage, ...] = ()
    cross: Mapping[str, Array] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        """Number of estimable coefficients."""
        return len(self.kept)

    @property
    def kept_names(self) -> tuple[str, ...]:
        """Names of the estimable coefficients."""
        return tuple(self.names[j] for j in self.kept)

    @property
    def theta(self) -> Array:
        """Estimable coefficients (r,)."""
        return self.coef[self.kept]

    def stage(self, name: str = "outcome") -> Stage:
        """The estimating equations: score ``w e x``, observed information."""
        return Stage(name, self.kept_names, self.theta, self.observed, cross=self.cross, hat=self.hat)

    def estimate(self) -> Estimate:
        """The estimable coefficients with their influence."""
        stage = self.stage()
        before = sum(s.size for s in self.earlier)
        jac = np.hstack([np.zeros((stage.size, before)), np.eye(stage.size)])
        return Estimate(stage.names, stage.theta, Influence((*self.earlier, stage), jac, len(self.y)))

    @cached_property
    def observed(self) -> Array:
        """Observed information (r, r), on the scale of the score ``w e x`` (without the dispersion)."""
        if self.linear or self.family.canonical:
            return np.asarray(np.linalg.inv(self.hat.bread))
        return information(self.hat.X, self.family, self.y, self.mu, self.eta, self.weights, kind="observed")

    def estimable(self, combination: Array) -> Bools:
        """Whether each row of ``combination`` (q, p) is identified despite the aliased columns."""
        return np.asarray(self.determined(combination).all(axis=1))

    def determined(self, combination: Array) -> Bools:
        """Whether each aliased column leaves each row of ``combination`` (q, p) determined, (q, p - r)."""
        dropped = np.setdiff1d(np.arange(len(self.names)), self.kept)
        if not len(dropped):
            return np.ones((len(combination), 0), dtype=bool)
        kept, asked = combination[:, self.kept], combination[:, dropped]
        # what rounding may leave, in the units of each aliased column
        ratio = np.outer(1 / self.lengths[self.kept], self.lengths[dropped])
        scale = np.abs(kept) @ (np.abs(self.alias) + ratio) + np.abs(asked)
        return np.asarray(np.abs(asked - kept @ self.alias) <= 1e-6 * scale)

    @cached_property
    def lengths(self) -> Array:
        """Norms of the columns over the rows that take part (p,)."""
        return np.sqrt(self.weights @ self.X**2)


def fit_linear(
    X: Array,
    y: Array,
    names: Sequence[str],
    *,
    weights: Array | None = None,
    offset: Array | None = None,
    intercept: bool = True,
) -> FittedRegression:
    """Least squares, R's ``lm``.

    Parameters
    ----------
    X : ndarray (n, p)
    y : ndarray (n,)
    weights : ndarray (n,), optional
        Prior weights; rows of weight zero take no part.
    """
    w = np.ones(len(y)) if weights is None else weights
    fit = least_squares(X, y, weights, offset)
    design = X if fit.rank == X.shape[1] else X[:, fit.kept]
    e = fit.residuals
    mu = y - e
    nobs = len(y) if weights is None else int((w > 0).sum())
    rss = float(np.dot(w * e, e))
    df = nobs - fit.rank
    dispersion = rss / df if df > 0 else np.nan
    hat = Hat(design, w, e, fit.bread, dispersion, float(df), True, nobs)
    centre = _centre(y, w, offset, intercept)
    return FittedRegression(
        names=tuple(names),
        coef=fit.coef,
        kept=fit.kept,
        alias=fit.alias,
        X=X,
        y=y,
        weights=w,
        offset=offset,
        family=read_family("gaussian"),
        mu=mu,
        eta=mu,
        hat=hat,
        deviance=rss,
        null_deviance=float(np.dot(w, (y - centre) ** 2)),
        aic=np.nan,
        df_null=float(nobs - int(intercept)),
        iterations=0,
        converged=True,
        boundary=False,
        weighted=weights is not None,
        intercept=intercept,
        linear=True,
    )


def _centre(y: Array, w: Array, offset: Array | None, intercept: bool) -> float | Array:
    """Fitted values of the null model."""
    if not intercept:
        return 0.0 if offset is None else offset
    if offset is None:
        return float(np.dot(w, y) / w.sum())
    return np.asarray(offset + np.dot(w, y - offset) / w.sum())


def fit_glm(
    X: Array,
    y: Array,
    names: Sequence[str],
    family: Family,
    *,
    weights: Array | None = None,
    offset: Array | None = None,
    intercept: bool = True,
    epsilon: float = 1e-8,
    maxit: int = 25,
    to_zero: bool = False,
    start: Array | None = None,
    mustart: Array | None = None,
) -> FittedRegression:
    """A generalised linear model by R's IRLS, R's ``glm``.

    Parameters
    ----------
    to_zero : bool
        Polish the solution by Newton's method until the score vanishes, as a stage of an estimator needs; R stops at a
        relative change of the deviance below ``epsilon``.
    start, mustart : ndarray, optional
        Coefficients (p,) or means (n,) to start from instead of the family's own.
    """
    scoring = partial(irls, X, y, family, weights, offset, epsilon=epsilon, maxit=maxit, intercept=intercept)
    if to_zero:
        inner = _inner(family, y, weights) if start is None and mustart is None else None
        if family.name in ("binomial", "quasibinomial"):
            mustart, inner = (mustart if inner is None else inner), None
        fit = _to_zero(partial(polish, X, y, family, weights, offset), scoring, start, mustart, inner)
    else:
        fit = scoring(start=start, mustart=mustart)
    return _from_glm(fit, X, y, tuple(names), family, weights, offset, intercept)


def _to_zero(
    polished: Callable[[GLMFit], GLMFit],
    scoring: Callable[..., GLMFit],
    start: Array | None,
    mustart: Array | None,
    inner: Array | None,
) -> GLMFit:
    """A polished fit; from ``inner`` means where R's own start diverges, as that of a quasi family may."""
    fit, failure = None, None
    try:
        fit = polished(scoring(start=start, mustart=mustart))
        if fit.converged and not fit.separated:
            return fit
    except ConvergenceError as error:
        failure = error
    if inner is not None:
        try:
            again = polished(scoring(mustart=inner))
        except ConvergenceError:
            again = None
        if again is not None and again.converged and not again.separated:
            return again
    if fit is None:
        assert failure is not None
        raise failure
    return fit


def _inner(family: Family, y: Array, weights: Array | None) -> Array | None:
    """Means inside the family's range to start from, where they are not the family's own.

    R starts a binomial fit at ``(w y + 1/2) / (w + 1)``, the data themselves where weights are in the thousands, as
    those of surveys are: nothing leads back from there. The unit of the weights must not matter, so they are taken at
    mean one, where R's start is a good one.
    """
    share = family.name in ("binomial", "quasibinomial") and weights is not None
    if not share and family.name != "quasi":
        return None
    w = np.ones(len(y)) if weights is None else weights / weights[weights > 0].mean()
    if share or family.variance_name == "mu(1-mu)":
        return np.asarray((w * y + 0.5) / (w + 1))
    return np.asarray(y + 0.1) if family.variance_name == "mu" else None


def _target(family: Family, mu: Array, prior: Array) -> Array:
    """Variance of each response under the model, without the dispersion; one for a row that takes no part."""
    return np.asarray(family.variance(mu) / np.where(prior > 0, prior, 1.0))


def _from_glm(
    fit: GLMFit,
    X: Array,
    y: Array,
    names: tuple[str, ...],
    family: Family,
    weights: Array | None,
    offset: Array | None,
    intercept: bool,
) -> FittedRegression:
    prior = np.ones(len(y)) if weights is None else weights
    design = X if len(fit.kept) == X.shape[1] else X[:, fit.kept]
    nobs = int((prior > 0).sum())
    df = nobs - len(fit.kept)
    w, e = fit.working_weights, fit.working_residuals
    dispersion = 1.0
    if not family.dispersion_known:
        used = w > 0
        dispersion = float(np.dot(w[used], e[used] ** 2) / df) if df > 0 else np.nan
    hat = Hat(design, w, e, fit.bread, dispersion, float(df), False, nobs, target=_target(family, fit.mu, prior))
    return FittedRegression(
        names=names,
        coef=fit.coef,
        kept=fit.kept,
        alias=fit.alias,
        X=X,
        y=y,
        weights=prior,
        offset=offset,
        family=family,
        mu=fit.mu,
        eta=fit.eta,
        hat=hat,
        deviance=fit.deviance,
        null_deviance=fit.null_deviance,
        aic=fit.aic,
        df_null=float(nobs - int(intercept)),
        iterations=fit.iterations,
        converged=fit.converged,
        boundary=fit.boundary,
        weighted=weights is not None,
        intercept=intercept,
        linear=False,
        notes=fit.warnings,
    )


def refits(model: FittedRegression, W: Array) -> Array:
    """Estimable coefficients (R, r) of the model refitted under frequency weights (R, n); NaN rows where that fails.

    Least squares solves all replicates at once; a generalised linear model takes Newton steps from its own solution.
    """
    weights = W * model.weights if model.weighted else W
    if model.linear:
        return replicates(model.hat.X, model.y, weights, model.offset)
    out = np.full((len(W), model.rank), np.nan)
    for k, w in enumerate(weights):
        try:
            fit = newton(model.hat.X, model.y, model.family, w, model.offset, model.theta)
        except (CausalFormulaError, np.linalg.LinAlgError):
            continue
        if fit.converged and not fit.separated:
            out[k] = fit.coef
    return out


def studentized(model: FittedRegression, clusters: Codes | None, W: Array) -> Array:
    """Coefficients of the refits and, beside them, their standard errors (R, 2r); NaN rows where a refit fails.

    Each standard error is that of the refit's own influence, a row (or cluster) drawn c times counting as c.
    """
    out = np.full((len(W), 2 * model.rank), np.nan)
    for k, w in enumerate(W):
        found = _refitted(model, w)
        if found is None or found.rank < model.rank:
            continue
        error = influence_error(found.estimate().evidence, w, clusters)
        if (error > 0).all():
            out[k] = np.concatenate([found.theta, error])
    return out


def _refitted(model: FittedRegression, counts: Array) -> FittedRegression | None:
    """The model under frequency weights; None where that fails."""
    X, weights = model.hat.X, counts * model.weights if model.weighted else counts
    try:
        if model.linear:
            return fit_linear(X, model.y, model.kept_names, weights=weights, offset=model.offset)
        fit = newton(X, model.y, model.family, weights, model.offset, model.theta)
    except (CausalFormulaError, np.linalg.LinAlgError):
        return None
    if not fit.converged or fit.separated:
        return None
    return _from_glm(fit, X, model.y, model.kept_names, model.family, weights, model.offset, True)
