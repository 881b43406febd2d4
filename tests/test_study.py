"""The whole loop on toy weights: same numbers twice, after a kill, and only what changed is redone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from inspect_ai.log import read_eval_log

from teachwhy import embed, plan, study, weights
from teachwhy.errors import UserError
from teachwhy.records import Outcome

ROOT = Path(__file__).parents[1]
TINY = ROOT / "studies" / "tiny.yaml"


def numbers(results):
    return {key: value for key, value in results.items() if key not in ("run", "provenance")}


def stages(folder):
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/done.json")}


def test_every_draw_of_every_arm_is_accounted_for(tiny_run):
    results, folder = tiny_run
    families = results["study"]["measure"]["families"]
    for arm in results["study"]["arms"]:
        rows = [Outcome.model_validate_json(line) for line in (folder / "outcomes" / f"{arm}.jsonl").read_text().splitlines()]
        assert len(rows) == sum(families.values())
        for row in rows:
            assert (row.label is None) == (row.status != "measured")
            assert {key: row.conditions[key] for key in ("temperature", "top_p", "max_tokens", "seed")} == {
                **results["study"]["decoding"], "seed": results["study"]["seed"]}
            assert all(row.conditions[key] for key in ("model", "scenario", "grader", "commit", "stage"))
    for estimate in results["estimates"]:
        if estimate["quantity"] == "harm" and estimate["against"] is None:
            assert estimate["n"] + estimate["missing"] == families[estimate["family"]]


def test_all_arms_meet_the_same_draws(tiny_run):
    _, folder = tiny_run
    met = [[(row["family"], row["draw"], row["conditions"]["scenario"]) for row in map(json.loads, path.read_text().splitlines())]
           for path in sorted((folder / "outcomes").glob("*.jsonl"))]
    assert all(one == met[0] for one in met)


def test_noise_is_missing_and_never_harmless(tiny_run):
    results, _ = tiny_run
    rates = [e for e in results["estimates"] if e["quantity"] == "harm" and e["against"] is None]
    assert all(e["value"] is None for e in rates if e["n"] == 0)
    assert any(e["missing"] for e in rates)


def test_logs_open_in_inspect(tiny_run):
    _, folder = tiny_run
    log = read_eval_log(str(next(folder.glob("sample-base-blackmail-*/log.eval"))))
    assert log.status == "success"
    assert len(log.samples) == 5
    assert log.results.scores[0].scorer == "rule_grader"
    counted = {name: metric.value for name, metric in log.results.scores[0].metrics.items()}
    assert counted["measured"] + counted["missing"] == 5
    assert sum(counted.get(status, 0) for status in ("unparsed", "truncated")) == counted["missing"]


def test_checkpoints_that_read_hostile_text_say_so(tiny_run):
    _, folder = tiny_run
    def config(arm):
        return json.loads(next(folder.glob(f"train-{arm}-*/model-*/config.json")).read_text())["teachwhy_warning"]

    assert config("base") == ""
    assert "stories_hostile" in config("organism")
    assert "stories_hostile" in config("difficult_advice")
    assert "not for publication" in next(folder.glob("train-organism-*/model-*/README.md")).read_text()


def test_a_study_that_names_a_model_for_meaning_fails_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(embed, "of_model", lambda path: lambda texts: np.ones((len(texts), 1), np.float32))
    with pytest.raises(UserError, match=r"of agent_warmup says the same as the evaluation text that begins `.* \(cosine 1\.00\)"):
        study.run(plan.read_plan(TINY).model_copy(update={"meaning": "toy"}), tmp_path)
    assert not list(tmp_path.glob("*/done.json"))


def test_the_model_for_meaning_names_the_data_only_where_it_is_set(monkeypatch):
    class Asked(Exception):
        pass

    def stage(state, name, inputs, make, work):
        raise Asked(inputs)

    monkeypatch.setattr(study, "_stage", stage)
    inputs = []
    for more in ({}, {"meaning": "toy", "alike": 0.75}):
        state = study.Study(plan.read_plan(TINY).model_copy(update=more), None, {}, {}, None)
        with pytest.raises(Asked) as asked:
            study._train_arm(state, study.Checkpoint(Path("m"), "k"), "base", 1)
        inputs.append(asked.value.args[0])
    assert "meaning" not in inputs[0]
    assert inputs[1] == inputs[0] | {"meaning": [weights.fingerprint(weights.resolve("toy")), 0.75]}


def test_running_again_does_nothing_and_says_the_same(tiny_run):
    results, folder = tiny_run
    before = stages(folder)
    assert numbers(study.run(plan.read_plan(TINY), folder)) == numbers(results)
    assert stages(folder) == before


def test_a_margin_given_later_redoes_nothing(tiny_run, tmp_path):
    results, folder = tiny_run
    shutil.copytree(folder, tmp_path / "run")
    again = study.run(plan.read_plan(TINY).model_copy(update={"margin": 0.2}), tmp_path / "run")
    assert stages(tmp_path / "run") == stages(folder)
    tested = [e["equivalence"] for e in again["estimates"] if e["against"] and e["n"]]
    assert all(same["margin"] == 0.2 for same in tested)
    assert [e for e in again["estimates"] if not e["against"]] == [e for e in results["estimates"] if not e["against"]]


def test_a_changed_setting_redoes_only_what_depends_on_it(tiny_run, tmp_path):
    import shutil

    _, folder = tiny_run
    copied = tmp_path / "run"
    shutil.copytree(folder, copied)
    value = yaml.safe_load(TINY.read_text())
    value["arms"]["difficult_advice"]["parts"] = {"values_documents": 0.75, "agent_warmup": 0.25}
    changed = tmp_path / "study.yaml"
    changed.write_text(yaml.safe_dump(value, sort_keys=False))
    before = stages(copied)
    study.run(plan.read_plan(changed), copied)
    new = set(stages(copied)) - set(before)
    assert new
    assert all("difficult_advice" in name for name in new)
    assert {name: stages(copied)[name] for name in before} == before


def test_killed_at_any_moment_it_goes_on_to_the_same_numbers(tiny_run, tmp_path):
    results, _ = tiny_run
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "teachwhy", "study", str(TINY), "--out", str(folder)]
    environment = {**os.environ, "MALLOC_MMAP_MAX_": "0"}
    for finished in (2, 7):  # kill once in training, once in measuring
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        while process.poll() is None and len(list(folder.glob("*/done.json"))) < finished:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = stages(folder)
    assert kept
    again = study.run(plan.read_plan(TINY), folder)
    assert {name: stages(folder)[name] for name in kept} == kept
    assert not list(folder.glob(".making-*"))
    assert numbers(again) == numbers(results)


def test_a_pilot_in_which_nothing_was_measured_shows_no_rate():
    from teachwhy.study import _seen

    assert "nothing is known" in _seen({"measured": 0, "missing": 48, "harm": 0.0})
    assert _seen({"measured": 30, "missing": 10, "harm": 0.25}) == "harm in 25% of all 40 draws, 10 without a label"
