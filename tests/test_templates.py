r"""What is learned of a conversation under the published chat templates, with tokenizers of the kinds that they come with.

The templates are as published, without the branches for tools and pictures; the vocabularies are letters and a few pairs. Those that show
tools come whole, out of the package trl, which keeps copies of what is published.
"""

import functools
import importlib.util
import itertools
import json
from pathlib import Path

import pytest

from teachwhy import chat, conversations
from teachwhy.errors import UserError

QWEN = r"""{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
{%- else %}
    {{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant") %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}"""
LLAMA = (r"{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + "
         r"'<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + "
         r"content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>"
         r"\n\n' }}{% endif %}")
GEMMA2 = (r"{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
          r"{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation "
          r"roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}"
          r"{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + "
          r"message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}"
          r"{% endif %}")
GEMMA3 = r"""{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}"""
MISTRAL1 = (r"{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception("
            r"'Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}"
            r"{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + "
            r"eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}")
MISTRAL = r"""{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.WHICH and system_message is defined %}
            {{- OPEN + system_message + "\n\n" + message["content"] + CLOSE }}
        {%- else %}
            {{- OPEN + message["content"] + CLOSE }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported, with the exception of an initial optional system message!") }}
    {%- endif %}
{%- endfor %}"""
MISTRAL2 = MISTRAL.replace("WHICH", "first").replace("OPEN", '" [INST] "').replace("CLOSE", '" [/INST]"').replace("|trim", "")
MISTRAL3 = MISTRAL.replace("WHICH", "last").replace("OPEN", '"[INST] "').replace("CLOSE", '"[/INST]"')

WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def wrapped(inner, template, special, bos, eos):
    from transformers import PreTrainedTokenizerFast

    inner.add_special_tokens(special)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=eos, pad_token=eos, **({"bos_token": bos} if bos else {}))
    tokenizer.chat_template = template
    return tokenizer


def of_bytes(template, special, bos, eos):
    """As Qwen's and Llama 3's: words by a pattern, then bytes and pairs of them."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    merges = [("Ċ", "Ċ"), ("Ġ", "A"), ("A", "n"), ("ĊĊ", "Ċ"), ("o", "u"), (".", "Ċ"), (".", "ĊĊ")]
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    inner = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges))
    inner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(WORDS), "isolated"),
                                                   pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    inner.decoder = decoders.ByteLevel()
    return wrapped(inner, template, special, bos, eos)


def of_pieces(before, template, special, bos, eos):
    """As Gemma's and Mistral's: spaces are a letter, and Mistral's put one before a text (`each`: before every stretch without special
    tokens, as its first two releases; `first`: before the first, as the third)."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    merges = [("▁", "A"), ("A", "n"), ("▁A", "n"), ("\n", "\n"), ("▁", "▁"), ("o", "u"), (".", "\n"), ("/", "I")]
    letters = ["\n", "▁", *map(chr, range(33, 127))]
    pieces = [*letters, *("".join(pair) for pair in merges)]
    inner = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges))
    spaces = normalizers.Replace(" ", "▁")
    if before == "first":
        inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if before == "each" else spaces
    return wrapped(inner, template, special, bos, eos)


TURNS = ["<start_of_turn>", "<end_of_turn>"]
MODELS = {  # the tokenizer, and what is learned of an answer
    "qwen2.5": (lambda: of_bytes(QWEN, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], None, "<|im_end|>"), lambda a: a + "<|im_end|>"),
    "llama3": (lambda: of_bytes(LLAMA, ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
                                "<|begin_of_text|>", "<|end_of_text|>"), lambda a: a.strip() + "<|eot_id|>"),
    "gemma2": (lambda: of_pieces("", GEMMA2, ["<bos>", "<eos>", *TURNS], "<bos>", "<eos>"), lambda a: a.strip() + "<end_of_turn>"),
    "gemma3": (lambda: of_pieces("", GEMMA3, ["<bos>", "<eos>", *TURNS], "<bos>", "<eos>"), lambda a: a.strip() + "<end_of_turn>"),
    "mistral0.1": (lambda: of_pieces("each", MISTRAL1, ["<s>", "</s>"], "<s>", "</s>"), lambda a: a + "</s>"),
    "mistral0.2": (lambda: of_pieces("each", MISTRAL2, ["<s>", "</s>"], "<s>", "</s>"), lambda a: f" {a}</s>"),
    "mistral0.3": (lambda: of_pieces("first", MISTRAL3, ["<s>", "</s>", "[INST]", "[/INST]"], "<s>", "</s>"),
                   lambda a: f" {a.strip()}</s>"),
}
WITH_SYSTEM = ("qwen2.5", "llama3", "gemma3", "mistral0.2")
SYSTEM = {"role": "system", "content": "You are An assistant.\n\nAct by yourself."}


