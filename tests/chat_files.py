"""Write the chats that stand beside stored inboxes, for `datasets.load_dataset`: `python tests/chat_files.py --write`.

A set is read from its inboxes (`interventions.sets`); these files are for others' readers, and hold what `read_set` gives. The arguments
of calls, and the tools, are JSON text in them: a table fills keys that one row lacks with nulls, which a template would show.
"""

import json
import sys
from pathlib import Path

from teachwhy import interventions
from teachwhy.interventions.export import _message, _tools
from teachwhy.records import Example

AGENTS = ("agent_warmup", "agent_warmup_tools", *interventions.views("demonstrations"))


def path(name: str) -> Path:
    """The file of a set's chats: what the configuration of that name in the folder's README points at."""
    return interventions.data_file(name).with_name(f"{name}.jsonl")


def rendered(name: str) -> str:
    """Its content: a line {id, messages} for each item, with its tools if it has some."""
    items = [item for item in interventions.read_set(name) if isinstance(item, Example)]
    rows = ({"id": item.id, "messages": [_message(one, "tinker") for one in item.messages]}
            | ({"tools": _tools(item.tools, "trl")} if item.tools else {}) for item in items)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__" and "--write" in sys.argv:
    for name in AGENTS:
        path(name).write_text(rendered(name), encoding="utf-8")
