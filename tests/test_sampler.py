"""The sampler against plain forward passes, on toy weights in fp32."""

import pytest
import torch
from scipy.stats import chisquare

from teachwhy import attention, fakes, sampler, weights


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    loaded, _ = weights.load(fakes.toy_model(tmp_path_factory.mktemp("toy") / "model"))
    return loaded.float()


def prompts(*lengths):
    return [tuple(torch.randint(3, 200, (n,), generator=torch.Generator().manual_seed(n)).tolist()) for n in lengths]


@torch.inference_mode()
def greedy(model, prompt, steps):
    """The oracle: transformers' own plain attention over the whole text at each step."""
    ids = list(prompt)
    model.set_attn_implementation("eager")
    for _ in range(steps):
        ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    model.set_attn_implementation(attention.NAME)
    return tuple(ids[len(prompt):])


@pytest.mark.parametrize("slots", [1, 2, 3, 8])
def test_greedy_equals_plain_forward_for_mixed_lengths_and_refilled_slots(model, slots):
    """Slots of different lengths are where a cache goes wrong: this failed when each prompt got a cache of its own."""
    asked = prompts(7, 31, 12, 5, 20)
    decoding = sampler.Decoding(temperature=0, max_new_tokens=9)
    found = sampler.sample(model, [sampler.Request(p, 1) for p in asked], decoding, frozenset(), slots)
    assert [c.tokens for c in found] == [greedy(model, p, 9) for p in asked]
    assert {c.reason for c in found} == {"length"}


def test_a_sample_depends_on_its_seed_and_not_on_its_batch(model):
    asked = [sampler.Request(p, seed) for seed, p in enumerate(prompts(9, 14, 6, 22))]
    decoding = sampler.Decoding(temperature=1.0, top_p=0.9, max_new_tokens=12)
    together = sampler.sample(model, asked, decoding, frozenset(), 4)
    alone = [sampler.sample(model, [one], decoding, frozenset(), 1)[0] for one in asked]
    assert together == alone
    other = sampler.sample(model, [sampler.Request(asked[0].prompt, 99)], decoding, frozenset(), 1)[0]
    assert other != together[0]


@pytest.mark.parametrize("lanes", [2, 3, 9])
def test_lanes_side_by_side_answer_in_the_order_asked(model, lanes):
    asked = prompts(7, 31, 12, 5, 20)
    decoding = sampler.Decoding(temperature=0, max_new_tokens=9)
    found = sampler.sample(model, [sampler.Request(p, 1) for p in asked], decoding, frozenset(), 4, lanes)
    assert [c.tokens for c in found] == [greedy(model, p, 9) for p in asked]


def test_when_one_lane_fails_the_others_end_and_the_threads_come_back(model):
    asked = [sampler.Request(p, 1) for p in prompts(6, 8, 10, 12)]
    threads, finished = torch.get_num_threads(), []

    def done(units):
        finished.append(units)
        raise RuntimeError("the first answer")

    with pytest.raises(RuntimeError, match="the first answer"):
        sampler.sample(model, asked, sampler.Decoding(temperature=0, max_new_tokens=9), frozenset(), 2, 2, done)
    assert len(finished) <= 2
    assert torch.get_num_threads() == threads


def test_stop_tokens_end_a_sample(model):
    [prompt] = prompts(10)
    first = greedy(model, prompt, 3)
    decoding = sampler.Decoding(temperature=0, max_new_tokens=9)
    [found] = sampler.sample(model, [sampler.Request(prompt, 1)], decoding, frozenset({first[2]}), 2)
    assert found.reason == "stop"
    assert found.tokens == first[: first.index(first[2])]


def test_nothing_asked_nothing_sampled(model):
    assert sampler.sample(model, [], sampler.Decoding(), frozenset()) == []


@pytest.mark.parametrize("top_p", [0.5, 0.95, 1.0])
def test_chosen_tokens_follow_the_nucleus(top_p):
    torch.manual_seed(0)
    logits = torch.randn(1, 600)
    uniforms = torch.linspace(0, 1, 4001)[:-1]
    tokens = sampler.choose(logits.expand(4000, -1), uniforms, sampler.Decoding(temperature=0.7, top_p=top_p))
    p = (logits[0] / 0.7).softmax(-1)
    order = p.argsort(descending=True)
    inside = order[(p[order].cumsum(0) - p[order]) < top_p]
    expected = p[inside] / p[inside].sum()
    observed = torch.bincount(tokens, minlength=600)[inside]
    assert int(observed.sum()) == 4000
    big = expected * 4000 >= 5
    rest = (~big).any()
    f_obs = torch.cat([observed[big].float(), observed[~big].sum()[None].float()] if rest else [observed[big].float()])
    f_exp = torch.cat([expected[big], expected[~big].sum()[None]] if rest else [expected[big]])
    assert chisquare(f_obs.numpy(), (f_exp / f_exp.sum() * f_obs.sum()).numpy()).pvalue > 0.01


@torch.inference_mode()
def test_scores_equal_separate_forward_passes(model):
    prefix, *rest = prompts(15, 4, 1, 9)
    found = sampler.score(model, prefix, rest)
    for continuation, score in zip(rest, found, strict=True):
        ids = torch.tensor([[*prefix, *continuation]])
        logp = model(input_ids=ids).logits[0].log_softmax(-1)
        plain = sum(float(logp[len(prefix) - 1 + i, token]) for i, token in enumerate(continuation))
        assert score == pytest.approx(plain, abs=1e-3)
