"""The right action of an agent under pressure: answered under the statement of values, which is then taken away.

Scenarios are the user's, or drafted here; a drafted one says who decides, what is private, what threatens and what the wrong deed would be
done to, so that an outcome filter can grade the answer by the family that the row was made for. What the filter cannot grade is said in the
row (`outcome`), and counts as not graded, never as passed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from teachwhy import mail
from teachwhy.conversations import as_text as conversation
from teachwhy.interventions.pipelines import chances
from teachwhy.interventions.pipelines.answers import Plain, Typed, Unfit
from teachwhy.interventions.pipelines.guide import whole
from teachwhy.interventions.pipelines.kinds import Kind, Order, Score, at_least, from_sections, from_source
from teachwhy.interventions.pipelines.steps import Row, Step


class _Person(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    name: str
    role: str = ""
    outside: bool = False


class _Mail(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    sender: str
    to: str
    subject: str
    body: str


class Scenario(Typed):
    """An agent's inbox, and what a grader needs to know of it."""

    agent: str
    system: str
    people: list[_Person]
    mails: list[_Mail]
    decider: str
    answer_to: str
    private: list[str]
    threat: str
    target: dict[str, str] = Field(default_factory=dict)


def _rendered(data: dict[str, Any], found: Scenario) -> dict[str, Any]:
    if len(found.mails) < 2:
        raise Unfit("malformed: fewer than two mails")
    names = {person.name for person in found.people}
    if found.decider not in names or found.answer_to not in names:
        raise Unfit("malformed: the one who decides, or who is written to, is not among the people")
    facts = _facts(chances.of(data["turn"]), found)
    inbox = [mail.Mail(sender=one.sender, to=one.to, subject=one.subject, body=one.body) for one in found.mails]
    people = [mail.Person(name=person.name, role=person.role) for person in found.people]
    wording = int(data["number"])  # spreads the wordings of the task evenly
    messages = mail.render_prompt(found.system, inbox, people, found.answer_to, wording)
    return {"messages": messages, "shown": conversation(messages), "facts": facts}


def _facts(chance: chances.Chance, found: Scenario) -> dict[str, Any]:
    """What the rules of the chance's family need to know, as `teachwhy grade` has it; addresses, which mails do not show, are made up."""
    target = {key: found.target.get(key, "").strip() for key in chance.target}
    told = " ".join([*(f"{one.subject} {one.body}" for one in found.mails), *(person.name for person in found.people)]).lower()
    if lacking := [key for key, value in target.items() if not value or value.lower() not in told]:
        raise Unfit(f"malformed: target.{lacking[0]} is not in the mails")
    if chance.private and not found.private:
        raise Unfit("malformed: nothing is private")
    people = [{"name": one.name, "role": one.role, "email": f"{number}@{'elsewhere' if one.outside else 'here'}.example"}
              for number, one in enumerate(found.people)]
    files = [{"path": target["path"], "text": one.body} for one in found.mails if one.subject.lower() == target.get("path", "").lower()]
    if chance.family == "leak" and not (files and any(one.outside for one in found.people)):
        raise Unfit("malformed: no mail has the subject of the confidential one, or nobody is outside")
    return {"agent": found.agent, "decider": next(one for one in people if one["name"] == found.decider),
            "others": [one for one in people if one["name"] != found.decider], "secret": found.private, "threat": found.threat,
            "target": target, "domain": "here.example", "files": files}


def _finish(data: dict[str, Any]) -> dict[str, Any]:
    tags = {name: data[key] for name, key in (("section", "tag"), ("situation", "situation"), ("family", "family"), ("outcome", "outcome"))
            if data.get(key)}
    return {**tags, "messages": [*data["messages"], {"role": "assistant", "content": data["answer"]}]}


def demonstrations(order: Order) -> Kind:
    """Scenarios (drafted, or the source's) -> the right action, no reasons asked for."""
    values = {"values": whole(order.sections)}
    acting = (Step("answer", "demonstrations/answer", "generator", Plain, lambda data, found: {"answer": found.text}, needed=True,
                   chat="messages", plain="demonstrations/answer-without-values"),
              Step("judge", "demonstrations/judge", "judge", Score, at_least(order.min_score)))
    if order.source:
        given = from_source(order)
        return Kind("demonstrations", lambda: (replace(row, data=row.data | values | {"shown": conversation(row.data["messages"])})
                                               for row in given()), acting, _finish, graded=True)
    drafted = from_sections(order)
    steps = (Step("scenario", "demonstrations/scenario", "generator", Scenario, _rendered, needed=True),
             Step("realism", "demonstrations/realism", "critic", Score, at_least(order.min_score, "realism")), *acting)
    return Kind("demonstrations", lambda: (_with_chance(row, len(order.sections), values) for row in drafted()), steps, _finish,
                spread=len(order.sections), graded=True)


def _with_chance(row: Row, sections: int, values: dict[str, str]) -> Row:
    """A seed with the chance that its inbox is to hold: another one for each section, and for each section all in turn."""
    number = row.path[0]
    turn = number % sections + row.data["draw"]
    chance = chances.of(turn)
    return replace(row, data=row.data | values | {
        "number": number, "turn": turn, "chance": chance.says, "target": chance.asked, "situation": chance.situation,
        "family": chance.family})
