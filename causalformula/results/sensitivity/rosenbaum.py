"""Rosenbaum's bounds: ``cf.rosenbaum`` of two columns of outcomes, and the same of a matched fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.fit import DesignWeights, reuses
from causalformula.backends.options import one_of
from causalformula.errors import CapabilityError, DataError, asks, counted
from causalformula.inference.checks import shown
from causalformula.inference.honest.study import as_numbers
from causalformula.inference.sensitivity.rosenbaum import Discordant, SignedRank
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.results.designs.pairs import matched_rows, set_codes
from causalformula.results.effects.core import ResultCore
from causalformula.results.reading.reading import check_alpha
from causalformula.results.sensitivity.asked import factors, not_binary, not_the_effect
from causalformula.results.sensitivity.rosenbaum_page import RosenbaumBounds
from causalformula.words import Alternative

if TYPE_CHECKING:
    from causalformula.numerics.arrays import HasArray

GAMMAS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
ALTERNATIVES = ("two-sided", "greater", "less")
# Pairs below which the test's normal approximation is told.
FEW = 20
ADJUSTED = "the bounds are of the outcomes as they are: what the outcome model adjusts for has no part in them"


@asks
def rosenbaum(
    treated: Sequence[float] | HasArray,
    control: Sequence[float] | HasArray,
    gamma: float | Sequence[float] | HasArray | None = None,
    *,
    alpha: float = 0.05,
    alternative: Alternative | None = None,
) -> RosenbaumBounds:
    """Rosenbaum's bounds of what hidden bias does to matched pairs.

    In a pair of units alike in what was measured, hidden bias changes the odds that one rather than the other is the
    treated by at most the factor ``gamma``. The bounds are the largest and least p-value that this allows, and, for
    outcomes that are numbers, the largest and least Hodges-Lehmann estimate of a constant effect.

    Parameters
    ----------
    treated, control : sequence of float
        Outcomes of the treated and of the control unit of each pair, in the order of the pairs. Of outcomes that are 0
        and 1 the test is McNemar's, exact; of others it is Wilcoxon's signed-rank test, by the normal approximation.
    gamma : float or sequence of float, optional
        From 1; by default 1, 1.25, 1.5, 1.75, 2, 2.5 and 3.
    alpha : float
        The level at which evidence is lost; intervals are of ``1 - alpha``.
    alternative : {"greater", "less", "two-sided"}, optional
        The one-sided alternative on the side of the estimate where not given; two-sided p-values are twice the smaller.

    Returns
    -------
    RosenbaumBounds

    Raises
    ------
    DataError
        For outcomes that are missing, no numbers, or not as many of the one as of the other.
    OptionError
        For factors below 1.

    Notes
    -----
    R: ``rbounds::psens``, ``hlsens`` and ``binarysens`` (2.2). ``hlsens`` walks from ``wilcox.test``'s estimate, which
    leaves out pairs without a difference, in steps; here limits are exact, of all pairs. ``binarysens`` leaves the
    observed table out of its p-value, ``P(T > t)``; here it is ``P(T >= t)``.

    References
    ----------
    Rosenbaum, P. (2002). *Observational Studies*, 2nd edition, chapter 4.

    Examples
    --------
    >>> import causalformula as cf
    >>> found = cf.rosenbaum([5, 7, 6, 9, 8, 6, 7, 9], [3, 4, 6, 5, 7, 1, 5, 3], gamma=[1, 2])
    >>> found.tidy()[["gamma", "p.value.low", "p.value.high"]].round(4)
       gamma  p.value.low  p.value.high
    0    1.0       0.0089        0.0089
    1    2.0       0.0004        0.0468
    """
    one, zero = _outcomes("treated", treated), _outcomes("control", control)
    if len(one) != len(zero):
        raise DataError(f"there are {len(one)} treated and {len(zero)} control outcomes; a pair has one of each")
    return bounds(one, zero, "", gamma, alpha, alternative, ())


def of_pairs(
    result: ResultCore,
    *,
    gamma: float | Sequence[float] | HasArray | None = None,
    alpha: float = 0.05,
    alternative: Alternative | None = None,
) -> RosenbaumBounds:
    """The bounds of a matched fit's pairs; see ``rosenbaum``.

    Parameters
    ----------
    result : Result
    gamma, alpha, alternative : optional

    Returns
    -------
    RosenbaumBounds

    Raises
    ------
    CapabilityError
        For designs that are no pairs.
    """
    frame = result.call.frame
    made = result.fit.design
    one, zero = pairs(frame.the_treatment.codes == 1, made)
    notes = [] if frame.weights is None else ["sampling weights have no part in these bounds"]
    if any(role in frame.bodies for role in ("outcome", "modify")):
        notes.append(ADJUSTED)
    title = f" of {result.call.frame.the_treatment.name} on {result.endog_names}"
    return bounds(frame.y[one], frame.y[zero], title, gamma, alpha, alternative, tuple(notes))


def bounds(
    one: Array, zero: Array, title: str, gamma: Any, alpha: Any, alternative: Any, notes: tuple[str, ...]
) -> RosenbaumBounds:
    """The page of pairs of outcomes."""
    gammas = factors("gamma", gamma, GAMMAS)
    check_alpha(alpha)
    if alternative is not None:
        one_of("alternative", alternative, ALTERNATIVES)
    if not len(one):
        raise DataError("there are no pairs")
    statistic: SignedRank | Discordant
    if np.isin(np.append(one, zero), (0, 1)).all():
        statistic = Discordant(int((one > zero).sum()), int((zero > one).sum()))
        above = statistic.treated >= statistic.control
    else:
        statistic = SignedRank(one - zero)
        above = statistic.estimate(1.0, True) >= 0
    if isinstance(statistic, SignedRank) and statistic.used < FEW:
        notes = (*notes, f"the normal approximation is rough in {counted(statistic.used, 'pair')} that differ")
    side = alternative or ("greater" if above else "less")
    return RosenbaumBounds(title, statistic, len(one), gammas, float(alpha), side, alternative is None, notes)


def _outcomes(name: str, given: Any) -> Array:
    """Outcomes, logicals as 0 and 1."""
    found = as_numbers(given)
    if found is None and is_logical(given):
        found = np.asarray(given, dtype=float)
    if found is None or found.ndim != 1:
        raise DataError(f"{name} must be numbers, the outcome of one unit of each pair, not {shown(given)}")
    if not np.isfinite(found).all():
        rows = int((~np.isfinite(found)).sum())
        raise DataError(f"{name} has {counted(rows, 'missing or infinite value')}; leave out these pairs from both")
    return found


def is_logical(given: Any) -> bool:
    """Whether all of it is true or false."""
    try:
        return np.asarray(given).dtype.kind == "b"
    except ValueError:  # nested lists of several lengths
        return False


def pairs(treated: Bools, made: DesignWeights) -> tuple[Codes, Codes]:
    """Rows of the treated and of the control unit of each pair."""
    if reason := not_pairs(treated, made):
        raise CapabilityError(reason)
    rows = matched_rows(made)
    if rows is None:
        codes = set_codes(made)
        assert codes is not None
        inside = np.flatnonzero(codes >= 0)
        rows = inside[np.argsort(codes[inside], kind="stable")].reshape(-1, 2)
    first = treated[rows[:, 0]]
    return np.where(first, rows[:, 0], rows[:, 1]), np.where(first, rows[:, 1], rows[:, 0])


def not_pairs(treated: Bools, made: DesignWeights) -> str:
    """Why a design is none of pairs of two; empty where it is."""
    if made.pairs is None and (made.subclass is None or made.strata):
        return "it is of matched pairs: method='nearest' makes some"
    if reuses(made):
        return "controls are in several pairs, and the bounds need each in one; leave out replace=True"
    codes = set_codes(made)
    if made.pairs is not None:
        sizes = 1 + (made.pairs[:, 1:] >= 0).sum(axis=1)
        whole = bool((sizes[sizes > 1] == 2).all())
    else:
        assert codes is not None
        number, inside = int(codes.max(initial=-1)) + 1, codes >= 0
        arms = [np.bincount(codes[inside & each], minlength=number) for each in (treated, ~treated)]
        whole = all(bool((count == 1).all()) for count in arms)
    if whole:
        return ""
    return (
        "it is of pairs of one treated and one control, and here are larger sets; 'nearest' with ratio=1, or "
        "'cem' with k2k=True, makes pairs"
    )


def lacks_pairs(result: ResultCore) -> str:
    """Why a fit has no such bounds; empty where it has."""
    made = result.fit.design
    if made.pairs is None and made.subclass is None:
        return "it is of matched pairs: method='nearest' makes some"
    if reason := not_the_effect(result) or not_binary(result):
        return reason
    return not_pairs(result.call.frame.the_treatment.codes == 1, made)
