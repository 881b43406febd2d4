"""What exactly is asked? Each prompt is a text file with `=== system` and `=== user` parts and `$names` to be filled in.

Filling is a single pass, so that a `$` in a model's text stays a `$`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from string import Template

_PART = re.compile(r"^=== (system|user|assistant)\n", re.MULTILINE)


@cache
def text_of(name: str) -> str:
    """The text of a prompt file."""
    return resources.files(__package__).joinpath("prompts", f"{name}.txt").read_text(encoding="utf-8")


def digest(name: str) -> str:
    """Hash of a prompt file, as it stands in a row's provenance."""
    return hashlib.sha256(text_of(name).encode()).hexdigest()[:12]


def messages(name: str, values: Mapping[str, str]) -> list[dict[str, str]]:
    """The chat messages of a prompt with its names filled in."""
    pieces = _PART.split(text_of(name))
    return [{"role": role, "content": Template(text.strip()).substitute(values)}
            for role, text in zip(pieces[1::2], pieces[2::2], strict=True)]


def names(name: str) -> set[str]:
    """The `$names` that a prompt wants."""
    return set(Template(text_of(name)).get_identifiers())
