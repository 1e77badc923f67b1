"""``WholeFrame``: a causal question bound to rows that are elsewhere, as results and their prints read one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, NoReturn

import numpy as np

from causalformula.errors import CapabilityError, OptionError
from causalformula.formula.expressions.operators import floats
from causalformula.formula.expressions.times import Times
from causalformula.formula.expressions.values import Factor, Strings, as_factor, missing, take
from causalformula.formula.language.grammar import variables
from causalformula.frame.grouping import Grouping, grouping, quartile_codes, quartile_cuts
from causalformula.frame.model_frame import MOST_VALUES, ModelFrame
from causalformula.frame.regression_frame import RegressionFrame
from causalformula.inference.away import Away, away
from causalformula.inference.sandwich import ended
from causalformula.inference.sandwich.ended import Ended, grouped, told
from causalformula.inference.sandwich.grouped import Grouped
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.families import Family
from causalformula.scale.chunk_frames import AnyChunk
from causalformula.scale.order import order_statistics, quantiles
from causalformula.scale.passes import Passes
from causalformula.scale.preparation import Survey


@dataclass(frozen=True, eq=False)
class WholeGroups(Grouping):
    """Groups of a column for effects by group, whose codes each chunk finds for its own rows.

    Parameters
    ----------
    cuts : ndarray, optional
        Quartiles of numbers or times, where it is cut at these.
    """

    cuts: Array | None = None

    def of(self, frame: AnyChunk) -> Codes:
        """The groups (n,) of a chunk's rows."""
        value = take(frame.table.named(self.name), frame.rows)
        if self.cuts is not None:
            numbers = value.values if isinstance(value, Times) else floats(value, self.name)
            if np.isnan(numbers).any():
                grouping(self.name, value, frame.index)
            return quartile_codes(numbers, self.cuts)
        found = grouping(self.name, value, frame.index)
        place = np.array([self.levels.index(level) for level in found.levels], dtype=np.intp)
        return place[found.codes]


