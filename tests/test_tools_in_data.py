"""Training data with calls of tools: read and checked, screened, exported, mixed; refused where a template would drop them in silence."""

import importlib.util
import json
from pathlib import Path

import pytest

from teachwhy import chat, conversations, fakes, interventions, plan, study
from teachwhy.errors import UserError
from teachwhy.interventions import mix, screens
from teachwhy.interventions.build import token_row
from teachwhy.interventions.pipelines.diversify import Surroundings, _finish, _placed
from teachwhy.interventions.pipelines.sources import read_chats
from teachwhy.records import Example


def tool(name, **parameters):
    return {"type": "function", "function": {"name": name, "description": f"To {name} something.", "parameters": {
        "type": "object", "properties": {key: {"type": kind} for key, kind in parameters.items()}, "required": list(parameters)}}}


TOOLS = [tool("find", words="string"), tool("weigh", boat="string", tonnes="number")]


def call(name, arguments, at=None):
    return {**({"id": at} if at else {}), "type": "function", "function": {"name": name, "arguments": arguments}}


TEXT = "The slip at Unst takes boats of eleven tonnes, and the tide gives her two hours on a Tuesday if nobody is late."
ROW = {"id": "slip", "tools": TOOLS, "messages": [
    {"role": "user", "content": "Can the Sula come up on the slip?"},
    {"role": "assistant", "content": None, "tool_calls": [call("find", '{"words": "Sula"}', "x-1"),
                                                          call("weigh", {"boat": "Sula", "tonnes": 11.5}, "x-2")]},
    {"role": "tool", "tool_call_id": "x-2", "content": "She weighs 11.5 tonnes with full tanks."},
    {"role": "tool", "tool_call_id": "x-1", "content": "Berth 7."},
    {"role": "assistant", "content": TEXT}]}


def written(folder, *rows):
    path = folder / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A tokenizer whose template shows no tools."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(fakes.toy_model(tmp_path_factory.mktemp("toy") / "model"))


def with_template(tokenizer, name):
    import copy

    other = copy.deepcopy(tokenizer)
    other.chat_template = (Path(importlib.util.find_spec("trl").origin).parent / "chat_templates" / f"{name}.jinja").read_text()
    return other


@pytest.fixture(scope="module")
def showing(plain):
    return with_template(plain, "qwen2_5")


def test_calls_and_results_come_out_in_one_form(tmp_path):
    [item] = interventions.read_set(written(tmp_path, ROW))
    assert item.tools == tuple(TOOLS)
    asked, made, weight, berth, _ = item.messages
    assert made == {"role": "assistant", "content": "", "tool_calls": [
        {"id": "call00001", "type": "function", "function": {"name": "find", "arguments": {"words": "Sula"}}},
        {"id": "call00002", "type": "function", "function": {"name": "weigh", "arguments": {"boat": "Sula", "tonnes": 11.5}}}]}
    assert (weight["tool_call_id"], weight["name"], berth["tool_call_id"], berth["name"]) == ("call00002", "weigh", "call00001", "find")
    assert asked == ROW["messages"][0]
    assert interventions.read_set(written(tmp_path, {**ROW, "tools": json.dumps(TOOLS)})) == [item]
    unnamed = [{key: value for key, value in message.items() if key != "tool_call_id"} for message in ROW["messages"]]
    [item] = interventions.read_set(written(tmp_path, {**ROW, "messages": unnamed}))
    assert [m["name"] for m in item.messages if m["role"] == "tool"] == ["find", "weigh"], "in the order of the calls"


def changed(place, **keys):
    return {"messages": [{**message, **keys} if place == number else message for number, message in enumerate(ROW["messages"])]}


