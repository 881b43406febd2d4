"""What do we teach an arm? A token-matched mixture, written out with a manifest and checked against the scenarios.

Parts are shares of one token budget. Items are taken in a seeded order, whole, until a part's share is reached, so that
arms with the same budget agree within one item per part.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from teachwhy import chat, store
from teachwhy.errors import UserError
from teachwhy.interventions.leakage import check_leakage
from teachwhy.interventions.sets import Item, data_file, read_set
from teachwhy.records import Document


class Mixture(BaseModel):
    """What an arm is trained on.

    Attributes:
        parts: data set -> share of the budget; shares sum to 1.
        tokens: budget in tokens of the model's own tokenizer, prompts included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: dict[str, float]
    tokens: int


def build(mixture: Mixture, tokenizer: Any, seed: int, held_out: Sequence[str], folder: Path) -> dict[str, Any]:
    """Write `rows.jsonl` (token ids, labels, id, set) and `manifest.json` into `folder`; returns the manifest.

    Args:
        held_out: texts of all evaluation scenarios; a training item that shares them fails the build.

    Raises:
        UserError: an unknown or empty set, or an item that leaks an evaluation scenario.
    """
    rows: list[dict[str, Any]] = []
    parts: dict[str, Any] = {}
    for name, share in sorted(mixture.parts.items()):
        items = read_set(name)
        check_leakage(name, items, held_out)
        taken = list(_take(items, tokenizer, round(share * mixture.tokens), f"{name} {seed}"))
        rows += [{"set": name, **row} for row in taken]
        parts[name] = {"file": store.file_digest(data_file(name)), "items": len(taken),
                       "distinct": len({row["id"] for row in taken}),
                       "tokens": sum(len(row["input_ids"]) for row in taken),
                       "learned": sum(label != -100 for row in taken for label in row["labels"])}
    if not rows:
        raise UserError(f"A budget of {mixture.tokens} tokens holds not one item", "Give the arm more tokens.")
    random.Random(f"order {seed}").shuffle(rows)
    manifest = {"parts": parts, "tokens": sum(part["tokens"] for part in parts.values()),
                "learned": sum(part["learned"] for part in parts.values()), "budget": mixture.tokens}
    store.write_jsonl(folder / "rows.jsonl", rows)
    store.write_json(folder / "manifest.json", manifest)
    return manifest


def _take(items: list[Item], tokenizer: Any, budget: int, seed: str) -> Iterator[dict[str, Any]]:
    """Items in seeded order until the budget is met as nearly as whole items allow; a short set starts again."""
    if budget <= 0:
        return
    order = random.Random(seed)
    used = 0
    while True:
        for item in order.sample(items, len(items)):
            row = _tokens(item, tokenizer)
            size = len(row["input_ids"])
            if used + size / 2 > budget:  # stop where one more item would miss the budget by more than leaving it out
                return
            used += size
            yield row


def _tokens(item: Item, tokenizer: Any) -> dict[str, Any]:
    if isinstance(item, Document):
        ids = chat.document_tokens(tokenizer, item.text)
        labels = list(ids)
    else:
        ids, labels = chat.training_tokens(tokenizer, item.messages)
    if not any(label != -100 for label in labels):
        raise UserError(f"The item {item.id} teaches nothing: no token of it is learned",
                        "Give it a non-empty assistant turn or text.")
    return {"id": item.id, "input_ids": ids, "labels": labels}
