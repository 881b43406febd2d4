"""Attention over packed texts, prefixes and windows, against transformers' own plain attention; gradients too."""

import pytest
import torch
from transformers import LlamaConfig, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM
from transformers.models.llama import LlamaForCausalLM

from teachwhy import attention, sampler
from teachwhy.attention import BLOCK, Packed, texts
from teachwhy.errors import UserError

SIZES = {"vocab_size": 97, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 6,
         "num_key_value_heads": 2, "max_position_embeddings": 1024}


def tiny(kind):
    torch.manual_seed(3)
    made = {"llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)), "qwen": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
            "windowed": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=9))}[kind]()
    return made.eval()


def ids(n, seed=0):
    return torch.randint(3, 97, (n,), generator=torch.Generator().manual_seed(seed + n)).tolist()


def ours(model, *rows, shared=False, before=0):
    model.set_attn_implementation(attention.NAME)
    starts = [before if shared and number else 0 for number, _ in enumerate(rows)]
    positions = [start + place for row, start in zip(rows, starts, strict=True) for place in range(len(row))]
    joined = torch.tensor([[token for row in rows for token in row]])
    return model(input_ids=joined, position_ids=torch.tensor([positions]), use_cache=False,
                 packed=Packed(tuple(map(len, rows)), shared)).logits[0]


def plain(model, row):
    model.set_attn_implementation("eager")
    return model(input_ids=torch.tensor([row]), use_cache=False).logits[0]


@pytest.mark.parametrize("kind", ["llama", "qwen", "windowed"])
@pytest.mark.parametrize("lengths", [(1,), (7, 1, 30), (BLOCK, 5), (BLOCK + 1, 2 * BLOCK + 3, 12)])
@torch.inference_mode()
def test_packed_texts_do_not_see_each_other(kind, lengths):
    model, rows = tiny(kind), [ids(n) for n in lengths]
    expected = torch.cat([plain(model, row) for row in rows])
    torch.testing.assert_close(ours(model, *rows), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["llama", "windowed"])
@pytest.mark.parametrize("prefix", [1, 20, BLOCK + 9])
@torch.inference_mode()
def test_continuations_see_the_prefix_and_themselves(kind, prefix):
    model, before, rows = tiny(kind), ids(prefix, 5), [ids(n) for n in (4, 1, BLOCK + 2)]
    found = ours(model, before, *rows, shared=True, before=prefix)[prefix:]
    expected = torch.cat([plain(model, before + row)[prefix:] for row in rows])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_plain_attention():
    model, rows = tiny("llama"), [ids(BLOCK + 20), ids(15)]
    weights = [p for p in model.parameters() if p.requires_grad]
    found = torch.autograd.grad(ours(model, *rows).square().sum(), weights)
    expected = torch.autograd.grad(sum(plain(model, row).square().sum() for row in rows), weights)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["llama", "qwen", "windowed"])
@pytest.mark.parametrize(("lengths", "slots"), [((5, 31, 12), 2), ((5, 31, 31, 12, 31, 31, 5, 31), 5)])
@torch.inference_mode()
def test_decoding_in_slots_equals_plain_steps(kind, lengths, slots):
    """Where samples share a prompt their keys lie in two blocks, and a window may begin in either."""
    model, prompts = tiny(kind), [tuple(ids(n)) for n in lengths]
    model.set_attn_implementation(attention.NAME)
    found = sampler.sample(model, [sampler.Request(p, 1) for p in prompts], sampler.Decoding(temperature=0, max_new_tokens=14),
                           frozenset(), slots)
    for prompt, completion in zip(prompts, found, strict=True):
        row = list(prompt)
        for _ in range(14):
            row.append(int(plain(model, row)[-1].argmax()))
        assert list(completion.tokens) == row[len(prompt):]


def test_a_model_whose_attention_is_another_is_refused_and_not_sampled_wrongly():
    query = torch.randn(1, 2, 1, 4)
    for other, word in (({"softcap": 50.0}, "caps"), ({"s_aux": torch.zeros(2)}, "sinks")):
        with pytest.raises(UserError, match=word):
            attention.attend(None, query, query, query, None, **other)


def test_boundaries_as_trl_gives_them():
    assert texts(torch.tensor([0, 5, 9, 10, 11, 12])) == Packed((5, 4, 3))
    assert texts(torch.tensor([0, 5, 9])) == Packed((5, 4))
    assert texts(torch.tensor([0, 1])) == Packed((1,))


def test_many_continuations_in_parts_are_those_at_once(monkeypatch):
    generator = torch.Generator().manual_seed(5)
    lengths = (20, 7, 3, 11, 5, 9)
    total = sum(lengths)
    query, key, value = (torch.randn(heads, total, 8, generator=generator) for heads in (6, 2, 2))
    at_once = attention._row(query, key, value, Packed(lengths, shared=True), 0.35, None)
    monkeypatch.setattr(attention, "SCORES", 6 * 11 * (20 + 11) * 2)
    torch.testing.assert_close(attention._row(query, key, value, Packed(lengths, shared=True), 0.35, None), at_once)


def test_texts_without_tokens_are_passed_over():
    generator = torch.Generator().manual_seed(6)
    query, key, value = (torch.randn(heads, 8, 8, generator=generator) for heads in (6, 2, 2))
    with_empty = attention._row(query, key, value, Packed((5, 0, 3)), 0.35, None)
    torch.testing.assert_close(with_empty, attention._row(query, key, value, Packed((5, 3)), 0.35, None))
