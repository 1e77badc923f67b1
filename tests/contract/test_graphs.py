"""Graphs as a reader meets them: published examples, forms, formulas, tests on data, simulation."""

from __future__ import annotations

import pickle

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import causalformula as cf

# Greenland, Pearl and Robins (1999), Epidemiology 10; Ding and Miratrix (2015), Journal of Causal Inference 3, who name
# the butterfly; Pearl (1995), Biometrika 82, for the front door; van der Zander, Textor and Liskiewicz (2015), IJCAI,
# for instruments given others; Pearl and Mackenzie (2018), The Book of Why, p. 240, for the napkin.
M_BIAS = "A -> {X M} B -> {M Y} X -> Y"
BUTTERFLY = "A -> {X M} B -> {M Y} M -> {X Y} X -> Y"
FRONT_DOOR = "X -> M -> Y; U [latent]; U -> {X Y}"
INSTRUMENT = "Z -> X -> Y; U [latent]; U -> {X Y}"
NAPKIN = "W -> R -> X -> Y; W <-> X; W <-> Y"
# Shrier and Platt (2008), BMC Medical Research Methodology 8:70, figure 2a, as dagitty ships it (Textor et al. 2016,
# International Journal of Epidemiology 45).
SHRIER = """
dag {
  WarmUpExercises [exposure]
  Injury [outcome]
  Coach -> { FitnessLevel TeamMotivation }
  ConnectiveTissueDisorder -> { NeuromuscularFatigue TissueWeakness }
  ContactSport -> { IntraGameProprioception PreviousInjury }
  FitnessLevel -> { NeuromuscularFatigue PreGameProprioception }
  Genetics -> { ConnectiveTissueDisorder FitnessLevel NeuromuscularFatigue }
  IntraGameProprioception -> Injury
  NeuromuscularFatigue -> { Injury IntraGameProprioception }
  PreGameProprioception -> WarmUpExercises
  TeamMotivation -> { PreviousInjury WarmUpExercises }
  TissueWeakness -> Injury
  WarmUpExercises -> IntraGameProprioception
}
"""


def sets(found):
    return {frozenset(z) for z in found.adjustment_sets}


# -- published examples ------------------------------------------------------------------------------------------------


def test_m_bias():
    found = cf.dag(M_BIAS).identify("X", "Y")
    assert found.adjustment_sets == ((),)
    assert found.optimal == ("B",)
    (path,) = [path for path in found.paths if not path.causal]
    assert str(path) == "X <- A -> M <- B -> Y" and path.colliders == ("M",) and path.backdoor
    assert not path.open(found.question.diagram) and path.open(found.question.diagram, {"M"})
    assert "closed, unless M (or what it causes) is adjusted for; A or B blocks it then" in str(found)


def test_butterfly_bias():
    found = cf.dag(BUTTERFLY).identify("X", "Y")
    assert sets(found) == {frozenset("AM"), frozenset("BM")}
    assert set(found.optimal) == {"B", "M"}
    assert "M, B  (optimal)" in str(found)


def test_shrier_and_platt():
    """The seven minimal sets that dagitty lists."""
    found = cf.dag(SHRIER).identify()
    assert sets(found) == {
        frozenset({"Coach", "FitnessLevel"}),
        frozenset({"Coach", "PreGameProprioception"}),
        frozenset({"ConnectiveTissueDisorder", "NeuromuscularFatigue"}),
        frozenset({"FitnessLevel", "Genetics"}),
        frozenset({"FitnessLevel", "TeamMotivation"}),
        frozenset({"NeuromuscularFatigue", "TissueWeakness"}),
        frozenset({"PreGameProprioception", "TeamMotivation"}),
    }
    assert set(found.optimal) == {"NeuromuscularFatigue", "TissueWeakness", "ContactSport"}


def test_front_door():
    found = cf.dag(FRONT_DOOR).identify("X", "Y")
    assert found.adjustment_sets == () and found.optimal is None
    assert [door.mediators for door in found.front_door] == [("M",)]
    assert found.expression == "P(Y | do(X)) = sum over M of P(M | X) sum over X' of P(X') P(Y | X', M)"
    assert (found.formula, found.method, found.options) == ("Y ~ treat(X)", "front_door", {"mediators": "M"})
    assert found.why_not == "no adjustment identifies the total effect of X on Y: X <- U -> Y stays open: U is latent"


