"""The sampler against plain forward passes, on toy weights in fp32."""

import gc
import random
import sys
from types import SimpleNamespace

import pytest
import torch
from scipy.stats import chisquare

from teachwhy import attention, decode, fakes, sampler, scorer, weights
from teachwhy.cache import SlotCache
from teachwhy.errors import UserError
from toys import prompts, sharp


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return sharp(fakes.toy_model(tmp_path_factory.mktemp("toy") / "model"))


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


def plan(seed):
    """A random study: some prompts asked once, some many times, of any length, in any order."""
    order = random.Random(seed)
    asked = [p for p in prompts(*order.sample(range(1, 90), order.randint(1, 5))) for _ in range(order.choice([1, 1, 2, 7]))]
    order.shuffle(asked)
    return [sampler.Request(p, seed) for seed, p in enumerate(asked)], order.randint(1, 9), order.randint(1, 3), order.randint(1, 70)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_asked_how_often_and_in_how_many_slots_greedy_equals_plain_forward(model, seed):
    asked, slots, lanes, steps = plan(seed)
    steps = min(steps, 12) if seed % 4 else steps
    found = sampler.sample(model, asked, sampler.Decoding(temperature=0, max_new_tokens=steps), frozenset(), slots, lanes)
    expected = {p: greedy(model, p, steps) for p in {r.prompt for r in asked}}
    assert [c.tokens for c in found] == [expected[r.prompt] for r in asked]


@pytest.mark.parametrize("seed", range(6))
def test_samples_that_share_a_prompt_and_end_early_are_what_they_are_alone(model, seed):
    asked, slots, lanes, _ = plan(seed + 100)
    decoding = sampler.Decoding(temperature=1.2, top_p=0.98, max_new_tokens=15)
    stop = frozenset(range(0, 200, 9))  # so that rows end at different times and are filled again
    together = sampler.sample(model, asked, decoding, stop, slots, lanes)
    assert together == [sampler.sample(model, [one], decoding, stop, 1)[0] for one in asked]
    assert all((c.reason == "stop") == (c.end in stop) for c in together)


@torch.inference_mode()
def test_logprobs_are_those_of_a_forward_pass_and_include_the_stop_token(model):
    asked = [sampler.Request(p, seed) for seed in range(3) for p in prompts(9, 40)]
    stop = frozenset(range(100, 200))
    found = sampler.sample(model, asked, sampler.Decoding(0.7, 0.9, 20, logprobs=True), stop, 4)
    for request, completion in zip(asked, found, strict=True):
        ids = [*request.prompt, *completion.tokens]
        logp = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        plain = [float(logp[len(request.prompt) - 1 + i, token]) for i, token in enumerate(completion.tokens)]
        assert completion.logprobs[: len(plain)] == pytest.approx(plain, abs=1e-3)
        assert len(completion.logprobs) == len(plain) + (completion.reason == "stop")


def kept_logits(monkeypatch):
    """{(request, step): logits [V]} from which tokens will be chosen."""
    kept, plain = {}, sampler._Wave._choose

    def choose(wave, logits, rows):
        kept.update({(row.index, len(row.tokens)): line.clone() for line, row in zip(logits, rows, strict=True) if row is not None})
        return plain(wave, logits, rows)

    monkeypatch.setattr(sampler._Wave, "_choose", choose)
    return kept