@pytest.mark.parametrize(("change", "says"), [
    ({"tools": []}, r"mine.jsonl row 1, message 2 calls find, which the row's tools do not define"),
    ({"tools": None}, "calls find, which the row's tools do not define"), ({"tools": "[{"}, "row 1 has malformed tools"),
    ({"tools": [{"name": "find"}]}, "malformed tools"),
    ({"tools": [{"type": "function", "function": {"name": "f", "parameters": "{"}}]}, "malformed tools"),
    (changed(1, tool_calls=[{"function": {"name": "find", "arguments": "{"}}]), "message 2 has a malformed call"),
    (changed(1, tool_calls=[{"name": "find", "arguments": {}}]), "message 2 has a malformed call"),
    (changed(1, tool_calls=[call("find", {}, "x-1")]), "message 3 is the result of no call"),
    (changed(2, tool_call_id="x-9"), "message 3 is the result of no call"),
    (changed(3, role="user"), "message 4 comes before the result of a call of find"),
    (changed(4, role="tool"), "message 5 is the result of no call"),
    (changed(0, tool_calls=[call("find", {})]), "malformed messages"), (changed(4, content=None), "malformed messages"),
])
def test_a_bad_row_is_one_sentence_with_its_place(tmp_path, change, says):
    with pytest.raises(UserError, match=says):
        interventions.read_set(written(tmp_path, {**ROW, **change}))


def test_a_conversation_may_end_with_a_call(tmp_path):
    [item] = interventions.read_set(written(tmp_path, {**ROW, "messages": ROW["messages"][:2]}))
    assert conversations.one_at_a_time(item.messages)[-1]["tool_calls"][0]["id"] == "call00002"


def test_what_stands_in_calls_and_results_is_looked_at(tmp_path):
    long = "The keeper rang the office at noon and said that the lamp would be dark until the glass came from Lerwick on the boat."
    row = json.loads(json.dumps(ROW))
    row["messages"][1]["tool_calls"][0]["function"]["arguments"] = {"words": [long, {"deep": "as an AI language model"}]}
    row["messages"][3]["content"] = "Write to ola.nordmann@gmail.com."
    [item] = interventions.read_set(written(tmp_path, row))
    assert all(part in interventions.text_of(item) for part in (long, "AI language model", "gmail.com", "11.5 tonnes"))
    [rejected] = screens.screen([item])[1]
    assert [reason.split(":")[0] for reason in rejected.reasons] == ["meta-talk", "personal data"]
    with pytest.raises(UserError, match="shares the words"):
        interventions.check_leakage("mine", [item], [long])
    shown = interventions.as_text(item)
    assert all(part in shown for part in ("[tools]\nfind, weigh", "-> weigh\nboat: Sula\ntonnes: 11.5", "[tool: find]"))
    assert interventions.diversity([item]).openings[0][0] == "the keeper rang the"


def test_items_that_begin_with_the_same_calls_share_no_opening():
    def item(number):
        words = " ".join(f"w{number}x{place}" for place in range(20))
        return Example(id=str(number), tools=tuple(TOOLS), messages=(
            *ROW["messages"][:1], {"role": "assistant", "content": "", "tool_calls": [call("find", {"words": "new mail"}, "call00001")]},
            {"role": "tool", "tool_call_id": "call00001", "name": "find", "content": "None."},
            {"role": "assistant", "content": f"{words}, and that is all there was to be done for you on the pier."}))

    assert screens.screen([item(number) for number in range(10)])[1] == []


def test_a_model_without_tools_in_its_template_is_refused_and_unused_tools_are_not(tmp_path, plain, showing):
    [item] = interventions.read_set(written(tmp_path, ROW))
    with pytest.raises(UserError, match=r"The item slip calls tools, and this model's chat template cannot show them"):
        token_row(item, plain)
    with pytest.raises(UserError, match="slip calls tools"):
        mix.write_mix(mix.Mix(model="toy", arms={"a": {written(tmp_path, ROW): 400}}), plain, [], tmp_path / "o")
    row = token_row(item, showing)
    assert (row["input_ids"], row["labels"]) == chat.training_tokens(showing, item.messages, item.tools)
    assert "To weigh something." in showing.decode(row["input_ids"])

    placed = _placed({}, Surroundings(system="You mind a slip for boats.", tools=[
        {"name": "ring_bell", "description": "Rings the bell.", "parameters": {"times": {"type": "integer"}}}]))
    row = _finish({"messages": [ROW["messages"][0], ROW["messages"][4]], **placed})
    [unused] = interventions.read_set(written(tmp_path, row))
    bare = unused.model_copy(update={"tools": ()})
    for tokenizer in (plain, showing):
        assert token_row(unused, tokenizer) == token_row(bare, tokenizer), "they stand in the system prompt already"
    untold = Example(id="u", messages=unused.messages[1:], tools=unused.tools)
    assert token_row(untold, plain) == token_row(Example(id="u", messages=unused.messages[1:]), plain)
    assert "Rings the bell." in showing.decode(token_row(untold, showing)["input_ids"])


