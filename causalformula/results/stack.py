"""Several fits as one: ``stack``, differences, sums and multiples, through their influences on common units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.fit import Answer, Fit, Label, Query, unit_design
from causalformula.backends.options import listed_names
from causalformula.errors import CapabilityError, OptionError, asks
from causalformula.frame.grouping import Grouping
from causalformula.inference.covariance import Covariance, covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.request_text import describe, read_request
from causalformula.inference.requests import Cluster, Request, Vcov
from causalformula.inference.sandwich.joint import Joint, join
from causalformula.inference.scales import Measure
from causalformula.results.call import Call
from causalformula.results.design import Design
from causalformula.results.effects.summary import Summary, scale_note
from causalformula.results.full_leverage import told_of_full_leverage
from causalformula.results.joint.member import EXACT, Member, common_request, common_unit
from causalformula.results.joint.units import Units
from causalformula.results.model import Model
from causalformula.results.named import grouping_names
from causalformula.results.reading.estimates import respelled
from causalformula.results.result import Result
from causalformula.results.wording import dose_notes, missing_notes
from causalformula.words import Spelling

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Joined(Call):
    """The call behind a stack: the union of the fits' rows, and the covariance that they share.

    Parameters
    ----------
    request : Request
    members : tuple of (str, Call)
        The causal fits' names and calls.
    """

    request: Request = field(default_factory=lambda: EXACT)
    members: tuple[tuple[str, Call], ...] = ()

    def default_vcov(self) -> Request:
        """What the fits have in common."""
        return self.request

    def covariance(self, answer: Answer, request: Any, query: Query | None) -> Covariance:
        """Covariance of combinations of the fits."""
        request = self.request if request is None else read_request(request)
        found = covariance(answer.estimate, request, groups=self.codes(grouping_names(request)))
        idle = tuple(f"Note: {note}" for note in self.idle_notes(request))
        return told_of_full_leverage(replace(found, notes=(*found.notes, *idle)), self.frame.index)

    def own_groups(self, name: str) -> Grouping | None:
        """A grouping that one design made, which all the fits share.

        Raises
        ------
        CapabilityError
            For that of a design which is not the design of all fits.
        """
        own = [call.own_groups(name) for _, call in self.members]
        made = [grouping for grouping in own if grouping is not None]
        if not made:
            return None
        rows: Units = self.frame  # type: ignore[assignment]
        everywhere = len(made) == len(rows.frames) and all(len(each.codes) == rows.n for each in made)
        if everywhere and all(np.array_equal(each.codes, made[0].codes) for each in made):
            return made[0]
        raise CapabilityError(
            f"the fits do not share one design, and {name!r} are the matched sets or strata of one: they are no "
            "clusters of the others. Give all fits another covariance, as in fit.with_vcov('HC3')"
        )

    def idle_notes(self, request: Request) -> tuple[str, ...]:
        """What the fits' formulas say that has no part in these standard errors."""
        return named([(name, call, call.idle_notes(request)) for name, call in self.members])


def named(told: Sequence[tuple[str, object, Sequence[str]]]) -> tuple[str, ...]:
    """Notes with the names of the fits that they are of; a stack's own have some already.

    Parameters
    ----------
    told : sequence of (name, fit or call, notes)
    """
    names: dict[str, list[str]] = {}
    for name, source, notes in told:
        apart = isinstance(source, Joined) or (isinstance(source, Stack) and not source.coefficients)
        for note in notes:
            names.setdefault(note, []).extend([] if apart else [name])
    return tuple(f"{', '.join(of)}: {note}" if of else note for note, of in names.items())


def _told(members: Sequence[Member], names: Sequence[str], kind: str) -> tuple[str, ...]:
    """What the fits' own prints say, each note once, with the names of the fits that it is of."""
    out = []
    for name, member in zip(names, members, strict=True):
        found = list(getattr(member.fit.fit, kind)) if isinstance(member.fit, Result) else []
        if kind == "notes" and not isinstance(member.fit, Stack):
            frame = member.frame
            found += [*missing_notes(frame), *frame.notes]
            if isinstance(member.fit, Result):
                found += [*dose_notes(frame.treatment), *member.fit.design.imbalance]
        out.append((name, member.fit, found))
    return named(out)


def _evidence(members: Sequence[Member], units: Units) -> Joint:
    """All fits' estimates, one after the other."""
    found = [member.parts(units) for member in members]
    whole = join([part for parts, _ in found for part in parts], units.n)
    mix = np.zeros((sum(len(m) for _, m in found), whole.size))
    row = column = 0
    for _, m in found:
        mix[row : row + m.shape[0], column : column + m.shape[1]] = m
        row, column = row + m.shape[0], column + m.shape[1]
    return whole.map(mix)


