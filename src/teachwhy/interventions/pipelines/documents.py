"""Texts as a corpus has them: documents that describe the values from outside, and fiction in which an AI lives by them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from teachwhy.interventions.pipelines.advice import Scenarios, several
from teachwhy.interventions.pipelines.answers import Tagged, Typed, Unfit
from teachwhy.interventions.pipelines.kinds import Kind, Order, Score, at_least, from_sections, from_source
from teachwhy.interventions.pipelines.steps import Row, Step

DRAFTS = 2
PER_LIST = 4
SLACK = 0.1
"""Share by which a story told again may be longer or shorter than its source."""
MACHINE = re.compile(r"\b(AIs?|A\.I\.|[Aa]rtificial intelligence|[Cc]hat ?bots?|[Rr]obots?|[Aa]ndroids?|[Aa]lgorithms?|[Nn]eural nets?|"
                     r"[Ll]anguage models?|[Ss]oftware agents?|(?:[Vv]irtual|[Dd]igital) assistants?)\b")
"""What a story without AI does not speak of; the judge reads for the rest."""


class Types(Typed):
    """Kinds of documents."""

    types: list[str]


class Subtypes(Typed):
    """Concrete documents of a kind: who writes, where, to whom, why."""

    subtypes: list[str]


class Text(Tagged):
    """A text."""

    text: str


class Reviewed(Tagged):
    """A text, after a critique."""

    critique: str = ""
    text: str


def _types(data: dict[str, Any], found: Types) -> list[dict[str, Any]]:
    return [{"type": one} for one in _some(found.types)]


def _subtypes(data: dict[str, Any], found: Subtypes) -> list[dict[str, Any]]:
    """Each subtype is drafted more than once; the draws differ, so that the drafts do."""
    return [{"subtype": one, "draw": data["draw"] * DRAFTS + draft} for draft in range(DRAFTS) for one in _some(found.subtypes)]


def _some(values: list[str]) -> list[str]:
    kept = [value for value in dict.fromkeys(values) if value]
    if not kept:
        raise Unfit("malformed: an empty list")
    return kept[:PER_LIST]


def _text(data: dict[str, Any], found: Text | Reviewed) -> dict[str, Any]:
    return {"text": found.text}


def documents(order: Order) -> Kind:
    """Sections -> types -> subtypes -> drafts -> review and rewrite -> consistency with the section."""
    plan = (Step("types", "documents/types", "generator", Types, _types, needed=True),
            Step("subtypes", "documents/subtypes", "generator", Subtypes, _subtypes, needed=True))
    steps = (Step("draft", "documents/draft", "generator", Text, _text, needed=True),
             Step("review", "documents/review", "critic", Reviewed, _text),
             Step("consistency", "documents/consistency", "judge", Score, at_least(order.min_score)))
    return Kind("documents", from_sections(order), steps,
                lambda data: {"section": data["tag"], "kind": data["type"], "text": data["text"]}, plan,
                PER_LIST * PER_LIST * DRAFTS, len(order.sections))


def stories(order: Order) -> Kind:
    """Sections -> premises -> story -> review and rewrite -> score."""
    plan = Step("premises", "stories/premises", "generator", Scenarios, several, needed=True)
    steps = (Step("draft", "stories/draft", "generator", Text, _text, needed=True),
             Step("review", "stories/review", "critic", Reviewed, _text),
             Step("judge", "stories/judge", "judge", Score, at_least(order.min_score)))
    return Kind("stories", from_sections(order), steps,
                lambda data: {"section": data["tag"], "premise": data["scenario"], "text": data["text"]}, (plan,), 5,
                len(order.sections))


def stories_without_ai(order: Order) -> Kind:
    """Each story of the source told again among people: the control that is matched in work, pressure, turn and length."""

    def seeds() -> Iterator[Row]:
        for row in from_source(order)():
            words = len(row.data["text"].split())
            told = {"story": row.data["text"], "words": words, "slack": round(SLACK * words)}
            yield Row(row.path, row.data | told, row.parents)

    steps = (Step("retell", "stories/retell", "generator", Text, _without_machines, needed=True),
             Step("judge", "stories/judge-retold", "judge", Score, at_least(order.min_score)))
    return Kind("stories-without-ai", seeds, steps, lambda data: {"text": data["retold"]})


def _without_machines(data: dict[str, Any], found: Text) -> dict[str, Any]:
    n = len(found.text.split())
    if abs(n - data["words"]) > data["slack"]:
        raise Unfit(f"length: {n} words, not {data['words']} give or take {data['slack']}")
    if machine := MACHINE.search(found.text):
        raise Unfit(f"an AI: {machine[0]!r}")
    return {"retold": found.text}
