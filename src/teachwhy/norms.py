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
    more = dict[type, float | None]()
    try:
        for layer in model.modules() if model.device.type == "cuda" else ():
            kind = type(layer)
            if not kind.__name__.endswith("RMSNorm") or "forward" in vars(layer) or getattr(layer, "weight", None) is None:
                continue
            if kind not in more:
                more[kind] = _added(layer)
            if (added := more[kind]) is not None:
                layer.forward = _forward(layer, added)  # hooks on the layer act as before
                changed.append(layer)
        yield
    finally:
        for layer in changed:
            vars(layer).pop("forward", None)


def _forward(layer: Any, added: float) -> Callable[[torch.Tensor], torch.Tensor]:
    scale, smallest = layer.weight.detach(), getattr(layer, "variance_epsilon", None) or layer.eps
    if not added:
        return lambda inputs: F.rms_norm(inputs, scale.shape, scale, smallest)
    scale = scale.float() + added  # in 16 bits the sum would lose what was learned
    return lambda inputs: F.rms_norm(inputs.float(), scale.shape, scale, smallest).to(inputs.dtype)


@torch.inference_mode()
def _added(layer: Any) -> float | None:
    """What such a layer adds to its weight before it scales by it (Gemma's: 1); None where it computes something else."""
    weight = layer.weight
    if weight.dim() != 1 or not (hasattr(layer, "variance_epsilon") or hasattr(layer, "eps")):
        return None
    tried = torch.linspace(-2, 3, 4 * len(weight), dtype=weight.dtype, device=weight.device).view(4, -1)
    expected, rounding = layer.forward(tried), 4 * torch.finfo(weight.dtype).eps
    return next((added for added in (0.0, 1.0) if torch.allclose(_forward(layer, added)(tried), expected, rtol=rounding, atol=rounding)),
                None)
