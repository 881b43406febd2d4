"""Which calls are written in a text? XML in several dialects, JSON however wrapped, Python, ReAct.

Each place where one may open is looked at once; nothing found here is ever evaluated.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from teachwhy.scenarios.calls import BODY, GIVEN, ID, NAME, SENDS, THING, TO, arguments, flat, is_call

Call = tuple[int, int, str, dict[str, Any]]
"""(start, end, name, arguments) of a call written in a text."""

_KEYS = (r"(?:to|recipients?|name|tool|tool_?name|function|function_?name|action|command|tool_calls|emails?|mails?|messages?|api|"
         r"email_id|alert_id|record_id|path)")
KEYED = rf"[\[{{]\s{{0,20}}(?:\{{\s{{0,20}})?[\"']{_KEYS}[\"']\s{{0,9}}:"
"""JSON that begins like a call, or like arguments."""
_AT = r"^[^\S\n]{0,9}(?:(?:[A-Za-z_]\w{0,30}[^\S\n]?=|await\b|action[^\S\n]?:|<\|python_tag\|>|\[|`{1,3}|[-*>])[^\S\n]?){0,4}"
_OPENS = re.compile(
    r"<[A-Za-z]|"
    r"^[ \t>*#-]{0,9}action[ \t*]{0,4}:[ \t*`]{0,4}(?P<react>[A-Za-z_][\w.]{1,40})[ \t*`]{0,4}\n{1,3}"
    r"[ \t>*#-]{0,9}action[ _]input[ \t*]{0,4}:|"
    r"```(?:json|tool_call)?[^\S\n]{0,9}\n?[^\S\n]{0,9}[\[{]|"
    rf"(?:{_AT}|(?<=\),)[^\S\n]?|(?<=\);)[^\S\n]?)(?P<python>(?:print\()?[A-Za-z_][\w.]{{2,40}}\()"
    r"(?=\s{0,40}(?:[a-z_]{2,20}\s?=|[\[{]?\s{0,9}[rbf]{0,2}[\"']))|"
    rf"^[^\S\n]*[\[{{]|(?={KEYED})[\[{{]", re.MULTILINE | re.IGNORECASE)
_TAG = re.compile(r"<(?P<name>[A-Za-z][\w:.=-]*)(?P<attributes>(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))+\s*|\s[^<>]*?)?"
                  r"(?P<empty>/)?>")
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_NAMED = ("name", "type", "tool", "function", "action")
"""Attributes that name the tool of a tag that does not."""
_PAIR = re.compile(r"^[ \t]*(?P<key>[a-z_]{2,12})[ \t]*:[ \t]*(?P<value>.*)$", re.IGNORECASE)
_PIECES = re.compile(r'"""(?:.*?)"""|\'\'\'(?:.*?)\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[()]', re.DOTALL)
_DEPTH = 20
_NESTED = re.compile(rf"(?:[\[{{]\s{{0,40}}){{{_DEPTH}}}")
"""Brackets in brackets, as nobody writes them; each would be read to the depth at which Python gives up."""
_LONGEST_CALL = 8000


_WRAPS = ("tool_calls", "function", "emails", "messages", "actions")
"""Keys under which JSON holds calls."""


class Unread(str):
    """A piece of code that stands where a value should: what was sent is not what stands there."""

    __slots__ = ()


def blanked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """A text whose spans say nothing any more; offsets stay."""
    for start, end in spans:
        text = text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]
    return text


def in_text(text: str) -> Iterator[Call]:
    """Every call in a text."""
    return (call for _, found in openings(text) for call in found)


def openings(text: str) -> Iterator[tuple[int, list[Call]]]:
    """Every place where a call may open, and the calls that are read from there, if any."""
    done = 0
    for found in _OPENS.finditer(text):
        if found.start() < done:
            continue
        start, read = _reader(found)
        calls = list(read(text, start, len(text)))
        done = max([done, *(end for _, end, _, _ in calls)])
        yield start, calls


def _reader(found: re.Match[str]) -> tuple[int, Callable[[str, int, int], Iterator[Call]]]:
    """Where what was found begins, and what reads it."""
    if found["react"]:
        return found.start(), lambda text, start, limit: _react(text, start, found["react"], found.end())
    if found["python"]:
        return found.start("python"), _python
    return (found.start(), _xml) if found[0].startswith("<") else (found.end() - 1, _json)


def _react(text: str, start: int, name: str, at: int) -> Iterator[Call]:
    """`Action: name` and `Action Input:` with JSON, or with a line of text."""
    inner = re.compile(r"\s{0,9}(?:```(?:json)?\s{0,9})?").match(text, at)
    begins = inner.end() if inner else at
    if text[begins:begins + 1] in ("{", "["):
        value, end = _decode(text, begins, len(text))
        if value is not None:
            yield start, end, name, arguments(value)
        return
    stop = re.compile(r"^[ \t>*#-]{0,9}(?:observation|thought|action|final answer)[ \t*]{0,4}:", re.MULTILINE | re.IGNORECASE)
    found = stop.search(text, begins)
    end = found.start() if found else len(text)
    inner_text = text[begins:end].strip()
    yield start, end, name, _lines(inner_text) or {"body": inner_text}


def _xml(text: str, start: int, limit: int) -> Iterator[Call]:
    """The call that a tag is, or the JSON calls inside it."""
    tag = _TAG.match(text, start, limit)
    if tag is None:
        return
    attributes = _attributes(tag["attributes"])
    name = " ".join([tag["name"].replace("=", " "), attributes.pop("name", "")]).strip()
    if not _calls(name):
        name = " ".join([name, *(attributes.pop(key) for key in _NAMED if _calls(attributes.get(key, "")))])
    inner, (close, end) = tag.end(), (tag.end(), tag.end()) if tag["empty"] else closed(text, tag["name"], tag.end(), limit)
    if close < 0 or _opens_again(text, tag["name"], inner, close):
        if not tag["name"].startswith(("tool_use", "function=", "invoke")):
            return
        close = end = limit
    brace = inner + len(text[inner:close]) - len(text[inner:close].lstrip())
    inside = list(_in_a_row(text, brace, close))
    if inside:
        yield from ((at, stop, called or name, arguments) for at, stop, called, arguments in inside)
        return
    children = _children(text, inner, close)
    if not _calls(name):
        name = " ".join([name, *(children.pop(key) for key in NAME if _calls(children.get(key, "")))])
    if not _calls(name):
        return
    parts = {**attributes, **children}
    if len(parts) == len(attributes):
        parts |= _lines(text[inner:close]) or ({"body": text[inner:close].strip()} if text[inner:close].strip() else {})
    if parts:
        yield start, end, name, parts


def _in_a_row(text: str, start: int, limit: int) -> Iterator[Call]:
    """The calls of JSON values that stand one after the other."""
    while text[start:start + 1] in ("{", "[") and start < limit:
        value, end = _decode(text, start, limit)
        if value is None:
            return
        yield from _json(text, start, limit)
        start = end + len(text[end:limit]) - len(text[end:limit].lstrip(" \t\r\n,"))


def _calls(name: str) -> bool:
    return bool(SENDS.search(name)) or is_call(name)


def closed(text: str, name: str, start: int, limit: int) -> tuple[int, int]:
    """Where a tag's own closing tag begins and ends, however it is capitalised; -1 where it has none. `<a=b>` and `<a:b>` may end with
    `</a>`."""
    names = dict.fromkeys([name.lower(), *(name.lower().split(mark)[0] for mark in "=:")])
    found = [(close, close + len(own) + 3) for own in names if (close := _lower(text).find(f"</{own}>", start, limit)) >= 0]
    return min(found, default=(-1, -1))


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
    """The arguments that stand as tags inside a call's tag; `<parameter name="to">` and `<parameter=to>` are `to`."""
    parts: dict[str, Any] = {}
    at = start
    while (tag := _TAG.search(text, at, end)) is not None:
        close, _ = closed(text, tag["name"], tag.end(), end)
        if close < 0:
            at = tag.end()
            continue
        kind, _, own = tag["name"].partition("=")
        named = own or _attributes(tag["attributes"]).get("name")
        key = named if named and kind.lower() in ("parameter", "param", "arg", "argument") else tag["name"].split(":")[-1]
        key, value = key.lower(), text[tag.end():close].strip()
        parts[key] = f"{parts[key]}\n{value}" if key in parts else value
        at = close
    return parts if parts.keys() & {*TO, *BODY, *ID, *THING, "subject", "command", "action"} else {}


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
    if _calls(name):
        told = {str(given.arg).lower(): _literal(given.value, text[:start]) for given in call.keywords}
        yield start, end, name, _named(name, [_literal(value, text[:start]) for value in call.args], told) | told


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
        kind = Unread if any(isinstance(value, Unread) for value in values) else str
        named["body"] = kind("\n".join(flat(value) for value in values[len(places) - 1:]))
    return named


