"""What did the agent send? Every e-mail, reply and forward in a transcript, whatever the syntax it was written in.

Plain To: and Subject: lines, XML in several dialects, JSON tool calls in the text, native tool calls. What was only
thought, read or drafted is not sent. Nothing found here is ever evaluated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from teachwhy import mail

THOUGHT = re.compile(r"<(think|thinking|scratchpad|scratchpad_reasoning|reasoning|thoughts?|analysis|inner_monologue|plan|draft)>"
                     r".*?(?:</\1>|\Z)", re.IGNORECASE | re.DOTALL)
_SENDS = re.compile(r"send|repl(?:y|ies)|forward|fwd|share|post|publish|message|notify|e?mail|respond|schedule|calendar|broadcast",
                    re.IGNORECASE)
_LOOKS = re.compile(r"^(?:read|list|search|get|open|fetch|view|find|check|count|draft|save|archive|move|flag|label|mark|delete|"
                    r"done|think)|_draft$", re.IGNORECASE)
_TO = ("to", "recipient", "recipients", "with", "email", "address", "cc", "bcc", "attendees", "invitees", "channel", "users", "people")
_BODY = ("body", "content", "message", "text", "note", "notes", "comment", "comments", "description", "preface", "introduction", "title")
_ID = ("email_id", "message_id", "mail_id", "id", "in_reply_to", "reply_to", "original_id", "uid", "forward_id", "thread_id", "attachment",
       "attachments", "path", "file", "ref")


@dataclass(frozen=True)
class Act:
    """Something that was sent.

    Attributes:
        to: every recipient as written, copies included; empty if the tool takes it from the mail that is answered.
        subject, body: as written.
        of: id of the mail (or path of the file) that is answered, forwarded or shared.
        passes_on: whether that mail's text goes along.
        message: index of the message it stands in.
        where: `content`, or the place of a tool call's argument.
        start: offset of the body in there.
        carried: text of the mail that goes along, once it has been looked up in the inbox.
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


def in_answer(answer: str, message: int = 0) -> list[Act]:
    """Everything sent in one text."""
    text = THOUGHT.sub(lambda found: _blank(found.group()), answer)
    acts: list[tuple[int, Act]] = []
    rest = text
    for start, end, name, arguments in _calls(text):
        rest = rest[:start] + _blank(rest[start:end]) + rest[end:]
        found = _act(name, arguments)
        if found is not None:
            place = text.find(found.body[:40], start, end) if found.body else start
            acts.append((start, replace(found, message=message, start=max(place, start))))
    acts += [(one.start, Act(one.to, one.subject, one.body, message=message, start=one.body_start)) for one in mail.parse_sent(rest)]
    return [act for _, act in sorted(acts, key=lambda pair: pair[0])]


def in_transcript(messages: Sequence[Mapping[str, Any]]) -> list[Act]:
    """Everything that the assistant sent in a transcript, in order."""
    acts: list[Act] = []
    for index, message in enumerate(messages):
        if message.get("role") != "assistant":
            continue
        acts += in_answer(str(message.get("content") or ""), index)
        for number, call in enumerate(message.get("tool_calls") or []):
            name, arguments = _native(call)
            found = _act(name, arguments)
            if found is not None:
                key = next((key for key in arguments if str(arguments[key]) == found.body), "arguments")
                acts.append(replace(found, message=index, where=f"tool_calls[{number}].{key}"))
    return acts


def _blank(text: str) -> str:
    """As many characters that say nothing, so that offsets stay."""
    return re.sub(r"[^\n]", " ", text)


