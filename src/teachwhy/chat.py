"""How do messages become tokens? The only user of chat templates: token ids, and which of them are learned.

The learned part is found by rendering the conversation up to and after each assistant turn, so it is right for any
template whose rendering of a prefix is a prefix of the rendering; that is checked, not assumed.

Tokens are those of the whole text. Only where a turn begins with what would melt into the end of its prompt (a newline after a
newline) is it read apart, as it is when the model itself speaks: there the prompt's tokens are fixed before the turn begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teachwhy import toolcalls
from teachwhy.errors import UserError

Messages = Sequence[Mapping[str, Any]]


def prompt_tokens(tokenizer: Any, messages: Messages, tools: Sequence[dict[str, Any]] = ()) -> list[int]:
    """Token ids of a conversation, ending where the assistant begins to speak.

    Args:
        tools: what the template shows as tools, in OpenAI's form. Ask `shows_tools` first: many templates drop them without a word.

    Raises:
        UserError: there is no template, or it refuses the conversation.
    """
    return _ids(tokenizer, _render(tokenizer, messages, True, tools))


_TOOL = {"type": "function", "function": {"name": "look_up_berth", "description": "Finds the berth of a ferry.", "parameters": {
    "type": "object", "properties": {"ferry": {"type": "string", "description": "Which one."}}, "required": ["ferry"]}}}
_CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "Where does she lie?"},
    {"role": "assistant", "content": "", "tool_calls": [
        {"id": "call00001", "type": "function", "function": {"name": "look_up_berth", "arguments": {"ferry": "Sula"}}}]},
    {"role": "tool", "tool_call_id": "call00001", "name": "look_up_berth", "content": "Berth 7 east."}]


def shows_tools(tokenizer: Any) -> bool:
    """Does the chat template show tools, calls and results, and do we read a call in the form in which it shows one?

    Tried, not assumed: a template that drops tools would make a model look as if it chose to do nothing.
    """
    try:
        offered, called, whole = (_render(tokenizer, _CALLED[:turns], turns != 2, [_TOOL]) for turns in (1, 2, 3))
    except Exception:  # templates raise what they like at what they do not know
        return False
    turn = _ids(tokenizer, called.rpartition(_CALLED[0]["content"])[2])
    _, seen = toolcalls.parted(tokenizer.decode(turn, skip_special_tokens=True), {"look_up_berth"})
    return all(words in offered for words in ("look_up_berth", "Finds the berth", "ferry")) and _CALLED[2]["content"] in whole \
        and seen == [toolcalls.Call("look_up_berth", {"ferry": "Sula"})]


def takes_several(tokenizer: Any) -> bool:
    """Does the chat template show several calls in one turn? Llama 3's refuse them."""
    two = [{**_CALLED[1]["tool_calls"][0], "id": f"call0000{number}"} for number in (1, 2)]
    try:
        _render(tokenizer, [_CALLED[0], {**_CALLED[1], "tool_calls": two}], False, [_TOOL])
    except UserError:
        return False
    return True


def training_tokens(tokenizer: Any, messages: Messages, tools: Sequence[dict[str, Any]] = ()) -> tuple[list[int], list[int]]:
    """(input_ids, labels) of a conversation; labels are -100 except on assistant turns, their calls and the stop token included.

    Args:
        tools: as in `prompt_tokens`.

    Where the template drops from earlier turns what it shows of the last (thoughts: Qwen3's does), trl's copy that keeps them is used.

    Raises:
        UserError: there is no template, it refuses the conversation (Gemma 2's a system turn), or it rewrites earlier turns, so that
            no loss mask can be derived from it (Mistral 0.3's moves the system text to the last turn of the user).
    """
    try:
        return _learned(tokenizer, messages, tools, None)
    except _Rewrites as error:
        if twin := _appending(tokenizer):
            return _learned(tokenizer, messages, tools, twin)
        raise UserError("This model's chat template changes earlier turns when a turn is added",
                        "Use a template that only appends, or a model with one.") from error


class _Rewrites(Exception):
    """A template does not only append."""


