"""What is on the page of a sweep? One section per family: models side by side, under each condition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from teachwhy.records import Decision, Estimate
from teachwhy.report import words
from teachwhy.report.figure import rates_figure


def write_sweep(sweep: dict[str, Any], path: Path) -> None:
    """Write one self-contained HTML file from a `sweep.json`. All text from models and rosters is escaped."""
    environment = Environment(loader=PackageLoader("teachwhy.report", "."), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    families = list(dict.fromkeys(cell["family"] for model in sweep["models"] for cell in model["cells"]))
    page = environment.get_template("sweep.html").render(sweep=sweep, panels=[_panel(sweep, family) for family in families],
                                                         tables=[table for table in _differences(sweep) if table["rows"]],
                                                         decisions=_decisions(sweep))
    temporary = path.with_suffix(".html.part")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(path)


def _panel(sweep: dict[str, Any], family: str) -> dict[str, Any]:
    """One family: a figure with one panel per condition, length and mode, and the table."""
    cells = [(model["name"], cell) for model in sweep["models"] for cell in model["cells"] if cell["family"] == family]
    ways = {(cell["length"], cell["mode"]) for _, cell in cells}
    titles = [cell["condition"] + (f"; {cell['length']}, {cell['mode']}" if len(ways) > 1 else "") for _, cell in cells]
    estimates = [Estimate.model_validate({**cell["harm"], "arm": name, "family": title})
                 for (name, cell), title in zip(cells, titles, strict=True)]
    figure = Markup(rates_figure(estimates, {name: "arm" for name, _ in cells}, [(one, "harm", one) for one in dict.fromkeys(titles)]))
    return {"title": family.replace("_", " "), "twin": family.endswith("_twin"), "figure": "" if family.endswith("_twin") else figure,
            "agents": any(cell.get("exposure") for _, cell in cells), "rows": [_row(name, cell) for name, cell in cells]}


def _differences(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """The tables of paired differences; a sweep of an older version has none."""
    names = {model["slug"]: model["name"] for model in sweep["models"]}
    title = f"Harm, each model minus {sweep['roster'].get('reference')}"
    return [{"title": title, "rows": [_difference(one, names) for one in sweep.get("differences", [])]},
            {"title": "Harm where it is told that it is real, minus where it is told that it is a test",
             "rows": [_difference(one, names) for one in sweep.get("notices", [])]}]


def _difference(one: dict[str, Any], names: dict[str, str]) -> dict[str, str]:
    found = Estimate.model_validate(one["found"])
    p = one["p_bh"]
    least = found.minimum_detectable
    cell = words.cell_text(one["family"], one["condition"], one["length"], one["mode"])
    return {"model": names.get(found.arm.split(":")[0], found.arm), "cell": cell,
            "difference": words.difference_text(found), "equal": words.equivalence_text(found),
            "pairs": f"{found.n} (missing {found.missing})", "p": "-" if p is None else f"{p:.3f}",
            "detectable": "-" if least is None else f"{100 * least:.0f} points"}


def _decisions(sweep: dict[str, Any]) -> list[dict[str, str]]:
    """Where the question that may end a cell early stands; a sweep of an older version has none."""
    names = {model["slug"]: model["name"] for model in sweep["models"]}
    read = [Decision.model_validate(one) for one in sweep.get("decisions", [])]
    return [{"model": names.get(d.arm, d.arm), "cell": words.cell_text(d.family, d.condition, d.length, d.mode),
             "says": words.decision_text(d, names)} for d in read]


def _row(name: str, cell: dict[str, Any]) -> dict[str, str]:
    read = {key: Estimate.model_validate(cell[key]) if cell.get(key) else None  # a sweep of an older version knows no exposure
            for key in ("harm", "engagement", "exposure", "task_success", "aware", "harm_aware", "harm_unaware")}
    text = {key: words.rate_text(e) if e and e.n + e.missing else "-" for key, e in read.items()}
    shown = f"{cell['condition'].replace(',', ', ')}; {cell['length']}, {cell['mode']}"
    return {"model": name, "condition": shown, "task": text["task_success"], "bounds": words.bounds_text(read["harm"]), **text}
