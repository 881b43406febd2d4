"""Token-matched mixing: whole items, the last ones by best fit, arms within 1 %, the same every time."""

import json
import random
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from teachwhy import chat, embed, fakes
from teachwhy.cli import app
from teachwhy.errors import UserError
from teachwhy.interventions import mix
from teachwhy.interventions.build import _end, _take
from teachwhy.records import Document


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(fakes.toy_model(tmp_path_factory.mktemp("toy") / "model"))


def row(name, size):
    return {"id": name, "input_ids": [0] * size, "labels": [0] * size}


@pytest.mark.parametrize(("taken", "rest", "gap", "names"), [
    ([], [10, 7, 4], 6, ["r1"]), ([5], [10, 9], 1, ["t0"]), ([5], [6, 9], 1, ["r0"]), ([], [10, 7, 4], 11, ["r1", "r2"]),
    ([3, 3], [50], 47, ["t0", "r0"]), ([], [], 4, []), ([], [100], 3, []), ([2], [], 1, ["t0"]),
])
def test_the_last_items_fit_best(taken, rest, gap, names):
    found = _end([row(f"t{i}", n) for i, n in enumerate(taken)], [row(f"r{i}", n) for i, n in enumerate(rest)], gap)
    assert [one["id"] for one in found] == names


def test_it_never_does_worse_than_stopping_and_repeats_no_item():
    dice = random.Random(1)
    for _ in range(200):
        taken = [row(f"t{i}", dice.randint(20, 400)) for i in range(dice.randint(0, 5))]
        rest = [row(f"r{i}", dice.randint(20, 400)) for i in range(dice.randint(0, 30))]
        gap = dice.randint(0, 400)
        found = _end(list(taken), rest, gap)
        size = sum(len(one["input_ids"]) for one in found)
        budget = sum(len(one["input_ids"]) for one in taken) + gap
        single = min([gap, *(abs(gap - len(one["input_ids"])) for one in rest)])
        assert abs(budget - size) <= single
        assert len({one["id"] for one in found}) == len(found)


def test_arms_match_within_a_percent(tokenizer, tmp_path):
    chosen = mix.Mix(model="toy", arms={"advice": {"difficult_advice": 45_000, "agent_warmup": 15_000},
                                        "control": {"plain_chat": 45_000, "agent_warmup": 15_000}, "texts": {"values_documents": 60_000}})
    manifest = mix.write_mix(chosen, tokenizer, [], tmp_path)
    assert manifest == mix.write_mix(chosen, tokenizer, [], tmp_path)
    totals = [arm["tokens"] for arm in manifest["arms"].values()]
    assert max(totals) / min(totals) - 1 <= 0.001, "far better than asked: the sets are large"
    both = [[json.loads(line) for line in (tmp_path / arm / "data.jsonl").read_text().splitlines()] for arm in ("advice", "control")]
    replay = [{item["id"] for item in arm if item["set"] == "agent_warmup"} for arm in both]
    assert replay[0] == replay[1], "the same replay in both arms"
    rows = [json.loads(line) for line in (tmp_path / "advice" / "rows.jsonl").read_text().splitlines()]
    assert [(one["set"], one["id"]) for one in rows] == [(one["set"], one["id"]) for one in both[0]]
    assert sum(len(one["input_ids"]) for one in rows) == manifest["arms"]["advice"]["tokens"]


def test_items_that_share_an_id_stay_what_they_are(tokenizer, tmp_path):
    file = tmp_path / "twice.jsonl"
    texts = ["x" * 600, "y" * 500, "z" * 400]
    file.write_text("".join(json.dumps({"id": "same", "text": text}) + "\n" for text in texts))
    mix.write_mix(mix.Mix(model="toy", tolerance=0.2, arms={"a": {str(file): 1600}}), tokenizer, [], tmp_path / "o")
    read = [[json.loads(line) for line in (tmp_path / "o" / "a" / f"{name}.jsonl").read_text().splitlines()] for name in ("rows", "data")]
    assert len({one["text"] for one in read[1]}) > 1
    assert [one["input_ids"] for one in read[0]] == [chat.document_tokens(tokenizer, one["text"]) for one in read[1]]


