"""``adjust_pvalues``: the p-values of several fits as one family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import CapabilityError, OptionError, choose
from causalformula.inference.multiplicity import METHODS, adjust
from causalformula.inference.multiplier import MULTIPLIERS, multiplier_statistics, step_down
from causalformula.inference.requests import Cluster
from causalformula.inference.resample import fresh_seed
from causalformula.numerics.least_squares import group_sums
from causalformula.results.call import Call

if TYPE_CHECKING:
    import pandas as pd

    from causalformula.results.model import Model
    from causalformula.results.result import Result

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
ALL_METHODS = (*METHODS, "romano_wolf")


def adjust_pvalues(
    fits: Sequence[Result | Model],
    method: str = "holm",
    *,
    reps: int = 9999,
    seed: int | None = None,
    weights: str = "rademacher",
) -> pd.DataFrame:
    """Adjust the p-values of every effect of several fits, taken as one family.

    Parameters
    ----------
    fits : sequence of Result or Model
        Several outcomes, subgroups or methods.
    method : {"holm", "bonferroni", "hochberg", "bh", "by", "romano_wolf"}
        ``romano_wolf`` steps down through the joint distribution of the t statistics, by a multiplier bootstrap on the
        fits' stacked influences: rows are aligned by the data's row labels, and whole clusters share a multiplier when
        a fit is clustered. It uses the dependence between the fits, where Holm allows for the worst.
    reps : int
        Replicates, for ``romano_wolf``.
    seed : int, optional
        For ``romano_wolf``; one is drawn where none is given, and is in ``.attrs["seed"]``.
    weights : {"rademacher", "webb", "mammen", "normal"}
        Multipliers.

    Returns
    -------
    DataFrame
        One row an effect: ``fit`` (its number), ``term, contrast, estimate, std.error, statistic, p.value,
        p.adjusted``.

    Raises
    ------
    CapabilityError
        ``romano_wolf`` for a fit without influence function, or with clusters in several ways.

    Notes
    -----
    R: ``p.adjust``, ``wildrwolf::rwolf``; Stata: ``rwolf2``.

    References
    ----------
    Holm (1979); Benjamini and Hochberg (1995); Romano and Wolf (2005, 2016).
    """
    fits = list(fits)
    if not fits:
        raise OptionError("adjust_pvalues needs at least one fit")
    if method not in ALL_METHODS:
        raise OptionError(f"unknown method {method!r}{choose(method, ALL_METHODS)}")
    table = _family(fits)
    if method == "romano_wolf":
        if weights not in MULTIPLIERS or int(reps) < 2:
            raise OptionError(f"weights must be one of {', '.join(MULTIPLIERS)}, and reps at least 2")
        seed = fresh_seed(seed)
        statistics = multiplier_statistics(_stacked(fits), reps, np.random.default_rng(seed), weights)
        table["p.adjusted"] = step_down(table["statistic"].to_numpy(dtype=float), statistics)
        table.attrs["seed"] = seed
    else:
        table["p.adjusted"] = adjust(table["p.value"].to_numpy(dtype=float), method)
    table.attrs["method"] = method
    return table


def _family(fits: Sequence[Result | Model]) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for k, fit in enumerate(fits):
        part = fit.tidy().drop(columns=["df", "conf.low", "conf.high"])
        part.insert(0, "fit", k + 1)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _stacked(fits: Sequence[Result | Model]) -> Array:
    """Influences of all effects (G, q), summed over clusters where a fit has some, rows aligned by their labels."""
    union: Any = _frame(fits[0]).index
    for fit in fits[1:]:
        union = union.union(_frame(fit).index, sort=False)
    psi = np.hstack([_spread(fit, union) for fit in fits])
    names = {request.by for request in (f.covariance.request for f in fits) if isinstance(request, Cluster)}
    if not names:
        return psi
    if len(names) > 1 or len(next(iter(names))) > 1:
        raise CapabilityError("method='romano_wolf' resamples one kind of unit; cluster all fits by the same column")
    codes = _codes(fits, next(iter(names))[0], union)
    return np.asarray(group_sums(psi, codes, int(codes.max()) + 1))


def _frame(fit: Result | Model) -> Any:
    return fit.call.frame if isinstance(fit.call, Call) else fit.frame  # type: ignore[union-attr]


def _spread(fit: Result | Model, union: Any) -> Array:
    """A fit's influences on the union of rows, as sums over rows over n (a common scale does not matter here)."""
    index = _frame(fit).index
    if not index.is_unique:
        raise CapabilityError("the data's row labels repeat, so rows of several fits cannot be aligned")
    psi = fit.influence()
    if len(psi) != len(index):
        raise CapabilityError("this fit's influence is on units, not rows, so it has no row labels to be aligned by")
    out = np.zeros((len(union), psi.shape[1]))
    out[union.get_indexer(index)] = psi / len(psi)
    return out


def _codes(fits: Sequence[Result | Model], name: str, union: Any) -> Codes:
    labels = np.empty(len(union), dtype=object)
    for fit in fits:
        groups = _frame(fit).groups(name)
        labels[union.get_indexer(_frame(fit).index)] = np.array(groups.levels, dtype=object)[groups.codes]
    return np.unique(labels.astype(str), return_inverse=True)[1].astype(np.intp)
