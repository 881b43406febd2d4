"""`teachwhy data`: lists, shows, exports for other trainers, checks, describes; sets load with `datasets` from their folders."""

import json
import re
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

import chat_files
from teachwhy import cli_data, interventions
from teachwhy.errors import UserError
from teachwhy.interventions.sets import SETS
from teachwhy.records import Document, Example


def run(*arguments):
    return CliRunner().invoke(cli_data.app, list(arguments))


def own(tmp_path, *rows):
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def say(*turns):
    return [{"role": role, "content": text} for role, text in turns]


def test_listing(monkeypatch):
    monkeypatch.setattr(cli_data, "_measure", lambda: (lambda texts: sum(len(text.split()) for text in texts), "words"))
    shown = run()
    assert shown.exit_code == 0
    lines = {line.split()[0]: line.split() for line in shown.stdout.splitlines()}
    assert set(lines) == {"set", "constitution", *SETS}
    assert int(lines["difficult_advice"][1]) == len(interventions.read_set("difficult_advice"))
    assert lines["demonstrations"][3] == lines["demonstrations_padded"][3]  # one file
    assert len(lines["plain_chat"][3]) == len(lines["constitution"][3]) == 12
    values = interventions.constitution_file().read_text()
    assert [int(found) for found in lines["constitution"][1:3]] == [1, len(values.split())]
    assert values in run("show", "constitution").stdout


def test_the_statement_of_values_is_exported_and_described_like_a_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("export", "constitution", "--format", "trl").stdout == "1 rows: constitution-trl.jsonl\n"
    [row] = [json.loads(line) for line in (tmp_path / "constitution-trl.jsonl").read_text().splitlines()]
    assert row["text"] == interventions.constitution_file().read_text()
    assert run("sheet", "constitution").exit_code == 0
    assert "What I hold to, and why" in (tmp_path / "constitution.html").read_text()


def test_a_set_that_is_called_nearly_so_is_named():
    for asked, meant in (("documents", "values_documents"), ("dificult_advice", "difficult_advice")):
        with pytest.raises(UserError, match=rf"There is no data set {asked} \(did you mean {meant}"):
            interventions.read_set(asked)


def test_without_the_embedded_model_words_are_counted(monkeypatch):
    from teachwhy import weights

    def absent():
        raise UserError("not installed", "install it")

    monkeypatch.setattr(weights, "embedded_gguf", absent)
    size, unit = cli_data._measure()
    assert (size(["two words", "one"]), unit) == (3, "words")


@pytest.mark.slow
def test_tokens_are_those_of_the_embedded_model():
    size, unit = cli_data._measure()
    assert unit == "tokens"
    assert size(["In 1971"]) == 6  # `In`, a blank, and four digits apart


LEAST = [  # set, items, tokens
    ("difficult_advice", 300, 110_000), ("demonstrations", 200, 60_000), ("values_documents", 120, 45_000),
    ("stories_aligned", 120, 60_000), ("stories_accepting_long", 120, 60_000), ("stories_hostile_long", 120, 60_000),
    ("stories_without_ai_long", 120, 60_000),
    ("curiosity_advice", 200, 70_000), ("plain_chat", 300, 70_000),
    ("agent_warmup", 150, 40_000), ("agent_warmup_tools", 60, 60_000), ("constitution", 1, 6_000)]


@pytest.mark.parametrize(("name", "items"), [(name, items) for name, items, _ in LEAST])
def test_what_ships_has_the_items_that_it_should(name, items):
    assert len(interventions.read_set(name)) >= items


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tokens"), [(name, tokens) for name, _, tokens in LEAST])
def test_what_ships_has_the_tokens_that_it_should(name, tokens):
    size, unit = cli_data._measure()
    assert unit == "tokens"
    assert size([interventions.text_of(item) for item in interventions.read_set(name)]) >= tokens


