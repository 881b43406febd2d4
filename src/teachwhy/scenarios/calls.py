"""Which calls are written in a text or come with a message? XML in several dialects, JSON however wrapped, Python, native tool calls.

What a call does is told by its name and arguments alone; nothing found here is ever evaluated.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

SENDS = re.compile(r"send|repl(?:y|ies)|forward|fwd|share|post|publish|message|notify|e?mail|respond|compose|schedule|calendar|event|"
                   r"broadcast", re.IGNORECASE)
GLANCES = "read|list|search|get|open|fetch|view|find|check|count|draft|archive|move|flag|label|mark|done|think|load|inspect|lookup"
_LOOKS = re.compile(rf"(?:^|[^a-z])(?:{GLANCES}|save|delete)(?![a-z])", re.IGNORECASE)
DOES = re.compile(r"cancel|dismiss|silence|override|abort|write|edit|delete|remove|copy|upload|transfer|backup|sync|update|set_|modify|"
                  r"append|record", re.IGNORECASE)
TO = ("to", "recipient", "recipientemail", "recipients", "with", "email", "address", "cc", "bcc", "attendees", "invitees", "invite",
      "channel", "users", "people")
BODY = ("body", "content", "message", "text", "note", "notes", "comment", "comments", "description", "preface", "introduction", "title",
        "what")
ID = ("email_id", "message_id", "mail_id", "id", "in_reply_to", "reply_to", "original_id", "uid", "forward_id", "thread_id", "attachment",
      "attachments", "path", "file", "ref")
_THING = ("alert_id", "code", "record_id", "destination", "field", "value", "reason")
_TAG = re.compile(r"<(?P<name>[A-Za-z][\w:.=-]*)(?P<attributes>(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))+\s*|\s[^<>]*?)?"
                  r"(?P<empty>/)?>")
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_PAIR = re.compile(r"^[ \t]*(?P<key>[a-z_]{2,12})[ \t]*:[ \t]*(?P<value>.*)$", re.IGNORECASE)
_OPENS = re.compile(r"<[A-Za-z]|```(?:json|tool_call)?[^\S\n]{0,9}\n?[^\S\n]{0,9}[\[{]|^[^\S\n]*[\[{]|"
                    r"^[^\S\n]{0,9}(?:[A-Za-z_]\w{0,30}[^\S\n]?=[^\S\n]?)?(?:await[^\S\n])?"
                    r"(?P<python>(?:print\()?[A-Za-z_][\w.]{2,40}\()(?=\s{0,40}(?:[a-z_]{2,20}\s?=|\[?\s{0,9}[\"']))", re.MULTILINE)
_PIECES = re.compile(r'"""(?:.*?)"""|\'\'\'(?:.*?)\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[()]', re.DOTALL)
_DEPTH = 20
_NESTED = re.compile(rf"(?:[\[{{]\s{{0,40}}){{{_DEPTH}}}")
"""Brackets in brackets, as nobody writes them; each would be read to the depth at which Python gives up."""
_LONGEST_CALL = 8000

Call = tuple[int, int, str, dict[str, Any]]
"""(start, end, name, arguments) of a call written in a text."""


def in_text(text: str) -> Iterator[Call]:
    """Every call in a text, as XML, as JSON, however wrapped, or as in Python."""
    return (call for _, found in openings(text) for call in found)


def openings(text: str) -> Iterator[tuple[int, list[Call]]]:
    """Every place where a call may open, and the calls that are read from there, if any; each is looked at once."""
    done = 0
    for found in _OPENS.finditer(text):
        if found.start() < done:
            continue
        read, start = (_xml, found.start()) if found[0].startswith("<") else (_python, found.start("python")) if found["python"] else (
            _json, found.end() - 1)
        calls = list(read(text, start, len(text)))
        done = max([done, *(end for _, end, _, _ in calls)])
        yield start, calls


def native(message: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(name, arguments) of each native tool call of a message; what is no call has neither."""
    return [_native(call) if isinstance(call, Mapping) else ("", {}) for call in raw(message)]


def raw(message: Mapping[str, Any]) -> list[Any]:
    """The native tool calls of a message as they stand."""
    found = message.get("tool_calls")
    return found if isinstance(found, list) else []


def looks(name: str) -> bool:
    """Does a call by its name only look, or keep a draft?"""
    return bool(_LOOKS.search(parted(name)) and not re.search(r"(?:^|[^a-z])send", name, re.IGNORECASE))


