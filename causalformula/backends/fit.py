"""What a backend returns: the answer to what was asked, the models behind it and the design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import CapabilityError, OptionError
from causalformula.frame.grouping import Grouping
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.regression import FittedRegression
from causalformula.inference.requests import Given, Request
from causalformula.inference.resampling.requests import Bootstrap, Jackknife
from causalformula.inference.scales import Measure, read_measure
from causalformula.numerics.arrays import Array, Bools, Codes


@dataclass(frozen=True)
class Label:
    """One row of an answer: term, contrast, and the groups it is for."""

    term: str
    contrast: str
    groups: tuple[tuple[str, str], ...] = ()

    @property
    def headed(self) -> str:
        """The term with its groups."""
        return " ".join([*(f"{name}={value}" for name, value in self.groups), *([self.term] if self.term else [])])

    def __str__(self) -> str:
        return " ".join(part for part in (self.headed, self.contrast) if part)


@dataclass(frozen=True, eq=False)
class Answer:
    """Estimates on their working scale, their labels, and the measure that reads them.

    Parameters
    ----------
    estimate : Estimate
        On the working scale (logarithms for ratios).
    labels : tuple of Label
    measure : Measure
    """

    estimate: Estimate
    labels: tuple[Label, ...]
    measure: Measure = field(default_factory=lambda: read_measure("difference"))


@dataclass(frozen=True, eq=False)
class Groups:
    """A grouping of rows for which effects are asked one by one."""

    name: str
    levels: tuple[str, ...]
    codes: Codes


@dataclass(frozen=True, eq=False)
class Query:
    """What is read off a fit: effects or mean potential outcomes, over everyone or by group.

    A family of methods that answers more has a subclass of its own.
    """

    kind: str = "effects"
    by: Groups | None = None

    @property
    def split(self) -> str:
        """What the rows are apart by, in words; empty where they are over everyone."""
        return "" if self.by is None else self.by.name

    @property
    def tested(self) -> str:
        """What the effects may differ by, as the test of their equality names it."""
        return self.split


class Outcomes(Protocol):
    """Mean potential outcomes for any target population: what effects, means and subgroups are made of."""

    @property
    def no_groups(self) -> str:
        """Why there are no effects by group; empty where there are."""
        ...

    def answer(self, query: Query) -> Answer:
        """Effects or means for a query."""
        ...


@dataclass(frozen=True, eq=False)
class DesignWeights:
    """The design behind a fit, on the rows kept; None where the method has no such thing.

    Parameters
    ----------
    weights : ndarray (n,)
        Balancing or matching weights, without sampling weights; ones where the method has none.
    distance : ndarray (n,), optional
        Propensity score or other distance.
    subclass : ndarray (n,) of int, optional
    pairs : ndarray (m, 1 + k) of int, optional
        Matches: the row of a focal unit, then those of its matches, -1 where there are fewer.
    probabilities : ndarray (n, K), optional
        Generalised propensity scores of several levels, one column a level.
    gaps : ndarray (m, k), optional
        Distances of the matches, as units were matched on them.
    vcov : str
        The covariance that the design asks for, as ``"~subclass"`` for pairs; empty where it asks for none of its own.
    because : str
        Why, for the print.
    redrawn : str
        Why a bootstrap that makes the design anew is not valid, and what is; empty where it is.
    strata : int
        Number of strata, which ``subclass`` counts from 1; 0 where subclasses are matched sets, or there are none.
    discarded : ndarray (n,) of bool, optional
        Rows left out before matching, as outside the common support.
    on_units : bool
        Whether the influence is on the units of ``did(..., unit = id)``, so that ``vcov`` needs no clusters of rows.
    correction : ndarray (n,), optional
        Weights of the residuals by which a doubly robust estimate corrects outcome means.
    """

    weights: Array
    distance: Array | None = None
    subclass: NDArray[Any] | None = None
    pairs: NDArray[Any] | None = None
    probabilities: Array | None = None
    strata: int = 0
    vcov: str = ""
    discarded: Bools | None = None
    gaps: Array | None = None
    because: str = ""
    redrawn: str = ""
    correction: Array | None = None
    on_units: bool = False


class Designed(Protocol):
    """What a method's design stage returns: enough to look at the design, and to estimate from it."""

    @property
    def design(self) -> DesignWeights:
        """Weights, distance, strata and matches."""
        ...

    @property
    def words(self) -> str:
        """How the design was made, for the print."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the print must say of the design."""
        ...


