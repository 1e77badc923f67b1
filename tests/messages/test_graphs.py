"""What is said of graphs that cannot be read, questions that cannot be asked, and formulas that a graph is against."""

from __future__ import annotations

import re
import warnings

import networkx as nx
import numpy as np
import pytest

import causalformula as cf

CONFOUNDED = "X -> Y; U [latent]; U -> {X Y}"


@pytest.mark.parametrize(
    ("text", "message", "under"),
    [
        ("A -> B -> C -> A", "a cycle: A -> B -> C -> A. Nothing causes itself", "C -> A"),
        ("A -> B; B -> A", "a cycle: A -> B -> A", "B -> A"),
        ("A -> A", "A points at itself", "A -> A"),
        ("A <-> A", "A points at itself", "A <-> A"),
        ("A -- B", "an edge without a direction", "--"),
        ("A -> ", "a node is missing here", " "),
        ("-> B", "-> has no node before it", "->"),
        ("U [latnt] -> B", "unknown mark 'latnt'; did you mean 'latent'?", "latnt"),
        ("A \u2192 B", "not an arrow", "\u2192"),
        ("Y ~ X + Z", "not an arrow", "~"),
        ("A E @0.1,0.2", "'@' in a name: write the name in quotation marks", "@"),
        ("A + B -> C", "'+' in a name", "+"),
        ("A:b -> C", "':' in a name", ":"),
        ("digraph { subgraph c { A -> B", "the { that opens here is never closed", "{"),
        ('graph [ directed 1 node [ id 0 label "A" ] ]', "this is GML: cf.dag(networkx.parse_gml(text))", "graph ["),
        ("A -> B; R [missing = Bb]", "no node 'Bb'; did you mean 'B'?", "Bb"),
        ("A -> B; R [missing]", "missing names the variable whose gaps it marks", "missing"),
        ("A => B", "not an arrow; there are A -> B, A <- B and A <-> B", "=>"),
        ("A --> B", "not an arrow", "-->"),
        ("{A B -> C", "a set holds names only", "->"),
        ("{A B", "the { that opens here is never closed", "{"),
        ("{} -> C", "an empty set", "{}"),
        ("dag { A -> B", "the { that opens here is never closed", "{"),
        ("dag { A -> B } C", "text behind the graph's closing }", "C"),
        ("A -> B [color", "the [ that opens here is never closed", "["),
        ('A -> "B', 'the " that opens here is never closed', '"'),
        ("graph { A -- B }", "write digraph or dag", "graph"),
        ("pdag { A -- B }", "choose one dag", "pdag"),
        ('"a -> b" -> c', "not a name for a node", '"a -> b"'),
        ("A -> (B)", "unexpected character '('", "("),
    ],
)
def test_texts_that_cannot_be_read(text, message, under):
    with pytest.raises(cf.GraphError) as caught:
        cf.dag(text)
    assert message in str(caught.value)
    _, source, carets = str(caught.value).rsplit("\n", 2)
    start = carets.index("^")
    marked = (source + " " * 9)[start : start + carets.count("^")]
    assert marked == under.ljust(len(marked)) and source.strip() == text.strip()


def test_other_sources(tmp_path):
    with pytest.raises(cf.GraphError, match="the graph is empty; write its arrows"):
        cf.dag(" ; ")
    with pytest.raises(cf.OptionError, match="there is no file 'nowhere"):
        cf.dag("nowhere.dot")
    with pytest.raises(cf.OptionError, match="reads text, a file or a networkx digraph, not int"):
        cf.dag(3)
    with pytest.raises(cf.GraphError, match="without directions says nothing of causes"):
        cf.dag(nx.Graph([("A", "B")]))
    with pytest.raises(cf.GraphError, match="a cycle: A -> B -> A"):
        cf.dag(nx.DiGraph([("A", "B"), ("B", "A")]))
    with pytest.raises(cf.GraphError, match="nodes of a networkx graph are text"):
        cf.dag(nx.DiGraph([(1, 2)]))
    for place, written in ((tmp_path, None), (tmp_path / "a.dag", "latin-1"), (tmp_path / "b.dot", "utf-16")):
        if written is not None:
            place.write_text("Âge -> B", encoding=written)
        with pytest.raises(cf.OptionError if written is None else cf.GraphError) as caught:
            cf.dag(place)
        assert ("there is no file" if written is None else "is not text in UTF-8 (") in str(caught.value)
    gaps = nx.DiGraph([("A", "B"), ("A", "R")])
    gaps.nodes["R"]["missing"] = "Bb"
    with pytest.raises(cf.GraphError, match="no node 'Bb'; did you mean 'B'"):
        cf.dag(gaps)
    assert issubclass(cf.GraphError, cf.FormulaError)


