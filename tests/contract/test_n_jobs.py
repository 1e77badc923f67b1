"""``n_jobs=None`` is joblib's current configuration, and the same bytes come out of any number of processes."""

from __future__ import annotations

import joblib
import pytest

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


def test_requests_take_it_by_default(processes):
    heart = cf.datasets.load("heart")
    fit = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart.iloc[:60])
    alone = fit.with_vcov(cf.Bootstrap(reps=1200, seed=1)), fit.with_vcov(cf.Jackknife())
    test = fit.permutation_test(120, seed=1)
    assert processes == []
    with joblib.parallel_config(n_jobs=2):
        spread = fit.with_vcov(cf.Bootstrap(reps=1200, seed=1)), fit.with_vcov(cf.Jackknife())
        again = fit.permutation_test(120, seed=1)
    assert len(processes) >= 2 and set(processes) == {2}
    for one, other in zip(alone, spread, strict=True):
        assert one.std_error == other.std_error
    assert test.p_value == again.p_value and test.draws.tobytes() == again.draws.tobytes()


def test_real_processes_give_the_same_bytes():
    fit = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", cf.datasets.load("heart").iloc[:60])
    one = fit.permutation_test(120, seed=1)
    with joblib.parallel_config(n_jobs=2):
        assert fit.permutation_test(120, seed=1).draws.tobytes() == one.draws.tobytes()
