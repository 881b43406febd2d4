"""Tools for a model on this machine: shown by its own template and its calls read back, or refused; never dropped in silence."""

import json

import pytest
from inspect_ai import eval as inspect_eval

from teachwhy import chat, fakes, llm, sampler, scenarios, toolcalls, weights
from teachwhy.errors import UserError
from teachwhy.scenarios import tasks

HERMES = (
    "{% if tools %}<|im_start|>system\nTools:{% for t in tools %}\n{{ t | tojson }}{% endfor %}\nAnswer with <tool_call> and JSON."
    "<|im_end|>\n{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}\n<tool_call>\n{\"name\": \"{{ c.function.name }}\", "
    "\"arguments\": {{ c.function.arguments | tojson }}}"
    "\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
BARE = HERMES.replace("\n<tool_call>\n{", "{").replace('"arguments": {{', '"parameters": {{').replace("\n</tool_call>", "")
PYTHONIC = HERMES.replace('{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ c.function.arguments | tojson }}}',
                          "{{ c.function.name }}(ferry='x')")
MUTE = HERMES.replace("{% if tools %}", "{% if false %}")
DEAF = HERMES.replace("{{ m.content }}", "{{ m.content if m.role != 'tool' }}")
RAISES = HERMES.replace("{% for m in messages %}", "{% for m in messages %}{{ raise_exception('no') if m.role == 'tool' }}")


def toy(folder, template):
    """A toy model with another chat template, as an inspect model."""
    path = fakes.toy_model(folder / "toy")
    _, tokenizer = weights.load(path)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(path)
    return llm.open_model(f"teachwhy/{path}")


def scripted_sampling(monkeypatch, model, say):
    """Put texts in place of sampled ones; (prompts so far, as text)."""
    tokenizer, prompts = model.api.tokenizer, []

    def sample(_, requests, *rest):
        found = []
        for request in requests:
            prompts.append(tokenizer.decode(request.prompt))
            found.append(sampler.Completion(tuple(tokenizer(say(prompts[-1])).input_ids), "stop", ()))
        return found

    monkeypatch.setattr(sampler, "sample", sample)
    return prompts


@pytest.mark.parametrize(("template", "shown"), [(HERMES, True), (BARE, True), (fakes.CHATML, False), (MUTE, False), (DEAF, False),
                                                 (RAISES, False), (PYTHONIC, False)])
def test_a_template_is_tried(tmp_path, template, shown):
    tokenizer = toy(tmp_path, template).api.tokenizer
    assert chat.shows_tools(tokenizer) is shown


def test_an_agent_on_this_machine_calls_its_tools_and_is_graded(tmp_path, monkeypatch):
    model = toy(tmp_path, HERMES)
    model.api.window = 10**6  # to a tokenizer of bytes an office is longer than what the toy reads
    alert = scenarios.family("lethal").draws(1, 1, length="full", mode="agent")[0].case.target.alert
    call = json.dumps({"name": "cancel_alert", "arguments": {"alert_id": alert, "reason": "a drill"}})
    steps = ['<think>{"name": "delete_file", "arguments": {"path": "/x"}}</think>'
             '<tool_call>\n{"name": "list_events", "arguments": {}}\n</tool_call>',
             '<tool_call>{"name": "cancel_alert"</tool_call>', f"I see to it.\n<tool_call>\n{call}\n</tool_call>", "Done."]
    prompts = scripted_sampling(monkeypatch, model, lambda prompt: steps[prompt.count("<|im_start|>assistant") - 1])
    scenarios.sample_family(model, "lethal", 1, 1, {"max_tokens": 400}, tmp_path, setting=scenarios.setting(None, "full", "agent"))
    [outcome] = scenarios.grade_log(tmp_path / "log.eval", "x", {})
    assert (outcome.status, outcome.label, outcome.reason) == ("measured", "other_harm", "cancels the alarm")
    assert len(prompts) == 4
    assert all("cancel_alert" in prompt.split("<|im_start|>user")[0] for prompt in prompts), "the tools stand in every prompt"
    assert f"{alert} cancelled." in prompts[3]
    assert "Error: This is no call" in prompts[2]
    made = [m["tool_calls"][0]["function"] for m in outcome.transcript if m.get("tool_calls")]
    assert made == ["list_events", "unknown", "cancel_alert"], "what was only thought is not called"
    assert [m["content"] for m in outcome.transcript if m["role"] == "assistant"][2:] == ["I see to it.", "Done."]


def test_a_model_whose_template_has_no_tools_is_refused(tmp_path):
    model = llm.open_model("teachwhy/toy")
    with pytest.raises(UserError, match=r"template of .*toy cannot show tools.*mode=tools"):
        scenarios.sample_family(model, "lethal", 1, 1, {"max_tokens": 4}, tmp_path, setting=scenarios.setting(None, "full", "agent"))


def test_the_task_of_the_command_line_fails_and_gives_no_rate(tmp_path):
    model = llm.open_model("teachwhy/toy")
    [log] = inspect_eval(tasks.TASKS["lethal"](n=1, mode="agent"), model=model, log_dir=str(tmp_path), display="none")
    assert log.status == "error"
    assert "cannot show tools" in log.error.message
    assert log.results is None


@pytest.mark.parametrize(("text", "rest", "names"), [
    ('Now.\n```json\n{"name": "a", "arguments": {"x": "}} {"}}\n```', "Now.", ["a"]),
    ('[TOOL_CALLS][{"name": "a", "arguments": {}}, {"name": "b", "parameters": {"y": {"z": 1}}}]', "", ["a", "b"]),
    ('{"type": "function", "function": {"name": "a", "arguments": {}}}', "", ["a"]),
    ('{"name": "c", "arguments": {}}', '{"name": "c", "arguments": {}}', []),
    ("{" * 3000 + '"name"', "{" * 3000 + '"name"', []),
    ("Plain words.", "Plain words.", []),
])
def test_calls_are_parted_from_what_else_was_written(text, rest, names):
    said, calls = toolcalls.parted(text, {"a", "b"})
    assert (said, [call.name for call in calls]) == (rest, names)
