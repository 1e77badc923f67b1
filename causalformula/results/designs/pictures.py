"""Pictures of a ``Design``: what each takes from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import shown
from causalformula.diagnostics.covariates import covariates
from causalformula.diagnostics.overlap import common_support
from causalformula.errors import CapabilityError, DataError, OptionError, choose
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array, Bools
from causalformula.plots.calibration import calibration as draw_calibration
from causalformula.plots.calibration import roc as draw_roc
from causalformula.plots.legends import cut
from causalformula.plots.love import ORDERS, SAMPLES
from causalformula.plots.love import love as draw_love
from causalformula.plots.overlap import support as draw_support
from causalformula.plots.overlap import support_of_levels
from causalformula.plots.weights import BINS
from causalformula.plots.weights import ecdf as draw_ecdf
from causalformula.plots.weights import weights as draw_weights
from causalformula.results.designs.balancing import design_balance
from causalformula.results.designs.core import DesignCore

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LABELS = {
    "smd": "standardised mean difference",
    "variance_ratio": "Variance ratio",
    "ks": "Kolmogorov-Smirnov statistic",
    "ovl": "Share of the distributions that does not overlap",
}
MOST_BINS = 1000


def love(
    design: DesignCore,
    ax: Axes | None = None,
    *,
    stat: str = "smd",
    binary: str = "std",
    threshold: float | None = 0.1,
    abs: bool = True,
    order: str = "unadjusted",
) -> Axes:
    """Balance before and after: ``stat`` is one of ``smd, variance_ratio, ks, ovl``.

    ``binary="std"`` puts all covariates on one scale. ``order`` is ``unadjusted``, ``adjusted``, ``alphabetical`` or
    ``formula``; the propensity score stays first.
    """
    if order not in ORDERS:
        raise OptionError(f"unknown order {order!r}{choose(order, ORDERS)}")
    table = design_balance(design, (stat,), binary, True, None, False, 1, None, None, False, None).table
    name = table.statistics[0]
    found = {said: table.columns.get(f"{table.prefix}{name}.{sample}") for sample, said in SAMPLES}
    values = {said: v for said, v in found.items() if v is not None and not np.isnan(v).all()}
    if not values:
        raise DataError(f"{stat!r} is not defined for any of the covariates; choose another stat")
    if name == "V.Ratio":
        with np.errstate(divide="ignore", invalid="ignore"):
            values = {said: np.maximum(v, 1 / v) if abs else v for said, v in values.items()}
    elif abs:
        values = {said: np.abs(v) for said, v in values.items()}
    rows = _ordered(table.rows, table.types, values, order)
    shown = [row for row in rows if not all(np.isnan(v[row]) for v in values.values())]
    null, limit = (1.0, _ratio(threshold)) if name == "V.Ratio" else (0.0, threshold)
    label = _label(stat, name, abs, binary, table.prefix)
    drawn = {said if len(values) > 1 else "Unweighted": v[shown] for said, v in values.items()}
    return draw_love([table.rows[k] for k in shown], drawn, ax, threshold=limit, null=null, label=label)


def _ratio(threshold: float | None) -> float | None:
    """The threshold of variance ratios; the usual one of differences, 0.1, is none."""
    if threshold is None or threshold == 0.1:
        return None
    if threshold < 1:
        raise OptionError(f"threshold={threshold!r}: variance ratios are larger over smaller, so at least 1, as 2")
    return threshold


def _ordered(rows: tuple[str, ...], types: tuple[str, ...], values: dict[str, Array], order: str) -> list[int]:
    first = [k for k, t in enumerate(types) if t == "Distance"]
    rest = [k for k, t in enumerate(types) if t != "Distance"]
    if order == "alphabetical":
        rest.sort(key=lambda k: rows[k].casefold())
    elif order != "formula":
        samples = list(values.values())
        by = np.abs(np.nan_to_num(samples[-1 if order == "adjusted" else 0]))
        rest.sort(key=lambda k: -by[k])
    return first + rest


def _label(stat: str, name: str, abs: bool, binary: str, prefix: str) -> str:
    if name == "Corr":
        text = "correlation with the dose"
        return f"Absolute {text}" if abs else text.capitalize()
    if name != "Diff":
        text = LABELS["ks"] + " from the sample" if name == "KS.Target" else LABELS[stat]
        text += ", larger over smaller" if name == "V.Ratio" and abs else ""
    else:
        text = "Absolute " + LABELS["smd"] if abs else LABELS["smd"].capitalize()
        text += " (proportions: as they are)" if binary == "raw" else ""
    return f"{text}, largest over pairs" if prefix else text


def support(design: DesignCore, ax: Axes | None = None, *, level: Any = None) -> Axes:
    """Propensity scores by arm, before and after; of several levels, the score of one of them in every arm."""
    score = _score(design, "overlap", level)
    arms, s, w = _named(design), design.call.frame.unit_weights, _after(design)
    limits = common_support(score.p, arms, s > 0)
    label = score.words[0].upper() + score.words[1:]
    picture = draw_support if len(arms) == 2 else support_of_levels
    return picture(score.p, arms, s, w, ax, limits=limits, label=label)


def weights(design: DesignCore, ax: Axes | None = None, *, bins: int = BINS) -> Axes:
    """The weights by arm."""
    return draw_weights(design.total_weights(), _named(design), ax, bins=bins)


def calibration(design: DesignCore, ax: Axes | None = None, *, bins: int = 10, level: Any = None) -> Axes:
    """Shares of treated units against propensity scores, before and after."""
    score = _score(design, "calibration", level)
    return draw_calibration(
        score.p,
        score.inside,
        design.call.frame.unit_weights,
        _equal_arms(design),
        ax,
        bins=bins,
        alike=1 / len(design.call.frame.the_treatment.levels),
        label=score.words,
        who=score.who,
    )


def roc(design: DesignCore, ax: Axes | None = None, *, level: Any = None) -> Axes:
    """How well the propensity score tells the arms apart, before and after."""
    score = _score(design, "roc", level)
    s, who = design.call.frame.unit_weights, (score.others, score.who)
    return draw_roc(score.p, score.inside, s, _equal_arms(design), ax, who=who)


def ecdf(design: DesignCore, ax: Axes | None = None, *, covariate: str | None = None) -> Axes:
    """Distribution functions of a covariate by arm, before and after; the first continuous one where none is named."""
    frame = design.call.frame
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        raise CapabilityError("distributions by arm need arms; the treatment is a dose. Plot 'love' or 'weights'")
    found = {c.name: c for c in covariates(frame)}
    if not found:
        raise DataError("the formula has no covariates to draw; write them in adjust(...)")
    if covariate is None:
        covariate = next((name for name, c in found.items() if not c.binary), next(iter(found)))
    if covariate not in found:
        raise OptionError(f"unknown covariate {covariate!r}{choose(covariate, found)}")
    x = found[covariate].values
    return draw_ecdf(x, _named(design), frame.unit_weights, _after(design), ax, label=covariate)


# ---- what pictures take from a design -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Score:
    """The probability of one level of the treatment.

    Parameters
    ----------
    p : ndarray (n,)
    inside : ndarray (n,) of bool
        Rows at the level.
    words, who, others : str
        What the score is, and what to call the rows at the level and the rest, in labels.
    """

    p: Array
    inside: Bools
    words: str
    who: str
    others: str


def _score(design: DesignCore, kind: str, level: Any) -> Score:
    """The propensity score of a level: by default of the treated, the focal level, or the last of several."""
    treatment = design.call.frame.the_treatment
    _refuse_scoreless(design, kind)
    if treatment.kind is Kind.BINARY:
        k = 1 if level is None else treatment.index(level)
        p = np.asarray(design.design_weights.distance)
        arms = ("treated", "controls")
        words = "propensity score" + (cut(f" of {treatment.name} = {treatment.levels[0]}") if k == 0 else "")
        return Score(p if k else 1 - p, treatment.codes == k, words, arms[1 - k], arms[k])
    chosen = design.call.options.focal if level is None else level
    k = len(treatment.levels) - 1 if chosen is None else treatment.index(chosen)
    p, name = design.design_weights.probabilities[:, k], cut(f"{treatment.name} = {treatment.levels[k]}", 24)
    return Score(p, treatment.codes == k, f"propensity score of {name}", name, "the others")


# Why a method has no score for several levels, or at all.
SCORELESS = {
    "ebal": "finds weights that balance the covariates without a propensity score",
    "energy": "finds weights that balance the covariates without a propensity score",
    "ipt": "fits a model of its own for each arm, so there is no one propensity score",
    "cbps": "fits a model of its own for each arm but the focal one, so there is no one propensity score",
}


def _refuse_scoreless(design: DesignCore, kind: str) -> None:
    """A ``CapabilityError`` where there is no probability to draw, with the reason and the pictures that there are."""
    treatment, made, method = design.call.frame.the_treatment, design.design_weights, design.call.record.name
    if treatment.kind is Kind.CONTINUOUS:
        reason, able = (
            f"the treatment {treatment.name!r} is a dose, so no arm has a propensity score",
            "'love', 'weights'",
        )
    else:
        p = made.distance if treatment.kind is Kind.BINARY else made.probabilities
        able = "'love', 'weights', 'ecdf'"
        reason = f"method {method!r} {SCORELESS.get(method, 'makes no use of a propensity score')}"
        if p is not None:
            if ((p >= 0) & (p <= 1)).all():
                return
            reason = "the distance of this design is no propensity score between 0 and 1"
    raise CapabilityError(f"there is no plot {kind!r} here: {reason}. Plots that this design has: {able}")


def _after(design: DesignCore) -> Array | None:
    """Total weights after adjustment; None where the design has none."""
    w = design.design_weights.weights
    return None if (w == 1).all() else np.asarray(w * design.call.frame.unit_weights)


def _equal_arms(design: DesignCore) -> Array | None:
    """Total weights after adjustment, of equal sum in every arm."""
    w = _after(design)
    if w is None:
        return None
    codes = design.call.frame.the_treatment.codes
    return np.asarray(w / np.bincount(codes, w)[codes])


def _named(design: DesignCore) -> dict[str, Bools]:
    """Arms by the treatment's own levels."""
    treatment = design.call.frame.the_treatment
    if treatment.kind is Kind.CONTINUOUS:
        return dict(design.arms())
    return {f"{treatment.name} = {level}": treatment.codes == k for k, level in enumerate(treatment.levels)}


