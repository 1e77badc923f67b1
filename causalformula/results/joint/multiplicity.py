"""``adjust_pvalues``: the p-values of several fits as one family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.options import one_of
from causalformula.errors import CapabilityError, OptionError, asks
from causalformula.inference.checks import check_seed
from causalformula.inference.multiplicity import METHODS, adjust
from causalformula.inference.resampling.multiplier import multiplier_statistics, step_down, with_df
from causalformula.inference.resampling.resample import fresh_seed
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.least_squares import group_sums
from causalformula.results.effects.core import ResultCore
from causalformula.results.joint.bands import check_multipliers, check_units, joint_freedom
from causalformula.results.joint.member import Member, cluster_names
from causalformula.results.models.core import ModelCore
from causalformula.words import Adjustment, Multipliers

if TYPE_CHECKING:
    import pandas as pd


ALL_METHODS = (*METHODS, "romano_wolf")


@dataclass(frozen=True, eq=False)
class Influences:
    """The influences of a fit's effects, as a family of fits is resampled: those of many fits take little room.

    Parameters
    ----------
    index : pandas Index (n,)
        What the rows are called, in all fits alike.
    psi : ndarray (m, q)
        Influences over m (a common scale does not matter here), and ``place`` (m,) the rows where they stand.
    df : float
        Degrees of freedom that the effects share.
    clusters : tuple of str
        What the fit is clustered by.
    labels : mapping of str to ndarray (n,)
        Clusters of the rows, of every name in the family.
    """

    index: Any
    psi: Array
    place: Any
    df: float
    clusters: tuple[str, ...]
    labels: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, fit: ResultCore | ModelCore, names: Iterable[str] = (), index: Any = None) -> Influences:
        """Of a fit.

        Parameters
        ----------
        names : iterable of str
            Clusters of other fits, which this one may not have.
        index : pandas Index (n,), optional
            Instead of the data's row labels.
        """
        frame, member = _frame(fit), Member.of(fit)
        index, clusters = frame.index if index is None else index, cluster_names(member.covariance.request)
        if not index.is_unique:
            raise CapabilityError("the data's row labels repeat, so rows of several fits cannot be aligned")
        psi, place = fit.influence(), index
        if len(psi) != len(index):
            # on units: each stands at its first row, and whoever has rows beside it is clustered
            place = index[member.estimate.evidence.first_rows]
        groups = {name: frame.groups(name) for name in dict.fromkeys((*clusters, *names))}
        labels = {name: np.array(found.levels, dtype=object)[found.codes] for name, found in groups.items()}
        return cls(index, psi / len(psi), place, joint_freedom(member), clusters, labels)

    @property
    def varies(self) -> Bools:
        """Which effects (q,) have sampling variation; one without has no t statistic."""
        return np.asarray((self.psi != 0).any(axis=0))

    def only(self, effects: Bools) -> Influences:
        """Those of some effects."""
        return replace(self, psi=self.psi[:, effects])

    def spread(self, union: Any) -> Array:
        """The influences on the union of rows, zero in those that the fit does not have."""
        out = np.zeros((len(union), self.psi.shape[1]))
        out[union.get_indexer(self.place)] = self.psi
        return out


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
    method = adjustment("method", method)
    check_multipliers(weights, reps)
    check_seed(seed)
    table = _family(names, fits)
    if method == "romano_wolf":
        seed = fresh_seed(seed)
        statistic, p = (table[name].to_numpy(dtype=float) for name in ("statistic", "p.value"))
        clusters = dict.fromkeys(name for fit in fits for name in cluster_names(fit.covariance.request))
        parts = [Influences.of(fit, clusters) for fit in fits]
        table["p.adjusted"] = romano_wolf(parts, statistic, p, reps, np.random.default_rng(seed), weights)
        table.attrs["seed"] = seed
    else:
        table["p.adjusted"] = adjust(table["p.value"].to_numpy(dtype=float), method)
    table.attrs["method"] = method
    return table


def adjustment(what: str, word: Any) -> Adjustment:
    """The name of an adjustment, in any spelling: ``BH`` and ``romano-wolf`` too."""
    plain = word.lower().replace("-", "_").replace(" ", "_") if isinstance(word, str) else ""
    found: Any = one_of(what, plain if plain in ALL_METHODS else word, ALL_METHODS)
    return cast(Adjustment, found)


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


def romano_wolf(
    parts: Sequence[Influences],
    statistic: Array,
    p: Array,
    reps: int,
    rng: np.random.Generator,
    weights: str = "normal",
) -> Array:
    """Step-down p-values of the effects of several fits; NaN for one that the data do not determine.

    Parameters
    ----------
    parts : sequence of Influences
        Of the fits.
    statistic, p : ndarray (q,)
        Of all their effects, and their own p-values.
    """
    psi = _stacked(parts)
    check_units(weights, len(psi))
    statistics = with_df(multiplier_statistics(psi, reps, rng, weights), min(part.df for part in parts), rng)
    known = ~np.isnan(statistic)
    out = np.full(len(statistic), np.nan)
    out[known] = np.maximum(step_down(statistic[known], statistics), p[known])
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


def _stacked(parts: Sequence[Influences]) -> Array:
    """Influences of all effects (G, q), summed over clusters where a fit has some, rows aligned by their labels."""
    union: Any = parts[0].index
    for part in parts[1:]:
        union = union if part.index.equals(union) else union.union(part.index, sort=False)
    psi = np.hstack([part.spread(union) for part in parts])
    names = {part.clusters for part in parts} - {()}
    if not names:
        return psi
    if len(names) > 1 or len(next(iter(names))) > 1:
        raise CapabilityError("method='romano_wolf' resamples one kind of unit; cluster all fits by the same column")
    labels = np.empty(len(union), dtype=object)
    for part in parts:
        labels[union.get_indexer(part.index)] = part.labels[next(iter(names))[0]]
    codes = np.unique(labels.astype(str), return_inverse=True)[1].astype(np.intp)
    return np.asarray(group_sums(psi, codes, int(codes.max()) + 1))


def _frame(fit: ResultCore | ModelCore) -> Any:
    return fit.call.frame if isinstance(fit, ResultCore) else fit.frame  # type: ignore[union-attr]
