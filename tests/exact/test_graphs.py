"""What graphs say, against models whose effects are known exactly, over all small graphs and random larger ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from time import process_time

import numpy as np
import pytest

import causalformula as cf
from causalformula.graphs.adjustment import MOST_SETS, Question, subsets
from causalformula.graphs.diagram import Diagram
from causalformula.graphs.expressions import mentioned
from causalformula.graphs.frontdoor import front_doors, no_front_door
from causalformula.graphs.identification import Hedge, identified
from causalformula.graphs.implications import implications
from causalformula.graphs.instruments import instruments
from causalformula.graphs.paths import open_path, paths
from causalformula.graphs.separation import separated as ours
from causalformula.graphs.separation import separators
from tests.exact.graph_models import Binary, Linear, all_dags, random_diagram, separated

NODES = "XYABCD"


def some_graphs(seed, count, nodes=NODES, **facts):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield random_diagram(rng, nodes, **facts), rng


def usable(question):
    """Whether the question may be asked: the outcome does not cause the treatment."""
    return not question.diagram.way(question.outcome, question.treatment)


def close(a, b):
    return abs(a - b) < 1e-9


# -- adjustment --------------------------------------------------------------------------------------------------------


def agrees_with_regression(diagram, rng):
    """A set is valid where the population regression gives the effect, and every minimal one is found."""
    question = Question(diagram, "X", "Y")
    if not usable(question):
        return
    model = Linear(diagram, rng)
    others = [n for n in diagram.measured if n not in "XY"]
    right = {frozenset(z) for z in subsets(others) if close(model.slope("X", "Y", z), model.effect("X", "Y"))}
    assert right == {frozenset(z) for z in subsets(others) if question.valid(z)}, diagram
    assert set(question.minimal) == {z for z in right if not any(other < z for other in right)}, diagram
    if not right:
        path = question.why_not()
        assert path is not None and path.open(diagram, set(question.candidates) & path_ancestors(question)), diagram


def path_ancestors(question):
    return question.backdoor.ancestors(question.treatment, question.outcome)


def test_adjustment_over_all_graphs_of_four_nodes():
    rng = np.random.default_rng(1)
    for diagram in all_dags("XYAB"):
        agrees_with_regression(diagram, rng)


def test_adjustment_over_random_graphs_of_six_nodes():
    for diagram, rng in some_graphs(2, 60, latent=0.2):
        agrees_with_regression(diagram, rng)


@pytest.mark.slow
def test_adjustment_over_many_random_graphs_of_six_nodes():
    for diagram, rng in some_graphs(3, 3000, latent=0.2):
        agrees_with_regression(diagram, rng)


def test_direct_effects_over_all_graphs_of_four_nodes():
    rng = np.random.default_rng(4)
    for diagram in all_dags("XYAB"):
        question = Question(diagram, "X", "Y", "direct")
        if not usable(question):
            continue
        model = Linear(diagram, rng)
        arrow = model.direct[model.place["Y"], model.place["X"]]
        right = {frozenset(z) for z in subsets("AB") if close(model.slope("X", "Y", z), arrow)}
        assert set(question.minimal) == {z for z in right if not any(other < z for other in right)}, diagram


def test_the_optimal_set_has_the_least_variance():
    found = 0
    for diagram, rng in some_graphs(5, 150, latent=0.25):
        question = Question(diagram, "X", "Y")
        if not usable(question) or not question.on_the_way:
            continue
        valid = [z for z in subsets(question.candidates) if question.valid(z)]
        assert question.optimal is not None or diagram.latent or diagram.bows or not valid, diagram
        if question.optimal is None:
            continue
        found += 1
        model = Linear(diagram, rng)

        def variance(z, model=model):
            return model.residual(["Y"], ["X", *z])[0, 0] / model.residual(["X"], z)[0, 0]

        assert variance(sorted(question.optimal)) <= min(variance(z) for z in valid) * (1 + 1e-9), diagram
    assert found > 20


@pytest.mark.parametrize("marks", [("S",), ("R",), ("S", "R")], ids=str)
def test_selection_and_missing_values(marks):
    """Adjustment in those in the data gives the effect in the population exactly where the criterion says so."""
    rng, both = np.random.default_rng(6), [0, 0]
    for _ in range(60):
        diagram = random_diagram(rng, "XYAB", bows=0.0)
        extra = tuple((n, mark) for mark in marks for n in "XYAB" if rng.random() < 0.3)
        missing = {"R": str(rng.choice(list("XYAB")))} if "R" in marks else {}
        diagram = replace(
            diagram,
            nodes=(*diagram.nodes, *marks),
            arrows=(*diagram.arrows, *extra),
            selected=frozenset(marks) & {"S"},
            missing=missing,
        )
        question = Question(diagram, "X", "Y")
        if not usable(question):
            continue
        model = Binary(diagram, rng)
        right = set()
        for z in subsets(question.candidates):
            held = [*diagram.selected, *(r for r, of in missing.items() if of in ("X", "Y", *z))]
            truth, found = model.effect("X", "Y", 1), model.adjusted("X", "Y", 1, z, held)
            assert question.valid(z) == close(truth, found), (diagram, z)
            both[question.valid(z)] += 1
            if question.valid(z):
                right.add(frozenset(z))
        assert set(question.minimal) == {z for z in right if not any(other < z for other in right)}, diagram
    assert min(both) > 20


def test_gaps_that_all_rows_make_good():
    """Complete rows within covariates, averaged over those of all rows; gaps at random by the whole distribution."""
    rng, both, random = np.random.default_rng(8), [0, 0], [0, 0]
    for _ in range(80):
        gap = str(rng.choice(["X", "Y", "A"]))
        diagram = random_diagram(rng, "XYAB", bows=0.1)
        extra = tuple((n, "R") for n in "XYAB" if rng.random() < 0.4)
        diagram = replace(diagram, nodes=(*diagram.nodes, "R"), arrows=(*diagram.arrows, *extra), missing={"R": gap})
        question = Question(diagram, "X", "Y")
        if not usable(question):
            continue
        model = Binary(diagram, rng)
        inside = [model.at(model.joint, R=1, **dict(zip("XYAB", v, strict=True))) for v in product([0, 1], repeat=4)]
        whole = [model.at(model.joint, **dict(zip("XYAB", v, strict=True))) for v in product([0, 1], repeat=4)]
        shares = np.reshape(inside, [2] * 4) / np.reshape(whole, [2] * 4)  # of rows without a gap
        place = "XYAB".index(gap)
        assert question.missing_at_random == np.allclose(np.diff(shares, axis=place), 0), diagram
        random[question.missing_at_random] += 1
        if gap == "A":
            continue
        right = []
        for z in subsets(question.candidates):
            truth, found = model.effect("X", "Y", 1), model.adjusted("X", "Y", 1, z, ["R"], over=())
            assert question.valid_over_all_rows(z) == close(truth, found), (diagram, z)
            right += [frozenset(z)] * question.valid_over_all_rows(z)
            both[question.valid_over_all_rows(z)] += 1
        assert question.over_all_rows == (None if question.minimal or not right else right[0]), diagram
    assert min(both) > 20 and min(random) > 10


# -- paths and separation ----------------------------------------------------------------------------------------------


def test_separation_by_three_ways():
    for diagram, _ in some_graphs(7, 40, "XYABC", bows=0.2):
        everything = list(paths(diagram, "X", "Y"))
        for z in subsets("ABC"):
            held = set(z)
            by_moral = separated(diagram, "X", "Y", held)
            assert ours(diagram, "X", "Y", held) == by_moral, (diagram, z)
            assert by_moral != any(path.open(diagram, held) for path in everything), (diagram, z)
            first = next((path for path in everything if path.open(diagram, held)), None)
            found = open_path(diagram, "X", "Y", held)
            assert (found is None) == (first is None)
            if found is not None and first is not None:
                assert found in everything and found.open(diagram, held) and len(found.nodes) == len(first.nodes)


def test_separators_are_all_minimal_ones():
    for diagram, _ in some_graphs(8, 60, "XYABCD", bows=0.2):
        right = [frozenset(z) for z in subsets("ABCD") if separated(diagram, "X", "Y", set(z))]
        least = {z for z in right if not any(other < z for other in right)}
        assert set(separators(diagram, "X", "Y", "ABCD")) == least, diagram


def test_implications_hold_and_none_is_left_out():
    for diagram, rng in some_graphs(9, 60, latent=0.2):
        model, found = Linear(diagram, rng), implications(diagram)
        for one in found:
            assert close(model.residual([one.left, one.right], one.given)[0, 1], 0), (diagram, one)
        told = {frozenset((one.left, one.right)) for one in found}
        for a, b in combinations(diagram.measured, 2):
            others = [n for n in diagram.measured if n not in (a, b)]
            implied = any(separated(diagram, a, b, set(z)) for z in subsets(others))
            assert implied == (frozenset((a, b)) in told), (diagram, a, b)


# -- front doors, instruments, expressions -----------------------------------------------------------------------------


def test_instruments_give_the_effect():
    found = 0
    for diagram, rng in some_graphs(10, 700, "XYABC", bows=0.25):
        question = Question(diagram, "X", "Y")
        if not usable(question):
            continue
        model = Linear(diagram, rng)
        for one in instruments(question):
            found += 1
            moved = model.residual([one.name, "X", "Y"], one.covariates)
            assert abs(moved[0, 1]) > 1e-9 and close(moved[0, 2] / moved[0, 1], model.effect("X", "Y")), (diagram, one)
    assert found > 30


def test_front_doors_give_the_effect():
    found = 0
    for diagram, rng in some_graphs(11, 1200, "XYABC", arrows=0.5, bows=0.2):
        question = Question(diagram, "X", "Y")
        if not usable(question):
            continue
        model = Linear(diagram, rng)
        for door in front_doors(question):
            found += 1
            first = [model.slope("X", m, door.covariates) for m in door.mediators]
            inner = model.residual([*door.mediators, "Y"], ["X", *door.covariates])
            second = np.linalg.solve(inner[:-1, :-1], inner[:-1, -1])
            assert close(float(np.dot(first, second)), model.effect("X", "Y")), (diagram, door)
    assert found > 30


def test_what_is_no_front_door_is_told_why():
    """The check of a given one agrees with the search: the smallest mediators that pass are those found."""
    reasons = set()
    for diagram, _ in some_graphs(12, 150, "XYABC", arrows=0.5, bows=0.2):
        question = Question(diagram, "X", "Y")
        if not usable(question):
            continue
        before = [n for n in diagram.nodes if n not in diagram.descendants("X") | {"Y"}]
        passed = []
        for mediators in subsets([n for n in "ABC" if n in question.on_the_way]):
            why = [no_front_door(question, mediators, z) for z in subsets([n for n in before if n not in mediators])]
            passed += [frozenset(mediators)] * ("" in why)
            reasons |= {one.split()[-1] for one in why if one}
        least = {m for m in passed if not any(other < m for other in passed)}
        assert {frozenset(door.mediators) for door in front_doors(question)} == least, diagram
        for door in front_doors(question):
            assert no_front_door(question, door.mediators, (*door.covariates, "Y")) == "X causes Y"
    assert {"around", "open"} <= reasons


def expression_is_right(diagram, rng):
    """Whether the complete algorithm found an expression; it must give the effect."""
    expression = identified(diagram, "X", "Y")
    if isinstance(expression, Hedge):
        return False
    model = Binary(diagram, rng)
    assert mentioned(expression) <= set(diagram.measured)
    for x in (0, 1):
        at = {**dict.fromkeys(diagram.nodes, 1), "X": x}
        assert close(model.value(expression, at), model.effect("X", "Y", x)), (diagram, str(expression))
    return True


def test_expressions_give_the_effect():
    counts = [0, 0]
    for diagram, rng in some_graphs(12, 80, "XYABC", arrows=0.5, bows=0.25):
        if not diagram.way("Y", "X"):
            counts[expression_is_right(diagram, rng)] += 1
    assert min(counts) > 5


@pytest.mark.slow
def test_expressions_of_many_graphs():
    for diagram, rng in some_graphs(13, 1500, "XYABCD", arrows=0.5, bows=0.2):
        if len(diagram.bows) < 6:
            expression_is_right(diagram, rng)


def test_no_simple_design_is_there_without_an_expression():
    """The algorithm is complete: what adjustment or a front door identifies, it does too."""
    for diagram, _ in some_graphs(14, 300, "XYABC", arrows=0.5, bows=0.25, latent=0.2):
        question = Question(diagram, "X", "Y")
        if usable(question) and (question.minimal or front_doors(question)):
            assert not isinstance(identified(diagram, "X", "Y"), Hedge), diagram


def test_a_projection_keeps_all_separations():
    for diagram, _ in some_graphs(15, 60, "XYABCD", latent=0.4):
        seen = diagram.projected
        others = [n for n in seen.nodes if n not in "XY"]
        for z in subsets(others):
            assert separated(diagram, "X", "Y", set(z)) == separated(seen, "X", "Y", set(z)), diagram


def test_a_large_graph_is_quick():
    """Two hundred nodes in a chain with confounders of neighbours: no search over subsets."""
    names = tuple(f"n{k}" for k in range(200))
    arrows = tuple((names[k], names[k + d]) for k in range(197) for d in (1, 2, 3))
    question = Question(Diagram(names, arrows), "n100", "n103")
    assert question.optimal is not None and question.valid(question.optimal)
    assert any(question.minimal)


def test_a_dense_graph_is_quick():
    """Sixty nodes of eight neighbours each: many sets separate each pair, and few are gone through."""
    rng = np.random.default_rng(1)
    names = tuple(f"n{k}" for k in range(60))
    diagram = Diagram(names, tuple(pair for pair in combinations(names, 2) if rng.random() < 8 / 60))
    began = process_time()
    found = implications(diagram)
    assert process_time() - began < 8
    joined = set(diagram.arrows)
    assert [(one.left, one.right) for one in found] == [pair for pair in combinations(names, 2) if pair not in joined]
    assert all(separated(diagram, one.left, one.right, set(one.given)) for one in found[::100])


def test_designs_are_looked_for_in_order():
    """A formula that adjusts does not wait for instruments and front doors, of which a large graph has many."""
    found = cf.dag("Z -> {X Y}; I -> X; X -> M -> Y").identify("X", "Y")
    assert found.formula == "Y ~ treat(X) + adjust(Z)" and found.method is None
    assert not {"instruments", "front_door"} & set(vars(found))
    assert [str(one) for one in found.instruments] == ["I"]


def test_an_open_path_is_found_in_a_large_dense_graph():
    """Beyond the paths that could be listed."""
    names = tuple(f"n{k}" for k in range(60))
    arrows = tuple((a, b) for a, b in combinations(names[:59], 2))
    question = Question(Diagram(names, (*arrows, ("n59", "n0"), ("n59", "n58"))), "n57", "n58")
    held = set(names[:57])
    assert question.valid(held)
    path = open_path(question.backdoor, "n57", "n58", held - {"n30"})
    assert path is not None and str(path) == "n57 <- n30 -> n58"


def test_too_many_sets_are_not_all_listed():
    """Ten chains of three confounders each have 3^10 minimal sets."""
    chains = [(f"a{k}", f"b{k}", f"c{k}") for k in range(10)]
    arrows = [pair for a, b, c in chains for pair in ((b, a), (b, c), (a, "X"), (c, "Y"))]
    names = ("X", "Y", *(n for chain in chains for n in chain))
    question = Question(Diagram(names, (*arrows, ("X", "Y"))), "X", "Y")
    assert len(question.minimal) == MOST_SETS and question.cut_short
    assert all(question.valid(z) for z in question.minimal[:20])
