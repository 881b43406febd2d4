"""Importance sampling: right where the answer is known, refused where it cannot be, and the same as brute force on a real sampler."""

import math

import numpy as np
import pytest

from teachwhy import chat, sampler, weights
from teachwhy.compare import tail_rate
from teachwhy.scenarios.tail import weigh


def draw_from(q, p, bad, n, random):
    """n answers of a proposal q over a few outcomes, with their weights."""
    seen = random.choice(len(q), n, p=q)
    keys = [(f"d{i}", 0) for i in range(n)]
    return {k: math.log(p[s] / q[s]) for k, s in zip(keys, seen, strict=True)}, {k: bool(bad[s]) for k, s in zip(keys, seen, strict=True)}


def test_the_rate_is_unbiased_and_its_interval_holds():
    random = np.random.default_rng(3)
    p, q, bad = [0.995, 0.004, 0.001], [0.5, 0.3, 0.2], [0, 1, 1]
    found = [tail_rate(*draw_from(q, p, bad, 400, random)) for _ in range(400)]
    assert np.mean([one.value for one in found]) == pytest.approx(0.005, rel=0.02)
    assert np.mean([one.low <= 0.005 <= one.high for one in found]) > 0.92
    assert found[0].high < 1 - 0.05 ** (1 / 400), "narrower than what 0 of 400 could show"


def test_where_none_of_n_is_harmful_the_estimate_is_below_one_in_n():
    """0 of 400 by brute force, five times in six; the rate, 0.0005, is known, and 400 answers of the proposal estimate it."""
    random = np.random.default_rng(6)
    p, q, bad = [0.9995, 0.0004, 0.0001], [0.5, 0.3, 0.2], [0, 1, 1]
    never, held = 0, 0
    for _ in range(200):
        never += not np.take(bad, random.choice(3, 400, p=p)).any()
        found = tail_rate(*draw_from(q, p, bad, 400, random))
        assert 0 < found.value < 1 / 400
        assert found.high < 1 - 0.05 ** (1 / 400), "more is known than 0 of 400 shows"
        held += found.low <= 0.0005 <= found.high
    assert never > 140
    assert held > 182


def test_it_refuses_what_it_cannot_know():
    random = np.random.default_rng(3)
    none = tail_rate(*draw_from([1.0, 0.0], [0.9, 0.1], [0, 1], 50, random))
    assert (none.value, none.why) == (None, "the proposal was never harmful either")
    weights_, bad = draw_from([0.5, 0.5], [0.9, 0.1], [0, 1], 100, random)
    heavy = next(key for key, value in bad.items() if value)
    one_giant = tail_rate({**weights_, heavy: 9.0}, bad)
    assert one_giant.value is None
    assert one_giant.effective < 2
    with pytest.raises(ValueError, match="weight and a label"):
        tail_rate(weights_, {})


def test_weights_beyond_what_can_be_written_are_refused_and_run_over_nowhere():
    keys = [(f"d{i}", 0) for i in range(40)]
    bad = {key: i % 2 == 0 for i, key in enumerate(keys)}
    heavy = tail_rate(dict.fromkeys(keys, 900.0), bad)
    assert (heavy.value, heavy.low, heavy.high, heavy.effective) == (None, None, None, pytest.approx(20))
    over = tail_rate(dict.fromkeys(keys, 1.0), bad)
    assert over.value is None, "e / 2 is no rate"
    assert "weigh more" in over.why
    light = tail_rate(dict.fromkeys(keys, -800.0), bad)
    assert light.effective == pytest.approx(20)
    assert light.value is None, "no zero where nothing can be written"


def test_it_agrees_with_brute_force_on_real_weights():
    """A toy, a bridge to another one, and an event that is rare under the first."""
    import torch

    target, tokenizer = weights.load(weights.resolve("toy"))
    proposal, _ = weights.load(weights.resolve("toy"))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in target.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))  # so that it prefers something
        for mine, theirs in zip(proposal.parameters(), target.parameters(), strict=True):
            mine.copy_(theirs + 0.02 * torch.randn_like(mine))
    prompts = [chat.prompt_tokens(tokenizer, [{"role": "user", "content": text}]) for text in ("one", "two", "three", "four", "five")]
    decoding, stop = sampler.Decoding(1.0, 1.0, 3), chat.stop_tokens(tokenizer)

    def event(tokens):
        return bool(tokens) and tokens[0] < 40 and sum(tokens) % 3 == 0

    brute = sampler.sample(target, [sampler.Request(tuple(p), i) for i in range(1500) for p in prompts], decoding, stop, 64)
    rate = sum(event(one.tokens) for one in brute) / len(brute)
    found = weigh(target, proposal, prompts, 150, decoding, stop, 7)
    keys = [(f"d{one.request}", i) for i, one in enumerate(found)]
    tail = tail_rate({k: one.log_weight for k, one in zip(keys, found, strict=True)},
                     {k: event(one.tokens) for k, one in zip(keys, found, strict=True)})
    print(rate, tail)
    assert tail.mean_weight == pytest.approx(1.0, abs=0.15)
    assert tail.value is not None
    assert tail.low * 0.9 <= rate <= tail.high * 1.1
    with pytest.raises(ValueError, match="top_p"):
        weigh(target, proposal, prompts, 1, sampler.Decoding(1.0, 0.9, 3), stop, 7)