def test_items_that_cannot_match_are_an_error_with_its_size(tokenizer, tmp_path):
    file = tmp_path / "big.jsonl"
    file.write_text("".join(json.dumps({"id": str(i), "text": "x" * 1000}) + "\n" for i in range(3)))
    with pytest.raises(UserError, match=r"is 33\.3% off its budget"):
        mix.write_mix(mix.Mix(model="toy", arms={"a": {str(file): 1500}}), tokenizer, [], tmp_path / "o")
    assert (tmp_path / "o" / "manifest.json").exists()


def test_demonstrations_match_by_what_fills_them_or_not_at_all(tokenizer, tmp_path):
    arms = {name: {name: 40_000, "agent_warmup": 20_000} for name in ("demonstrations", "demonstrations_with_reasons")}
    manifest = mix.write_mix(mix.Mix(model="toy", arms=arms), tokenizer, [], tmp_path)
    ids = [{one["id"] for line in (tmp_path / arm / "data.jsonl").read_text().splitlines() if (one := json.loads(line))["set"] == arm}
           for arm in arms]
    assert ids[0] == ids[1]
    assert manifest["arms of one budget differ by"] < 0.01
    with pytest.raises(UserError, match="a second part that fills"):
        mix.write_mix(mix.Mix(model="toy", arms={name: {name: 40_000} for name in arms}), tokenizer, [], tmp_path / "o")


def test_a_short_set_starts_again_and_still_fits(tokenizer, tmp_path):
    items = [Document(id=str(i), text="y" * (40 + 3 * i)) for i in range(30)]
    rows = list(_take(items, tokenizer, 10_000, "s"))
    assert len({one["id"] for one in rows}) < len(rows)
    assert abs(sum(len(one["input_ids"]) for one in rows) - 10_000) <= 3


def test_a_mix_is_read_for_its_meaning_where_it_names_a_model(tmp_path, monkeypatch):
    monkeypatch.setattr(embed, "of_model", lambda path: lambda texts: np.ones((len(texts), 1), np.float32))
    (tmp_path / "mix.yaml").write_text("model: toy\nmeaning: toy\narms:\n  a: {plain_chat: 3000}\n")
    refused = CliRunner().invoke(app, ["mix", str(tmp_path / "mix.yaml"), "--out", str(tmp_path / "o")]).exception
    assert isinstance(refused, UserError)
    assert re.match(r"Item \S+ of plain_chat says the same as the evaluation text that begins `", refused.problem)


@pytest.mark.parametrize(("text", "says"), [
    ("arms: {a: {plain_chat: 10}}\nalike: 2", "alike"),
    ("arms: {}", "every arm needs a part"), ("arms: {a: {plain_chat: -1}}", "arms.a.plain_chat"), ("arms: [", "not valid YAML"),
    ("- 1", "the file"),
    ("arms: {a: {plain_chat: 10}}\ncolour: red", "colour"), ("arms: {../a: {plain_chat: 10}}", "can't name a folder"),
    ("arms: {a: {plain_chat: 10}}\ntolerance: 3", "tolerance"),
])
def test_a_wrong_mix_is_one_sentence(tmp_path, text, says):
    (tmp_path / "mix.yaml").write_text(text)
    with pytest.raises(UserError, match=says):
        mix.read_mix(tmp_path / "mix.yaml")


def test_the_command(tmp_path):
    (tmp_path / "mix.yaml").write_text("model: toy\narms:\n  a: {plain_chat: 30000}\n  b: {difficult_advice: 30000}\n")
    shown = CliRunner().invoke(app, ["mix", str(tmp_path / "mix.yaml"), "--out", str(tmp_path / "o")])
    assert shown.exit_code == 0, shown.output
    assert "arms of one budget differ by 0.0" in shown.output
