"""A causal diagram in layers: causes to the left of their effects."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from causalformula.graphs.diagram import Diagram, Edge
from causalformula.plots.draw import COLOURS, GREY, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Places = Mapping[str, tuple[float, float]]

SWEEPS = 8
# How near to a straight edge a node may lie before the edge is bent around it.
NEAR = 0.25
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
    causal: Collection[Edge] = (),
    open_edges: Collection[Edge] = (),
    given: Collection[str] = (),
) -> Axes:
    """Draw nodes and edges; latent nodes and common causes dashed.

    Parameters
    ----------
    causal, open_edges : collection of (str, str)
        Edges of causal paths, and of paths that are open besides; a bidirected edge by its two ends.
    given : collection of str
        Nodes that are adjusted for, drawn grey.
    """
    at = places(diagram)
    ys = [y for _, y in at.values()]
    left = min(x - LETTER * len(node) / 2 for node, (x, _) in at.items()) - GAP / 3
    right = max(x + LETTER * len(node) / 2 for node, (x, _) in at.items()) + GAP / 3
    if ax is None:
        ax = new_axes(None, height=1.2 + 0.8 * (max(ys) - min(ys)))
        ax.figure.set_figwidth(max(4.0, right - left, KEY * sum(map(bool, (causal, open_edges, given)))))
    ax = new_axes(ax)
    ax.set(xlim=(left, right), ylim=(min(ys) - 0.6, max(ys) + 0.6))
    ax.axis("off")
    # boxes are measured as they are drawn, so they are drawn before the edges that end at them
    boxes = {node: _node(ax, diagram, node, x, y, node in given) for node, (x, y) in at.items()}
    for edge in (*diagram.arrows, *diagram.bows):
        colour = COLOURS[1] if edge in open_edges else COLOURS[0] if edge in causal else GREY
        style = _edge(at, edge, both=edge in diagram.bows)
        style |= {"color": colour, "patchA": boxes[edge[0]], "patchB": boxes[edge[1]]}
        style["linestyle"] = "--" if edge in diagram.bows or edge[0] in diagram.latent else "-"
        ax.annotate("", at[edge[1]], at[edge[0]], arrowprops=style, zorder=3, gid=f"edge {edge[0]} {edge[1]}")
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


def _edge(at: Places, edge: Edge, *, both: bool) -> dict[str, Any]:
    """How an edge is drawn."""
    side = _crossed(at, edge)
    return {
        "arrowstyle": "<|-|>" if both else "-|>",
        "linewidth": 1.6,
        "shrinkA": 2,
        "shrinkB": 2,
        "mutation_scale": 14,
        "connectionstyle": f"arc3,rad={0.3 * (side or 1) if both else 0.25 * side}",
    }


def _crossed(at: Places, edge: Edge) -> int:
    """To which side an edge must be bent, as a straight one would run over another node; 0 where it would not."""
    (x0, y0), (x1, y1) = at[edge[0]], at[edge[1]]
    length = (x1 - x0) ** 2 + (y1 - y0) ** 2
    for node, (x, y) in at.items():
        share = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length
        if node in edge or not 0 < share < 1:
            continue
        off = ((x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)) / length**0.5
        if abs(off) < NEAR:
            return 1 if off < 0 else -1
    return 0


def _legend(ax: Axes, causal: bool, opened: bool, given: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = [("causal path", COLOURS[0])] * causal + [("open backdoor path", COLOURS[1])] * opened
    keys: list[Any] = [Line2D([], [], color=colour, linewidth=1.6, label=label) for label, colour in shown]
    keys += [Patch(facecolor=SHADE, edgecolor="black", label="adjusted for")] * given
    if keys:
        below = (0.5, 0.02)
        ax.legend(handles=keys, loc="upper center", bbox_to_anchor=below, ncols=len(keys), frameon=False, fontsize=9)
