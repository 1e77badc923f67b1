"""A causal diagram in layers: causes to the left of their effects."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.graphs.diagram import Diagram
from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Places = Mapping[str, tuple[float, float]]
# An edge by its ends, and whether it is bidirected.
Drawn = tuple[str, str, bool]

SWEEPS = 8
# How an edge may be bent around the nodes in its way, as a share of its length: a straight one is the first choice.
ARROW, COMMON_CAUSE = (0.0, 0.25, -0.25, 0.12, -0.12, 0.4, -0.4), (0.3, -0.3, 0.15, -0.15, 0.45, -0.45)
# By how much the bends of two edges between the same nodes differ.
APART = 0.2
EDGE = {"linewidth": 1.6, "shrinkA": 2, "shrinkB": 2, "mutation_scale": 14}
# Half the height of a node's box with its margin, and the height of a row, in inches.
NEAR, ROW = 0.25, 0.8
# The inside of what is adjusted for.
SHADE = "0.85"
# Inches of a letter, between layers, and of an entry of the legend.
LETTER, GAP, KEY = 0.1, 1.0, 1.9


def layers(diagram: Diagram) -> dict[str, int]:
    """The layer of each node: behind all its causes; one without causes stands right before its first effect."""
    depth: dict[str, int] = {}
    for node in diagram.topological:
        depth[node] = max((depth[parent] + 1 for parent in diagram.parents(node)), default=0)
    for node in diagram.nodes:
        effects = [depth[child] for child in diagram.children(node)]
        if effects and not diagram.parents(node):
            depth[node] = min(effects) - 1
    return depth


def places(diagram: Diagram) -> dict[str, tuple[float, float]]:
    """Where each node stands: its layer, and within it an order by the mean height of its neighbours.

    An edge takes a place in every layer that it passes, so that no node stands in its way.
    """
    depth = layers(diagram)
    around: dict[Any, list[Any]] = {node: [] for node in diagram.nodes}
    rows: dict[int, list[Any]] = {}
    for node in diagram.nodes:
        rows.setdefault(depth[node], []).append(node)
    for edge in (*diagram.arrows, *diagram.bows):
        start, stop = sorted(edge, key=lambda node: depth[node])
        chain: list[Any] = [start, *((edge, layer) for layer in range(depth[start] + 1, depth[stop])), stop]
        for passed in chain[1:-1]:
            rows[passed[1]].append(passed)
        for one, other in pairwise(chain):
            around.setdefault(one, []).append(other)
            around.setdefault(other, []).append(one)
    height = _heights(rows, around)
    middles = _middles(diagram, depth)
    return {node: (middles[depth[node]], -height[node]) for node in diagram.nodes}


def _heights(rows: Mapping[int, list[Any]], around: Mapping[Any, list[Any]]) -> dict[Any, float]:
    """Heights within layers, after sweeps to and fro that bring neighbours near each other."""
    height: dict[Any, float] = {}

    def level(row: list[Any]) -> None:
        height.update({one: k - (len(row) - 1) / 2 for k, one in enumerate(row)})

    for row in rows.values():
        level(row)
    for sweep in range(SWEEPS):
        for layer in sorted(rows, reverse=bool(sweep % 2)):
            pull = {one: sum(height[o] for o in around[one]) / max(1, len(around[one])) for one in rows[layer]}
            rows[layer].sort(key=lambda one: pull[one])
            level(rows[layer])
    return height


def _middles(diagram: Diagram, depth: Mapping[str, int]) -> dict[int, float]:
    """Where the layers stand, in inches: as far from each other as their names are long."""
    widths = [0.0] * (max(depth.values()) + 1)
    for node in diagram.nodes:
        widths[depth[node]] = max(widths[depth[node]], LETTER * len(node))
    found, at = {}, 0.0
    for layer, width in enumerate(widths):
        found[layer] = at + width / 2
        at += width + GAP
    return found


def draw_dag(
    diagram: Diagram,
    ax: Axes | None,
    causal: Collection[Drawn] = (),
    open_edges: Collection[Drawn] = (),
    given: Collection[str] = (),
) -> Axes:
    """Draw nodes and edges; latent nodes and common causes dashed.

    Parameters
    ----------
    causal, open_edges : collection of (str, str, bool)
        Edges of causal paths, and of paths that are open besides, by their ends, and whether they are bidirected.
    given : collection of str
        Nodes that are adjusted for, drawn grey.
    """
    at = places(diagram)
    bends = _bends(diagram, at)
    heights = [y for _, y in at.values()]
    heights += [float(y) for edge, bend in bends.items() for y in _curve(at, edge, bend)[:, 1] / ROW]
    left = min(x - LETTER * len(node) / 2 for node, (x, _) in at.items()) - GAP / 3
    right = max(x + LETTER * len(node) / 2 for node, (x, _) in at.items()) + GAP / 3
    if ax is None:
        ax = new_axes(None, height=1.2 + ROW * (max(heights) - min(heights)))
        ax.figure.set_figwidth(max(4.0, right - left, KEY * sum(map(bool, (causal, open_edges, given)))))
    ax = new_axes(ax)
    ax.set(xlim=(left, right), ylim=(min(heights) - 0.6, max(heights) + 0.6))
    ax.axis("off")
    # boxes are measured as they are drawn, so they are drawn before the edges that end at them
    boxes = {node: _node(ax, diagram, node, x, y, node in given) for node, (x, y) in at.items()}
    for edge, bend in bends.items():
        start, stop, both = edge
        style = EDGE | {"arrowstyle": "<|-|>" if both else "-|>", "connectionstyle": f"arc3,rad={bend}"}
        style["color"] = COLOURS[1] if edge in open_edges else COLOURS[0] if edge in causal else GREY
        style["linestyle"] = "--" if both or start in diagram.latent else "-"
        style |= {"patchA": boxes[start], "patchB": boxes[stop]}
        ax.annotate("", at[stop], at[start], arrowprops=style, zorder=3, gid=f"edge {start} {stop}")
    _legend(ax, bool(causal), bool(open_edges), bool(given))
    return ax


def _node(ax: Axes, diagram: Diagram, node: str, x: float, y: float, given: bool) -> Any:
    style = "square,pad=0.4" if node in diagram.selected or node in diagram.missing else "round,pad=0.4"
    box = {"boxstyle": style, "facecolor": SHADE if given else "white", "edgecolor": "black"}
    if node in diagram.latent:
        box |= {"linestyle": "--", "edgecolor": GREY}
    return ax.text(
        x, y, node, ha="center", va="center", fontsize=10, zorder=2, bbox=box, gid=f"node {node}"
    ).get_bbox_patch()


def _bends(diagram: Diagram, at: Places) -> dict[Drawn, float]:
    """How each edge is bent, so that it runs over no other node, and not along the other edge of its ends."""
    found = {(a, b, False): _bend(at, (a, b, False), ARROW) for a, b in diagram.arrows}
    for a, b in diagram.bows:
        beside = [
            *(found[e] for e in [(a, b, False)] if e in found),
            *(-found[e] for e in [(b, a, False)] if e in found),
        ]
        free = [bend for bend in COMMON_CAUSE if all(abs(bend - other) > APART for other in beside)]
        found[a, b, True] = _bend(at, (a, b, True), free)
    return found


def _bend(at: Places, edge: Drawn, bends: Sequence[float]) -> float:
    """The first bend by which an edge runs over no other node; where all do, that which stays the farthest off."""
    best, most = bends[0], -np.inf
    for bend in bends:
        clear = _clearance(at, edge, bend)
        if clear >= 1:
            return bend
        if clear > most:
            best, most = bend, clear
    return best


def _curve(at: Places, edge: Drawn, bend: float) -> Array:
    """Points of a bent edge, in inches: matplotlib's ``arc3``."""
    start, stop = (np.array(at[node]) * [1, ROW] for node in edge[:2])
    dx, dy = stop - start
    middle = (start + stop) / 2 + bend * np.array([dy, -dx])
    t = np.linspace(0, 1, 50)[:, None]
    return np.asarray((1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * stop)


def _clearance(at: Places, edge: Drawn, bend: float) -> float:
    """How near an edge comes to the box of another node, in half its width or height: below 1 it runs over it."""
    others = [node for node in at if node not in edge[:2]]
    middles = np.array([at[node] for node in others]).reshape(-1, 2) * [1, ROW]
    halves = np.array([(LETTER * len(node) / 2 + NEAR / 2, NEAR) for node in others]).reshape(-1, 2)
    off = np.abs(_curve(at, edge, bend)[:, None] - middles) / halves
    return float(off.max(axis=2).min(initial=np.inf))


def _legend(ax: Axes, causal: bool, opened: bool, given: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = [("causal path", COLOURS[0])] * causal + [("open backdoor path", COLOURS[1])] * opened
    keys: list[Any] = [Line2D([], [], color=colour, linewidth=1.6, label=label) for label, colour in shown]
    keys += [Patch(facecolor=SHADE, edgecolor="black", label="adjusted for")] * given
    if keys:
        below = (0.5, 0.02)
        ax.legend(handles=keys, loc="upper center", bbox_to_anchor=below, ncols=len(keys), frameon=False, fontsize=9)
