"""``honest``: an event study's effect, when trends need not be parallel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import is_number, one_of
from causalformula.errors import OptionError, asks
from causalformula.inference.checks import check_seed, shown
from causalformula.inference.honest.intervals import METHODS, honest_limits, magnitude_bounds
from causalformula.inference.honest.restrictions import BOUNDS, DIRECTIONS, KINDS, PARALLEL, Restriction
from causalformula.inference.honest.study import EventStudy, as_numbers, event_study, target_weights
from causalformula.numerics.arrays import Array
from causalformula.results.honest.sensitivity import TrendSensitivity
from causalformula.words import HonestMethod, TrendBound, TrendDirection, TrendKind

if TYPE_CHECKING:
    from causalformula.numerics.arrays import HasArray

# Values of M where none are given.
DEFAULT_RELATIVE, DEFAULT_COUNT = (0.0, 0.5, 1.0, 1.5, 2.0), 5


@asks
def honest(
    betas: Sequence[float] | HasArray,
    sigma: Sequence[Sequence[float]] | HasArray,
    kind: TrendKind,
    *,
    num_pre: int,
    num_post: int,
    M: float | Sequence[float] | HasArray | None = None,
    l_vec: Sequence[float] | HasArray | None = None,
    alpha: float = 0.05,
    method: HonestMethod | None = None,
    direction: TrendDirection | None = None,
    bound: TrendBound | None = None,
    seed: int = 0,
) -> TrendSensitivity:
    """Confidence intervals for an effect after treatment when trends need not be parallel (Rambachan and Roth).

    An event study's coefficients are ``betas ~ N(tau + delta, sigma)``: effects ``tau``, zero before treatment, and
    ``delta``, by how much the trends of treated and untreated units depart from each other, zero in the reference
    period. The target is ``theta = l_vec' tau_post``, and its interval covers for every ``delta`` in a set:

    - ``"relative_magnitude"``: ``|delta_{t+1} - delta_t| <= M max_{s < 0} |delta_{s+1} - delta_s|`` for ``t >= 0``; or,
      with ``bound="deviation from linear trend"``, the same of second differences;
    - ``"smoothness"``: ``|(delta_{t+1} - delta_t) - (delta_t - delta_{t-1})| <= M`` for every ``t``. ``M = 0`` is a
      linear trend.

    ``direction`` adds to either that ``delta >= 0`` (``"positive"``) or ``delta <= 0`` (``"negative"``) after
    treatment, or that ``delta`` is ``"increasing"`` or ``"decreasing"`` over all periods.

    The fixed-length interval is ``v'betas -+ sd(v) cv(bias(v) / sd(v))`` for the weights ``v`` that make it shortest,
    where ``bias`` is the largest one over the set and ``cv(t)`` the ``1 - alpha`` quantile of ``|N(t, 1)|``. The others
    invert tests of ``A (betas - tau) <= d`` for ``{A delta <= d}``, with statistic
    ``eta = min_t max_i (y_i - X_i t) / se_i``: the conditional test of Andrews, Roth and Pakes, or its hybrid, which
    first rejects above a least favourable critical value at ``alpha / 10``. The union over the sets' polyhedra is
    reported, from its smallest value to its largest.

    Parameters
    ----------
    betas : sequence of float
        Coefficients in the order of time, those before treatment first, without the reference period.
    sigma : matrix
        Their covariance.
    kind : {"relative_magnitude", "smoothness"}
    num_pre : int
        How many coefficients are of periods before the reference.
    num_post : int
        How many are of periods after it.
    M : float or sequence of float, optional
        How large violations may be. By default 0, 0.5, 1, 1.5 and 2 for relative magnitudes; for smoothness five values
        from 0 to the upper bound that ``bounds()`` gives, or, with one coefficient before treatment, to its standard
        error.
    l_vec : sequence of float, optional
        Weights of the periods after treatment; the first alone by default.
    alpha : float
    method : {"FLCI", "C-LF", "conditional"}, optional
        ``"FLCI"``, for smoothness without a direction only, and there the default; ``"C-LF"`` elsewhere.
    direction : {"positive", "negative", "increasing", "decreasing"}, optional
        Of the violation.
    bound : {"deviation from parallel trends", "deviation from linear trend"}, optional
        Of relative magnitudes; the first by default.
    seed : int
        Of the simulated critical values of ``"C-LF"``.

    Returns
    -------
    TrendSensitivity
        Its ``to_frame()`` has one row a value of ``M``; ``breakdown()`` is the smallest whose interval contains 0.

    Raises
    ------
    OptionError
        For unknown words, and what does not go together.
    DataError
        For sizes that do not agree, and a ``sigma`` that is not positive definite.

    Notes
    -----
    R: ``HonestDiD::createSensitivityResults()`` and ``createSensitivityResults_relativeMagnitudes()`` (0.2.6). Limits
    here are sought beyond R's grid of 20 standard errors, and between its points. The tests' linear programmes are
    solved by the vertices of their dual; where these are too many (a direction, and a target of ten periods or more)
    HiGHS solves each, and an interval takes seconds to minutes.

    References
    ----------
    Rambachan, A. and Roth, J. (2023). A more credible approach to parallel trends. *Review of Economic Studies* 90,
    2555-2591.

    Andrews, I., Roth, J. and Pakes, A. (2023). Inference for linear conditional moment inequalities. *Review of
    Economic Studies* 90, 2763-2791.

    Examples
    --------
    >>> import causalformula as cf
    >>> found = cf.honest([0.1, 1.0], [[0.01, 0], [0, 0.01]], "relative_magnitude", num_pre=1, num_post=1, M=[0, 1])
    >>> found.to_frame().round(2)
         M  lower  upper method
    0  0.0   0.80   1.20   C-LF
    1  1.0   0.66   1.34   C-LF
    """
    study = event_study(betas, sigma, num_pre, num_post)
    restriction = _restriction(kind, bound, direction)
    how = _method(method, restriction)
    if not is_number(alpha) or not 0 < alpha < 1:
        raise OptionError(f"alpha must lie between 0 and 1, not {shown(alpha)}")
    if seed is None:
        raise OptionError("seed must be a whole number from 0, so that another call gives the same limits")
    check_seed(seed)
    target, values = target_weights(l_vec, study.num_post), _magnitudes(M, study, restriction, alpha)
    limits = [honest_limits(study, target, restriction, float(m), alpha, how, seed) for m in values]
    lower, upper = np.array(limits).T
    return TrendSensitivity(study, target, restriction, how, float(alpha), int(seed), values, lower, upper)


def _restriction(kind: Any, bound: Any, direction: Any) -> Restriction:
    one_of("kind", kind, KINDS)
    if bound is not None:
        one_of("bound", bound, BOUNDS)
        if kind == "smoothness":
            raise OptionError(
                "bound= is of kind='relative_magnitude'; smoothness always bounds the deviation from a linear trend"
            )
    if direction is not None:
        one_of("direction", direction, DIRECTIONS)
    return Restriction(kind, PARALLEL if bound is None else bound, direction)


def _method(method: Any, restriction: Restriction) -> str:
    """The method asked for, or the default of the restriction."""
    convex = restriction.kind == "smoothness" and restriction.direction is None
    if method is None:
        return "FLCI" if convex else "C-LF"
    one_of("method", method, METHODS)
    if method == "FLCI" and not convex:
        what = f"direction={restriction.direction!r}" if restriction.kind == "smoothness" else "relative magnitudes"
        raise OptionError(f"method='FLCI' makes no use of {what}: choose 'C-LF' or 'conditional'")
    return str(method)


def _magnitudes(M: Any, study: EventStudy, restriction: Restriction, alpha: float) -> Array:
    """Values of M, in increasing order and each once."""
    if M is None:
        if restriction.kind != "smoothness":
            return np.array(DEFAULT_RELATIVE)
        upper = magnitude_bounds(study, alpha)[1] if study.num_pre > 1 else float(np.sqrt(study.sigma[0, 0]))
        return np.linspace(0, upper, DEFAULT_COUNT)
    given = as_numbers(M)
    values = np.empty(0) if given is None else np.unique(given)
    if not len(values) or not np.isfinite(values).all() or values[0] < 0:
        raise OptionError(f"M={shown(M)}: give a number that is not negative, or several in a list")
    return values