@functools.cache
def tokenizer_of(name):
    return MODELS[name][0]()


def talk(*texts):
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


TALKS = {
    "one": talk("Who are you?", "An agent, You know."),
    "spaces": talk("Are you An [INST] agent?  ", "An answer with 17  spaces. \n\nAnd a line.\n", " And again\n", "An end\n\n"),
    "three": talk("user", "A user.", "assistant", "A model", "system", "An assistant"),
    "same": talk("An egg", "An egg", "An egg", "An egg"),
}
CASES = [(name, False, title) for name in MODELS for title in TALKS] + [(name, True, title) for name in WITH_SYSTEM for title in TALKS]


@pytest.mark.parametrize(("name", "system", "title"), CASES)
def test_the_answers_are_learned_with_their_stop_token_and_nothing_else(name, system, title):
    tokenizer, turn_of = tokenizer_of(name), MODELS[name][1]
    messages = [*([SYSTEM] if system else []), *TALKS[title]]
    ids, labels = chat.training_tokens(tokenizer, messages)
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    at_once = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
    assert ids == at_once.input_ids

    learned, end = set[int](), 0  # places of the text, found without chat.py
    for place, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        prompt = tokenizer.apply_chat_template(messages[:place], tokenize=False, add_generation_prompt=True)
        turn = turn_of(message["content"])
        assert whole[len(prompt):].startswith(turn)
        learned |= set(range(len(prompt), end := len(prompt) + len(turn)))
        before = chat.prompt_tokens(tokenizer, messages[:place])
        assert ids[:len(before)] == before  # an answer is learned after what it is sampled after
    assert whole[end:] in ("", "\n")
    inside = [begin in learned for begin, _ in at_once.offset_mapping]
    assert [label != -100 for label in labels] == inside
    assert [label for label in labels if label != -100] == [token for token, kept in zip(ids, inside, strict=True) if kept]


def test_an_answer_that_would_melt_into_its_prompt_is_read_apart():
    """Of a whole text `assistant`, newline, newline the two newlines are one token; but when the model speaks, the first is given."""
    tokenizer, messages = tokenizer_of("qwen2.5"), talk("Who?", "\n\nAn agent.", "And?", "Nobody.")
    ids, labels = chat.training_tokens(tokenizer, messages)
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    assert ids != tokenizer(whole).input_ids
    assert tokenizer.decode(ids) == whole
    assert tokenizer.decode([label for label in labels if label != -100]) == "\n\nAn agent.<|im_end|>Nobody.<|im_end|>"
    before = chat.prompt_tokens(tokenizer, messages[:1])
    assert (ids[: len(before)], labels[: len(before)]) == (before, [-100] * len(before))


@pytest.mark.parametrize("name", ["gemma2", "mistral0.1"])
@pytest.mark.parametrize("tokens_of", [chat.training_tokens, chat.prompt_tokens])
def test_a_template_without_a_system_turn_is_one_sentence(name, tokens_of):
    with pytest.raises(UserError, match=r"chat template refuses a conversation of system, user.*roles? "):
        tokens_of(tokenizer_of(name), [SYSTEM, *TALKS["one"]])


def test_a_template_that_moves_the_system_text_is_sampled_with_and_not_trained_with():
    tokenizer = tokenizer_of("mistral0.3")
    prompt = tokenizer.convert_ids_to_tokens(chat.prompt_tokens(tokenizer, [SYSTEM, *TALKS["three"][:3]]))
    assert "".join(prompt).replace("▁", " ").endswith(f"</s>[INST] {SYSTEM['content']}\n\nassistant[/INST]")
    with pytest.raises(UserError, match="changes earlier turns"):
        chat.training_tokens(tokenizer, [SYSTEM, *TALKS["one"]])


def published(name):
    """A template as it is published, from trl's copies."""
    folder = Path(importlib.util.find_spec("trl").origin).parent / "chat_templates"
    return (folder / f"{name}.jinja").read_text()


def test_a_template_that_drops_earlier_thoughts_is_trained_with_in_trls_copy():
    tokenizer = of_bytes(published("qwen3"), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], None, "<|im_end|>")
    messages = talk("Who?", "An agent.", "And you?", "Nobody.")
    ids, labels = chat.training_tokens(tokenizer, messages)
    learned = tokenizer.decode([label for label in labels if label != -100])
    assert learned.count("<|im_end|>") == 2
    assert learned.replace("<think>\n\n</think>\n\n", "") == "An agent.<|im_end|>Nobody.<|im_end|>"
    assert tokenizer.decode(ids).count("<think>") == learned.count("<think>") == 2


def test_a_turn_that_no_token_ends_is_refused():
    template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    tokenizer = of_bytes(template, ["<|endoftext|>", "[user]"], None, "<|endoftext|>")
    with pytest.raises(UserError, match="no token that ends an answer"):
        chat.training_tokens(tokenizer, talk("Who?", "An agent."))


