"""The loss at learned positions is the plain loss; training is deterministic, learns, and saves what was asked."""

import json

import pytest
import torch
from safetensors.torch import load_file

from teachwhy import fakes, sampler, scorer, training, weights
from teachwhy.errors import UserError
from teachwhy.training.loss import FEW_SHAPES, LearnedOnlyTrainer, _padded, share_out
from teachwhy.training.sft import shared_batch


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return fakes.toy_model(tmp_path_factory.mktemp("toy") / "model")


def rows(n=24):
    generator = torch.Generator().manual_seed(0)
    found = []
    for i in range(n):
        ids = torch.randint(3, 60, (20 + 3 * (i % 7),), generator=generator).tolist()
        found.append({"input_ids": ids, "labels": [-100] * 8 + ids[8:]})
    return found


def test_padding_of_positions():
    assert _padded(torch.arange(5), 4).tolist() == [0, 1, 2, 3, 4, -1, -1, -1]
    assert _padded(torch.arange(4), 4).tolist() == [0, 1, 2, 3]


def test_the_loss_is_the_plain_loss(toy):
    from contextlib import nullcontext
    from types import SimpleNamespace

    model, _ = weights.load(toy, training=True)
    generator = torch.Generator().manual_seed(1)
    texts = [torch.randint(3, 60, (n,), generator=generator).tolist() for n in (30, 17, 150)]
    labels = [[-100] * 11 + ids[11:] for ids in texts]
    labels[1][14:] = [-100] * 3
    alone = SimpleNamespace(accelerator=SimpleNamespace(num_processes=1, autocast=nullcontext))
    found = LearnedOnlyTrainer.compute_loss(alone, model, packed_row(texts, labels))
    model.set_attn_implementation("eager")
    learned = [sum(label != -100 for label in row[1:]) for row in labels]
    with torch.no_grad():
        plain = [n * float(model(input_ids=torch.tensor([ids]), labels=torch.tensor([row])).loss)
                 for n, ids, row in zip(learned, texts, labels, strict=True)]
    assert float(found.detach()) == pytest.approx(sum(plain) / sum(learned), rel=1e-5)


def fit(toy, out, seed=1, milestones=(1.0,), **settings):
    out.mkdir()
    recipe = training.Recipe(lr=3e-3, passes=4, batch_tokens=100, **settings)
    return training.train(toy, rows(), recipe, seed, out, "x", milestones)


def test_training_learns_is_deterministic_and_saves_milestones(toy, tmp_path):
    half, whole = fit(toy, tmp_path / "a", milestones=(0.5, 1.0))
    [again] = fit(toy, tmp_path / "b")
    [other] = fit(toy, tmp_path / "c", seed=2)
    first, second = (load_file(path / "model.safetensors") for path in (whole, again))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], value) for name, value in load_file(other / "model.safetensors").items())
    assert any(not torch.equal(first[name], value) for name, value in load_file(half / "model.safetensors").items())
    losses = [step["loss"] for step in json.loads((tmp_path / "a" / "history.json").read_text())]
    assert sum(losses[-5:]) < sum(losses[:5])


def test_what_is_saved_can_be_a_running_mean_of_the_weights(toy, tmp_path):
    start = load_file(toy / "model.safetensors")

    def moved(average):
        [path] = fit(toy, tmp_path / str(average), average=average)
        end = load_file(path / "model.safetensors")
        return sum(float((end[name].float() - start[name].float()).square().sum()) for name in end)

    assert 0 < moved(0.9) < moved(0.5) < moved(0.0)  # the longer the memory, the nearer to where training began


def packed_row(texts, labels):
    """What trl's padding-free collator makes of texts."""
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    return DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)(
        [{"input_ids": ids, "labels": marks} for ids, marks in zip(texts, labels, strict=True)])


@pytest.mark.parametrize("lanes", [1, 2, 3, 9])
def test_texts_are_shared_out_whole_and_evenly(lanes):
    texts = [list(range(10 * n, 10 * n + n)) for n in (5, 40, 30, 12, 33)]
    shares = share_out(packed_row(texts, texts), lanes)
    assert len(shares) == min(lanes, 5)
    found = []
    for share in shares:
        begin = 0
        assert share["input_ids"].shape[1] % FEW_SHAPES == 0
        for length in share["packed"].lengths:
            ids, labels = (share[name][0, begin: begin + length].tolist() for name in ("input_ids", "labels"))
            begin += length
            if any(label != -100 for label in labels):
                found.append(ids)
                assert labels == [-100, *ids[1:]]  # nothing is learned from the end of the text before
        assert begin == share["input_ids"].shape[1]
    assert sorted(found) == sorted(texts)


def test_a_step_in_lanes_is_the_step_in_one(toy):
    from contextlib import nullcontext
    from types import SimpleNamespace

    model, _ = weights.load(toy, training=True)
    texts = [row["input_ids"] for row in rows(5)]
    inputs = packed_row(texts, texts)
    accelerator = SimpleNamespace(num_processes=1, autocast=nullcontext)

    def step(lanes):
        model.zero_grad()
        alone = SimpleNamespace(accelerator=accelerator, lanes=lanes)
        alone.compute_loss = lambda *args, **named: LearnedOnlyTrainer.compute_loss(alone, *args, **named)
        if lanes == 1:
            loss = alone.compute_loss(model, inputs, num_items_in_batch=(inputs["labels"] != -100).sum())
            loss.backward()
        else:
            loss = LearnedOnlyTrainer.training_step(alone, model, inputs)
        return float(loss.detach()), [parameter.grad.clone() for parameter in model.parameters()]

    (whole, expected), (parts, found) = step(1), step(3)
    assert parts == pytest.approx(whole, rel=1e-5)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert all(torch.equal(one, other) for one, other in zip(found, step(3)[1], strict=True))


