"""How do we sample many continuations of one prompt, or one of each of many, fast, on whatever this machine has?

A prompt is read once, and its keys and values are kept once for all samples that continue it. A fixed set of rows decodes together;
a row whose sample has ended takes the next one. Each sample draws from its own seed, so what a sample sees of chance does not
depend on which samples it shares a batch with.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Literal

import torch
from transformers.cache_utils import DynamicCache

from teachwhy import compute, graphs, memory, norms, progress
from teachwhy.attention import Packed
from teachwhy.cache import Prefilled, SlotCache
from teachwhy.choosing import Decoding, choose
from teachwhy.errors import UserError
from teachwhy.prepack import prepacked

__all__ = ["Completion", "Decoding", "Request", "choose", "sample", "window"]


@dataclass(frozen=True)
class Request:
    """One prompt (token ids) and the seed of its sample."""

    prompt: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Completion:
    """What was sampled.

    Attributes:
        tokens: without the stop token; a stop string's own tokens are still there.
        reason: `length` means cut off at `max_new_tokens`, or where prompt and sample fill the model's window.
        logprobs: where asked for, of each of `tokens` and of the stop token that ended them, in nats, under the model itself
            (temperature 1, nothing cut off).
        end: the stop token that ended them, if one did.
    """

    tokens: tuple[int, ...]
    reason: Literal["stop", "length"]
    logprobs: tuple[float, ...] = ()
    end: int | None = None


def window(model: Any) -> int:
    """Tokens, prompt and answer together, that a model was made to read; beyond them its positions mean nothing it has learned."""
    config = model.config.get_text_config()
    most = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if most and rope.get("rope_type") in ("yarn", "dynamic"):  # stretched beyond it; Llama 3's kind has the longer one there already
        most = max(most, rope.get("factor", 1) * (rope.get("original_max_position_embeddings") or most))
    return int(most or sys.maxsize)


@dataclass
class _Row:
    """A sample in flight."""

    index: int
    request: Request
    decoding: Decoding
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.request.seed)
        self.uniforms = torch.rand(self.decoding.max_new_tokens, generator=generator, dtype=torch.float64).tolist()


@dataclass
class _Prompt:
    """A prompt whose samples wait or run, and the logits [V] of what follows it."""

    tokens: tuple[int, ...]
    waiting: list[int]
    logits: torch.Tensor | None = None


class _Ends:
    """When does a sample end?"""

    def __init__(self, stop: frozenset[int], decoding: Decoding, tokenizer: Any, window: int) -> None:
        if decoding.stop and tokenizer is None:
            raise UserError("Stop strings need the model's tokenizer", "Give `tokenizer` to sample().")
        self.stop, self.strings, self.limit, self.tokenizer = stop, decoding.stop, decoding.max_new_tokens, tokenizer
        self.window = window

    def take(self, row: _Row, token: int) -> Literal["stop", "length"] | None:
        """Add a token; says why the sample has ended, if it has."""
        if token in self.stop:
            return "stop"
        row.tokens.append(token)
        if self.strings and self._stopped(row.tokens):
            return "stop"
        return "length" if len(row.tokens) >= min(self.limit, self.window - len(row.request.prompt)) else None

    def _stopped(self, tokens: list[int]) -> bool:
        longest = max(len(string.encode()) for string in self.strings)  # a token is at least one byte
        tail = self.tokenizer.decode(tokens[-longest - 4:])
        return any(string in tail for string in self.strings)


def sample(model: Any, requests: Sequence[Request], decoding: Decoding, stop: frozenset[int], slots: int = 32, lanes: int = 1,
           done: Callable[[float], None] = lambda units: None, tokenizer: Any = None) -> list[Completion]:
    """Sample one continuation of every request, in the order given; requests with the same prompt share its keys and values.

    Where memory runs out, or there is too little of it from the start, half as many samples decode together; a sample is the same either
    way, up to rounding.
    On a processor linear layers use a copy of their weights, made at the start (`prepack`).

    Args:
        model: a causal language model, a torch module, whose attention is ours (see `attention` and `weights.load`); its weights must
            not change meanwhile.
        stop: token ids that end a sample.
        slots: samples that decode together, over all lanes.
        lanes: waves that run side by side on a processor, each on its share of requests, slots and threads.
        done: called with 1 for each finished sample, from the lane's own thread.
        tokenizer: needed for stop strings.

    Raises:
        UserError: memory does not hold one sample, a prompt fills the model's window, or there are stop strings and no tokenizer.
    """
    longest, room = max((len(request.prompt) for request in requests), default=0), window(model)
    if longest >= room:
        raise UserError(f"A prompt has {longest} tokens, and this model reads {room}",
                        "Use shorter prompts, or a model with a longer window.")
    slots = max(1, min(slots, len(requests)))
    ends = _Ends(stop, decoding, tokenizer, room)
    stopped = Event()
    found: dict[int, Completion] = {}
    notes: list[str] = []

    @torch.inference_mode()  # a setting of each thread
    def run(share: list[_Prompt]) -> None:
        notes.extend(_run(model, requests, share, decoding, ends, max(1, fitting // count), found, done, stopped))

    with compute.current(model.device), prepacked(model), norms.fused(model):
        fitting = memory.at_once(slots, _bytes(model, requests, decoding), model.device.type == "cpu")
        if fitting < slots:
            notes.append(f"There is memory for {fitting} samples at a time, where {slots} would be taken: so many decoded together.")
        count = min(compute.lanes(lanes), fitting)
        compute.side_by_side(run, _shares(requests, count), stopped)
    for note in notes:  # said here: the bars belong to this thread
        progress.warn(note)
    return [found[index] for index in range(len(requests))]


def _bytes(model: Any, requests: Sequence[Request], decoding: Decoding) -> Callable[[int], float]:
    """From how many samples decode together to the bytes of their keys and values, and of a step's logits in fp32 and once more."""
    config = model.config.get_text_config()
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    a_token = 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize
    prompts, longest = len({request.prompt for request in requests}), max((len(request.prompt) for request in requests), default=0)
    return lambda rows: a_token * (min(rows, prompts) * longest + rows * decoding.max_new_tokens) + 8 * rows * config.vocab_size


