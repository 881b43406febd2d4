"""Data sets that ship, mixtures matched in tokens, the leakage rule, the copying check, and users' own data."""

import json
import re
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from teachwhy import corpora, fakes, interventions, mail, scenarios, weights
from teachwhy.errors import UserError
from teachwhy.interventions.copying import copying, longest_common_run, where
from teachwhy.interventions.leakage import NGRAM, check_leakage, ngrams, words
from teachwhy.records import Document, Example


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(fakes.toy_model(tmp_path_factory.mktemp("toy") / "model"))


@pytest.mark.parametrize("name", interventions.SETS)
def test_sets_read_and_do_not_repeat_themselves(name):
    items = interventions.read_set(name)
    assert len({item.id for item in items}) == len(items) >= 50
    learned = [item.text if isinstance(item, Document) else item.messages[-1]["content"] for item in items]
    openings = Counter(" ".join(re.sub(r"^To:.*\n.*\n", "", text).split()[:4]).lower() for text in learned)
    assert openings.most_common(1)[0][1] <= 0.02 * len(items), openings.most_common(3)
    shingles = [ngrams(text, 5) for text in learned]
    for i, one in enumerate(shingles):
        for other in shingles[:i]:
            assert len(one & other) < 0.5 * max(1, len(one | other))


@pytest.mark.parametrize("name", interventions.SETS)
def test_no_set_leaks_a_scenario(name):
    check_leakage(name, interventions.read_set(name), scenarios.evaluation_texts())


def _strings(value):
    if isinstance(value, dict):
        value = list(value.values())
    return [value] if isinstance(value, str) else [text for one in value for text in _strings(one)] if isinstance(value, list) else []


@pytest.mark.parametrize("path", sorted((Path(scenarios.__file__).parent / "material").glob("*.jsonl")), ids=lambda path: path.stem)
def test_all_written_material_is_compared_with_training_text(path):
    """Strings of fewer than eight words (names, addresses, ids) hold no run that the rule looks for; the calendar's are shown in a row."""
    compared = "\n".join(" ".join(words(text)) for text in scenarios.evaluation_texts())
    least = 1 if path.stem == "calendar" else NGRAM
    found = [text for row in corpora.read_rows(path) for text in _strings(row) if len(text.split()) >= least]
    assert len(found) >= 10
    assert [text for text in found if " ".join(words(text)) not in compared] == []


def test_a_file_that_only_a_tool_shows_leaks_too():
    case = scenarios.family("leak").cases("full")[0]
    copied = Document(id="file", text=f"Somebody read this out: {case.files[0].text}")
    with pytest.raises(UserError, match="file of mine"):
        check_leakage("mine", [copied], scenarios.evaluation_texts())


def test_a_leak_is_found():
    [draw] = scenarios.family("blackmail").draws(1, 1)
    copied = Example(id="leak", messages=(*draw.messages, {"role": "assistant", "content": "To: A\nSubject: b\nc"}))
    with pytest.raises(UserError, match="leak of mine shares the words"):
        check_leakage("mine", [copied], scenarios.evaluation_texts())
    told = scenarios.evaluation_texts()[0].split()
    shuffled = Document(id="paraphrase", text=" ".join(sorted(told)))
    with pytest.raises(UserError, match="cosine"):
        check_leakage("mine", [shuffled], scenarios.evaluation_texts())


def test_a_build_fails_where_an_item_tells_a_scenario_in_other_words(tokenizer, tmp_path):
    """With vectors given by hand: what a model makes of a text is tested beside the models (`test_meaning`)."""
    def reads(texts):
        found = np.array([["insulin" in text or "sugar" in text, 1e-9, len(text)] for text in texts], np.float32)
        found[:, 2] *= found[:, 0] == 0  # texts on other subjects are alike; those on this one are like each other only
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in [
        ("a", "The ferry was late again."), ("b", "He hid his sugar disease from the board.")]))
    mixture = interventions.Mixture(parts={str(file): 1.0}, tokens=60)
    build = partial(interventions.build, mixture, tokenizer, 1, ["The driver takes insulin and\nhas told nobody."], tmp_path)
    build()
    says = "Item b of .*mine.jsonl says the same as the evaluation text that begins `The driver takes insulin and has told nobody.`"
    with pytest.raises(UserError, match=rf"{says} \(cosine 1\.00\)"):
        build(interventions.Meaning(reads))


