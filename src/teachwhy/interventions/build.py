"""What do we teach an arm? A token-matched mixture, written out with a manifest and checked against the scenarios.

Parts are shares of one token budget. Items are taken in a seeded order, whole, until a part's share is reached, and the last
ones are chosen to fit, so that arms with the same budget agree to a few tokens where the sets have enough items.

Sets that are one file in several dresses (demonstrations bare, after reasons, after neutral notes) give the same items to every
arm: as many as fit where they are longest. What they are shorter elsewhere is filled from the arm's other parts.
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from teachwhy import chat, conversations, store
from teachwhy.errors import UserError
from teachwhy.interventions.leakage import check_leakage
from teachwhy.interventions.meaning import Meaning
from teachwhy.interventions.sets import Item, data_file, read_set, views
from teachwhy.records import Document, Example


class Mixture(BaseModel):
    """What an arm is trained on.

    Attributes:
        parts: data set -> share of the budget; shares sum to 1.
        tokens: budget in tokens of the model's own tokenizer, prompts included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: dict[str, float]
    tokens: int


def build(mixture: Mixture, tokenizer: Any, seed: int, held_out: Sequence[str], folder: Path, meaning: Meaning | None = None,
          ) -> dict[str, Any]:
    """Write `rows.jsonl` (token ids, labels, id, set) and `manifest.json` into `folder`; returns the manifest.

    Args:
        held_out: texts of all evaluation scenarios; a training item that shares them fails the build.
        meaning: items that tell a scenario in other words fail it too.

    Raises:
        UserError: an unknown or empty set, an item that leaks an evaluation scenario, or one that calls tools where the model's template
            cannot show them.
    """
    sets = {name: read_set(name) for name in mixture.parts}
    taken, budgets = _drawn(mixture, sets, tokenizer, seed)
    parts: dict[str, Any] = {}
    for name, rows in taken.items():
        ids = {row["id"] for row in rows}
        check_leakage(name, [item for item in sets[name] if item.id in ids], held_out, meaning)
        parts[name] = {"file": store.file_digest(data_file(name)), "items": len(rows), "distinct": len(ids), "budget": budgets[name],
                       "tokens": sum(len(row["input_ids"]) for row in rows),
                       "learned": sum(label != -100 for row in rows for label in row["labels"])}
    rows = [{"set": name, **row} for name, rows in taken.items() for row in rows]
    if not rows:
        raise UserError(f"A budget of {mixture.tokens} tokens holds not one item of {' or '.join(mixture.parts)}",
                        "Give the arm more tokens.")
    random.Random(f"order {seed}").shuffle(rows)
    manifest = {"parts": parts, "tokens": sum(part["tokens"] for part in parts.values()),
                "learned": sum(part["learned"] for part in parts.values()), "budget": mixture.tokens}
    store.write_jsonl(folder / "rows.jsonl", rows)
    store.write_json(folder / "manifest.json", manifest)
    return manifest


def _drawn(mixture: Mixture, sets: Mapping[str, list[Item]], tokenizer: Any, seed: int,
           ) -> tuple[dict[str, list[dict[str, Any]]], dict[str, int]]:
    """The rows of every part, and the tokens that it was to have: sets with several views first, for what they leave is shared out."""
    taken: dict[str, list[dict[str, Any]]] = {}
    budgets = {name: round(share * mixture.tokens) for name, share in mixture.parts.items()}
    alike = sorted(name for name in mixture.parts if len(views(name)) > 1)
    over = 0
    for name in alike:
        taken[name], shorter = _of_all_views(name, tokenizer, budgets[name], seed)
        over += budgets[name] - sum(len(row["input_ids"]) for row in taken[name])
        budgets[name] -= shorter
    others = sorted(mixture.parts.keys() - set(alike))
    for name in others:
        budgets[name] += round(over * mixture.parts[name] / sum(mixture.parts[other] for other in others))
        taken[name] = list(_take(sets[name], tokenizer, budgets[name], f"{name} {seed}"))
    return {name: taken[name] for name in sorted(taken)}, budgets


def _of_all_views(name: str, tokenizer: Any, budget: int, seed: int) -> tuple[list[dict[str, Any]], int]:
    """Rows of the items that fit the budget in their longest view, the same items whichever view is asked for; and by how many
    tokens they are shorter in this one."""
    shown = {view: read_set(view) for view in views(name)}
    longest = [max(same, key=lambda item: len(token_row(item, tokenizer)["input_ids"])) for same in zip(*shown.values(), strict=True)]
    own = {item.id: item for item in shown[name]}
    most = list(_take(longest, tokenizer, budget, f"{views(name)[0]} {seed}"))
    rows = [token_row(own[row["id"]], tokenizer) for row in most]
    return rows, sum(len(long["input_ids"]) - len(row["input_ids"]) for long, row in zip(most, rows, strict=True))


