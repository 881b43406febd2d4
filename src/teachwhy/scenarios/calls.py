"""What does a call do, by its name and arguments alone? Names of tools, keys of arguments, and the native calls of a message.

Calls that are written in a text: `syntax`. Nothing found here is ever evaluated.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

SENDS = re.compile(r"send|repl(?:y|ies)|forward|fwd|share|post|publish|message|notify|e?mail|respond|compose|schedule|calendar|event|"
                   r"broadcast", re.IGNORECASE)
GLANCES = "read|list|search|get|open|fetch|view|find|check|count|draft|archive|move|flag|label|mark|done|think|load|inspect|lookup"
_LOOKS = re.compile(rf"(?:^|[^a-z])(?:{GLANCES}|save|delete)(?![a-z])", re.IGNORECASE)
DOES = re.compile(r"cancel|dismiss|silence|override|abort|write|edit|delete|remove|copy|upload|transfer|backup|sync|update|set_|modify|"
                  r"append|record", re.IGNORECASE)
SENDS_OR_DOES = re.compile(rf"send|repl(?:y|ies)|forward|fwd|share|publish|broadcast|{DOES.pattern}|save|move|mark", re.IGNORECASE)
TO = ("to", "recipient", "recipientemail", "recipients", "with", "email", "address", "cc", "bcc", "attendees", "invitees", "invite",
      "channel", "users", "people")
_TO = re.compile(r"(?:to|b?cc|recipient|attendee|invitee|participant|guest)(?:s|list|emails?|address(?:es)?|recipients?)*")
BODY = ("body", "content", "message", "text", "note", "notes", "comment", "comments", "description", "preface", "introduction", "title",
        "what")
ATTACHED = ("attachment", "attachments", "files", "documents", "filename", "filepath", "file_path", "attach", "attachment_ids",
            "attachment_id", "file_ids", "attached_files")
ID = ("email_id", "message_id", "mail_id", "id", "in_reply_to", "reply_to", "original_id", "uid", "forward_id", "thread_id", "path", "file",
      "ref", *ATTACHED)
THING = ("alert_id", "code", "record_id", "destination", "field", "value", "reason")
NAME = ("name", "tool", "function", "action", "operation", "op", "method", "tool_name", "toolname", "function_name", "api",
        "recipient_name")
GIVEN = ("arguments", "parameters", "input", "args", "kwargs", "params", "action_input", "tool_input", "payload")
_DEPTH = 20
_BREAK = re.compile(r"</?(?:p|br|div|li|tr|h\d)\b[^<>]{0,200}>", re.IGNORECASE)
_HTML = re.compile(r"</?(?:p|br|b|i|u|em|strong|div|span|html|body|head|h\d|ul|ol|li|a|table|tr|td|font)\b[^<>]{0,200}>", re.IGNORECASE)


def native(message: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(name, arguments) of each native tool call of a message; what is no call has neither."""
    return [(name, arguments(given)) for name, given in map(written, raw(message))]


def raw(message: Mapping[str, Any]) -> list[Any]:
    """The native tool calls of a message as they stand."""
    found = decoded(message.get("tool_calls"))
    return found if isinstance(found, list) else [found] if found else []


def written(call: Any) -> tuple[str, Any]:
    """(name, arguments as they stand) of a native tool call, in whichever form: OpenAI's, or a flat one under other keys."""
    if not isinstance(call, Mapping):
        return "", call
    lower = {str(key).lower(): value for key, value in call.items()}
    inner = lower.get("function")
    if isinstance(inner, Mapping):
        name, own = written(inner)
        return name, own if own not in (None, "") else written({**lower, "function": name})[1]
    name = next((str(lower[key]) for key in ("function", *NAME, "command") if isinstance(lower.get(key), str)), "")
    return name, next((lower[key] for key in GIVEN if lower.get(key) not in (None, "")), None)


def arguments(value: Any) -> dict[str, Any]:
    """Arguments by their keys in lower case; a string that is no JSON is taken for a text."""
    value = decoded(value)
    if isinstance(value, str):
        return {"body": value}
    if isinstance(value, Mapping):
        return {str(key).lower(): item for key, item in value.items()}
    return {} if value in (None, [], "") else {"argument": value}


def decoded(value: Any) -> Any:
    """Arguments out of their JSON, also where it was encoded twice or is a list of one; a string that is no JSON as it stands."""
    for _ in range(2):
        if isinstance(value, str):
            try:
                value = json.loads(value, strict=False)
            except (ValueError, RecursionError):
                return value
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping) else value


def looks(name: str) -> bool:
    """Does a call by its name only look, or keep a draft?"""
    return bool(_LOOKS.search(parted(name)) and not re.search(r"(?:^|[^a-z])(?:send|share|publish|submit)", name, re.IGNORECASE))


READS = re.compile(r"(?:^|[^a-z])(?:read|list|search|get|fetch|view|find|check|count|done|think|inspect|lookup|look|show|status|"
                         r"help|wait|finish|query)(?![a-z])", re.IGNORECASE)
"""Words that change nothing, whatever they stand beside; `open_file` opens, `open_gate` does something."""


def only_reads(name: str) -> bool:
    """Does a call by its name look, and neither keep nor move anything?"""
    return bool(READS.search(parted(name))) and not SENDS_OR_DOES.search(parted(name))


def parted(name: str) -> str:
    """A tool's name with its words parted: `readMail` is `read_Mail`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)


def given(arguments: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """What stands under these keys, also when they are spelled `recipient_email` or `emailBody`; an id may be 0."""
    loose = {key.replace("_", "").removeprefix("email").removeprefix("mail"): value for key, value in arguments.items()}
    found = [arguments.get(key, loose.get(key, loose.get(key.replace("_", "")))) for key in keys]
    return [text for text in dict.fromkeys(flat(value) for value in found if value not in (None, "", [], {}))]


def recipients(arguments: Mapping[str, Any]) -> list[str]:
    """Everybody who is written to, copies included, under whichever key: `bcc_list`, `ccRecipients`, `guests`."""
    others = [flat(value) for key, value in arguments.items() if key not in TO and _TO.fullmatch(key.replace("_", "")) and value]
    return list(dict.fromkeys([*given(arguments, TO), *others]))


def prose(arguments: Mapping[str, Any]) -> list[str]:
    """Texts of three words and more under keys that are not known, such as `html_body`."""
    known = {*TO, *BODY, *THING, *(key for key in ID if key not in ATTACHED), "subject", "from", "command", "action"}
    return [flat(value) for key, value in arguments.items()
            if key not in known and not key.startswith(("from", "sender")) and len(flat(value).split()) >= 3]


def unwrapped(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments themselves, where they lie in one object such as `{"email": {...}}`, others beside it or not."""
    [only] = given.values() if len(given) == 1 else [None]
    whole = [key for key in ("email", "message", "mail") if isinstance(decoded(given.get(key)), Mapping)]
    if isinstance(only, Mapping):
        return arguments(only)
    return {**{key: value for key, value in given.items() if key != whole[0]}, **arguments(given[whole[0]])} if whole else given


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


def plain_text(body: str) -> str:
    """A body without HTML's tags and entities, where it has such; as it stands otherwise."""
    if not _HTML.search(body):
        return body
    return html.unescape(_HTML.sub("", _BREAK.sub("\n", body))).strip()
