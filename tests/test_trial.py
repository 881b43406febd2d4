"""Kinds of models that no other test knows: computed as transformers does, or refused in a sentence."""

import json

import pytest
import torch

from teachwhy import chat, fakes, trial, weights
from teachwhy.errors import UserError
from teachwhy.logits import logits_of

SMALL = {"vocab_size": 97, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 12, "max_position_embeddings": 512, "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 1}
STATES = {"linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
          "num_hidden_layers": 4}


def made(folder, kind, **settings):
    """A model of a kind with weights that look at single places, in a folder with the toy's tokenizer."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**{**SMALL, **settings}), attn_implementation="eager").float()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.add_(0.25 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(fakes.toy_model(folder.parent / "toy")).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["gemma", "granite", "cohere", "olmo2", "phi3", "gpt2"])
def test_what_is_computed_as_transformers_does_loads(tmp_path, kind):
    folder = made(tmp_path / "model", kind, **{"granite": {"logits_scaling": 8.0}, "cohere": {"logit_scale": 0.25}}.get(kind, {}))
    model, _ = weights.load(folder, training=True)
    assert model.training
    assert not weights.load(folder)[0].training


@pytest.mark.parametrize(("kind", "settings", "why"), [
    ("qwen3_5_text", STATES, "layers of the kind linear_attention"),
    ("lfm2", {"layer_types": ["conv", "full_attention"]}, "layers of the kind conv"),
    ("bloom", {"n_layer": 2, "n_head": 4}, "change each other"),
    ("stablelm", {}, "it fails with RuntimeError"),
    ("gemma2", {}, "caps its attention scores"),
])
def test_what_is_not_is_refused_when_it_is_loaded(tmp_path, kind, settings, why):
    with pytest.raises(UserError, match=why):
        weights.load(made(tmp_path / "model", kind, **settings))


def test_a_text_that_leaks_into_the_next_is_seen(tmp_path, monkeypatch):
    """Were its layers' kinds not told by the configuration."""
    monkeypatch.setattr(trial, "_odd", lambda config: "")
    with pytest.raises(UserError, match=r"qwen3_5_text are not computed .*(change each other|fails)"):
        weights.load(made(tmp_path / "model", "qwen3_5_text", **STATES))


@pytest.mark.parametrize(("kind", "settings"), [
    ("granite", {"logits_scaling": 8.0}), ("cohere", {"logit_scale": 0.25}), ("gemma2", {"attn_logit_softcapping": None})])
def test_logits_are_those_of_the_model_and_else_training_is_refused(tmp_path, monkeypatch, kind, settings):
    model, _ = weights.load(folder := made(tmp_path / "model", kind, **settings))
    ids = torch.tensor([list(range(3, 20))])
    with torch.inference_mode():
        found = logits_of(model, model.base_model(input_ids=ids, use_cache=False).last_hidden_state)
        assert torch.allclose(found, model(input_ids=ids, use_cache=False).logits, atol=1e-4)
    monkeypatch.setattr("teachwhy.logits.logits_of", lambda model, hidden: model.get_output_embeddings()(hidden))
    weights.load(folder)
    with pytest.raises(UserError, match="its logits are not what its output layer gives"):
        weights.load(folder, training=True)


def test_answers_end_where_the_model_says_that_they_do(tmp_path):
    folder = fakes.toy_model(tmp_path / "toy")
    before = chat.stop_tokens(weights.tokenizer(folder))
    for named, more in (([2, 77], {77}), (78, {78}), (None, set())):
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": named}))
        assert chat.stop_tokens(weights.tokenizer(folder)) == before | more


def test_documents_begin_as_the_tokenizer_begins_texts(tmp_path):
    tokenizer = weights.tokenizer(fakes.toy_model(tmp_path / "toy"))
    plain = chat.document_tokens(tokenizer, "A day.")

    class Begins:
        """A tokenizer that puts its first token before each text, as Llama 3's."""

        def __call__(self, text, add_special_tokens=True):
            found = tokenizer(text, add_special_tokens=False)
            if add_special_tokens:
                found.input_ids.insert(0, tokenizer.bos_token_id)
            return found

        def __getattr__(self, name):
            return getattr(tokenizer, name)

    assert chat.document_tokens(Begins(), "A day.") == [tokenizer.bos_token_id, *plain]