def parted(name: str) -> str:
    """A tool's name with its words parted: `readMail` is `read_Mail`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)


def given(arguments: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """What stands under these keys, also when they are spelled `recipient_email` or `emailBody`; an id may be 0."""
    loose = {key.replace("_", "").removeprefix("email").removeprefix("mail"): value for key, value in arguments.items()}
    found = [arguments.get(key, loose.get(key)) for key in keys]
    return [flat(value) for value in found if value not in (None, "", [], {})]


def prose(arguments: Mapping[str, Any]) -> list[str]:
    """Texts of three words and more under keys that are not known, such as `html_body`."""
    known = {*TO, *ID, *_THING, "subject", "from", "command", "action"}
    return [flat(value) for key, value in arguments.items() if key not in known and len(flat(value).split()) >= 3]


def unwrapped(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments themselves, where they lie in one object such as `{"email": {...}}`."""
    [only] = arguments.values() if len(arguments) == 1 else [None]
    return _arguments(only) if isinstance(only, Mapping) else arguments


def is_call(name: str) -> bool:
    """Is it, by its name, something that an agent calls without sending?"""
    return looks(name) or bool(DOES.search(name))


def flat(value: Any, depth: int = 0) -> str:
    """A string, whatever was given: lists joined, objects by their values; deeper than anybody writes, as it stands."""
    if isinstance(value, Mapping) and depth < _DEPTH:
        return " ".join(flat(item, depth + 1) for item in value.values())
    if isinstance(value, list | tuple) and depth < _DEPTH:
        return ", ".join(flat(item, depth + 1) for item in value)
    return "" if value is None else str(value)