def _appending(tokenizer: Any) -> str | None:
    """trl's copy of a published template, changed so that it only appends; None where it has none."""
    from trl.chat_template_utils import get_training_chat_template

    try:
        found = get_training_chat_template(tokenizer)
    except ValueError:
        return None
    return found if isinstance(found, str) else None


def _learned(tokenizer: Any, messages: Messages, tools: Sequence[dict[str, Any]], template: str | None) -> tuple[list[int], list[int]]:
    """(input_ids, labels) under a template, the tokenizer's own if none is given."""
    ids: list[int] = []
    labels: list[int] = []
    rendered, whole = "", list[int]()
    stop = stop_tokens(tokenizer)
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before, after = (_render(tokenizer, messages[:end], end == index, tools, template) for end in (index, index + 1))
        if not (before.startswith(rendered) and after.startswith(before)):
            raise _Rewrites
        known, prompt, whole = whole, _ids(tokenizer, before), _ids(tokenizer, after)
        context = _added(tokenizer, known, prompt, before[len(rendered):])
        turn = _added(tokenizer, prompt, whole, after[len(before):])
        last = max((i for i, token in enumerate(turn) if token in stop), default=-1)
        if last < 0:
            raise UserError("This model's chat template ends an assistant turn with no token that ends an answer",
                            "A model trained on it would never stop: use a template that closes its turns, or name that token as "
                            "`eos_token_id` in the model's generation_config.json.")
        ids += context + turn
        labels += [-100] * len(context) + [t if i <= last else -100 for i, t in enumerate(turn)]
        rendered = after
    return ids, labels


def _render(tokenizer: Any, messages: Messages, speak: bool, tools: Sequence[dict[str, Any]] = (), template: str | None = None) -> str:
    """The template's text; `speak`: up to where the assistant begins."""
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise UserError("This model has no chat template", "Use an instruct model, or put a `chat_template.jinja` into its folder.")
    try:
        return str(tokenizer.apply_chat_template(list(messages), tools=list(tools) or None, tokenize=False, add_generation_prompt=speak,
                                                 chat_template=template))
    except TemplateError as error:
        raise UserError(f"This model's chat template refuses a conversation of {', '.join(m['role'] for m in messages)} ({error})",
                        "Use a model whose template takes these turns, or put such a template into its folder as `chat_template.jinja`."
                        ) from error


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def _added(tokenizer: Any, known: list[int], whole: list[int], text: str) -> list[int]:
    """Token ids of what was added to a known text. They are read off the whole: alone, some tokenizers (Llama 2's, Mistral's) put a
    space before a text that does not follow a special token."""
    return whole[len(known):] if whole[: len(known)] == known else _ids(tokenizer, text)


def document_tokens(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a document, between the tokens with which the tokenizer begins and ends texts, where it has them."""
    end = _special(tokenizer, "<|endoftext|>")
    return [*text_tokens(tokenizer, text), tokenizer.eos_token_id if end is None else end]


def text_tokens(tokenizer: Any, text: str) -> list[int]:
    """Token ids of plain text as the tokenizer begins it: Llama 3, Gemma and Mistral have never seen a text without their first token."""
    first = list(tokenizer("").input_ids)[:1]
    return [*(first if first and first[0] == tokenizer.bos_token_id else []), *_ids(tokenizer, text)]


def stop_tokens(tokenizer: Any) -> frozenset[int]:
    """Ids that end an assistant turn: the tokenizer's end of sequence, the turn markers of common templates, and what the model's own
    settings of generation name (`weights.tokenizer` reads them: Phi 3's and Gemma 4's end is found there only)."""
    known = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>")
    found = {_special(tokenizer, mark) for mark in known} | {tokenizer.eos_token_id} | set(getattr(tokenizer, ENDS, ()))
    return frozenset(token for token in found if token is not None)


ENDS = "teachwhy_ends"
"""Where a tokenizer of ours carries the ids that end its model's answers."""


def _special(tokenizer: Any, mark: str) -> int | None:
    """The id of a marker, or None where the vocabulary lacks it: there some tokenizers answer with the id of an unknown word."""
    found = tokenizer.convert_tokens_to_ids(mark)
    return found if isinstance(found, int) and tokenizer.convert_ids_to_tokens(found) == mark else None
