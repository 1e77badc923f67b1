"""Bands that hold for all effects at once, and p-values adjusted for looking at all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import shown
from causalformula.errors import CapabilityError, OptionError, asks
from causalformula.inference.evidence import Influence
from causalformula.inference.requests import HAC, Asympt, Cluster, DriscollKraay, Given
from causalformula.inference.resampling.multiplier import (
    MULTIPLIERS,
    critical_value,
    gaussian_statistics,
    multiplier_statistics,
    single_step,
    with_df,
)
from causalformula.inference.resampling.requests import Bootstrap
from causalformula.inference.resampling.resample import fresh_seed
from causalformula.inference.sandwich.groupings import intersect, rows_used
from causalformula.numerics.arrays import Array
from causalformula.numerics.least_squares import group_sums
from causalformula.plots.draw import intervals
from causalformula.results.effects.facts import estimate_notes
from causalformula.results.joint.member import Member, cluster_names
from causalformula.results.models.core import ModelCore
from causalformula.results.models.summary import model_notes
from causalformula.results.reading.reading import check_level, quantile
from causalformula.results.text.notebook import Shown
from causalformula.words import Multipliers

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


# From so many units on, a sum with multipliers of few values has nearly normal tails.
MANY_UNITS = 20


@dataclass(frozen=True, eq=False)
class Bands(Shown):
    """Simultaneous confidence bands (sup-t).

    Attributes
    ----------
    table : DataFrame
        As ``tidy()``, with ``conf.low`` and ``conf.high`` that hold for all rows at once, and p-values adjusted for
        all rows (single step).
    critical_value : float
        What the standard errors are multiplied by.
    level : float
    reps : int
    seed : int
    source : str
        Where the joint distribution comes from.
    notes : tuple of str
        What the estimates' own print says of their standard errors.
    null : float
        The value of no effect, where a picture has its line.
    log : bool
        Whether the estimates are ratios.
    """

    table: pd.DataFrame
    critical_value: float
    level: float
    reps: int
    seed: int
    source: str
    notes: tuple[str, ...] = ()
    null: float | None = 0.0
    log: bool = False

    @asks
    def plot(self, ax: Axes | None = None) -> Axes:
        """Estimates with their bands, one row each; ratios on a logarithmic axis.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        Axes
        """
        heads = self.table.loc[:, :"estimate"].drop(columns="estimate")  # groups, terms and contrasts
        labels = [" ".join(str(part) for part in row if part) for row in heads.itertuples(index=False)]
        estimate, low, high = (self.table[name].to_numpy(dtype=float) for name in ("estimate", "conf.low", "conf.high"))
        ax = intervals(ax, labels, estimate, low, high, self.null, self.log)
        ax.set_xlabel(f"Estimate, {100 * self.level:g}% simultaneous bands")
        return ax

    def __str__(self) -> str:
        head = (
            f"Simultaneous {self.level:.4g} bands for {len(self.table)} effects: "
            f"critical value {self.critical_value:.4f}\n{self.source}, {self.reps} replicates, seed {self.seed}"
        )
        return "\n".join([head, "", self.table.to_string(index=False), *self.notes])

    __repr__ = __str__


def simultaneous(fit: Any, level: float, reps: int, seed: int | None, weights: str) -> Bands:
    """Sup-t bands of a ``Result`` or the coefficients of a ``Model``; see ``Banded.simultaneous``."""
    check_level(level)
    check_multipliers(weights, reps)
    member = Member.of(fit)
    if member.measure.reading == "inverse":
        raise CapabilityError("numbers needed to treat have no bands; use measure='difference'")
    seed = fresh_seed(seed)
    reading, theta = fit.read(level), member.estimate.theta
    error = member.covariance.std_error
    statistics, source = _statistics(member, reps, np.random.default_rng(seed), weights)
    critical = max(critical_value(statistics, level), float(quantile(level, reading.df).max()))
    low, high = theta - critical * error, theta + critical * error
    if member.measure.reading == "exp":
        low, high = np.exp(low), np.exp(high)
    if member.covariance.reference is not None or member.covariance.draws is not None:
        # limits by resampling are not symmetric; the band holds them too
        low, high = np.minimum(low, reading.low), np.maximum(high, reading.high)
    table = fit.tidy(level)
    rows = table.index[fit.regression.kept] if isinstance(fit, ModelCore) else table.index
    table.loc[rows, "p.value"] = np.maximum(single_step(theta / error, statistics), reading.p_value)
    table.loc[rows, "conf.low"], table.loc[rows, "conf.high"] = low, high
    return Bands(table, critical, level, len(statistics), seed, source, _notes(fit, member), *_scale(fit, member))


def _scale(fit: Any, member: Member) -> tuple[float | None, bool]:
    """The value of no effect, which means have none of, and whether the axis is logarithmic."""
    means = not isinstance(fit, ModelCore) and fit.query is not None and fit.query.kind == "means"
    return None if means else member.measure.null, member.measure.reading == "exp"


def check_multipliers(weights: str, reps: int) -> None:
    """Refuse unknown multipliers, and too few replicates."""
    if not isinstance(weights, str) or weights not in MULTIPLIERS:
        raise OptionError(f"weights must be one of {', '.join(MULTIPLIERS)}, not {shown(weights)}")
    if not isinstance(reps, (int, np.integer)) or isinstance(reps, bool) or not 2 <= reps <= 10**8:
        raise OptionError(f"reps must be at least 2, a whole number, not {shown(reps)}")


def check_units(weights: str, units: int) -> None:
    """Multipliers with few values make too short tails of a sum of few units."""
    if weights != "normal" and units < MANY_UNITS:
        raise OptionError(
            f"weights={weights!r} need at least {MANY_UNITS} units, and there are {units}; use weights='normal'"
        )


def joint_freedom(member: Member) -> float:
    """Degrees of freedom that all estimates share: the smallest of their own, at most G - 1 with G clusters."""
    request = member.covariance.request
    own = float(member.fit.read().df.min())
    if request.df is not None:
        return own
    evidence = member.estimate.evidence
    used = rows_used(evidence) if isinstance(evidence, Influence) else None
    codes = [member.frame.groups(name).codes for name in cluster_names(request)]
    return min([own, *(intersect([each], used)[1] - 1.0 for each in codes)])


def _notes(fit: Any, member: Member) -> tuple[str, ...]:
    """What the fit's print says of its standard errors, and of the estimate."""
    of_estimate = model_notes(fit) if isinstance(fit, ModelCore) else estimate_notes(fit)
    return tuple(dict.fromkeys((*member.covariance.notes, *of_estimate)))


