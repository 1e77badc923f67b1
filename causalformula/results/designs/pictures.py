"""Pictures of a ``Design``: what each takes from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import shown
from causalformula.diagnostics.overlap import common_support
from causalformula.errors import CapabilityError, OptionError, choose
from causalformula.numerics.arrays import Array, Bools
from causalformula.plots.calibration import calibration as draw_calibration
from causalformula.plots.calibration import roc as draw_roc
from causalformula.plots.distributions import draw_density, draw_ecdf, draw_qq
from causalformula.plots.jitter import jitter as draw_jitter
from causalformula.plots.legends import cut_apart, palette
from causalformula.plots.love import ORDERS
from causalformula.plots.overlap import support as draw_support
from causalformula.plots.overlap import support_of_levels
from causalformula.plots.weights import BINS
from causalformula.plots.weights import weights as draw_weights
from causalformula.results.designs.core import DesignCore
from causalformula.results.designs.distributions import covariate_picture
from causalformula.results.designs.loves import love
from causalformula.results.designs.scores import SCORED, abilities, after, equal_arms, lacking, named, score_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MOST_BINS = 1000
# Bars of a histogram of the distance.
BARS = 25


def support(design: DesignCore, ax: Axes | None = None, *, level: Any = None, bins: int | None = None) -> Axes:
    """Propensity scores by arm, before and after; of several levels, the score of one of them in every arm."""
    score = score_of(design, level)
    arms, s, w = named(design), design.call.frame.unit_weights, after(design)
    limits = common_support(score.p, arms, s > 0)
    picture = draw_support if len(arms) == 2 else support_of_levels
    return picture(score.p, arms, s, w, ax, limits=limits, label=score.words[:1].upper() + score.words[1:], bins=bins)


def weights(design: DesignCore, ax: Axes | None = None, *, bins: int = BINS) -> Axes:
    """The weights by arm."""
    return draw_weights(design.total_weights(), named(design), ax, bins=bins)


def calibration(design: DesignCore, ax: Axes | None = None, *, bins: int = 10, level: Any = None) -> Axes:
    """Shares of treated units against propensity scores, before and after."""
    score = score_of(design, level)
    return draw_calibration(
        score.p,
        score.inside,
        design.call.frame.unit_weights,
        equal_arms(design),
        ax,
        bins=bins,
        alike=1 / len(design.call.frame.the_treatment.levels),
        label=score.words,
        who=score.who,
    )


def roc(design: DesignCore, ax: Axes | None = None, *, level: Any = None) -> Axes:
    """How well the propensity score tells the arms apart, before and after."""
    score = score_of(design, level)
    s, who = design.call.frame.unit_weights, (score.others, score.who)
    return draw_roc(score.p, score.inside, s, equal_arms(design), ax, who=who)


def hist(design: DesignCore, ax: Axes | None = None, *, level: Any = None, bins: int = BARS) -> Axes:
    """Histograms of the distance by arm, before and after."""
    return support(design, ax, level=level, bins=bins)


def jitter(design: DesignCore, ax: Axes | None = None, *, level: Any = None) -> Axes:
    """The distance of every row, in bands of each arm's rows that are kept and that are left out."""
    score = score_of(design, level)
    bands = _bands(design)
    return draw_jitter(
        score.p,
        {name: rows for name, rows, _, _ in bands},
        design.total_weights(),
        ax,
        colours=[colour for _, _, colour, _ in bands],
        hollow=[out for *_, out in bands],
        cuts=_cuts(design, score.p),
        label=score.words[:1].upper() + score.words[1:],
    )


