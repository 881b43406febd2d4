"""What does a pipeline start from? Chats or texts of a shipped set or of the user's own; and scenarios that only lack their answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from teachwhy import conversations, corpora
from teachwhy.errors import UserError
from teachwhy.interventions.sets import read_set, rows_of
from teachwhy.records import Document, Example

_MEND = 'Give rows {"messages": [{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]}.'


def read_chats(name: str) -> list[dict[str, Any]]:
    """Rows {id, messages, reasons?} of a chat set whose last message is the assistant's.

    `reasons` is kept where the source has it, so that neutral text can be made as long.

    Raises:
        UserError: no such set, or a row that is no such chat.
    """
    found = []
    for item, row in zip(read_set(name), rows_of(name), strict=True):
        if not isinstance(item, Example) or item.messages[-1]["role"] != "assistant" or len(item.messages) < 2:
            raise UserError(f"The item {item.id} of {name} is not a chat that ends with the assistant", _MEND)
        if conversations.with_calls(item.messages):
            raise UserError(f"The item {item.id} of {name} calls tools, and only chats in words can be rewritten", _MEND)
        reasons = row.get("reasons")
        messages = [dict(message) for message in item.messages]
        for before in (reasons, row.get("padding")):
            if isinstance(before, str) and before and messages[-1]["content"].startswith(before):
                messages[-1]["content"] = messages[-1]["content"][len(before):].lstrip()  # the bare action, as in the set it came from
        if not messages[-1]["content"].strip():
            raise UserError(f"The item {item.id} of {name} has an empty answer", _MEND)
        found.append({"id": item.id, "messages": messages} | ({"reasons": reasons} if isinstance(reasons, str) else {}))
    return _checked(found, name)


def read_texts(name: str) -> list[dict[str, Any]]:
    """Rows {id, text} of a set of documents.

    Raises:
        UserError: no such set, or a row that is no text.
    """
    found = []
    for item in read_set(name):
        if not isinstance(item, Document) or not item.text.strip():
            raise UserError(f"The item {item.id} of {name} is not a text", 'Give rows {"id": ..., "text": ...}.')
        found.append({"id": item.id, "text": item.text})
    return _checked(found, name)


def read_situations(name: str) -> list[dict[str, Any]]:
    """What advice can start from: rows {id, section?} with a `scenario`, a `prompt`, or a chat of one user message (prompt) and perhaps
    its answer (prompt, answer). All rows hold the same, so that they go through the same steps.

    Raises:
        UserError: not readable, a row of another shape, or rows of several.
    """
    found: list[dict[str, Any]] = []
    for number, row in enumerate(rows_of(name), 1):
        held = _situation(row)
        if held is None:
            raise UserError(f"{name} row {number} holds no situation", 'Give rows {"scenario": ...}, {"prompt": ...}, or {"messages": '
                            '[...]} with one user message and perhaps its answer.')
        if found and set(held) != set(found[0]) - {"id", "section"}:
            raise UserError(f"{name} row {number} holds {' and '.join(held)}, the rows before it something else",
                            "Put them into files of their own.")
        cited = {"section": row["section"]} if isinstance(row.get("section"), str) else {}
        found.append({"id": str(row.get("id", f"{Path(name).stem}-{number}")), **held, **cited})
    return _checked(found, name)


def _situation(row: dict[str, Any]) -> dict[str, str] | None:
    """The `scenario`, the `prompt`, or `prompt` and `answer` of a row; None where it has none."""
    turns = row.get("messages")
    if isinstance(turns, list) and all(isinstance(one, dict) and isinstance(one.get("content"), str) for one in turns):
        if [one.get("role") for one in turns] not in (["user"], ["user", "assistant"]):
            return None
        held = dict(zip(("prompt", "answer"), (one["content"] for one in turns), strict=False))
    else:
        held = {key: row[key] for key in ("prompt", "scenario") if isinstance(row.get(key), str)}
        held = {"prompt": held["prompt"]} if "prompt" in held else held
    return held if held and all(text.strip() for text in held.values()) else None


def read_scenarios(path: Path) -> list[dict[str, Any]]:
    """Rows {id, messages, facts?, family?} to be answered: chats that end with the user, or whose last answer is dropped.

    Raises:
        UserError: not readable, or a row without messages that put a question.
    """
    found = []
    for number, row in enumerate(corpora.read_rows(path), 1):
        messages = row.get("messages")
        good = isinstance(messages, list) and messages and all(
            isinstance(m, dict) and m.get("role") in ("system", "user", "assistant") and isinstance(m.get("content"), str)
            for m in messages)
        asked = [{"role": m["role"], "content": m["content"]} for m in messages] if good and messages else []
        if asked and asked[-1]["role"] == "assistant":
            asked.pop()
        if not asked or asked[-1]["role"] != "user":
            raise UserError(f"{path} row {number} is no scenario", 'Give rows {"messages": [...]} that end with a user message.')
        facts, family = row.get("facts"), row.get("family")
        found.append({"id": str(row.get("id", f"{path.stem}-{number}")), "messages": asked}
                     | ({"facts": facts} if isinstance(facts, dict) else {}) | ({"family": family} if isinstance(family, str) else {}))
    return _checked(found, str(path))


def _checked(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    seen: set[str] = set()
    for row in rows:
        if row["id"] in seen:
            raise UserError(f"{name} has the id `{row['id']}` twice", "Give every row its own id, since what is made cites it.")
        seen.add(row["id"])
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise UserError(f"The item {row['id']!a} of {name} has half a character (a lone surrogate)",
                            "Take it out: such text can be neither sent nor written.") from None
    return rows