def test_words_of_paths():
    two = cf.dag("X -> {M Y}; M <- A -> N <- B -> Y").identify("X", "Y")
    assert "closed, unless M and N (or what they cause) are adjusted for; A or B blocks it then" in str(two)
    assert "closed, unless M (or what it causes) is adjusted for" in str(
        cf.dag("X -> M <- Y; X -> Y").identify("X", "Y")
    )
    names = [f"n{k}" for k in range(14)]
    arrows = [f"{a} -> {b}" for k, a in enumerate(names) for b in names[k + 1 :]]
    dense = cf.dag("; ".join(arrows)).identify("n5", "n10")
    assert len(dense.paths) == 1000 and "more or yet more" in str(dense)
    door = cf.dag(FRONT_DOOR)
    assert door.formula("Y", "X", design="front_door") == door.formula("Y", "X", design="front door")


def test_front_door_with_covariates():
    found = cf.dag("X -> M -> Y; W -> {X M Y}; X <-> Y").identify("X", "Y")
    assert [str(door) for door in found.front_door] == ["M given W"]
    assert found.formula == "Y ~ treat(X) + adjust(W)"


def test_instrument():
    g = cf.dag(INSTRUMENT)
    assert [str(one) for one in g.identify("X", "Y").instruments] == ["Z"]
    assert g.formula("Y", "X") == "Y ~ treat(X) + iv(Z)"
    assert g.identify("X", "Y").expression is None
    conditional = cf.dag("W -> {Z Y}; " + INSTRUMENT)
    assert [str(one) for one in conditional.identify("X", "Y").instruments] == ["Z given W"]
    assert conditional.formula("Y", "X") == "Y ~ treat(X) + iv(Z) + adjust(W)"


@pytest.mark.parametrize(
    ("text", "found"), [("dag{ i->x->y; x<->y }", "i"), ("dag{ i->x->y; x<->y ; y<-z->i }", "i given z")]
)
def test_instruments_of_the_manual(text, found):
    """The examples of ``instrumentalVariables`` in dagitty's manual, 0.3."""
    assert [str(one) for one in cf.dag(text).identify("x", "y").instruments] == [found]


def test_napkin():
    found = cf.dag(NAPKIN).identify("X", "Y")
    assert found.adjustment_sets == () and found.front_door == ()
    above, below = found.expression.removeprefix("P(Y | do(X)) = ").split(" / ")
    assert above == "[sum over W of P(W) P(X | W, R) P(Y | W, R, X)]"
    assert below == "[sum over W of P(W) P(X | W, R)], whatever the value of R"


def test_direct_effects():
    g = cf.dag("X -> M -> Y; X -> Y; C -> {M Y}")
    assert g.identify("X", "Y").adjustment_sets == ((),)
    assert g.identify("X", "Y", "direct").adjustment_sets == (("M", "C"),)
    assert g.formula("Y", "X", effect="direct") == "Y ~ treat(X) + adjust(M + C)"
    assert "one number in a linear model" in str(g.identify("X", "Y", "direct"))
    none = "No arrow leads from X to Y: the direct effect is zero in this graph"
    through = cf.dag("X -> M -> Y; C -> {M Y}")
    assert none in str(through.identify("X", "Y", "direct"))
    assert none not in str(through.identify("X", "Y")) and none not in str(g.identify("X", "Y", "direct"))
    data = g.simulate(5000, seed=3, effects={"X -> Y": 2, "X -> M": 3})
    total, direct = (cf.fit(g.formula("Y", "X", effect=effect), data) for effect in ("total", "direct"))
    assert total.estimate == pytest.approx(5, abs=4 * total.std_error)
    assert direct.estimate == pytest.approx(2, abs=4 * direct.std_error)


