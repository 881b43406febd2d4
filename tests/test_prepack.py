"""Weights that are laid out once: the same products, and a model that is left as it was."""

import copy
import platform

import pytest
import torch
from torch import nn

from teachwhy import compute
from teachwhy.prepack import prepacked

FORMATS = [torch.bfloat16] if compute.has_bf16() else []
FORMATS += [torch.float32] if platform.machine() in ("x86_64", "AMD64") else []
pytestmark = pytest.mark.skipif(not FORMATS, reason="nothing is laid out on this processor")


@pytest.fixture(params=FORMATS, ids=str)
def layers(request):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 32, bias=False)).to(request.param).requires_grad_(False)


def same(found, plain):
    """To the bit in 16 bits, where torch and we ask one library; up to rounding in fp32."""
    return torch.equal(found, plain) if plain.dtype == torch.bfloat16 else torch.allclose(found, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 64), (3, 5, 64), (40, 64)])
def test_the_products_are_the_same(layers, shape):
    inputs = torch.randn(shape).to(layers[0].weight.dtype)
    with torch.inference_mode():
        plain = layers(inputs)
        with prepacked(layers):
            assert "forward" in vars(layers[0])  # else this test would compare a thing with itself
            assert same(layers(inputs), plain)
        assert torch.equal(layers(inputs), plain)


def test_a_weight_that_has_changed_is_laid_out_anew(layers):
    """Changed behind the back of torch's own count of changes, as merging adapters does."""
    inputs = torch.randn(4, 64).to(layers[0].weight.dtype)
    with torch.inference_mode(), prepacked(layers):
        before = layers(inputs)
    layers[0].weight.data.mul_(2)
    with torch.inference_mode():
        plain = layers(inputs)
        with prepacked(layers):
            assert same(layers(inputs), plain)
    assert not torch.allclose(before, plain)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_an_end_in_the_middle_of_it_leaves_the_model_as_it_was(layers, monkeypatch, error):
    real, asked = torch.ops.mkldnn._reorder_linear_weight, []

    def second_fails(*given):
        asked.append(given)
        if len(asked) == 2:
            raise error
        return real(*given)

    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", second_fails)
    inputs = torch.randn(4, 64).to(layers[0].weight.dtype)
    with torch.inference_mode():
        plain = layers(inputs)
        try:
            with prepacked(layers):
                assert torch.equal(layers(inputs), plain)  # memory ran out: plain products
        except KeyboardInterrupt:
            assert error is KeyboardInterrupt
    assert len(asked) == 2
    assert all("forward" not in vars(layer) for layer in layers)


def test_nothing_of_it_stays_on_the_model(layers):
    with pytest.raises(ValueError, match="in the middle"), prepacked(layers):
        raise ValueError("in the middle")
    assert all("forward" not in vars(layer) for layer in layers)
    assert type(copy.deepcopy(layers)[0]) is nn.Linear


def test_gradients_and_hooks_are_as_before(layers):
    inputs = torch.randn(4, 64).to(layers[0].weight.dtype).requires_grad_()
    layers[0].register_forward_hook(lambda module, args, output: output + 1)
    layers(inputs).sum().backward()
    plain, inputs.grad = inputs.grad, None
    with prepacked(layers):
        layers(inputs).sum().backward()
    assert torch.equal(inputs.grad, plain)
    with torch.inference_mode():
        hooked = layers(inputs)
        with prepacked(layers):
            assert same(layers(inputs), hooked)


def test_other_number_formats_are_left_alone(layers):
    with prepacked(layers.double()):
        assert all("forward" not in vars(layer) for layer in layers)
