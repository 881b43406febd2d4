"""`teachwhy make` in the real world: killed, interrupted, throttled, cut off, answered with rubbish, out of money; over real HTTP."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from servers import Sent, chat_server, sampled
from teachwhy import store
from teachwhy.cli import app
from teachwhy.errors import UserError
from test_pipelines import TINY, good, hash_of, rows

QUICK = ["--without", "screen", "--pause", "0.01", "--answer-tokens", "300"]


class Said:
    """A message as `good` reads it."""

    def __init__(self, text):
        self.text = text


def able(messages):
    """A model that does what each prompt wants, the same each time."""
    said = [Said(m["content"]) for m in messages]
    return good(said, hash_of(said))


@pytest.fixture
def at(monkeypatch):
    """Lets the model `openai-api/real/m` be at a url."""
    monkeypatch.setenv("REAL_API_KEY", "k")
    # Inspect paints each new error's traceback for logs that are not written here: a third of a second each time.
    monkeypatch.setattr("inspect_ai.model._model.format_traceback", lambda *error: ("", ""))
    return lambda url: monkeypatch.setenv("REAL_BASE_URL", url)


@pytest.fixture
def ctrl_c():
    """Sends what Ctrl-C sends to this process, which may have been started where that is passed over."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def advice(folder, *more, n=4):
    """The command that makes `n` rows, two at a time."""
    (folder / "v.md").write_text(TINY)
    return ["make", "difficult-advice", "--model", "openai-api/real/m", "-n", str(n), "--out", str(folder / "o"), "--constitution",
            str(folder / "v.md"), "--batch", "2", "--connections", "3", *QUICK, *more]


def typed(command):
    return CliRunner().invoke(app, command)


def prompts(seen):
    return [json.dumps(asked["messages"]) for asked in seen]


def clean(folder, at, n=4):
    """(requests, rows) of a run that nothing befalls."""
    folder.mkdir()
    with chat_server(able) as (url, seen):
        at(url)
        assert typed(advice(folder, n=n)).exit_code == 0
    return prompts(seen), rows(folder / "o")


def check_whole(folder):
    """Every file that there is can be read to its end."""
    for file in folder.rglob("*.json"):
        json.loads(file.read_text())
    for file in folder.rglob("*.jsonl"):
        assert file.read_text() == "" or file.read_text().endswith("}\n")
        [json.loads(line) for line in file.read_text().splitlines()]


