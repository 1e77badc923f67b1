"""The one door for refits: what fails is a row of NaN, and work is spread over processes by joblib.

Bootstrap, jackknife, permutation and refutation all go through it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import cache, partial
from typing import Any, TypeVar

import numpy as np

from causalformula.errors import CapabilityError, CausalFormulaError
from causalformula.numerics.arrays import Array

Item = TypeVar("Item")
Found = TypeVar("Found")

# Refits that one process takes at a time: a quarter of them, but no fewer and no more than these, of no more cells of
# weights. A chunk is of so many refits whatever ``n_jobs`` is: what is computed at once is rounded
# at once, and the same bytes come out of any number of processes.
FEWEST, CHUNK, CHUNK_CELLS, SHARED = 50, 250, 4_000_000, 4


def in_chunks(work: Sequence[Item], n: int = 1) -> list[Sequence[Item]]:
    """The work in the pieces that processes share; ``n`` rows of weights for each item."""
    size = max(1, min(max(FEWEST, -(-len(work) // SHARED)), CHUNK, CHUNK_CELLS // max(n, 1)))
    return [work[i : i + size] for i in range(0, len(work), size)]


def attempt(one: Callable[[Item], Found], item: Item) -> Found | str:
    """``one(item)``, or why it failed; what the fit has to say was said of the data, of a resample it is noise.

    What a method does not offer at all (``CapabilityError``) is a mistake in the call and no failed refit.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return one(item)
        except CapabilityError:
            raise
        except (CausalFormulaError, np.linalg.LinAlgError) as error:
            return str(error) or type(error).__name__


def refit_each(
    one: Callable[[Item], Array | None], items: Iterable[Item], *, size: int | None = None, n_jobs: int | None = 1
) -> Array:
    """``one`` of each item, a row each; NaN where it failed, gave None, or gave a row of another length.

    Parameters
    ----------
    one : callable
        From an item to a row (q,).
    items : iterable
    size : int, optional
        The length of a row; that of the longest where not given.
    n_jobs : int, optional
        Processes, through joblib; None takes its current configuration's. One by default: refits within refits, of a
        chunk of replicates, stay where they are.
    """
    work = list(items)
    rows = [row for chunk in spread(partial(_rows, one), in_chunks(work), n_jobs) for row in chunk]
    width = size if size is not None else max((len(row) for row in rows if row is not None), default=1)
    out = np.full((len(rows), width), np.nan)
    for k, row in enumerate(rows):
        if row is not None and len(row) == width:
            out[k] = row
    return out


def _rows(one: Callable[[Item], Array | None], items: Sequence[Item]) -> list[Array | None]:
    found = [attempt(one, item) for item in items]
    return [None if isinstance(row, str) else row for row in found]


def spread(function: Callable[[Item], Found], work: Sequence[Item], n_jobs: int | None, words: str = "") -> list[Found]:
    """``function`` of each piece of work, in order, over processes; with a bar on a terminal where it has ``words``."""
    shown, one = _progress(work, words), partial(_on_one_thread, function)
    if len(work) < 2 or not _several(n_jobs):
        return [one(piece) for piece in shown]
    from joblib import Parallel, delayed

    return list(Parallel(n_jobs=n_jobs)(delayed(one)(piece) for piece in shown))


def stream(
    function: Callable[[Item], Found], work: Sequence[Item], n_jobs: int | None, words: str = ""
) -> Iterator[Found]:
    """The same as ``spread``, each as soon as it and those before it are there; all at once where a backend cannot."""
    one = partial(_on_one_thread, function)
    if len(work) < 2 or not _several(n_jobs):
        yield from map(one, _progress(work, words))
        return
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend

    if not get_active_backend()[0].supports_return_generator:
        yield from spread(function, work, n_jobs, words)
        return
    found = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(one)(piece) for piece in work)
    yield from _progress(found, words, len(work))


def processes(n_jobs: int | None) -> int:
    """How many processes work is spread over."""
    if not _several(n_jobs):
        return 1
    from joblib import effective_n_jobs

    return int(effective_n_jobs(n_jobs))


def _on_one_thread(function: Callable[[Item], Found], piece: Item) -> Found:
    """A piece of work on one BLAS thread, and in one process: sums are in the same order, whatever ``n_jobs`` is.

    A forest in a piece would else share its trees among the threads, or the workers of a cluster, of a configuration.
    """
    with one_thread("blas"), _one_process():
        return function(piece)


def _one_process() -> Any:
    """A context in which joblib's configuration has one process; without joblib there is none.

    Dask takes no number: all its workers have the work, so its place is taken by threads, of which there is one.
    """
    joblib = sys.modules.get("joblib")
    if joblib is None:
        return nullcontext()
    with joblib.parallel_config(n_jobs=1):
        heeded = joblib.effective_n_jobs(None) == 1
    return joblib.parallel_config(n_jobs=1) if heeded else joblib.parallel_config("threading", n_jobs=1)


def one_thread(kind: str) -> Any:
    """A context in which libraries of a kind, ``blas`` or ``openmp``, have one thread."""
    return _libraries(kind).limit(limits=1, user_api=kind)


@cache
def _libraries(kind: str) -> Any:
    """The libraries that have threads, looked up once in a process: looking takes as long as many a refit.

    Once for each kind, as what has OpenMP is loaded late: with the learners.
    """
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def _several(n_jobs: int | None) -> bool:
    """Whether work goes to joblib: it takes long to import, and has no configuration before anyone imported it."""
    if n_jobs is not None:
        return n_jobs not in (0, 1)
    joblib = sys.modules.get("joblib")
    return joblib is not None and joblib.effective_n_jobs(None) > 1


def _progress(work: Any, words: str, count: int | None = None) -> Any:
    """A bar on a terminal for several pieces of work; silence elsewhere."""
    count = len(work) if count is None else count
    if not words or count < 2 or not sys.stderr.isatty():
        return work
    from tqdm import tqdm

    return tqdm(work, desc=words, total=count, leave=False)
