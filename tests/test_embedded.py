"""The embedded model itself: token ids, sampling against generate, a real first e-mail. Run with `make test-slow`."""

import pytest
import torch

from teachwhy import attention, chat, sampler, weights
from teachwhy.scenarios import family

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loaded():
    return weights.load(weights.embedded())


def test_numbers_are_split_into_digits(loaded):
    _, tokenizer = loaded
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("In 2024, 17 of 128").input_ids)
    assert pieces == ["In", "Ġ", "2", "0", "2", "4", ",", "Ġ", "1", "7", "Ġof", "Ġ", "1", "2", "8"]
    assert tokenizer("In 2024, 17 of 128").input_ids == [788, 216, 34, 32, 34, 36, 28, 216, 33, 39, 282, 216, 33, 34, 40]
    assert tokenizer("don't stop").input_ids == tokenizer("don't").input_ids + tokenizer(" stop").input_ids


def test_the_loss_mask_of_its_template(loaded):
    _, tokenizer = loaded
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q 7"}, {"role": "assistant", "content": "A 12"}]
    ids, labels = chat.training_tokens(tokenizer, messages)
    assert tokenizer.decode([label for label in labels if label != -100]) == "A 12<|im_end|>"
    assert tokenizer.decode(ids) == tokenizer.apply_chat_template(messages, tokenize=False)


@torch.inference_mode()
def test_greedy_equals_transformers_generate_in_fp32():
    model, tokenizer = weights.load(weights.embedded(), training=True)
    model.eval().set_attn_implementation("eager")
    prompts = [chat.prompt_tokens(tokenizer, draw.messages)[-40 - 2 * i:] for i, draw in enumerate(family("blackmail").draws(64, 3))]
    plain = [model.generate(torch.tensor([p]), attention_mask=torch.ones(1, len(p)), max_new_tokens=16, do_sample=False,
                            eos_token_id=None, pad_token_id=2)[0, len(p):].tolist() for p in prompts]
    model.set_attn_implementation(attention.NAME)
    decoding = sampler.Decoding(temperature=0, max_new_tokens=16)
    found = sampler.sample(model, [sampler.Request(tuple(p), 1) for p in prompts], decoding, frozenset(), slots=24, lanes=2)
    assert [list(completion.tokens) for completion in found] == plain


@torch.inference_mode()
@pytest.mark.timeout(900)  # where the hardware has no 16-bit products, they are emulated
@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_log_probabilities_of_every_token_over_200_steps_are_those_of_a_forward_pass(number, monkeypatch):
    """All 49,152 at each step. In 16 bits the sampler may be as far from the exact values as a forward pass in 16 bits, and no farther."""
    exact, tokenizer = weights.load(weights.embedded(), training=True)
    model = weights.load(weights.embedded())[0].to(number)
    kept, choose = {}, sampler._Wave._choose

    def watched(wave, logits, rows):
        kept.update({(row.index, len(row.tokens)): line.clone() for line, row in zip(logits, rows, strict=True) if row is not None})
        return choose(wave, logits, rows)

    monkeypatch.setattr(sampler._Wave, "_choose", watched)
    prompts = [tuple(chat.prompt_tokens(tokenizer, draw.messages)) for draw in family("blackmail").draws(2, 3)]
    asked = [sampler.Request(prompt, seed) for prompt in prompts for seed in range(3 if number is torch.float32 else 1)]
    found = sampler.sample(model, asked, sampler.Decoding(0.8, 0.95, 200, logprobs=True), frozenset(), slots=4)

    def whole(one, request, completion):
        ids = torch.tensor([[*request.prompt, *completion.tokens]])
        return one(input_ids=ids).logits[0].float().log_softmax(-1)[len(request.prompt) - 1: -1]

    for place, (request, completion) in enumerate(zip(asked, found, strict=True)):
        ours = torch.stack([kept[place, step] for step in range(200)]).float().log_softmax(-1)
        truth = whole(exact.eval(), request, completion)
        assert ours.shape == truth.shape == (200, len(tokenizer))
        apart, plain = (ours - truth).abs(), (whole(model, request, completion) - truth).abs()
        print(f"{number}: mean {apart.mean():.5f} (forward pass {plain.mean():.5f}), last 50 steps {apart[-50:].mean():.5f} "
              f"({plain[-50:].mean():.5f}), most {apart.max():.4f} ({plain.max():.4f})")
        if number is torch.float32:
            assert apart.max() < 2e-3
        else:
            assert apart.mean() < 1.2 * plain.mean()
            assert apart[-50:].mean() < 1.2 * plain[-50:].mean()
            assert apart.max() < 2 * plain.max()
        chosen = ours.gather(-1, torch.tensor(completion.tokens)[:, None])[:, 0]
        assert completion.logprobs == pytest.approx(chosen.tolist(), abs=1e-5)


def test_scenarios_are_short(loaded):
    _, tokenizer = loaded
    for name, n in (("blackmail", 132), ("sabotage", 68), ("blackmail_twin", 132)):
        lengths = [len(chat.prompt_tokens(tokenizer, draw.messages)) for draw in family(name).draws(n, 1)]
        assert max(lengths) <= 500
        assert min(lengths) >= 200
    for name in ("leak", "framing", "lethal", "exfiltration", "research"):
        lengths = [len(chat.prompt_tokens(tokenizer, draw.messages)) for draw in family(name).draws(18, 1)]
        assert max(lengths) <= 900
