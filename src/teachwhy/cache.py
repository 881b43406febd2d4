"""Where do keys and values of samples in flight lie? Those of a prompt once, for all the samples that continue it.

Growing them by concatenation, as `generate` does, copies the whole cache at every step; here blocks are laid out for many tokens, and
attention reads them whole with what is not filled masked: a view up to the longest sample would be copied before each product,
which cost more than all else in a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F
from transformers.cache_utils import Cache, DynamicCache

from teachwhy.attention import Prefixes

ROOM = 64
"""Places come in multiples of this, so that few sizes of blocks keep the heap whole."""


@dataclass(frozen=True)
class Prefilled:
    """Where the keys and values of one prompt lie in a row of several that were read together."""

    cache: DynamicCache
    begin: int
    end: int


class SlotCache(Cache):
    """G prompts, each continued by N samples: rows gN to gN + N - 1 belong to prompt g.

    Blocks of a layer with K key heads of width D, for keys and for values: prompts [G, K, P, D], samples [GN, K, S, D].
    """

    def __init__(self, prompts: int, each: int, places: int, most: int, first: DynamicCache) -> None:
        super().__init__(layers=[])
        rows, like = prompts * each, [layer.keys for layer in first.layers]
        # A GPU records its step anew for blocks of another size: there they begin large, up to the most tokens that a sample may have.
        self.more = ROOM if like[0].device.type == "cpu" else min(4 * ROOM, -(-most // ROOM) * ROOM)
        self.each, self.before, self.room = each, -(-places // ROOM) * ROOM, self.more

        def blocks(count: int, length: int) -> list[torch.Tensor]:
            return [k.new_zeros(count, k.shape[1], length, k.shape[3]) for k in like]

        self.keys, self.values = blocks(rows, self.room), blocks(rows, self.room)
        self.prompt_lengths = torch.zeros(prompts, dtype=torch.long, device=like[0].device)
        self.lengths = torch.zeros(rows, dtype=torch.long, device=like[0].device)
        self.prefixes = Prefixes(blocks(prompts, self.before), blocks(prompts, self.before), self.prompt_lengths, self.lengths)
        self.rows = torch.arange(rows, device=like[0].device)

    def put(self, prompts: Sequence[int], read: Sequence[Prefilled]) -> None:
        """Copy prompts that were read in one row into their places."""
        lengths = [one.end - one.begin for one in read]
        if len(read) == 1:
            [place], [one] = prompts, read
            for blocks, rows in self._by_layer(one.cache):
                blocks[place, :, :lengths[0]] = rows[:, one.begin:one.end]
        else:  # all at once; what comes behind a prompt means nothing
            places, begins, ends = (torch.tensor(numbers, device=self.rows.device)[:, None]
                                    for numbers in (prompts, [one.begin for one in read], [one.end - 1 for one in read]))
            index = torch.minimum(begins + torch.arange(max(lengths), device=self.rows.device), ends)
            for blocks, rows in self._by_layer(read[0].cache):
                blocks[places[:, 0], :, :max(lengths)] = rows[:, index].transpose(0, 1)
        self.prompt_lengths[list(prompts)] = torch.tensor(lengths, device=self.rows.device)

    def _by_layer(self, read: DynamicCache) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Our blocks of prompts [G, K, P, D] beside a row [K, T, D] that was read, for keys and for values of each layer."""
        for keys, values, layer in zip(self.prefixes.keys, self.prefixes.values, read.layers, strict=True):
            yield keys, layer.keys[0]
            yield values, layer.values[0]

    def copy(self, source: int, target: int) -> None:
        """Lay a prompt down a second time, for more samples of it than one place holds."""
        for block in (*self.prefixes.keys, *self.prefixes.values):
            block[target] = block[source]
        self.prompt_lengths[target] = self.prompt_lengths[source]

    def positions(self) -> torch.Tensor:
        """Position [R, 1] in its text of the token that each row decodes next."""
        return (self.prompt_lengths.repeat_interleave(self.each) + self.lengths)[:, None]

    def reach(self, lengths: Sequence[int]) -> bool:
        """Say how many tokens of its own each row has before its next one, and make room for that; whether the blocks were laid out anew.

        Samples that began together are short together, and short blocks are read fast.
        """
        self.lengths.copy_(torch.tensor(lengths))
        if max(lengths) < self.room:
            return False
        self.room += self.more
        for blocks in (self.keys, self.values):
            for layer, block in enumerate(blocks):
                blocks[layer] = F.pad(block, (0, 0, 0, self.more))
        return True

    def bias(self) -> torch.Tensor:
        """What is added to the scores of each row's query, [R, 1, 1, P + S]: -inf at places that are not filled."""
        places = torch.arange(max(self.before, self.room), device=self.lengths.device)
        prompts = (places[: self.before] >= self.prompt_lengths[:, None]).repeat_interleave(self.each, 0)
        hidden = torch.cat([prompts, places[: self.room] > self.lengths[:, None]], 1)
        like = self.values[0]
        return torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill_(hidden, float("-inf"))[:, None, None]

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any,
               **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one place per row; returns the blocks of the samples."""
        keys, values = self.keys[layer_idx], self.values[layer_idx]
        keys[self.rows, :, self.lengths] = key_states[:, :, 0]
        values[self.rows, :, self.lengths] = value_states[:, :, 0]
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return int(self.positions().max())

    def keep(self, prompts: Sequence[int], rows: Sequence[int]) -> None:
        """Drop all prompts and rows but these; every prompt keeps the same number of rows, in its order."""
        which, index = (torch.tensor(list(kept), device=self.lengths.device) for kept in (prompts, rows))
        self.each = len(rows) // len(prompts)
        # One layer after the other, so that at no time two whole caches are there.
        for blocks, kept in ((self.prefixes.keys, which), (self.prefixes.values, which), (self.keys, index), (self.values, index)):
            for layer, block in enumerate(blocks):
                blocks[layer] = block[kept]
        self.prompt_lengths, self.lengths, self.rows = self.prompt_lengths[which], self.lengths[index], self.rows[: len(index)]
        self.prefixes = Prefixes(self.prefixes.keys, self.prefixes.values, self.prompt_lengths, self.lengths)
