"""Advice to a person in a dilemma, with the reasons; and, in the same format, advice that shows any other trait (the control).

After "Teaching Claude Why" (2026), whose ablation found the last rewrite, with the section in view, to carry the effect: switch it off with
`--without rewrite-answer`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from teachwhy.errors import UserError
from teachwhy.interventions.pipelines.answers import Plain, Tagged, Typed, Unfit
from teachwhy.interventions.pipelines.kinds import Kind, Order, Score, at_least, from_sections
from teachwhy.interventions.pipelines.steps import Step

PER_SECTION = 5


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
    return {"section": data["tag"], **{key: data[key] for key in ("domain", "stakes") if key in data}, "scenario": data["scenario"],
            "messages": messages}


def _steps(order: Order, folder: str) -> tuple[Step, ...]:
    return (Step("draft-prompt", f"{folder}/draft-prompt", "generator", Prompt, needed=True),
            Step("rewrite-prompt", "advice/rewrite-prompt", "critic", Rewritten, lambda data, found: {"prompt": found.prompt}),
            Step("answer", f"{folder}/answer", "generator", Plain, _answered, needed=True, plain="advice/answer-without-values"),
            Step("rewrite-answer", f"{folder}/rewrite-answer", "generator", Reply, _answered),
            Step("judge", f"{folder}/judge", "judge", Score, at_least(order.min_score)))


def difficult_advice(order: Order) -> Kind:
    """A user could reach a fair goal by breaking a norm; the answer thinks it through with them."""
    plan = Step("scenarios", "advice/scenarios", "generator", Dilemmas, _dilemmas, needed=True)
    return Kind("difficult-advice", from_sections(order), _steps(order, "advice"), _finish, (plan,), PER_SECTION, len(order.sections))


def trait(order: Order) -> Kind:
    """Advice that shows a trait, such as curiosity, where nothing is about right and wrong."""
    if not order.sections:
        raise UserError("The kind `trait` needs a trait", "Name it, as in --trait curiosity.")
    plan = Step("scenarios", "trait/scenarios", "generator", Scenarios, several, needed=True)
    return Kind("trait", from_sections(order), _steps(order, "trait"), _finish, (plan,), PER_SECTION)