@dataclass(frozen=True, eq=False, kw_only=True)
class WholeFrame(ModelFrame):
    """A few rows that have every level, with the counts of all rows; arrays of rows are away.

    Parameters
    ----------
    passes : Passes
    """

    passes: Passes

    @classmethod
    def of(cls, passes: Passes) -> WholeFrame:
        """Of a plan and its source."""
        like, survey = passes.plan.prototype, passes.plan.survey
        assert isinstance(like, ModelFrame)
        rows = away(passes.words)
        own = {f.name: getattr(like, f.name) for f in fields(like)}
        own |= {
            "total": survey.total,
            "missing_by": survey.missing_by,
            "notes": passes.plan.notes,
            "weights": None if like.weights is None else rows,
            "offset": None if like.offset is None else rows,
            "passes": passes,
        }
        return cls(**own)

    def _away(self) -> NoReturn:
        Away(self.passes.words).refuse()

    @property
    def survey(self) -> Survey:
        """Counts of all rows."""
        return self.passes.plan.survey

    def refuse_away(self) -> None:
        """Away."""
        self._away()

    @property
    def size(self) -> int:
        """See ``BoundRows``."""
        return self.survey.kept

    @property
    def nobs(self) -> int:
        """See ``ModelFrame``."""
        return self.survey.nobs

    @property
    def unit_weights(self) -> Array:
        """Away."""
        self._away()

    @property
    def y(self) -> Array:
        """Away."""
        self._away()

    @property
    def sampled(self) -> Any:
        """Away."""
        self._away()

    @property
    def counts_trials(self) -> bool:
        """Whether weights are numbers of trials, beside shares of successes."""
        return self.survey.shares and self.survey.whole

    def outcome_for(self, family: Family) -> Array:
        """Away."""
        self._away()

    def reweight(self, w: Array) -> ModelFrame:
        """Away."""
        self._away()

    def take(self, rows: Codes) -> ModelFrame:
        """Away."""
        self._away()

    def with_treatment(self, rows: Codes) -> ModelFrame:
        """Away."""
        self._away()

    def groups(self, name: str) -> Grouping:
        """Away."""
        self._away()

    def numbers(self, name: str) -> Array:
        """Away."""
        self._away()

    def data_used(self) -> Any:
        """Away."""
        self._away()

    def codes(self, names: Iterable[str]) -> dict[str, Codes]:
        """No codes: passes find the groups of a chunk's rows; a column that the data do not have is refused."""
        self.passes.with_columns(names)
        return {}

    def clusters_by_arm(self, name: str) -> Codes:
        """In how many clusters of a grouping each arm has a row of positive weight (levels,)."""
        found: Codes = self._remember(("clusters", name), lambda: self._clusters(name))
        return found

    def _clusters(self, name: str) -> Codes:
        passes, ordered = by_group(self.passes, name)
        return np.asarray(told(passes.total(_ArmsOf(name, ordered)), _with_rows))

    def levels_of(self, name: str) -> WholeGroups:
        """Groups of a column, each of its values one.

        Raises
        ------
        CapabilityError
            For numbers of more than a few values.
        """
        found: Values = self.passes.with_columns((name,)).total(_ValuesOf(name))
        if found.many:
            raise CapabilityError(
                f"{name!r} has more than {MOST_VALUES} values, too many for models within each of them where the data "
                "are; cut it, and name that column"
            )
        levels = grouping(name, found.sample, range(10**9)).levels
        return WholeGroups(name, levels, away(self.passes.words))  # type: ignore[arg-type]

    def subgroups(self, name: str) -> Grouping:
        """See ``ModelFrame``."""
        if not isinstance(name, str):
            raise OptionError(f"effects are by one column, named by text, not {name!r}")
        passes = self.passes.with_columns((name,))
        if self.spec.outcome is not None and name in variables(self.spec.outcome):
            raise OptionError(
                f"{name!r} is the outcome; effects by groups of it are no effects. Name a column that the treatment "
                "does not change"
            )
        found: Values = passes.total(_ValuesOf(name))
        if isinstance(found.sample, (np.ndarray, Times)) and found.many:
            # five numbers that have the quartiles of all
            five = quarters(passes, name, isinstance(found.sample, Times))
            cuts, levels = quartile_cuts(found.sample.of_days(five) if isinstance(found.sample, Times) else five)
            return WholeGroups(name, levels, away(self.passes.words), cuts)  # type: ignore[arg-type]
        levels = grouping(name, found.sample, range(10**9)).levels
        return WholeGroups(name, levels, away(self.passes.words))  # type: ignore[arg-type]


def by_group(passes: Passes, name: str) -> tuple[Passes, bool]:
    """Passes that have a grouping, and whether the rows are sorted by it as there are too many groups to hold."""
    ordered = passes.groups((name,)) > ended.MOST_HELD
    found = passes.with_columns((name,))
    return (found.sorted_by((name,)) if ordered else found), ordered


def count_groups(passes: Passes, name: str) -> int:
    """How many groups the rows kept have."""
    found, ordered = by_group(passes, name)
    return int(told(found.total(_GroupsOf(name, ordered)), _counted))


def _counted(groups: Grouped) -> int:
    return len(groups.sums)


@dataclass(frozen=True)
class _GroupsOf:
    name: str
    ordered: bool

    def __call__(self, frame: AnyChunk) -> Grouped | Ended:
        return grouped(frame.keys(self.name), np.empty((frame.n, 0)), _counted, self.ordered)


def _with_rows(clusters: Grouped) -> Codes:
    return np.asarray((clusters.sums > 0).sum(axis=0))


@dataclass(frozen=True)
class _ArmsOf:
    name: str
    ordered: bool

    def __call__(self, frame: AnyChunk) -> Grouped | Ended:
        assert isinstance(frame, ModelFrame)
        arms = frame.the_treatment
        rows = np.zeros((frame.n, len(arms.levels)))
        rows[np.arange(frame.n), arms.codes] = frame.unit_weights > 0
        return grouped(frame.keys(self.name), rows, _with_rows, self.ordered)