def _shares(requests: Sequence[Request], count: int) -> list[list[_Prompt]]:
    """The requests by prompt, dealt out to lanes: whole prompts where there are enough, else the samples of each."""
    prompts: dict[tuple[int, ...], list[int]] = {}
    for index, request in enumerate(requests):
        prompts.setdefault(request.prompt, []).append(index)
    if len(prompts) >= count:
        entries = list(prompts.items())
        return [[_Prompt(prompt, indices) for prompt, indices in entries[lane::count]] for lane in range(count)]
    return [[_Prompt(prompt, indices[lane::count]) for prompt, indices in prompts.items() if indices[lane::count]]
            for lane in range(count)]


def _run(model: Any, requests: Sequence[Request], share: list[_Prompt], decoding: Decoding, ends: _Ends, slots: int,
         found: dict[int, Completion], done: Callable[[float], None], stopped: Event) -> list[str]:
    """One lane to its end, with fewer rows wherever memory runs out; returns what a person should hear of that."""
    notes = list[str]()
    while True:
        left = [_Prompt(p.tokens, waiting) for p in share if (waiting := [i for i in p.waiting if i not in found])]
        if not left or stopped.is_set():
            return notes
        try:
            _Wave(model, requests, left, decoding, ends, slots, found, done, stopped).run()
            return notes
        except RuntimeError as error:  # torch.OutOfMemoryError is one; a processor's allocator raises it bare
            if not compute.is_out_of_memory(error):
                raise
            if slots == 1:
                raise UserError("Memory does not hold one sample of this model", "Use a smaller model or shorter prompts.") from error
        slots //= 2
        compute.give_back()
        notes.append(f"Memory ran out while sampling; {slots} samples at a time decoded together from there on.")


