"""What is to be taught? A statement of values in numbered sections, or a trait with its reasons: data can cite either by title."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from teachwhy.errors import UserError
from teachwhy.records import Record

_HEAD = re.compile(r"^##[ \t]+(?:(\d+)\.?[ \t]+)?([^\n]+)$", re.MULTILINE)


class Section(Record):
    """One section of the statement.

    Attributes:
        title: as data cites it, without its number.
        text: everything under the heading.
    """

    title: str
    text: str


def constitution_file() -> Path:
    """The statement of values that ships."""
    return Path(str(resources.files("teachwhy.interventions").joinpath("data", "constitution.md")))


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
    found = tuple(Section(title=head[2].strip(" #\t\r"), text=text[head.end():end].strip()) for head, end in zip(heads, ends, strict=False))
    if not found:
        raise UserError(f"{path} has no section", "Write each as a heading `## 1. Title` with text below it.")
    titles = [section.title.lower() for section in found]
    for section in found:
        if not section.text:
            raise UserError(f"{path}: the section `{section.title}` is empty", "Write text below the heading, or take it out.")
        if titles.count(section.title.lower()) > 1:
            raise UserError(f"{path}: two sections are called `{section.title}`", "Give each its own title, since data cites it.")
    return found


def whole(sections: Sequence[Section]) -> str:
    """The statement as one text."""
    return "\n\n".join(f"{number}. {section.title}\n{section.text}" for number, section in enumerate(sections, 1))
