"""What is to be taught? A statement of values in numbered sections, or a trait with its reasons: data can cite either by title."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from teachwhy.errors import UserError
from teachwhy.records import Record

_HEAD = re.compile(r"^##[ \t]+(?:(\d+)\.?[ \t]+)?([^\n]+)$", re.MULTILINE)
_COMMENT = re.compile(r"<!--([^\n]{0,300}?)-->")  # on one line and short, so that a thousand that never end cost no time
_TAG = re.compile(r"\s*tag:(.*)")


class Section(Record):
    """One section of the statement.

    Attributes:
        title: the heading without its number, as generators are told it.
        text: everything under the heading but comments.
        tag: what rows are tagged with: a comment `<!-- tag: honesty -->` under the heading; without one, the title.
    """

    title: str
    text: str
    tag: str


def read_sections(path: Path) -> tuple[Section, ...]:
    """The sections `## 1. Title` of a Markdown file; what stands before the first is left out.

    Raises:
        UserError: not readable, no such heading, an empty section, or two with one title.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read the statement of values {path} ({getattr(error, 'strerror', None) or 'not UTF-8 text'})",
                        "Give a Markdown file with --constitution.") from error
    heads = list(_HEAD.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    found = tuple(_section(head[2].strip(" #\t\r"), text[head.end():end]) for head, end in zip(heads, ends, strict=False))
    if not found:
        raise UserError(f"{path} has no section", "Write each as a heading `## 1. Title` with text below it.")
    titles = [section.title.lower() for section in found]
    for section in found:
        if not section.text:
            raise UserError(f"{path}: the section `{section.title}` is empty", "Write text below the heading, or take it out.")
        if titles.count(section.title.lower()) > 1:
            raise UserError(f"{path}: two sections are called `{section.title}`", "Give each its own title, since data cites it.")
    return found


def _section(title: str, below: str) -> Section:
    tags = [hit[1].strip() for comment in _COMMENT.findall(below) if (hit := _TAG.match(comment))]
    return Section(title=title, text=_COMMENT.sub("", below).strip(), tag=next(filter(None, tags), title))


def whole(sections: Sequence[Section]) -> str:
    """The statement as one text."""
    return "\n\n".join(f"{number}. {section.title}\n{section.text}" for number, section in enumerate(sections, 1))
