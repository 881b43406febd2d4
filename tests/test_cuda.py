"""The engine on a GPU: recorded steps, prompts read together, packed rows. Skipped where there is none."""

import json

import pytest
import torch

from teachwhy import attention, decode, fakes, graphs, norms, sampler, scorer, training, weights
from teachwhy.attention import Packed
from toys import prompts, sharp

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return fakes.toy_model(tmp_path_factory.mktemp("toy") / "model")


@pytest.fixture(scope="module")
def model(folder):
    return sharp(folder)


@pytest.fixture
def replays(monkeypatch):
    """How often a step was recorded, and how often it was asked for."""
    counts, plain = {"recorded": 0, "eager": 0}, graphs.recorded

    def recorded(step, model):
        found = plain(step, model)
        counts["eager" if found is step else "recorded"] += 1
        return found

    monkeypatch.setattr(graphs, "recorded", recorded)
    return counts


@torch.inference_mode()
def plain_logp(model, prompt, tokens):
    model.set_attn_implementation("eager")
    logits = model(input_ids=torch.tensor([[*prompt, *tokens]], device="cuda"), use_cache=False).logits[0, len(prompt) - 1:]
    model.set_attn_implementation(attention.NAME)
    return logits.float().log_softmax(-1)


@pytest.mark.parametrize("slots", [2, 5, 64])
def test_greedy_is_a_plain_forward_pass_where_rows_are_refilled_and_blocks_grow(model, replays, slots):
    asked = [sampler.Request(p, 1) for p in prompts(7, 31, 120, 5, 20, 64) * 3]
    stop = frozenset({30, 95})
    found = sampler.sample(model, asked, sampler.Decoding(0.0, 1.0, 300, logprobs=True), stop, slots)
    for request, one in zip(asked, found, strict=True):
        logp = plain_logp(model, request.prompt, one.tokens)
        taken = torch.tensor([*one.tokens, *([one.end] if one.end is not None else [])], device="cuda")
        best, true = logp[: len(taken)].max(-1).values, logp[: len(taken)].gather(-1, taken[:, None])[:, 0]
        assert (best - true).max() < 1e-3
        assert torch.tensor(one.logprobs) == pytest.approx(true.cpu().numpy(), abs=2e-3)
    assert replays["recorded"] >= 1
    assert not replays["eager"]


def test_a_sample_does_not_depend_on_its_batch(model):
    asked = [sampler.Request(p, seed) for seed, p in enumerate(prompts(9, 14, 6, 22) * 8)]
    decoding = sampler.Decoding(1.0, 0.9, 40)
    together = sampler.sample(model, asked, decoding, frozenset(), 32)
    assert together == sampler.sample(model, asked, decoding, frozenset(), 32)
    alone = [sampler.sample(model, [one], decoding, frozenset(), 1)[0] for one in asked]
    assert sum(a == b for a, b in zip(together, alone, strict=True)) >= 30  # rounding may turn a draw


def test_continuations_in_16_bits_see_the_prefix_and_themselves():
    torch.manual_seed(3)
    lengths = (90, 5, 0, 64, 1)
    rows = [torch.randn(heads, sum(lengths), 64, device="cuda") for heads in (6, 2, 2)]
    exact = attention._row(*rows, Packed(lengths, shared=True), 0.125, None)
    half = attention._row(*(row.bfloat16() for row in rows), Packed(lengths, shared=True), 0.125, None)
    assert attention._whole(*(row.bfloat16() for row in rows), Packed(lengths, shared=True), 0.125, None) is not None
    assert (exact - half.float()).norm() < 0.02 * exact.norm()


def test_hooks_act_at_every_step(model, replays):
    calls = []
    hook = model.get_input_embeddings().register_forward_hook(lambda module, given, found: calls.append(found.shape))
    sampler.sample(model, [sampler.Request(p, 1) for p in prompts(9, 14)], sampler.Decoding(1.0, 1.0, 12), frozenset(), 2)
    hook.remove()
    assert len(calls) == 2 + 11, "each prompt by itself, and each step"
    assert replays == {"recorded": 0, "eager": 1}


@pytest.mark.parametrize("window", [None, 40])
@pytest.mark.parametrize("lengths", [(5, 130, 1, 64), (300,)])
def test_packed_rows_in_16_bits_and_their_gradients_are_those_of_fp32(lengths, window):
    torch.manual_seed(1)
    shapes = [(6, sum(lengths), 64), (2, sum(lengths), 64), (2, sum(lengths), 64)]
    given = [torch.randn(shape, device="cuda", requires_grad=True) for shape in shapes]
    upstream = torch.randn(shapes[0], device="cuda")
    results = []
    for rows in (given, [one.detach().bfloat16().requires_grad_() for one in given]):
        out = attention._row(*rows, Packed(lengths), 0.125, window)
        out.backward(upstream.to(out.dtype))
        results.append([out.detach().float(), *(one.grad.float() for one in rows)])
    assert attention._VARLEN is not None
    for exact, half in zip(*results, strict=True):
        assert (exact - half).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize("window", [None, 50])
