"""``Passes``: a plan and where its rows are; each question to all rows is one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from causalformula.errors import DataError
from causalformula.inference.evidence import Part, Task
from causalformula.scale.chunk_frames import AnyChunk
from causalformula.scale.plan import Plan
from causalformula.scale.sources.source import Chunk, Sortable, Source, merged
from causalformula.scale.sums import added

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _OnFrames:
    """A task on frames as one on chunks; it pickles if the task does."""

    plan: Plan
    task: Callable[[Any], Any]

    def __call__(self, chunk: Chunk) -> Counted | None:
        frame = self.plan.frame(chunk)
        return None if frame is None else Counted(frame.n, self.task(frame))


@dataclass(frozen=True, eq=False)
class Counted:
    """What a task says of some rows, and of how many."""

    rows: int
    found: Any

    def __add__(self, other: Counted) -> Counted:
        return Counted(self.rows + other.rows, merged([self.found, other.found], added))


@dataclass(frozen=True, eq=False)
class Passes:
    """A plan, and the source of its rows.

    Parameters
    ----------
    source : Source
    plan : Plan
    """

    source: Source
    plan: Plan

    @property
    def words(self) -> str:
        """Where the rows are."""
        return self.source.words

    def with_columns(self, names: Iterable[str]) -> Passes:
        """The same, of which frames have further columns of the data."""
        return replace(self, plan=self.plan.with_columns(names))

    def total(self, task: Callable[[AnyChunk], T], *, ids: bool = False) -> T:
        """What a task says of the frames of all chunks, added up by ``+``.

        With ``ids`` a frame's index has the rows' numbers in the whole data, where the source numbers them.

        Raises
        ------
        DataError
            If other rows are kept than those counted: the data have changed since the plan was made.
        """
        found: Counted | None = self.source.run(
            _OnFrames(self.plan, task), self.plan.reading.columns, added, ids=ids and self.source.numbered
        )
        if found is None:
            raise DataError(f"{self.words}: the rows are gone since the fit; fit again")
        if found.rows != (before := self.plan.survey.kept):
            raise DataError(f"{self.words}: there are {found.rows} rows now, and there were {before}; fit again")
        answer: T = found.found
        return answer

    def gather(self, part: Part, task: Task, by: tuple[str, ...], ordered: bool = False) -> Any:
        """See ``inference.evidence.Rows``."""
        passes = self.with_columns(by)
        return (passes.sorted_by(by) if ordered else passes).total(_OnInfluences(part, task, by))

    def groups(self, by: tuple[str, ...]) -> int:
        """See ``inference.evidence.Rows``: of columns of the data, in an engine that sorts."""
        source = self.source
        if isinstance(source, Sortable) and {*by} <= {*self.plan.reading.known}:
            return source.groups(by)
        return 0

    def sorted_by(self, names: tuple[str, ...]) -> Passes:
        """The same, of rows sorted by columns of the data; chunks are added up in this order."""
        assert isinstance(self.source, Sortable)
        return replace(self, source=self.source.sorted_by(names))


@dataclass(frozen=True, eq=False)
class _OnInfluences:
    part: Part
    task: Task
    by: tuple[str, ...]

    def __call__(self, frame: AnyChunk) -> Any:
        return self.task(self.part.at(frame), [frame.keys(name) for name in self.by])