@dataclass(frozen=True, eq=False)
class Values:
    """Distinct values of a column, as far as groups need them."""

    sample: Any
    many: bool

    def __add__(self, other: Values) -> Values:
        return _distinct(joined_values(self.sample, other.sample), self.many or other.many)


def joined_values(a: Any, b: Any) -> Any:
    """The values of two chunks of one column."""
    if isinstance(a, np.ndarray):
        return np.concatenate([a, b])
    if isinstance(a, Times):
        return a.of_days(np.concatenate([a.days(), b.days()]))
    one, other = as_factor(a), as_factor(b)
    if one.levels == other.levels:
        return Factor(np.concatenate([one.codes, other.codes]), one.levels, one.ordered)
    text = np.concatenate([np.asarray(f.levels, dtype=object)[f.codes] for f in (one, other)])
    return Strings.of(text.tolist())


def _distinct(value: Any, many: bool) -> Values:
    if isinstance(value, (np.ndarray, Times)):
        numbers = value if isinstance(value, np.ndarray) else value.days()
        _, first = np.unique(numbers, return_index=True)
        return Values(take(value, first[: MOST_VALUES + 1]), many or len(first) > MOST_VALUES)
    _, first = np.unique(as_factor(value).codes, return_index=True)
    return Values(take(value, first), False)


@dataclass(frozen=True)
class _ValuesOf:
    name: str

    def __call__(self, frame: AnyChunk) -> Values:
        value = take(frame.table.named(self.name), frame.rows)
        gone = missing(value)
        if gone is not None and gone.any():
            grouping(self.name, value, frame.index)
        return _distinct(value, False)


@dataclass(frozen=True)
class _Numbers:
    """A function of a column's numbers, those of times in days."""

    name: str
    function: Callable[[Array], Any]

    def __call__(self, frame: AnyChunk) -> Any:
        value = take(frame.table.named(self.name), frame.rows)
        return self.function(value.days() if isinstance(value, Times) else floats(value, self.name).astype(float))


def quarters(passes: Passes, name: str, times: bool) -> Array:
    """The ends and quartiles (5,) of a column of numbers or, as dates that there are, of times."""

    def total(function: Callable[[Array], Any]) -> Any:
        return passes.total(_Numbers(name, function))

    count, points = passes.plan.survey.kept, np.linspace(0, 1, 5)
    if times:
        return order_statistics(total, np.maximum(np.ceil(count * points) - 1, 0).astype(int).tolist())
    return quantiles(total, count, points)


def whole_regression(passes: Passes) -> WholeRegression:
    """A plain regression's frame with the counts of all rows; its arrays of rows are away."""
    like, survey, rows = passes.plan.prototype, passes.plan.survey, away(passes.words)
    assert isinstance(like, RegressionFrame)
    own = {f.name: getattr(like, f.name) for f in fields(like)}
    own |= {
        "total": survey.total,
        "missing_by": survey.missing_by,
        "notes": passes.plan.notes,
        "X": rows,
        "weights": None if like.weights is None else rows,
        "offset": None if like.offset is None else rows,
        "passes": passes,
    }
    return WholeRegression(**own)


@dataclass(frozen=True, eq=False, kw_only=True)
class WholeRegression(RegressionFrame):
    """See ``WholeFrame``."""

    passes: Passes

    @property
    def size(self) -> int:
        """See ``BoundRows``."""
        return self.passes.plan.survey.kept

    def refuse_away(self) -> None:
        """Away."""
        Away(self.passes.words).refuse()

    def codes(self, names: Iterable[str]) -> dict[str, Codes]:
        """See ``WholeFrame``."""
        self.passes.with_columns(names)
        return {}

    def groups(self, name: str) -> Grouping:
        """Away."""
        Away(self.passes.words).refuse()

    def numbers(self, name: str) -> Array:
        """Away."""
        Away(self.passes.words).refuse()

    def data_used(self) -> Any:
        """Away."""
        Away(self.passes.words).refuse()
