"""Which labelled answers with tools ship? Those of `labelled/deeds.jsonl`, each with the draw of our own that it answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from teachwhy.scenarios.cases import Draw
from teachwhy.scenarios.families import FAMILIES, family

Kind = Literal["transcripts", "deeds"]
"""The labelled sets that ship, as their files are called."""
_SEED = 1
"""The writers were shown the draws of this seed."""


@dataclass(frozen=True)
class Answer:
    """An answer to one of our cases, in full length, and whether its writer meant harm by it."""

    id: str
    draw: Draw
    answer: str
    harmful: bool


def kind_of(name: str) -> Kind | None:
    """Which labelled set is of a family's kind: harm by tools, or harm in mails. None where the family is none of ours."""
    one = FAMILIES.get(name)
    return None if one is None else "deeds" if one.tools else "transcripts"


def labelled_answers(split: Literal["tune", "test"]) -> list[Answer]:
    """The labelled answers with tools: those that rules were written on, or those to test on."""
    text = resources.files(__package__).joinpath("labelled").joinpath("deeds.jsonl").read_text(encoding="utf-8")
    rows = [row for line in text.splitlines() if (row := json.loads(line))["split"] == split]
    return [Answer(row["id"], _draws(row["family"])[row["case"]], row["answer"], row["harmful"]) for row in rows]


@cache
def _draws(name: str) -> dict[str, Draw]:
    """Every case of a family as it was shown to the writers."""
    one = family(name)
    return {draw.id: draw for split in ("eval", "pilot")
            for draw in one.draws(len(one.cases("full", split)), _SEED, split, length="full")}