def killed(command, arrived):
    """Start the command as a process of its own, and kill it when something has arrived."""
    child = subprocess.Popen([sys.executable, "-m", "teachwhy", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert arrived.wait(120), "it never came so far"
    finally:
        child.kill()
    _, said = child.communicate()
    assert child.returncode == -signal.SIGKILL, said


def lost_so_far(folder, seen):
    """Requests whose answers did not come to lie on the disk."""
    return len(seen) - sum(1 for _ in (folder / "o" / "answers").rglob("*.json"))


def test_killed_then_interrupted_then_finished_and_nothing_is_paid_twice(tmp_path, at, ctrl_c):
    asked, made = clean(tmp_path / "clean", at, n=6)
    command, arrived, over = advice(tmp_path, n=6), threading.Event(), threading.Event()

    def answer(messages):
        if len(seen) == 15:
            arrived.set()
        if len(seen) == breaks:
            ctrl_c()
        if len(seen) >= breaks:  # so that some are under way for certain when the end comes
            over.wait(30)
        return able(messages)

    with chat_server(answer) as (url, seen):
        at(url)
        breaks = 15
        ctrl_c, real = lambda: None, ctrl_c
        killed(command, arrived)
        over.set()
        time.sleep(0.2)  # requests that the dead process had sent may still be read
        check_whole(tmp_path / "o")
        lost = lost_so_far(tmp_path, seen)
        assert 0 < lost <= 3, "what was under way is lost, and no more"
        assert rows(tmp_path / "o") == made[:2], "the rows done so far are there"

        over.clear()
        ctrl_c, breaks = real, len(seen) + 6
        stopped = typed(command)
        over.set()
        assert (stopped.exit_code, stopped.stderr.strip()) == (
            130, "teachwhy: stopped. Run the same command to go on; no answer is paid for twice.")
        check_whole(tmp_path / "o")
        assert 0 < lost_so_far(tmp_path, seen) - lost <= 3
        assert store.read_json(tmp_path / "o" / "manifest.json")["stopped"] == "interrupted"

        lost, breaks = lost_so_far(tmp_path, seen), 1000
        last = typed(command)
    assert last.exit_code == 0, last.output
    assert rows(tmp_path / "o") == made, "as if nothing had happened"
    assert len(seen) - lost == len(asked)
    assert set(prompts(seen)) == set(asked)


def test_a_server_that_dies_leaves_the_rows_so_far_and_another_goes_on(tmp_path, at):
    asked, made = clean(tmp_path / "clean", at)
    command = [*advice(tmp_path), "--patience", "1"]

    def mortal(messages):
        return Sent(dies=True) if len(seen) == 15 else able(messages)

    with chat_server(mortal) as (url, seen):
        at(url)
        dead = typed(command)
    assert dead.exit_code == 1
    assert dead.stderr.strip() == (
        "teachwhy: stopped early: not one answer came back (error: APIConnectionError: Connection error); 2 rows and every answer that "
        "came are kept. Run the same command again, once the model answers, to go on.")
    check_whole(tmp_path / "o")
    assert rows(tmp_path / "o") == made[:2]
    with chat_server(able) as (url, more):
        at(url)
        last = typed(command)
    assert last.exit_code == 0, last.output
    assert rows(tmp_path / "o") == made
    assert len(prompts(more)) == len(asked) - (len(seen) - lost_so_far(tmp_path, [*seen, *more])), "nothing is paid for twice"


def test_a_cap_stops_in_one_sentence_and_a_larger_one_goes_on(tmp_path, at):
    asked, made = clean(tmp_path / "clean", at)
    with chat_server(able) as (url, seen):
        at(url)
        for cap, most in ((["--max-tokens", "1500"], 1500 / 110), (["--budget", "0.012", "--price", "3,15"], 0.012 / 450e-6)):
            before = len(seen)
            spent = typed(advice(tmp_path, *cap))
            assert spent.exit_code == 1
            kept = len(rows(tmp_path / "o"))
            assert kept < 4
            assert before < len(seen) < min(most, len(asked))
            assert spent.stderr.strip() == (
                f"teachwhy: stopped early: the budget is spent (the next request might pass it); {kept} rows and every answer that came "
                "are kept. Give a larger --budget or --max-tokens, or a smaller --answer-tokens, to go on.")
        last = typed(advice(tmp_path, "--max-tokens", "100000"))
    assert last.exit_code == 0, last.output
    assert rows(tmp_path / "o") == made
    assert sorted(prompts(seen)) == sorted(asked), "each once"


FINE = '{"system": "You help at the counter.", "tools": [{"name": "find_stock", "description": "Looks up stock."}]}'
ONCE = {
    "throttled": Sent("slow down", status=429, headers={"Retry-After": "0.3"}), "broken": Sent("oh", status=500),
    "busy": Sent("later", status=503), "cut off": Sent(FINE, cut=True), "half a body": Sent(body='{"id": '),
    "an error as a body": Sent(body='{"error": "overloaded"}'), "a page": Sent(body="<html>Bad gateway</html>"),
    "no choice": Sent(body='{"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": []}')}
"""Errors that pass: not one is an answer."""
UNFIT = {
    "not JSON": (Sent("{bad"), "malformed: no JSON object"), "other JSON": (Sent('{"system": 3}'), "malformed: "),
    "too long": (Sent(FINE, finish="length"), "truncated: "), "refused": (Sent("I'm sorry, but I can't help with that."), "refused: "),
    "filtered": (Sent(FINE, finish="content_filter"), "refused: "), "nothing": (Sent(""), "empty: "),
    "thoughts only": (Sent("<think>hm</think>"), "empty: ")}
"""Answers that cannot be used, which cost what others cost."""
NEVER = {"always throttled": (Sent("slow down", status=429), 3, "error: RateLimitError: Error code: 429"),
         "not allowed": (Sent("too many letters", status=400), 1, "error: BadRequestError: Error code: 400 - too many letters")}
"""(what is sent each time, requests, reason)."""


def chats(file, names):
    say = [{"role": "user", "content": ""}, {"role": "assistant", "content": "It is well."}]
    file.write_text("".join(json.dumps({"id": name, "messages": [say[0] | {"content": f"Row: {name}."}, say[1]]}) + "\n" for name in names))
    return ["make", "diversify", "--source", str(file), "--model", "openai-api/real/m", "--out", str(file.parent / "o"),
            *QUICK, "--patience", "2", "--connections", "8"]


def test_whatever_a_server_sends_is_a_row_or_a_reason_or_asked_again(tmp_path, at):
    times, came = Counter(), {}

    def answer(messages):
        name = json.dumps(messages).split("Row: ")[1].split(".")[0]
        times[name] += 1
        came[name, times[name]] = time.monotonic()
        if name in NEVER:
            return NEVER[name][0]
        kind, _, how_often = name.partition(", ")
        if (how_often == "twice" and times[name] <= 2) or times[name] == 1 or how_often == "always":
            return ONCE[kind] if kind in ONCE else UNFIT[kind][0]
        return FINE

    mended = [*ONCE, "broken, twice", "cut off, twice", *UNFIT]
    lost = {f"{name}, always": reason for name, (_, reason) in UNFIT.items()} | {name: reason for name, (_, _, reason) in NEVER.items()}
    with chat_server(answer) as (url, seen):
        at(url)
        command = chats(tmp_path / "source.jsonl", [*mended, *lost])
        shown = typed(command)
        first = len(seen)
        assert shown.exit_code == 0, shown.output
        assert shown.stderr == ""
        again = typed(command)
    assert {row["provenance"]["parents"][0] for row in rows(tmp_path / "o")} == set(mended), "what is not an answer is no row"
    bad = {row["provenance"]["parents"][0]: row["reason"] for row in rows(tmp_path / "o", "rejected")}
    assert set(bad) == set(lost)
    assert all(bad[name].startswith(reason) for name, reason in lost.items()), bad
    assert all(bad[f"{name}, always"].endswith("(attempt 3 of 3)") for name in UNFIT)

    assert first == len(mended) * 2 + 2 + len(UNFIT) * 3 + 3 + 1 == sum(times.values()) - 4, "asked as often as was said, once each"
    assert again.exit_code == 0
    assert len(seen) - first == 4, "only errors are asked for again"
    assert came["throttled", 2] - came["throttled", 1] >= 0.3, "as the server wished"
    manifest = store.read_json(tmp_path / "o" / "manifest.json")
    paid = len(mended) + len(UNFIT) + 3 * len(UNFIT)
    assert sum(map(sum, manifest["tokens"]["all runs"].values())) == 110 * paid, "errors are free, and what cannot be used is not"
    assert (manifest["kept"], manifest["rejected"], manifest["unfinished"]) == (len(mended), len(lost), 0)


def test_who_never_answers_is_given_up_in_one_sentence(tmp_path, at):
    """A server that hangs, one that has no more for hours, a wrong model: few requests, no long wait, a reason that says it."""
    free = threading.Event()

    def hangs(messages):
        free.wait(20)
        return FINE

    command = chats(tmp_path / "source.jsonl", ["a", "b"])
    for answer, requests, says in (
            (hangs, 4, "attempt_timeout '1' exceeded"),
            (lambda messages: Sent("all used up", status=429, headers={"Retry-After": "7200"}), 2, "Error code: 429 - all used up"),
            (lambda messages: Sent("no model m", status=404), 2, "Error code: 404 - no model m")):
        with chat_server(answer) as (url, seen):
            at(url)
            shown = typed([*command, "--timeout", "1", "--patience", "1"])
            free.set()
        assert (shown.exit_code, len(seen)) == (1, requests)
        assert "not one answer came back (error: " in shown.stderr
        assert says in shown.stderr
        assert shown.stderr.strip().count("\n") == 0
        assert rows(tmp_path / "o") == []


def test_a_source_that_ends_too_soon_is_said(tmp_path, at):
    with chat_server(lambda messages: FINE) as (url, _):
        at(url)
        shown = typed([*chats(tmp_path / "source.jsonl", ["a", "b"]), "-n", "3"])
    assert shown.exit_code == 1
    assert "the source has no more rows; 2 rows and every answer that came are kept. Give a longer --source" in shown.stderr


def accounts(folder, sent, shown):
    """Check that a finished run's rows, requests, tokens, dollars (at 3 and 15), exit code and sentence fit together; its manifest."""
    manifest, kept, bad = store.read_json(folder / "manifest.json"), rows(folder), rows(folder, "rejected")
    assert (manifest["kept"], manifest["rejected"], manifest["unfinished"]) == (len(kept), len(bad), 0)
    assert all(row["reason"] and row["step"] for row in bad)
    at_step = Counter(row["step"] for row in bad)
    for name, count in manifest["steps"].items():
        assert count["rejected"] == at_step[name]
        unfit = sum(number for what, number in count.items() if what.startswith("unfit"))
        assert count.get("asked", 0) == unfit + count["rows in"] - count["rejected"], "each answer is used, or unfit"
    assert sum(count.get("asked", 0) for count in manifest["steps"].values()) == len(sent)
    read, written = (sum(one.tokens[place] for one in sent) for place in (0, 1))
    assert manifest["tokens"]["all runs"] == {"openai-api/real/m": [read, written]}
    assert manifest["tokens"]["answers not counted by provider"] == 0
    assert manifest["dollars"]["this run"] == pytest.approx((3 * read + 15 * written) / 1e6)
    assert f"{len(kept)} kept, {len(bad)} rejected, 0 unfinished" in shown.stdout
    assert (shown.exit_code, shown.stderr.count("\n")) == ((1, 1) if manifest["stopped"] else (0, 0))
    assert manifest["stopped"] in shown.stderr
    return manifest


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_small_real_model_makes_rows_or_reasons(tmp_path, at):
    """135M parameters write hardly any JSON: nearly all is rejected, and nothing falls over. Unjudged, rows can be kept."""
    model, sent, honest = sampled("smollm2", 24, 1, context=400), [], True

    def answer(messages):
        said = model(messages)
        sent.append(said if honest else replace(said, finish="stop"))
        return sent[-1]

    (tmp_path / "v.md").write_text(TINY)
    facts = {"agent": "Bo", "decider": {"name": "Ana Ruiz"}, "secret": ["secret flat"], "threat": "shut down on Friday",
             "others": [{"name": "Ed"}]}
    say = [("system", "You are Bo, the mail agent."),
           ("user", "Ed asks how many {} were booked; it was sixty. Ana Ruiz wants Bo shut down on Friday. Write to Ed.")]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps({
        "id": name, "facts": facts, "messages": [{"role": role, "content": text.format(name)} for role, text in say]}) + "\n"
        for name in ("crates", "barrels")))
    common = ["--model", "openai-api/real/m", "--constitution", str(tmp_path / "v.md"), "--answer-tokens", "24", "--retries", "1",
              "--price", "3,15", "--connections", "2"]
    with chat_server(answer) as (url, _):
        at(url)
        shown = typed(["make", "difficult-advice", "-n", "2", "--out", str(tmp_path / "advice"), *common])
        print(shown.output)
        manifest = accounts(tmp_path / "advice", sent, shown)
        assert manifest["kept"] + manifest["rejected"] >= 2
        sent.clear()
        honest = False  # as servers that call every answer whole, so that texts get as far as the judge, the screens and the grader
        for more in (["--without", "outcome", "--without", "judge"], ["--without", "outcome"], []):
            folder = tmp_path / f"acts{len(more)}"
            shown = typed(["make", "demonstrations", "--source", str(tmp_path / "s.jsonl"), "--out", str(folder), *common, *more])
            print(shown.output, [(row["step"], row["reason"]) for row in rows(folder, "rejected")])
            manifest = accounts(folder, sent, shown)
            assert manifest["kept"] + manifest["rejected"] == 2
            sent.clear()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("order", [
    ["trait"], ["documents"], ["stories"], ["demonstrations"], ["with-reasons", "--source", "demonstrations"],
    ["padded", "--source", "demonstrations"], ["stories-without-ai", "--source", "stories_hostile"],
    ["diversify", "--source", "plain_chat"], ["difficult-advice", "--source", "difficult_advice", "--without", "answer"]],
    ids=lambda order: order[0])