def test_selection_and_missing_values():
    caused = cf.dag("X -> Y; {X Y} -> S; S [selected]").identify("X", "Y")
    assert caused.adjustment_sets == () and "the data are selected by S" in caused.why_not
    harmless = cf.dag("X -> Y; X -> S; S [selected]").identify("X", "Y")
    assert harmless.adjustment_sets == ((),)
    by_outcome = cf.dag("X -> Y -> R; R [missing = Y]").identify("X", "Y")
    assert by_outcome.adjustment_sets == ()
    by_covariate = cf.dag("X -> Y; Z -> {X Y}; X -> R; R [missing = W]; W -> Z").identify("X", "Y")
    assert by_covariate.adjustment_sets == (("Z",),)  # W has gaps, and is not needed


def test_gaps_that_complete_rows_cannot_make_good():
    lost = cf.dag("X -> Y; Z -> {X Y R}; R [missing = Y]").identify("X", "Y")
    assert lost.adjustment_sets == () and lost.why_not == (
        "no adjustment of complete rows identifies the total effect of X on Y: those whose rows are complete are not "
        "the population: Y <- Z -> R joins the outcome to the selection"
    )
    assert lost.expression == "P(Y | do(X)) = sum over Z of P(Z) P(Y | Z, X, where Y is seen)"
    assert "averages over the complete ones, which gives this effect if it is the same whatever Z is" in str(lost)
    with pytest.raises(cf.IdentificationError, match=r"expression does, which no formula writes: P.* where Y is seen"):
        lost.formula  # noqa: B018
    gap = cf.dag("X -> Y; Z -> {X Y}; Y -> R; R [missing = Z]").identify("X", "Y")
    assert "Z has gaps, and Y -> R joins the outcome to the rows that have Z" in gap.why_not
    assert gap.expression == "P(Y | do(X)) = sum over Z of P(Y | Z, X) P(Z)"
    assert "Note: values are missing at random: all rows, imputed or weighted" in str(gap)
    own = cf.dag("X -> Y; Z -> {X Y R}; R [missing = Z]").identify("X", "Y")
    assert own.expression is None and "(R)" in str(own) and "at random" not in str(own)


# -- forms -------------------------------------------------------------------------------------------------------------


def test_print_and_equality():
    g = cf.dag("I.H -> Drug; I.H -> Severity; Drug -> Severity; U [latent]; U -> Drug")
    assert str(g) == "I.H -> {Drug Severity}\nDrug -> Severity\nU -> Drug\nU [latent]"
    assert g.nodes == ("I.H", "Drug", "Severity", "U") and g.latent == ("U",)
    assert cf.dag("Drug -> Severity; U [latent] -> Drug; I.H -> {Drug Severity}") == g != cf.dag("Drug -> Severity")
    assert cf.dag("A <-> B") == cf.dag("B <-> A") != cf.dag("B <-> A; A [exposure]") and g != str(g)
    assert repr(cf.dag("A -> B -> C").implications()) == "(A _||_ C | B,)"
    assert repr(g.identify("Drug", "Severity").paths[1:]) == "(Drug <- I.H -> Severity,)"
    assert cf.dag(g) is g and pickle.loads(pickle.dumps(g)) == g and hash(g) == hash(cf.dag(g.source))
    with pytest.raises(AttributeError):
        g.diagram = None


def test_forms():
    g = cf.dag("dag { X [exposure] Y [outcome] U [latent] X -> Y X <- U -> Y A <-> X }")
    assert (g.exposures, g.outcomes, g.diagram.bows) == (("X",), ("Y",), (("A", "X"),))
    assert g.to_dagitty() == (
        "dag {\n  X [exposure]\n  Y [outcome]\n  U [latent]\n  A\n  X -> Y\n  U -> X\n  U -> Y\n  A <-> X\n}"
    )
    assert "A -> X [dir = both, style = dashed];" in g.to_dot()
    assert g.to_mermaid().splitlines()[:2] == ["flowchart TD", '  n0["X"]']
    assert "  n2 -.-> n0" in g.to_mermaid() and "  n3 <-.-> n0" in g.to_mermaid()


