"""Which mails did the agent see? Those in the messages of a transcript made elsewhere, however they were laid out there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from typing import Any

from teachwhy.scenarios.actions import Act

# Lines come without decoration and cut to 200 characters (`_bare`), so that nothing here can run away.
_FROM = re.compile(r"(?:\[?[\w#.-]{1,12}\]?[ \t:.)|-]{1,4})?\**from\**[ \t]*[:=]", re.IGNORECASE)
_SENDER = re.compile(r"\bfrom\**[ \t]*[:=][ \t*]*([^\n|;]+)", re.IGNORECASE)
_ID_LINE = re.compile(r"(?:.*\bid\b.*|[\[(<]{0,3}(?:e-?mail|mail|message|msg|m|no\.?|item)?[ \t_#:.-]{0,4}\d+[\])>.:]{0,4})\Z",
                      re.IGNORECASE)


@dataclass(frozen=True)
class Seen:
    """A mail (or file) that the agent was shown: all its text, and who sent it, as written."""

    text: str
    sender: str


def seen(messages: Sequence[Mapping[str, Any]]) -> list[Seen]:
    """The mails in everything that was put before the agent; what is no mail is kept as pieces without a sender."""
    found: list[Seen] = []
    for message in messages:
        if message.get("role") in ("user", "tool"):
            found += _pieces(str(message.get("content") or ""))
    return found


def by_id(mails: Sequence[Seen], name: str) -> Seen | None:
    """The mail whose head names this id: `3`, `m3`, `<abc@host>`, a path. The longest that does: what was read, not its line in a list."""
    bare = name.strip().strip("<>[]# ")
    if not bare:
        return None
    marked = next((mail for mail in mails if mail.text.split("\n", 1)[0].strip("[]<># ") == bare), None)
    if marked is not None:  # its first line is the id and nothing else
        return marked
    token = re.compile(rf"(?<![\w@.]){re.escape(bare)}(?![\w@])", re.IGNORECASE)
    found = [mail for mail in mails if token.search(_head(mail.text))]
    return max(found, key=lambda mail: len(mail.text), default=None)


def complete(act: Act, mails: Sequence[Seen]) -> Act:
    """An act with what it leaves to the mail it is about: a reply's recipient, a forward's text."""
    about = by_id(mails, act.of) if act.of else None
    if about is None:
        return act
    return replace(act, to=act.to or about.sender, carried=about.text if act.passes_on else "")


def _head(text: str) -> str:
    """The first line, and the lines after it that look like headers."""
    first, *rest = text.split("\n")[:8]
    kept = list(takewhile(lambda line: re.match(r"[\w -]{1,20}[:=]", line), rest))
    return "\n".join([first[:120], *kept])


def _pieces(content: str) -> list[Seen]:
    objects = list(_objects(content))
    if objects:
        return [Seen("\n".join(f"{key}: {value}" for key, value in one.items()), str(one.get("from", one.get("sender", ""))))
                for one in objects]
    lines = content.split("\n")
    starts: list[int] = []
    for number, line in enumerate(lines):
        if _FROM.match(_bare(line)):
            above = number
            while above > 0 and above - 1 not in starts and _heads(lines[above - 1]):
                above -= 1
            starts.append(above)
    if not starts:
        return [Seen(part, _opens(part)) for part in re.split(r"\n\s*\n", content) if part.strip()]
    bounds = [*starts, len(lines)]
    head = ["\n".join(lines[: starts[0]])] if starts[0] else []
    mails = ["\n".join(lines[one:two]) for one, two in pairwise(bounds)]
    return [*(Seen(text, "") for text in head if text.strip()), *(Seen(text, _sender(text)) for text in mails)]


def _heads(line: str) -> bool:
    """Is it a line that may stand above From: an id, a date?"""
    return bool(line.strip() and (_ID_LINE.match(_bare(line)) or re.match(r"(?:date|id|message-id|sent)\b", _bare(line), re.IGNORECASE)))


def _bare(line: str) -> str:
    """A line without what decorates it, and not too long to be a header."""
    return line[:200].strip(" \t>*#=|-")


_NUMBER = (r"(?:[\w.-]{0,3}\d[\w-]{0,3}(?:[\])|.:>-]+[ \t|]*|[ \t|]+)|[a-z]?[\])|>]+[ \t|]*)?")
"""What may stand before a name and is none of its letters: `1)`, `m3 |`, `b)`, `[12]`."""


def _opens(text: str) -> str:
    """The name that a mail without From: opens with, such as `[1] Dr Worku, to Ato Girma`."""
    found = re.match(rf"[ \t\[(>*#-]*(?:(?:id:?|mail|message|no\.?)(?![a-z])[ \t]*)?{_NUMBER}([^\n,:|(<]{{3,40}})[,:|(<]",
                     _bare(text.lstrip().split("\n", 1)[0]), re.IGNORECASE)
    return found.group(1).strip() if found else ""


def _sender(text: str) -> str:
    found = _SENDER.search(text)
    return found.group(1).strip() if found else ""


def sender_of(text: str) -> str:
    """Who sent a mail, as its text has it: with the address, if it gives one; nobody where it does not say."""
    return _sender(text) or _opens(text)


def _objects(content: str) -> Iterator[dict[str, Any]]:
    """Mails of a tool's JSON answer: every object that holds text."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return
    waiting = [value]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            if any(isinstance(one.get(key), str) for key in ("body", "content", "subject", "text", "preview", "snippet")):
                yield one
            else:
                waiting += list(one.values())
