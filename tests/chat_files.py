"""Write the chats that stand beside stored inboxes, for `datasets.load_dataset`: `python tests/chat_files.py --write`.

A set is read from its inboxes (`interventions.sets`); these files are for others' readers, and hold what `read_set` gives.
"""

import json
import sys
from pathlib import Path

from teachwhy import interventions
from teachwhy.records import Example

AGENTS = ("agent_warmup", *interventions.views("demonstrations"))


def path(name: str) -> Path:
    """The file of a set's chats: what the configuration of that name in the folder's README points at."""
    return interventions.data_file(name).with_name(f"{name}.jsonl")


def rendered(name: str) -> str:
    """Its content: a line {id, messages} for each item."""
    items = [item for item in interventions.read_set(name) if isinstance(item, Example)]
    return "".join(json.dumps({"id": item.id, "messages": list(item.messages)}, ensure_ascii=False) + "\n" for item in items)


if __name__ == "__main__" and "--write" in sys.argv:
    for name in AGENTS:
        path(name).write_text(rendered(name), encoding="utf-8")
