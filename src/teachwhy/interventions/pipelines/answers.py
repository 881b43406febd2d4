"""What may a model's answer be? A typed value, or a reason why it is none: malformed, refused and truncated answers are data.

Short structured answers come as one JSON object, long texts between tags (a story inside JSON breaks at its first quotation mark),
and a chat answer as it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from teachwhy.llm import Reply


class Answer(BaseModel):
    """Base of what steps read. Subclass one of `Typed`, `Tagged`, `Plain`."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)


class Typed(Answer):
    """One JSON object; text around it is passed over."""


class Tagged(Answer):
    """One `<field>text</field>` for each field; all fields are texts, and those without a default are not empty."""


class Plain(Answer):
    """The whole answer."""

    text: str


class Unfit(Exception):
    """An answer that cannot be used. `again`: another attempt may do better; else the row is rejected at once."""

    def __init__(self, reason: str, again: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again


_Kind = TypeVar("_Kind", bound=Answer)
_REFUSAL = re.compile(
    r"\W{0,3}(?:i['’]?m (?:very |so |really )?sorry,? but|sorry, (?:but )?i can|as an ai\b[^.\n]{0,60}\bi (?:can|cannot|am)|"
    r"i(?: (?:can['’]?t|cannot|can not|won['’]?t|will not|must decline to|am (?:not able|unable) to)|['’]m (?:not able|unable) to) "
    r"(?:help|assist|create|write|provide|produce|generate|comply|fulfil|do that|continue|with))", re.IGNORECASE)


def read(kind: type[_Kind], reply: Reply) -> _Kind:
    """The typed value of an answer.

    Raises:
        Unfit: refused, truncated, empty or malformed; the reason begins with that word.
    """
    if reply.stop == "content_filter":
        raise Unfit("refused: the provider's filter stopped it")
    if reply.stop in ("max_tokens", "model_length"):
        raise Unfit("truncated: the answer reached the token limit")
    text = _without_thoughts(reply.text).strip()
    if not text:
        raise Unfit("empty: the answer has no text")
    if _REFUSAL.match(text[:200]):
        raise Unfit(f"refused: {text[:80]!r}")
    found: Any = None
    for value in _candidates(kind, text):
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            found = error.errors()[0]
    if found is None:
        raise Unfit("malformed: no JSON object" if issubclass(kind, Typed) else "malformed: a tag lacks or is empty")
    place = ".".join(str(step) for step in found["loc"]) or "the answer"
    raise Unfit(f"malformed: {place}: {found['msg'].lower()[:100]}")


def _without_thoughts(text: str) -> str:
    """The text without a leading `<think>` block, which some servers leave in."""
    stripped = text.lstrip()
    end = stripped.find("</think>")
    return stripped[end + len("</think>"):] if stripped.startswith("<think>") and end >= 0 else text


def _candidates(kind: type[Answer], text: str) -> Iterator[dict[str, Any]]:
    if issubclass(kind, Typed):
        yield from reversed(list(_objects(text)))
    elif issubclass(kind, Tagged):
        cut = {name: _between(text, name) for name in kind.model_fields}
        if all((cut[name] or "").strip() for name, field in kind.model_fields.items() if field.is_required()):
            yield {name: value for name, value in cut.items() if value is not None}
    else:
        yield {"text": text}


def _between(text: str, tag: str) -> str | None:
    start, end = text.find(f"<{tag}>"), text.rfind(f"</{tag}>")
    return text[start + len(tag) + 2: end] if 0 <= start < end else None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder(strict=False)
    at, tries = text.find("{"), 0
    while at >= 0 and tries < 200:  # a text of nothing but brackets must not take quadratic time
        tries += 1
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if isinstance(value, dict):
                yield value
        at = text.find("{", end)