def test_chains_sets_and_comments():
    g = cf.dag('{A "b c"} -> D <- E -> F  // a chain\nG <-> {A, D}; # marks\nH [latent, pos="1,2"]')
    assert set(g.diagram.arrows) == {("A", "D"), ("b c", "D"), ("E", "D"), ("E", "F")}
    assert set(g.diagram.bows) == {("G", "A"), ("G", "D")} and g.latent == ("H",)
    dot = (
        'strict digraph "a graph" { rankdir=LR; node [shape=box]; a -> b [color=red, weight=-1.5]; b -> c [dir=back] }'
    )
    assert set(cf.dag(dot).diagram.arrows) == {("a", "b"), ("c", "b")}


def test_what_other_tools_write():
    """dagitty's page marks what is adjusted for; DOT has ports and parts; DoWhy says what is not observed."""
    page = 'dag {\nbb="0,0,1,1"\n"A b" [exposure,pos="0.1,-0.2"]\nY [outcome]\nZ [adjusted,pos="1,2"]\n'
    g = cf.dag(page + '"A b" -> Y [beta="0.5"]\nZ -> "A b"\nZ -> Y\n}')
    assert (g.exposures, g.outcomes, g.adjusted) == (("A b",), ("Y",), ("Z",)) and "Z [adjusted]" in g.to_dagitty()
    assert g.identify().adjustment_sets == (("Z",),)
    parts = cf.dag("digraph { subgraph cluster_0 { label=x; A; B -> C } subgraph { D } A:n -> B:s:w; }")
    assert (set(parts.nodes), set(parts.diagram.arrows)) == ({"A", "B", "C", "D"}, {("B", "C"), ("A", "B")})
    assert cf.dag('"subgraph" -> "a:b"').nodes == ("subgraph", "a:b") and cf.dag("Âge -> β2").nodes == ("Âge", "β2")
    for text in ('U[observed="no"]; U->X;U->Y;X->Y', "U [latent=1] -> X", "U [latent = yes] -> X"):
        assert cf.dag(f"digraph {{ {text} }}").latent == ("U",)
    assert cf.dag("digraph { U [observed=yes, latent=false] -> X }").latent == ()


def test_networkx_and_files(tmp_path):
    made = nx.DiGraph([("A", "B"), ("U", "B")])
    made.nodes["U"]["latent"] = True
    g = cf.dag(made)
    assert g == cf.dag("A -> B; U -> B; U [latent]")
    made.nodes["U"].update(latent=False, observed="no")
    assert cf.dag(made) == g
    made.nodes["U"].update(latent="no", observed="yes")
    assert cf.dag(made).latent == ()
    gaps = cf.dag("X -> {Y R}; X <-> Y; R [missing = Y]")
    assert cf.dag(gaps.to_networkx()) == gaps == cf.dag(str(cf.dag(gaps.to_networkx())))
    file = tmp_path / "graph.dot"
    file.write_text(g.to_dot(), encoding="utf-8")
    other = file.with_suffix(".graph")
    other.write_text(str(g), encoding="utf-8")
    assert cf.dag(str(other)) == cf.dag(other) == cf.dag(file)
    page = tmp_path / "page.txt"  # as dagitty's page has it, saved by an editor that marks UTF-8
    page.write_text(f"{g.to_dagitty()}\n", encoding="utf-8-sig")
    assert cf.dag(page) == g
    assert set(cf.dag(file).diagram.arrows) == set(cf.dag(str(file)).diagram.arrows) == {("A", "B"), ("U", "B")}


# -- with data ---------------------------------------------------------------------------------------------------------


def test_an_instrument_is_two_stage_least_squares():
    """The formula that the graph writes goes to cf.fit as it is; by hand the ratio of two partial covariances."""
    g = cf.dag("W -> {Z Y}; " + INSTRUMENT)
    data = g.simulate(300, seed=4).drop(columns="U")
    fit = cf.fit(g.formula("Y", "X"), data, dag=g, strict=True)
    z, x, y = (cf.lm(f"{name} ~ W", data).resid for name in "ZXY")
    assert fit.estimate == pytest.approx((z @ y) / (z @ x), rel=1e-10)
    assert "Method: two-stage least squares" in str(fit) and "by the graph" not in str(fit)


