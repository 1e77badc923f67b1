"""Estimates by a graph's own formula on data simulated from it: the truth within Monte Carlo error."""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf

EFFECT = 1.5
GRAPHS = {
    "confounders": "A -> {X M}; B -> {M Y}; M -> {X Y}; X -> Y",
    "M-bias": "A -> {X M}; B -> {M Y}; X -> Y",
    "front door": "X -> M -> Y; U [latent]; U -> {X Y}",
    "front door given W": "X -> M -> Y; W -> {X M Y}; X <-> Y",
    "instrument": "Z -> X -> Y; X <-> Y",
    "instrument given W": "W -> {Z Y}; Z -> X -> Y; X <-> Y",
    "instrument, cross-fitted": "Z -> X -> Y; X <-> Y",
}


def truth(g, **facts):
    """The effect of one more unit: the same units under both."""
    high, low = (g.simulate(10, seed=1, do={"X": x}, **facts)["Y"] for x in (1, 0))
    (value,) = set(np.round(high - low, 9))
    return value


def statistics(name, reps, n=300):
    """(estimate - truth) / standard error over replicates, the formula written by the graph."""
    g = cf.dag(GRAPHS[name])
    through = [arrow for arrow in (("X", "Y"), ("M", "Y")) if arrow in g.diagram.arrows]
    facts = {"effects": {through[-1] if "front" in name else ("X", "Y"): EFFECT}}
    found, right = g.identify("X", "Y"), truth(g, **facts)
    out = []
    for seed in range(reps):
        data = g.simulate(n, seed=seed, **facts).drop(columns=list(g.latent))
        options, method = dict(found.options), found.method
        if "cross-fitted" in name:
            options, method = {"model": "pliv", "folds": 2, "seed": 1}, "dml"
        fit = cf.fit(found.formula, data, method, dag=g, strict=True, **options)
        out.append((fit.estimate - right) / fit.std_error)
    return np.array(out)


@pytest.mark.parametrize("name", [name for name in GRAPHS if "cross-fitted" not in name])
def test_estimates_are_the_truth(name):
    z = statistics(name, 60)
    assert abs(z.mean()) < 4 / np.sqrt(len(z)) and 0.7 < z.std() < 1.35


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAPHS)
def test_intervals_cover(name):
    z = statistics(name, 250)
    print(name, f"coverage {np.mean(np.abs(z) < 1.96):.3f}, bias {z.mean():.3f} s.e.")
    assert abs(np.mean(np.abs(z) < 1.96) - 0.95) < 0.042


def size(g, reps, change=lambda data: data, n=300):
    """How often the data contradict the graph that they come from."""
    share = np.mean([bool(g.test(change(g.simulate(n, seed=seed))).rejected) for seed in range(reps)])
    print(f"size {share:.3f}")
    return share


def test_a_right_graph_is_seldom_contradicted():
    assert size(cf.dag("A -> B -> C -> D; A -> D"), 150) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


@pytest.mark.slow
def test_the_size_of_both_tests():
    g = cf.dag("A -> B -> C")
    for change in (lambda data: data, lambda data: data.assign(A=np.where(data["A"] > 0, "u", "v"))):
        assert abs(size(g, 300, change) - 0.05) < 0.038