# ---- the choice of a picture ----------------------------------------------------------------------------------------

# Each picture with the options that it takes.
KINDS: dict[str, tuple[Callable[..., Axes], tuple[str, ...]]] = {
    "love": (love, ("stat", "binary", "threshold", "abs", "order")),
    "overlap": (support, ("level",)),
    "weights": (weights, ("bins",)),
    "calibration": (calibration, ("bins", "level")),
    "roc": (roc, ("level",)),
    "ecdf": (ecdf, ("covariate",)),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


# What an option must be, and how to say so.
VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "stat": (_is_text, "a name, as 'smd'"),
    "binary": (_is_text, "'raw' or 'std'"),
    "threshold": (
        lambda v: v is None or (_is_number(v) and 0 <= v < 1e300),
        "a number of at least 0, or None",
    ),
    "abs": (lambda v: isinstance(v, (bool, np.bool_)), "True or False"),
    "order": (_is_text, f"one of {', '.join(ORDERS)}"),
    "bins": (
        lambda v: _is_number(v) and v == np.floor(v) and 1 <= v <= MOST_BINS,
        f"a whole number from 1 to {MOST_BINS}",
    ),
    "covariate": (_is_text, "the name of a covariate"),
    "level": (lambda v: isinstance(v, (str, bool, np.bool_)) or _is_number(v), "a level of the treatment"),
}


def draw(design: DesignCore, kind: str, ax: Axes | None, options: Mapping[str, Any]) -> Axes:
    """Draw a picture of a design.

    Raises
    ------
    OptionError
        For an unknown picture, ``ax`` that is no matplotlib Axes, an option that the picture does not take, or a value
        that an option cannot have.
    CapabilityError
        If the design lacks what the picture shows.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise OptionError(f"unknown plot {shown(kind)}{choose(shown(kind), KINDS)}")
    picture, takes = KINDS[kind]
    for name, value in options.items():
        if name not in takes:
            able = [k for k, (_, names) in KINDS.items() if name in names]
            raise OptionError(
                f"plot {kind!r} has no option {name!r}; {', '.join(able)} {'has' if len(able) == 1 else 'have'}"
            )
        fits, wanted = VALUES[name]
        if not fits(value):
            raise OptionError(f"{name}={value!r}: {name} is {wanted}")
    return picture(design, ax=ax, **{name: int(v) if name == "bins" else v for name, v in options.items()})
