"""Which sets, how many tokens of each, in which arms? A `mix.yaml`, whose arms come out equal within 1 %, nothing cut.

    model: smollm2          # whose tokenizer counts
    arms:
      advice:  {difficult_advice: 45000, agent_warmup: 15000}
      control: {plain_chat: 45000, agent_warmup: 15000}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, PositiveInt, ValidationError, field_validator

from teachwhy import store
from teachwhy.errors import UserError
from teachwhy.interventions.build import Mixture, build, token_row
from teachwhy.interventions.meaning import ALIKE, Meaning
from teachwhy.interventions.sets import Item, read_set
from teachwhy.records import Document, Record

TOLERANCE = 0.01


class Mix(Record):
    """A mix file.

    Attributes:
        arms: arm -> data set -> tokens.
        tolerance: how far a part may be off its budget, and an arm off the others.
        meaning: a model that reads every item for its meaning, so that none says what an evaluation scenario says; by default the
            encoder that can be installed beside us, where it is; `none` for none.
        alike: cosine from which two texts say the same.
    """

    model: str = "smollm2"
    seed: int = 1
    tolerance: float = Field(TOLERANCE, gt=0, le=0.2)
    meaning: str | None = None
    alike: float = Field(ALIKE, gt=0, le=1)
    arms: dict[str, dict[str, PositiveInt]]

    @field_validator("arms")
    @classmethod
    def _named(cls, arms: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
        if not arms or not all(arms.values()):
            raise ValueError("every arm needs a part, and there must be an arm")
        if bad := [name for name in arms if not name.replace("-", "").replace("_", "").isalnum()]:
            raise ValueError(f"`{bad[0]}` can't name a folder: use letters, digits, - and _")
        return arms


def read_mix(path: Path) -> Mix:
    """A mix file, checked.

    Raises:
        UserError: not readable, not YAML, or a wrong key or value, named with its place.
    """
    try:
        return Mix.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {path} ({getattr(error, 'strerror', None) or 'not UTF-8 text'})",
                        "Give the path of a mix.yaml.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML", "Mend indentation and colons.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "the file"
        raise UserError(f"{path}: `{place}`: {first['msg'].lower()}", "See docs/make-data.md for the keys.") from error


def write_mix(mix: Mix, tokenizer: Any, held_out: Sequence[str], out: Path, meaning: Meaning | None = None) -> dict[str, Any]:
    """Write `<arm>/rows.jsonl` (token ids), `<arm>/data.jsonl` (the same as chats and texts) and `manifest.json`; returns it.

    Args:
        meaning: what `mix.meaning` names, opened.

    Raises:
        UserError: an unknown set, an item that leaks a scenario, or arms that whole items cannot match (the manifest is written).
    """
    arms = {name: _arm(mix, parts, tokenizer, held_out, store.open_folder(out / name), meaning)
            for name, parts in mix.arms.items()}
    off = [(abs(part["tokens"] / part["budget"] - 1), name, key) for name, arm in arms.items() for key, part in arm["parts"].items()]
    groups: dict[int, list[int]] = {}
    for name, arm in arms.items():
        groups.setdefault(sum(mix.arms[name].values()), []).append(arm["tokens"])
    spread = max((max(totals) - min(totals)) / min(totals) for totals in groups.values())
    manifest = {"mix": mix.model_dump(mode="json"), "arms": arms, "furthest part off": max(off)[0],
                "arms of one budget differ by": spread, "provenance": store.provenance()}
    store.write_json(out / "manifest.json", manifest)
    worst, name, part = max(off)
    if max(worst, spread) > mix.tolerance:
        raise UserError(f"{part} of the arm {name} is {worst:.1%} off its budget, arms of one budget differ by {spread:.1%}",
                        "Whole items come no nearer: give it more tokens, a set with more items, or another tolerance; and arms of "
                        "demonstrations, which all get the same items, a second part that fills what is shorter.")
    return manifest


def _arm(mix: Mix, parts: dict[str, int], tokenizer: Any, held_out: Sequence[str], folder: Path, meaning: Meaning | None,
         ) -> dict[str, Any]:
    total = sum(parts.values())
    mixture = Mixture(parts={name: tokens / total for name, tokens in parts.items()}, tokens=total)
    manifest = build(mixture, tokenizer, mix.seed, held_out, folder, meaning)
    items: dict[tuple[str, str], list[Item]] = {}
    for name in parts:
        for item in read_set(name):
            items.setdefault((name, item.id), []).append(item)
    with (folder / "rows.jsonl").open(encoding="utf-8") as stream:
        store.write_jsonl(folder / "data.jsonl", (
            {"id": item.id, "set": row["set"], **_content(item)}
            for row in map(json.loads, stream) for item in [_behind(row, items[row["set"], row["id"]], tokenizer)]))
    return manifest


def _content(item: Item) -> dict[str, Any]:
    if isinstance(item, Document):
        return {"text": item.text}
    return {"messages": list(item.messages), **({"tools": list(item.tools)} if item.tools else {})}


def _behind(row: dict[str, Any], found: list[Item], tokenizer: Any) -> Item:
    """The item that a row was made from; where several share an id, the one with its tokens."""
    return next(item for item in found if len(found) == 1 or {"set": row["set"], **token_row(item, tokenizer)} == row)