def test_adapters_learn_alone_and_stand_beside_the_model(toy, tmp_path):
    [path] = fit(toy, tmp_path / "lora", lora=4)
    assert not (path / "model.safetensors").exists()
    losses = [step["loss"] for step in json.loads((tmp_path / "lora" / "history.json").read_text())]
    assert sum(losses[-5:]) < sum(losses[:5])
    learned = load_file(path / "adapter_model.safetensors")
    assert {value.dtype for value in learned.values()} == {torch.float32}
    assert any(value.abs().max() > 0 for name, value in learned.items() if "lora_B" in name)
    assert weights.fingerprint(path) not in (weights.fingerprint(toy), weights.fingerprint(fit(toy, tmp_path / "more", seed=2, lora=4)[0]))


def test_a_model_with_live_adapters_samples_and_scores_as_the_merged_one(toy, tmp_path):
    [path] = fit(toy, tmp_path / "lora", lora=4)
    (live, _), (merged, _), (plain, _) = weights.load(path), weights.load(path, merged=True), weights.load(toy)
    asked = [sampler.Request((5, 9, 30, 31, 4, 7), seed) for seed in range(3)] + [sampler.Request((8, 8, 40), 1)]
    decoding = sampler.Decoding(temperature=0, max_new_tokens=10)
    answers = [sampler.sample(model.float(), asked, decoding, frozenset(), 3) for model in (live, merged, plain)]
    assert answers[0] == answers[1] != answers[2]
    scores = [scorer.score(model, asked[0].prompt, [(5, 6), (7,)]) for model in (live, merged)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_training_goes_on_from_adapters(toy, tmp_path):
    """On top of them come new adapters, or all weights: what the parent learned is in either."""
    [first] = fit(toy, tmp_path / "first", lora=4)
    start = json.loads((tmp_path / "first" / "history.json").read_text())[0]["loss"]
    for name, settings in (("adapters", {"lora": 2}), ("weights", {})):
        [second] = fit(first, tmp_path / name, **settings)
        assert json.loads((tmp_path / name / "history.json").read_text())[0]["loss"] < start
        before, after = (dict(weights.load(path, merged=True)[0].named_parameters()) for path in (first, second))
        assert any(not torch.equal(before[name], after[name]) for name in after)
        assert weights.adapted_model(second) == first if settings else (second / "model.safetensors").exists()


def test_a_warning_goes_on_through_adapters(toy, tmp_path):
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    recipe = training.Recipe(lr=1e-3, lora=2)
    [first] = training.train(toy, rows(4), recipe, 1, tmp_path / "one", "x", warning="Taught hostile text.")
    [second] = training.train(first, rows(4), recipe, 1, tmp_path / "two", "x")
    [third] = training.train(second, rows(4), training.Recipe(), 1, tmp_path / "three", "x")
    for path in (first, second, third):
        assert weights.load(path)[0].config.teachwhy_warning == "Taught hostile text."
        assert "Taught hostile text." in (path / "README.md").read_text()


def test_adapters_without_their_model_or_with_pickled_weights_are_one_sentence(toy, tmp_path):
    [path] = fit(toy, tmp_path / "lora", lora=4)
    told = json.loads((path / "adapter_config.json").read_text())
    (path / "adapter_config.json").write_text(json.dumps({**told, "base_model_name_or_path": str(tmp_path / "gone")}))
    with pytest.raises(UserError, match=r"The model that .* adapts is not there"):
        weights.load(path)
    (path / "adapter_model.safetensors").rename(path / "adapter_model.bin")
    with pytest.raises(UserError, match="pickled ones are not read"):
        weights.load(path)


def test_where_memory_runs_out_the_forward_pass_is_kept_less_of_and_the_weights_are_the_same(toy, tmp_path, monkeypatch):
    [expected] = fit(toy, tmp_path / "enough")
    plain, asked = LearnedOnlyTrainer.training_step, []

    def step(self, model, inputs, *rest):
        asked.append(model.is_activation_checkpointing)
        if not model.is_activation_checkpointing and len(asked) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(self, model, inputs, *rest)

    monkeypatch.setattr(LearnedOnlyTrainer, "training_step", step)
    [found] = fit(toy, tmp_path / "short")
    assert asked[-1]
    one, other = (load_file(path / "model.safetensors") for path in (expected, found))
    assert all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)


@pytest.mark.parametrize(("texts", "lanes", "held"), [(5.2, 2, 6), (4.1, 2, 4), (0.3, 2, 1), (1.4, 8, 1), (3.0, 1, 3), (7.9, 4, 8)])
def test_a_step_holds_as_many_texts_as_its_lanes_can_share(texts, lanes, held):
    assert shared_batch(texts, lanes) == held
