"""What a rule of whom to treat is worth: those of the highest priority up to a budget, or those beyond a cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.diagnostics.rankings import Ranking
from causalformula.diagnostics.regressed import Measured, mean_of, numbers, sample_weights
from causalformula.errors import OptionError, counted
from causalformula.numerics.arrays import Array, Codes

# A share of the weight that is one row's but for rounding is one row.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class PolicyValue:
    """The value of treating some, per head of the population, beside that of treating all.

    Parameters
    ----------
    share : float
        Of the population that is treated.
    gain : Measured
        Before costs.
    value : Measured
        Gain less cost, against treating nobody.
    everyone : Measured
        The same of treating all.
    better : Measured
        The value beyond that of treating all.
    """

    share: float
    gain: Measured
    value: Measured
    everyone: Measured
    better: Measured


def policy_value(
    scores: Array,
    priority: Array,
    *,
    share: float | None = None,
    cost: float | Array = 0.0,
    weights: Array | None = None,
    clusters: Codes | None = None,
) -> PolicyValue:
    r"""Value of treating the top share by priority, or those whose predicted effect exceeds the cost, per head.

    .. math:: V = \frac{\sum_i w_i d_i (\Gamma_i - c_i)}{\sum_i w_i}

    with ``d_i`` whether row i is treated.

    Parameters
    ----------
    scores : ndarray (n,)
        Doubly robust scores of one contrast.
    priority : ndarray (n,)
        From a model that was not learned on these rows; without ``share`` predicted effects, in the units of the cost.
    share : float, optional
        The budget in (0, 1]: this share is treated, part of those at the threshold; without it all whose predicted
        effect exceeds their cost.
    cost : float or ndarray (n,)
        Of treating one.
    weights : ndarray (n,), optional
        Sampling weights.
    clusters : ndarray (n,) of int, optional

    Returns
    -------
    PolicyValue

    Raises
    ------
    OptionError
        For a share beyond (0, 1], or of less than one row; for a logical cost.
    DataError
        For missing or infinite numbers, or those of another length.

    Notes
    -----
    The standard errors are those of a mean of influences (HC2, with clusters CR2),
    ``d (Gamma - c) - (d - q) mu``: the second term, under a budget, is the threshold's own sampling, with ``mu`` the
    mean of ``Gamma - c`` of those near it (within ``n^(-1/5) / 2`` of the share on either side).

    References
    ----------
    Athey, S. and Wager, S. (2021), Policy learning with observational data, Econometrica 89, 133-161.
    """
    if share is not None and not 0 < share <= 1:
        raise OptionError(f"share={share:g}: which share of the population is treated, above 0 and at most 1")
    if isinstance(cost, bool):
        raise OptionError(f"cost={cost}: what treating one costs, a number, or one for each row")
    ranking = Ranking.of(priority, weights, clusters)
    n = ranking.rows
    gains = numbers("the scores", scores, n)
    costs = numbers("the cost", np.full(n, cost) if np.ndim(cost) == 0 else np.asarray(cost), n)
    net = gains - costs
    w = sample_weights(weights, n)
    if share is not None and share * w.sum() < w[w > 0].min() * (1 - ROUNDING):
        least = 1.001 * w[w > 0].min() / w.sum()  # not less when it is rounded
        raise OptionError(f"share={share:g} treats less than one of {counted(n, 'row')}; the least is {least:.4g}")
    if share is None:
        d = (np.asarray(priority) > costs).astype(np.float64)
        off = np.zeros(n)
    else:
        d = ranking.treated(share)
        off = d - share

    def mean(each: Array, moved: Array | None = None) -> Measured:
        """Of what each row adds; ``moved`` is what the threshold moves, as a column of ``net`` or of gains."""
        pull = 0.0 if share is None or moved is None else _near(ranking, moved, w, float(share))
        return mean_of(each - off * pull, weights, clusters)

    return PolicyValue(
        share=float(w @ d / w.sum()),
        gain=mean(d * gains, gains),
        value=mean(d * net, net),
        everyone=mean(net),
        better=mean((d - 1) * net, net),
    )


def _near(ranking: Ranking, values: Array, w: Array, share: float) -> float:
    """The mean of values among those near the threshold of a share."""
    reach = len(ranking.order) ** -0.2 / 2
    inside = w * (ranking.treated(min(share + reach, 1.0)) - ranking.treated(max(share - reach, 0.0)))
    return float(inside @ values / inside.sum())