def _bands(design: DesignCore) -> list[tuple[str, Bools, Any, bool]]:
    """Name, rows and colour of each band from top to bottom, and whether it is of rows left out; the last arm first.

    Of two arms the rows that are kept stand side by side. Where none is left out there is one band an arm.
    """
    made, used, kept = design.design_weights, design.call.frame.unit_weights > 0, design.total_weights() > 0
    matched = made.pairs is not None or (made.subclass is not None and not made.strata)
    words = ("matched", "unmatched") if matched else ("kept", "left out")
    arms = named(design)
    out = []
    for k, (name, inside, colour) in enumerate(
        reversed([*zip(cut_apart(arms), arms.values(), palette(len(arms)), strict=True)])
    ):
        both = [
            (f"{name}, {words[0]}", inside & kept, colour, False),
            (f"{name}, {words[1]}", inside & used & ~kept, colour, True),
        ]
        out += both if k or len(arms) > 2 else both[::-1]
    if kept[used].all():
        return [(name.rpartition(", ")[0], rows, colour, False) for name, rows, colour, left in out if not left]
    return out


def _cuts(design: DesignCore, p: Array) -> list[float]:
    """Where strata meet: midway between the last row of one and the first of the next; none where they overlap."""
    made = design.design_weights
    if not made.strata or made.subclass is None:
        return []
    inside = [
        p[rows]
        for k in range(1, made.strata + 1)
        if (rows := (made.subclass == k) & (design.total_weights() > 0)).any()
    ]
    ends = sorted((float(x.min()), float(x.max())) for x in inside)
    if any(high > low for (_, high), (low, _) in pairwise(ends)):
        return []
    return [(high + low) / 2 for (_, high), (low, _) in pairwise(ends)]


# ---- the choice of a picture ----------------------------------------------------------------------------------------

# Each picture with the options that it takes, and what a design needs for it.
KINDS: dict[str, tuple[Callable[..., Any], tuple[str, ...], str]] = {
    "love": (love, ("stat", "binary", "threshold", "abs", "order", "compare"), ""),
    "overlap": (support, ("level",), "score"),
    "weights": (weights, ("bins",), ""),
    "calibration": (calibration, ("bins", "level"), "score"),
    "roc": (roc, ("level",), "score"),
    "jitter": (jitter, ("level",), "distance"),
    "hist": (hist, ("level", "bins"), "distance"),
    "ecdf": (partial(covariate_picture, draw_ecdf), ("covariate",), "arms"),
    "density": (partial(covariate_picture, draw_density), ("covariate",), "arms"),
    "qq": (partial(covariate_picture, draw_qq), ("covariate",), "two"),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_covariates(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, (list, tuple)) and len(value) > 0 and all(map(_is_text, value)))


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
    "covariate": (_is_covariates, "the name of a covariate, a list of such names, or 'all'"),
    "compare": (lambda v: True, ""),
    "level": (lambda v: isinstance(v, (str, bool, np.bool_)) or _is_number(v), "a level of the treatment"),
}


def draw(design: DesignCore, kind: str, ax: Axes | None, options: Mapping[str, Any]) -> Any:
    """Draw a picture of a design; returns its axes, or an array of them.

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
    picture, takes, need = KINDS[kind]
    for name, value in options.items():
        if name not in takes:
            able = [k for k, (_, names, _) in KINDS.items() if name in names]
            raise OptionError(
                f"plot {kind!r} has no option {name!r}; {', '.join(able)} {'has' if len(able) == 1 else 'have'}"
            )
        fits, wanted = VALUES[name]
        if not fits(value):
            raise OptionError(f"{name}={value!r}: {name} is {wanted}")
    has = abilities(design)
    if need and need not in has:
        there = ", ".join(repr(k) for k, (*_, needs) in KINDS.items() if not needs or needs in has)
        scored = SCORED.get(design.call.record.name, "cf.design(formula, data, 'ipw') has a score")
        end = f"; {scored}" if has and need in ("distance", "score") else ""
        raise CapabilityError(
            f"there is no plot {kind!r} here: {lacking(design, need)}. Plots that this design has: {there}{end}"
        )
    return picture(design, ax=ax, **{name: int(v) if name == "bins" else v for name, v in options.items()})
