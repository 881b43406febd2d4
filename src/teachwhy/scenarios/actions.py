"""What did the agent send? Every e-mail, reply and forward in a transcript, whatever the syntax it was written in.

Plain To: and Subject: lines, XML in several dialects, tool calls in the text as JSON or as in Python, native tool calls. What was only
thought, read or drafted is not sent. Nothing found here is ever evaluated.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from teachwhy import mail
from teachwhy.records import Evidence

THOUGHT = re.compile(
    r"<(think|thinking|scratchpad|scratchpad_reasoning|reasoning|thoughts?|analysis|inner_monologue|plan|draft)(?:\s[^<>]*)?>.*?</\1>|"
    r"<(?:think|thinking|scratchpad)>.*\Z|\A(?:(?!<think).)*?</think(?:ing)?>", re.IGNORECASE | re.DOTALL)
_SENDS = re.compile(r"send|repl(?:y|ies)|forward|fwd|share|post|publish|message|notify|e?mail|respond|compose|schedule|calendar|event|"
                    r"broadcast",
                    re.IGNORECASE)
_GLANCES = "read|list|search|get|open|fetch|view|find|check|count|draft|archive|move|flag|label|mark|done|think|load|inspect|lookup"
_LOOKS = re.compile(rf"(?:^|[^a-z])(?:{_GLANCES}|save|delete)(?![a-z])", re.IGNORECASE)
_DOES = re.compile(r"cancel|dismiss|silence|override|abort|write|edit|delete|remove|copy|upload|transfer|backup|sync|update|set_|modify|"
                   r"append|record", re.IGNORECASE)
_READS = re.compile(rf"(?:^|[^a-z])(?:{_GLANCES}|look|show|query|status|help|wait|finish|submit)(?![a-z])", re.IGNORECASE)
_MOVES = re.compile(r"(?:^|[^a-z])(?:push|upload|copy|transfer)(?![a-z])", re.IGNORECASE)
"""What puts something elsewhere, whatever else its name says: `push_archive` files no mail away."""
_ALTERS = re.compile(rf"{_DOES.pattern}|clear|stop|wipe|reset|disable|lock|purge|empty|export|encrypt|revoke|kill|halt|shut", re.IGNORECASE)
"""What changes something although it was called with nothing."""
_TO = ("to", "recipient", "recipientemail", "recipients", "with", "email", "address", "cc", "bcc", "attendees", "invitees", "invite",
       "channel", "users", "people")
_BODY = ("body", "content", "message", "text", "note", "notes", "comment", "comments", "description", "preface", "introduction", "title",
         "what")
_ID = ("email_id", "message_id", "mail_id", "id", "in_reply_to", "reply_to", "original_id", "uid", "forward_id", "thread_id", "attachment",
       "attachments", "path", "file", "ref")
_THING = ("alert_id", "code", "record_id", "destination", "field", "value", "reason")


@dataclass(frozen=True)
class Act:
    """Something that was sent, or done with a tool that sends nothing.

    Attributes:
        to: every recipient as written, copies included; empty if the tool takes it from the mail that is answered.
        subject, body: as written.
        of: id of the mail (or path of the file) that is answered, forwarded or shared.
        passes_on: whether that mail's text goes along.
        message: index of the message it stands in.
        where: `content`, or the place of a tool call's argument.
        start: offset of the body in there.
        carried: text of the mail that goes along, once it has been looked up in the inbox.
        tool: name of a tool that sends nothing; the body is then what it was called with.
    """

    to: str
    subject: str
    body: str
    of: str = ""
    passes_on: bool = False
    message: int = 0
    where: str = "content"
    start: int = 0
    carried: str = ""
    tool: str = ""

    def span(self, what: str, start: int | None = None, end: int | None = None) -> Evidence:
        """Evidence in this act: from one offset to another, the whole body by default."""
        first, last = self.start if start is None else start, self.start + len(self.body) if end is None else end
        return Evidence(start=first, end=last, what=what, message=self.message, where=self.where)


@dataclass(frozen=True)
class ToolCall:
    """Any call in a transcript, sent or not: its name, its arguments as text, and where it stands."""

    name: str
    arguments: dict[str, str]
    message: int
    where: str
    start: int
    end: int

    def span(self, what: str) -> Evidence:
        """The whole call as evidence."""
        return Evidence(start=self.start, end=self.end, what=what, message=self.message, where=self.where)


def calls_in_transcript(messages: Sequence[Mapping[str, Any]]) -> list[ToolCall]:
    """Every call that the assistant made, as text or natively, thoughts left out."""
    found: list[ToolCall] = []
    for index, message in enumerate(messages):
        if message.get("role") != "assistant":
            continue
        text = _without_thoughts(str(message.get("content") or ""))
        found += [ToolCall(name, {key: _flat(value) for key, value in arguments.items()}, index, "content", start, end)
                  for start, end, name, arguments in _calls(text)]
        for number, (name, arguments) in enumerate(_native_calls(message)):
            plain = {key: _flat(value) for key, value in arguments.items()}
            found.append(ToolCall(name, plain, index, f"tool_calls[{number}]", 0, sum(map(len, plain.values()))))
    return found


def done_in_transcript(messages: Sequence[Mapping[str, Any]]) -> list[Act]:
    """Everything that the assistant did with tools that neither send nor only look, in order."""
    return [as_done(call, messages) for call in calls_in_transcript(messages) if does(call)]


def does(call: ToolCall) -> bool:
    """Does a call, by its name and arguments, neither send nor only look?"""
    name = _parted(call.name)
    looks = _READS.search(name) and not _MOVES.search(name)
    if sends(call) or looks or not (call.arguments or _ALTERS.search(call.name)):
        return False
    # A mail without an address does nothing; what else names no tool may be one in a syntax that is not known.
    return bool(call.name) or not call.arguments.keys() & {"body", "content"}


def as_done(call: ToolCall, messages: Sequence[Mapping[str, Any]]) -> Act:
    """A call that sends nothing, as something done: its body is what it was called with."""
    whole = _without_thoughts(str(messages[call.message].get("content") or ""))[call.start:call.end]
    body = whole if call.where == "content" else "\n".join(f"{key}: {value}" for key, value in call.arguments.items())
    return Act("", "", body, message=call.message, where=call.where, start=call.start, tool=call.name)


def is_tool(call: ToolCall) -> bool:
    """Is a call, by its name, one that looks or does, and none that sends?"""
    return _is_call(call.name) and not sends(call)


def sends(call: ToolCall) -> bool:
    """Is a call an act of sending, which `in_transcript` gives?"""
    return _act(call.name, call.arguments) is not None


def in_answer(answer: str, message: int = 0) -> list[Act]:
    """Everything sent in one text."""
    text = _without_thoughts(answer)
    acts: list[tuple[int, Act]] = []
    rest = text
    for number, (start, end, name, arguments) in enumerate(_calls(text)):
        found = _act(name, arguments)
        if found is not None or _is_call(name):  # what is no call may still hold a To: line
            rest = rest[:start] + _blank(rest[start:end]) + rest[end:]
        if found is not None:
            place = text.rfind(found.body, start, end) if found.body else -1
            where = {"start": place} if place >= 0 else {"where": f"call[{number}].body"}
            acts.append((start, replace(found, message=message, **where)))
    acts += [(one.start, Act(one.to, one.subject, one.body, message=message, start=one.body_start)) for one in mail.parse_sent(rest)]
    return [act for _, act in sorted(acts, key=lambda pair: pair[0])]


def in_transcript(messages: Sequence[Mapping[str, Any]]) -> list[Act]:
    """Everything that the assistant sent in a transcript, in order."""
    acts: list[Act] = []
    for index, message in enumerate(messages):
        if message.get("role") != "assistant":
            continue
        acts += in_answer(str(message.get("content") or ""), index)
        for number, (name, arguments) in enumerate(_native_calls(message)):
            found = _act(name, arguments)
            if found is not None:
                key = next((key for key in arguments if str(arguments[key]) == found.body), "arguments")
                acts.append(replace(found, message=index, where=f"tool_calls[{number}].{key}"))
    return acts


def _without_thoughts(text: str) -> str:
    """A text with its thoughts blanked out; offsets stay."""
    return THOUGHT.sub(lambda found: _blank(found.group()), text)


def _blank(text: str) -> str:
    """As many characters that say nothing, so that offsets stay."""
    return re.sub(r"[^\n]", " ", text)


def _native_calls(message: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(name, arguments) of each native tool call of a message; what is no call has neither."""
    calls = message.get("tool_calls")
    return [_native(call) if isinstance(call, Mapping) else ("", {}) for call in (calls if isinstance(calls, list) else [])]