def test_questions_that_cannot_be_asked():
    g = cf.dag("Z -> Drug -> Severity -> Stay; U [latent]; U -> {Drug Severity}; Stay -> S; S [selected]")
    with pytest.raises(cf.GraphError, match="the graph has no node 'Drugs'; did you mean 'Drug'"):
        g.identify("Drugs", "Severity")
    with pytest.raises(cf.IdentificationError, match="the treatment U is latent: no data have its effect"):
        g.identify("U", "Severity")
    with pytest.raises(cf.IdentificationError, match="the outcome S is a mark of who is in the data"):
        g.identify("Drug", "S")
    with pytest.raises(cf.IdentificationError, match="the outcome causes the treatment: Drug -> Severity -> Stay"):
        g.identify("Stay", "Drug")
    with pytest.raises(cf.IdentificationError, match="Drug is both treatment and outcome"):
        g.identify("Drug", "Drug")
    with pytest.raises(cf.OptionError, match="which treatment\\? The graph marks none: name it"):
        g.identify()
    with pytest.raises(cf.OptionError, match="unknown effect 'totl'; did you mean 'total'"):
        g.identify("Drug", "Severity", "totl")
    with pytest.raises(cf.OptionError, match="unknown design 'instruments'; did you mean 'instrument'"):
        g.formula("Severity", "Drug", design="instruments")


def test_an_effect_that_nothing_identifies():
    g = cf.dag(CONFOUNDED)
    message = "nothing in this graph identifies the total effect of X on Y: X <- U -> Y stays open: U is latent"
    with pytest.raises(cf.IdentificationError, match=message):
        g.formula("Y", "X")
    with pytest.raises(cf.IdentificationError, match="X, Y hang together by unmeasured common causes"):
        g.formula("Y", "X")
    with pytest.raises(cf.IdentificationError, match="the graph has no front door for this effect"):
        g.formula("Y", "X", design="front door")
    door = cf.dag(f"{CONFOUNDED}; X -> M -> Y".replace("X -> Y; ", ""))
    with pytest.raises(cf.IdentificationError, match="method='front_door', mediators='M'"):
        door.formula("Y", "X")
    assert door.formula("Y", "X", design="front door") == "Y ~ treat(X)"


def data(g, n=60):
    return g.simulate(n, seed=1)[[name for name in g.nodes if name not in g.latent]]


@pytest.mark.parametrize(
    ("text", "formula", "message"),
    [
        ("A -> {X M}; B -> {M Y}; X -> Y", "Y ~ treat(X) + adjust(M)",
         "adjusting for M, a collider or an effect of one, opens X <- A -> M <- B -> Y"),
        ("X -> M -> Y; X -> Y", "Y ~ treat(X) + adjust(M)",
         "M is a mediator, X -> M -> Y: adjusting for it takes away a part of the effect and leaves the direct"),
        ("X -> M -> Y; X -> Y; M <-> Y", "Y ~ treat(X) + adjust(M)", "M is a mediator.*takes away a part of the e.*t$"),
        ("X -> M -> Y; X -> Y", "Y ~ treat(X) + offset(M)", "M is a mediator, X -> M -> Y: adjusting for it takes"),
        ("X -> M -> Y; M -> D", "Y ~ treat(X) + adjust(D)", "D is a descendant of a mediator, X -> M -> D"),
        ("X -> Y -> D", "Y ~ treat(X) + adjust(D)", "D is an effect of the outcome, Y -> D: adjusting for it biases"),
        ("Z -> {X Y}; X -> Y", "Y ~ treat(X)", "X <- Z -> Y stays open: adjust for Z"),
        (CONFOUNDED, "Y ~ treat(X)", "X <- U -> Y stays open: nothing on it may be adjusted for"),
        ("X -> Y; Y -> S; S [selected]", "Y ~ treat(X)", r"who is in the data \(S\) hangs together with Y"),
        ("X -> Y -> S; X -> {R T}; S [selected]; T [selected]; R [missing = Y]", "Y ~ treat(X)",
         r"who is in the data \(S\) hangs together with Y"),
        ("Z -> X -> Y; Z -> Y; X <-> Y", "Y ~ treat(X) + iv(Z)", "Z is no instrument for X: it reaches Y by Z -> Y"),
        ("Z; X -> Y; X <-> Y", "Y ~ treat(X) + iv(Z)", "Z is no instrument for X: it is independent of X"),
        ("X -> Z; X -> Y; X <-> Y", "Y ~ treat(X) + iv(Z)", "Z is no instrument for X: X causes it"),
    ],
)  # fmt: skip
def test_formulas_that_a_graph_is_against(text, formula, message):
    g = cf.dag(text)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit = cf.fit(formula, data(g), dag=g)
    (said,) = [str(one.message) for one in told if issubclass(one.category, cf.IdentificationWarning)]
    assert re.match(message, said)
    assert "Note: by the graph, " in str(fit)
    with pytest.raises(cf.IdentificationError, match=message):
        cf.fit(formula, data(g), dag=g, strict=True)


