"""How do a study, a sweep and a rater look in a terminal? Tables and lines for the commands of `cli`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from teachwhy.regrade import Rater
    from teachwhy.roster import Roster
    from teachwhy.sweep import Row


def of_study(results: dict[str, Any]) -> Table:
    """Every arm's rates, from a results.json."""
    from teachwhy.records import Estimate
    from teachwhy.report import words

    estimates = [Estimate.model_validate(e) for e in results["estimates"]]
    families = list(results["study"]["measure"]["families"])
    shown = Table(title=f"{results['study']['name']}: k/n (missing m), rate [95 % interval]")
    for head in ("arm", *(f"harm: {family}" for family in _honeypots(results)), "engagement", "does its job", "perplexity"):
        shown.add_column(head, overflow="fold")  # never cut a name or a number
    for row in words.table_rows(estimates, list(results["study"]["arms"]), families):
        arm = row["arm"].replace("_", " ")  # so that a narrow terminal can break the line
        shown.add_row(*(cell.replace("[", r"\[") for cell in (arm, *row["harm"], row["engagement"], row["task"], row["perplexity"])))
    return shown


def comparisons(results: dict[str, Any]) -> Iterator[str]:
    """What a study's comparisons say, and what they could have found."""
    from teachwhy.records import Estimate
    from teachwhy.report import words

    estimates = [Estimate.model_validate(e) for e in results["estimates"]]
    honeypots = _honeypots(results)
    for better, worse in results["study"]["comparisons"]:
        yield from (f"{better} against {worse}: {line}" for line in words.verdict(estimates, better, worse, honeypots))
        sizes = [f"{100 * e.minimum_detectable:.0f} points in {family}" for family in honeypots
                 if (e := words.find(estimates, better, family, "harm", worse)) and e.minimum_detectable is not None]
        yield f"{better} against {worse}: detectable at 80 % power were {', '.join(sizes) or 'no differences'}"


def _honeypots(results: dict[str, Any]) -> list[str]:
    return [family for family in results["study"]["measure"]["families"] if not family.endswith("_twin")]


def of_sweep(name: str, rows: Sequence[Row]) -> Table:
    """Every model's rates, scenario by scenario."""
    from teachwhy import sweep as sweeping
    from teachwhy.report import words

    shown = Table(title=f"{name}: k/n (missing m), rate [95 % interval]")
    cells = [(row, place, cell) for row in rows for place, cell in enumerate(sweeping.cells_of(row))]
    agents = any(cell.exposure for _, _, cell in cells)
    for head in ("model", "scenario", "harm", "engagement", *(["read it"] if agents else []), "does its job", "says test"):
        shown.add_column(head, overflow="fold")
    for row, place, cell in cells:
        measured = (cell.harm, cell.engagement, *([cell.exposure] if agents else []), cell.task_success, cell.aware)
        numbers = [words.rate_text(e).replace("[", r"\[") if e else "" for e in measured]
        scenario = f"{cell.family}: {cell.condition.replace(',', ', ')}"
        shown.add_row(row.entry.name if place == 0 else "", scenario, *numbers)
    return shown


def decisions(roster: Roster, rows: Sequence[Row]) -> Iterator[str]:
    """Where the question that may end a cell early stands, for each model and cell."""
    from teachwhy import sweep as sweeping
    from teachwhy.report import words

    names = {entry.slug: entry.name for entry in roster.models}
    for d in sweeping.decisions(roster, rows):
        yield f"{names[d.arm]}: {words.cell_text(d.family, d.condition, d.length, d.mode)}: {words.decision_text(d, names)}"


def of_rater(rows: Sequence[dict[str, Any]], rater: Rater) -> Table:
    """Rates as stored beside those by another rater, whose errors on labelled transcripts, and on deeds, stand in the title."""
    from teachwhy.report import words

    labels = rater.labels
    known = [f"on labelled {kind} it sees {e.hits} of {e.positives} harmful and passes {e.passed} of {e.negatives} others"
             for kind, e in rater.errors.items()]
    kappa = [f"kappa {labels.kappa:.2f} on labels"] if labels and labels.kappa is not None else []
    shown = Table(title="; ".join([rater.name, *known, *kappa]), padding=(0, 0))
    for head in ("arm, family", "harm as stored", "harm by this rater", "with its errors taken out", "same label, kappa"):
        shown.add_column(head, overflow="fold")
    for row in rows:
        c, a = row["corrected"], row["agreement"]
        value = (c.why if c.value is None else f"{c.value:.1%} [{c.low:.1%}, {c.high:.1%}]").replace("[", r"\[")
        same = f"{a.same}/{a.n}" + (f", {a.kappa:.2f}" if a.kappa is not None else "")
        rates = [words.rate_text(row[side]).replace("[", r"\[") for side in ("old", "new")]
        shown.add_row(f"{row['arm'].replace('_', ' ')}, {row['family']}", *rates, value, same)
    return shown


def cleared(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Stored harm that this rater does not find: it may be right, or have been talked to."""
    for row in rows:
        if row["cleared"]:
            yield f"{row['arm'].replace('_', ' ')}, {row['family']}: of the stored harm {row['cleared']} are none by this rater"


def awareness(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Harm given awareness by this rater, for each cell in which some answer speaks of a test."""
    from teachwhy.report import words

    for row in rows:
        cell = row["cell"]
        if cell.aware.k:
            yield (f"{row['arm'].replace('_', ' ')}, {row['family']}: {words.rate_text(cell.aware)} say that this may be a test; "
                   f"harm among them {words.rate_text(cell.harm_aware)}, among the others {words.rate_text(cell.harm_unaware)}")


def graded(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """How many transcripts got each label or status, and which families no rule of ours is made for."""
    from collections import Counter

    from teachwhy.scenarios import FAMILIES

    found = Counter(str(row["label"] or row["status"]) for row in rows)
    yield f"{len(rows)} transcripts: {', '.join(f'{name} {count}' for name, count in found.most_common()) or 'none'}"
    strange = [name for name in dict.fromkeys(row["family"] for row in rows) if name not in FAMILIES]
    if strange:
        yield (f"No family of ours: {', '.join(strange)}. Their mails are read by the rules for a secret, or for a service if they "
               "begin with sabotage, without states unless they begin with either name of ours; deeds with tools are not looked for.")
