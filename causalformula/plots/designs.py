"""Pictures of a ``Design``: what each takes from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.diagnostics.covariates import covariates
from causalformula.diagnostics.overlap import common_support
from causalformula.errors import CapabilityError, OptionError, choose
from causalformula.frame.treatment import Kind
from causalformula.plots.calibration import calibration as draw_calibration
from causalformula.plots.calibration import roc as draw_roc
from causalformula.plots.love import ORDERS, SAMPLES
from causalformula.plots.love import love as draw_love
from causalformula.plots.overlap import support as draw_support
from causalformula.plots.weights import ecdf as draw_ecdf
from causalformula.plots.weights import weights as draw_weights

Array = NDArray[np.float64]
Axes = Any
LABELS = {
    "smd": "standardised mean difference",
    "variance_ratio": "Variance ratio",
    "ks": "Kolmogorov-Smirnov statistic",
    "ovl": "Share of the distributions that does not overlap",
}


def love(
    design: Any,
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
    table = design.balance(stats=(stat,), binary=binary, threshold=None).table
    name = table.statistics[0]
    found = {said: table.columns.get(f"{table.prefix}{name}.{sample}") for sample, said in SAMPLES}
    values = {said: v for said, v in found.items() if v is not None and not np.isnan(v).all()}
    if name == "V.Ratio":
        with np.errstate(divide="ignore", invalid="ignore"):
            values = {said: np.maximum(v, 1 / v) if abs else v for said, v in values.items()}
    elif abs:
        values = {said: np.abs(v) for said, v in values.items()}
    rows = _ordered(table.rows, table.types, values, order)
    shown = [row for row in rows if not all(np.isnan(v[row]) for v in values.values())]
    null, limit = 0.0, threshold
    if name == "V.Ratio":
        null, limit = 1.0, None if threshold is None or threshold < 1 else threshold - 1
    label = _label(stat, name, abs, binary, table.prefix)
    drawn = {said: v[shown] for said, v in values.items()}
    return draw_love([table.rows[k] for k in shown], drawn, ax, threshold=limit, null=null, label=label)


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


def support(design: Any, ax: Axes | None = None) -> Axes:
    """Propensity scores by arm, before and after."""
    p, s, w = _scores(design), design.call.frame.unit_weights, _after(design)
    arms = design.arms()
    limits = common_support(p, arms, s > 0)
    return draw_support(p, _named(design), s, w, ax, limits=limits)


def weights(design: Any, ax: Axes | None = None, *, bins: int = 40) -> Axes:
    """The weights by arm."""
    return draw_weights(design.total_weights(), _named(design), ax, bins=bins)


def calibration(design: Any, ax: Axes | None = None, *, bins: int = 10) -> Axes:
    """Shares of treated units against propensity scores."""
    p = _scores(design)
    return draw_calibration(p, design.arms()["Treated"], design.call.frame.unit_weights, ax, bins=bins)


def roc(design: Any, ax: Axes | None = None) -> Axes:
    """How well the propensity score tells the arms apart, before and after."""
    p = _scores(design)
    return draw_roc(p, design.arms()["Treated"], design.call.frame.unit_weights, _after(design), ax)


def ecdf(design: Any, ax: Axes | None = None, *, covariate: str | None = None) -> Axes:
    """Distribution functions of a covariate by arm, before and after; the first continuous one where none is named."""
    frame = design.call.frame
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        raise CapabilityError("distributions by arm need arms; the treatment is a dose")
    found = {c.name: c for c in covariates(frame)}
    if covariate is None:
        covariate = next((name for name, c in found.items() if not c.binary), next(iter(found), None))
    if covariate not in found:
        raise OptionError(f"unknown covariate {covariate!r}{choose(str(covariate), found)}")
    x = found[covariate].values
    return draw_ecdf(x, _named(design), frame.unit_weights, _after(design), ax, label=covariate)


def _scores(design: Any) -> Array:
    """The propensity score of a binary treatment."""
    p = design.design_weights.distance
    if p is None or design.call.frame.the_treatment.kind is not Kind.BINARY:
        raise CapabilityError(f"method {design.call.record.name!r} has no propensity score of two arms here to draw")
    if not ((p >= 0) & (p <= 1)).all():
        raise CapabilityError("the distance of this design is no propensity score between 0 and 1")
    return np.asarray(p)


def _after(design: Any) -> Array | None:
    """Total weights after adjustment; None where the design has none."""
    w = design.design_weights.weights
    return None if (w == 1).all() else np.asarray(w * design.call.frame.unit_weights)


def _named(design: Any) -> dict[str, NDArray[np.bool_]]:
    """Arms by the treatment's own levels."""
    treatment = design.call.frame.the_treatment
    if treatment.kind is Kind.CONTINUOUS:
        return dict(design.arms())
    return {f"{treatment.name} = {level}": treatment.codes == k for k, level in enumerate(treatment.levels)}


# Each picture with the options that it takes.
KINDS: dict[str, tuple[Callable[..., Axes], tuple[str, ...]]] = {
    "love": (love, ("stat", "binary", "threshold", "abs", "order")),
    "overlap": (support, ()),
    "weights": (weights, ("bins",)),
    "calibration": (calibration, ("bins",)),
    "roc": (roc, ()),
    "ecdf": (ecdf, ("covariate",)),
}


def draw(design: Any, kind: str, ax: Axes | None, options: Mapping[str, Any]) -> Axes:
    """Draw a picture of a design; an option that the picture does not take is an ``OptionError``."""
    if kind not in KINDS:
        raise OptionError(f"unknown plot {kind!r}{choose(kind, KINDS)}")
    picture, takes = KINDS[kind]
    for name in options:
        if name not in takes:
            able = [k for k, (_, names) in KINDS.items() if name in names]
            raise OptionError(f"plot {kind!r} has no option {name!r}; {', '.join(able)} has")
    return picture(design, ax=ax, **options)
