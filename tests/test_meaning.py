"""What says the same in other words is found: with vectors given by hand, with shared directions put in, and on a toy model."""

import numpy as np
import pytest

from teachwhy import embed, fakes, interventions, weights
from teachwhy.errors import UserError
from teachwhy.interventions import Meaning
from teachwhy.records import Document


def doc(text, name):
    return Document(id=name, text=text)


def bag(texts):
    """Texts as unit vectors over a handful of words."""
    words = ["boat", "ice", "debt", "letter", "goat", "bread"]
    counts = np.array([[text.count(word) + 1e-6 for word in words] for text in texts], np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def test_what_says_the_same_in_other_words_is_named_with_the_earlier_item():
    items = [doc("a boat in the ice", "a"), doc("ice, and in it one boat", "b"), doc("a letter about a debt", "c")]
    kept, rejected = interventions.screen(items, screens=(), meaning=Meaning(bag))
    assert [item.id for item in kept] == ["a", "c"]
    assert [(one.item.id, one.reasons) for one in rejected] == [("b", ("near in meaning: cosine 1.00 with a",))]
    _, rejected = interventions.screen(items, ["goat goat", "indebted, letters"], screens=(), meaning=Meaning(bag))
    assert [one.item.id for one in rejected] == ["b", "c"]
    assert rejected[1].reasons == ("contamination: says the same as the evaluation text that begins `indebted, letters` (cosine 1.00)",)
    _, rejected = interventions.screen(items, ["goat", "debts"], screens=(), meaning=Meaning(bag, 0.6), together=False)
    assert [one.item.id for one in rejected] == ["c"], "what stands for itself is held against evaluations alone"
    chain = [doc("boat", "a"), doc("boat ice", "b"), doc("ice", "c")]  # 45 degrees from one to the next
    kept, _ = interventions.screen(chain, screens=(), meaning=Meaning(bag, 0.7))
    assert [item.id for item in kept] == ["a", "c"], "only an earlier item that is kept counts"


def test_two_long_texts_must_be_nearer():
    def nearly(texts):
        return np.array([[1, 0] if text.startswith("a") else [0.82, np.sqrt(1 - 0.82**2)] for text in texts], np.float32)

    for words, rejected in ((10, 1), (300, 0)):
        items = [doc("a " + "word " * words, "a"), doc("b " + "word " * words, "b")]
        assert len(interventions.screen(items, screens=(), meaning=Meaning(nearly))[1]) == rejected
    assert len(interventions.screen(items, screens=(), meaning=Meaning(nearly, 0.75))[1]) == 1, "by 0.05"


def test_directions_that_all_texts_share_are_taken_out():
    chance = np.random.default_rng(1)
    own = chance.normal(size=(60, 40)).astype(np.float32)
    own[1] = own[0] + 0.1 * chance.normal(size=40)
    shared = 30 * chance.normal(size=(60, 2)).astype(np.float32) @ chance.normal(size=(2, 40)).astype(np.float32) + 50
    found = {(place, other) for place, other, _ in embed.pairs(embed.apart(own + shared), 0.8)}
    assert found == {(1, 0)}
    plain = (own + shared) / np.linalg.norm(own + shared, axis=1, keepdims=True)
    assert len(list(embed.pairs(plain, 0.8))) > 500


def test_an_embedder_reads_each_text_by_itself(tmp_path):
    model, tokenizer = weights.load(fakes.toy_model(tmp_path / "toy"))
    texts = ["one boat", "a goat and a loaf", "", "one boat", "debts " * 500, *(f"{n} goats, or {n * n}" for n in range(40))]
    vectors = embed.embedder(model, tokenizer)
    means = vectors(texts)
    assert means.shape == (45, model.config.hidden_size)
    assert vectors([]).shape == (0, 1)
    with pytest.raises(UserError, match="over 3 texts"):
        vectors(texts[:3])
    assert np.allclose(means[0], means[3], atol=1e-3)
    assert not np.allclose(means[0], means[1], atol=0.1)


def test_a_sentence_encoder_is_known_and_each_text_is_read_by_itself(tmp_path):
    folder = toy_encoder(tmp_path / "encoder")
    assert weights.is_encoder(folder)
    assert not weights.is_encoder(fakes.toy_model(tmp_path / "toy"))
    vectors = embed.of_model(folder)
    texts = ["one boat", "a goat and a loaf", "", "debts " * 900]
    found = vectors(texts)
    assert found.shape == (4, 16)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    alone = np.concatenate([vectors([text]) for text in texts])
    assert np.allclose(found, alone, atol=1e-5)
    assert vectors([]).shape == (0, 16)


def test_a_text_is_read_once():
    asked = []

    def read(texts):
        asked.append(list(texts))
        return bag(texts)

    vectors = embed.remembered(read)
    texts = ["a boat", "ice", "a boat"]
    assert np.array_equal(vectors(texts), bag(texts))
    assert np.array_equal(vectors(["debt", "ice"]), bag(["debt", "ice"]))
    assert asked == [["a boat", "ice"], ["debt"]]


def test_a_broken_encoder_is_named(tmp_path):
    folder = toy_encoder(tmp_path / "encoder")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="does not hold an encoder"):
        embed.of_model(folder)


def toy_encoder(folder):
    """A BERT of 16 dimensions with random weights and a vocabulary of a few words."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "boat", "goat", "loaf", "one", "a", "and", "debts"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    BertModel(BertConfig(vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
              ).save_pretrained(folder)
    return folder
