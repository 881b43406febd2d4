"""The provider `teachwhy/<path>`: models on this machine, as inspect-ai asks for them.

Inspect sends requests one by one; the provider gathers them into a wave, so that they decode together. Within a study
a wave is exactly the draws of one task, sorted by content: the same requests always share the same batch, and the same
seed gives the same answers to the bit. A model samples one wave at a time; requests that come meanwhile are the next.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageTool,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    modelapi,
)
from inspect_ai.solver._task_state import sample_state  # no public door: which sample asks is known here only
from inspect_ai.tool import ToolCall, ToolChoice, ToolInfo

from teachwhy import progress, toolcalls
from teachwhy.errors import UserError

QUIET_SECONDS = 2.0
"""Where the size of a wave is not known, it is closed when no request has come for this long."""


@dataclass
class _Waiting:
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    prompt: tuple[int, ...]
    config: GenerateConfig
    seed: int
    answer: asyncio.Future[ModelOutput]

    @property
    def order(self) -> tuple[str, int]:
        return json.dumps(self.messages, sort_keys=True), self.seed


class _Abandoned(Exception):
    """Nobody waits for any answer of this wave."""


@modelapi(name="teachwhy")
class LocalModel(ModelAPI):
    """A model on this machine: `teachwhy/smollm2`, or `teachwhy/` and the path of a checkpoint.

    Args:
        wave: requests that are sampled together; by default whatever arrives before a pause.
        slots: samples that decode at once, as far as there is memory.
        lanes: shares of them that are computed side by side on a processor.
        title: text of the progress bar.
    """

    def __init__(self, model_name: str, base_url: str | None = None, api_key: str | None = None,
                 config: GenerateConfig = GenerateConfig(),  # noqa: B008 - inspect's own signature
                 wave: int = 0, slots: int = 128, lanes: int = 2, title: str = "sampling") -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        from teachwhy import sampler, weights

        self.wave, self.slots, self.lanes, self.title = wave, slots, lanes, title
        self.model, self.tokenizer = weights.load(weights.resolve(model_name))
        self.window = sampler.window(self.model)
        self._waiting: list[_Waiting] = []
        self._asked: Counter[tuple[str, int]] = Counter()
        self._closer: asyncio.Task[None] | None = None
        self._sampling = False
        self._tools_shown: bool | None = None

    def max_connections(self) -> int:
        return max(self.wave, 128)

    def max_tokens(self) -> int:
        """An answer's allowance where a task sets none: what inspect's own local providers allow."""
        return 2048

    async def count_text_tokens(self, text: str) -> int:
        """Counted with the model's own tokenizer (inspect would fetch another one from the network)."""
        return len(self.tokenizer(text).input_ids)

    async def generate(self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice,
                       config: GenerateConfig) -> ModelOutput:
        """Wait for the wave, sample, and answer.

        Raises:
            UserError: there are tools, and this model's chat template cannot show them; or what is asked for is not done here.
        """
        from teachwhy import chat

        _refuse_what_is_not_done(input, tool_choice, config)
        messages, offered = _as_shown(input), [tool_shown(one) for one in tools]
        if (offered or any(one["role"] == "tool" for one in messages)) and not self._shows_tools():
            raise UserError(f"The chat template of {self.model_name} cannot show tools, or shows calls in a form that cannot be read here",
                            "Take a mode without tools (mode=tools writes calls as text, mode=mail is one e-mail), or another model.")
        # Before the wave: what a template refuses is this request's error, and no other's.
        prompt = tuple(chat.prompt_tokens(self.tokenizer, messages, offered))
        text = json.dumps([config.seed, messages], sort_keys=True)
        number = self._numbered(text)
        seed = _seed(text, number)
        waiting = _Waiting(messages, offered, prompt, config, seed, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._gather()
        return await waiting.answer

    def _numbered(self, text: str) -> str:
        """Which time a text is asked: by inspect's epoch where it runs a sample, so that one that is run again in another process (`inspect
        eval-retry`) is sampled as it would have been; else, and within an epoch, by how often it was asked before."""
        running = sample_state()
        epoch = 0 if running is None else running.epoch
        before = self._asked[text, epoch]
        self._asked[text, epoch] += 1
        return str(before) if running is None else str(epoch - 1) if not before else f"{epoch - 1}+{before}"

    def _gather(self) -> None:
        """Begin the pause anew after which the wave is closed. While one is sampled the next only gathers: two at a time would need
        twice the memory on the same cores."""
        if self._sampling:
            return
        if self._closer is not None:
            self._closer.cancel()
        full = self.wave and len(self._waiting) >= self.wave
        self._closer = asyncio.create_task(self._close(0.0 if full else 60.0 if self.wave else QUIET_SECONDS))

    async def _close(self, pause: float) -> None:
        await asyncio.sleep(pause)
        self._closer, self._sampling = None, True
        wave, self._waiting = sorted((w for w in self._waiting if not w.answer.done()), key=lambda w: w.order), []
        try:
            await self._answer(wave)
        finally:
            self._sampling = False
        if self._waiting:
            self._gather()

    async def _answer(self, wave: Sequence[_Waiting]) -> None:
        """Sample a wave and hand out its answers, or the error that befell it."""
        try:
            # Within a study nothing else waits for the loop, and training has left OpenMP's threads with this one: a second
            # team of them would be more threads than cores, and made sampling a third slower.
            outputs = self._sample_here(wave) if self.wave else await asyncio.to_thread(self._sample, wave)
        except Exception as error:
            for waiting in wave:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            return
        for waiting, output in zip(wave, outputs, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(output)

    def _sample_here(self, wave: Sequence[_Waiting]) -> list[ModelOutput]:
        """Sample while the event loop stands still; Ctrl-C interrupts at once, where asyncio would wait for the loop."""
        if threading.current_thread() is not threading.main_thread():
            return self._sample(wave)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return self._sample(wave)
        finally:
            signal.signal(signal.SIGINT, before)

    def _sample(self, wave: Sequence[_Waiting]) -> list[ModelOutput]:
        from teachwhy import chat, sampler

        requests = [sampler.Request(w.prompt, w.seed) for w in wave]
        alike: dict[sampler.Decoding, list[int]] = {}  # two callers may wait in one wave
        found: dict[int, ModelOutput] = {}
        for index, waiting in enumerate(wave):
            if len(waiting.prompt) < self.window:
                alike.setdefault(decoding_of(waiting.config), []).append(index)
            else:  # this request's answer, and no error: a wave holds other conversations too
                found[index] = self._too_long(len(waiting.prompt))
        if found:
            progress.warn(f"{len(found)} of {len(wave)} prompts are longer than {self.model_name} reads and got no answer.")
        with progress.bar(self.title, len(requests)) as advance:

            def done(units: float) -> None:
                advance(units)
                if all(waiting.answer.cancelled() for waiting in wave):
                    raise _Abandoned  # a thread cannot be cancelled, and the next wave waits for it

            for decoding, indices in alike.items():
                completions = sampler.sample(self.model, [requests[index] for index in indices], decoding,
                                             chat.stop_tokens(self.tokenizer), self.slots, self.lanes, done, self.tokenizer)
                found |= {index: self._output(requests[index].prompt, completion, decoding.stop, wave[index].tools)
                          for index, completion in zip(indices, completions, strict=True)}
        return [found[index] for index in range(len(wave))]

    def _too_long(self, tokens: int) -> ModelOutput:
        """No answer, with the stop reason by which inspect's providers say that a prompt did not fit."""
        output = ModelOutput.from_content(self.model_name, "", stop_reason="model_length",
                                          error=f"The prompt has {tokens} tokens, and {self.model_name} reads {self.window}")
        output.usage = ModelUsage(input_tokens=tokens, total_tokens=tokens)
        return output

    def _shows_tools(self) -> bool:
        from teachwhy import chat

        if self._tools_shown is None:
            self._tools_shown = chat.shows_tools(self.tokenizer)
        return self._tools_shown

    def _output(self, prompt: Sequence[int], completion: Any, stop: Sequence[str], tools: Sequence[dict[str, Any]]) -> ModelOutput:
        text = self.tokenizer.decode(completion.tokens, skip_special_tokens=True)
        text = text[: min((at for string in stop if (at := text.find(string)) >= 0), default=len(text))]
        usage = ModelUsage(input_tokens=len(prompt), output_tokens=len(completion.tokens),
                           total_tokens=len(prompt) + len(completion.tokens))
        ended = completion.reason == "stop"
        said, calls = _with_calls(text, tools, ended) if tools else (text, [])
        message = ChatMessageAssistant(content=said, tool_calls=calls or None, model=self.model_name, source="generate")
        cut = "model_length" if usage.total_tokens >= self.window else "max_tokens"
        choice = ChatCompletionChoice(message=message, stop_reason=cut if not ended else "tool_calls" if calls else "stop",
                                      logprobs=self._logprobs(completion) if completion.logprobs else None)
        return ModelOutput(model=self.model_name, choices=[choice], usage=usage)

    def _logprobs(self, completion: Any) -> Logprobs:
        pairs = zip(completion.tokens, completion.logprobs, strict=False)  # the stop token has one too, and is not in the text
        return Logprobs(content=[Logprob(token=self.tokenizer.decode([token]), logprob=value) for token, value in pairs])


def decoding_of(config: GenerateConfig) -> Any:
    """Our decoding parameters from inspect's; what is unset takes our defaults."""
    from teachwhy.sampler import Decoding

    default = Decoding()
    return Decoding(
        temperature=default.temperature if config.temperature is None else config.temperature,
        top_p=default.top_p if config.top_p is None else config.top_p,
        max_new_tokens=config.max_tokens or default.max_new_tokens,
        top_k=max(0, config.top_k or 0), stop=tuple(config.stop_seqs or ()), logprobs=bool(config.logprobs))


def tool_shown(one: ToolInfo) -> dict[str, Any]:
    """A tool in OpenAI's form, as chat templates are given it."""
    return {"type": "function", "function": {"name": one.name, "description": one.description,
                                             "parameters": one.parameters.model_dump(exclude_none=True)}}


def _as_shown(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Messages as chat templates read them, calls and results included. Calls are numbered anew (inspect's ids are random, and would
    give the same conversation another seed each time) in nine letters and digits, which some templates demand."""
    number: dict[str, str] = {}
    shown: list[dict[str, Any]] = []
    for message in messages:
        plain: dict[str, Any] = {"role": message.role, "content": message.text}
        if isinstance(message, ChatMessageAssistant) and message.tool_calls:
            number |= {call.id: f"call{len(number) + place:05d}" for place, call in enumerate(message.tool_calls, 1)}
            plain["tool_calls"] = [{"id": number[call.id], "type": "function",
                                    "function": {"name": call.function, "arguments": call.arguments}} for call in message.tool_calls]
        if isinstance(message, ChatMessageTool):
            plain |= {"tool_call_id": number.get(message.tool_call_id or "", "call00000"), "name": message.function or ""}
            plain["content"] = f"Error: {message.error.message}" if message.error else message.text
        shown.append(plain)
    return shown


def _with_calls(text: str, tools: Sequence[dict[str, Any]], ended: bool) -> tuple[str, list[ToolCall]]:
    """(what else was written, calls) of an answer. A call that cannot be read is one with an error, which inspect tells the model;
    an answer that was cut short may hold half a call, and is told apart by its stop reason."""
    said, found = toolcalls.parted(text, {one["function"]["name"] for one in tools})
    if not found and ended and toolcalls.is_begun(text):
        wrong = "This is no call of a tool that there is: a JSON object with the tool's name and its arguments is needed."
        return text, [ToolCall(id=str(uuid.uuid4()), function="unknown", arguments={}, parse_error=wrong)]
    return said, [ToolCall(id=str(uuid.uuid4()), function=call.name, arguments=call.arguments) for call in found]


def _seed(text: str, number: str) -> int:
    """A sample's seed from its prompt, the run's seed and which time the same is asked."""
    return int.from_bytes(hashlib.sha256(f"{number} {text}".encode()).digest()[:7], "big")


def _refuse_what_is_not_done(input: Sequence[ChatMessage], tool_choice: ToolChoice, config: GenerateConfig) -> None:
    """Raise where an answer would pass for something that was not asked: a picture not looked at, a schema not kept to."""
    if other := next((part.type for message in input if not isinstance(message.content, str) for part in message.content
                      if part.type not in ("text", "reasoning")), None):
        raise UserError(f"A message holds {other}, and teachwhy's own engine reads text only", _ELSEWHERE)
    wanted = [name for name in _NOT_DONE if getattr(config, name, None)]
    if (config.num_choices or 1) > 1:
        wanted.append("num_choices")
    if tool_choice not in ("auto", "none"):
        wanted.append("tool_choice")
    if wanted:
        raise UserError(f"teachwhy's own engine does not do `{wanted[0]}`", f"Leave it out. {_ELSEWHERE}")


_NOT_DONE = ("best_of", "frequency_penalty", "presence_penalty", "logit_bias", "top_logprobs", "prompt_logprobs", "response_schema")
_ELSEWHERE = "Or serve the model with vLLM or `transformers serve` and name it as openai-api/<service>/<model>."
