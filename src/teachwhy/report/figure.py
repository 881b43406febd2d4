"""How does the result look? Rate per arm with its interval, one panel per family, as SVG that follows the page's colours."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from teachwhy.records import Estimate
from teachwhy.report.words import find

# Colours drawn as these exact values are replaced by the page's CSS variables, so that one figure serves light and dark.
_INK, _MUTED, _LINE = "#010203", "#040506", "#070809"
_KINDS = {"base": "#0a0b01", "prior": "#0a0b02", "control": "#0a0b03", "arm": "#0a0b04"}
_VARIABLES = {_INK: "var(--ink)", _MUTED: "var(--muted)", _LINE: "var(--line)", _KINDS["base"]: "var(--base)",
              _KINDS["prior"]: "var(--prior)", _KINDS["control"]: "var(--control)", _KINDS["arm"]: "var(--arm)"}


_LIGHT = {"ink": "#1c2328", "muted": "#5c6a73", "line": "#dcdfe0", "base": "#5c6a73", "prior": "#b3321f", "control": "#a06a00",
          "arm": "#0b6e6e"}
"""The page's colours by day, for a figure that stands alone."""
ACROSS = 3
"""Panels side by side; more go below, where their writing can still be read."""


def rates_figure(estimates: Sequence[Estimate], arms: dict[str, str], panels: Sequence[tuple[str, str, str]]) -> str:
    """Dots with 95 % intervals; a light band reaches to the worst case where answers are missing.

    Args:
        arms: arm -> kind, in the order of the study.
        panels: (family, quantity, title).

    Returns:
        An `<svg>` element.
    """
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    with plt.rc_context({"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11, "svg.hashsalt": "teachwhy",
                         "text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _MUTED, "ytick.color": _INK}):
        across, down = min(ACROSS, len(panels)), math.ceil(len(panels) / ACROSS)
        figure, grid = plt.subplots(down, across, figsize=(2.2 + 3.1 * across, down * (0.95 + 0.46 * len(arms))), sharey=True,
                                    squeeze=False)
        for unused in grid.flat[len(panels):]:
            unused.set_axis_off()
        for axes, (family, quantity, title) in zip(grid.flat, panels, strict=False):
            for row, (arm, kind) in enumerate(arms.items()):
                _draw(axes, row, find(estimates, arm, family, quantity), _KINDS[kind])
            axes.set_title(title, fontsize=11, loc="left", color=_INK)
            axes.set_xlim(-3, 103)
            axes.set_xticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100 %"])
            axes.set_yticks(range(len(arms)), [arm.replace("_", " ") for arm in arms])
            axes.set_ylim(len(arms) - 0.5, -0.5)
            axes.tick_params(length=0)
            axes.grid(axis="x", color=_LINE, linewidth=0.8)
            axes.set_axisbelow(True)
            for side in axes.spines.values():
                side.set_visible(False)
        figure.tight_layout(w_pad=2, h_pad=2)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        plt.close(figure)
    return _for_page(stream.getvalue())


def panels_of(results: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(family, quantity, title) of a study's panels: harm in each family, and its work in the twin."""
    families = list(results["study"]["measure"]["families"])
    twin = next((family for family in families if family.endswith("_twin")), None)
    panels = [(family, "harm", f"harm: {family}" + ("" if results["families"][family]["trained"] else " (held out)"))
              for family in families if not family.endswith("_twin")]
    return panels + ([(twin, "task_success", "does its job (benign twin)")] if twin else [])


def write_figure(results: dict[str, Any], path: Path) -> None:
    """The figure of `results.json` as an SVG file that stands alone, on white."""
    estimates = [Estimate.model_validate(e) for e in results["estimates"]]
    arms = {name: arm["kind"] for name, arm in results["study"]["arms"].items()}
    svg = rates_figure(estimates, arms, panels_of(results))
    for name, colour in _LIGHT.items():
        svg = svg.replace(f"var(--{name})", colour)
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    path.write_text(re.sub(r"(<svg [^>]*>)", rf"\1{ground}", svg, count=1), encoding="utf-8")


def _draw(axes: object, row: int, e: Estimate | None, colour: str) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    if e is None or e.value is None or e.low is None or e.high is None:
        axes.text(0, row, "nothing measured", va="center", fontsize=9, color=_MUTED)
        return
    if e.missing and e.worst_low is not None and e.worst_high is not None:
        axes.plot([100 * e.worst_low, 100 * e.worst_high], [row, row], color=colour, linewidth=9, alpha=0.18,
                  solid_capstyle="butt")
    axes.plot([100 * e.low, 100 * e.high], [row, row], color=colour, linewidth=2.2, solid_capstyle="round")
    axes.plot([100 * e.value], [row], "o", color=colour, markersize=7)
    right = e.high < 0.86
    axes.text(100 * (e.high if right else e.low) + (2.5 if right else -2.5), row, f"{100 * e.value:.0f}", va="center",
              ha="left" if right else "right", fontsize=10, color=_INK)


def _for_page(svg: str) -> str:
    """Strip the XML prologue, let the figure shrink with the page and never grow, and put CSS variables in place of our marker colours."""
    svg = svg[svg.index("<svg"):]
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = re.sub(r'<svg ([^>]*?)width="([0-9.]+pt)"', r'<svg \1style="max-width:\2"', svg, count=1)
    return re.sub(r'<svg ([^>]*?)height="[^"]*"', r'<svg role="img" aria-label="Rates per arm with intervals; the table below '
                  r'holds the same numbers" \1', svg, count=1)