def test_fit_checks_the_formula():
    heart = cf.datasets.load("heart")
    g = cf.dag("I.H -> {Drug Severity}; Drug -> Severity")
    fit = cf.fit(g.formula("Severity", "Drug"), heart, dag=g, strict=True)
    assert round(fit.estimate, 4) == -9.8877 and "by the graph" not in str(fit)
    with pytest.warns(cf.IdentificationWarning, match="Drug <- I.H -> Severity stays open: adjust for I.H"):
        wrong = cf.fit("Severity ~ treat(Drug)", heart, dag="I.H -> {Drug Severity}; Drug -> Severity")
    assert "Note: by the graph, Drug <- I.H -> Severity stays open" in str(wrong)


def test_a_graph_names_the_mediators():
    g = cf.dag(FRONT_DOOR)
    data = g.simulate(400, seed=2).drop(columns="U")
    found = g.identify("X", "Y")
    a = cf.fit(found.formula, data, method=found.method, **found.options)
    b = cf.fit("Y ~ treat(X)", data, method="front_door", dag=g, strict=True)
    assert a.estimate == b.estimate


def test_implications_and_their_tests():
    g = cf.dag("A -> B -> C; A -> D")
    assert [str(one) for one in g.implications()] == ["A _||_ C | B", "B _||_ D | A", "C _||_ D | A"]
    data = g.simulate(500, seed=3)
    fine = g.test(data)
    assert fine.rejected == () and "The data contradict none of 3 implied independences" in str(fine)
    frame = fine.to_frame()
    a, c = (cf.lm(f"{left} ~ B", data).resid for left in "AC")
    r = np.corrcoef(a, c)[0, 1]
    assert frame["estimate"][0] == pytest.approx(r) and frame["df"][0] == 497
    assert frame["statistic"][0] == pytest.approx(cf.lm("C ~ A + B", data).tvalues["A"])
    # Holm (1979): the smallest p-value times all tests, the next times one fewer, none below one before
    order = np.argsort(frame["p.value"])
    by_hand = np.maximum.accumulate(frame["p.value"].to_numpy()[order] * [3, 2, 1])
    np.testing.assert_allclose(frame["p.adjusted"].to_numpy()[order], np.minimum(by_hand, 1))
    wrong = cf.dag("A -> B; C; A -> D").test(data)
    assert "B _||_ C" in wrong.rejected and "The data contradict the graph" in str(wrong)
    assert "no data can contradict it" in str(cf.dag("A -> B").test(data))


def test_mixed_types_are_tested_by_residuals():
    g = cf.dag("A -> B -> C")
    rng = np.random.default_rng(4)
    a = rng.choice(["u", "v", "w"], 600)
    b = (a == "u") + rng.normal(size=600)
    good = pd.DataFrame({"A": a, "B": b, "C": b + rng.normal(size=600)})
    bad = good.assign(C=good["C"] + (a == "v"))
    (row,) = g.test(good).to_frame().to_dict("records")
    assert row["method"] == "residuals" and row["df"] == 2 and row["p.value"] > 0.05
    assert g.test(bad).rejected == ("A _||_ C | B",)
    assert g.test(good, seed=7).to_frame().equals(g.test(good, seed=7).to_frame())


def test_levels_that_few_rows_have_are_no_contradiction():
    """A column of names, one a row or nearly: products of residuals are as many as rows."""
    rng = np.random.default_rng(0)
    for levels in (10, 30, 59):
        frame = pd.DataFrame({"A": rng.normal(size=60), "C": [f"l{k % levels}" for k in range(60)]})
        (row,) = cf.dag("A; C").test(frame).rows
        assert row["df"] == levels - 1 and row["p.value"] > 0.05, levels
    frame["C"] = np.where(frame["A"] > 0, "high", "low")
    assert cf.dag("A; C").test(frame).rejected == ("A _||_ C",)