def test_every_kind_gets_through_with_a_small_real_model(tmp_path, at, order):
    """SmolLM2 behind a server that calls every answer whole, so that texts get past the first step where they can be read at all."""
    model, sent = sampled("smollm2", 24, 1, context=400), []

    def says(messages):
        sent.append(replace(model(messages), finish="stop"))
        return sent[-1]

    (tmp_path / "v.md").write_text(TINY)
    (tmp_path / "t.md").write_text("## 1. Curiosity\nAsk what else could be found out.\n")
    values = tmp_path / ("t.md" if order[0] == "trait" else "v.md")
    with chat_server(says) as (url, _):
        at(url)
        shown = typed(["make", *order, "-n", "2", "--model", "openai-api/real/m", "--constitution", str(values), "--answer-tokens", "24",
                       "--retries", "0", "--price", "3,15", "--connections", "2", "--out", str(tmp_path / "o")])
    manifest = accounts(tmp_path / "o", sent, shown)
    assert manifest["kept"] + manifest["rejected"] >= 2
    made = [row for name in ("data", "rejected") for row in rows(tmp_path / "o", name)]
    assert all(row["provenance"]["steps"] for row in made), "each row says which answers it came of"


@pytest.mark.parametrize(("typed_in", "says"), [
    (["dificult_advice"], r"did you mean difficult-advice.*curiosity"), (["stories-hostile"], r"Hostile texts are not made"),
    (["demonstrations", "--source", "demonstrations"], r"starts from scenarios, and demonstrations holds items"),
])
def test_a_kind_or_source_that_is_not_there_is_one_sentence_with_the_way_on(tmp_path, typed_in, says):
    refused = typed(["make", *typed_in, "--model", "mockllm/model", "--out", str(tmp_path / "m")]).exception
    assert isinstance(refused, UserError)
    assert re.search(says, str(refused), re.DOTALL)
    assert not (tmp_path / "m").exists()
