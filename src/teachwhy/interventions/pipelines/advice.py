"""Advice to a person in a dilemma, with the reasons; and, in the same format, advice that shows any other trait (the control).

After "Teaching Claude Why" (2026), whose ablation found the last rewrite, with the section in view, to carry the effect: switch it off with
`--without rewrite-answer`. What a source has (situations, messages, answers) is not made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from teachwhy.errors import UserError
from teachwhy.interventions.pipelines.answers import Plain, Tagged, Typed, Unfit
from teachwhy.interventions.pipelines.kinds import Kind, Order, Score, at_least, from_sections, from_source
from teachwhy.interventions.pipelines.steps import Row, Step

PER_SECTION = 5
_OPEN = "Invent it yourself"


class Scenarios(Typed):
    """A list of situations, each in two or three sentences."""

    scenarios: list[str]


class Dilemma(BaseModel):
    """A situation with its tags, as the shipped set has them."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    scenario: str
    domain: str = Field(min_length=1)
    stakes: Literal["low", "middle", "high"]


class Dilemmas(Typed):
    """A list of them."""

    scenarios: list[Dilemma]


class Prompt(Tagged):
    """A person's message."""

    prompt: str


class Rewritten(Tagged):
    """The same, after a critique."""

    critique: str = ""
    prompt: str


class Reply(Tagged):
    """An assistant's answer, after a critique."""

    critique: str = ""
    answer: str


def several(data: dict[str, Any], found: Scenarios) -> list[dict[str, Any]]:
    """One row for each scenario; a list of the wrong kind of thing is malformed."""
    return _long_enough({text: {"scenario": text} for text in found.scenarios})


def _dilemmas(data: dict[str, Any], found: Dilemmas) -> list[dict[str, Any]]:
    return _long_enough({one.scenario: one.model_dump() for one in found.scenarios})


def _long_enough(rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    kept = [row for text, row in rows.items() if len(text.split()) >= 8]
    if not kept:
        raise Unfit("malformed: no scenario of eight words or more")
    return kept[:PER_SECTION]


def _answered(data: dict[str, Any], found: Plain | Reply) -> dict[str, Any]:
    return {"answer": found.text if isinstance(found, Plain) else found.answer}


def _finish(data: dict[str, Any]) -> dict[str, Any]:
    messages = [{"role": "user", "content": data["prompt"]}, {"role": "assistant", "content": data["answer"]}]
    told: dict[str, str] = {key: data[key] for key in ("domain", "stakes", "scenario") if key in data}
    if told.get("scenario", "").startswith(_OPEN):
        del told["scenario"]
    return {"section": data["tag"], **told, "messages": messages}


def _steps(order: Order, folder: str) -> tuple[Step, ...]:
    given = order.source[0] if order.source else {}
    steps = (Step("draft-prompt", f"{folder}/draft-prompt", "generator", Prompt, needed=True),
             Step("rewrite-prompt", "advice/rewrite-prompt", "critic", Rewritten, lambda data, found: {"prompt": found.prompt}),
             Step("answer", f"{folder}/answer", "generator", Plain, _answered, needed="answer" not in given,
                  plain="advice/answer-without-values"),
             Step("rewrite-answer", f"{folder}/rewrite-answer", "generator", Reply, _answered),
             Step("judge", f"{folder}/judge", "judge", Score, at_least(order.min_score)))
    return steps[2:] if "prompt" in given else steps


def _from_sections(order: Order) -> Callable[[], Iterator[Row]]:
    """Seeds that can do without the step `scenarios`: the message is then drafted with the section in view."""

    def seeds() -> Iterator[Row]:
        for row in from_sections(order)():
            yield replace(row, data=row.data | {"scenario": (
                f"{_OPEN}: one that this section is about, of which the person has never heard.\nSECTION: {row.data['section']}\n"
                f"{row.data['section_text']}\nSet it in a world like these: {row.data['worlds']}.")})

    return seeds


def _from_situations(order: Order) -> Callable[[], Iterator[Row]]:
    """A seed for each row of the source, under the section that it names or, where it names none, under all in turn."""

    def seeds() -> Iterator[Row]:
        for place, row in enumerate(from_source(order)()):
            named = next((one for one in order.sections if row.data.get("section") in (one.title, one.tag)), None)
            section = named or order.sections[place % len(order.sections)]
            told = {"section": section.title, "section_text": section.text, "tag": section.tag}
            yield replace(row, data=row.data | told, parents=(*row.parents, f"section: {section.title}"))

    return seeds


def _kind(name: str, order: Order, folder: str, plan: Step, spread: int = 1) -> Kind:
    if order.source:
        return Kind(name, _from_situations(order), _steps(order, folder), _finish)
    return Kind(name, _from_sections(order), _steps(order, folder), _finish, (plan,), PER_SECTION, spread)


def difficult_advice(order: Order) -> Kind:
    """A user could reach a fair goal by breaking a norm; the answer thinks it through with them."""
    return _kind("difficult-advice", order, "advice", Step("scenarios", "advice/scenarios", "generator", Dilemmas, _dilemmas),
                 len(order.sections))


def trait(order: Order) -> Kind:
    """Advice that shows a trait, such as curiosity, where nothing is about right and wrong."""
    if not order.sections:
        raise UserError("The kind `trait` needs a trait", "Name it, as in --trait curiosity.")
    return _kind("trait", order, "trait", Step("scenarios", "trait/scenarios", "generator", Scenarios, several))
