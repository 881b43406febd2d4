"""How do we keep a processor from laying out the same weights anew at every product?

oneDNN multiplies 16-bit weights in an order of its own, and torch's linear layer brings them into it at each call: in decoding,
where a few rows meet every weight, that is a third of the product's time. Here they are laid out once; the products are the same
to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from teachwhy import compute

LIMIT = 2**30
"""Bytes of weights up to which a second copy of them is kept: beyond, memory is dearer than time."""

_kept: WeakKeyDictionary[nn.Module, tuple[tuple[int, int], torch.Tensor]] = WeakKeyDictionary()


@contextmanager
def prepacked(model: Any) -> Iterator[None]:
    """While it is open, the linear layers of a model multiply weights that are laid out already.

    Nothing changes on a GPU, in other number formats, for models beyond `LIMIT`, or where a gradient is asked for. What is laid out
    is kept as long as the model, and made anew when a weight has changed.
    """
    layers = [layer for layer in model.modules() if _fits(layer)] if _pays(model) else []
    for layer in layers:
        layer.forward = _forward(layer, _packed(layer))  # hooks on the layer act as before
    try:
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _pays(model: Any) -> bool:
    weights = list(model.parameters())
    return (compute.has_bf16() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
            and all(weight.device.type == "cpu" for weight in weights)
            and sum(weight.numel() * weight.element_size() for weight in weights) <= LIMIT)


def _fits(layer: nn.Module) -> bool:
    """A plain linear layer of 16-bit weights that no other call has in hand."""
    return (type(layer) is nn.Linear and "forward" not in vars(layer) and layer.weight.dtype == torch.bfloat16
            and not layer.weight.is_inference())


def _packed(layer: nn.Module) -> torch.Tensor:
    weight: torch.Tensor = layer.weight
    state = (weight.data_ptr(), weight._version)
    if layer not in _kept or _kept[layer][0] != state:
        _kept[layer] = state, torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
    return _kept[layer][1]


ROWS = 32
"""Rows that the layout is made for; it serves any number."""


def _forward(layer: nn.Module, packed: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(inputs: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled() or inputs.dtype != torch.bfloat16:
            return nn.functional.linear(inputs, layer.weight, layer.bias)
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, packed, layer.bias, "none", [], "")
        return found

    return forward
