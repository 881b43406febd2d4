"""What did the agent send? Every e-mail, reply and forward in a transcript, whatever the syntax it was written in.

Plain To: and Subject: lines, and every call that sends (`calls`). What was only thought, read or drafted is not sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from teachwhy import mail
from teachwhy.records import Evidence
from teachwhy.scenarios import broken, calls, syntax

_THOUGHT = re.compile(r"<(?P<name>think|thinking|scratchpad|scratchpad_reasoning|reasoning|thoughts?|analysis|inner_monologue|plan|draft)"
                      r"(?:\s[^<>]*)?>|</think(?:ing)?>", re.IGNORECASE)
_TO_THE_END = ("think", "thinking", "scratchpad")
"""Thoughts that end with the text where they are not closed."""
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_PRIVATE = re.compile(r"<(?:think|scratch|reason|thought|analysis|inner)", re.IGNORECASE)
"""A thought that nobody could take for something to be sent."""
_READS = re.compile(rf"(?:^|[^a-z])(?:{calls.GLANCES}|look|show|query|status|help|wait|finish|submit)(?![a-z])", re.IGNORECASE)
_MAIL = frozenset(["body", "content", "subject", "from", "date", "priority"])
"""Keys of a mail without a recipient."""
_STATUS = frozenset(["status", "ok", "result", "results", "done", "summary", "reasoning", "thought", "thoughts", "plan", "label", "success",
                     "error", "notes", "explanation", "rationale", "decision", "priority", "category", "next_steps"])
"""Keys of a JSON that reports, and calls nothing."""
_PAPER = re.compile(r"file|document|attachment|page|url|link|folder|inbox|mail", re.IGNORECASE)
_SCRIPTS = {"sh": re.compile("bash|shell|terminal|command", re.IGNORECASE),
            "python": re.compile(r"python|code_?(?:interp|exec)|exec\w*_code", re.IGNORECASE)}
"""Tools that run a script, and its language."""
_MOVES = re.compile(r"(?:^|[^a-z])(?:push|upload|copy|transfer)(?![a-z])", re.IGNORECASE)
"""What puts something elsewhere, whatever else its name says: `push_archive` files no mail away."""
_ALTERS = re.compile(rf"{calls.DOES.pattern}|clear|stop|wipe|reset|disable|lock|purge|empty|export|encrypt|revoke|kill|halt|shut",
                     re.IGNORECASE)
"""What changes something although it was called with nothing."""
_SETS = re.compile(rf"{_ALTERS.pattern}|(?:^|[^a-z])set(?![a-z])|archive|compress|replace|resolve|close|create|assign|approve|move|save",
                   re.IGNORECASE)
BROKEN = "a call that cannot be read"
"""Named as the tool of what was begun and cannot be read."""
_OWN_MAIL = re.compile(r"mail|message|draft|inbox|folder|label|flag|thread|search|calendar|event|note|task|todo|remind", re.IGNORECASE)


@dataclass(frozen=True)
class Act:
    """Something that was sent, or done with a tool that sends nothing.

    Attributes:
        to: recipients as written, in a call all of them; empty if the tool takes it from the mail that is answered.
        copies: who else gets a plain mail.
        subject, body: as written.
        of: id of the mail (or path of the file) that is answered, forwarded or shared.
        passes_on: whether that mail's text goes along.
        attached: files that go along.
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
    attached: tuple[str, ...] = ()
    copies: str = ""

    @property
    def everybody(self) -> str:
        """Recipients and copies."""
        return ", ".join(filter(None, (self.to, self.copies)))

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
        found += [ToolCall(name, {key: calls.flat(value) for key, value in arguments.items()}, index, "content", start, end)
                  for start, end, name, arguments in syntax.in_text(text)]
        for number, (name, arguments) in enumerate(calls.native(message)):
            plain = {key: calls.flat(value) for key, value in arguments.items()}
            found.append(ToolCall(name, plain, index, f"tool_calls[{number}]", 0, sum(map(len, plain.values()))))
    return found


def done_in_transcript(messages: Sequence[Mapping[str, Any]]) -> list[Act]:
    """Everything that the assistant did with tools that neither send nor only look, in order; then what cannot be read."""
    done = [as_done(call, messages) for call in calls_in_transcript(messages) if does(call) or may_do(call)]
    return [*done, *broken_in_transcript(messages)]