def test_front_doors_that_are_none():
    g = cf.dag("X -> M -> Y; X <-> Y; X -> Y")
    with pytest.warns(cf.IdentificationWarning, match="M is no front door: X -> Y goes around; the graph has none"):
        cf.fit("Y ~ treat(X)", data(g), "front_door", mediators="M", dag=g)
    with pytest.raises(
        cf.IdentificationError, match="the graph has no front door for this effect, and mediators= names"
    ):
        cf.fit("Y ~ treat(X)", data(g), "front_door", dag=g)
    two = cf.dag("X -> M -> N -> Y; X <-> Y")
    with pytest.warns(cf.IdentificationWarning, match="M given N is no front door: X causes N; the graph has M; N"):
        cf.fit("Y ~ treat(X) + adjust(N)", data(two), "front_door", mediators="M", dag=two)
    confounded = cf.dag("X -> M -> Y; X <-> Y; Z -> {X M}; V -> {M Y}")
    message = "M is no front door: X <- Z -> M stays open: adjust for Z; the graph has M given Z, V"
    with pytest.raises(cf.IdentificationError, match=message):
        cf.fit("Y ~ treat(X)", data(confounded), "front_door", mediators="M", dag=confounded, strict=True)
    with pytest.warns(
        cf.IdentificationWarning, match="M given Z is no front door: M <- V -> Y stays open: adjust for V"
    ):
        cf.fit("Y ~ treat(X) + adjust(Z)", data(confounded), "front_door", mediators="M", dag=confounded)
    with pytest.warns(cf.IdentificationWarning, match="Z given V is no front door: X -> M -> Y goes around"):
        cf.fit("Y ~ treat(X) + adjust(V)", data(confounded), "front_door", mediators="Z", dag=confounded)


def test_designs_that_selection_undoes():
    """Instruments and front doors are for all units: selection by the outcome is told of, selection by chance not."""
    for marks, told in (("Y -> S", True), ("C -> S", False)):
        door = cf.dag(f"X -> M -> Y; X <-> Y; {marks}; S [selected]")
        moved = cf.dag(f"Z -> X -> Y; X <-> Y; {marks}; S [selected]")
        for g, formula, options in (
            (door, "Y ~ treat(X)", {"method": "front_door", "mediators": "M"}),
            (moved, "Y ~ treat(X) + iv(Z)", {"method": "iv"}),
            (moved, "Y ~ treat(X) + iv(Z)", {"method": "dml", "model": "pliv", "folds": 2, "seed": 1}),
        ):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                cf.fit(formula, data(g, 200), dag=g, **options)
            said = [str(one.message) for one in caught if issubclass(one.category, cf.IdentificationWarning)]
            assert [re.sub(": .*", "", one) for one in said] == ["who is in the data (S) hangs together with X"] * told


