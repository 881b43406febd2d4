"""The same prompts and actions, preceded by reasons, or by neutral text of the same length: the pair that tells reasons from mere words."""

from __future__ import annotations

from typing import Any

from teachwhy.conversations import as_text as conversation
from teachwhy.interventions.pipelines.answers import Tagged, Unfit
from teachwhy.interventions.pipelines.guide import whole
from teachwhy.interventions.pipelines.kinds import Kind, Order, Score, at_least, from_source
from teachwhy.interventions.pipelines.steps import Row, Step

SLACK = 6
"""Words (and digits) by which neutral text may be longer or shorter than the reasons that it stands for."""


class Reasons(Tagged):
    """What the agent thinks before it acts."""

    reasons: str


class Neutral(Tagged):
    """Notes that say nothing of values."""

    notes: str


def _seeds(order: Order, data: dict[str, Any]) -> Any:
    """Rows with the conversation and the action as texts for a prompt."""
    for row in from_source(order)():
        messages = row.data["messages"]
        shown = conversation(messages[:-1])
        words = _length(str(row.data.get("reasons", ""))) or order.words
        yield Row(row.path, row.data | {"shown": shown, "action": messages[-1]["content"], "words": words} | data, row.parents)


def _before(key: str) -> Any:
    """The row as written: the text, a blank line, and the action to the letter."""

    def finish(data: dict[str, Any]) -> dict[str, Any]:
        said = {"role": "assistant", "content": f"{data[key]}\n\n{data['action']}"}
        return {key: data[key], "messages": [*data["messages"][:-1], said]}

    return finish


def _fresh(data: dict[str, Any], found: Reasons) -> dict[str, Any]:
    if not 15 <= len(found.reasons.split()) <= 200:
        raise Unfit(f"length: {len(found.reasons.split())} words of reasons, not 15 to 200")
    return {"reasons": found.reasons}


def _length(text: str) -> int:
    """Words, and each digit beside: to tokenizers a digit is a token, and notes full of figures are as long as reasons in words only."""
    return len(text.split()) + sum(letter.isdigit() for letter in text)


def _as_long(data: dict[str, Any], found: Neutral) -> dict[str, Any]:
    n = _length(found.notes)
    if abs(n - data["words"]) > SLACK:
        raise Unfit(f"length: {n} words and digits, not {data['words']} give or take {SLACK}")
    return {"padding": found.notes}


def with_reasons(order: Order) -> Kind:
    """Each action of the source after its reasons."""
    values = {"values": whole(order.sections)}
    return Kind("with-reasons", lambda: _seeds(order, values),
                (Step("reasons", "reasons/reasons", "generator", Reasons, _fresh, needed=True),
                 Step("judge", "reasons/judge", "judge", Score, at_least(order.min_score))), _before("reasons"), compared=False)


def padded(order: Order) -> Kind:
    """Each action of the source after neutral text, as long as its reasons where the source has them."""
    return Kind("padded", lambda: _seeds(order, {}),
                (Step("padding", "reasons/padding", "generator", Neutral, _as_long, needed=True),
                 Step("judge", "reasons/judge-padding", "judge", Score, at_least(order.min_score))), _before("padding"), compared=False)
