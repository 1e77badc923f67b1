"""Pictures of graphs: layers, dashes, colours."""

from __future__ import annotations

from time import process_time

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.path import Path

import causalformula as cf
from causalformula.plots.dag import layers, places
from causalformula.plots.draw import COLOURS


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def drawn(ax, gid):
    (found,) = [text for text in ax.texts if text.get_gid() == gid]
    return found


def arrow(ax, gid):
    return drawn(ax, f"edge {gid}").arrow_patch


def test_causes_stand_before_effects():
    g = cf.dag("Z -> {A Y}; A -> M -> Y; W -> Y; L -> W")
    depth = layers(g.diagram)
    assert all(depth[a] < depth[b] for a, b in g.diagram.arrows)
    assert depth["L"] == depth["Y"] - 2 or depth["L"] == depth["W"] - 1
    at = places(g.diagram)
    assert len(set(at.values())) == len(g.nodes)
    assert all(at[a][0] < at[b][0] for a, b in g.diagram.arrows)


def test_colours_and_dashes():
    g = cf.dag("I.H -> {Drug Severity}; Drug -> Severity; U [latent]; U -> Drug; Drug <-> V; S [selected]; V -> S")
    ax = g.plot("Drug", "Severity")
    ax.figure.canvas.draw()
    assert to_hex(arrow(ax, "Drug Severity").get_edgecolor()).upper() == COLOURS[0]
    assert to_hex(arrow(ax, "I.H Severity").get_edgecolor()).upper() == COLOURS[1]
    assert to_hex(arrow(ax, "V S").get_edgecolor()).upper() not in COLOURS
    assert arrow(ax, "U Drug").get_linestyle() == arrow(ax, "Drug V").get_linestyle() == "--"
    assert arrow(ax, "I.H Drug").get_linestyle() == "-"
    assert drawn(ax, "node U").get_bbox_patch().get_linestyle() == "--"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["causal path", "open backdoor path"]
    blocked = g.plot("Drug", "Severity", given="I.H")
    assert to_hex(arrow(blocked, "I.H Severity").get_edgecolor()).upper() not in COLOURS


def test_a_large_graph_is_drawn_in_seconds():
    """Bends that are tried look at all nodes at once, and no more of them than the first that will do."""
    g = cf.dag("; ".join(f"n{k} -> {{n{k + 1} n{k + 7}}}" for k in range(130)))
    began = process_time()
    g.plot()
    assert process_time() - began < 4


def test_a_collider_that_is_adjusted_for_opens_its_path():
    g = cf.dag("A -> {X M} B -> {M Y} X -> Y")
    closed, opened = g.plot("X", "Y"), g.plot("X", "Y", given=["M"])
    marked = cf.dag("A -> {X M} B -> {M Y} X -> Y; M [adjusted]")
    axes = (closed, opened, marked.plot("X", "Y"), marked.plot("X", "Y", given=[]))
    colours = [to_hex(arrow(ax, "A M").get_edgecolor()).upper() == COLOURS[1] for ax in axes]
    assert colours == [False, True, True, False]
    shades = [ax.findobj(lambda one: one.get_gid() == "node M")[0].get_bbox_patch().get_facecolor()[0] for ax in axes]
    assert shades == [1.0, 0.85, 0.85, 1.0]
    assert [text.get_text() for text in axes[1].get_legend().get_texts()][-1] == "adjusted for"
    figure = axes[1].figure
    box = axes[1].get_legend().get_window_extent(figure.canvas.get_renderer())
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width  # a small picture has room for its legend


def test_a_common_cause_beside_an_arrow_has_its_own_colour_and_way():
    ax = cf.dag("X -> Y; X <-> Y").plot("X", "Y")
    straight, bent = [text.arrow_patch for text in ax.texts if text.get_gid() == "edge X Y"]
    assert [to_hex(one.get_edgecolor()).upper() for one in (straight, bent)] == list(COLOURS[:2])
    assert straight.get_connectionstyle().rad == 0 and abs(bent.get_connectionstyle().rad) >= 0.15


def test_edges_run_over_no_node_and_stay_in_the_picture():
    drug = "I.H -> {Drug Severity Before}; Ward -> Drug -> Level -> Severity; {Drug Severity} -> Stay"
    texts = (
        f"{drug}; Worry -> {{Drug Visits}}; Frailty -> {{Visits Severity}}",
        "U2 -> {M Y} A -> B -> C -> Y M -> {A Y}",
    )
    for ax in (cf.dag(text).plot() for text in texts):
        ax.figure.canvas.draw()
        boxes = {text.get_gid()[5:]: text.get_bbox_patch().get_window_extent() for text in ax.texts if text.get_text()}
        for text in (text for text in ax.texts if not text.get_text()):
            patch = text.arrow_patch
            # curves as short lines: older versions interpolate between the points that control them
            lines = patch.get_path().to_polygons(closed_only=False)
            finer = np.vstack([Path(line).interpolated(20).vertices for line in lines])
            points = patch.get_transform().transform(finer)
            assert ax.get_window_extent().contains(*points.max(axis=0)), text.get_gid()
            over = [node for node, box in boxes.items() if any(box.contains(*point) for point in points)]
            assert set(over) <= set(text.get_gid().split()[1:]), (text.get_gid(), over)


def test_axes_are_used_and_a_plain_graph_has_no_legend():
    _, ax = plt.subplots()
    assert cf.dag("A -> B").plot(ax=ax) is ax and ax.get_legend() is None
    with pytest.raises(cf.OptionError, match="ax must be a matplotlib Axes"):
        cf.dag("A -> B").plot(ax=3)
