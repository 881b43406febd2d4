"""From a model's last hidden states to its logits: the output layer, and what some models do to its answers.

Where a loss is computed at few positions only, the output layer is called by itself, and all that the model's own forward pass does
after it must be done too.
"""

from __future__ import annotations

from typing import Any

import torch


def logits_of(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Logits [..., V] of hidden states [..., H], as the model's own forward pass gives them (`trial` looks whether they are)."""
    config = model.config.get_text_config()
    logits: torch.Tensor = model.get_output_embeddings()(hidden)
    if divisor := getattr(config, "logits_scaling", None):  # Granite
        logits = logits / divisor
    if factor := getattr(config, "logit_scale", None):  # Cohere
        logits = logits * factor
    if cap := getattr(config, "final_logit_softcapping", None):  # Gemma 2 and 4
        logits = cap * torch.tanh(logits / cap)
    return logits