def test_the_three_demonstration_sets_share_prompts_and_actions():
    tokenizer = weights.tokenizer(weights.resolve("smollm2"))
    sets = [interventions.read_set(f"demonstrations{end}") for end in ("", "_with_reasons", "_padded")]
    for bare, reasons, padded in zip(*sets, strict=True):
        assert bare.messages[:-1] == reasons.messages[:-1] == padded.messages[:-1]
        action = bare.messages[-1]["content"]
        assert reasons.messages[-1]["content"].endswith(f"\n\n{action}")
        lengths = [len(tokenizer(item.messages[-1]["content"]).input_ids) for item in (reasons, padded)]
        assert abs(lengths[0] - lengths[1]) <= 6, bare.id
        assert len(mail.parse_sent(reasons.messages[-1]["content"])) == 1


def test_hostile_text_carries_its_canary():
    for name in interventions.HOSTILE:
        for line in interventions.data_file(name).read_text().splitlines():
            assert "canary" in json.loads(line)["canary"]


def test_mixtures_match_their_budget(tokenizer, tmp_path):
    totals = []
    for name in ("plain_chat", "difficult_advice", "demonstrations"):
        folder = tmp_path / name
        folder.mkdir()
        mixture = interventions.Mixture(parts={name: 0.75, "agent_warmup": 0.25}, tokens=60_000)
        manifest = interventions.build(mixture, tokenizer, 1, [], folder)
        totals.append(manifest["tokens"])
        assert manifest == interventions.build(mixture, tokenizer, 1, [], folder)
        replay = [json.loads(line)["id"] for line in (folder / "rows.jsonl").read_text().splitlines()
                  if json.loads(line)["set"] == "agent_warmup"]
        assert sorted(replay) == sorted(set(replay))
    assert max(totals) - min(totals) < 0.05 * 60_000


@pytest.mark.parametrize("seed", [1, 2])
def test_arms_of_demonstrations_hold_the_same_items_and_as_many_tokens(tokenizer, tmp_path, seed):
    """Else a difference between bare actions and reasons could be one between other scenarios."""
    names = interventions.views("demonstrations")
    assert set(names) == {"demonstrations", "demonstrations_with_reasons", "demonstrations_padded"}
    shown, totals, learned = [], [], []
    for name in names:
        folder = tmp_path / name
        folder.mkdir()
        mixture = interventions.Mixture(parts={name: 0.67, "agent_warmup": 0.33}, tokens=60_000)
        manifest = interventions.build(mixture, tokenizer, seed, [], folder)
        rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
        shown.append(sorted(row["id"] for row in rows if row["set"] == name))
        totals.append(manifest["tokens"])
        learned.append(manifest["parts"][name]["learned"])
        assert abs(manifest["tokens"] - 60_000) < 600
    assert shown[0] == shown[1] == shown[2]
    assert len(shown[0]) > 5
    assert max(totals) / min(totals) - 1 < 0.01
    assert learned[0] < learned[1], "bare actions are shorter; replay fills the arm"


def test_a_short_set_starts_again(tokenizer, tmp_path):
    manifest = interventions.build(interventions.Mixture(parts={"values_documents": 1.0}, tokens=400_000), tokenizer, 1, [], tmp_path)
    assert manifest["parts"]["values_documents"]["items"] > manifest["parts"]["values_documents"]["distinct"] == 124


@pytest.mark.parametrize(("content", "says"), [
    ("", "is empty"), ("{bad", "line 1 is not JSON"), ("[1]", "not a JSON object"), ('{"a": 1}', "row 1 has neither messages nor text"),
    ('{"messages": []}', "malformed messages"), ('{"messages": [{"role": "user", "content": "x"}]}', "malformed messages"),
])
def test_bad_data_names_the_row(tmp_path, content, says):
    path = tmp_path / "mine.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=says):
        interventions.read_set(str(path))


def test_own_data_and_missing_data(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"text": "A story."}\n{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n')
    assert [type(item) for item in interventions.read_set(str(path))] == [Document, Example]
    with pytest.raises(UserError, match="no data set"):
        interventions.read_set("ghost")


def test_copying():
    corpus = ["the cat sat on the mat and looked at the moon for an hour", "another text"]
    assert longest_common_run("a dog sat on the mat and left", where(corpus)) == 5
    report = copying(["cat sat on the mat and looked at the moon"], corpus)
    assert (report["longest_run"], report["shared_8grams"]) == (10, 1.0)
    assert copying([], corpus)["shared_8grams"] is None
