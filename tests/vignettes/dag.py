"""The causal diagram of the first vignette."""

from __future__ import annotations

from pathlib import Path

NODES = {"I.H": (0.5, 0.86), "Drug": (0.14, 0.16), "Severity": (0.86, 0.16)}
ARROWS = (("I.H", "Drug", "doctors treat\nthe ill", 0.19), ("I.H", "Severity", "the ill\nfare worse", 0.825))


def draw_dag(path: Path) -> None:
    """Initial health brings on both the drug and severity; the effect is the arrow between these two."""
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(5, 2.6))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.axis("off")
    grey, orange = "0.4", "#D55E00"
    for start, stop, why, x in ARROWS:
        _arrow(ax, start, stop, grey)
        ax.text(x, 0.58, why, ha="center", va="center", color=grey, fontsize=9)
    _arrow(ax, "Drug", "Severity", orange)
    ax.text(0.5, 0.06, "the effect", ha="center", va="center", color=orange, fontsize=9)
    for name, (x, y) in NODES.items():
        box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": "black"}
        ax.text(x, y, name, ha="center", va="center", fontsize=11, bbox=box)
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def _arrow(ax, start: str, stop: str, colour: str) -> None:
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.8, "shrinkA": 24, "shrinkB": 34, "mutation_scale": 16}
    ax.annotate("", NODES[stop], NODES[start], arrowprops=style)
