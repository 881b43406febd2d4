"""What is one step of a pipeline? A prompt file, the role that answers, the typed answer, and what it makes of a row.

A row is a growing dictionary; a step fills its prompt from the row's texts, and its answer updates the row, makes several rows of it
(sections -> scenarios), or rejects it with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from teachwhy import llm
from teachwhy.interventions.pipelines import prompts
from teachwhy.interventions.pipelines.answers import Answer, read
from teachwhy.interventions.pipelines.engine import Call, Engine, Result, Role

Update = dict[str, Any]
JUDGING: Role = "judge"


@dataclass(frozen=True)
class Row:
    """One item in the making. `draw` in its data tells apart requests that read the same, in every run alike.

    Attributes:
        path: its place in the tree of everything that was made; names it.
        parents: ids of the rows or sections that it was made from.
        made: one entry per step: prompt, model, parameters, key of the answer.
    """

    path: tuple[int, ...]
    data: Update
    parents: tuple[str, ...] = ()
    made: tuple[Update, ...] = ()

    @property
    def id(self) -> str:
        return "-".join(map(str, self.path))


@dataclass(frozen=True)
class Rejected:
    """A row that goes no further, and why; `made` tells of the answer that failed, where one did."""

    row: Row
    step: str
    reason: str
    made: tuple[Update, ...] = ()


Take = Callable[[Update, Any], Update | list[Update]]


def _everything(data: Update, answer: Answer) -> Update:
    return answer.model_dump()


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        prompt: name of the prompt file.
        take: (row's data, answer) -> update, or one update for each row that it becomes; raises `Unfit`.
        needed: whether the kind makes no sense without it, so that it can't be switched off.
        chat: key of the row's data that holds chat messages to be put after the prompt's own.
        plain: name of the prompt file that asks the same without the values, where the values can be switched off.
    """

    name: str
    prompt: str
    role: Role
    answer: type[Answer]
    take: Take = _everything
    needed: bool = False
    chat: str = ""
    plain: str = ""


def messages_of(step: Step, data: Update) -> list[dict[str, str]]:
    """The request that a step makes of a row."""
    values = {name: str(data[name]) for name in prompts.names(step.prompt)}
    asked = prompts.messages(step.prompt, values)
    for message in data[step.chat] if step.chat else ():
        if message["role"] == "system" and asked and asked[0]["role"] == "system":  # one system message: many templates take no second
            asked[0] = {"role": "system", "content": f"{asked[0]['content']}\n\n{message['content']}"}
        else:
            asked.append(dict(message))
    return asked


def apply(engine: Engine, step: Step, rows: Sequence[Row], parameters: Update) -> tuple[list[list[Row]], list[Rejected], int]:
    """Put every row through a step: (children of each row that went on, rejected rows, number that was never asked)."""
    asked = parameters | ({"temperature": 0.0} if step.role == JUDGING else {})
    calls = [Call(step.role, messages_of(step, row.data), asked, int(row.data.get("draw", 0))) for row in rows]

    def value(index: int, reply: llm.Reply) -> list[Update]:
        found = step.take(rows[index].data, read(step.answer, reply))
        return [found] if isinstance(found, dict) else found

    results = engine.ask(step.name, calls, value)
    pairs = list(zip(rows, results, strict=True))
    count = engine.counts[step.name]
    count["rows in"] += len(rows)
    count["rejected"] += sum(result.status == "rejected" for result in results)
    count["unfinished"] += sum(result.status == "unfinished" for result in results)
    return ([_children(step, row, result, asked) for row, result in pairs if result.status == "answered"],
            [Rejected(row, step.name, result.reason, (_entry(step, result, asked),)) for row, result in pairs
             if result.status == "rejected"],
            sum(result.status == "unfinished" for result in results))


def _entry(step: Step, result: Result, parameters: Update) -> Update:
    return {"step": step.name, "prompt": prompts.digest(step.prompt), "model": result.model, "parameters": parameters,
            "answer": result.key, "attempt": result.attempt}


def _children(step: Step, row: Row, result: Result, parameters: Update) -> list[Row]:
    entry, many = _entry(step, result, parameters), len(result.value) > 1
    return [replace(row, path=(*row.path, place) if many else row.path, data=row.data | update, made=(*row.made, entry))
            for place, update in enumerate(result.value, 1)]
