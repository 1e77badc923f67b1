"""What workers in other processes do with a task, and how its errors come back as they were."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic

from causalformula.scale.sources.source import Chunk, Merge, P, Task, merged


@dataclass(frozen=True)
class Failed:
    """An error of a task in a worker: an answer too, so that no engine tries the same rows again.

    Parameters
    ----------
    error : Exception
    where : str
        Its lines, in the worker.
    """

    error: Exception
    where: str

    @classmethod
    def of(cls, error: Exception) -> Failed:
        """An error as it can be sent."""
        where = "".join(traceback.format_exception(error))
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # of its class only the text can be sent
            return cls(RuntimeError(f"{type(error).__name__}: {error}"), where)
        return cls(error, where)


@dataclass(frozen=True)
class Ordered(Generic[P]):
    """A merge of answers of which any may be an error, or none."""

    merge: Merge[P]

    def __call__(self, parts: Iterable[Any]) -> Any:
        """All of them as one; the first error, if there is one."""
        found = list(parts)
        failed = next((part for part in found if isinstance(part, Failed)), None)
        return merged(found, self.merge) if failed is None else failed


@dataclass(frozen=True)
class Partial(Generic[P]):
    """A task on the chunks of one worker, merged."""

    task: Task[P]
    merge: Merge[P]

    def __call__(self, chunks: Iterable[Chunk]) -> Any:
        """What the task says of them all, None, or ``Failed``."""
        total = None
        for chunk in chunks:
            try:
                part = self.task(chunk)
                total = merged([total, part], self.merge)
            except Exception as error:
                return Failed.of(error)
        return total


def opened(answer: Any) -> Any:
    """An answer, or its error raised here."""
    if isinstance(answer, Failed):
        answer.error.add_note(f"in a worker:\n{answer.where}")
        raise answer.error
    return answer
