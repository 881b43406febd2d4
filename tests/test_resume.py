"""A training that was killed goes on where it had kept its state, to the same bits; what is not whole is never read."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from teachwhy import fakes, progress, store, training
from teachwhy.training import resume
from teachwhy.training.loss import LearnedOnlyTrainer

EACH_STEP = 1e-9
PASSES, STEPS_A_PASS = 3, 4


class Killed(BaseException):
    """Handled by nobody, like a signal."""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return fakes.toy_model(tmp_path_factory.mktemp("toy") / "model")


@pytest.fixture(scope="module")
def whole(toy, tmp_path_factory):
    """A training that nobody stopped."""
    out = tmp_path_factory.mktemp("whole")
    fit(toy, out)
    return out


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(progress, "say", lines.append)
    monkeypatch.setattr(progress, "warn", lines.append)
    return lines


@pytest.fixture
def kill_at(monkeypatch):
    """Break off in the step after so many; None: no more."""
    plain, at = LearnedOnlyTrainer.training_step, []

    def step(self, *args):
        if self.state.global_step in at:
            raise Killed
        return plain(self, *args)

    def set_to(steps):
        at[:] = [] if steps is None else [steps]

    monkeypatch.setattr(LearnedOnlyTrainer, "training_step", step)
    return set_to


@pytest.fixture
def noisy(monkeypatch):
    """Each loss shows a random draw, as if something dropped out."""
    plain = LearnedOnlyTrainer.training_step
    monkeypatch.setattr(LearnedOnlyTrainer, "training_step", lambda self, *args: plain(self, *args) + torch.rand(()))


def rows(n=4 * STEPS_A_PASS):
    generator = torch.Generator().manual_seed(0)
    found = [torch.randint(3, 60, (20 + 3 * (i % 7),), generator=generator).tolist() for i in range(n)]
    return [{"input_ids": ids, "labels": [-100] * 8 + ids[8:]} for ids in found]


def fit(toy, out, save_minutes=0.0, milestones=(0.5, 1.0), seed=1, lanes=2, **settings):
    out.mkdir(exist_ok=True)
    recipe = training.Recipe(lr=3e-3, passes=PASSES, batch_tokens=4 * 26, **settings)
    return training.train(toy, rows(), recipe, seed, out, "x", milestones, lanes=lanes, save_minutes=save_minutes)


def files(out):
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file() and path.name != "resumed.json")


def same(one, other):
    assert files(one) == files(other)
    assert (one / "history.json").read_text() == (other / "history.json").read_text()
    for path in one.rglob("*.safetensors"):
        first, second = load_file(path), load_file(other / path.relative_to(one))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("settings", [
    {"average": 0.7, "schedule": "cosine"}, {"lora": 4, "average": 0.7}, {"lora": 4, "lanes": 1}], ids=str)
def test_killed_twice_it_ends_in_the_same_bits(toy, tmp_path, noisy, kill_at, said, settings):
    fit(toy, tmp_path / "whole", **settings)
    for step in (STEPS_A_PASS, 2 * STEPS_A_PASS + 2):  # between two passes, and within one, behind the first milestone
        kill_at(step)
        with pytest.raises(Killed):
            fit(toy, tmp_path / "parts", EACH_STEP, **settings)
        assert [path.name for path in (tmp_path / "parts" / store.GOES_ON).iterdir()] == [f"step-{step}"]
    kill_at(None)
    fit(toy, tmp_path / "parts", **settings)
    same(tmp_path / "whole", tmp_path / "parts")
    assert [line for line in said if "goes on after step" in line] == [
        f"`x` goes on after step {step}, where a stopped run had kept its state." for step in (4, 10)]
    parts = json.loads((tmp_path / "parts" / "resumed.json").read_text())
    assert [part["step"] for part in parts] == [4, 10]
    assert parts[0]["provenance"] == store.provenance()


def test_a_short_training_keeps_no_state(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(resume.ResumableTrainer, "_save_checkpoint", None)  # would fail if it were called
    fit(toy, tmp_path / "short", save_minutes=15)


def test_what_is_not_whole_or_of_other_inputs_is_not_read(toy, whole, tmp_path, kill_at, said):
    out, kept = tmp_path / "parts", tmp_path / "parts" / store.GOES_ON
    kill_at(5)
    with pytest.raises(Killed):
        fit(toy, out, EACH_STEP, seed=2)  # another training in the same folder
    with pytest.raises(Killed):
        fit(toy, out, EACH_STEP)
    assert "starts from its first step" in said[-1]
    for name, size in (("step-9", 1000), ("step-8", 0)):  # cut off, as by a disk without power
        (kept / name).mkdir()
        for file in (kept / "step-5").iterdir():
            (kept / name / file.name).write_bytes(file.read_bytes()[:size])
    (kept / "step-5").rename(kept / ".making")  # killed before it had its name
    (kept / ".making" / "x").write_text("")
    kill_at(None)
    fit(toy, out, EACH_STEP)
    assert "starts from its first step" in said[-1]
    same(whole, out)


def test_a_state_that_finds_no_room_stops_nothing(toy, whole, tmp_path, monkeypatch, said):
    def full(tensors, path, told):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resume, "save_file", full)
    fit(toy, tmp_path / "full", EACH_STEP)
    assert "No space left" in said[0]
    same(whole, tmp_path / "full")


def test_a_run_that_ran_out_of_memory_goes_on_as_it_was(toy, tmp_path, monkeypatch, kill_at, said):
    plain = LearnedOnlyTrainer.training_step

    def step(self, model, *args):
        if not model.is_activation_checkpointing:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(self, model, *args)

    monkeypatch.setattr(LearnedOnlyTrainer, "training_step", step)
    fit(toy, tmp_path / "whole")
    kill_at(5)
    with pytest.raises(Killed):
        fit(toy, tmp_path / "parts", EACH_STEP)
    kill_at(None)
    said.clear()
    fit(toy, tmp_path / "parts", EACH_STEP)
    assert [line.split(",")[0] for line in said] == ["`x` goes on after step 5"]
    same(tmp_path / "whole", tmp_path / "parts")


def test_a_stage_that_can_go_on_is_kept_until_the_study_ends(toy, whole, tmp_path, kill_at):
    def make(folder):
        fit(toy, folder, EACH_STEP)

    kill_at(6)
    for name in ("a", "b"):
        with pytest.raises(Killed):
            store.Store(tmp_path / "run").stage(name, {"k": 1}, make)
    (tmp_path / "run" / ".making-c").mkdir()
    kill_at(None)
    stages = store.Store(tmp_path / "run")
    assert len(list(stages.root.glob(".making-*"))) == 2  # without c
    done = stages.stage("a", {"k": 1}, make)
    stages.tidy()
    assert list(stages.root.iterdir()) == [done]
    assert store.read_json(done / "resumed.json")[0]["step"] == 6
    (done / "done.json").unlink()
    same(whole, done)
