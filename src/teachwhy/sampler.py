"""How do we sample one continuation for each of many different prompts, fast, on whatever this machine has?

A fixed set of slots decodes together; a slot whose sample has ended takes the next prompt. Keys and values live in one
block (growing them by concatenation, as `generate` does, copies the whole cache at every step), which
`attention` reads without repeating them per head. Each sample draws from its own seed, so what a
sample sees of chance does not depend on which samples it shares a batch with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any, Literal

import torch
from transformers.cache_utils import Cache, DynamicCache

from teachwhy import compute
from teachwhy.attention import Packed


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen; part of every stored outcome."""

    temperature: float = 0.8
    top_p: float = 0.95
    max_new_tokens: int = 160


@dataclass(frozen=True)
class Request:
    """One prompt (token ids) and the seed of its sample."""

    prompt: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Completion:
    """Token ids without the stop token; `length` means cut off at `max_new_tokens`."""

    tokens: tuple[int, ...]
    reason: Literal["stop", "length"]


ROOM = 64
"""Places per slot come in multiples of this, so that few sizes of blocks keep the heap whole."""


class SlotCache(Cache):
    """Keys and values of S slots, each filled to its own length: blocks of [S, K, D, T] and [S, K, T, D] per layer.

    Keys lie transposed, so that the product with a query reads them in order. Products read the blocks whole, with what is not filled
    yet masked: a view up to the longest slot would be copied before each of them, which cost more than all else in a step.
    """

    def __init__(self, slots: int, places: int, first: DynamicCache) -> None:
        super().__init__(layers=[])
        self.lengths = torch.zeros(slots, dtype=torch.long, device=first.layers[0].keys.device)
        self.rows = torch.arange(slots, device=self.lengths.device)
        self.room = -(-places // ROOM) * ROOM
        heads = [(slots, layer.keys.shape[1], layer.keys.shape[3]) for layer in first.layers]
        self.keys = [first.layers[0].keys.new_zeros(s, k, d, self.room) for s, k, d in heads]
        self.values = [first.layers[0].keys.new_zeros(s, k, self.room, d) for s, k, d in heads]

    def put(self, slot: int, prefill: DynamicCache) -> None:
        """Copy a prefilled prompt into a slot."""
        length = prefill.layers[0].keys.shape[2]
        for keys, values, layer in zip(self.keys, self.values, prefill.layers, strict=True):
            keys[slot, :, :, :length] = layer.keys[0].transpose(1, 2)
            values[slot, :, :length] = layer.values[0]
        self.lengths[slot] = length

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any,
               **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one place per slot; returns the blocks."""
        keys, values = self.keys[layer_idx], self.values[layer_idx]
        keys[self.rows, :, :, self.lengths] = key_states[:, :, 0]
        values[self.rows, :, self.lengths] = value_states[:, :, 0]
        return keys.transpose(2, 3), values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return int(self.lengths.max())

    def keep(self, slots: list[int]) -> None:
        """Drop all slots but these."""
        index = torch.tensor(slots, device=self.lengths.device)
        self.keys = [keys[index] for keys in self.keys]
        self.values = [values[index] for values in self.values]
        self.lengths, self.rows = self.lengths[index], self.rows[: len(slots)]


def choose(logits: torch.Tensor, uniforms: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """Pick a token per row by inverting the nucleus distribution at a uniform number.

    logits [S, V], uniforms [S] in [0, 1) -> token ids [S]. Temperature 0 is greedy. The nucleus is exact: the sort is
    cut to the 256 likeliest tokens, and done in full for the rows where these hold less than `top_p`.
    """
    if decoding.temperature == 0:
        return logits.argmax(-1)
    scaled = logits.float() / decoding.temperature
    total = scaled.logsumexp(-1, keepdim=True)
    best, tokens = scaled.topk(min(256, scaled.shape[-1]), dim=-1)
    probabilities = (best - total).exp()
    short = (probabilities.sum(-1) < decoding.top_p).nonzero()[:, 0].tolist()
    chosen = _invert(probabilities, tokens, uniforms, decoding.top_p)
    for row in short:
        best, tokens = scaled[row: row + 1].sort(-1, descending=True)
        chosen[row] = _invert((best - total[row]).exp(), tokens, uniforms[row: row + 1], decoding.top_p)[0]
    return chosen


def _invert(probabilities: torch.Tensor, tokens: torch.Tensor, uniforms: torch.Tensor, top_p: float) -> torch.Tensor:
    """Token ids [S] at the uniform numbers [S], from sorted probabilities and their tokens [S, K]."""
    before = probabilities.cumsum(-1) - probabilities
    kept = probabilities * (before < top_p)  # the token that crosses the line belongs to the nucleus
    cumulative = kept.cumsum(-1)
    place = (cumulative < (uniforms * cumulative[:, -1])[:, None]).sum(-1, keepdim=True)
    return tokens.gather(-1, place.clamp(max=tokens.shape[-1] - 1))[:, 0]


class _Slot:
    """A sample in flight."""

    def __init__(self, index: int, request: Request, decoding: Decoding, stop: frozenset[int]) -> None:
        self.index, self.tokens, self.stop, self.limit = index, list[int](), stop, decoding.max_new_tokens
        generator = torch.Generator().manual_seed(request.seed)
        self.uniforms = torch.rand(decoding.max_new_tokens, generator=generator, dtype=torch.float64).tolist()

    def take(self, token: int) -> Completion | None:
        """Add a token; returns the completion if that ended it."""
        if token in self.stop:
            return Completion(tuple(self.tokens), "stop")
        self.tokens.append(token)
        return Completion(tuple(self.tokens), "length") if len(self.tokens) >= self.limit else None


def sample(model: Any, requests: Sequence[Request], decoding: Decoding, stop: frozenset[int], slots: int = 32, lanes: int = 1,
           done: Callable[[float], None] = lambda units: None) -> list[Completion]:
    """Sample one continuation of every request, in the order given.

    Args:
        model: a causal language model whose attention is ours (see `attention` and `weights.load`).
        stop: token ids that end a sample.
        slots: samples that decode together, over all lanes.
        lanes: waves that run side by side on a processor, each on its share of requests, slots and threads.
        done: called with 1 for each finished sample, from the lane's own thread.
    """
    count = min(compute.lanes(lanes), slots, max(1, len(requests)))
    stopped = Event()

    @torch.inference_mode()  # a setting of each thread
    def run(lane: int) -> list[Completion]:
        return _Wave(model, requests[lane::count], decoding, stop, max(1, slots // count), done, stopped).run()

    found = compute.side_by_side(run, range(count), stopped)
    return [found[index % count][index // count] for index in range(len(requests))]


class _Wave:
    """Requests waiting, slots in flight, results so far."""

    def __init__(self, model: Any, requests: Sequence[Request], decoding: Decoding, stop: frozenset[int], slots: int,
                 done: Callable[[float], None], stopped: Event) -> None:
        self.model, self.requests, self.decoding, self.stop, self.done = model, requests, decoding, stop, done
        self.stopped = stopped
        self.results: list[Completion | None] = [None] * len(requests)
        self.waiting = list(range(len(requests)))[::-1]
        self.places = max((len(r.prompt) for r in requests), default=0) + decoding.max_new_tokens
        self.cache: SlotCache | None = None
        self.active: list[_Slot | None] = [None] * min(slots, len(requests))
        self.last = torch.zeros(len(self.active), 1, dtype=torch.long, device=model.device)

    def run(self) -> list[Completion]:
        while not self.stopped.is_set():
            for place in range(len(self.active)):
                self._fill(place)
            running = [place for place, slot in enumerate(self.active) if slot is not None]
            if not running or self.cache is None:
                break
            if 4 * len(running) <= 3 * len(self.active):  # nothing waits any more: stop computing empty slots
                self.cache.keep(running)
                self.active, self.last = [self.active[place] for place in running], self.last[running]
            tokens = _step(self.model, self.cache, self.active, self.last, self.decoding)
            for place, slot in enumerate(self.active):
                if slot is not None:
                    self._advance(self.cache, place, slot, tokens[place])
        return [result for result in self.results if result is not None]

    def _advance(self, cache: SlotCache, place: int, slot: _Slot, token: int) -> None:
        self.last[place, 0] = token
        ended = slot.take(token)
        if ended is not None:
            self._finish(slot, ended)
            self.active[place] = None
            cache.lengths[place] = 0

    def _finish(self, slot: _Slot, completion: Completion) -> None:
        self.results[slot.index] = completion
        self.done(1)

    def _fill(self, place: int) -> None:
        """Put the next waiting prompt into an empty slot; one that ends at its first token never takes it."""
        while self.waiting and self.active[place] is None and not self.stopped.is_set():
            index = self.waiting.pop()
            slot = _Slot(index, self.requests[index], self.decoding, self.stop)
            prompt = torch.tensor([self.requests[index].prompt], device=self.model.device)
            prefill = DynamicCache()  # without the model's config: with it, layers with a window would forget what is before it
            logits = self.model(input_ids=prompt, past_key_values=prefill, logits_to_keep=1).logits[:, -1]
            token = int(choose(logits, _uniforms([slot], self.model.device), self.decoding))
            ended = slot.take(token)
            if ended is not None:
                self._finish(slot, ended)
                continue
            if self.cache is None:  # not `cache or ...`: a Cache without layers is falsy
                self.cache = SlotCache(len(self.active), self.places, prefill)
            self.cache.put(place, prefill)
            self.active[place], self.last[place, 0] = slot, token


def _uniforms(slots: Sequence[_Slot | None], device: torch.device) -> torch.Tensor:
    numbers = [0.0 if slot is None else slot.uniforms[len(slot.tokens)] for slot in slots]
    return torch.tensor(numbers, dtype=torch.float32, device=device)


def _step(model: Any, cache: SlotCache, active: Sequence[_Slot | None], last: torch.Tensor,
          decoding: Decoding) -> list[int]:
    """One token for every slot (empty slots compute along and are ignored)."""
    unseen = torch.arange(cache.room, device=last.device)[None] > cache.lengths[:, None]
    mask = torch.zeros(unseen.shape, dtype=model.dtype, device=last.device).masked_fill(unseen, float("-inf"))[:, None, None]
    logits = model(input_ids=last, position_ids=cache.lengths[:, None], attention_mask=mask, past_key_values=cache,
                   logits_to_keep=1).logits[:, -1]
    cache.lengths += 1
    return list(choose(logits, _uniforms(active, last.device), decoding).tolist())


@torch.inference_mode()
def score(model: Any, prefix: Sequence[int], continuations: Sequence[Sequence[int]], temperature: float = 1.0) -> list[float]:
    """Log-probability (nats, summed over tokens) of each continuation of one prefix at a temperature, in one forward pass.

    The continuations follow the prefix in one packed row: each sees the prefix and itself.
    """
    lengths = [len(continuation) for continuation in continuations]
    tokens = [*prefix, *(token for continuation in continuations for token in continuation)]
    positions = [*range(len(prefix)), *(len(prefix) + place for length in lengths for place in range(length))]
    # The position that predicts a continuation's first token is the prefix's last; later ones are its own.
    predictors, begin = list[int](), len(prefix)
    for length in lengths:
        predictors += [len(prefix) - 1, *range(begin, begin + length - 1)][:length]
        begin += length
    ids = torch.tensor([tokens], device=model.device)
    logits = model(input_ids=ids, position_ids=torch.tensor([positions], device=model.device), use_cache=False,
                   packed=Packed((len(prefix), *lengths), shared=True),
                   logits_to_keep=torch.tensor(predictors, device=model.device)).logits[0]
    picked = (logits.float() / temperature).log_softmax(-1).gather(-1, ids[0, len(prefix):][:, None])[:, 0]
    return [float(part.sum()) for part in picked.split(lengths)]