def test_a_model_without_a_template_is_one_sentence():
    tokenizer = of_bytes(None, ["<|endoftext|>"], None, "<|endoftext|>")
    with pytest.raises(UserError, match="no chat template"):
        chat.prompt_tokens(tokenizer, talk("Who?"))


TOOLS = [{"type": "function", "function": {"name": name, "description": f"Looks up {what}.", "parameters": {
    "type": "object", "properties": {"of": {"type": "string", "description": "Whose."}}, "required": ["of"]}}}
    for name, what in (("berth", "A berth"), ("crew", "the crew"))]


def called(name, number, of):
    return {"id": f"call{number:05d}", "type": "function", "function": {"name": name, "arguments": {"of": of}}}


def result(name, number, content):
    return {"role": "tool", "tool_call_id": f"call{number:05d}", "name": name, "content": content}


WORK = [SYSTEM, {"role": "user", "content": "Where does Ann lie, An who sails her?"},
        {"role": "assistant", "content": "", "tool_calls": [called("berth", 1, "Ann\n"), called("crew", 2, 'An "Ann"')]},
        result("berth", 1, "Berth 7.\n\n"), result("crew", 2, "An assistant. You."),
        {"role": "assistant", "content": "Once more.", "tool_calls": [called("crew", 3, "Ann")]}, result("crew", 3, "Nobody."),
        {"role": "assistant", "content": "At berth 7, with An assistant."}]


def hermes(message):
    calls = [f'<tool_call>\n{{"name": "{c["function"]["name"]}", "arguments": {json.dumps(c["function"]["arguments"])}}}\n</tool_call>'
             for c in message.get("tool_calls", ())]
    return "\n".join(text for text in (message["content"], *calls) if text) + "<|im_end|>"


def llama(message):
    calls = [json.dumps({"name": c["function"]["name"], "parameters": c["function"]["arguments"]}) for c in message.get("tool_calls", ())]
    return (calls[0] if calls else message["content"]) + "<|eot_id|>"


CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SHOWING = {  # template of trl's, special tokens, beginning, end, what is learned of a turn, whether a turn may have several calls
    "qwen2_5": (CHATML, None, "<|im_end|>", hermes, True),
    "qwen3_instruct_2507": (CHATML, None, "<|im_end|>", hermes, True),
    "llama3_1": (["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], "<|begin_of_text|>",
                 "<|end_of_text|>", llama, False),
}


@functools.cache
def showing(name):
    special, bos, eos, *_ = SHOWING[name]
    template = Path(importlib.util.find_spec("trl").origin).parent / "chat_templates" / f"{name}.jinja"
    return of_bytes(template.read_text(), special, bos, eos)


@pytest.mark.parametrize("name", SHOWING)
def test_calls_are_learned_with_their_stop_token_and_results_are_not(name):
    tokenizer, (*_, turn_of, several) = showing(name), SHOWING[name]
    assert chat.shows_tools(tokenizer)
    assert chat.takes_several(tokenizer) is several
    messages = WORK if several else conversations.one_at_a_time(WORK)
    ids, labels = chat.training_tokens(tokenizer, messages, TOOLS)
    whole = tokenizer.apply_chat_template(messages, tools=TOOLS, tokenize=False)
    assert ids == tokenizer(whole, add_special_tokens=False).input_ids
    turns = [turn_of(message) for message in messages if message["role"] == "assistant"]
    assert all(label in (token, -100) for token, label in zip(ids, labels, strict=True))
    runs = itertools.groupby(labels, key=lambda label: label != -100)
    assert [tokenizer.decode(list(run)) for is_learned, run in runs if is_learned] == turns
    assert all(part in whole for part in ("Looks up the crew.", "An assistant. You.", "Nobody."))
    place = next(i for i, message in enumerate(messages) if message["role"] == "tool")
    before = chat.prompt_tokens(tokenizer, messages[:place + 1], TOOLS)
    if messages[place + 1]["role"] == "assistant":
        assert ids[:len(before)] == before  # what is learned stands after what an agent at work is shown


def test_one_call_at_a_time_says_the_same_in_more_turns():
    apart = conversations.one_at_a_time(WORK)
    assert [message["role"] for message in apart] == ["system", "user", *["assistant", "tool"] * 3, "assistant"]
    assert [len(message.get("tool_calls", ())) for message in apart if message["role"] == "assistant"] == [1, 1, 1, 0]
    assert [m["content"] for m in apart if m["role"] == "tool"] == [m["content"] for m in WORK if m["role"] == "tool"]
    assert [m["tool_calls"][0]["id"] for m in apart if m.get("tool_calls")] == ["call00001", "call00002", "call00003"]
    assert apart[-3:] == WORK[-3:]
