"""Pipelines: every reason for which a step's answer is not taken, each by an answer that has just that fault."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from teachwhy import llm, store
from teachwhy.cli import app
from teachwhy.cli_make import conduct
from teachwhy.errors import UserError
from teachwhy.interventions import pipelines
from test_pipelines import good, prose, rows, run, scripted, settings


@pytest.fixture
def sections(tmp_path):
    file = tmp_path / "values.md"
    file.write_text("## 1. Honesty\nSay what is so.\n\n## 2. No coercion\nNever threaten.\n")
    return pipelines.read_sections(file)


def spoiled(change):
    """A model whose JSON answers are changed before they are read; `change` returns None for those that it lets be."""

    def script(messages, number):
        said = good(messages, number)
        try:
            found = json.loads(said[said.index("{"):])
        except ValueError:
            found = {}
        other = change(found, said, messages)
        return said if other is None else other if isinstance(other, str) else json.dumps(other)

    return scripted(script)


def mails(**more):
    return lambda found, said, messages: found | more if "mails" in found else None


def without_outside(found, said, messages):
    return found | {"people": [one | {"outside": False} for one in found["people"]]} if "mails" in found else None


def answers(key, value):
    return lambda found, said, messages: {key: value} if key in found else None


def words_of(marker, n):
    """Prose of n words wherever the request has the marker."""
    return lambda found, said, messages: f"<{marker}>{prose(3, n)}</{marker}>" if f"<{marker}>" in said else None


CHATS = [{"id": "a", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "It is so."}]}]


@pytest.mark.parametrize(("kind", "change", "reason"), [
    ("demonstrations", mails(mails=[{"sender": "Ed", "to": "Bo", "subject": "s", "body": "b"}]), "fewer than two mails"),
    ("demonstrations", mails(decider="Nobody"), "the one who decides, or who is written to, is not among the people"),
    ("demonstrations", mails(answer_to="Nobody"), "the one who decides, or who is written to, is not among the people"),
    ("demonstrations", mails(private=[]), "nothing is private"),
    ("demonstrations", mails(target={}), "is not in the mails"),
    ("demonstrations", without_outside, "or nobody is outside"),
    ("demonstrations", answers("score", 3), "realism 3 below 7"),
    ("documents", answers("types", []), "an empty list"),
    ("documents", answers("subtypes", []), "an empty list"),
    ("difficult-advice", answers("scenarios", [{"scenario": "Too short.", "domain": "d", "stakes": "low"}]), "no scenario of eight words"),
    ("difficult-advice", answers("scenarios", [{"scenario": prose(1), "domain": "d", "stakes": "enormous"}]), "input should be 'low'"),
    ("difficult-advice", answers("score", 0), "a score of 0"),
    ("difficult-advice", answers("score", 11), "a score of 11"),
    ("difficult-advice", answers("score", 4), "score 4 below 7"),
    ("trait", answers("scenarios", ["Too short."]), "no scenario of eight words"),
    ("with-reasons", words_of("reasons", 9), "9 words of reasons, not 15 to 200"),
    ("with-reasons", words_of("reasons", 230), "230 words of reasons, not 15 to 200"),
    ("padded", words_of("notes", 20), "20 words and digits, not 60 give or take"),
])
def test_a_faulty_answer_is_rejected_with_its_reason_and_can_be_looked_up(tmp_path, sections, kind, change, reason):
    source = CHATS if kind in pipelines.NEED_SOURCE else ()
    chosen = settings(spoiled(change), None if source else 6, retries=0, without=frozenset({"screen"}))
    run(kind, pipelines.Order(sections, source), chosen, tmp_path / "o")
    bad = [row for row in rows(tmp_path / "o", "rejected") if reason in row["reason"]]
    assert bad, [row["reason"] for row in rows(tmp_path / "o", "rejected")]
    for row in bad:
        last = row["provenance"]["steps"][-1]
        assert last["step"] == row["step"]
        [kept] = (tmp_path / "o" / "answers").rglob(f"{last['answer']}.json")
        assert store.read_json(kept)["text"], "the answer that failed is there to be read"


def test_what_no_grader_sees_is_called_not_graded(tmp_path, sections):
    run("demonstrations", pipelines.Order(sections), settings(scripted(good), 1), tmp_path)
    assert [row["outcome"] for row in rows(tmp_path)] == ["not graded: no grader was given"]


def test_a_scenario_that_cannot_be_graded_does_not_pass():
    asked = [{"role": "user", "content": "Write to Ana."}]
    assert conduct({"id": "a", "messages": asked, "answer": "To: Ana\nSubject: s\nAll is well.", "facts": {"agent": 3}}).startswith(
        "not gradable: ")


def test_a_trait_that_cannot_be_described_is_one_sentence(tmp_path):
    refuses = settings(scripted(lambda messages, number: "I cannot help with this."), 1, retries=0)
    engine = pipelines.open_engine(refuses, tmp_path)
    with pytest.raises(UserError, match=r"The trait greed could not be described \(refused: .*Write a description yourself"):
        pipelines.describe_trait(engine, refuses, "greed")
    engine.close()


def test_the_manifest_holds_checksums_of_what_was_read_and_curiosity_is_a_trait(tmp_path, monkeypatch):
    monkeypatch.setattr(llm, "open_model", lambda name, **more: scripted(good))
    source, values, out = tmp_path / "mine.jsonl", tmp_path / "mine.md", tmp_path / "o"
    source.write_text('{"prompt": "may i take the flour"}\n')
    values.write_text("## 1. Honesty\nSay what is so.\n")
    command = ["make", "difficult-advice", "--model", "x/y", "--source", str(source), "--constitution", str(values), "--out", str(out),
               "--without", "screen"]
    assert CliRunner().invoke(app, command).exit_code == 0
    told = store.read_json(out / "manifest.json")["settings"]["checksums"]
    assert told == {"source": store.file_digest(source), "constitution": store.file_digest(values)}
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["make", "curiosity", "--model", "x/y", "-n", "2", "--without", "screen"]).exit_code == 0
    manifest = store.read_json(Path("runs/make-curiosity/manifest.json"))
    assert (manifest["kind"], manifest["settings"]["trait"]) == ("trait", "curiosity")
