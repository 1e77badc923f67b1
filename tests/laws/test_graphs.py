"""Laws of graphs, over random ones."""

from __future__ import annotations

import warnings
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import causalformula as cf
from causalformula.errors import IdentificationError
from causalformula.graphs.diagram import Diagram
from causalformula.results.graphs.graph import Graph
from tests.exact.graph_models import random_diagram, separated

NODES = ("X", "Y", "A.1", "B", "C", "my D")


@st.composite
def graphs(draw, latent=0.2, selected=False):
    """A graph on six nodes, some latent, whose Y does not cause X."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31 - 1)))
    found = random_diagram(rng, NODES, arrows=rng.uniform(0.2, 0.7), bows=0.15, latent=latent)
    assume(not found.way("Y", "X"))
    if selected:
        arrows = tuple((n, "S") for n in NODES if rng.random() < 0.2)
        found = Diagram((*found.nodes, "S"), (*found.arrows, *arrows), found.bows, found.latent, frozenset({"S"}))
    return Graph(found)


@given(g=graphs(selected=True))
def test_a_text_reads_back(g):
    g = replace(g, exposures=("X",), outcomes=("Y",), adjusted=("my D",))
    for form in (str(g), g.to_dagitty(), g.to_dot(), g.to_networkx()):
        again = cf.dag(form)
        for facts in ("nodes", "arrows", "bows"):
            assert set(getattr(again.diagram, facts)) == set(getattr(g.diagram, facts)), form
        assert (again.latent, again.diagram.selected) == (again.diagram.in_order(g.latent), g.diagram.selected)
        assert (again.exposures, again.outcomes, again.adjusted) == (("X",), ("Y",), ("my D",))


@given(g=graphs(selected=True))
def test_adjustment_leaves_no_path_open(g):
    found = g.identify("X", "Y")
    inner = found.question.backdoor
    for covariates in (*found.adjustment_sets, *([found.optimal] if found.optimal else [])):
        assert separated(inner, "X", "Y", {*covariates, "S"})
        assert not set(covariates) & (g.diagram.latent | g.diagram.descendants(*found.question.on_the_way))


def data_of(g):
    data = g.simulate(60, seed=1)
    return data[[n for n in data if n not in g.latent]]


@settings(max_examples=40)
@given(g=graphs())
def test_a_formula_passes_its_own_check(g):
    try:
        found = g.identify("X", "Y")
        formula = g.formula("Y", "X", design="adjustment")
    except IdentificationError:
        assert g.identify("X", "Y").why_not
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error", cf.IdentificationWarning)
        cf.fit(formula, data_of(g), dag=g, strict=True)
    assert not found.why_not


def test_a_formula_of_another_design_passes_too():
    """Instruments and front doors, of which fewer graphs have one."""
    rng, met = np.random.default_rng(0), {"instrument": 0, "front door": 0}
    for _ in range(250):
        g = Graph(random_diagram(rng, NODES, bows=0.15, latent=0.2))
        if g.diagram.way("Y", "X"):
            continue
        found = g.identify("X", "Y")
        doors = [
            {"method": "front_door", "mediators": " + ".join(f"`{n}`" for n in one.mediators)}
            for one in found.front_door
        ]
        for design, options in (("instrument", [{}] * len(found.instruments)), ("front door", doors)):
            if options:
                fit = cf.fit(g.formula("Y", "X", design=design), data_of(g), dag=g, strict=True, **options[0])
                assert np.isfinite(fit.estimate)
                met[design] += 1
    assert min(met.values()) > 10


@settings(max_examples=40)
@given(g=graphs())
def test_a_formula_that_adjusts_for_no_valid_set_is_told_of(g):
    """Whatever is adjusted for: nothing is said exactly where the set is valid."""
    data, q = data_of(g), g.question("X", "Y")
    others = [n for n in g.diagram.measured if n not in "XY"]
    for covariates in ((), others[:1], others[:2], others):
        formula = "Y ~ treat(X)" + "".join(f" + adjust(`{n}`)" for n in covariates)
        if q.valid(covariates):
            cf.fit(formula, data, dag=g, strict=True)
        else:
            with pytest.raises(IdentificationError):
                cf.fit(formula, data, dag=g, strict=True)


@given(g=graphs(selected=True))
def test_everything_prints(g):
    found = g.identify("X", "Y")
    text = str(found)
    assert text.startswith("Total effect of X on Y")
    assert ("Adjust for one of these sets" in text) != ("identifies" in text)
    assert str(g.identify("X", "Y", "direct")).startswith("Direct effect")
    assert nx.is_directed_acyclic_graph(g.to_networkx())
