"""``adjust_pvalues``: the p-values of several fits as one family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import one_of
from causalformula.errors import CapabilityError, OptionError, asks
from causalformula.inference.checks import check_seed
from causalformula.inference.multiplicity import METHODS, adjust
from causalformula.inference.resampling.multiplier import multiplier_statistics, step_down, with_df
from causalformula.inference.resampling.resample import fresh_seed
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.least_squares import group_sums
from causalformula.results.effects.core import ResultCore
from causalformula.results.joint.bands import check_multipliers, check_units, joint_freedom
from causalformula.results.joint.member import Member, cluster_names
from causalformula.results.models.core import ModelCore
from causalformula.words import Adjustment, Multipliers

if TYPE_CHECKING:
    import pandas as pd


ALL_METHODS = (*METHODS, "romano_wolf")


@asks
def adjust_pvalues(
    fits: ResultCore | ModelCore | Sequence[ResultCore | ModelCore] | Mapping[str, ResultCore | ModelCore],
    method: Adjustment = "holm",
    *,
    reps: int = 9999,
    seed: int | None = None,
    weights: Multipliers = "normal",
) -> pd.DataFrame:
    """Adjust the p-values of every effect of several fits, taken as one family.

    Parameters
    ----------
    fits : Result or Model, or a sequence or mapping of them
        Several outcomes, subgroups or methods; of one fit, its own effects are the family.
    method : {"holm", "bonferroni", "hochberg", "bh", "by", "romano_wolf"}
        ``romano_wolf`` steps down through the joint distribution of the t statistics, by a multiplier bootstrap on the
        fits' stacked influences: rows are aligned by the data's row labels, and whole clusters share a multiplier when
        a fit is clustered; all are divided by one ``sqrt(chi2_df / df)``, with the fewest degrees of freedom of a fit,
        at most G - 1 with G clusters. It uses the dependence between the fits, where Holm allows for the worst. An
        adjusted p-value is never below its own.
    reps : int
        Replicates, for ``romano_wolf``.
    seed : int, optional
        For ``romano_wolf``; one is drawn where none is given, and is in ``.attrs["seed"]``.
    weights : {"normal", "rademacher", "webb", "mammen"}
        Multipliers; those that are not normal are for many units.

    Returns
    -------
    DataFrame
        One row an effect: ``fit`` (its number, or its name in a mapping), ``term, contrast, estimate, std.error,
        statistic, p.value, p.adjusted``.

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
    names, fits = _named(fits)
    one_of("method", method, ALL_METHODS)
    check_multipliers(weights, reps)
    check_seed(seed)
    table = _family(names, fits)
    if method == "romano_wolf":
        seed = fresh_seed(seed)
        table["p.adjusted"] = _romano_wolf(fits, table, reps, np.random.default_rng(seed), weights)
        table.attrs["seed"] = seed
    else:
        table["p.adjusted"] = adjust(table["p.value"].to_numpy(dtype=float), method)
    table.attrs["method"] = method
    return table


def _named(fits: Any) -> tuple[list[Any], list[ResultCore | ModelCore]]:
    """Names or numbers, and the fits; one fit alone is a family of its effects."""
    if isinstance(fits, (ResultCore, ModelCore)):
        fits = [fits]
    if not isinstance(fits, Iterable) or isinstance(fits, str):
        raise OptionError(f"adjust_pvalues takes fits of cf.fit, cf.lm or cf.glm, not a {type(fits).__name__}")
    names, found = (list(fits), list(fits.values())) if isinstance(fits, Mapping) else ([], list(fits))
    for fit in found:
        if not isinstance(fit, (ResultCore, ModelCore)):
            raise OptionError(f"fits are made by cf.fit, cf.lm or cf.glm; this is a {type(fit).__name__}")
    if not found:
        raise OptionError("adjust_pvalues needs at least one fit")
    return names or list(range(1, len(found) + 1)), found


def _romano_wolf(
    fits: Sequence[ResultCore | ModelCore], table: pd.DataFrame, reps: int, rng: np.random.Generator, weights: str
) -> Array:
    """Step-down p-values; NaN for a coefficient that the data do not determine."""
    psi = _stacked(fits)
    check_units(weights, len(psi))
    df = min(joint_freedom(Member.of(fit)) for fit in fits)
    statistics = with_df(multiplier_statistics(psi, reps, rng, weights), df, rng)
    known = table["estimate"].notna().to_numpy()
    out = np.full(len(table), np.nan)
    adjusted = step_down(table["statistic"].to_numpy(dtype=float)[known], statistics)
    out[known] = np.maximum(adjusted, table["p.value"].to_numpy(dtype=float)[known])
    return out


def _family(names: Sequence[Any], fits: Sequence[ResultCore | ModelCore]) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for name, fit in zip(names, fits, strict=True):
        part = fit.tidy().drop(columns=["df", "conf.low", "conf.high"])
        # a stack names its own fits
        own = part.pop("fit") if "fit" in part else None
        part.insert(0, "fit", name if own is None else own if len(fits) == 1 else [f"{name} {each}" for each in own])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _stacked(fits: Sequence[ResultCore | ModelCore]) -> Array:
    """Influences of all effects (G, q), summed over clusters where a fit has some, rows aligned by their labels."""
    union: Any = _frame(fits[0]).index
    for fit in fits[1:]:
        union = union.union(_frame(fit).index, sort=False)
    psi = np.hstack([_spread(fit, union) for fit in fits])
    names = {cluster_names(fit.covariance.request) for fit in fits} - {()}
    if not names:
        return psi
    if len(names) > 1 or len(next(iter(names))) > 1:
        raise CapabilityError("method='romano_wolf' resamples one kind of unit; cluster all fits by the same column")
    codes = _codes(fits, next(iter(names))[0], union)
    return np.asarray(group_sums(psi, codes, int(codes.max()) + 1))


def _frame(fit: ResultCore | ModelCore) -> Any:
    return fit.call.frame if isinstance(fit, ResultCore) else fit.frame  # type: ignore[union-attr]


def _spread(fit: ResultCore | ModelCore, union: Any) -> Array:
    """A fit's influences on the union of rows, as sums over rows over n (a common scale does not matter here)."""
    index = _frame(fit).index
    if not index.is_unique:
        raise CapabilityError("the data's row labels repeat, so rows of several fits cannot be aligned")
    psi, place = fit.influence(), index
    if len(psi) != len(index):
        # on units: each stands at its first row, and whoever has rows beside it is clustered
        place = index[Member.of(fit).estimate.evidence.first_rows]
    out = np.zeros((len(union), psi.shape[1]))
    out[union.get_indexer(place)] = psi / len(psi)
    return out


def _codes(fits: Sequence[ResultCore | ModelCore], name: str, union: Any) -> Codes:
    labels = np.empty(len(union), dtype=object)
    for fit in fits:
        groups = _frame(fit).groups(name)
        labels[union.get_indexer(_frame(fit).index)] = np.array(groups.levels, dtype=object)[groups.codes]
    return np.unique(labels.astype(str), return_inverse=True)[1].astype(np.intp)