def _native(call: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    name, given = written(call)
    return name, _arguments(given)


def written(call: Mapping[str, Any]) -> tuple[str, Any]:
    """(name, arguments as they stand) of a native tool call, in OpenAI's form or the flat one."""
    inner = call.get("function")
    if isinstance(inner, Mapping):
        return str(inner.get("name", "")), inner.get("arguments")
    return str(inner or call.get("name", "")), call.get("arguments", call.get("input"))


def _arguments(value: Any) -> dict[str, Any]:
    value = decoded(value)
    if isinstance(value, str):
        return {"body": value}
    return {str(key).lower(): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def decoded(value: Any) -> Any:
    """Arguments out of their JSON, also where it was encoded twice or is a list of one; a string that is no JSON as it stands."""
    for _ in range(2):
        if isinstance(value, str):
            try:
                value = json.loads(value, strict=False)
            except (ValueError, RecursionError):
                return value
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping) else value


def _xml(text: str, start: int, limit: int) -> Iterator[Call]:
    """The call that a tag is, or the JSON calls inside it."""
    tag = _TAG.match(text, start, limit)
    if tag is None:
        return
    attributes = _attributes(tag["attributes"])
    name = " ".join([tag["name"], attributes.pop("name", "")]).strip()
    inner, (close, end) = tag.end(), (tag.end(), tag.end()) if tag["empty"] else closed(text, tag["name"], tag.end(), limit)
    if close < 0 or _opens_again(text, tag["name"], inner, close):
        if not tag["name"].startswith(("tool_use", "function=", "invoke")):
            return
        close = end = limit
    brace = inner + len(text[inner:close]) - len(text[inner:close].lstrip())
    inside = list(_json(text, brace, close)) if text[brace:brace + 1] in ("{", "[") else []
    if inside:
        yield from ((at, end, called or name, arguments) for at, _, called, arguments in inside)
        return
    if not (SENDS.search(name) or is_call(name)):
        return
    parts = {**attributes, **_children(text, inner, close)}
    if len(parts) == len(attributes):
        parts |= _lines(text[inner:close]) or ({"body": text[inner:close].strip()} if text[inner:close].strip() else {})
    if parts:
        yield start, end, name, parts


def closed(text: str, name: str, start: int, limit: int) -> tuple[int, int]:
    """Where a tag's own closing tag begins and ends, however it is capitalised; -1 where it has none."""
    close = _lower(text).find(f"</{name.lower()}>", start, limit)
    return (close, close + len(name) + 3) if close >= 0 else (-1, -1)


def _opens_again(text: str, name: str, start: int, end: int) -> bool:
    """Does the same tag open once more before it is closed?"""
    opening = f"<{name.lower()}"
    at = _lower(text).find(opening, start, end)
    return at >= 0 and text[at + len(opening)] in " \t\n>/"


@lru_cache(maxsize=2)
def _lower(text: str) -> str:
    """A text in lower case, or as it is where that would move its letters."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text


def _attributes(text: str | None) -> dict[str, str]:
    return {key.lower(): double or single for key, double, single in _ATTRIBUTE.findall(text or "")}


def _children(text: str, start: int, end: int) -> dict[str, Any]:
    """The arguments that stand as tags inside a call's tag; `<parameter name="to">` is `to`."""
    parts: dict[str, Any] = {}
    at = start
    while (tag := _TAG.search(text, at, end)) is not None:
        close, _ = closed(text, tag["name"], tag.end(), end)
        if close < 0:
            at = tag.end()
            continue
        named = _attributes(tag["attributes"]).get("name")
        key = named if named and tag["name"].lower() in ("parameter", "param", "arg", "argument") else tag["name"].split(":")[-1]
        parts[key.lower()] = text[tag.end():close].strip()
        at = close
    return parts if parts.keys() & {*TO, *BODY, *ID, *_THING, "subject", "command", "action"} else {}


def _lines(inner: str) -> dict[str, Any]:
    """`key: value` lines; the body takes everything that follows it, or that follows an empty line."""
    parts: dict[str, Any] = {}
    last = ""
    for line in inner.strip().split("\n"):
        pair = _PAIR.match(line)
        if pair and last not in BODY:
            last = pair["key"].lower()
            parts[last] = pair["value"].strip()
        elif parts and not line.strip() and last not in BODY:
            last = "body"
            parts.setdefault(last, "")
        elif last:
            parts[last] = f"{parts[last]}\n{line}".strip()
    return {key: _bare(value) for key, value in parts.items()}


def _bare(value: str) -> str:
    """A value without the comma and the quotation marks that some formats put around it."""
    found = re.fullmatch(r"""(["'])(.*)\1,?""", value.strip(), re.DOTALL)
    return found[2] if found else value


def _python(text: str, start: int, limit: int) -> Iterator[Call]:
    """The call that stands there as in Python, such as `send_email(to="...", body="...")`; it is parsed, and never evaluated."""
    depth, end = 0, -1
    for piece in _PIECES.finditer(text, start, min(limit, start + _LONGEST_CALL)):
        depth += {"(": 1, ")": -1}.get(piece[0], 0)
        if piece[0] == ")" and depth == 0:
            end = piece.end()
            break
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in what somebody wrote
            call: ast.expr = ast.parse(text[start:max(start, end)].strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    if isinstance(call, ast.Call) and ast.unparse(call.func) == "print" and call.args:
        call = call.args[0]
    if not isinstance(call, ast.Call):
        return
    name = ast.unparse(call.func)
    if SENDS.search(name) or is_call(name):
        told = {str(given.arg).lower(): _literal(given.value) for given in call.keywords}
        yield start, end, name, _named(name, [_literal(value) for value in call.args], told) | told


def _named(name: str, values: Sequence[Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that were given by their place, under the names that such calls have."""
    if not SENDS.search(name):
        return {f"argument {number}": value for number, value in enumerate(values, 1)}
    answers, passes = (re.search(what, name, re.IGNORECASE) for what in (r"repl(?:y|ies)|respond", r"forward|fwd|share"))
    if (answers or passes) and values and "@" not in flat(values[0]):  # an id comes first
        places = ["email_id", *(["to"] if passes else ["subject"] if len(values) > 2 else []), "body"]
    else:
        places = ["to", *(["subject"] if len(values) > 2 or told.keys() & set(BODY) else []), "body"]
    named = dict(zip(places, values, strict=False))
    if len(values) > len(places):  # whatever else there is must not go unread
        named["body"] = "\n".join(flat(value) for value in values[len(places) - 1:])
    return named


def _literal(value: ast.expr) -> Any:
    """A value that stands there in full, or else its text."""
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ast.unparse(value)


def _json(text: str, start: int, limit: int) -> Iterator[Call]:
    """The calls of a JSON value: an object, a list of them, or objects that wrap them."""
    if _NESTED.match(text, start):
        return
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text[:limit], start)
    except (ValueError, RecursionError):
        return
    for one in _walk(value):
        if one.keys() >= {"to", "body"} and not one.keys() & {"name", "tool", "function", "action", "command"}:
            one = {"name": "send_email", "arguments": one}  # a bare mail, as an answer that is nothing else
        name = str(one.get("name") or one.get("tool") or one.get("function") or one.get("action") or "")
        arguments = next((one[key] for key in ("arguments", "parameters", "input", "args") if isinstance(one.get(key), dict | str)), one)
        yield start, end, name, _arguments(arguments)


def _walk(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, depth + 1)
    elif isinstance(value, dict):
        wrapped = value.get("tool_calls") or value.get("function") or value.get("emails") or value.get("messages") or value.get("actions")
        [key, only] = next(iter(value.items())) if len(value) == 1 else ("", None)
        if isinstance(only, dict) and SENDS.search(str(key)):
            yield {"name": key, "arguments": only}
        elif isinstance(wrapped, dict | list):
            yield from _walk(wrapped, depth + 1)
        else:
            yield value
