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
        targets = inputs["labels"][:, 1:]
        learned = targets != -100
        with self.accelerator.autocast():  # accelerate puts it around model.forward, which is not called here
            hidden = model.base_model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"],
                                      use_cache=False).last_hidden_state
            logits = model.get_output_embeddings()(hidden[:, :-1][learned])
        count = learned.sum() if num_items_in_batch is None else num_items_in_batch
        return F.cross_entropy(logits.float(), targets[learned], reduction="sum") / count
