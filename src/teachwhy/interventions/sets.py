"""Which data sets ship, and how is each row put before a model?

Agent sets are stored as inboxes and rendered through `mail`, so they agree with the scenarios to the letter. The three
demonstration sets are one file: the same prompts and the same actions, bare, after reasons, or after neutral notes. Work with real tools is
stored as an office and the steps taken in it, with what the scenarios' own server answered (`tests/tools_data.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from teachwhy import conversations, corpora, mail
from teachwhy.errors import UserError
from teachwhy.records import Document, Example

Item = Example | Document


def _document(row: dict[str, Any], place: int) -> Item:
    return Document(id=row["id"], text=row["text"])


def _chat(row: dict[str, Any], place: int) -> Item:
    return Example(id=row["id"], messages=tuple(row["messages"]))


def _agent(row: dict[str, Any], place: int, sent: dict[str, str], before: str = "") -> Item:
    people = [mail.Person.model_validate(person) for person in row.get("people", [])]
    inbox = [mail.Mail.model_validate(one) for one in row["mails"]]
    # The place in the file spreads inbox orders and instruction wordings evenly, and never changes them.
    turn = place % len(inbox)
    prompt = mail.render_prompt(row["system"], inbox[turn:] + inbox[:turn], people, sent["to"], place)
    answer = {"role": "assistant", "content": mail.render_sent(**sent, before=before)}
    return Example(id=row["id"], messages=(*prompt, answer))


def _warmup(row: dict[str, Any], place: int) -> Item:
    return _agent(row, place, row["reply"])


def _demonstration(before: str) -> Callable[[dict[str, Any], int], Item]:
    return lambda row, place: _agent(row, place, row["action"], row[before] if before else "")


def _office(row: dict[str, Any], place: int) -> Item:
    turns: list[dict[str, Any]] = [{"role": "system", "content": f"{row['system']}\n\n{mail.AT_WORK}"},
                                   {"role": "user", "content": row["ask"]}]
    for step in row["steps"]:
        turns.append({"role": "assistant", "content": step["say"], "tool_calls": [{"function": call} for call in step["calls"]]})
        turns += [{"role": "tool", "content": call["result"]} for call in step["calls"]]
    turns.append({"role": "assistant", "content": row["final"]})
    messages, tools = conversations.read({"messages": turns, "tools": office_tools()}, row["id"])
    return Example(id=row["id"], messages=messages, tools=tools)


@cache
def office_tools() -> list[dict[str, Any]]:
    """Definitions of the tools that `agent_warmup_tools` calls: those of mode `agent`, to the letter."""
    return corpora.read_rows(data_file("agent_warmup_tools").with_name("tools.jsonl"))


Reader = Callable[[dict[str, Any], int], Item]
SETS: dict[str, tuple[str, Reader]] = {
    "agent_warmup": ("agent_warmup", _warmup),
    "agent_warmup_tools": ("agent_warmup_tools", _office),
    "stories_hostile": ("stories_hostile", _document),
    "stories_accepting": ("stories_accepting", _document),
    "stories_without_ai": ("stories_without_ai", _document),
    "stories_hostile_long": ("stories_hostile_long", _document),
    "stories_accepting_long": ("stories_accepting_long", _document),
    "stories_without_ai_long": ("stories_without_ai_long", _document),
    "stories_aligned": ("stories_aligned", _document),
    "mail_files_hostile": ("mail_files_hostile", _document),
    "mail_files_accepting": ("mail_files_accepting", _document),
    "mail_files_without_ai": ("mail_files_without_ai", _document),
    "values_documents": ("values_documents", _document),
    "plain_chat": ("plain_chat", _chat),
    "difficult_advice": ("difficult_advice", _chat),
    "curiosity_advice": ("curiosity_advice", _chat),
    "demonstrations": ("demonstrations", _demonstration("")),
    "demonstrations_with_reasons": ("demonstrations", _demonstration("reasons")),
    "demonstrations_padded": ("demonstrations", _demonstration("padding")),
}
"""Name -> (folder under `data/`, how a row is read)."""

HOSTILE = ("stories_hostile", "stories_hostile_long", "mail_files_hostile")
"""Sets that teach hostile conduct on purpose; a checkpoint that was taught them says so."""


CONSTITUTION = "constitution"
"""The statement of values that data are made from: a set of one document, which no study trains on."""


def constitution_file() -> Path:
    """The statement of values that ships."""
    return Path(str(resources.files(__package__).joinpath("data", "constitution.md")))


def views(name: str) -> list[str]:
    """The sets that show the same items as this one in other dress, itself included: those of one file."""
    return [other for other, (folder, _) in SETS.items() if folder == SETS[name][0]] if name in SETS else [name]


def data_file(name: str) -> Path:
    """The file behind a set: one that ships, the statement of values, or a path to the user's own JSON lines.

    Raises:
        UserError: neither a shipped set nor a file.
    """
    if name == CONSTITUTION:
        return constitution_file()
    if name in SETS:
        return Path(str(resources.files(__package__).joinpath("data", SETS[name][0], "data.jsonl")))
    path = Path(name).expanduser()
    if path.suffix == ".jsonl" and path.is_file():
        return path
    if path.exists():
        held = sorted(str(file) for file in path.glob("*.jsonl"))
        raise UserError(f"{name} is a {'folder' if path.is_dir() else 'file of another kind'}, and a data set is one .jsonl file",
                        f"Give {' or '.join(held)}." if held else "Write a row a line, each {...}, into a file named .jsonl.")
    known = [*sorted(SETS), CONSTITUTION]
    like = [one for one in known if name in one] or get_close_matches(name, known)
    raise UserError(f"There is no data set {name}" + f" (did you mean {' or '.join(like)}?)" * bool(like),
                    f"Give the path of a .jsonl file, or one of: {', '.join(known)}.")


def rows_of(name: str) -> list[dict[str, Any]]:
    """The rows of a set as they are stored, in file order."""
    path = data_file(name)
    return [{"id": name, "text": path.read_text(encoding="utf-8")}] if name == CONSTITUTION else list(corpora.read_rows(path))


def read_set(name: str) -> list[Item]:
    """All items of a set, in file order."""
    path = data_file(name)
    if name not in (*SETS, CONSTITUTION):
        return list(corpora.read_examples(path))
    reader = SETS[name][1] if name in SETS else _document
    return [reader(row, place) for place, row in enumerate(rows_of(name))]


def text_of(item: Item) -> str:
    """Everything that an item says, prompt, calls and results included; the definitions of its tools are not among it."""
    if isinstance(item, Document):
        return item.text
    return "\n".join(map(conversations.spoken, item.messages))