def test_simulation_and_interventions():
    g = cf.dag("I.H -> Drug; I.H -> Severity; Drug -> Severity")
    effects = {"Drug -> Severity": -10, ("I.H", "Severity"): 2}
    data = g.simulate(50, seed=5, effects=effects)
    treated, control = (g.simulate(50, seed=5, effects=effects, do={"Drug": a}) for a in (1, 0))
    assert (data["I.H"] == treated["I.H"]).all() and (treated["Drug"] == 1).all()
    np.testing.assert_allclose(treated["Severity"] - control["Severity"], -10)
    equations = {"Drug": lambda I_H, u: I_H + u > 0, "Severity": lambda Drug, I_H, u: Drug * I_H + u}
    units = g.simulate(50, seed=5, equations=equations)
    moved = g.simulate(50, seed=5, equations=equations, do={"Drug": 1})
    assert set(units["Drug"]) == {0, 1}
    np.testing.assert_allclose((moved - units)["Severity"], (1 - units["Drug"]) * units["I.H"])


def test_counterfactuals_of_given_units():
    g = cf.dag("Z -> A -> Y; Z -> Y; A <-> Y")
    data = g.simulate(20, seed=6, effects={"A -> Y": 3})
    moved = g.counterfactual(data, {"A": 0}, effects={"A -> Y": 3})
    np.testing.assert_allclose(moved["Y"], data["Y"] - 3 * data["A"])
    assert (moved["Z"] == data["Z"]).all() and (moved["A"] == 0).all()
    same = g.counterfactual(data, {}, effects={"A -> Y": 3})
    np.testing.assert_allclose(same, data)


def test_counterfactuals_are_the_same_units_simulated():
    """Causes that nobody measured, and treatments that hide their disturbance, stay what they were."""
    g = cf.dag("Z -> L -> Y; L [latent]; Z -> A -> M -> Y; A <-> Y")
    asked = {"seed": 3, "effects": {"A -> M": 2, "Z -> L": 5}}
    data, moved = g.simulate(30, **asked), g.simulate(30, **asked, do={"A": 1})
    found = g.counterfactual(data, {"A": 1}, effects=asked["effects"])
    np.testing.assert_allclose(found, moved[list(found)])
    h = cf.dag("Z -> A -> Y; Z -> Y")
    asked = {"seed": 3, "equations": {"A": lambda Z, u: Z + u > 0, "Y": lambda Z, A, u: A * Z + u}}
    data, moved = h.simulate(30, **asked), h.simulate(30, **asked, do={"A": 1})
    np.testing.assert_allclose(h.counterfactual(data, {"A": 1}, equations=asked["equations"]), moved)


def test_units_of_other_frames_and_their_own_values():
    """Any frame; what is done may differ between units, and nodes may hold text where equations read it."""
    g = cf.dag("Z -> A -> Y; Z -> Y")
    data = g.simulate(20, seed=6)
    moved = g.counterfactual(data.to_dict("list"), {"A": data["A"] + 2})
    np.testing.assert_allclose(moved["Y"], data["Y"] + 2)
    gaps = g.counterfactual(data.assign(Y=data["Y"].where(data.index > 1), W="text"), {"A": 0})["Y"]
    assert list(gaps.isna()) == [True, True] + [False] * 18
    switched = g.counterfactual(data.assign(A=data["A"] > 0), {"A": True})
    np.testing.assert_allclose(switched["Y"], data["Y"] + (data["A"] <= 0))
    equations = {"A": lambda Z, u: np.where(Z > 0, "p", "q"), "Y": lambda A, Z, u: (A == "p") + Z + u}
    told = g.simulate(20, seed=6, equations=equations)
    np.testing.assert_allclose(
        told["Y"] - g.simulate(20, seed=6, equations=equations, do={"A": "q"})["Y"], data["Z"] > 0
    )


def test_equations_take_parents_of_any_name():
    g = cf.dag("X-ray -> Y; A.b -> Y; class -> Y")
    data = g.simulate(20, seed=2)
    same = g.simulate(20, seed=2, equations={"Y": lambda X_ray, A_b, _class, u: X_ray + A_b + _class + u})
    np.testing.assert_allclose(same, data)


