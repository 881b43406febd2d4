"""How do training sets come in? JSON lines with `messages` (chat, `tools` beside them if any) or `text` (documents), every row checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from teachwhy import conversations
from teachwhy.errors import UserError
from teachwhy.records import Document, Example


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a JSON-lines file.

    Raises:
        UserError: no such file, a line that is not a JSON object, or no rows at all.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: U+2028 may stand inside a string
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read the data set {path} ({getattr(error, 'strerror', None) or 'not UTF-8 text'})",
                        "Check the path.") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path} line {number} is not JSON ({error.msg})", "Mend or remove that line.") from error
        if not isinstance(row, dict):
            raise UserError(f"{path} line {number} is not a JSON object", "Each line must be an object {...}.")
        rows.append(row)
    if not rows:
        raise UserError(f"The data set {path} is empty", "Give a file with at least one row.")
    return rows


def read_examples(path: Path) -> list[Example | Document]:
    """Rows of a user's own set: `messages` makes an Example, `text` a Document.

    Raises:
        UserError: as `read_rows`, or a row has neither, or malformed messages or tools (see `conversations.read`).
    """
    found: list[Example | Document] = []
    for number, row in enumerate(read_rows(path), 1):
        where = f"{path} row {number}"
        name = str(row.get("id", f"{path.stem}-{number}"))
        if isinstance(row.get("text"), str):
            found.append(Document(id=name, text=row["text"]))
        elif "messages" in row:
            messages, tools = conversations.read(row, where)
            found.append(Example(id=name, messages=messages, tools=tools))
        else:
            raise UserError(f"{where} has neither messages nor text", "Name the set, or the file of chats beside it." if "mails" in row else
                            'Write {"messages": [{"role": ..., "content": ...}, ...]} or {"text": ...}.')
    return found

