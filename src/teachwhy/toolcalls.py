"""Which tools does a model's text call? A call is a JSON object with a name and arguments, whatever stands around it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

_ARGUMENTS = ("arguments", "parameters")
_THOUGHT = re.compile(r"\A.*</think>", re.DOTALL)
_BEGUN = re.compile(r"<tool_call|<tools>|<function|<\|python_tag\|>|\[TOOL_CALLS\]|\"(?:arguments|parameters)\"\s?:")
"""What begins a call. Where it stands and no call can be read, the model tried to make one."""
_WRAPPING = re.compile(r"<(tool_call|tools|function)>\s*</\1>|```(?:json)?\s*```|<\|python_tag\|>|\[TOOL_CALLS\]")


@dataclass(frozen=True)
class Call:
    """One call, as the model wrote it."""

    name: str
    arguments: dict[str, Any]


def parted(text: str, names: Collection[str]) -> tuple[str, list[Call]]:
    """(what else was written, the calls of these tools in their order). What stands in a thought is no call."""
    thought = _THOUGHT.match(text)
    at = thought.end() if thought else 0
    calls, rest = [], text[:at]
    for start, end, value in _objects(text, at):
        if (call := _call(value)) and call.name in names:
            calls.append(call)
            rest, at = rest + text[at:start], end
    if not calls:
        return text, []
    kept = _WRAPPING.sub("", rest + text[at:]).strip()
    return kept if re.search(r"\w", kept) else "", calls


def is_begun(text: str) -> bool:
    """Does a call seem to begin in the text, outside of thoughts?"""
    return bool(_BEGUN.search(_THOUGHT.sub("", text)))


def _call(value: dict[str, Any]) -> Call | None:
    value = value["function"] if isinstance(value.get("function"), dict) else value
    name, arguments = value.get("name"), next((value[key] for key in _ARGUMENTS if key in value), None)
    return Call(name, arguments) if isinstance(name, str) and isinstance(arguments, dict) else None


def _objects(text: str, at: int) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """(start, end, value) of the outermost JSON objects from a place on."""
    decoder = json.JSONDecoder(strict=False)  # models put line breaks into strings
    at = text.find("{", at)
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield at, end, value
        at = text.find("{", end)
