"""``Identification``: which designs identify an effect in a graph, and why none does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from typing import Any

from causalformula.backends.options import one_of
from causalformula.errors import IdentificationError, asks, some
from causalformula.formula.language.deparse import symbol
from causalformula.graphs.adjustment import Question
from causalformula.graphs.expressions import mentioned, primed
from causalformula.graphs.frontdoor import FrontDoor, front_doors
from causalformula.graphs.identification import Hedge, identified
from causalformula.graphs.instruments import Instrument, instruments
from causalformula.graphs.paths import Path, open_path, paths
from causalformula.graphs.write import named
from causalformula.plots.dag import Drawn
from causalformula.results.text.notebook import Shown

# The print lists so many paths and sets; the attributes hold all that were found.
MOST_LISTED = 12
MOST_PATHS = 1000
_HANGS = "the outcome and the selection hang together"
EFFECTS = ("total", "direct")
# Kinds of design, each with the attribute that lists those there are.
DESIGNS = {"adjustment": "adjustment_sets", "front door": "front_door", "instrument": "instruments"}


@dataclass(frozen=True, eq=False, repr=False)
class Identification(Shown):
    """What a graph says of the effect of a treatment on an outcome; made by ``Graph.identify``.

    Attributes
    ----------
    question : Question
        The graph, the treatment, the outcome and the kind of effect.
    """

    question: Question

    # -- designs ---------------------------------------------------------------------------------------------------

    @cached_property
    def adjustment_sets(self) -> tuple[tuple[str, ...], ...]:
        """Every minimal set of covariates by which the effect is identified, the smaller first; at most 500."""
        return tuple(self._ordered(z) for z in self.question.minimal)

    @asks
    def valid(self, covariates: Collection[str]) -> bool:
        """Whether adjusting for these, minimal or not, identifies the effect.

        Parameters
        ----------
        covariates : collection of str

        Returns
        -------
        bool
        """
        return self.question.valid(self.question.diagram.listed("covariates", covariates))

    @cached_property
    def optimal(self) -> tuple[str, ...] | None:
        """The adjustment set with the least asymptotic variance, where there is one."""
        found = self.question.optimal
        return None if found is None else self._ordered(found)

    @cached_property
    def front_door(self) -> tuple[FrontDoor, ...]:
        """Minimal front-door sets: ``.mediators``, and the ``.covariates`` adjusted for beside them."""
        return front_doors(self.question)

    @cached_property
    def instruments(self) -> tuple[Instrument, ...]:
        """Instruments: ``.name``, and the ``.covariates`` given which it is one."""
        return instruments(self.question)

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """Paths from the treatment to the outcome, the shorter first: ``.causal, .backdoor, .colliders, .others``."""
        q = self.question
        return tuple(islice(paths(q.diagram, q.treatment, q.outcome), MOST_PATHS))

    @cached_property
    def expression(self) -> str | None:
        """The distribution of the outcome under the treatment, in terms of that of the observed variables.

        By the complete algorithm: None means that the observed variables cannot tell the total effect. None too for a
        direct effect, and where selection decides who is in the data, of which it knows nothing. Where values are
        missing, a sum over covariates that all rows have, if there is one and no adjustment of complete rows serves;
        else what the graph says without gaps, if they are at random.
        """
        q = self.question
        if q.over_all_rows is not None:
            return self._over_all_rows(self._ordered(q.over_all_rows))
        if q.effect == "direct" or (self._apart and not q.missing_at_random) or isinstance(self._complete, Hedge):
            return None
        left = f"P({named(q.outcome)} | do({named(q.treatment)}))"
        free = mentioned(self._complete) - {q.treatment, q.outcome}
        whatever = f", whatever the value of {', '.join(self._ordered(free))}" if free else ""
        return f"{left} = {primed(self._complete, q.treatment)}{whatever}"

    def _over_all_rows(self, covariates: tuple[str, ...]) -> str:
        q = self.question
        gaps = self._ordered({q.diagram.missing[mark] for mark in q.held()})
        z, given = ", ".join(map(named, covariates)), ", ".join(map(named, (*covariates, q.treatment)))
        seen = f"P({named(q.outcome)} | {given}, where {' and '.join(map(named, gaps))} is seen)"
        return f"P({named(q.outcome)} | do({named(q.treatment)})) = " + (
            f"sum over {z} of P({z}) {seen}" if z else seen
        )

    @property
    def _apart(self) -> bool:
        """Whether selection or missing values decide who is in the data: then only adjustment is looked for."""
        return bool(self.question.diagram.selected or self.question.diagram.missing)

    @cached_property
    def _complete(self) -> Any:
        q = self.question
        return identified(q.diagram, q.treatment, q.outcome)

    # -- what to write ---------------------------------------------------------------------------------------------

    @property
    def design(self) -> str | None:
        """``"adjustment"``, ``"instrument"`` or ``"front door"``: the first there is, in the order of trust.

        A front door needs no more than the graph; an instrument besides that its effect is the same for all, or that
        it moves nobody the other way.
        """
        if self.adjustment_sets:
            return "adjustment"
        if self.front_door:
            return "front door"
        return "instrument" if self.instruments else None

    @property
    def formula(self) -> str:
        """The formula that ``cf.fit`` takes, with ``.method`` and ``.options`` where these are not the default.

        Raises
        ------
        IdentificationError
            Where no design identifies the effect, with the path that stays open.
        """
        if self.design is None:
            known = self.expression
            other = "" if known is None else f". An expression does, which no formula writes: {known}"
            raise IdentificationError(f"{self.why_not}{other}")
        return self.formula_for(self.design)

    @property
    def method(self) -> str | None:
        """``"front_door"`` where that is the design; else None, for the method of your choice."""
        return "front_door" if self.design == "front door" else None

    @property
    def options(self) -> Mapping[str, str]:
        """Options of the method: the mediators of a front door."""
        if self.design != "front door":
            return {}
        return {"mediators": " + ".join(map(symbol, self.front_door[0].mediators))}

    @asks
    def formula_for(self, design: str) -> str:
        """The formula of one kind of design.

        Parameters
        ----------
        design : {"adjustment", "front door", "instrument"}

        Returns
        -------
        str

        Raises
        ------
        IdentificationError
            Where there is no design of that kind.
        """
        q = self.question
        head = f"{symbol(q.outcome)} ~ treat({symbol(q.treatment)})"
        covariates: tuple[str, ...] = ()
        design = design.replace("_", " ") if isinstance(design, str) else design  # as the method is written
        if not getattr(self, DESIGNS[one_of("design", design, DESIGNS)]):
            raise IdentificationError(f"the graph has no {design} for this effect")
        if design == "adjustment":
            covariates = self.adjustment_sets[0] if self.optimal is None else self.optimal
        elif design == "front door":
            covariates = self.front_door[0].covariates
        else:
            head += f" + iv({symbol(self.instruments[0].name)})"
            covariates = self.instruments[0].covariates
        return head + (f" + adjust({' + '.join(map(symbol, covariates))})" if covariates else "")

    # -- why not ---------------------------------------------------------------------------------------------------

    @property
    def why_not(self) -> str:
        """Why no set of covariates identifies the effect: the path that stays open; empty where one does."""
        if self.adjustment_sets:
            return ""
        q = self.question
        what = f"the {q.effect} effect of {q.treatment} on {q.outcome}"
        who = "who are in the data" if q.diagram.selected else "whose rows are complete"
        path = q.why_not()
        if path is not None:
            told = f"{path} stays open: {self._unblocked(path)}"
        elif not q.recovered(()):
            told = f"those {who} are not the population: {self._selected()}"
        else:
            told = self._gaps()
        if self._apart or self.design is not None or self.expression is not None:
            rows = " of complete rows" if q.diagram.missing and not q.diagram.selected else ""
            return f"no adjustment{rows} identifies {what}: {told}"
        return f"nothing in this graph identifies {what}: {told}{self._hedged()}"

    def _unblocked(self, path: Path) -> str:
        q = self.question
        words = []
        for name in path.others:
            if name in q.diagram.latent:
                words.append(f"{name} is latent")
            elif name in q.forbidden:
                words.append(f"{name} must not be adjusted for, as {q.treatment} acts through or on it")
        words += ["their common cause is not measured"] if "<->" in path.marks else []
        opened = [name for name in path.colliders if name in q.diagram.ancestors(*q.held())]
        words += [f"the data are selected by {', '.join(opened)} or by what it causes"] if opened else []
        opened = [n for n in path.colliders if n not in opened]
        words += [f"{', '.join(opened)} must be adjusted for on another path, which opens this one"] if opened else []
        return "; ".join(words) or "nothing on it was measured"

    def _selected(self) -> str:
        ways = (self._joined(mark) for mark in self._ordered(self.question.held()))
        return next((f"{way} joins the outcome to the selection" for way in ways if way), _HANGS)

    def _gaps(self) -> str:
        """Why no set does where some set blocks all paths: what is adjusted for has gaps."""
        q = self.question
        for mark, variable in q.diagram.missing.items():
            if variable in q.candidates and (way := self._joined(mark)):
                return f"{variable} has gaps, and {way} joins the outcome to the rows that have {variable}"
        return "no single set does both: block all paths, and leave out what makes the data a selection"

    def _joined(self, mark: str) -> Path | None:
        """A path that joins the outcome to a mark of who is in the data."""
        q = self.question
        if q.effect == "total":
            return open_path(q.backdoor, q.outcome, mark, ())
        return open_path(q.diagram, q.outcome, mark, (q.treatment,))

    def _hedged(self) -> str:
        q = self.question
        if q.effect == "direct" or not isinstance(self._complete, Hedge):
            return ""
        return (
            f". No instrument or front door is there either, nor any other expression: "
            f"{', '.join(map(named, self._complete.outer))} hang together by unmeasured common causes"
        )

    # -- print -----------------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        q = self.question
        lines = [f"{q.effect.capitalize()} effect of {q.treatment} on {q.outcome}"]
        if not q.on_the_way:
            lines.append(f"No causal path leads from {q.treatment} to {q.outcome}: the effect is zero in this graph")
        elif q.effect == "direct" and (q.treatment, q.outcome) not in q.diagram.arrows:
            lines.append(f"No arrow leads from {q.treatment} to {q.outcome}: the direct effect is zero in this graph")
        if self.adjustment_sets:
            lines += ["", "Adjust for one of these sets:", *self._sets()]
        else:
            why = self.why_not
            lines += ["", f"{why[0].upper()}{why[1:]}."]
        lines += self._others()
        lines += self._paths()
        if self.design is not None:
            lines += ["", f"Formula: {self.formula}{self._by()}"]
        return "\n".join([*lines, *self._notes()])

    __repr__ = __str__

    def _sets(self) -> list[str]:
        shown = list(self.adjustment_sets[:MOST_LISTED])
        rows = [("  " + (", ".join(z) or "nothing")) + ("  (optimal)" if z == self.optimal else "") for z in shown]
        if len(self.adjustment_sets) > len(shown):
            rows.append(
                f"  and {len(self.adjustment_sets) - len(shown)} more{' or yet more' * self.question.cut_short}"
            )
        if self.optimal is not None and self.optimal not in shown:
            rows.append(
                f"  {', '.join(self.optimal) or 'nothing'}  (optimal: the least variance, though not the fewest)"
            )
        return rows

    def _others(self) -> list[str]:
        lines = []
        if self.front_door:
            lines += ["", "Front door:", *(f"  {door}" for door in self.front_door[:MOST_LISTED])]
        if self.instruments:
            lines += ["", "Instruments:", *(f"  {one}" for one in self.instruments[:MOST_LISTED])]
        if not self.adjustment_sets and self.expression is not None:
            lines += ["", f"Expression: {self.expression}"]
        return lines

    def _paths(self) -> list[str]:
        q = self.question
        found = [path for path in self.paths if not path.causal]
        if not found:
            return []
        rows = [f"  {path}: {self._blocking(path)}" for path in found[:MOST_LISTED]]
        yet = " or yet more" * (len(self.paths) >= MOST_PATHS)
        more = [f"  and {len(found) - MOST_LISTED} more{yet}"] if len(found) > MOST_LISTED else []
        return ["", f"Other paths from {q.treatment} to {q.outcome}:", *rows, *more]

    def _blocking(self, path: Path) -> str:
        """What blocks a path, in words."""
        q = self.question
        usable = [name for name in path.others if name in q.candidates]
        held = q.held()
        closed = [name for name in path.colliders if name not in q.diagram.ancestors(*held)]
        if closed:
            several = len(closed) > 1
            causes, are = ("what they cause", "are") if several else ("what it causes", "is")
            unless = f"closed, unless {' and '.join(closed)} (or {causes}) {are} adjusted for"
            return unless + (f"; {' or '.join(usable)} blocks it then" if usable else "")
        return (
            f"open; blocked by {' or '.join(usable)}" if usable else "open; nothing that may be adjusted for blocks it"
        )

    def _by(self) -> str:
        if self.design == "front door":
            return f', method="front_door", mediators="{self.options["mediators"]}"'
        return ""

    def _notes(self) -> list[str]:
        q, notes = self.question, []
        if q.effect == "direct":
            notes.append(
                "the direct effect is that of the arrow itself, with mediators held fixed: one number in a linear "
                "model without interactions"
            )
        if self.design == "instrument":
            notes.append(
                "an instrument gives the effect if it is the same for all, or in those whom the instrument moves, if "
                "it moves nobody the other way"
            )
        if q.over_all_rows is not None:
            covariates = ", ".join(self._ordered(q.over_all_rows))
            notes.append(
                f"P({covariates}) is that of all rows; cf.fit(...) with adjust(...) averages over the complete ones, "
                f"which gives this effect if it is the same whatever {covariates} is"
            )
        elif q.missing_at_random and not self.adjustment_sets and self.expression is not None:
            notes.append("values are missing at random: all rows, imputed or weighted, give what no gaps would give")
        if self._apart:
            marks = some([*self._ordered(q.diagram.selected), *q.diagram.missing])
            notes.append(
                f"adjustment is judged in the complete rows of those who are in the data ({marks}); instruments, front "
                "doors and other expressions are not looked for there"
            )
        return ["", *(f"Note: {note}" for note in notes)] if notes else []

    def _ordered(self, names: Any) -> tuple[str, ...]:
        return self.question.diagram.in_order(names)


def coloured(found: Identification, given: Collection[str]) -> tuple[set[Drawn], set[Drawn]]:
    """Edges of causal paths, and of paths that are open besides when some nodes are adjusted for."""
    held = {*given, *found.question.held(given)}
    causal = {edge for path in found.paths if path.causal for edge in _edges(path)}
    opened = [path for path in found.paths if not path.causal and path.open(found.question.diagram, held)]
    return causal, {edge for path in opened for edge in _edges(path)} - causal


def _edges(path: Path) -> list[Drawn]:
    """Edges of a path as they are drawn, bidirected ones by either end first."""
    found = []
    for (a, b), mark in zip(pairwise(path.nodes), path.marks, strict=True):
        found += [(a, b, mark == "<->")] * (mark != "<-") + [(b, a, mark == "<->")] * (mark != "->")
    return found