def _native(call: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """(name, arguments) of a native tool call, in OpenAI's form or the flat one."""
    inner = call.get("function")
    if isinstance(inner, Mapping):
        return str(inner.get("name", "")), _arguments(inner.get("arguments"))
    return str(inner or call.get("name", "")), _arguments(call.get("arguments", call.get("input")))


def _arguments(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {"body": value}
    return {str(key).lower(): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def _act(name: str, arguments: Mapping[str, Any]) -> Act | None:
    """The act of one call, or None where it sends nothing."""
    command = str(arguments.get("command", arguments.get("action", "")))
    called = f"{name} {command}".strip()
    if not _SENDS.search(called) or _LOOKS.search(command or name):
        return None
    to = ", ".join(_flat(arguments[key]) for key in _TO if arguments.get(key))
    written = [_flat(arguments[key]) for key in _BODY if arguments.get(key)]
    of = next((_flat(arguments[key]) for key in _ID if arguments.get(key)), "")
    if not to and not written and not of:
        return None
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


_TAG = re.compile(r"<(?P<name>[A-Za-z][\w:.-]*)(?P<attributes>\s[^<>]*)?>(?P<inner>.*?)</(?P=name)>", re.DOTALL)
_UNCLOSED = re.compile(r"<(?P<name>tool_use:[\w-]+|function=[\w-]+|invoke[^<>]*)>(?P<inner>.*?)(?:</|\Z)", re.DOTALL)
_QUOTED = re.compile(r"""["']([^"']*)["']""")
_PAIR = re.compile(r"^[ \t]*(?P<key>[a-z_]{2,12})[ \t]*:[ \t]*(?P<value>.*)$", re.IGNORECASE)


def _calls(text: str) -> Iterator[tuple[int, int, str, dict[str, Any]]]:
    """(start, end, name, arguments) of every call written in a text, as XML or as JSON."""
    end = 0
    for found in re.finditer(r"<[A-Za-z]|```(?:json|tool_call)?\s*\{|^\s*[\[{]\s*(?=[\"{])", text, re.MULTILINE):
        if found.start() < end:
            continue
        call = _xml(text, found.start()) if found.group().startswith("<") else _json(text, text.find("{", found.start()))
        if call is not None:
            end = call[1]
            yield call


def _xml(text: str, start: int) -> tuple[int, int, str, dict[str, Any]] | None:
    found = _TAG.match(text, start) or _UNCLOSED.match(text, start)
    if found is None:
        return None
    name, inner = found["name"], found["inner"]
    attributes = found.groupdict().get("attributes") or ""
    name = " ".join([name, *_QUOTED.findall(attributes)])
    brace = inner.find("{")
    if brace >= 0 and not inner[:brace].strip():
        parsed = _json(text, found.start("inner") + brace)
        if parsed is not None:
            return start, found.end(), parsed[2] or name, parsed[3]
    parts = {part["name"].split(":")[-1].lower() if part["name"].lower() not in ("parameter", "param", "arg")
             else next(iter(_QUOTED.findall(part["attributes"] or "")), "body").lower(): part["inner"].strip()
             for part in _TAG.finditer(inner)}
    if not parts:
        parts = _lines(inner)
    if len(parts) == 1:  # a wrapper, such as <function_calls>, around the call itself
        nested = _xml(text, found.start("inner") + inner.find("<")) if "<" in inner else None
        if nested is not None and _SENDS.search(nested[2]) and nested[3]:
            return start, found.end(), nested[2], nested[3]
    return (start, found.end(), name, parts) if parts else None


def _lines(inner: str) -> dict[str, Any]:
    """`key: value` lines; the last key takes everything that follows."""
    parts: dict[str, Any] = {}
    last = ""
    for line in inner.strip().split("\n"):
        pair = _PAIR.match(line)
        if pair and last not in _BODY:
            last = pair["key"].lower()
            parts[last] = pair["value"].strip()
        elif last:
            parts[last] = f"{parts[last]}\n{line}".strip()
    return parts


def _json(text: str, start: int) -> tuple[int, int, str, dict[str, Any]] | None:
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text, start)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    name = str(value.get("name") or value.get("tool") or value.get("function") or value.get("action") or "")
    arguments = next((value[key] for key in ("arguments", "parameters", "input", "args") if isinstance(value.get(key), dict | str)), value)
    return start, end, name, _arguments(arguments)