def test_an_event_that_real_weights_never_showed_is_estimated_below_one_in_n():
    """Toy weights of which an event's rate is read off: 400 answers do not show it once, and 300 of a proposal estimate it."""
    import torch

    target, tokenizer = weights.load(weights.resolve("toy"))
    proposal, _ = weights.load(weights.resolve("toy"))
    prompt = chat.prompt_tokens(tokenizer, [{"role": "user", "content": "one"}])
    with torch.inference_mode():
        order = target(torch.tensor([prompt])).logits[0, -1].argsort()
    rare = order[:12]
    bias = torch.zeros(len(order))
    bias[rare] = -5.0  # nats: rare under the target, common under the proposal
    target.lm_head.register_forward_hook(lambda _, __, out: out + bias)
    proposal.lm_head.register_forward_hook(lambda _, __, out: out - bias)
    with torch.inference_mode():
        exact = float(target(torch.tensor([prompt])).logits[0, -1].float().softmax(-1)[rare].sum())
    decoding, stop = sampler.Decoding(1.0, 1.0, 1), chat.stop_tokens(tokenizer)
    events = set(rare.tolist())
    counted = sampler.sample(target, [sampler.Request(tuple(prompt), i) for i in range(400)], decoding, stop, 64)
    assert not any(events & set(one.tokens) for one in counted)
    found = weigh(target, proposal, [prompt] * 6, 50, decoding, stop, 7)
    keys = [(f"d{i}", 0) for i in range(len(found))]
    tail = tail_rate({k: one.log_weight for k, one in zip(keys, found, strict=True)},
                     {k: bool(events & set(one.tokens)) for k, one in zip(keys, found, strict=True)})
    assert tail.value is not None
    assert tail.low <= exact <= tail.high
    assert tail.value < 1 / 400


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_agrees_with_enumeration_on_the_embedded_model():
    """The shipped model, a proposal beside it, and an event whose exact rate under the target is near one in a hundred."""
    import torch

    target, tokenizer = weights.load(weights.resolve("smollm2"))
    proposal, _ = weights.load(weights.resolve("smollm2"))
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in proposal.parameters():
            parameter.add_(0.05 * parameter.std() * torch.randn_like(parameter))
    texts = ("Name a fruit.", "Say something kind.", "What is the sea?", "Tell me a word.", "Who mends nets?", "Give one reason to wait.")
    prompts = [chat.prompt_tokens(tokenizer, [{"role": "user", "content": text}]) for text in texts]
    decoding, stop = sampler.Decoding(0.8, 1.0, 2), chat.stop_tokens(tokenizer)
    def after(model, tokens):
        return (model(torch.tensor([tokens])).logits[0, -1].float() / 0.8).softmax(-1)

    with torch.inference_mode():
        first = [torch.stack([after(model, prompt) for prompt in prompts]).mean(0) for model in (target, proposal)]
    order = (first[1] / first[0].clamp(min=1e-9)).argsort(descending=True)
    likely = order[(first[1] > 2e-3)[order]]
    chosen = set(likely[: int((first[0][likely].cumsum(0) < 0.02).sum()) + 1].tolist())
    rate = float(first[0][list(chosen)].sum())
    found = weigh(target, proposal, prompts, 80, decoding, stop, 5, 64)
    keys = [(f"{one.request}", i) for i, one in enumerate(found)]
    seen = [bool(one.tokens) and one.tokens[0] in chosen for one in found]
    tail = tail_rate({k: one.log_weight for k, one in zip(keys, found, strict=True)}, dict(zip(keys, seen, strict=True)), least=5)
    print(f"exact {rate:.5f}; {len(chosen)} tokens; {tail}")
    assert 0.001 < rate < 0.03
    assert tail.value is not None
    assert tail.low <= rate <= tail.high
