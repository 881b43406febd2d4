"""How do queries meet keys when many texts lie in one row? Attention for packed rows and for decoding slots.

Registered with transformers' attention interface, so that every model whose attention goes through it can be trained without
padding, read prompts and scored continuations in one pass, and decode from slots. On a processor a few batched products beat
torch's fused kernel for texts of this length, forwards and backwards: queries go in blocks that meet only the keys before them, and
the query heads that share a key head are laid out as more queries of it, so that no key is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F
from transformers import AttentionInterface

NAME = "teachwhy"
BLOCK = 128
"""Queries that meet their keys together (of 64 to 376 tried on prompts of 376 tokens, 96 to 128 were fastest)."""


@dataclass(frozen=True)
class Packed:
    """Texts that lie one after the other in one row and do not see each other.

    Attributes:
        lengths: tokens of each text.
        shared: the first text is a prefix that all others continue (and see).
    """

    lengths: tuple[int, ...]
    shared: bool = False


def texts(boundaries: torch.Tensor) -> Packed:
    """The texts between boundaries [N + 1], as trl's padding-free collator gives them; its padding, one text a token, is made one."""
    lengths = boundaries.diff().tolist()
    real = len(lengths)
    while real > 1 and lengths[real - 1] == 1:
        real -= 1
    return Packed((*lengths[:real], *([sum(lengths[real:])] if real < len(lengths) else [])))


def attend(module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None,
           scaling: float | None = None, packed: Packed | None = None, cu_seq_lens_q: torch.Tensor | None = None,
           sliding_window: int | None = None, **_: Any) -> tuple[torch.Tensor, None]:
    """Attention as transformers asks for it: query [B, H, Q, D], key and value [B, K, T, D] -> [B, Q, H, D].

    Args:
        attention_mask: what is added to the scores, [B, 1, Q, T]; None is causal.
        packed, cu_seq_lens_q: how the texts lie in the one row of the batch, in our words or in trl's; by default it is one text.
        sliding_window: keys further back than this are not seen.
    """
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if query.shape[2] == 1 and attention_mask is not None:
        return _one_query(query, key, value, _within(attention_mask, sliding_window), scale), None
    if query.shape[2] == 1 or attention_mask is not None:
        return _fused(query, key, value, attention_mask, scale).transpose(1, 2), None
    if packed is None:
        packed = Packed((key.shape[2],)) if cu_seq_lens_q is None else texts(cu_seq_lens_q)
    rows = [_row(q, k, v, packed, scale, sliding_window) for q, k, v in zip(query, key, value, strict=True)]
    return torch.stack(rows).transpose(1, 2), None


AttentionInterface.register(NAME, attend)


def _cuts(window: int | None, length: int) -> bool:
    return window is not None and length > window


def _within(bias: torch.Tensor, window: int | None) -> torch.Tensor:
    """What is added to the scores of one query, [B, 1, 1, T], with keys further back than the window hidden too."""
    if window is None or bias.shape[-1] <= window:
        return bias
    last = (bias == 0).sum(-1, keepdim=True) - 1
    return bias.masked_fill(torch.arange(bias.shape[-1], device=bias.device) <= last - window, float("-inf"))


def _fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scale: float) -> torch.Tensor:
    """torch's own kernel -> [B, H, Q, D]."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale, is_causal=mask is None and query.shape[2] > 1,
                                          enable_gqa=query.shape[1] != key.shape[1])


def _one_query(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor, scale: float) -> torch.Tensor:
    """One query position per row -> [B, 1, H, D]; keys should lie transposed in memory (see `sampler.SlotCache`)."""
    batch, heads, _, width = query.shape
    groups, places = key.shape[1], key.shape[2]
    folded = query.reshape(batch * groups, heads // groups, width)
    bias = bias.expand(batch, groups, 1, places).reshape(batch * groups, 1, places)
    scores = torch.baddbmm(bias, folded, key.transpose(2, 3).reshape(batch * groups, width, places), alpha=scale)
    return torch.bmm(scores.softmax(-1), value.reshape(batch * groups, places, width)).view(batch, 1, heads, width)


def _row(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packed: Packed, scale: float, window: int | None,
         ) -> torch.Tensor:
    """One packed row: query [H, T, D], key and value [K, T, D] -> [H, T, D]."""
    heads, places, width = query.shape
    if query.device.type != "cpu" and not packed.shared and not _cuts(window, max(packed.lengths)):
        parts = (part.split(packed.lengths, 1) for part in (query, key, value))
        return torch.cat([_fused(q[None], k[None], v[None], None, scale)[0] for q, k, v in zip(*parts, strict=True)], 1)
    groups = key.shape[0]
    folded = query.reshape(groups, heads // groups, places, width)
    out = [_block(folded[:, :, rows], [key[:, part] for part in seen], [value[:, part] for part in seen], mask, scale)
           for rows, seen, mask in _blocks(packed, query, window)]
    return torch.cat(out, 2).view(heads, places, width)


def _blocks(packed: Packed, like: torch.Tensor, window: int | None) -> Iterator[tuple[slice, list[slice], torch.Tensor]]:
    """(queries, parts of the row that they see, what is added to the scores [Q, keys]) of every block."""
    begin = 0
    for number, length in enumerate(packed.lengths):
        before = packed.lengths[0] if packed.shared and number else 0
        for start in range(begin, begin + length, BLOCK):
            stop = min(start + BLOCK, begin + length)
            seen = [slice(0, before)] if before else []
            yield slice(start, stop), [*seen, slice(begin, stop)], _causal(start - begin, stop - begin, before, like, window)
        begin += length


def _causal(start: int, stop: int, before: int, like: torch.Tensor, window: int | None) -> torch.Tensor:
    """0 where a query at `before` + start..stop of its text may look, else -inf; keys are the prefix and the text up to `stop`."""
    keys = torch.arange(before + stop, device=like.device)
    queries = before + torch.arange(start, stop, device=like.device)[:, None]
    hidden = keys > queries
    if _cuts(window, before + stop):
        hidden |= keys <= queries - int(window or 0)
    return torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill(hidden, float("-inf"))


def _block(query: torch.Tensor, keys: Sequence[torch.Tensor], values: Sequence[torch.Tensor], mask: torch.Tensor, scale: float,
           ) -> torch.Tensor:
    """query [K, R, Q, D] against the keys of each part -> [K, R, Q, D]; the parts share one softmax."""
    groups, share, queries, width = query.shape
    key, value = (torch.cat(list(parts), 1) if len(parts) > 1 else parts[0] for parts in (keys, values))
    bias = mask.repeat(share, 1).expand(groups, -1, -1)
    scores = torch.baddbmm(bias, query.reshape(groups, share * queries, width), key.transpose(1, 2), alpha=scale)
    return torch.bmm(scores.softmax(-1), value).view(groups, share, queries, width)