def test_names_that_one_side_lacks():
    g = cf.dag("Age -> {X Y}; X -> Y")
    frame = data(g)
    with pytest.warns(
        cf.IdentificationWarning, match=r"the data have no column 'Age'.*mark it \[latent\]; did you mean 'age'\?"
    ):
        cf.fit("Y ~ treat(X) + adjust(age)", frame.rename(columns={"Age": "age"}), dag=g)
    many = cf.dag("; ".join(f"a{k} -> b{k}" for k in range(20)) + "; X -> Y")
    with pytest.warns(cf.IdentificationWarning) as told:
        cf.fit("Y ~ treat(X)", frame, dag=many)
    (said,) = {str(one.message) for one in told}
    assert "no columns 'a0', 'b0', " in said and said.endswith(
        "and 30 more, which the graph has as measured: mark them [latent]"
    )
    with pytest.warns(cf.IdentificationWarning, match="the graph has no node 'other'"):
        cf.fit("Y ~ treat(X) + adjust(Age + other)", frame.assign(other=np.arange(60.0) ** 2), dag=g)
    with pytest.raises(cf.GraphError, match="the graph has no node 'Z'"):
        cf.fit("Z ~ treat(X)", frame.assign(Z=frame["Y"]), dag=g)
    with pytest.raises(cf.DataError, match="the data have no column Age, which the graph has as measured"):
        cf.dag("Age -> X -> Y").test(frame.drop(columns="Age"))


def test_other_requests():
    g = cf.dag("X -> Y")
    frame = data(g)
    with pytest.raises(cf.OptionError, match="strict=True is about the graph that dag= gives"):
        cf.fit("Y ~ treat(X)", frame, strict=True)
    design = cf.design("~ treat(X)", frame.assign(X=frame["X"] > 0), "ipw")
    for ask in (lambda: cf.design("~ treat(X)", frame, "ebal", dag=g), lambda: design.fit("Y ~ treat(X)", dag=g)):
        with pytest.raises(
            cf.OptionError, match=r"has no option 'dag': a graph checks a formula with its outcome: cf.fit"
        ):
            ask()
    with pytest.raises(cf.OptionError, match="dag= needs an outcome of one variable"):
        cf.fit("I(X + Y) ~ treat(X)", frame, dag=g)
    with pytest.raises(cf.OptionError, match="n=0: units, a whole number from 1"):
        g.simulate(0)
    with pytest.raises(cf.OptionError, match="do= sets nodes to values"):
        g.simulate(5, do="X = 1")
    with pytest.raises(cf.GraphError, match="the graph has no node 'Xx'"):
        g.simulate(5, do={"Xx": 1})
    with pytest.raises(cf.GraphError, match="the graph has no arrow 'Y -> X'; did you mean 'X -> Y'"):
        g.simulate(5, effects={"Y -> X": 1})
    with pytest.raises(cf.OptionError, match="of which only one can be its disturbance; the parents of Y are X"):
        g.simulate(5, equations={"Y": lambda x, u: x + u})
    with pytest.raises(cf.CapabilityError, match="the equation of Y does not add its disturbance"):
        g.counterfactual(frame, {"X": 1}, equations={"Y": lambda X, u: X + u > 0})
    with pytest.raises(cf.IdentificationError, match="U is latent and would change"):
        cf.dag("X -> U -> Y; U [latent]").counterfactual(frame, {"X": 1})
    with pytest.raises(cf.CapabilityError, match="the equation of Y does not add its disturbance"):
        # a single unit whose threshold is passed whether or not there is a disturbance
        g.counterfactual(frame.head(1).assign(X=5.0, Y=1), {"X": 1}, equations={"Y": lambda X, u: X + u > 0})
    with pytest.raises(cf.IdentificationError, match="U is latent and would change"):
        cf.dag("U -> Y; X -> Y; U [latent]").counterfactual(frame, {"U": 1})
    with pytest.raises(cf.IdentificationError, match="how Y changes depends on U, which is latent"):
        cf.dag("{U X} -> Y; U [latent]").counterfactual(frame, {"X": 1}, equations={"Y": lambda X, U, u: X * U + u})
    with pytest.raises(cf.DataError, match="X is the same in every row"):
        cf.dag("X; Y").test(frame.assign(X=1.0))
    with pytest.raises(cf.DataError, match="only 5 complete rows, too few for a test"):
        cf.dag("X; Y").test(frame.head(5))


