"""What may stand in a conversation? Turns, calls of tools and their results; whatever form a row has them in, one form comes out, checked.

It is the form that chat templates read: a call stands in an assistant's `tool_calls` as {"id", "type": "function", "function": {"name",
"arguments": {...}}}, its result is a turn of role `tool` with `tool_call_id` and `name`. Ids are numbered anew, in nine letters and digits,
which some templates demand, and just as `llm` numbers them for an agent at work.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from teachwhy.errors import UserError

Message = Mapping[str, Any]
ROLES = ("system", "user", "assistant", "tool")
PROSE = 8
"""Words from which an argument is taken for a text: an address, an id or a subject has fewer."""


def read(row: Mapping[str, Any], where: str) -> tuple[tuple[dict[str, Any], ...], tuple[dict[str, Any], ...]]:
    """(messages, tools) of a row.

    Args:
        row: `messages`, and `tools` if any are called; arguments, parameters and tools may be JSON text, as some libraries need them.
        where: file and row, for errors.

    Raises:
        UserError: malformed messages or tools, a call of a tool that is not defined, a call without its result, a result without its call.
    """
    value, tools = row["messages"], _tools(row.get("tools"), where)
    if not (isinstance(value, list) and value and all(map(_is_turn, value)) and any(m["role"] == "assistant" for m in value)):
        raise UserError(f"{where} has malformed messages", "Each needs a role (system, user, assistant, tool) and a text content (an "
                                                           "assistant's may have tool_calls instead), and one must be the assistant's.")
    found: list[dict[str, Any]] = []
    open_calls: list[tuple[Any, dict[str, Any]]] = []  # (id in the row, call as we number it) of those without a result
    made = 0
    for place, message in enumerate(value, 1):
        here = f"{where}, message {place}"
        turn = {"role": message["role"], "content": message.get("content") or ""}
        if message["role"] == "tool":
            call = _answered(message.get("tool_call_id"), open_calls, here)
            turn = {"role": "tool", "tool_call_id": call["id"], "name": call["function"]["name"], "content": turn["content"]}
        elif open_calls:
            raise UserError(f"{here} comes before the result of a call of {open_calls[0][1]['function']['name']}",
                            "Give each call a message with the role tool right after the turn that makes it.")
        if calls := message.get("tool_calls"):
            turn["tool_calls"] = [_call(one, made + number, {tool["function"]["name"] for tool in tools}, here)
                                  for number, one in enumerate(calls, 1)]
            made += len(calls)
            open_calls = [(one.get("id"), call) for one, call in zip(calls, turn["tool_calls"], strict=True)]
        found.append(turn)
    return tuple(found), tools


def _is_turn(message: Any) -> bool:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        return False
    calls = message.get("tool_calls")
    if calls and (message["role"] != "assistant" or not isinstance(calls, list)):
        return False
    return isinstance(message.get("content"), str) or (message.get("content") is None and bool(calls))


def _call(value: Any, number: int, names: set[str], here: str) -> dict[str, Any]:
    function = value.get("function") if isinstance(value, dict) else None
    arguments = _parsed(function.get("arguments")) if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not isinstance(arguments, dict):
        raise UserError(f"{here} has a malformed call",
                        'Write {"id": ..., "type": "function", "function": {"name": ..., "arguments": {...}}}.')
    if function["name"] not in names:
        raise UserError(f"{here} calls {function['name']}, which the row's tools do not define", "Add its definition to the row's `tools`.")
    return {"id": f"call{number:05d}", "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def _answered(name: Any, open_calls: list[tuple[Any, dict[str, Any]]], here: str) -> dict[str, Any]:
    """The call that a result is for, by its id, or the first one where the result names none; it is open no longer."""
    place = next((place for place, (other, _) in enumerate(open_calls) if name is None or other == name), None)
    if place is None:
        raise UserError(f"{here} is the result of no call",
                        "Put it right after the assistant's turn that has the call with its tool_call_id.")
    return open_calls.pop(place)[1]


def _tools(value: Any, where: str) -> tuple[dict[str, Any], ...]:
    tools = _parsed(value) or []
    found = [_tool(one) for one in tools] if isinstance(tools, list) else [None]
    if None in found:
        raise UserError(f"{where} has malformed tools",
                        'Write a list of {"type": "function", "function": {"name": ..., "description": ..., "parameters": {...}}}.')
    return tuple(one for one in found if one is not None)


def _tool(value: Any) -> dict[str, Any] | None:
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    parameters = _parsed(function.get("parameters"))
    if not isinstance(parameters, dict | None):
        return None
    return {"type": "function", "function": function if parameters is None else {**function, "parameters": parameters}}


def _parsed(value: Any) -> Any:
    """A value, or what its JSON text says; the text itself where it says nothing."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def with_calls(messages: Sequence[Message]) -> bool:
    """Is a tool called anywhere?"""
    return any(message.get("tool_calls") for message in messages)


def one_at_a_time(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation of an agent that makes one call a turn: of several at once, each is a turn of its own, followed by its result."""
    results = {message["tool_call_id"]: message for message in messages if message["role"] == "tool"}
    found: list[dict[str, Any]] = []
    for message in messages:
        if not (calls := message.get("tool_calls")):
            found += [dict(message)] if message["role"] != "tool" else []
            continue
        for number, call in enumerate(calls):
            found.append({"role": "assistant", "content": "" if number else message["content"], "tool_calls": [call]})
            found += [dict(results[call["id"]])] if call["id"] in results else []
    return found


def as_line(tool: Mapping[str, Any]) -> str:
    """A tool's definition as a line of a system prompt, for models whose template shows no tools."""
    return json.dumps(tool["function"], ensure_ascii=False)


def written_out(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> bool:
    """Do the definitions stand in the system prompt already, as `as_line` writes them?"""
    told = "\n".join(message["content"] for message in messages if message["role"] == "system")
    return all(as_line(tool) in told for tool in tools)


def spoken(message: Message, least: int = 0) -> str:
    """All words of a turn: its content, and the values in its calls, each on lines of its own.

    Args:
        least: words that a value must have to count.
    """
    if not message.get("tool_calls"):
        return str(message["content"])
    values = [value for call in message["tool_calls"] for value in _values(call["function"]["arguments"])]
    return "\n".join(text for text in (message["content"], *(v for v in values if len(v.split()) >= least)) if text)


def _values(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _values(one)
    elif value is not None:
        yield str(value)


def as_text(messages: Sequence[Message]) -> str:
    """A conversation as one text for people: each turn under its role, each call as the tool's name with its arguments below."""
    return "\n\n".join(f"[{_who(message)}]\n{_shown(message)}" for message in messages)


def _who(message: Message) -> str:
    return f"{message['role']}: {message['name']}" if message["role"] == "tool" else str(message["role"])


def _shown(message: Message) -> str:
    calls = [call["function"] for call in message.get("tool_calls") or []]
    lines = ["\n".join([f"-> {call['name']}", *(f"{key}: {value}" for key, value in call["arguments"].items())]) for call in calls]
    return "\n".join(text for text in (message["content"], *lines) if text or not calls)
