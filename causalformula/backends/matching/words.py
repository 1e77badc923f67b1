"""What a matched design says of itself: MatchIt's lines, and who was left out and why."""

from __future__ import annotations

import numpy as np

from causalformula.backends.matching.conditions import Conditions
from causalformula.backends.matching.options import CEM, Nearest
from causalformula.errors import counted, some
from causalformula.formula.language.deparse import symbol
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.notices import Aside
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.matching.row_ties import decided_by_rows
from causalformula.numerics.matching.task import Task

# By the target's arm.
OTHER_ARM = {1: "controls", 0: "treated units"}
# What discard= calls the units of the target.
OWN_ARM = {1: "treated", 0: "control"}
ADJUSTS = "outcome({x}), which adjusts for what is left"


def nearest_words(options: Nearest) -> str:
    """The method in MatchIt's words."""
    how = "with replacement" if options.replaced else "without replacement"
    if options.replaced and options.reuse_max is not None:
        how += f" (each at most {options.reuse_max} times)"
    if options.m_order == "random":
        how += f", in random order (seed {options.seed})"
    varies = "Variable ratio " if options.varies else ""
    return f"{varies}{options.ratio:g}:1 nearest neighbor matching {how}"


def caliper_line(conditions: Conditions) -> list[str]:
    """MatchIt's line on calipers."""
    if not conditions.widths:
        return []
    return [" - caliper: " + ", ".join(f"{name} ({round(width, 3):g})" for name, width in conditions.widths) + "\n"]


def discard_note(dropped: int, words: str) -> list[str]:
    """Rows outside the common support."""
    return [f"{counted(dropped, 'row')} discarded: {words} outside the common support"]


def left_out_notes(
    frame: ModelFrame, estimand: str, focal: Bools, matched: Bools, why: str = "", advice: str = ""
) -> list[str]:
    """How many units of the target were not matched, and whose effect it then is.

    Parameters
    ----------
    focal : ndarray (n,) of bool
        Rows of the target, those that were discarded among them.
    matched : ndarray (n,) of bool
    why, advice : str
        What may have kept them from a match, and what may let more be matched.
    """
    lost = int((focal & ~matched).sum())
    if not lost:
        return []
    treatment = frame.the_treatment
    arms = np.unique(treatment.codes[focal])
    whom = f" with {treatment.name} = {treatment.levels[int(arms[0])]}" if len(arms) == 1 else ""
    rows = f"{lost} of {int(focal.sum())} rows{whom} {'is' if lost == 1 else 'are'} not matched"
    reason = f" ({why})" if why else ""
    more = f". {advice[:1].upper()}{advice[1:]} may match more" if advice else ""
    return [f"{rows}{reason}; the {estimand} is that of the {int((focal & matched).sum())} that are{more}"]


def unmatched_advice(options: Nearest) -> str:
    """What may let more units of the target be matched."""
    ways = []
    if any(each.width > 0 for each in options.calipers):
        ways.append("a wider caliper=")
    if any(each.width < 0 for each in options.calipers):
        ways.append("a caliper= nearer to zero")
    ways += ["fewer variables in exact="] if options.exact is not None else []
    ways += ["other variables in antiexact="] if options.antiexact is not None else []
    return " or ".join([*ways, *_replacing(options)])


def _replacing(options: Nearest) -> list[str]:
    """Replacement, where it is not there and can be."""
    return ["replace=True"] if not options.replace and options.reuse_max is None and options.unit_id is None else []


def unmatched_reason(options: Nearest, arm: int) -> str:
    """What may have kept units of an arm from a match."""
    within = []
    if options.calipers:
        within.append(f"within the caliper{'s' if len(options.calipers) > 1 else ''}")
    if options.exact is not None:
        within.append(f"in their stratum of {_names(options.exact)}")
    if options.antiexact is not None:
        within.append(f"that differ in {_names(options.antiexact)}")
    left = "" if options.replaced else " left"
    reason = f"no {OTHER_ARM[arm]}{left} {' and '.join(within)}".rstrip()
    discarded = options.discard in ("both", OWN_ARM[arm])
    return f"discarded, or {reason}" if discarded else reason


def _names(text: str) -> str:
    return text.removeprefix("~").strip()


def fewer_note(frame: ModelFrame, options: Nearest, found: Codes, wanted: Codes) -> list[str]:
    """Units that have fewer matches than they were to have."""
    short = (found < wanted) & (found > 0)
    if not short.any():
        return []
    number = int(short.sum())
    have = "has" if number == 1 else "have"
    more = " or ".join(["a smaller ratio=", *_replacing(options)])
    told = f"{counted(number, 'row')} {have} fewer matches than ratio={options.ratio:g}"
    return [f"{told}; with {more}, more of them have as many as asked for"]


def one_armed_note(frame: ModelFrame, conditions: Conditions, focal: Codes, pool: Codes) -> list[str]:
    """Exact strata that hold the target's units and none to match them with."""
    if conditions.strata is None:
        return []
    codes, levels = conditions.strata.codes, conditions.strata.levels
    alone = np.setdiff1d(np.unique(codes[focal]), codes[pool])
    if not len(alone):
        return []
    have = "1 stratum" if len(alone) == 1 else f"{len(alone)} strata"
    names = some([levels[k] for k in alone])
    return [f"{have} of {conditions.strata.name} with no unit to match with: {names}"]


def nearest_rebalance(options: Nearest, column: str, numbers: bool) -> str:
    """What may help where a covariate ``{x}`` is out of balance: levels have no caliper, and are matched exactly."""
    if numbers:
        may = "A caliper= (a narrower one" + (")" if options.ties else f", or one on {column} too)")
        if options.metric and not options.ties:
            may = f"A caliper on {column} (a narrower one), as caliper={{{column!r}: 0.2}},"
    else:
        exact = f"exact='{options.exact or '~'} {'+ ' if options.exact else ''}{symbol(column)}'"
        may = exact if options.metric else f"A caliper= (a narrower one), or {exact},"
    if options.bias_adjust:
        return f"{may} may help; bias_adjust=True adjusts for what is left, if its regression is right"
    return f"{may} may help, or {ADJUSTS}"


def cem_rebalance(options: CEM, column: str, numbers: bool) -> str:
    """The same of bins and of groups of levels."""
    finer = "Finer bins (cutpoints=)" if numbers else "Smaller groups (grouping=)"
    return f"{finer} may help, or {ADJUSTS}"


def reused_note(frame: ModelFrame, matches: Codes, used: Bools) -> list[str]:
    """How few different units the matches are."""
    times = np.bincount(matches, minlength=frame.n)
    different, most = int((times > 0).sum()), int(times.max(initial=0))
    if most < 2:
        return []
    return [f"the matches are {counted(different, 'different row')}, one of them {most} times"]


def tie_note(task: Task, Z: Array, found: Codes, by_score: bool) -> list[str]:
    """Where units that are alike were told apart by the order of rows; conditions would tell them apart too.

    ``by_score`` says that the target's units chose in the order of the score, so that rows decide among equals.
    """
    if task.conditions or task.units is not None:
        return []
    times = np.bincount(found[found >= 0], minlength=len(Z))
    if by_score:
        times[task.focal] = (found >= 0).sum(axis=1) - task.wanted
    ties = decided_by_rows(Z, task.pool, task.strata, times)
    ties += decided_by_rows(Z, task.focal, task.strata, times) if by_score else 0
    if not ties:
        return []
    where = f"at {counted(ties, 'point')}"
    return [Aside(f"ties between equally near units were broken by the order of rows, {where}")]