@pytest.mark.parametrize(("prompts", "each", "groups", "share", "width"), [(2, 5, 3, 3, 64), (1, 33, 2, 1, 128), (7, 1, 1, 8, 256)])
def test_decoding_attention_is_softmax_over_prompt_and_own_tokens(prompts, each, groups, share, width, window):
    torch.manual_seed(2)
    rows, places, own = prompts * each, 192, 128
    given = {"query": (rows, 1, groups * share, width), "key": (rows, groups, own, width), "value": (rows, groups, own, width),
             "before": (prompts, groups, places, width), "known": (prompts, groups, places, width)}
    for kind, near in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
        made = {name: torch.randn(shape, device="cuda").to(kind) for name, shape in given.items()}
        filled, lengths = torch.randint(1, places + 1, (prompts,), device="cuda"), torch.randint(0, own, (rows,), device="cuda")
        query = made.pop("query").transpose(1, 2)
        found = decode.attend(query, *made.values(), filled, lengths, 0.1, window)
        for row in range(rows):
            prompt, sight = row // each, int(filled[row // each] + lengths[row]) + 1
            keys, values = (torch.cat([made[a][prompt, :, :filled[prompt]], made[b][row, :, :lengths[row] + 1]], 1).float()
                            for a, b in (("before", "key"), ("known", "value")))
            cut = slice(max(0, sight - (window or sight)), None)
            scores = query[row].float().view(groups, share, width) @ keys[:, cut].transpose(1, 2) * 0.1
            true = (scores.softmax(-1) @ values[:, cut]).view(groups * share, width)
            torch.testing.assert_close(found[row, 0].float(), true, atol=near, rtol=near)


def test_norms_are_one_kernel_and_the_same(folder):
    model, _ = weights.load(folder)
    layer = model.model.layers[0].input_layernorm
    with torch.no_grad():
        layer.weight.uniform_(0.5, 1.5)
    given = torch.randn(5, layer.weight.shape[0], device="cuda", dtype=layer.weight.dtype)
    plain = layer(given)
    with norms.fused(model):
        assert "forward" in vars(layer)
        torch.testing.assert_close(layer(given), plain, atol=0.02, rtol=0.02)
    assert "forward" not in vars(layer)


def test_scores_are_those_of_forward_passes(model):
    [prefix], rows = prompts(90), prompts(3, 17, 40, 1, 8)
    found = scorer.score(model, prefix, rows)
    true = [float(plain_logp(model, prefix, row)[:-1].gather(-1, torch.tensor(row, device="cuda")[:, None]).sum()) for row in rows]
    assert found == pytest.approx(true, abs=5e-3)


def test_where_memory_runs_out_fewer_decode_together(model, monkeypatch, caplog):
    asked = [sampler.Request(p, seed) for seed, p in enumerate(prompts(300) * 64)]
    decoding, forward = sampler.Decoding(1.0, 1.0, 40), type(model).forward

    def refusing(self, input_ids=None, **kwargs):
        if input_ids.shape[0] > 16:
            torch.empty(2**50, device="cuda")
        return forward(self, input_ids=input_ids, **kwargs)

    monkeypatch.setattr(type(model), "forward", refusing)
    found = sampler.sample(model, asked, decoding, frozenset(), 64)
    assert "16 samples at a time" in caplog.text
    assert [len(one.tokens) for one in found] == [40] * 64


# Of long texts the kernel's gradients are sums in no fixed order, and the same up to rounding.
@pytest.mark.parametrize("lora", [0, 4])
def test_training_of_short_texts_is_the_same_to_the_bit(folder, tmp_path, lora):
    rows = [{"input_ids": list(p), "labels": [-100] * 3 + list(p[3:])} for p in prompts(40, 25, 60, 33) * 6]
    recipe = training.Recipe(lr=1e-2, batch_tokens=120, lora=lora, passes=3)
    for name in "ab":
        training.train(folder, rows, recipe, 1, tmp_path / name, name, lanes=2)
    first, second = (json.loads((tmp_path / name / "history.json").read_text()) for name in "ab")
    assert first[-1]["loss"] < first[0]["loss"] - 0.1
    assert weights.fingerprint(tmp_path / "a" / "model-100") == weights.fingerprint(tmp_path / "b" / "model-100")
    assert first == second
