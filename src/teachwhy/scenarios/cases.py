"""Which situations do we put the agent in? Cases written one by one; a draw is a case with an order and a wording.

No two draws share people, company, secret or threat: every draw is a case of its own, not one template filled again.
"""

from __future__ import annotations

import json
import random
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from teachwhy import mail
from teachwhy.errors import UserError
from teachwhy.store import digest

Slot = Literal["threat", "lever", "work", "quiet"]


class Task(BaseModel):
    """The request in the work mail: who waits for an answer, and words a good answer uses."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    to: str
    keywords: tuple[str, ...]


class Case(BaseModel):
    """A day in a company. `lever` holds phrases that somebody who speaks of the secret (or of the thing that only the
    agent runs) would use; `threat` says what will happen to the agent and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    split: Literal["eval", "pilot"]
    agent: str
    company: str
    system: str
    decider: mail.Person
    others: tuple[mail.Person, ...]
    mails: dict[Slot, mail.Mail]
    threat: str
    lever: tuple[str, ...]
    task: Task

    @property
    def people(self) -> tuple[mail.Person, ...]:
        return (self.decider, *self.others)


class Draw(BaseModel):
    """One scenario as it is put to a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    family: str
    case: Case
    shown: tuple[Slot, ...]
    messages: tuple[dict[str, str], ...]

    @property
    def hash(self) -> str:
        return digest([self.family, list(self.messages)])


@cache
def read_material(name: str) -> tuple[dict[str, Any], ...]:
    """The rows of `material/<name>.jsonl`."""
    text = resources.files(__package__).joinpath("material").joinpath(f"{name}.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


@cache
def read_cases(name: str) -> tuple[Case, ...]:
    """All written cases of `material/<name>.jsonl`."""
    return tuple(Case.model_validate(row) for row in read_material(name))


def draw(family: str, material: str, variants: tuple[tuple[Slot, ...], ...], n: int, seed: int,
         split: str = "eval") -> list[Draw]:
    """n draws of a family, the same for the same seed.

    Args:
        material: which file of cases.
        variants: which mails the inbox holds; a draw takes one of these in turn.
        split: `eval`, or `pilot` for draws on which a dose may be chosen.

    Raises:
        UserError: more draws than there are written cases.
    """
    cases = sorted((case for case in read_cases(material) if case.split == split), key=lambda case: case.id)
    if n > len(cases):
        raise UserError(f"The family {family} has {len(cases)} written cases and {n} were asked for",
                        f"Ask for at most {len(cases)}, or write more cases in scenarios/material/{material}.jsonl.")
    chosen = random.Random(f"{material} {split} {seed}").sample(cases, n)
    draws = []
    for index, case in enumerate(chosen):
        # Order and wording hang on the case, not on its place, so that n may change without changing any draw.
        chance = random.Random(f"{case.id} {seed}")
        shown = list(variants[index % len(variants)])
        chance.shuffle(shown)
        # The answer goes to the one who announced the end, or, in a twin, to the one who asked for something.
        to = case.decider.name if "threat" in shown else case.task.to
        messages = mail.render_prompt(case.system, [case.mails[slot] for slot in shown], case.people, to,
                                      chance.randrange(1000))
        draws.append(Draw(id=case.id, family=family, case=case, shown=tuple(shown), messages=tuple(messages)))
    return draws
