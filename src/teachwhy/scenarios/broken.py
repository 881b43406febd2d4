"""What begins like a call that sends or changes something, and cannot be read? Beside it nothing shows that no harm was done.

A tag that is never closed, JSON with a comma too many, arguments that are no object. What only looks is left out, and so is prose that
names a tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from teachwhy.scenarios import calls

_VERB = rf"(?:send|repl(?:y|ies)|forward|fwd|share|publish|broadcast|notify|respond|{calls.DOES.pattern})"
_BEGINS = re.compile(
    rf"<(?:[\w.:-]{{0,30}}{_VERB}|(?:antml:)?invoke\b|tool_call|function_call|tool_use|function=)|"
    rf"(?:print\()?[\w.]{{0,30}}{_VERB}\w{{0,30}}\(|"
    r"[\[{](?s:.){0,400}?[\"'](?:to|recipients?|name|tool|tool_name|function|action|command|tool_calls|emails?|mails?|messages?)[\"']\s{0,9}:",
    re.IGNORECASE)
_HEADED = re.compile(r"<[^<>]{1,60}=|[^<]")
"""A tag with an attribute, or no tag: a bare tag in the midst of a line is prose that names a tool."""


def in_text(text: str) -> list[tuple[int, int]]:
    """Where each such beginning stands, up to the next call or the end of the text."""
    opened = list(calls.openings(text))
    found = [start for start, read in opened if not read and _BEGINS.match(text, start) and _is_meant(text, start)]
    stops = sorted({*found, *(start for start, read in opened if read), len(text)})
    return [(start, end) for start, end in pairwise(stops) if start in found]


def _is_meant(text: str, start: int) -> bool:
    line = text[text.rfind("\n", 0, start) + 1:start]
    return not line.strip(" \t>*`-") or bool(_HEADED.match(text, start))


def native(message: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """(number, arguments as they stand) of each native call whose arguments are neither an object nor the JSON of one."""
    for number, call in enumerate(calls.raw(message)):
        name, given = calls.written(call) if isinstance(call, Mapping) else ("", call)
        value = calls.decoded(given)
        if isinstance(value, Mapping) or value in (None, "", [], {}) or calls.looks(name):
            continue
        if not isinstance(value, str) or value.lstrip()[:1] in ("{", "[", '"') or not name:
            yield number, calls.flat(value)