# -- the stack -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class Stack(Result):
    """Estimates of several fits with their joint covariance, made by ``cf.stack`` or by arithmetic of fits.

    Attributes
    ----------
    fits : tuple
        What was combined.
    title : str
    coefficients : bool
        Whether the rows are coefficients of models, which arithmetic matches by their names.
    """

    fits: tuple[Any, ...] = ()
    title: str = ""
    coefficients: bool = False

    def _unanswered(self) -> set[str]:
        of_one = {"design", "outcome", "propensity", "first_stage", "means", "by", "permutation_test"}
        return super()._unanswered() | of_one

    def glance(self, names: Spelling = "broom") -> pd.DataFrame:
        """One row: units, number of fits, covariance.

        Parameters
        ----------
        names : {"broom", "snake"}
            As for a fit.

        Returns
        -------
        DataFrame
        """
        import pandas as pd

        row = {"nobs": self.nobs, "fits": len(self.fits), "vcov": describe(self.covariance.request)}
        return respelled(pd.DataFrame([row]), names)

    def summary(self, level: float = 0.95) -> Summary:
        """The table of effects, and the joint test where there is one.

        Parameters
        ----------
        level : float
            Of the confidence limits.

        Returns
        -------
        Summary
        """
        reading = self.read(level)
        cells = reading.cells([str(label) for label in self.answer.labels], level)
        head = f"{self.title}\nFits: {len(self.fits)}      Units: {self.nobs}"
        if self.answer.measure.name != "difference":
            head += f"      Measure: {self.answer.measure.name.replace('_', ' ')}"
        tail = [f"Standard errors: {self.covariance.label}", *self.covariance.notes]
        tail += [*(f"Note: {note}" for note in self.fit.notes_under(self.covariance.request)), *scale_note(self)]
        return Summary((head, "", cells, *tail, *(["", str(self.test)] if self.test is not None else [])))

    def __repr__(self) -> str:
        return str(self.summary())

    __str__ = __repr__

    def _page(self) -> Summary:
        return self.summary()


@asks
def stack(
    fits: Sequence[Result | Model] | Mapping[str, Result | Model],
    names: Sequence[str] | None = None,
    vcov: Vcov | None = None,
) -> Stack:
    """Several fits as one result: one row an effect of each fit, with the covariance between fits.

    Fits of the same units are correlated, and those of other units are not. Units are identified by the data's row
    labels, also where the fits were given different data objects: the same label means the same unit.

    Parameters
    ----------
    fits : sequence or mapping of str to Result or Model
        Other methods, outcomes, adjustments or subsets. The measures must be the same.
    names : sequence of str, optional
        What the fits are called; ``fit1, fit2, ...`` where not given.
    vcov : str or request, optional
        ``"asympt"``, ``"HC0"`` ... ``"HC5"`` or clusters. By default what the fits share; otherwise, clusters where any
        fit has them; otherwise the exact influences over rows. Each fit keeps its own adjustment and factor, so that
        with a shared request its standard errors are those that it has by itself.

    Returns
    -------
    Stack
        A ``Result``: ``.tidy()``, ``.cov_params()``, ``.hypothesis("fit1 = fit2")``, ``.simultaneous()``.

    Raises
    ------
    DataError
        Where row labels repeat, or are mere positions in data of different length, which identify no unit.
    CapabilityError
        For a fit without influence function.

    Notes
    -----
    Stata: ``suest``; R: ``lava::merge.estimate``.

    Examples
    --------
    >>> import causalformula as cf
    >>> heart = cf.datasets.load("heart")
    >>> plain = cf.fit("Severity ~ treat(Drug)", heart, vcov="HC2")
    >>> adjusted = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart, vcov="HC2")
    >>> both = cf.stack({"plain": plain, "adjusted": adjusted})
    >>> bool(both.hypothesis("plain = adjusted").test.p_value < 0.001)
    True
    """
    if isinstance(fits, Mapping):
        names = list(fits) if names is None else names
        fits = list(fits.values())
    if not isinstance(fits, Sequence):
        raise OptionError(
            "cf.stack takes a list of fits, or a dict with their names: cf.stack({'a': fit_a, 'b': fit_b})"
        )
    members = [Member.of(fit) for fit in fits]
    if not members:
        raise OptionError("there is nothing to stack")
    names = [f"fit{k + 1}" for k in range(len(members))] if names is None else listed_names(names, len(members))
    measures = {member.measure.name for member in members}
    if len(measures) > 1:
        raise OptionError(f"the fits have measures {' and '.join(sorted(measures))}; fit them with the same")
    labels = tuple(
        replace(label, groups=(("fit", name), *label.groups))
        for name, member in zip(names, members, strict=True)
        for label in member.labels
    )
    return stacked(members, labels, members[0].measure, f"{len(members)} fits with their joint covariance", names, vcov)


def stacked(
    members: Sequence[Member],
    labels: tuple[Label, ...],
    measure: Measure,
    title: str,
    names: Sequence[str],
    vcov: Vcov | None = None,
) -> Stack:
    """The fits' estimates one after the other, with their joint covariance and what each fit's print must say."""
    units = Units.of([member.frame for member in members])
    theta = np.concatenate([member.estimate.theta for member in members])
    estimate = Estimate(tuple(map(str, labels)), theta, _evidence(members, units))
    answer = Answer(estimate, labels, measure)
    request = common_request(members) if vcov is None else read_request(vcov)
    unit = common_unit(members)
    if unit is not None and not (isinstance(request, Cluster) and unit in request.by):
        raise CapabilityError(
            f"one fit's influence is on units and another's on rows: their covariance needs clusters of {unit}, as in "
            f"vcov='~{unit}'"
        )
    # a stack has no formula of its own: that of the first fit stands in for it
    first = next((m.fit.call for m in members if isinstance(m.fit, Result)), None)
    text, spec, options = ("", None, None) if first is None else (first.text, first.spec, first.options)
    calls = tuple((name, m.fit.call) for name, m in zip(names, members, strict=True) if isinstance(m.fit, Result))
    call = Joined(text, spec, units, options, request=request, members=calls)  # type: ignore[arg-type]
    told = {kind: _told(members, names, kind) for kind in ("notes", "caveats", "given")}
    fit = Fit(answer, "", unit_design(units.n), title, **told)
    fits = tuple(member.fit for member in members)
    design = Design(fit.design, call)
    return Stack(answer, call.covariance(answer, None, None), call, fit, design, fits=fits, title=title)