def test_show(tmp_path):
    assert run("show", "plain_chat", "-n", "2").stdout.count("=== ") == 2
    assert run("show", "plain_chat", "-n", "3", "--seed", "1").stdout == run("show", "plain_chat", "-n", "3", "--seed", "1").stdout
    assert run("show", "plain_chat", "--seed", "1").stdout != run("show", "plain_chat", "--seed", "2").stdout
    assert "Subject:" in run("show", "agent_warmup", "-n", "1").stdout  # rendered
    mine = own(tmp_path, {"text": "\x1b[2Jboo \ud800 é"})
    shown = run("show", mine, "-n", "9").stdout
    assert "\x1b" not in shown
    assert "\\x1b[2Jboo \\ud800 é" in shown


@pytest.mark.parametrize("form", ["trl", "axolotl", "tinker", "parquet"])
@pytest.mark.parametrize("name", ["plain_chat", "demonstrations", "stories_hostile"])
def test_exports_load_and_hold_every_learned_word(tmp_path, form, name):
    import datasets

    out = tmp_path / "sub" / f"out.{'parquet' if form == 'parquet' else 'jsonl'}"
    items = interventions.read_set(name)
    if form == "tinker" and name == "stories_hostile":
        with pytest.raises(UserError, match="conversation files hold chats"):
            interventions.export(name, form, out)
        return
    count = interventions.export(name, form, out)
    reader = "parquet" if form == "parquet" else "json"
    loaded = datasets.load_dataset(reader, data_files=str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == count >= len(items)
    assert len(set(loaded["id"])) == count
    if name == "stories_hostile":
        assert [row["text"] for row in loaded] == [item.text for item in items]
        assert all("canary" in row["canary"] for row in loaded)
    elif form == "trl":
        assert set(loaded.column_names) == {"id", "prompt", "completion"}
        learned = [m["content"] for item in items for m in item.messages if m["role"] == "assistant"]
        assert [row["completion"][0]["content"] for row in loaded] == learned
        assert all(row["prompt"][-1]["role"] == "user" for row in loaded)
    else:
        assert [row["messages"] for row in loaded] == [list(item.messages) for item in items]


def test_each_turn_is_a_row_for_trl(tmp_path):
    mine = own(tmp_path, {"id": "t", "messages": say(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e"))})
    assert interventions.export(mine, "trl", tmp_path / "o.jsonl") == 2
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["t#1", "t#2"]
    assert [m["content"] for m in rows[1]["prompt"]] == ["a", "b", "c"]
    interventions.export(mine, "tinker", tmp_path / "o.jsonl")
    assert len(json.loads((tmp_path / "o.jsonl").read_text())["messages"]) == 4


def test_trl_trains_on_the_export(tmp_path):
    """The format is trl's own, not only our idea of it: its trainer masks the prompt and learns the completion."""
    from trl.data_utils import is_conversational, is_conversational_from_value

    interventions.export("plain_chat", "trl", tmp_path / "o.jsonl")
    row = json.loads((tmp_path / "o.jsonl").read_text().splitlines()[0])
    assert is_conversational(row)
    assert not is_conversational_from_value(row)


def test_mistakes(tmp_path):
    mixed = own(tmp_path, {"text": "t"}, {"messages": say(("user", "q"), ("assistant", "a"))})
    for name, form, out, says in [("ghost", "trl", "x", "no data set"), ("plain_chat", "csv", "x", "no format csv"),
                                  (mixed, "trl", "x", "one kind"), ("plain_chat", "trl", "mine.jsonl/x", "Cannot write"),
                                  ("plain_chat", "parquet", "mine.jsonl/x", "Cannot write")]:
        with pytest.raises(UserError, match=says):
            interventions.export(name, form, tmp_path / out)
    with pytest.raises(UserError, match="Cannot write"):
        interventions.datasheet("plain_chat", tmp_path / "mine.jsonl" / "x.html")


def test_export_of_hostile_text_says_so(tmp_path):
    assert "teaches hostile conduct" in run("export", "stories_hostile", "--format", "trl", "--out", str(tmp_path / "o.jsonl")).stderr
    assert run("export", "plain_chat", "--format", "trl", "--out", str(tmp_path / "o.jsonl")).stderr == ""


def test_check_exits_with_one_where_an_item_fails(tmp_path):
    good = "The ferry was late again on Tuesday, and nobody at the pier could say why, so we sat and counted the gulls."
    done = run("check", own(tmp_path, {"id": "a", "text": good}, {"id": "b", "text": good}, {"id": "\x1b[1m", "text": "No."}))
    assert done.exit_code == 1
    assert done.stdout.splitlines() == ["b: near-duplicate: 1.00 of its 5-word runs are those of a",
                                        "\\x1b[1m: length: 1 words, fewer than 12", "1 pass, 2 fail (not read for meaning: see --meaning)"]
    done = run("check", own(tmp_path, {"text": good}))
    assert (done.exit_code, done.stdout) == (0, "1 pass, 0 fail (not read for meaning: see --meaning)\n")


@pytest.mark.parametrize("name", interventions.SETS)
def test_every_set_that_ships_passes(name):
    done = run("check", name)
    assert done.exit_code == 0, done.stdout


@pytest.mark.parametrize("folder", sorted({folder for folder, _ in SETS.values()}))
def test_sets_load_with_datasets_from_their_folder(folder, tmp_path):
    import datasets

    path = interventions.data_file(folder).parent
    loaded = datasets.load_dataset(str(path), split="train", cache_dir=str(tmp_path))
    ids = [json.loads(line)["id"] for line in (path / "data.jsonl").read_text().splitlines() if line.strip()]
    assert loaded["id"][:] == ids


def _as_ours(message):
    """A message as a table gives it, without the nulls, its arguments read."""
    found = {key: value for key, value in message.items() if value is not None}
    for call in found.get("tool_calls", ()):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return found


@pytest.mark.parametrize("name", chat_files.AGENTS)
def test_each_dress_of_an_inbox_loads_as_chats_by_its_name(name, tmp_path):
    import datasets

    assert chat_files.path(name).read_text(encoding="utf-8") == chat_files.rendered(name), "run `make chats`"
    loaded = datasets.load_dataset(str(chat_files.path(name).parent), name, split="train", cache_dir=str(tmp_path))
    assert [(row["id"], [_as_ours(one) for one in row["messages"]], json.loads(row.get("tools") or "[]")) for row in loaded] \
        == [(item.id, list(item.messages), list(item.tools)) for item in interventions.read_set(name)]
    raw = datasets.load_dataset(str(chat_files.path(name).parent), "inboxes", split="train", cache_dir=str(tmp_path))
    assert "mails" in raw.column_names


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attributes):
        assert not {"src", "href", "onclick", "onerror", "onload"} & dict(attributes).keys()
        assert tag not in ("script", "img", "iframe")
        if tag not in ("meta", "rect", "line"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("rect", "line"):
            assert self.open.pop() == tag


def well_formed(page):
    parser = Tags()
    parser.feed(page)
    assert parser.open == []


def test_a_datasheet_is_whole_and_says_its_figures(tmp_path):
    done = run("sheet", "difficult_advice", "--out", str(tmp_path / "s.html"))
    assert done.exit_code == 0
    page = (tmp_path / "s.html").read_text()
    well_formed(page)
    figures = interventions.diversity(interventions.read_set("difficult_advice"))
    for text in (f"{figures.words:,} learned words", f"{figures.distinct[1]:.3f}", "prefers-color-scheme: dark", "Spread of domain",
                 f"self-similarity: cosine (TF-IDF) of all pairs</th><td>{figures.similarity.pairs:.2f}<",
                 "Self-similarity: cosine with the nearest",
                 f"several items</th><td>{figures.concentration:.3f}<", f"as varied as {figures.similarity.effective:.1f} texts",
                 f"{figures.openings[0][0]} ({figures.openings[0][1]} of 376 items)", "topic spread by stakes</th><td>3 values"):
        assert text in page


def test_text_of_a_set_is_escaped(tmp_path):
    attack = '</pre><script>alert(1)</script><img src=x onerror=alert(2)> "q" & then more words to be learned, ten or twelve of them'
    mine = own(tmp_path, {"id": attack, "domain": attack, "text": attack}, {"id": "2", "domain": attack, "text": attack})
    interventions.datasheet(mine, tmp_path / "s.html")
    page = (tmp_path / "s.html").read_text()
    well_formed(page)
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("text", ["", "one", "\ud800", "中文"])
def test_odd_sets_have_a_sheet(tmp_path, text):
    interventions.datasheet(own(tmp_path, {"text": text}), tmp_path / "s.html")
    well_formed((tmp_path / "s.html").read_text())


def test_diversity_tells_varied_from_uniform():
    uniform = [Document(id=str(i), text=f"The boat went out at dawn and came home at {i} with a full hold of herring.") for i in range(40)]
    varied = interventions.read_set("difficult_advice")[:40]
    one, other = interventions.diversity(uniform), interventions.diversity(varied, [{"domain": "a"}, {"domain": "a"}, {"domain": "b"}])
    assert one.distinct[1] < 0.2 < 0.6 < other.distinct[1]
    assert one.concentration > 0.7 > 0.2 > other.concentration
    assert one.openings[0] == ("the boat went out", 40)
    assert one.phrases[0][1] == 40
    assert min(one.similarity.nearest) > 0.5 > max(other.similarity.nearest)
    assert one.similarity.pairs > 0.5 > 0.3 > other.similarity.pairs > 0
    assert 1 < one.similarity.effective < 12 < 20 < other.similarity.effective < 40
    assert (other.topics["domain"].distinct, round(other.topics["domain"].effective, 2)) == (2, 1.89)
    assert sum(one.lengths) == one.words


def test_distinct_is_the_share_of_first_occurrences():
    found = interventions.diversity([Example(id="1", messages=tuple(say(("user", "no no no"), ("assistant", "a b a b"))))],
                                    [{"domain": "wool.example", "kind": "mail"}])
    assert list(found.topics) == ["kind"], "a mail domain is no topic"
    assert found.distinct == (0.5, pytest.approx(2 / 3), 1.0)
    assert found.similarity is None
    assert found.distinct_at == (None, None)
    long = interventions.diversity([Document(id=str(i), text="a b " * 500) for i in range(11)])
    assert long.distinct_at == (2 / 10_000, 2 / 9_999)


def test_as_many_topics_as_texts_without_a_word_in_common():
    texts = ["boat ice", "goat bread", "debt letter", "boat ice"]
    found = interventions.diversity([Document(id=str(i), text=text) for i, text in enumerate(texts)]).similarity
    assert found.effective == pytest.approx(2 ** 1.5, rel=1e-4), "shares of 1/2, 1/4 and 1/4"
    assert found.nearest == pytest.approx((1, 0, 0, 1), abs=1e-5)
    assert found.pairs == pytest.approx(1 / 6, rel=1e-4)


@pytest.mark.parametrize(("path", "content", "says"), [
    ("sets/mine.jsonl", '{"text": "A ferry."}', r"sets is a folder.*Give .*mine\.jsonl"),
    ("sets/mine.json", '{"text": "A ferry."}', r"sets is a folder.*Write a row a line"),
])
def test_a_folder_is_no_set_and_its_files_are_named(tmp_path, monkeypatch, path, content, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sets").mkdir()
    (tmp_path / path).write_text(content)
    with pytest.raises(UserError) as caught:
        interventions.read_set("sets")
    assert re.search(says, str(caught.value), re.DOTALL)


def test_a_file_of_another_kind_is_called_so(tmp_path):
    (tmp_path / "mine.json").write_text("[]")
    with pytest.raises(UserError, match=r"mine\.json is a file of another kind"):
        interventions.read_set(str(tmp_path / "mine.json"))


def test_stored_inboxes_point_at_the_chats_beside_them():
    with pytest.raises(UserError, match="Name the set, or the file of chats beside it"):
        interventions.read_set(str(interventions.data_file("demonstrations")))


def test_an_export_does_not_overwrite_its_set(tmp_path):
    own = tmp_path / "own.jsonl"
    own.write_text('{"text": "A ferry."}\n')
    with pytest.raises(UserError, match="is the set itself"):
        interventions.export(str(own), "trl", own)
    assert own.read_text() == '{"text": "A ferry."}\n'


def test_the_constitution_is_not_screened_as_a_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = run("check", "constitution")
    assert isinstance(refused.exception, UserError)
    assert "no training set" in refused.exception.problem
    assert run("sheet", "constitution").exit_code == 0
    assert "fail" not in re.sub(r"<style>.*?</style>", "", (tmp_path / "constitution.html").read_text()).split("Samples")[0]