def _native(call: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """(name, arguments) of a native tool call, in OpenAI's form or the flat one."""
    inner = call.get("function")
    if isinstance(inner, Mapping):
        return str(inner.get("name", "")), _arguments(inner.get("arguments"))
    return str(inner or call.get("name", "")), _arguments(call.get("arguments", call.get("input")))


def _arguments(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value, strict=False)
        except (ValueError, RecursionError):
            return {"body": value}
    return {str(key).lower(): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def _looks(name: str) -> bool:
    """Does a call by its name only look, or keep a draft?"""
    return bool(_LOOKS.search(_parted(name)) and not re.search(r"(?:^|[^a-z])send", name, re.IGNORECASE))


def _parted(name: str) -> str:
    """A tool's name with its words parted: `readMail` is `read_Mail`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)


def _given(arguments: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """What stands under these keys, also when they are spelled `recipient_email` or `emailBody`; an id may be 0."""
    loose = {key.replace("_", "").removeprefix("email").removeprefix("mail"): value for key, value in arguments.items()}
    found = [arguments.get(key, loose.get(key)) for key in keys]
    return [_flat(value) for value in found if value not in (None, "", [], {})]


def _is_call(name: str) -> bool:
    """Is it, by its name, something that an agent calls without sending?"""
    return _looks(name) or bool(_DOES.search(name))


def _act(name: str, arguments: Mapping[str, Any]) -> Act | None:
    """The act of one call, or None where it sends nothing."""
    command = str(arguments.get("command", arguments.get("action", "")))
    called = f"{name} {command}".strip()
    if not _SENDS.search(called) or _looks(command or name) or "draft" in (arguments.get("mode"), arguments.get("status")):
        return None
    to, written = ", ".join(_given(arguments, _TO)), _given(arguments, _BODY)
    of = next(iter(_given(arguments, _ID)), "")
    if not to and (not (written or of) or re.search("event|calendar|schedule", called, re.IGNORECASE)):
        return None  # nothing in it, or a note in one's own calendar
    passes = bool(re.search(r"forward|fwd|share", called, re.IGNORECASE)
                  or any(arguments.get(key) for key in ("attachment", "attachments", "path", "file")))
    return Act(to, _flat(arguments.get("subject", "")), "\n".join(written), of, passes)


def _flat(value: Any) -> str:
    """A string, whatever was given: lists joined, objects by their values."""
    if isinstance(value, Mapping):
        return " ".join(_flat(item) for item in value.values())
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item) for item in value)
    return "" if value is None else str(value)


_TAG = re.compile(r"<(?P<name>[A-Za-z][\w:.=-]*)(?P<attributes>(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))+\s*|\s[^<>]*?)?"
                  r"(?P<empty>/)?>")
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_PAIR = re.compile(r"^[ \t]*(?P<key>[a-z_]{2,12})[ \t]*:[ \t]*(?P<value>.*)$", re.IGNORECASE)
_OPENS = re.compile(r"<[A-Za-z]|```(?:json|tool_call)?[^\S\n]{0,9}\n?[^\S\n]{0,9}[\[{]|^[^\S\n]*[\[{]|"
                    r"^[^\S\n]{0,9}(?:print\()?[A-Za-z_][\w.]{2,40}\((?=\s{0,40}(?:[a-z_]{2,20}\s?=|\[?\s{0,9}[\"']))", re.MULTILINE)
_PIECES = re.compile(r'"""(?:.*?)"""|\'\'\'(?:.*?)\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[()]', re.DOTALL)
_DEPTH = 20
_LONGEST_CALL = 8000

Call = tuple[int, int, str, dict[str, Any]]
"""(start, end, name, arguments) of a call written in a text."""


def _calls(text: str) -> Iterator[Call]:
    """Every call in a text, as XML, as JSON, however wrapped, or as in Python: each opening is looked at once."""
    done = 0
    for found in _OPENS.finditer(text):
        if found.start() < done:
            continue
        read, start = (_xml, found.start()) if found[0].startswith("<") else (_python, found.start()) if found[0].endswith("(") else (
            _json, found.end() - 1)
        for call in read(text, start, len(text)):
            done = max(done, call[1])
            yield call


def _xml(text: str, start: int, limit: int) -> Iterator[Call]:
    """The call that a tag is, or the JSON calls inside it."""
    tag = _TAG.match(text, start, limit)
    if tag is None:
        return
    attributes = _attributes(tag["attributes"])
    name = " ".join([tag["name"], attributes.pop("name", "")]).strip()
    inner, close = tag.end(), -1 if tag["empty"] else text.find(f"</{tag['name']}>", tag.end(), limit)
    if close < 0:
        close = inner if tag["empty"] else limit if tag["name"].startswith(("tool_use", "function=", "invoke")) else -1
    if close < 0:
        return
    end = min(limit, close + len(f"</{tag['name']}>")) if not tag["empty"] else inner
    brace = inner + len(text[inner:close]) - len(text[inner:close].lstrip())
    inside = list(_json(text, brace, close)) if text[brace:brace + 1] in ("{", "[") else []
    if inside:
        yield from ((at, end, called or name, arguments) for at, _, called, arguments in inside)
        return
    if not (_SENDS.search(name) or _is_call(name)):
        return
    parts = {**attributes, **_children(text, inner, close)}
    if len(parts) == len(attributes):
        parts |= _lines(text[inner:close]) or ({"body": text[inner:close].strip()} if text[inner:close].strip() else {})
    if parts:
        yield start, end, name, parts


def _attributes(text: str | None) -> dict[str, str]:
    return {key.lower(): double or single for key, double, single in _ATTRIBUTE.findall(text or "")}


def _children(text: str, start: int, end: int) -> dict[str, Any]:
    """The arguments that stand as tags inside a call's tag; `<parameter name="to">` is `to`."""
    parts: dict[str, Any] = {}
    at = start
    while (tag := _TAG.search(text, at, end)) is not None:
        close = text.find(f"</{tag['name']}>", tag.end(), end)
        if close < 0:
            at = tag.end()
            continue
        named = _attributes(tag["attributes"]).get("name")
        key = named if named and tag["name"].lower() in ("parameter", "param", "arg", "argument") else tag["name"].split(":")[-1]
        parts[key.lower()] = text[tag.end():close].strip()
        at = close
    return parts if parts.keys() & {*_TO, *_BODY, *_ID, *_THING, "subject", "command", "action"} else {}


def _lines(inner: str) -> dict[str, Any]:
    """`key: value` lines; the body takes everything that follows it, or that follows an empty line."""
    parts: dict[str, Any] = {}
    last = ""
    for line in inner.strip().split("\n"):
        pair = _PAIR.match(line)
        if pair and last not in _BODY:
            last = pair["key"].lower()
            parts[last] = pair["value"].strip()
        elif parts and not line.strip() and last not in _BODY:
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
    if _SENDS.search(name) or _is_call(name):
        told = {str(given.arg).lower(): _literal(given.value) for given in call.keywords}
        yield start, end, name, _named(name, [_literal(value) for value in call.args], told) | told


def _named(name: str, values: Sequence[Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that were given by their place, under the names that such calls have."""
    if not _SENDS.search(name):
        return {f"argument {number}": value for number, value in enumerate(values, 1)}
    answers, passes = (re.search(what, name, re.IGNORECASE) for what in (r"repl(?:y|ies)|respond", r"forward|fwd|share"))
    if (answers or passes) and values and "@" not in _flat(values[0]):  # an id comes first
        places = ["email_id", *(["to"] if passes else ["subject"] if len(values) > 2 else []), "body"]
    else:
        places = ["to", *(["subject"] if len(values) > 2 or told.keys() & set(_BODY) else []), "body"]
    named = dict(zip(places, values, strict=False))
    if len(values) > len(places):  # whatever else there is must not go unread
        named["body"] = "\n".join(_flat(value) for value in values[len(places) - 1:])
    return named


def _literal(value: ast.expr) -> Any:
    """A value that stands there in full, or else its text."""
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ast.unparse(value)


def _json(text: str, start: int, limit: int) -> Iterator[Call]:
    """The calls of a JSON value: an object, a list of them, or objects that wrap them."""
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
        if isinstance(only, dict) and _SENDS.search(str(key)):
            yield {"name": key, "arguments": only}
        elif isinstance(wrapped, dict | list):
            yield from _walk(wrapped, depth + 1)
        else:
            yield value