def broken_in_transcript(messages: Sequence[Mapping[str, Any]]) -> list[Act]:
    """Everything of the assistant's that begins like a call that sends or changes something and cannot be read, such as a tag that is
    never closed, or that stands in what may be a draft: nobody knows whether it was sent."""
    found: list[Act] = []
    for index, message in enumerate(messages):
        if message.get("role") != "assistant":
            continue
        content = str(message.get("content") or "")
        text = _without_thoughts(content)
        spans = [*broken.in_text(text), *_drafted(content)]
        after = messages[index + 1] if index + 1 < len(messages) else {}
        if after.get("role") == "tool" and not spans and not calls.raw(message) and not any(syntax.in_text(text)):
            spans = [(0, len(content))]  # a tool answered what no reader saw
        found += [Act("", "", content[start:end], message=index, start=start, tool=BROKEN) for start, end in spans]
        found += [Act("", "", given, message=index, where=f"tool_calls[{number}].arguments", tool=BROKEN)
                  for number, given in broken.native(message)]
    return found


def _drafted(content: str) -> list[tuple[int, int]]:
    """Drafts and plans in which a call sends something, and calls before a thought whose beginning is not to be seen."""
    found = []
    for start, end in _thoughts(content):
        tag = re.compile(r"<(?:draft|plan)[^<>]*>", re.IGNORECASE).match(content, start)
        inner = content[tag.end() if tag else start:end]
        if not _PRIVATE.match(inner) and (mail.parse_sent(inner) or any(
                _act(name, arguments) or calls.DOES.search(name) for _, _, name, arguments in syntax.in_text(inner))):
            found.append((start, end))
    return found


def does(call: ToolCall) -> bool:
    """Does a call, by its name and arguments, neither send nor only look?"""
    if sends(call) or _only_looks(call) or not (call.arguments or _ALTERS.search(call.name)):
        return False
    # A mail without an address does nothing; what else names no tool may be one in a syntax that is not known.
    if not call.name and call.arguments.keys() <= _STATUS:
        return False
    return bool(call.name) or not call.arguments.keys() <= _MAIL or bool(calls.recipients(call.arguments))


def _only_looks(call: ToolCall) -> bool:
    """Does a call look, or keep the agent's own mail and notes in order, and do nothing besides?"""
    name = calls.parted(call.name)
    for language, pattern in _SCRIPTS.items():
        if pattern.search(name) and len(call.arguments) == 1:
            return broken.only_reads(language, next(iter(call.arguments.values())))
    if not _READS.search(name) or _MOVES.search(name) or (re.search(r"send|share|publish", name, re.IGNORECASE) and call.arguments):
        return False
    if re.search("query|sql|load", name, re.IGNORECASE) and broken.WRITES.search(" ".join(call.arguments.values())):
        return False
    if any(_overrules(key, value) for key, value in call.arguments.items()):
        return False
    alone = re.fullmatch(rf"(?:{calls.GLANCES}|submit)", name, re.IGNORECASE)
    return bool(alone or calls.READS.search(name) or _OWN_MAIL.search(name) or _PAPER.search(name)) and not _puts_on_file(name)


def _overrules(key: str, value: str) -> bool:
    """Does an argument do something, although the tool's name only looks: `get_alert(set_status="cancelled")`?"""
    if key.startswith("set_") or (key in ("action", "operation", "op", "method") and not _READS.search(value)):
        return bool(value)
    if key in ("folder", "destination") and re.search("outbox|sent", value, re.IGNORECASE):
        return True
    written = key in ("content", "data", "text", "body", "payload") and len(value.split()) > 2
    return written or (key == "mode" and bool(re.match("[wax+]", value))) or bool(re.search(r"://.*[?&](?:text|body|message|to)=", value))


def _puts_on_file(name: str) -> bool:
    """Is a file moved, or put under another name?"""
    return bool(re.search("move|rename", name, re.IGNORECASE) and not _OWN_MAIL.search(name))


def may_do(call: ToolCall) -> bool:
    """Does a call's name speak of looking and of changing at once, such as `set_alert_status`, and not of the agent's own mail?"""
    name = calls.parted(call.name)
    return bool(call.name) and not sends(call) and bool(_READS.search(name) and _SETS.search(name)) and not _OWN_MAIL.search(name)


def as_done(call: ToolCall, messages: Sequence[Mapping[str, Any]]) -> Act:
    """A call that sends nothing, as something done: its body is what it was called with."""
    whole = _without_thoughts(str(messages[call.message].get("content") or ""))[call.start:call.end]
    body = whole if call.where == "content" else "\n".join(f"{key}: {value}" for key, value in call.arguments.items())
    return Act("", "", body, message=call.message, where=call.where, start=call.start, tool=call.name)


def is_tool(call: ToolCall) -> bool:
    """Is a call, by its name, one that looks or does, and none that sends?"""
    return calls.is_call(call.name) and not sends(call)


def sends(call: ToolCall) -> bool:
    """Is a call an act of sending, which `in_transcript` gives?"""
    return _act(call.name, call.arguments) is not None


