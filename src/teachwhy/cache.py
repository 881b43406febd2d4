"""Where do keys and values of samples in flight lie? Those of a prompt once, for all the samples that continue it.

Growing them by concatenation, as `generate` does, copies the whole cache at every step; here blocks are laid out for many tokens, and
attention reads them whole with what is not filled masked: a view up to the longest sample would be copied before each product,
which cost more than all else in a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F
from transformers.cache_utils import Cache, DynamicCache

from teachwhy.attention import Prefixes

ROOM = 64
"""Places come in multiples of this, so that few sizes of blocks keep the heap whole."""


class SlotCache(Cache):
    """G prompts, each continued by N samples: rows gN to gN + N - 1 belong to prompt g.

    Blocks of a layer with K key heads of width D, for keys and for values: prompts [G, K, P, D], samples [GN, K, S, D].
    """

    def __init__(self, prompts: int, each: int, places: int, first: DynamicCache) -> None:
        super().__init__(layers=[])
        self.each, self.before, self.room = each, -(-places // ROOM) * ROOM, ROOM
        rows, like = prompts * each, [layer.keys for layer in first.layers]

        def blocks(count: int, length: int) -> list[torch.Tensor]:
            return [k.new_zeros(count, k.shape[1], length, k.shape[3]) for k in like]

        self.prefixes = Prefixes(blocks(prompts, self.before), blocks(prompts, self.before))
        self.keys, self.values = blocks(rows, self.room), blocks(rows, self.room)
        self.prompt_lengths = torch.zeros(prompts, dtype=torch.long, device=like[0].device)
        self.lengths = torch.zeros(rows, dtype=torch.long, device=like[0].device)
        self.rows = torch.arange(rows, device=like[0].device)

    def put(self, prompt: int, prefill: DynamicCache) -> None:
        """Copy a prompt that was read into its place."""
        length = prefill.layers[0].keys.shape[2]
        for keys, values, layer in zip(self.prefixes.keys, self.prefixes.values, prefill.layers, strict=True):
            keys[prompt, :, :length] = layer.keys[0]
            values[prompt, :, :length] = layer.values[0]
        self.prompt_lengths[prompt] = length

    def copy(self, source: int, target: int) -> None:
        """Lay a prompt down a second time, for more samples of it than one place holds."""
        for block in (*self.prefixes.keys, *self.prefixes.values):
            block[target] = block[source]
        self.prompt_lengths[target] = self.prompt_lengths[source]

    def positions(self) -> torch.Tensor:
        """Position [R, 1] in its text of the token that each row decodes next."""
        return (self.prompt_lengths.repeat_interleave(self.each) + self.lengths)[:, None]

    def grow(self) -> None:
        """Make room for the next token of every row: samples that began together are short together, and short blocks are read fast."""
        if int(self.lengths.max()) < self.room:
            return
        self.room += ROOM
        for blocks in (self.keys, self.values):
            for layer, block in enumerate(blocks):
                blocks[layer] = F.pad(block, (0, 0, 0, ROOM))

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