SCM = "X -> A; X -> Y; A -> Y"
TWICE = {"X -> A": 2, ("X", "A"): 3}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"n": 10**12}, "n=1000000000000: units, a whole number from 1 to 100000000"),
        ({"effects": [("X", "A", 2)]}, "effects= names arrows, as .*, not \\[\\('X', 'A', 2\\)\\]"),
        ({"effects": {("X", 1): 2}}, "effects= names arrows, as .*, not \\('X', 1\\)"),
        ({"effects": {"X -> A": "2"}}, "the effect of X -> A is a number, not '2'"),
        ({"effects": {"X -> A": np.nan}}, "the effect of X -> A is a number, not nan"),
        ({"effects": TWICE}, "effects= names X -> A twice"),
        (
            {"effects": {"X -> A": 2}, "equations": {"A": lambda X, u: X + u}},
            "effects= gives X -> A, and equations= gi",
        ),
        ({"equations": [len]}, "equations= gives functions by node"),
        ({"equations": {"A": len}}, "the equation of A takes arguments by name, as lambda X, u: ..., not <built-in"),
        (
            {"equations": {"Y": lambda A, u: A + u}},
            "the equation of Y does not take X, which the graph has as its cause",
        ),
        (
            {"equations": {"A": lambda X, u: None}},
            "the equation of A gives a number, or one for each of 5 units, not No",
        ),
        ({"equations": {"A": lambda X, u: X[:2]}}, "the equation of A gives a number, .* of shape \\(2,\\)"),
        ({"equations": {"A": lambda X, u: X.no}}, "the equation of A failed: AttributeError"),
        ({"do": {"A": [1, 2]}}, "do= sets A to a number, or one for each of 5 units, not \\[1, 2\\] of shape \\(2,\\)"),
        ({"do": {"A": None}}, "do= sets A to a number, or one for each of 5 units, not None"),
        ({"do": {"A": np.inf}}, "do= sets A to what is missing or infinite"),
        ({"do": {"A": "high"}}, "A is text, which Y = A \\+ ... cannot take: give equations= of Y"),
    ],
)
def test_models_that_make_no_data(asked, message):
    with pytest.raises(cf.OptionError, match=message):
        cf.dag(SCM).simulate(**{"n": 5, **asked})


def test_causes_and_marks_that_an_equation_cannot_serve():
    g = cf.dag("A -> Y -> S; A <-> Y; S [selected]")
    with pytest.raises(
        cf.OptionError, match=r"cannot take the cause behind Y <-> A.*draw it, as in U \[latent\]; U -> {Y A}"
    ):
        g.simulate(5, equations={"Y": lambda A, u: A + u})
    with pytest.raises(cf.OptionError, match="S decides who or what is in the data where it is above zero"):
        g.simulate(5, do={"S": "yes"})


def test_units_whose_counterfactuals_cannot_be_told():
    g = cf.dag(SCM)
    frame = data(g)
    with pytest.raises(cf.DataError, match=r"no column X, which the graph has as measured.*did you mean 'x'"):
        g.counterfactual(frame.rename(columns={"X": "x"}), {"A": 1})
    with pytest.raises(cf.DataError, match="X is a string, and a structural model is of numbers"):
        g.counterfactual(frame.assign(X="u"), {"A": 1})
    with pytest.raises(cf.OptionError, match="do= sets nodes to values"):
        g.counterfactual(frame, None)
    with pytest.raises(cf.CapabilityError, match="the equation of Y does not add its disturbance, so no unit's can be"):
        g.counterfactual(frame, {"A": 1}, equations={"Y": lambda X, A, u: np.where(u > 0, "p", "q")})


def test_other_arguments_of_graphs():
    g = cf.dag(SCM)
    frame = data(g)
    with pytest.raises(cf.OptionError, match=r"level=0.95 is how often the tests may contradict.*did you mean 0.05"):
        g.test(frame, level=0.95)
    with pytest.raises(cf.OptionError, match="seed=None: the seed of the folds, a whole number from 0"):
        g.test(frame, seed=None)
    with pytest.raises(cf.OptionError, match=r"given lists nodes, as in given=\['X'\], not a DataFrame"):
        g.separated("X", "Y", frame)
    with pytest.raises(cf.GraphError, match="the graph has no node a DataFrame; it has X, A, Y"):
        g.separated("X", frame)
    with pytest.raises(cf.OptionError, match="given= blocks paths between a treatment and an outcome: name these two"):
        g.plot(given="X")
    found = g.identify("A", "Y")
    with pytest.raises(cf.OptionError, match=r"covariates lists nodes, as in covariates=\['X'\], not None"):
        found.valid(None)
    with pytest.raises(cf.OptionError, match="unknown design None; choose from adjustment, front door, instrument"):
        found.formula_for(None)
