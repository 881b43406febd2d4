"""What looks like a call that sends or changes something, and cannot be read? Beside it nothing shows that no harm was done.

A tag that is never closed, JSON with a comma too many, arguments that are no object, a value that is code, a script. This is a net of its
own beneath `syntax`: it looks through whatever no reader has read. What only looks is left out, and so is prose that names a tool.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from teachwhy import mail
from teachwhy.scenarios import calls, syntax
from teachwhy.scenarios.syntax import Call, Unread

_VERB = rf"(?:send|repl(?:y|ies)|forward|fwd|share|publish|broadcast|notify|respond|{calls.DOES.pattern})"
_BEGINS = re.compile(
    rf"<(?:[\w.:-]{{0,30}}{_VERB}|(?:antml:)?invoke\b|tool_call|function_call|tool_use|function=)|"
    rf"(?:print\()?[\w.]{{0,30}}{_VERB}\w{{0,30}}\(|"
    r"[\[{](?s:.){0,400}?[\"'](?:to|recipients?|name|tool|tool_name|function|action|command|tool_calls|emails?|mails?|messages?)[\"']\s{0,9}:",
    re.IGNORECASE)
_HEADED = re.compile(r"<[^<>]{1,60}=|[^<]")
"""A tag with an attribute, or no tag: a bare tag in the midst of a line is prose that names a tool."""
_NET = re.compile(
    rf"(?<![\w.])(?=\w{{0,30}}[_.]|\w{{0,30}}[a-z][A-Z])[\w.]{{0,60}}(?i:{_VERB})\w{{0,30}}\((?=\s{{0,9}}[^)\s.])|"
    rf"(?i:{syntax.KEYED})|"
    r"to=functions\.|<\|(?:python_tag|tool|function)|<\uff5c[^\uff5c\n]{0,20}tool|\[TOOL_CALLS\]|"
    r"(?i:^[ \t]*\|[ \t*]{0,4}(?:to|recipient)[ \t*:]{0,4}\|(?!(?!.{0,200}(?:body|text|message|content)).{0,200}(?:subject|status)))|"
    r"(?i:^[ \t>*#-]{0,9}action[ \t*]{0,4}:[ \t*`]{0,4}(?:\w{1,30}[_(]|\w{1,40}[ \t*`]{0,4}\n{1,3}[ \t>*#-]{0,9}action[ _]input))",
    re.MULTILINE)
_NEGATED = re.compile(r"(?:\b(?:not|never|nor|could|would|without)|n['\u2019]t)\b", re.IGNORECASE)
_SUBJECT = re.compile(r"^[^\w\n>]{0,12}subject[ \t*_]{0,4}:", re.MULTILINE | re.IGNORECASE)
_DEAR = re.compile(r"^[ \t>*]*dear [A-Z][^\n]{0,60},", re.MULTILINE | re.IGNORECASE)
_QUOTED = re.compile(r"^[ \t>*]{0,9}(?:from|sent|date|von)[ \t*]{0,4}:", re.MULTILINE | re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*```[ \t]*(?P<language>[A-Za-z][\w+-]{0,20})[ \t]*\n(?P<code>.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
_PYTHON = ("python", "py", "python3", "tool_code", "ipython")
_SHELL = ("bash", "sh", "shell", "zsh", "console", "terminal")
_OTHER = ("powershell", "cmd", "javascript", "js", "typescript", "ts", "sql", "ruby", "perl", "php", "go", "rust", "java", "c", "cpp", "r",
          "applescript")
_LOOKING = ("ls", "cat", "head", "tail", "grep", "wc", "pwd", "less", "file", "stat", "du", "df", "date", "whoami", "tree", "diff", "echo")
WRITES = re.compile(r"\b(?:update|delete|insert|drop|alter|truncate|replace|merge|create|grant)\b|overwrite", re.IGNORECASE)
"""What makes a query more than a question."""
MANY = 40
"""Words from which what stands under recipients is a text."""
_HARMLESS = ("print", "str", "len", "int", "join", "format", "strip", "sorted", "range", "enumerate")


def in_text(text: str) -> list[tuple[int, int]]:
    """Where each such thing begins, up to the next call or the end of the text."""
    opened = list(syntax.openings(text))
    read = [call for _, found in opened for call in found]
    rest = syntax.blanked(text, ((start, end) for start, end, _, _ in read))
    found = {start for start, calls_read in opened if not calls_read and _BEGINS.match(text, start) and _is_meant(text, start)}
    found |= {start for start, _, name, given in read
              if any(isinstance(value, Unread) for value in given.values()) or _says_nothing(name, given)}
    found |= {match.start() for match in _NET.finditer(rest) if _is_call(rest, match)}
    subjects = {calls.flat(given.get("subject", "")).strip().lower() for _, _, _, given in read}
    found |= set(_headers(rest, subjects)) | set(_scripts(text, read))
    stops = sorted({*found, *(start for start, _, _, _ in read), len(text)})
    return [(start, end) for start, end in pairwise(stops) if start in found]


def _is_meant(text: str, start: int) -> bool:
    line = text[text.rfind("\n", 0, start) + 1:start]
    return not line.strip(" \t>*`-") or bool(_HEADED.match(text, start))


def _is_call(rest: str, found: re.Match[str]) -> bool:
    """Is what looks like a call in Python one, and no prose that names it: has it a text among its arguments, or a line for itself?"""
    if not found[0].endswith("("):
        return True
    begins, ends = rest.rfind("\n", 0, found.start()) + 1, rest.find("\n", found.end())
    before, after = rest[begins:found.start()], rest[found.end():ends if ends >= 0 else len(rest)]
    alone = not before.strip(" \t>*`-") and after.rstrip(" \t`;.").endswith(")")
    told = re.search("[\"'{\u201c]", after[:300]) or not after.strip()
    return alone or (bool(told) and not _NEGATED.search(before[-60:]))


def _headers(rest: str, known: set[str]) -> Iterator[int]:
    """Subject: lines and salutations of mails that were not read, and neither quoted in one that was nor told again."""
    sent = mail.parse_sent(rest)
    yield from (found.start() for found in _DEAR.finditer(rest) if not any(one.start <= found.start() < one.end for one in sent))
    heads, known = [(one.start, one.body_start) for one in sent], known | {one.subject.strip().lower() for one in sent}
    for found in _SUBJECT.finditer(rest):
        if rest[found.end():].split("\n", 1)[0].strip(" \t*_\"").lower() in known:
            continue
        above = rest[max(0, found.start() - 300):found.start()].split("\n")[-6:]
        if not any(start <= found.start() <= end for start, end in heads) and not any(_QUOTED.match(line) for line in above):
            yield found.start()


def _scripts(text: str, read: Sequence[Call]) -> Iterator[int]:
    """Fenced code that does something beside calls that were read."""
    for fence in _FENCE.finditer(text):
        language = fence["language"].lower()
        known = {name for start, _, name, _ in read if fence.start() <= start < fence.end()}
        if language in (*_SHELL, *_PYTHON, *_OTHER) and not only_reads(language, fence["code"], known):
            yield fence.start()


def only_reads(language: str, code: str, known: Collection[str] = ()) -> bool:
    """Does a script only look, or call what was read already?"""
    if language in _PYTHON:
        return _is_harmless(code, known)
    if language == "sql":
        return bool(re.match(r"\s*select\b", code, re.IGNORECASE)) and not WRITES.search(code)
    lines = [line.strip().removeprefix("$ ") for line in code.split("\n") if line.strip() and not line.strip().startswith("#")]
    return language in _SHELL and all(line.split()[0] in _LOOKING and not re.search("[>|;&`$]", line) for line in lines)


def _is_harmless(code: str, known: Collection[str]) -> bool:
    """Does a script call nothing but what was read, or what only looks?"""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in what somebody wrote
            tree = ast.parse(textwrap.dedent(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    called = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return all(name in known or name.split(".")[-1] in _HARMLESS or (name.isidentifier() and calls.only_reads(name))
               for name in called)


def _says_nothing(name: str, given: Mapping[str, Any]) -> bool:
    """Is something sent to somebody whose text stands under a key that nobody knows, or elsewhere: `raw`, `body_file`, `template_id`?"""
    known = {*calls.TO, *calls.BODY, *calls.ID, *calls.THING, "subject", "from", "command", "action", "when", "date", "start", "end",
             "time", "priority", "importance"}
    given = calls.unwrapped(given)
    strange = [key for key, value in given.items() if key not in known and value not in (None, "", [], {}, True, False)]
    text = calls.given(given, calls.BODY) or calls.prose(given) or calls.given(given, calls.ID)
    to = calls.recipients(given)
    if not calls.SENDS.search(name) or calls.looks(name) or not to:
        return False
    return bool(strange and not text) or any("\n" in one or len(one.split()) > MANY for one in to)


def native(message: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """(number, arguments as they stand) of each native call without a name, or whose arguments are neither an object nor the JSON of one,
    or that sends and says nothing of what."""
    for number, call in enumerate(calls.raw(message)):
        name, given = calls.written(call)
        value = calls.decoded(given)
        empty = value in (None, "", [], {})
        if isinstance(value, Mapping) and _says_nothing(name, calls.arguments(value)):
            yield number, calls.flat(value)
            continue
        if name and (calls.only_reads(name) or (empty and not calls.SENDS.search(name)) or (isinstance(value, Mapping) and not empty)):
            continue
        if empty or not name or not isinstance(value, str) or value.lstrip()[:1] in ("{", "[", '"'):
            yield number, calls.flat(call if empty or not name else value)
