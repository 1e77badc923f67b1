"""``n_jobs=None`` is joblib's current configuration, and the same bytes come out of any number of processes."""

from __future__ import annotations

import joblib
import pytest
from joblib.parallel import ThreadingBackend

import causalformula as cf
from causalformula.inference import refit


@pytest.fixture
def processes(monkeypatch):
    """How many processes each piece of work was given to; the work itself stays here."""
    given = []

    class Recorder:
        def __init__(self, n_jobs=None):
            given.append(joblib.effective_n_jobs(n_jobs))

        def __call__(self, calls):
            return [function(*args, **kwargs) for function, args, kwargs in calls]

    monkeypatch.setattr(joblib, "Parallel", Recorder)
    return given


@pytest.mark.parametrize(("n_jobs", "configured", "used"), [(None, 3, [3]), (None, None, []), (1, 3, []), (2, 3, [2])])
def test_the_configuration_counts(processes, n_jobs, configured, used):
    with joblib.parallel_config(backend="loky", n_jobs=configured):
        assert refit.spread(abs, [-1, -2, -3], n_jobs) == [1, 2, 3]
    assert processes == used


@pytest.fixture(scope="module")
def fit():
    return cf.fit("Severity ~ treat(Drug) + adjust(I.H)", cf.datasets.load("heart").iloc[:120], "ipw")


WORK = [
    (lambda fit: fit.with_vcov(cf.Bootstrap(100, seed=1)).covariance.draws, [2]),
    (lambda fit: fit.with_vcov("jackknife").covariance.matrix, [2]),
    (lambda fit: fit.permutation_test(100, seed=1).draws, [2]),
    (lambda fit: fit.with_vcov(cf.Bootstrap(50, seed=1)).covariance.draws, []),
]


@pytest.mark.parametrize(("work", "used"), WORK)
def test_a_hundred_refits_are_shared(processes, fit, work, used):
    alone = work(fit)
    assert processes == []
    with joblib.parallel_config(n_jobs=2):
        assert work(fit).tobytes() == alone.tobytes()
    assert processes == used


@pytest.mark.parametrize("backend", ["loky", "threading", "deaf"])
def test_what_is_within_a_piece_has_one_process(backend):
    """A forest there would share its trees, and sum over them in the order in which they come."""
    joblib.register_parallel_backend("deaf", Deaf)
    with joblib.parallel_config(backend=backend, n_jobs=3):
        assert joblib.effective_n_jobs(None) == 3
        assert refit.spread(lambda piece: joblib.effective_n_jobs(None), [1, 2], 1) == [1, 1]
        assert refit.spread(lambda piece: joblib.effective_n_jobs(2), [1, 2], 1) == [2, 2]


class Deaf(ThreadingBackend):
    """A backend that takes no number, as Dask's."""

    def effective_n_jobs(self, n_jobs):
        return 3


def test_pieces_depend_on_the_rows_alone():
    assert [len(piece) for piece in refit.in_chunks(range(120), 1000)] == [50, 50, 20]
    assert [len(piece) for piece in refit.in_chunks(range(5), refit.CHUNK_CELLS // 2)] == [2, 2, 1]
    assert [len(piece) for piece in refit.in_chunks(range(2), 10 * refit.CHUNK_CELLS)] == [1, 1]


@pytest.mark.parametrize("work", [work for work, used in WORK if used])
def test_real_processes_give_the_same_bytes(fit, work):
    alone = work(fit)
    with joblib.parallel_config(n_jobs=2):
        assert work(fit).tobytes() == alone.tobytes()


@pytest.mark.parametrize("request_", [cf.Bootstrap, cf.Jackknife])
@pytest.mark.parametrize("n_jobs", [0, 1.5, True])
def test_no_processes_are_no_number_of_them(request_, n_jobs):
    with pytest.raises(cf.OptionError, match="n_jobs is a number of processes, such as 2, or -1 for all, not"):
        request_(n_jobs=n_jobs)
