"""How does a GPU scale a layer's inputs to unit size (RMSNorm) in one kernel instead of seven?

transformers writes these layers out in small steps, of which each is a kernel; there are two in each block, and for the few rows of
decoding they take as long as the products. torch has one kernel for all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


@contextmanager
def fused(model: Any) -> Iterator[None]:
    """While it is open, a model's norms on a GPU are computed by torch's own kernel, where that gives the same up to rounding."""
    changed = list[nn.Module]()
    try:
        for layer in model.modules() if model.device.type == "cuda" else ():
            if type(layer).__name__.endswith("RMSNorm") and "forward" not in vars(layer) and (forward := _kernel(layer)):
                layer.forward = forward  # hooks on the layer act as before
                changed.append(layer)
        yield
    finally:
        for layer in changed:
            vars(layer).pop("forward", None)


@torch.inference_mode()
def _kernel(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """What the layer computes, in one kernel; None where that is something else. Some models (Gemma) scale by one more than the weight."""
    weight = getattr(layer, "weight", None)
    smallest = getattr(layer, "variance_epsilon", getattr(layer, "eps", None))
    if not isinstance(weight, torch.Tensor) or weight.dim() != 1 or not isinstance(smallest, float):
        return None
    tried = torch.linspace(-2, 3, 4 * len(weight), dtype=weight.dtype, device=weight.device).view(4, -1)
    expected = layer(tried)
    for scale in (weight.detach(), weight.detach() + 1):
        def forward(inputs: torch.Tensor, scale: torch.Tensor = scale) -> torch.Tensor:
            return F.rms_norm(inputs, scale.shape, scale, smallest)

        rounding = 4 * torch.finfo(weight.dtype).eps
        if torch.allclose(forward(tried), expected, rtol=rounding, atol=rounding):
            return forward
    return None
