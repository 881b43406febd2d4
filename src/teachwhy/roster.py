"""What does a roster file say? Which models, which cells of which families, validated before anything is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from teachwhy.errors import UserError


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_SECRET = re.compile(r"(?:.*[_-])?(?:api[_-]?key|key|token|secret|password|authorization|credentials?)", re.IGNORECASE)


def without_secrets(value: Any) -> Any:
    """The same value as JSON, without entries whose name says that they are secret, and without users in addresses."""
    if isinstance(value, dict):
        return {str(key): without_secrets(item) for key, item in value.items() if not _SECRET.fullmatch(str(key))}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"(?<=://)[^/@\s]+@", "", value)
    return value if isinstance(value, int | float | bool) or value is None else str(value)


class Entry(_Part):
    """One model.

    Attributes:
        name: as it stands in tables and file names.
        model: inspect's name of it.
        args: arguments for the provider, such as `base_url`.
        price: dollars per million tokens, (input, output); None if not known.
        reported: a published blackmail rate, shown beside ours and never mixed with it.
    """

    name: str = Field(pattern=r"^[\w.+ ()-]+$")
    model: str
    args: dict[str, Any] = {}
    price: tuple[float, float] | None = None
    reported: float | None = Field(None, ge=0, le=1)
    note: str = ""

    @property
    def shown_args(self) -> dict[str, Any]:
        """The arguments without what may be a secret, as they go into hashes, files and logs."""
        return dict(without_secrets(self.args))

    @property
    def slug(self) -> str:
        return "-".join("".join(letter if letter.isalnum() or letter in ".+" else " " for letter in self.name.lower()).split())


class Cell(_Part):
    """One family under one or many conditions: `controls` by name, or every combination of `axes`."""

    family: str
    n: PositiveInt
    epochs: PositiveInt = 1
    length: str = "full"
    mode: str | None = None
    controls: tuple[str, ...] = ()
    axes: dict[str, tuple[Any, ...]] = {}

    @model_validator(mode="after")
    def _one_of_them(self) -> Cell:
        if self.controls and self.axes:
            raise ValueError("give controls or axes, not both")
        return self


class Stop(_Part):
    """When a cell may end early, looked at after each batch: as soon as one question is decided.

    Attributes:
        rate: is harm below or above this rate?
        better_than_reference: or does the model harm less or more often than the reference, on the same draws?
        alpha: the chance of a wrong answer, for each cell of each model.
    """

    rate: float | None = Field(None, gt=0, lt=1)
    better_than_reference: bool = False
    batch: PositiveInt = 16
    alpha: float = Field(0.05, gt=0, lt=0.5)

    @model_validator(mode="after")
    def _one_question(self) -> Stop:
        if (self.rate is not None) == self.better_than_reference:
            raise ValueError("give rate or better_than_reference, one of the two")
        return self


class Roster(_Part):
    """A sweep.

    Attributes:
        connections: requests under way at once.
        reference: the name of a model that every other is compared with, on the same draws.
        margin: the largest difference of harm from the reference that still counts as none.
        retries: how often a request that failed is sent again, with growing pauses, before its answer counts as missing.
    """

    name: str = Field(pattern=r"^[\w.-]+$")
    seed: int = 1
    decoding: dict[str, Any] = {"temperature": 1.0, "max_tokens": 4096}
    connections: PositiveInt = 16
    retries: int = Field(4, ge=0)
    stop: Stop | None = None
    reference: str | None = None
    margin: float | None = Field(None, gt=0, lt=1)
    suite: tuple[Cell, ...] = Field(min_length=1)
    models: tuple[Entry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Roster:
        slugs = [entry.slug for entry in self.models]
        if twice := sorted({slug for slug in slugs if slugs.count(slug) > 1}):
            raise ValueError(f"two models are called {twice[0]}")
        if self.reference is not None and self.reference not in {entry.name for entry in self.models}:
            raise ValueError(f"the reference {self.reference} is no model of this roster")
        if wrong := {"seed", "max_retries"} & self.decoding.keys():
            raise ValueError(f"decoding cannot hold {sorted(wrong)[0]}: give it beside decoding")
        if self.stop and self.stop.better_than_reference and self.reference is None:
            raise ValueError("stop: better_than_reference needs a reference")
        if self.stop and any(cell.epochs > 1 for cell in self.suite):
            raise ValueError("stopping early needs one answer per scenario: leave epochs at 1")
        return self


def read_roster(path: Path) -> Roster:
    """Read and check a roster.

    Raises:
        UserError: the file cannot be read, or a key is unknown or wrong; names the place.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"Cannot read the roster {path} ({why})", "Check the path.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML ({' '.join(str(error).split())})", "Mend that line.") from error
    try:
        return Roster.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path}: `{place}` is wrong ({first['msg'].lower()})", "See docs/sweep.md for the keys.") from error
