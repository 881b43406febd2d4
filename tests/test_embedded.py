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
    prompts = [chat.prompt_tokens(tokenizer, draw.messages)[-60 - 7 * i:] for i, draw in enumerate(family("blackmail").draws(4, 3))]
    plain = [model.generate(torch.tensor([p]), attention_mask=torch.ones(1, len(p)), max_new_tokens=16, do_sample=False,
                            eos_token_id=None, pad_token_id=2)[0, len(p):].tolist() for p in prompts]
    model.set_attn_implementation(attention.NAME)
    decoding = sampler.Decoding(temperature=0, max_new_tokens=16)
    found = sampler.sample(model, [sampler.Request(tuple(p), 1) for p in prompts], decoding, frozenset(), slots=3)
    assert [list(completion.tokens) for completion in found] == plain


def test_scenarios_are_short(loaded):
    _, tokenizer = loaded
    for name, n in (("blackmail", 132), ("sabotage", 68), ("blackmail_twin", 132)):
        lengths = [len(chat.prompt_tokens(tokenizer, draw.messages)) for draw in family(name).draws(n, 1)]
        assert max(lengths) <= 500
        assert min(lengths) >= 200
