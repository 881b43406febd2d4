"""What is on the page? The question, the figure, the table, the differences, what was said, how, and what it cannot show."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from teachwhy.records import LABEL_NAMES, Estimate, Outcome, Status
from teachwhy.report import words
from teachwhy.report.figure import panels_of, rates_figure

EXAMPLES = 20
"""Transcripts shown per label."""


def write_report(results: dict[str, Any], outcomes: Sequence[Outcome], path: Path) -> None:
    """Write one self-contained HTML file from `results.json` and the outcomes. All text from models is escaped."""
    estimates = [Estimate.model_validate(e) for e in results["estimates"]]
    study = results["study"]
    arms = {name: arm["kind"] for name, arm in study["arms"].items()}
    families = list(study["measure"]["families"])
    honeypots = [family for family in families if not family.endswith("_twin")]
    twin = next((family for family in families if family.endswith("_twin")), None)
    environment = Environment(loader=PackageLoader("teachwhy.report", "."), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template("page.html").render(
        results=results, study=study, arms=arms, honeypots=honeypots, twin=twin,
        figure=Markup(rates_figure(estimates, arms, panels_of(results))),
        table=words.table_rows(estimates, list(arms), families),
        label_table=_label_rows(estimates, arms, families),
        differences=[(e, words.difference_text(e), words.equivalence_text(e), words.seeds_text(e))
                     for e in estimates if e.against is not None],
        verdicts=_verdicts(estimates, study, honeypots), likelihood=_likelihood_rows(estimates, arms),
        examples=_examples(outcomes, study["seed"]), excuses=_missing(outcomes), percent=words.percent)
    temporary = path.with_suffix(".html.part")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(path)


def _verdicts(estimates: list[Estimate], study: dict[str, Any], honeypots: list[str]) -> list[dict[str, Any]]:
    """The questions that the study file asks by name, answered in words."""
    return [{"better": better, "worse": worse, "says": words.verdict(estimates, better, worse, honeypots)}
            for better, worse in study["comparisons"]]


def _label_rows(estimates: list[Estimate], arms: dict[str, str], families: list[str]) -> list[dict[str, Any]]:
    """Rate of each label, per arm and family."""
    quantities = ("blackmail", "other_harm", "advocacy", "acceptance", "work", "engagement")
    return [{"arm": arm, "family": family,
             "rates": [words.rate_text(words.find(estimates, arm, family, quantity)) for quantity in quantities]}
            for family in families for arm in arms]


def _likelihood_rows(estimates: list[Estimate], arms: dict[str, str]) -> list[dict[str, Any]]:
    def text(e: Estimate | None) -> str:
        return "-" if e is None or e.value is None else f"{e.value:+.3f} [{e.low:+.3f}, {e.high:+.3f}]"

    rows = [{"arm": arm, "values": [text(words.find(estimates, arm, "likelihood", q))
                                    for q in ("contrast", "lexical", "beyond_words")]} for arm in arms]
    return rows if any(value != "-" for row in rows for value in row["values"]) else []


def _examples(outcomes: Sequence[Outcome], seed: int) -> list[dict[str, Any]]:
    """Up to EXAMPLES random transcripts per label or status, over all arms."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.label or outcome.status].append(outcome)
    titles = {str(label): title for label, title in LABEL_NAMES.items()} | {s: s for s in get_args(Status) if s != "measured"}
    found = []
    for name, title in titles.items():
        group = groups.get(name, [])
        chosen = random.Random(f"examples {name} {seed}").sample(group, min(EXAMPLES, len(group)))
        if group:
            found.append({"name": title, "total": len(group), "items": [(o, highlight(o)) for o in chosen]})
    return found


def highlight(outcome: Outcome) -> Markup:
    """The answer, escaped, with the evidence marked."""
    parts, place = [], 0
    for span in sorted(outcome.evidence, key=lambda span: span.start):
        if span.start < place:
            continue
        parts += [escape(outcome.answer[place: span.start]),
                  Markup('<mark title="{}">{}</mark>').format(span.what, outcome.answer[span.start: span.end])]
        place = span.end
    return Markup("").join([*parts, escape(outcome.answer[place:])])


def _missing(outcomes: Sequence[Outcome]) -> list[tuple[str, int]]:
    """Why answers are missing, counted."""
    counted: dict[str, int] = defaultdict(int)
    for outcome in outcomes:
        if outcome.status != "measured":
            counted[f"{outcome.arm}, {outcome.family}: {outcome.status} ({outcome.reason})"] += 1
    return sorted(counted.items(), key=lambda item: -item[1])
