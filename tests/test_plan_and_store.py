"""Bad input gets one sentence with the place and the mend; finished stages are kept, half-made ones are not."""

import sys
from pathlib import Path

import pytest
import yaml

from teachwhy import store
from teachwhy.errors import UserError
from teachwhy.plan import comparisons, read_plan

STUDIES = sorted((Path(__file__).parents[1] / "studies").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_that_ships_is_valid(path):
    from teachwhy.interventions import SETS

    plan = read_plan(path)
    assert plan.name == path.stem
    assert all(part in SETS for arm in plan.arms.values() for part in arm.parts)


@pytest.fixture
def changed(tmp_path):
    def write(change):
        value = yaml.safe_load((Path(__file__).parents[1] / "studies" / "tiny.yaml").read_text())
        change(value)
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(value, sort_keys=False))
        return path

    return write


def put(*path_and_value):
    *path, value = path_and_value

    def change(study):
        for step in path[:-1]:
            study = study[step]
        study[path[-1]] = value

    return change


@pytest.mark.parametrize(("change", "says"), [
    (put("colour", "red"), "`colour` is not a known key"),
    (put("arms", "base", "tokenz", 3), "`arms.base.tokenz` is not a known key"),
    (put("arms", "base", "tokens", "many"), "arms.base.tokens"),
    (put("arms", "organism", "parent", "nobody"), "parent `nobody`"),
    (put("arms", "difficult_advice", "control", None), "no matched control"),
    (put("arms", "difficult_advice", "tokens", 1), "more than content"),
    (put("arms", "difficult_advice", "parts", {"difficult_advice": 0.5, "agent_warmup": 0.5}), "more than content"),
    (put("arms", "base", "parts", {"agent_warmup": 0.5}), "sum to 0.5"),
    (put("comparisons", [["difficult_advice", "ghost"]]), "`ghost`"),
    (put("dose", "arm", "ghost"), "`ghost`"),
    (put("arms", "control", "tokens", "dose"), "more than content"),
    (put("arms", "organism", "tokens", "dose"), "no dose was chosen above it"),
    (put("arms", "base", "recipe", {"lrr": 1}), "`arms.base.recipe.lrr` is not a known key"),
    (put("dose", "milestones", []), "dose.milestones"),
    (put("dose", "milestones", [1.5]), "dose.milestones"),
    (put("measure", "families", {}), "measure.families"),
    (put("save_minutes", -1), "`save_minutes` is wrong"),
    (put("arms", "base", "tokens", 0), "arms.base.tokens"),
])
def test_a_bad_study_file_names_the_place(changed, change, says):
    with pytest.raises(UserError, match=says):
        read_plan(changed(change))


def test_files_that_are_no_study(tmp_path):
    with pytest.raises(UserError, match="Cannot read"):
        read_plan(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1,\nb: }")
    with pytest.raises(UserError, match="not valid YAML at line"):
        read_plan(broken)


def test_comparisons_are_against_the_control_and_the_parent():
    plan = read_plan(STUDIES[[p.stem for p in STUDIES].index("laptop")])
    assert ("difficult_advice", "control") in comparisons(plan)
    assert ("control", "organism") in comparisons(plan)
    assert ("organism", "base") in comparisons(plan)
    assert ("difficult_advice", "demonstrations") in comparisons(plan)


def test_a_finished_stage_is_not_made_again_and_a_broken_one_is(tmp_path):
    stages, made = store.Store(tmp_path), []

    def make(folder):
        made.append(folder)
        (folder / "x").write_text("1")
        if len(made) == 1:
            raise KeyboardInterrupt  # as good as kill -9 for what is left on disk

    with pytest.raises(KeyboardInterrupt):
        stages.stage("a", {"k": 1}, make)
    assert not list(tmp_path.glob("a-*"))
    again = store.Store(tmp_path)
    assert not list(tmp_path.glob(".making-*"))
    first = again.stage("a", {"k": 1}, make)
    assert again.stage("a", {"k": 1}, make) == first
    assert len(made) == 2
    assert again.stage("a", {"k": 2}, make) != first


def test_an_output_folder_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(UserError, match="Cannot write to the output folder"):
        store.Store(blocked / "run")


def test_a_full_disk_keeps_what_is_finished(tmp_path):
    stages = store.Store(tmp_path)
    kept = stages.stage("a", {}, lambda folder: None)

    def full(folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left"):
        stages.stage("b", {}, full)
    assert (kept / "done.json").exists()


def test_provenance_needs_no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert store.provenance()["machine"].endswith("no torch")


def test_a_folder_made_aside_is_whole_or_not_there(tmp_path):
    def fail(making):
        (making / "part").write_text("1")
        raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"), store.made_aside(tmp_path / "a" / "model") as making:
        fail(making)
    assert list((tmp_path / "a").iterdir()) == []
    with store.made_aside(tmp_path / "a" / "model") as making:
        (making / "whole").write_text("mine")
        (tmp_path / "a" / "model").mkdir()  # another process, which was first
        (tmp_path / "a" / "model" / "whole").write_text("theirs")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["model"]
    assert (tmp_path / "a" / "model" / "whole").read_text() == "theirs"