def _statistics(member: Member, reps: int, rng: np.random.Generator, weights: str) -> tuple[Array, str]:
    """Replicated t statistics, from the best that the result has: its own draws, its influences, its covariance."""
    covariance = member.covariance
    df = joint_freedom(member)
    if covariance.draws is not None:
        draws = covariance.draws
        statistics = (draws - draws.mean(axis=0)) / covariance.std_error
        return with_df(statistics, df, rng), f"Bootstrap replicates{_of_t(df)}"
    sums = _sums(member)
    if sums is None:
        statistics = gaussian_statistics(covariance.matrix, reps, rng)
        return with_df(statistics, df, rng), f"Normal with the estimates' covariance{_of_t(df)}"
    check_units(weights, len(sums))
    unit = "clusters" if cluster_names(covariance.request) else "rows" if member.unit is None else "units"
    statistics = with_df(multiplier_statistics(sums, reps, rng, weights), df, rng)
    return statistics, f"Multiplier bootstrap over {len(sums)} {unit} ({weights}){_of_t(df)}"


def _of_t(df: float) -> str:
    return "" if np.isinf(df) else f", t with {df:.4g} degrees of freedom"


def _sums(member: Member) -> Array | None:
    """Influences summed over the covariance's units; None where it has no single kind of unit, or there are none."""
    request, evidence = member.covariance.request, member.estimate.evidence
    if not isinstance(evidence, Influence) or isinstance(request, (Given, HAC, DriscollKraay, Bootstrap)):
        return None
    names = cluster_names(request)
    if len(names) > 1:
        return None
    fixed = isinstance(request, (Asympt, Cluster)) and request.weights == "fixed"
    psi = evidence.psi(fixed=fixed, unconditional=request.unconditional)
    if not names:
        return psi
    own = evidence.on_units(member.frame.groups(names[0]).codes, names[0])
    codes, count = intersect([own], rows_used(evidence))
    return np.asarray(group_sums(psi, codes, count))


class Banded:
    """What has several estimates, and bands that hold for all of them: a ``Result`` and a ``Model``."""

    def simultaneous(
        self, level: float = 0.95, *, reps: int = 9999, seed: int | None = None, weights: Multipliers = "normal"
    ) -> Bands:
        """Confidence bands that hold for all estimates at once (sup-t), and p-values adjusted for all of them.

        The critical value is the ``level`` quantile of ``max_j |T_j|``, with T multivariate t: a multiplier bootstrap
        on the influences, summed over clusters where the covariance is clustered (the bootstrap's own replicates where
        there are some; the normal distribution with the estimates' covariance where there are no influences, several
        ways of clustering, or serial correlation), divided by one ``sqrt(chi2_df / df)``. The degrees of freedom are
        those of the estimates' own tests, at most G - 1 with G clusters. A band is never inside the interval of one
        estimate, nor an adjusted p-value below its own.

        Parameters
        ----------
        level : float
        reps : int
        seed : int, optional
        weights : {"normal", "rademacher", "webb", "mammen"}
            Multipliers; those that are not normal are for many units.

        Returns
        -------
        Bands
            ``.table``, ``.critical_value``.

        References
        ----------
        Montiel Olea and Plagborg-Møller (2019); Callaway and Sant'Anna (2021). R: ``did::aggte(cband = TRUE)``,
        ``multcomp::glht``.
        """
        return simultaneous(self, level, reps, seed, weights)