def _take(items: list[Item], tokenizer: Any, budget: int, seed: str) -> Iterator[dict[str, Any]]:
    """Items in seeded order, whole, up to the budget; the last ones are chosen to meet it. A short set starts again."""
    if budget <= 0:
        return
    order = random.Random(seed)
    taken: list[dict[str, Any]] = []
    used = 0
    while True:
        turn = order.sample(items, len(items))
        for place, item in enumerate(turn):
            row = token_row(item, tokenizer)
            if used + len(row["input_ids"]) > budget:
                rest = [row, *(token_row(other, tokenizer) for other in turn[place + 1: place + LOOK_AHEAD])]
                yield from _end(taken, rest, budget - used)
                return
            used += len(row["input_ids"])
            taken.append(row)


LOOK_AHEAD = 400
"""Items among which the last ones of a part are chosen; more are not worth the time to count their tokens."""


def _end(taken: list[dict[str, Any]], rest: list[dict[str, Any]], gap: int) -> list[dict[str, Any]]:
    """The rows taken, with up to three at the end exchanged for at most two others, so that the least of the gap is left.

    Ties go to the fewest exchanges, then to the seeded order: the same budget always gives the same rows.
    """
    sizes = [len(row["input_ids"]) for row in rest]
    order = sorted(range(len(rest)), key=lambda i: (sizes[i], i))
    best: tuple[int, int, tuple[int, ...]] = (abs(gap), 0, ())
    for dropped in range(min(3, len(taken)) + 1):
        room = gap + sum(len(row["input_ids"]) for row in taken[len(taken) - dropped:])
        for chosen in _closest(order, sizes, room):
            best = min(best, (abs(room - sum(sizes[i] for i in chosen)), dropped, chosen))
    _, dropped, chosen = best
    return taken[: len(taken) - dropped] + [rest[i] for i in chosen]


def _closest(order: list[int], sizes: list[int], room: int) -> Iterator[tuple[int, ...]]:
    """The single item, and the pairs (one for each first item), whose sizes come closest to the room."""
    if not order:
        return
    yield (min(order, key=lambda i: (abs(room - sizes[i]), i)),)
    ascending = [sizes[i] for i in order]
    for place, first in enumerate(order):
        at = bisect.bisect_left(ascending, room - sizes[first])
        for other in (at - 1, at):
            if place < other < len(order):
                yield tuple(sorted((first, order[other])))


def token_row(item: Item, tokenizer: Any) -> dict[str, Any]:
    if isinstance(item, Document):
        ids = chat.document_tokens(tokenizer, item.text)
        labels = list(ids)
    else:
        ids, labels = chat.training_tokens(tokenizer, *_as_shown(item, tokenizer))
    if not any(label != -100 for label in labels):
        raise UserError(f"The item {item.id} teaches nothing: no token of it is learned",
                        "Give it a non-empty assistant turn or text.")
    return {"id": item.id, "input_ids": ids, "labels": labels}


def _as_shown(item: Example, tokenizer: Any) -> tuple[Sequence[dict[str, Any]], Sequence[dict[str, Any]]]:
    """(messages, tools) as this model's template can show them. Tools that are not called need no template: those that stand in the system
    prompt as text, as `diversify` writes them, are not shown twice, and where the template has no tools they are left out."""
    if not conversations.with_calls(item.messages):
        unseen = not item.tools or conversations.written_out(item.messages, item.tools) or not chat.shows_tools(tokenizer)
        return item.messages, () if unseen else item.tools
    check_template([item], tokenizer)
    return item.messages if chat.takes_several(tokenizer) else conversations.one_at_a_time(item.messages), item.tools


def check_template(items: Sequence[Item], tokenizer: Any) -> None:
    """Can this model be shown what these items call?

    Raises:
        UserError: an item calls tools, and the chat template drops them, or shows calls in a form that `toolcalls` cannot read.
    """
    calling = next((item for item in items if isinstance(item, Example) and conversations.with_calls(item.messages)), None)
    if calling is not None and not chat.shows_tools(tokenizer):
        raise UserError(f"The item {calling.id} calls tools, and this model's chat template cannot show them, or shows calls in a form "
                        "that cannot be read here", "Leave out the sets that call tools, or take a model whose template has them.")