@pytest.mark.parametrize(("slots", "lanes", "lengths"), [(6, 1, (5, 70, 131)), (9, 2, (64, 3, 40, 65)), (4, 1, (17,))])
@torch.inference_mode()
def test_logits_of_long_samples_are_those_of_a_forward_pass_at_every_step(model, monkeypatch, slots, lanes, lengths):
    """Past 64 and 128 new tokens, where blocks grow, with rows that end and are filled again meanwhile."""
    asked = [sampler.Request(p, seed) for seed, p in enumerate(prompts(*lengths) * (12 // len(lengths)))]
    stop, kept = frozenset({30, 95, 160, 190}), kept_logits(monkeypatch)
    found = sampler.sample(model, asked, sampler.Decoding(1.0, 1.0, 140, logprobs=True), stop, slots, lanes)
    monkeypatch.undo()
    assert max(len(c.tokens) for c in found) == 140
    assert sum(len(c.tokens) < 128 for c in found) >= 3
    model.set_attn_implementation("eager")
    for number, (request, completion) in enumerate(zip(asked, found, strict=True)):
        ids = torch.tensor([[*request.prompt, *completion.tokens]])
        plain = model(input_ids=ids, use_cache=False).logits[0, len(request.prompt) - 1:][: len(completion.logprobs)]
        ours = torch.stack([kept[number, step] for step in range(len(completion.logprobs))])
        torch.testing.assert_close(ours, plain, rtol=0, atol=1e-3)
        chances = plain.log_softmax(-1).gather(-1, torch.tensor(completion.tokens)[:, None])[:, 0]
        assert completion.logprobs[: len(chances)] == pytest.approx(chances.tolist(), abs=1e-3)
    model.set_attn_implementation(attention.NAME)


@torch.inference_mode()
def test_samples_of_one_prompt_follow_the_exact_distribution(model):
    """The second token, whose keys lie in the samples' own block, over all first tokens."""
    [prompt] = prompts(12)
    asked = [sampler.Request(prompt, seed) for seed in range(4000)]
    found = sampler.sample(model, asked, sampler.Decoding(temperature=1.3, top_p=1.0, max_new_tokens=2), frozenset(), 256)
    first = (model(input_ids=torch.tensor([prompt])).logits[0, -1] / 1.3).softmax(-1)
    after = torch.tensor([[*prompt, token] for token in range(len(first))])
    second = (model(input_ids=after).logits[:, -1] / 1.3).softmax(-1)
    for place, exact in ((0, first), (1, first @ second)):
        observed = torch.bincount(torch.tensor([c.tokens[place] for c in found]), minlength=len(exact))
        big = exact * 4000 >= 5
        groups = [big, *([~big] if (~big).any() else [])]
        f_obs, f_exp = (torch.cat([values[big], *(values[rest].sum()[None] for rest in groups[1:])]).double()
                        for values in (observed, exact))
        assert chisquare(f_obs.numpy(), (f_exp / f_exp.sum() * 4000).numpy()).pvalue > 0.001


def test_a_hook_on_a_layer_steers_what_is_sampled(model):
    [prompt] = prompts(10)
    push = torch.randn(model.config.hidden_size, generator=torch.Generator().manual_seed(2)) * 3
    plain = greedy(model, prompt, 8)
    hook = model.model.layers[0].register_forward_hook(lambda module, given, out: out + push)
    try:
        found = sampler.sample(model, [sampler.Request(prompt, s) for s in range(3)], sampler.Decoding(temperature=0, max_new_tokens=8),
                               frozenset(), 2)
        steered = greedy(model, prompt, 8)
    finally:
        hook.remove()
    assert {c.tokens for c in found} == {steered}
    assert steered != plain


def test_only_the_top_k_are_drawn():
    torch.manual_seed(0)
    logits = torch.randn(1, 600)
    tokens = sampler.choose(logits.expand(4000, -1), torch.linspace(0, 1, 4001)[:-1], sampler.Decoding(0.7, 1.0, top_k=5))
    best = (logits[0] / 0.7).topk(5)
    observed = torch.stack([(tokens == token).sum() for token in best.indices]).float()
    assert int(observed.sum()) == 4000
    assert chisquare(observed.double().numpy(), (best.values.double().softmax(-1) * 4000).numpy()).pvalue > 0.01


class Letters:
    """A tokenizer of one letter per token."""

    def decode(self, tokens):
        return "".join(chr(97 + token % 26) for token in tokens)


def test_a_stop_string_ends_a_sample_where_it_is_complete(model):
    [prompt] = prompts(10)
    text = Letters().decode(greedy(model, prompt, 12))
    decoding = sampler.Decoding(temperature=0, max_new_tokens=12, stop=(text[3:6],))
    [found] = sampler.sample(model, [sampler.Request(prompt, 1)], decoding, frozenset(), 2, tokenizer=Letters())
    assert found.reason == "stop"
    assert Letters().decode(found.tokens) == text[: text.index(text[3:6]) + 3]
    assert sampler.Decoding(stop=("", "x")).stop == ("x",)
    with pytest.raises(UserError, match="tokenizer"):
        sampler.sample(model, [sampler.Request(prompt, 1)], decoding, frozenset(), 2)


class Small:
    """A model on a machine whose memory holds two samples, or a packed row of so many tokens."""

    def __init__(self, model, most=2, tokens=10**6):
        self.model, self.most, self.tokens, self.device, self.sizes, self.rows = model, most, tokens, model.device, [], []

    def __call__(self, input_ids, **given):
        self.sizes.append(len(input_ids))
        self.rows.append(input_ids.shape[1])
        if len(input_ids) > self.most or input_ids.shape[1] > self.tokens:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return self.model(input_ids=input_ids, **given)

    def __getattr__(self, name):
        return getattr(self.model, name)


@pytest.fixture
def said(monkeypatch):
    """What a person is told."""
    lines = []
    monkeypatch.setattr(sampler.progress, "warn", lines.append)
    return lines


def test_where_memory_runs_out_fewer_decode_together_and_nothing_changes(model, said):
    asked = [sampler.Request(p, seed) for seed, p in enumerate(prompts(7, 31, 12, 5, 20))]
    decoding = sampler.Decoding(temperature=1, max_new_tokens=6)
    small = Small(model)
    assert sampler.sample(small, asked, decoding, frozenset(), 5) == sampler.sample(model, asked, decoding, frozenset(), 5)
    assert max(small.sizes) == 5
    assert small.sizes[-1] <= 2
    assert said == ["Memory ran out while sampling; 2 samples at a time decoded together from there on."]
    with pytest.raises(UserError, match="Memory does not hold one sample"):
        sampler.sample(Small(model, 0), asked, decoding, frozenset(), 5)


def test_where_memory_runs_out_fewer_are_scored_together_and_nothing_changes(model, said):
    prefix, *rest = prompts(30, 20, 21, 22, 23, 24, 5, 6)
    expected = scorer.score(model, prefix, rest, 0.8)
    assert said == []
    small = Small(model, tokens=80)
    assert scorer.score(small, prefix, rest, 0.8) == pytest.approx(expected, abs=1e-4)
    assert small.rows == [151, 93, 50, 51, 52, 53, 54, 35, 36]
    assert said == [f"Memory ran out while scoring; {n} continuations at a time were scored together from there on." for n in (3, 1)]
    with pytest.raises(UserError, match="Memory does not hold one scored text"):
        scorer.score(Small(model, tokens=40), prefix, rest)


def test_another_error_of_a_model_is_not_taken_for_memory(model, said):
    prefix, *rest = prompts(30, 20, 21)

    def broken(**given):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    broken.device, broken.config, broken.dtype = model.device, model.config, model.dtype
    with pytest.raises(RuntimeError, match="mat1"):
        scorer.score(broken, prefix, rest)
    assert said == []


def test_prompt_and_sample_fill_the_window_and_no_more(model, monkeypatch):
    monkeypatch.setattr(model.config, "max_position_embeddings", 30)
    requests = [sampler.Request(prompt, 1) for prompt in prompts(12, 29)]
    found = sampler.sample(model, requests, sampler.Decoding(max_new_tokens=40), frozenset())
    assert [(len(one.tokens), one.reason) for one in found] == [(18, "length"), (1, "length")]
    with pytest.raises(UserError, match="30 tokens, and this model reads 30"):
        sampler.sample(model, [sampler.Request(prompts(30)[0], 1)], sampler.Decoding(), frozenset())


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}


@pytest.mark.parametrize(("settings", "expected"), [
    ({"max_position_embeddings": 512}, 512), ({"max_position_embeddings": None}, sys.maxsize),
    ({"max_position_embeddings": 512, "rope_parameters": YARN}, 2048), ({"max_position_embeddings": 2048, "rope_parameters": YARN}, 2048),
    ({"max_position_embeddings": 512, "rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, 1024),
    ({"max_position_embeddings": 131072, "rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, 131072)])
def test_the_window_of_stretched_positions(settings, expected):
    config = SimpleNamespace(**settings)
    config.get_text_config = lambda: config
    assert sampler.window(SimpleNamespace(config=config)) == expected


@pytest.mark.parametrize("slots", [2, 5])
def test_prompts_that_are_read_in_one_row_are_sampled_as_those_read_alone(model, monkeypatch, slots):
    """As on a GPU: prompts read ahead wait until a place is free for them."""
    asked = [sampler.Request(p, seed) for seed, p in enumerate(prompts(9, 33, 6, 22, 15, 40, 8))]
    decoding, stop, begin = sampler.Decoding(1.0, 0.9, 12, logprobs=True), frozenset(range(3, 12)), sampler._Wave.__init__
    alone = sampler.sample(model, asked, decoding, stop, slots)

    def together(wave, *arguments):
        begin(wave, *arguments)
        wave.together = 80

    monkeypatch.setattr(sampler._Wave, "__init__", together)
    rows = []
    hook = model.get_input_embeddings().register_forward_hook(lambda module, given, found: rows.append(found.shape[:2]))
    found = sampler.sample(model, asked, decoding, stop, slots)
    hook.remove()
    assert [(one.tokens, one.reason, one.end) for one in found] == [(one.tokens, one.reason, one.end) for one in alone]
    for one, other in zip(found, alone, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    lengths = [len(request.prompt) for request in asked]
    assert max(width for _, width in rows if width > 1) > max(lengths), "several in a row"
    assert len({one.reason for one in found}) == 2


def test_nothing_of_a_call_is_kept(model):
    gc.collect()
    gc.disable()
    try:
        sampler.sample(model, [sampler.Request(p, 1) for p in prompts(9, 14)], sampler.Decoding(1.0, 1.0, 3), frozenset(), 2)
        assert not [thing for thing in gc.get_objects() if type(thing) is SlotCache]
    finally:
        gc.enable()


def test_where_triton_cannot_make_a_kernel_a_line_says_so(monkeypatch, said):
    monkeypatch.setattr(decode, "attend", lambda *_: (_ for _ in ()).throw(RuntimeError("Failed to find C compiler.")))
    assert not decode._works.__wrapped__(torch.device("cpu"))
    assert "Failed to find C compiler" in said[0]


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
    found = scorer.score(model, prefix, rest)
    for continuation, score in zip(rest, found, strict=True):
        ids = torch.tensor([[*prefix, *continuation]])
        logp = model(input_ids=ids).logits[0].log_softmax(-1)
        plain = sum(float(logp[len(prefix) - 1 + i, token]) for i, token in enumerate(continuation))
        assert score == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize("seed", range(10))
@torch.inference_mode()
def test_scores_of_whatever_shape_are_those_of_forward_passes(model, seed):
    """Continuations without tokens, of one, and longer than two blocks of attention; the same one twice."""
    order = random.Random(seed)
    [prefix] = prompts(order.choice([1, 2, 40, 127, 128, 129, 300]))
    lengths = [order.choice([0, 1, 2, 17, 128, 129]) for _ in range(order.randint(1, 7))] + ([300] if seed % 3 == 0 else [])
    rest = [prompts(length)[0] for length in lengths]
    order.shuffle(rest)
    temperature = order.choice([0.5, 1.0, 1.7])
    found = scorer.score(model, prefix, rest, temperature)
    model.set_attn_implementation("eager")
    for continuation, score in zip(rest, found, strict=True):
        ids = torch.tensor([[*prefix, *continuation]])
        logp = (model(input_ids=ids, use_cache=False).logits[0].double() / temperature).log_softmax(-1)
        plain = sum(float(logp[len(prefix) - 1 + i, token]) for i, token in enumerate(continuation))
        assert score == pytest.approx(plain, abs=1e-3)
    model.set_attn_implementation(attention.NAME)


def test_nothing_to_score_is_no_score(model):
    assert scorer.score(model, (5, 6), []) == []
    assert scorer.score(model, (5, 6), [(), ()]) == [0.0, 0.0]


def test_a_nucleus_of_many_tokens_is_exact_too():
    """Of 3,000 tokens nearly alike the nucleus holds more than are sorted at first, beside a row where it holds one."""
    chance = torch.Generator().manual_seed(3)
    logits = torch.rand(2, 3000, generator=chance)
    logits[1, 7] = 500.0  # the others are e^-500: no number at all in fp32
    uniforms = torch.tensor([0.999999, 0.999999])
    found = sampler.choose(logits, uniforms, sampler.Decoding(temperature=1.0, top_p=0.9))
    best, tokens = logits[0].double().softmax(-1).sort(descending=True)
    inside = int((best.cumsum(-1) - best < 0.9).sum())
    assert inside > 1024
    assert int(found[0]) in tokens[inside - 3: inside].tolist()
    assert int(found[1]) == 7


def test_what_cannot_be_scored_or_sampled_is_one_sentence(model):
    prefix, one = prompts(5, 7)
    for given, says in (((model, [], [one]), "after a prefix"), ((model, prefix, [one], 0.0), "temperature above 0"),
                        ((model, prefix, [one * 600]), "4205 tokens, and this model reads 4096")):
        with pytest.raises(UserError, match=says):
            scorer.score(*given)
    for wrong in ({"temperature": -1.0}, {"top_p": 1.5}, {"max_new_tokens": 0}, {"top_k": -1}):
        with pytest.raises(UserError, match="Nothing can be sampled"):
            sampler.Decoding(**wrong)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_model_that_has_diverged_is_one_sentence(tmp_path, temperature):
    broken, _ = weights.load(fakes.toy_model(tmp_path / "toy"))
    with torch.no_grad():
        broken.model.norm.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="no numbers"):
        sampler.sample(broken, [sampler.Request(prompts(5)[0], 1)], sampler.Decoding(temperature), frozenset())