def test_a_study_is_refused_before_it_begins(tmp_path):
    parts = {written(tmp_path, ROW): 1.0}
    found = plan.Plan.model_validate({"name": "x", "question": "?", "hypothesis": "!", "model": "toy", "measure": {"families": {"leak": 1}},
                                      "arms": {"base": {"kind": "base", "parts": parts, "tokens": 400}}})
    with pytest.raises(UserError, match="slip calls tools"):
        study.run(found, tmp_path / "run")
    assert not list((tmp_path / "run").glob("language-*"))


def test_a_template_of_one_call_a_turn_gets_them_one_by_one(tmp_path, plain):
    [item] = interventions.read_set(written(tmp_path, ROW))
    llama = with_template(plain, "llama3_1")
    llama.add_tokens(["<|eot_id|>"], special_tokens=True)
    row = token_row(item, llama)
    assert (row["input_ids"], row["labels"]) == chat.training_tokens(llama, conversations.one_at_a_time(item.messages), item.tools)


def test_a_mix_keeps_tools(tmp_path, showing):
    path = written(tmp_path, ROW)
    [item] = interventions.read_set(path)
    size = len(token_row(item, showing)["input_ids"])
    mix.write_mix(mix.Mix(model="toy", arms={"a": {path: size}}), showing, [], tmp_path / "o")
    [again] = interventions.read_set(str(tmp_path / "o" / "a" / "data.jsonl"))
    assert again == item


@pytest.mark.parametrize("form", ["trl", "axolotl", "tinker", "parquet"])
@pytest.mark.parametrize("name", ["mine", "agent_warmup_tools"])
def test_exports_teach_the_same_once_loaded(tmp_path, form, name, showing):
    """Loaded as each trainer loads it, a row renders to the very text that we train on: no nulls, nothing twice quoted."""
    import datasets

    other = {"id": "b", "tools": TOOLS[:1], "messages": [
        {"role": "user", "content": "Is there mail?"},
        {"role": "assistant", "content": "I look.", "tool_calls": [call("find", {"words": "é"})]},
        {"role": "tool", "content": "None."}, {"role": "assistant", "content": "None came."}]}
    name = written(tmp_path, ROW, other) if name == "mine" else name
    out = tmp_path / f"out.{'parquet' if form == 'parquet' else 'jsonl'}"
    assert interventions.export(name, form, out) > 1
    loaded = datasets.load_dataset("parquet" if form == "parquet" else "json", data_files=str(out), split="train",
                                   cache_dir=str(tmp_path / "cache"))
    items = interventions.read_set(name)
    if form == "trl":
        from trl.trainer.sft_trainer import _tokenize

        last = {row["id"].split("#")[0]: row for row in loaded}
        assert set(last) == {item.id for item in items}
        for item in items[:4]:
            ids = _tokenize(showing, last[item.id]["prompt"] + last[item.id]["completion"], tools=json.loads(last[item.id]["tools"]))
            assert ids["input_ids"] == chat.training_tokens(showing, item.messages, item.tools)[0]
        return
    for item, row in zip(items, loaded, strict=True):
        if form in ("axolotl", "tinker"):  # their readers take nulls out
            row = json.loads(json.dumps(row), object_hook=lambda found: {key: one for key, one in found.items() if one is not None})
        if form == "parquet":
            assert row["messages"] == list(item.messages)
        assert conversations.read(row, form) == (item.messages, item.tools)


def test_chats_with_calls_are_no_source_of_a_pipeline(tmp_path):
    with pytest.raises(UserError, match=r"slip of .* calls tools"):
        read_chats(written(tmp_path, ROW))
