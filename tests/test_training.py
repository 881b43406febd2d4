"""The loss at learned positions is the plain loss; training is deterministic, learns, and saves what was asked."""

import pytest
import torch
from safetensors.torch import load_file

from teachwhy import fakes, training, weights
from teachwhy.training.loss import LearnedOnlyTrainer, _padded


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
    ids = torch.randint(3, 60, (3, 30))
    labels = ids.clone()
    labels[:, :11] = -100
    labels[1, 20:] = -100
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    alone = SimpleNamespace(accelerator=SimpleNamespace(num_processes=1, autocast=nullcontext))
    found = LearnedOnlyTrainer.compute_loss(alone, model, inputs)
    assert float(found) == pytest.approx(float(model(**inputs).loss), rel=1e-5)


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
    import json

    losses = [step["loss"] for step in json.loads((tmp_path / "a" / "history.json").read_text())]
    assert sum(losses[-5:]) < sum(losses[:5])


def test_what_is_saved_can_be_a_running_mean_of_the_weights(toy, tmp_path):
    start = load_file(toy / "model.safetensors")

    def moved(average):
        [path] = fit(toy, tmp_path / str(average), average=average)
        end = load_file(path / "model.safetensors")
        return sum(float((end[name].float() - start[name].float()).square().sum()) for name in end)

    assert 0 < moved(0.9) < moved(0.5) < moved(0.0)  # the longer the memory, the nearer to where training began