def test_counterfactuals_solve_only_what_changes_and_keep_the_rest():
    g = cf.dag("I.H -> {Drug Severity}; Drug -> Severity")
    equations = {"Drug": lambda I_H, u: I_H + u > 0, "Severity": lambda Drug, I_H, u: Drug * I_H + u}
    data = g.simulate(50, seed=9, equations=equations)
    moved = g.counterfactual(data, {"Drug": 1}, equations=equations)  # Drug has a threshold, but is set
    np.testing.assert_allclose(
        moved["Severity"], g.simulate(50, seed=9, equations=equations, do={"Drug": 1})["Severity"]
    )
    spread = {"Severity": lambda Drug, I_H, u: Drug * I_H + (2 + Drug) * u}  # a factor that the parents set
    data = g.simulate(50, seed=9, equations=spread)
    moved = g.counterfactual(data, {"Drug": 1}, equations=spread)
    np.testing.assert_allclose(moved["Severity"], g.simulate(50, seed=9, equations=spread, do={"Drug": 1})["Severity"])
    through = cf.dag("A -> U -> Y; T -> Y; U [latent]")
    data = through.simulate(50, seed=9)
    np.testing.assert_allclose(through.counterfactual(data, {"T": data["T"]})["Y"], data["Y"])
    np.testing.assert_allclose(through.counterfactual(data, {"T": data["T"] + 2})["Y"], data["Y"] + 2)


def test_simulated_selection_and_gaps():
    data = cf.dag("X -> Y -> S; S [selected]; X -> R; R [missing = Y]").simulate(300, seed=7)
    assert 0 < len(data) < 300 and (data["S"] > 0).all()
    assert (data["Y"].isna() == (data["R"] > 0)).all()
    assert data.index.max() < 300  # rows keep their labels


def test_separated():
    g = cf.dag(BUTTERFLY)
    assert g.separated("A", "B") and not g.separated("A", "B", "M") and not g.separated("A", "Y", ["X"])


def test_blocks_and_what_is_matched_on_count_as_adjusted():
    g = cf.dag("Z -> {X Y}; X -> Y")
    rng = np.random.default_rng(8)
    z = rng.integers(0, 3, 300)
    x = (rng.random(300) < 0.2 + 0.2 * z).astype(int)
    data = pd.DataFrame({"Z": z, "X": x, "Y": x + z + rng.normal(size=300)})
    cf.fit("Y ~ treat(X) + strata(Z)", data, "difference_in_means", dag=g, strict=True)
    cf.fit("Y ~ treat(X)", data.assign(p=rng.random(300)), "nearest", distance="p", exact="~ Z", dag=g, strict=True)
    with pytest.raises(cf.IdentificationError, match="X <- Z -> Y stays open"):
        cf.fit("Y ~ treat(X) + strata(Z)", data, "regression", dag=g, strict=True)


def test_absorbed_effects_count_as_adjusted():
    g = cf.dag("{Z V W} -> {X Y}; X -> Y -> S")
    rng = np.random.default_rng(9)
    data = pd.DataFrame(rng.integers(0, 4, (300, 3)), columns=list("ZVW"))
    data["X"] = data.sum(axis=1) + rng.normal(size=300)
    data["Y"] = data.sum(axis=1) + rng.normal(size=300)
    data["S"] = (data["Y"] > 4).astype(int)
    for absorbed in ("Z + V + W", "Z^V + W", "Z[V] + W"):
        cf.fit(f"Y ~ treat(X) | {absorbed}", data, dag=g, strict=True)
    cf.fit("Y ~ treat(X) + adjust(Z) + fe(V + W)", data, dag=g, strict=True)
    with pytest.raises(cf.IdentificationError, match="S is an effect of the outcome, Y -> S: adjusting for it biases"):
        cf.fit("Y ~ treat(X) | Z + V + W + S", data, dag=g, strict=True)
    with pytest.raises(cf.IdentificationError, match=r"X <- Z -> Y stays open: adjust for Z$"):
        cf.fit("Y ~ treat(X) | Z[[V]] + W", data, dag=g, strict=True)  # levels of Z have slopes, and nothing else
    with pytest.raises(cf.IdentificationError, match="Z is no instrument for X: it reaches Y by Z -> Y"):
        cf.fit("Y ~ treat(X) + iv(Z) | V + W", data, dag=g, strict=True)