@runtime_checkable
class Held(Designed, Protocol):
    """A design that is held fixed: matches or strata, which MatchIt's words describe."""

    @property
    def lines(self) -> tuple[str, ...]:
        """How it was made, in MatchIt's words: method, distance, common support, caliper.

        Printed one after the other as they are, so that each ends with the line breaks that MatchIt's print has there.
        """
        ...


# A residual variance below this share of the outcome's mean square is rounding, also of sums over many rows.
ROUNDING = 1e-26


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model behind a fit, and which of the frame's designs it was fitted to (None where it was none of them)."""

    model: FittedRegression
    part: Part | None = None


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted estimator.

    Parameters
    ----------
    answer : Answer
        To the question of ``fit()``.
    estimand : str
    outcomes : Outcomes, optional
        None where the method has effects but no potential outcome means.
    models : mapping of str to Fitted
        ``outcome``, ``propensity``, ``first_stage`` where they exist.
    design : DesignWeights
    method : str
        In words, for the print.
    notes : tuple of str
    designed : Designed, optional
        What the design stage returned, for methods that have one.
    caveats : tuple of str
        What is true only of standard errors that hold the design fixed.
    given : tuple of str
        What is true of all standard errors: no resampling finds this part of the design anew.
    learned : mapping of str to Learned
        Nuisance functions that were learned and cross-fitted: by name, their predictions.
    folds : Folds, optional
        Of the cross-fitting.
    units : Units, optional
        Learners of unit effects, for methods that have them.
    told : tuple of str
        What was selected, for the print.
    """

    answer: Answer
    estimand: str
    design: DesignWeights
    method: str
    outcomes: Outcomes | None = None
    models: Mapping[str, Fitted] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    designed: Designed | None = None
    caveats: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    learned: Mapping[str, Any] = field(default_factory=dict)
    folds: Any = None
    units: Any = None
    told: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, outcomes: Any, method: str, models: Mapping[str, Fitted] | None = None, notes: tuple[str, ...] = ()
    ) -> Fit:
        """The fit of potential means, without a design of its own but for the scores of a propensity model.

        Parameters
        ----------
        outcomes : PotentialMeans
        method : str
            In words, for the print.
        models, notes
            As in ``Fit``.

        Returns
        -------
        Fit
        """
        frame, estimand = outcomes.frame, str(outcomes.options.estimand)
        design, scored = unit_design(frame.n), (models or {}).get("propensity")
        if scored is not None:
            design = replace(design, distance=scored.model.mu)
        return cls(outcomes.answer(Query()), estimand, design, method, outcomes, models or {}, notes)

    def caveats_under(self, request: Request) -> tuple[str, ...]:
        """The caveats that are true of standard errors of this kind: resampling makes the design anew each time.

        Parameters
        ----------
        request : Request

        Returns
        -------
        tuple of str
        """
        if isinstance(request, Given):
            return ()
        if isinstance(request, (Bootstrap, Jackknife)):
            return self.given
        return (*self.given, *self.caveats)

    def notes_under(self, request: Request) -> tuple[str, ...]:
        """What the print must say beside standard errors of this kind.

        Parameters
        ----------
        request : Request

        Returns
        -------
        tuple of str
        """
        return (*self.notes, *self.caveats_under(request))

    @property
    def estimate(self) -> Estimate:
        """The estimate that was asked for, on its working scale."""
        return self.answer.estimate

    @property
    def has_groups(self) -> bool:
        """Whether there are effects by group."""
        return self.outcomes is not None and not self.outcomes.no_groups

    def ask(self, query: Query) -> Answer:
        """The answer to another query from the same fit.

        Parameters
        ----------
        query : Query

        Returns
        -------
        Answer

        Raises
        ------
        CapabilityError
            If the method has no potential outcome means.
        """
        if query.kind == "effects" and not query.split:
            return self.answer
        if self.outcomes is None:
            raise CapabilityError(f"{self.method} has no mean potential outcomes, so no means() and no by()")
        return self.outcomes.answer(query)


def told_of_perfect(found: Fit, frame: ModelFrame) -> Fit:
    """The fit, with a note where its regression leaves residuals that are rounding, and so are standard errors."""
    evidence, behind = found.estimate.evidence, found.models.get("outcome")
    hat = evidence.root if isinstance(evidence, Influence) else None
    linear = hat is not None and hat.least_squares
    if behind is not None:
        hat, family = behind.model.hat, behind.model.family
        linear = (family.name, family.link.name) == ("gaussian", "identity")
    if hat is None or not linear or len(hat.e) != frame.n or not hat.perfect(frame.y - hat.e, ROUNDING):
        return found
    note = "essentially perfect fit: what is left of the outcome is rounding, and so are the standard errors"
    return replace(found, notes=(*found.notes, note))


# Groupings that a design makes, which a covariance may name where the data have no such column.
SUBCLASS, UNIT = OWN_GROUPINGS = ("subclass", "unit")


def own_grouping(made: DesignWeights, name: str) -> Grouping | None:
    """A grouping that the design made: who is in which subclass, or every row; None where it made none of that name.

    Rows in no subclass have no weight, and count, for nothing, in the first.
    """
    if name == UNIT and made.pairs is not None:
        rows = np.arange(len(made.weights))
        return Grouping(name, tuple(map(str, rows)), rows)
    if name == UNIT and made.subclass is not None:
        raise OptionError(
            "'unit' is of matches one by one, where a unit may be in several pairs; this design has strata or sets of "
            "rows, which are 'subclass'"
        )
    if name == SUBCLASS and reuses(made):
        raise OptionError("'subclass' makes no clusters here: units are in several matched sets, so these overlap")
    if name != SUBCLASS or made.subclass is None:
        return None
    texts = ["" if each is None else str(each) for each in made.subclass.tolist()]
    levels = sorted(set(texts) - {""}, key=lambda text: (len(text), text))  # numbers by size
    place = {level: k for k, level in enumerate(levels)}
    return Grouping(name, tuple(levels), np.array([place.get(text, 0) for text in texts], dtype=np.intp))


def grouped(made: DesignWeights, name: str) -> Bools:
    """Which rows (n,) are in a group that the design made."""
    if name != SUBCLASS or made.subclass is None:
        return np.ones(len(made.weights), dtype=bool)
    return np.array([each is not None for each in made.subclass.tolist()])


def reuses(made: DesignWeights) -> bool:
    """Whether a unit may be the match of several, so that matched sets overlap."""
    return made.pairs is not None and made.subclass is None


def pair_form(made: DesignWeights) -> tuple[Codes, Codes, Array]:
    """The pair data: a row for each time that a unit is used.

    Returns
    -------
    rows, sets : ndarray (r,) of int
        Row of the unit, and number of the matched set, from 0.
    share : ndarray (r,)
        Part of the unit's weight that it has in this set.
    """
    assert made.pairs is not None
    found = made.pairs[:, 1:] >= 0
    some = found.any(axis=1)
    focal, columns = np.nonzero(found)
    number = np.cumsum(some) - 1
    rows = np.concatenate([made.pairs[some, 0], made.pairs[focal, 1 + columns]])
    sets = np.concatenate([number[some], number[focal]])
    weight = np.concatenate([np.ones(int(some.sum())), 1.0 / found.sum(axis=1)[focal]])
    return rows, sets, weight / np.bincount(rows, weight)[rows]


def effective_size(w: Array) -> float:
    """Kish's effective sample size ``(sum w)^2 / sum w^2``; 0 where no row has weight."""
    if not w.any():
        return 0.0
    w = w / w.max()  # the unit cancels, and squares of a large or small one do not overflow
    return float(w.sum() ** 2 / np.dot(w, w))


def unit_design(n: int) -> DesignWeights:
    """The design of a method without weights."""
    return DesignWeights(np.ones(n))


def with_labels(answer: Answer, groups: tuple[tuple[str, str], ...]) -> Answer:
    """The answer with its rows marked as belonging to groups."""
    labels = tuple(replace(label, groups=groups) for label in answer.labels)
    names = tuple(str(label) for label in labels)
    return Answer(replace(answer.estimate, names=names), labels, answer.measure)