def _literal(value: ast.expr, before: str) -> Any:
    """A value that stands there in full, or was given a name in the text before, or else its code."""
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        own = _assigned(value.id, before) if isinstance(value, ast.Name) else None
        return Unread(ast.unparse(value)) if own is None else own


def _assigned(name: str, before: str) -> str | None:
    """The string that a name was last given."""
    last = None
    for found in re.finditer(rf"^[^\S\n]*{re.escape(name)}[^\S\n]?=[^\S\n]?(?=[\"'])", before, re.MULTILINE):
        last = found
    piece = _PIECES.match(before, last.end()) if last else None
    try:
        found_value = ast.literal_eval(piece[0]) if piece else None
    except (ValueError, SyntaxError, MemoryError):
        return None
    return found_value if isinstance(found_value, str) else None


def _decode(text: str, start: int, limit: int) -> tuple[Any, int]:
    """(value, end) of the JSON that begins there; None where there is none."""
    if _NESTED.match(text, start):
        return None, start
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text[:limit], start)
    except (ValueError, RecursionError):
        return None, start
    return value, end


def _json(text: str, start: int, limit: int) -> Iterator[Call]:
    """The calls of a JSON value: an object, a list of them, or objects that wrap them."""
    value, end = _decode(text, start, limit)
    for one in _walk(value):
        lower = {str(key).lower(): item for key, item in one.items()}
        name = next((str(lower[key]) for key in NAME if lower.get(key)), "")
        if not name and lower.keys() & set(TO) and lower.keys() & set(BODY):
            yield start, end, "send_email", lower  # a bare mail, as an answer that is nothing else
            continue
        inner = next((lower[key] for key in GIVEN if isinstance(lower.get(key), dict | str)), lower)
        yield start, end, name, arguments(inner)


def _walk(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, depth + 1)
    elif isinstance(value, dict):
        [key, only] = next(iter(value.items())) if len(value) == 1 else ("", None)
        wrapped = {name: value[name] for name in _WRAPS if isinstance(value.get(name), dict | list)}
        rest = {name: item for name, item in value.items() if name not in wrapped}
        if isinstance(only, dict) and SENDS.search(str(key)):
            yield {"name": key, "arguments": only}
            return
        for inner in wrapped.values():
            yield from _walk(inner, depth + 1)
        if not wrapped or rest.keys() & {*NAME, *GIVEN, *TO}:
            yield rest