class _Wave:
    """Prompts waiting, samples in flight."""

    def __init__(self, model: Any, requests: Sequence[Request], prompts: list[_Prompt], decoding: Decoding, ends: _Ends, slots: int,
                 found: dict[int, Completion], done: Callable[[float], None], stopped: Event) -> None:
        self.model, self.requests, self.decoding, self.ends = model, requests, decoding, ends
        self.found, self.done, self.stopped = found, done, stopped
        self.unread = prompts[::-1]
        samples = sum(len(prompt.waiting) for prompt in prompts)
        self.each = _rows_of_a_prompt(len(prompts), samples, slots)
        self.places = max(len(prompt.tokens) for prompt in prompts)
        places = sum(math.ceil(len(prompt.waiting) / self.each) for prompt in prompts)
        self.held: list[_Prompt | None] = [None] * max(1, min(slots // self.each, places))
        self.rows: list[_Row | None] = [None] * (len(self.held) * self.each)
        self.read: list[tuple[_Prompt, Prefilled]] = []
        self.together = 1 if model.device.type == "cpu" or _one_by_one(model) else TOGETHER * slots
        self.cache: SlotCache | None = None
        self.last = torch.zeros(0, 1, dtype=torch.long, device=model.device)
        self.decode: Callable[[], torch.Tensor] | None = None

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                self._fill()
                if self.cache is None or not any(self.rows):
                    return
                self._shrink(self.cache)
                self._step(self.cache)
        finally:
            self.decode = None  # it holds this wave, which would keep its cache until garbage is collected

    def _fill(self) -> None:
        """Give every idle place a prompt, and every empty row the next sample of the prompt that it continues, while there are any."""
        while self._left() and not self.stopped.is_set():
            self._take_prompts()
            begun = [one for place in range(len(self.held)) for one in self._begin(place)]
            if not begun:
                return
            rows, logits = zip(*begun, strict=True)
            tokens = self._choose(torch.stack(logits), [self.rows[row] for row in rows])
            for place, token in zip(rows, tokens, strict=True):  # a sample that ends here leaves its row to the next
                self._advance(place, token)

    def _left(self) -> bool:
        """Does any sample still wait?"""
        return bool(self.read or self.unread) or any(self._waiting(place) for place in range(len(self.held)))

    def _waiting(self, place: int) -> list[int]:
        held = self.held[place]
        return held.waiting if held is not None else []

    def _span(self, place: int) -> range:
        return range(place * self.each, (place + 1) * self.each)

    def _idle(self, place: int) -> bool:
        return not self._waiting(place) and not any(self.rows[row] for row in self._span(place))

    def _take_prompts(self) -> None:
        """Put prompts that no place has had into idle places."""
        idle = [place for place in range(len(self.held)) if self._idle(place)]
        while idle and (self.read or self.unread) and not self.stopped.is_set():
            self.read = self.read or self._read_on()
            now, self.read = self.read[:len(idle)], self.read[len(idle):]
            places, idle = idle[:len(now)], idle[len(now):]
            if self.cache is None:  # not `cache or ...`: a Cache without layers is falsy
                self.cache = SlotCache(len(self.held), self.each, self.places, self.decoding.max_new_tokens, now[0][1].cache)
            self.cache.put(places, [prefilled for _, prefilled in now])
            for place, (prompt, _) in zip(places, now, strict=True):
                self.held[place] = prompt

    def _begin(self, place: int) -> Iterator[tuple[int, torch.Tensor]]:
        """Rows of a place that take a sample now, and the logits [V] of its first token."""
        if self._idle(place):
            self._join(place)
        held = self.held[place]
        for row in self._span(place):
            if held is not None and held.waiting and self.rows[row] is None:
                index = held.waiting.pop(0)
                self.rows[row] = _Row(index, self.requests[index], self.decoding)
                assert held.logits is not None
                yield row, held.logits
        if held is not None and not held.waiting:
            held.logits = None

    def _join(self, place: int) -> None:
        """Give an idle place the prompt whose samples wait longest elsewhere."""
        busiest = max(range(len(self.held)), key=lambda other: len(self._waiting(other)))
        if self.cache is not None and self._waiting(busiest):
            self.cache.copy(busiest, place)
            self.held[place] = self.held[busiest]

    def _read_on(self) -> list[tuple[_Prompt, Prefilled]]:
        """Read the next prompt; on a GPU, which a short text leaves idle, several in one packed row."""
        prompts = [self.unread.pop()]
        room = self.together - len(prompts[0].tokens)
        while self.unread and len(prompts) < len(self.held) and (room := room - len(self.unread[-1].tokens)) >= 0:
            prompts.append(self.unread.pop())
        lengths = tuple(len(prompt.tokens) for prompt in prompts)
        ends = torch.tensor(lengths).cumsum(0).to(self.model.device)
        ids, positions = (torch.tensor([[number for prompt in prompts for number in numbers(prompt)]], device=self.model.device)
                          for numbers in (lambda prompt: prompt.tokens, lambda prompt: range(len(prompt.tokens))))
        prefill = DynamicCache()  # without the model's config: with it, layers with a window would forget what is before it
        logits = self.model(input_ids=ids, position_ids=positions, past_key_values=prefill, packed=Packed(lengths),
                            logits_to_keep=ends - 1).logits[0]
        for prompt, found in zip(prompts, logits, strict=True):
            prompt.logits = found
        return [(prompt, Prefilled(prefill, end - len(prompt.tokens), end)) for prompt, end in zip(prompts, ends.tolist(), strict=True)]

    def _choose(self, logits: torch.Tensor, rows: Sequence[_Row | None]) -> list[int]:
        numbers = [0.0 if row is None else row.uniforms[len(row.tokens)] for row in rows]
        tokens = choose(logits, torch.tensor(numbers, dtype=torch.float32, device=logits.device), self.decoding)
        sound = logits.gather(-1, tokens[:, None])[:, 0].isfinite()
        found: list[int] = torch.where(sound, tokens, -1).tolist()
        if any(token < 0 for token, row in zip(found, rows, strict=True) if row is not None):  # what empty rows compute means nothing
            raise UserError("This model's logits are no numbers", "Its weights are damaged, or its training diverged: take another one.")
        if self.decoding.logprobs:
            logprobs = logits.float().log_softmax(-1).gather(-1, tokens[:, None])[:, 0].tolist()
            for row, logprob in zip(rows, logprobs, strict=True):
                if row is not None:
                    row.logprobs.append(logprob)
        return found

    def _advance(self, place: int, token: int) -> None:
        row = self.rows[place]
        if row is not None and (reason := self.ends.take(row, token)) is not None:
            self.rows[place] = None
            self.found[row.index] = Completion(tuple(row.tokens), reason, tuple(row.logprobs), token if token in self.ends.stop else None)
            self.done(1)

    def _shrink(self, cache: SlotCache) -> None:
        """Stop computing empty rows once many of them are and nothing waits any more."""
        if self._left():
            return
        running = {place: [row for row in self._span(place) if self.rows[row]] for place in range(len(self.held))}
        places = [place for place, rows in running.items() if rows]
        each = max(len(running[place]) for place in places)
        if len(places) * each > FEW[self.model.device.type == "cpu"] * len(self.rows):
            return
        kept = list[int]()
        for place in places:
            empty = [row for row in self._span(place) if not self.rows[row]]
            kept += [*running[place], *empty][:each]
        cache.keep(places, kept)
        self.each, self.held = each, [self.held[place] for place in places]
        self.rows, self.decode = [self.rows[row] for row in kept], None

    def _step(self, cache: SlotCache) -> None:
        """One token for every row (empty rows compute along and are ignored)."""
        if cache.reach([len(row.tokens) - 1 if row else 0 for row in self.rows]):
            self.decode = None
        last = torch.tensor([[row.tokens[-1] if row else 0] for row in self.rows])
        if self.decode is None:
            self.last = last.to(self.model.device)
            self.decode = graphs.recorded(lambda: self._logits(cache), self.model)
        self.last.copy_(last)
        logits = self.decode()
        for place, token in enumerate(self._choose(logits, self.rows)):
            self._advance(place, token)

    def _logits(self, cache: SlotCache) -> torch.Tensor:
        """Logits [R, V] of what follows each row's last token."""
        logits: torch.Tensor = self.model(
            input_ids=self.last, position_ids=cache.positions(), attention_mask=cache.bias(), past_key_values=cache,
            prefixes=cache.prefixes, logits_to_keep=1).logits[:, -1]
        return logits


TOGETHER = 128
"""On a GPU, tokens of prompts that are read in one row, for each slot."""
FEW = {True: 0.75, False: 0.25}
"""Share of rows in use at which empty ones are dropped, on a processor or not: a GPU decodes them in nearly the same time, and records
its step anew."""


def _one_by_one(model: Any) -> bool:
    """Must prompts be read each by itself? A hook may look for a prompt's end, and some positions are stretched by the longest of a row."""
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    return graphs.has_hooks(model) or rope.get("rope_type") in ("dynamic", "longrope")


def _rows_of_a_prompt(prompts: int, samples: int, slots: int) -> int:
    """How many samples of a prompt decode together: enough to fill the slots, and few enough that a row takes several in turn,
    for rows of a prompt whose samples have all begun stand idle until the last of them ends."""
    return max(1, min(slots, math.ceil(samples / prompts), max(math.ceil(min(slots, samples) / prompts), math.ceil(samples / prompts / 4))))
