"""Chunks shared among threads: the same digits, in the same order, and no more of them in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

import causalformula as cf
from causalformula.scale.sources import streamed
from causalformula.scale.sources.recognise import recognise
from causalformula.scale.sources.source import Chunk
from causalformula.scale.sources.streamed import in_threads
from tests.scale.claims import FORMULA, QUESTION, written

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files whose rows come in some ten chunks."""
    written(tmp_path)
    monkeypatch.setattr(streamed, "CHUNK_ROWS", 150)
    return tmp_path


def numbers(folder: Path) -> list[bytes]:
    scan = cf.scan(folder, limit=0)
    model, fit = cf.lm(FORMULA, scan, vcov="HC3"), cf.fit(QUESTION, scan, vcov="~site")
    return [np.asarray(each).tobytes() for each in (model.params, model.vcov(), fit.estimate, fit.std_error)]


def test_the_same_digits_of_any_number_of_threads(folder: Path) -> None:
    alone = numbers(folder)
    with joblib.parallel_config(n_jobs=3):
        assert numbers(folder) == alone


def test_chunks_are_shared(folder: Path) -> None:
    threads = set()
    both = threading.Barrier(2, timeout=20)

    def task(chunk: Chunk) -> int:
        if len(threads) < 2:
            threads.add(threading.get_ident())
            both.wait()
        return chunk.n

    source = recognise(str(folder))
    assert source is not None
    with joblib.parallel_config(n_jobs=2):
        assert source.run(task, ["x"], lambda a, b: a + b) == source.rows()
    assert len(threads) == 2


def test_errors_are_those_of_one_thread(folder: Path) -> None:
    with joblib.parallel_config(n_jobs=2), pytest.raises(cf.FormulaError, match="unknown column 'z'"):
        cf.lm("y ~ z", cf.scan(folder, limit=0))
    with joblib.parallel_config(n_jobs=2), pytest.raises(cf.DataError, match="missing values"):
        cf.lm(FORMULA, cf.scan(folder, limit=0), na_action="fail")


@dataclass
class Counted:
    """Chunks that count themselves."""

    read: int = 0

    def __iter__(self) -> Iterator[Any]:
        for k in range(50):
            self.read += 1
            yield k


def test_no_more_chunks_are_held_than_are_at_work_and_the_next() -> None:
    chunks = Counted()
    for done, part in enumerate(in_threads(lambda k: k, chunks, 3)):  # type: ignore[arg-type, return-value]
        assert part == done
        assert chunks.read - done <= 4
    assert chunks.read == 50