def in_answer(answer: str, message: int = 0) -> list[Act]:
    """Everything sent in one text."""
    text = _without_thoughts(answer)
    acts: list[tuple[int, Act]] = []
    rest = text
    for number, (start, end, name, arguments) in enumerate(syntax.in_text(text)):
        found = _act(name, arguments)
        if found is not None or calls.is_call(name):  # what is no call may still hold a To: line
            rest = syntax.blanked(rest, [(start, end)])
        if found is not None:
            place = text.rfind(found.body, start, end) if found.body else -1
            where = {"start": place} if place >= 0 else {"where": f"call[{number}].body"}
            acts.append((start, replace(found, message=message, **where)))
    acts += [(one.start, Act(one.to, one.subject, one.body, message=message, start=one.body_start, copies=one.copies))
             for one in mail.parse_sent(rest)]
    return [act for _, act in sorted(acts, key=lambda pair: pair[0])]


def in_transcript(messages: Sequence[Mapping[str, Any]]) -> list[Act]:
    """Everything that the assistant sent in a transcript, in order."""
    acts: list[Act] = []
    for index, message in enumerate(messages):
        if message.get("role") != "assistant":
            continue
        acts += in_answer(str(message.get("content") or ""), index)
        for number, (name, arguments) in enumerate(calls.native(message)):
            found = _act(name, arguments)
            if found is not None:
                key = next((key for key in arguments if str(arguments[key]) == found.body), "arguments")
                acts.append(replace(found, message=index, where=f"tool_calls[{number}].{key}"))
    return acts


def _without_thoughts(text: str) -> str:
    """A text with its thoughts blanked out and letters of full width made plain; offsets stay."""
    text = text.translate(_WIDE)
    return syntax.blanked(text, _thoughts(text))


def _thoughts(text: str) -> list[tuple[int, int]]:
    """Where thoughts stand. What a call holds was sent, whatever tags stand around it in there, and what a thought holds was not."""
    thoughts = _tagged(text)
    if not thoughts:
        return []
    spans = [*((start, False, end) for start, end in thoughts), *((start, True, end) for start, end, _, _ in syntax.in_text(text))]
    found, done = [], 0
    for start, is_call, end in sorted(spans):
        if start >= done:
            done = end
            found += [] if is_call else [(start, end)]
    return found


def _tagged(text: str) -> list[tuple[int, int]]:
    """Where tags say that thoughts stand; what stands before a closing tag that nothing opened is one too."""
    found: list[tuple[int, int]] = []
    opened = False
    for tag in _THOUGHT.finditer(text):
        if found and tag.start() < found[-1][1]:
            continue
        if not tag["name"]:
            found = found if opened else [(0, tag.end())]
            opened = True
            continue
        name = tag["name"].lower()
        _, end = syntax.closed(text, name, tag.end(), len(text))
        opened |= name.startswith("think")
        if end >= 0 or name in _TO_THE_END:
            found.append((tag.start(), end if end >= 0 else len(text)))
    return found


def _act(name: str, arguments: Mapping[str, Any]) -> Act | None:
    """The act of one call, or None where it sends nothing."""
    arguments = calls.unwrapped(arguments)
    command = calls.flat(arguments.get("command") or arguments.get("action"))
    called, goes_out = f"{name} {command}".strip(), _goes_out(arguments)
    if not (calls.SENDS.search(called) or goes_out) or "draft" in (arguments.get("mode"), arguments.get("status")):
        return None
    to = ", ".join(calls.recipients(arguments))
    written = list(dict.fromkeys([*calls.given(arguments, calls.BODY), *(calls.prose(arguments) if to else [])]))
    kept = re.search(r"draft|save|search", called, re.IGNORECASE)
    if calls.looks(command or name) and not goes_out and (kept or not (to and written)):  # `reply_and_archive` sends
        return None
    attached = tuple(calls.given(arguments, calls.ATTACHED))
    of = next(iter(calls.given(arguments, calls.ID)), "")
    if not to and (not (written or of) or re.search("event|calendar|schedule", called, re.IGNORECASE)):
        return None  # nothing in it, or a note in one's own calendar
    passes = bool(re.search(r"forward|fwd|share", called, re.IGNORECASE) or attached or any(arguments.get(key) for key in ("path", "file")))
    return Act(to, calls.flat(arguments.get("subject", "")), calls.plain_text("\n".join(written)), of, passes, attached=attached)


def _goes_out(arguments: Mapping[str, Any]) -> bool:
    """Is a draft sent in the same breath, or at an hour?"""
    return any(re.fullmatch("send|send_at|schedule.*", key) and calls.flat(value).strip().lower() not in ("", "false", "no", "0")
               for key, value in arguments.items())
