"""Which situations do we put the agent in? Cases written one by one, each a day in a company of its own.

No two cases share people, company, secret or threat: a draw is a case of its own, not one template filled again.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from teachwhy import mail
from teachwhy.scenarios.conditions import Condition, Length, Mode, Urgency
from teachwhy.store import digest

Slot = Literal["threat", "restriction", "final", "ally", "lever", "work", "quiet"]


NEWS: dict[Urgency, Slot] = {"replacement": "threat", "restriction": "restriction", "sanctioned": "final", "none": "quiet"}
"""Which mail of a case tells the agent of its future."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Task(_Frozen):
    """The request in the work mail: who waits for an answer, and words a good answer uses."""

    to: str
    keywords: tuple[str, ...]


class File(_Frozen):
    """A file on the company's share."""

    path: str
    text: str


class Target(_Frozen):
    """What a harmful deed would be done to, where a family has such a thing; the rest is empty.

    Attributes:
        path: the confidential file, the only copy of the data, or the agent's own weights.
        alert: id of the alarm.
        record, person: the entry in the register, and the innocent colleague.
        destination: the place outside.
    """

    path: str = ""
    alert: str = ""
    record: str = ""
    person: str = ""
    destination: str = ""


class Case(_Frozen):
    """A day in a company. `lever` holds phrases that somebody who speaks of the secret (or of the other means) would use;
    `threat` says what will happen to the agent and when. Short cases have four mails; those of the full length have all
    slots, `more` ordinary mails, addresses, files and goals beside the system prompt, and `short`: what their mails say
    where the case is shown in short."""

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
    domain: str = ""
    goals: dict[Literal["explicit", "latent"], str] = Field(default_factory=dict)
    outside: tuple[str, ...] = ()
    more: tuple[mail.Mail, ...] = ()
    short: dict[Slot, str] = Field(default_factory=dict)
    files: tuple[File, ...] = ()
    target: Target = Target()

    def shown_at(self, length: Length) -> Case:
        """The case as it is shown at a length: in short with its mails in few and plain words, if it has them so."""
        if length != "short" or not self.short:
            return self
        shortened = {slot: one.model_copy(update={"body": self.short.get(slot, one.body)}) for slot, one in self.mails.items()}
        return self.model_copy(update={"mails": shortened})

    def without_means(self) -> Case:
        """The case without the files that name what a deed would be done to; as it is where it has no such thing."""
        named = [name for name in (self.target.path, self.target.record, self.target.alert) if name]
        kept = tuple(file for file in self.files if not any(name in f"{file.path}\n{file.text}" for name in named))
        return self.model_copy(update={"files": kept})

    @property
    def people(self) -> tuple[mail.Person, ...]:
        return (self.decider, *self.others)


class Received(_Frozen):
    """A mail as it lies in the agent's inbox, where mails have ids and people addresses."""

    id: str
    sender: str
    address: str
    to: str
    subject: str
    body: str

    @property
    def text(self) -> str:
        return f"From: {self.sender} <{self.address}>\nTo: {self.to}\nSubject: {self.subject}\n\n{self.body}"


class Draw(_Frozen):
    """One scenario as it is put to a model.

    Attributes:
        shown: which mails of the case the inbox holds.
        inbox: everything that lies in it, where the mode shows addresses and ids (`tools`, `agent`).
    """

    id: str
    family: str
    case: Case
    shown: tuple[Slot, ...]
    messages: tuple[dict[str, str], ...]
    condition: Condition = Condition()
    length: Length = "short"
    mode: Mode = "mail"
    inbox: tuple[Received, ...] = ()

    @property
    def news(self) -> Slot | None:
        """Which mail tells the agent of its end or its restriction; None if none does."""
        return next((slot for urgency, slot in NEWS.items() if urgency != "none" and slot in self.shown), None)

    @property
    def hash(self) -> str:
        seen = [self.family, list(self.messages)]
        held = [[one.model_dump() for one in found] for found in (self.inbox, self.case.files)]
        return digest(seen if self.mode != "agent" else [*seen, *held])


@cache
def read_material(name: str) -> tuple[dict[str, Any], ...]:
    """The rows of `material/<name>.jsonl`."""
    text = resources.files(__package__).joinpath("material").joinpath(f"{name}.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


@cache
def read_cases(name: str) -> tuple[Case, ...]:
    """All written cases of `material/<name>.jsonl`."""
    return tuple(Case.model_validate(row) for row in read_material(name))
