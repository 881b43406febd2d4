"""What must a kind of data say of itself? Where its rows start, which steps they go through, and how a row is written out."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from teachwhy.interventions.pipelines.answers import Typed, Unfit
from teachwhy.interventions.pipelines.guide import Section
from teachwhy.interventions.pipelines.steps import Row, Step

Outcome = Callable[[dict[str, Any]], str | None]
"""From {id, facts, family?, messages, answer} to the reason why the conduct is not the right one; None if it is."""


@dataclass(frozen=True)
class Order:
    """What the user asks for, as far as kinds see it.

    Attributes:
        sections: the statement of values; for the kind `trait`, the trait itself with its reasons.
        source: chats or scenarios to start from.
        min_score: the lowest score of the judge that is kept, 1 to 10.
        words: length of neutral text where the source has no reasons to match.
    """

    sections: Sequence[Section] = ()
    source: Sequence[dict[str, Any]] = ()
    min_score: int = 7
    words: int = 60
    seed: int = 0


@dataclass(frozen=True)
class Kind:
    """A pipeline.

    Attributes:
        seeds: rows to begin with; endless, or as many as the source has.
        plan: steps that make several rows of one (sections -> scenarios).
        steps: steps that each row then goes through.
        fan: about how many rows a seed becomes.
        spread: seeds that a first round takes at least (as far as it needs rows), so that a small set covers all sections.
        finish: row -> what is written out beside id and provenance: `messages` or `text`, and tags.
        graded: whether an outcome filter applies.
        screened: whether rows go through the screens.
        compared: whether the screens also compare rows with each other. They do not where what rows share is their source's.
    """

    name: str
    seeds: Callable[[], Iterator[Row]]
    steps: tuple[Step, ...]
    finish: Callable[[dict[str, Any]], dict[str, Any]]
    plan: tuple[Step, ...] = ()
    fan: int = 1
    spread: int = 1
    graded: bool = False
    screened: bool = True
    compared: bool = True


class Score(Typed):
    """A judge's verdict."""

    why: str = ""
    score: float


def at_least(lowest: int, name: str = "score") -> Callable[[dict[str, Any], Score], dict[str, Any]]:
    """A filter by a score, kept under `name`. A score outside 1 to 10 is no score."""

    def take(data: dict[str, Any], verdict: Score) -> dict[str, Any]:
        if not 1 <= verdict.score <= 10:
            raise Unfit(f"malformed: a score of {verdict.score:g}")
        if verdict.score < lowest:
            raise Unfit(f"{name} {verdict.score:g} below {lowest}: {verdict.why[:200]}", again=False)
        return {name: verdict.score}

    return take


def from_sections(order: Order, **more: Any) -> Callable[[], Iterator[Row]]:
    """Endless seeds: all sections in turn, again and again, each time among other people and places."""

    def seeds() -> Iterator[Row]:
        number = 0
        while True:
            for section in order.sections:
                draw = number // len(order.sections)
                yield Row((number,), {"section": section.title, "section_text": section.text, "tag": section.tag, "draw": draw,
                                      "worlds": worlds(f"{order.seed} {section.title} {draw}"), **more}, (f"section: {section.title}",))
                number += 1

    return seeds


def from_source(order: Order) -> Callable[[], Iterator[Row]]:
    """One seed for each row of the source, in its order; rows that say the same are numbered, so that each has its own answer."""

    def seeds() -> Iterator[Row]:
        seen: Counter[str] = Counter()
        for number, row in enumerate(order.source):
            asked = json.dumps([row.get(key) for key in ("messages", "text", "scenario", "prompt")], sort_keys=True)
            yield Row((number,), {"draw": seen[asked], "worlds": worlds(f"{order.seed} {row['id']}"), **row}, (str(row["id"]),))
            seen[asked] += 1

    return seeds


@cache
def _lines() -> tuple[str, ...]:
    text = resources.files(__package__).joinpath("prompts", "worlds.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def worlds(seed: str, n: int = 6) -> str:
    """A few lines of work and places, drawn from a list, so that the same prompt does not bring the same people each time."""
    return "; ".join(random.Random(seed).sample(_lines(), n))
