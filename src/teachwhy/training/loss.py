"""How is one step's loss computed? Only where something is learned, and in lanes side by side.

The vocabulary costs a small model more than its layers. trl folds it in fp32 chunks, which a GPU likes and a CPU does not (measured on
2 cores: under a third of the speed); here the output layer meets the learned positions alone, under the same autocast.

A row is the texts of one batch, one after the other and without padding. On a processor its texts are shared out over lanes, each
with its own thread: two threads that each compute half of a small step are done sooner than two that share every product. The
lanes' gradients are added in their order, so that the step does not depend on how the threads ran. With several processes (and on
a GPU) trl's own step is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional as F
from trl import SFTTrainer

from teachwhy import compute
from teachwhy.attention import Packed, texts
from teachwhy.logits import logits_of

FEW_SHAPES = 64
"""Rows are filled up to a multiple of this many tokens: with few sizes of blocks the heap stays whole."""


class LearnedOnlyTrainer(SFTTrainer):
    """trl's SFT trainer with the loss of one process computed at learned positions only, and its steps in lanes."""

    lanes = 1

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None,
                      ) -> torch.Tensor:
        lanes = compute.lanes(self.lanes)
        rows = share_out(inputs, lanes) if lanes > 1 and self.accelerator.num_processes == 1 else []
        if len(rows) < 2:
            return super().training_step(model, inputs, num_items_in_batch)
        model.train()
        count = num_items_in_batch if num_items_in_batch is not None else (inputs["labels"] != -100).sum()
        learned = [parameter for parameter in model.parameters() if parameter.requires_grad]

        def lane(row: dict[str, Any]) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
            loss = self.compute_loss(model, row, num_items_in_batch=count)
            return loss.detach(), torch.autograd.grad(loss, learned, allow_unused=True)

        found = compute.side_by_side(lane, rows)
        for _, gradients in found:
            _add(learned, gradients)
        return torch.stack([loss for loss, _ in found]).sum()

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False,
                     num_items_in_batch: torch.Tensor | int | None = None) -> Any:
        if self.accelerator.num_processes > 1 or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        targets = inputs["labels"][0, 1:]
        learned = _padded((targets != -100).nonzero()[:, 0])
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # under peft's wrapper
        with self.accelerator.autocast():  # accelerate puts it around model.forward, which is not called here
            hidden = inner.base_model(input_ids=inputs["input_ids"], position_ids=inputs["position_ids"], use_cache=False,
                                      packed=inputs.get("packed") or texts(inputs["cu_seq_lens_q"])).last_hidden_state[0]
            logits = logits_of(inner, hidden[learned.clamp(min=0)])
        picked = torch.where(learned >= 0, targets[learned.clamp(min=0)], -100)
        count = (learned >= 0).sum() if num_items_in_batch is None else num_items_in_batch
        return F.cross_entropy(logits.float(), picked, reduction="sum") / count


def share_out(inputs: dict[str, Any], lanes: int) -> list[dict[str, Any]]:
    """The texts of one packed row as at most `lanes` rows of about the same length.

    Args:
        inputs: input_ids, labels and position_ids [1, T], and cu_seq_lens_q [N + 1].
    """
    bounds = inputs["cu_seq_lens_q"].tolist()
    pieces = sorted((slice(a, b) for a, b in pairwise(bounds) if b - a > 1), key=lambda s: s.start - s.stop)
    shares: list[list[slice]] = [[] for _ in range(min(lanes, len(pieces)))]
    for piece in pieces:  # the longest first, each to the lane that has least
        min(shares, key=lambda share: sum(s.stop - s.start for s in share)).append(piece)
    return [_row(inputs, share) for share in shares]


def _row(inputs: dict[str, Any], pieces: Sequence[slice]) -> dict[str, Any]:
    lengths = [piece.stop - piece.start for piece in pieces]
    fill = -sum(lengths) % FEW_SHAPES

    def joined(name: str, value: int) -> torch.Tensor:
        return F.pad(torch.cat([inputs[name][:, piece] for piece in pieces], 1), (0, fill), value=value)

    labels = joined("labels", -100)
    return {"input_ids": joined("input_ids", 0), "labels": labels, "position_ids": joined("position_ids", 0),
            "packed": Packed((*lengths, *([fill] if fill else [])))}


def _add(parameters: Sequence[torch.nn.Parameter], gradients: Sequence[torch.Tensor | None]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if parameter.grad is None:
            parameter.grad = gradient
        elif gradient is not None:
            parameter.grad += gradient


def _padded(positions: torch.Tensor, multiple: int = 128) -> torch.Tensor:
    """Positions, filled up with -1 to a multiple: logits are the largest blocks, and few sizes keep the heap whole."""
    return F.pad(positions, (0, -len(positions) % multiple), value=-1)
