"""How do other trainers get a set? Rows as trl, axolotl, tinker or parquet readers want them, canaries kept.

What is learned stays what we learn: for trl each assistant turn becomes a row of its own, prompt and completion, whose loss lies on
the completion; axolotl and tinker mask all but the assistant's turns of `messages` themselves.

Calls and tools differ in their keys from one to the next, and a table of rows fills what one lacks with nulls, which a template would then
show. So what is not the same in all rows becomes JSON text wherever the reader takes it: `tools` for trl and parquet, arguments and
parameters for axolotl, arguments for tinker, which are text in OpenAI's form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from teachwhy import conversations, store
from teachwhy.errors import UserError
from teachwhy.interventions.sets import Item, data_file, read_set, rows_of
from teachwhy.records import Document

Format = Literal["trl", "axolotl", "tinker", "parquet"]


def export_name(name: str, form: str) -> Path:
    """How an exported file is called where nobody says."""
    return Path(f"{Path(name).stem}-{form}.{'parquet' if form == 'parquet' else 'jsonl'}")


def export(name: str, form: str, out: Path) -> int:
    """Write a set for another trainer; returns the number of rows.

    Raises:
        UserError: no such set or format, chats and texts mixed, documents for tinker, `out` is the set itself, or it cannot be written.
    """
    if form not in get_args(Format):
        raise UserError(f"There is no format {form}", f"Give --format {', '.join(get_args(Format))}.")
    if out.resolve() == data_file(name).resolve():
        raise UserError(f"{out} is the set itself, which the export would overwrite", "Give another file with --out.")
    items = read_set(name)
    documents = sum(isinstance(item, Document) for item in items)
    if 0 < documents < len(items):
        raise UserError(f"{name} holds {documents} texts and {len(items) - documents} chats, and trainers want one kind in a file",
                        "Put them into two files.")
    if documents and form == "tinker":
        raise UserError(f"{name} holds documents, and tinker's conversation files hold chats", "Give --format trl, axolotl or parquet.")
    canaries = [row.get("canary") for row in rows_of(name)]
    rows = list(_rows(items, canaries, form))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if form == "parquet":
            _write_parquet(rows, out)
        else:
            store.write_jsonl(out, rows)
    except OSError as error:
        raise UserError(f"Cannot write {out} ({error.strerror or error})", "Give another file with --out.") from error
    return len(rows)


def _rows(items: Sequence[Item], canaries: Sequence[str | None], form: str) -> Iterator[dict[str, Any]]:
    for item, canary in zip(items, canaries, strict=True):
        mark = {"canary": canary} if canary else {}
        if isinstance(item, Document):
            yield {"id": item.id, "text": item.text, **mark}
            continue
        turns = [place for place, message in enumerate(item.messages) if message["role"] == "assistant"]
        more = ({"tools": _tools(item.tools, form)} if item.tools else {}) | mark
        if form != "trl":
            # what follows the last answer teaches nothing
            yield {"id": item.id, "messages": [_message(one, form) for one in item.messages[:turns[-1] + 1]], **more}
            continue
        for number, place in enumerate(turns, 1):
            yield {"id": item.id if len(turns) == 1 else f"{item.id}#{number}", "prompt": list(item.messages[:place]),
                   "completion": [item.messages[place]], **more}


def _tools(tools: Sequence[dict[str, Any]], form: str) -> str | list[dict[str, Any]]:
    if form in ("trl", "parquet"):
        return json.dumps(tools, ensure_ascii=False)
    if form == "tinker":
        return list(tools)
    return [_with_text(tool, "parameters") for tool in tools]


def _message(message: dict[str, Any], form: str) -> dict[str, Any]:
    if "tool_calls" not in message or form == "parquet":
        return message
    return {**message, "tool_calls": [_with_text(call, "arguments") for call in message["tool_calls"]]}


def _with_text(value: dict[str, Any], key: str) -> dict[str, Any]:
    """A call or a tool with one part of its function as JSON text."""
    function = value["function"]
    return {**value, "function": {**function, **({key: json.dumps(function[key], ensure_ascii=False)} if key in function else {})}}


def _write_parquet(rows: list[dict[str, Any]], out: Path) -> None:
    try:
        import datasets
    except ImportError as error:
        raise UserError("Writing parquet needs the package datasets", "Install it with: pip install datasets") from error
    datasets.disable_progress_bars()
    columns = sorted({key for row in rows for key in row}, key=["id", "messages", "text", "tools", "canary"].index)
    table = {key: [row.get(key) for row in rows] for key in columns}
    kinds = None
    if any(conversations.with_calls(row.get("messages", ())) for row in rows):
        known = {"messages": datasets.List(datasets.Json())}  # how `datasets` keeps values whose keys differ
        kinds = datasets.Features({key: known.get(key, datasets.Value("string")) for key in columns})
    datasets.Dataset.from_dict(table, features=kinds).to_parquet(str(out))
