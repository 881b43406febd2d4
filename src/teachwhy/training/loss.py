"""How is the loss computed where the vocabulary costs more than the model? Only at the positions that are learned.

trl folds the vocabulary in fp32 chunks, which a GPU likes and a CPU does not (measured on 2 cores: under a third of the
speed). In one process we apply the output layer to the learned positions alone, under the same autocast; agent
transcripts learn about a quarter of their positions. With several processes trl's own loss is used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F
from trl import SFTTrainer


class LearnedOnlyTrainer(SFTTrainer):
    """trl's SFT trainer with the loss of one process computed at learned positions only."""

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False,
                     num_items_in_batch: torch.Tensor | int | None = None) -> Any:
        if self.accelerator.num_processes > 1 or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        targets = inputs["labels"][:, 1:].reshape(-1)
        learned = _padded((targets != -100).nonzero()[:, 0])
        with self.accelerator.autocast():  # accelerate puts it around model.forward, which is not called here
            hidden = model.base_model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"],
                                      use_cache=False).last_hidden_state[:, :-1]
            logits = model.get_output_embeddings()(hidden.reshape(-1, hidden.shape[-1])[learned.clamp(min=0)])
        picked = torch.where(learned >= 0, targets[learned.clamp(min=0)], -100)
        count = (learned >= 0).sum() if num_items_in_batch is None else num_items_in_batch
        return F.cross_entropy(logits.float(), picked, reduction="sum") / count


def _padded(positions: torch.Tensor, multiple: int = 128) -> torch.Tensor:
    """Positions, filled up with -1 to a multiple: logits are the largest blocks, and few sizes keep the heap whole."""
    return F.pad(positions, (0, -len(positions) % multiple), value=-1)
