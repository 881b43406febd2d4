"""How do we keep a processor from laying out the same weights anew at every product?

A library of products multiplies weights in an order of its own, and torch's linear layer brings them into it at each call: in decoding,
where a few rows meet every weight, that is a third of the product's time. Here they are laid out once, in oneDNN's order. With 16-bit
weights, which torch gives to oneDNN as well, the products are the same to the bit; with fp32 they are the same up to rounding.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from teachwhy import compute

LIMIT = 2**30
"""Bytes of weights up to which a second copy of them is made: beyond, memory is dearer than time."""
ROWS = 32
"""Rows that the layout is made for; it serves any number."""


@contextmanager
def prepacked(model: Any) -> Iterator[None]:
    """While it is open, the linear layers of a model multiply weights as they were laid out when it was opened.

    Nothing changes on a GPU, in other number formats, with fp32 on other processors than Intel's and AMD's, for models beyond `LIMIT`, or
    where a gradient is asked for. For a model of 135M parameters opening takes a seventh of a second: what multiplies each weight only
    once or twice is faster without.
    """
    changed = list[nn.Module]()
    try:
        try:
            for layer in filter(_fits, model.modules() if _pays(model) else ()):
                packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), ROWS)
                changed.append(layer)
                layer.forward = _forward(layer, packed)  # hooks on the layer act as before
        except RuntimeError as error:
            if not compute.is_out_of_memory(error):
                raise
            _restore(changed)
        yield
    finally:
        _restore(changed)


def _restore(layers: list[nn.Module]) -> None:
    while layers:
        vars(layers.pop()).pop("forward", None)


def _pays(model: Any) -> bool:
    weights = list(model.parameters())
    return (hasattr(torch.ops.mkldnn, "_reorder_linear_weight") and all(weight.device.type == "cpu" for weight in weights)
            and sum(weight.numel() * weight.element_size() for weight in weights) <= LIMIT)


def _fits(layer: nn.Module) -> bool:
    """A plain linear layer that no other call has in hand, of weights that this processor multiplies faster so."""
    if type(layer) is not nn.Linear or "forward" in vars(layer):
        return False
    if layer.weight.dtype == torch.bfloat16:
        return compute.processor_has_bf16()
    return layer.weight.dtype == torch.float32 and platform.machine() in ("x86_64", "AMD64")  # elsewhere nobody has measured


def _forward(layer: nn.Module, packed: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(inputs: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled() or inputs.dtype != layer.weight.dtype:
            return nn.functional.linear(inputs, layer.weight, layer.bias)
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, packed, layer.bias, "none", [], "")
        return found

    return forward
