"""How do queries meet keys when many texts lie in one row? Attention for packed rows and for decoding slots.

Registered with transformers' attention interface, so that every model whose attention goes through it can be trained without
padding, read prompts and scored continuations in one pass, and decode from slots. On a processor a few batched products beat
torch's fused kernel for texts of this length, forwards and backwards: queries go in blocks that meet only the keys before them, and
the query heads that share a key head are laid out as more queries of it, so that no key is repeated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import signature
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch.nn import functional as F
from transformers import AttentionInterface

from teachwhy import decode
from teachwhy.errors import UserError

try:
    from torch.nn.attention.varlen import varlen_attn
    _VARLEN = varlen_attn if "window_size" in signature(varlen_attn).parameters else None
except ImportError:  # before torch 2.10
    _VARLEN = None
NAME = "teachwhy"
ELSEWHERE = "Serve it with vLLM or `transformers serve` and name it as openai-api/<service>/<model>."
"""What to do with a model that is not computed here."""
SCORES = 2**26
"""Scores of a prefix's continuations that are held at once."""
KEYS = 2**29
"""Numbers in keys that are laid out for a prefix's continuations on a GPU, each with the prefix before it."""
MASKED = 2**20
"""Numbers in a mask that is kept for the layers after it, which need the same."""
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


@dataclass(frozen=True)
class Prefixes:
    """Prompts that rows in decoding continue; rows of one prompt lie side by side, as many for each.

    Attributes:
        keys: of G prompts, [G, K, P, D] for each layer.
        values: likewise.
        prompt_lengths: places of each prompt that are filled, [G].
        lengths: tokens of its own that each row has before the one that it decodes now, [R].
    """

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    prompt_lengths: torch.Tensor
    lengths: torch.Tensor


def texts(boundaries: torch.Tensor) -> Packed:
    """The texts between boundaries [N + 1], as trl's padding-free collator gives them; its padding, one text a token, is made one."""
    lengths = boundaries.diff().tolist()
    real = len(lengths)
    while real > 1 and lengths[real - 1] == 1:
        real -= 1
    return Packed((*lengths[:real], *([sum(lengths[real:])] if real < len(lengths) else [])))


def attend(module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None,
           scaling: float | None = None, packed: Packed | None = None, cu_seq_lens_q: torch.Tensor | None = None,
           sliding_window: int | None = None, prefixes: Prefixes | None = None, softcap: float | None = None,
           s_aux: torch.Tensor | None = None, **_: Any) -> tuple[torch.Tensor, None]:
    """Attention as transformers asks for it: query [B, H, Q, D], key and value [B, K, T, D] -> [B, Q, H, D].

    Args:
        attention_mask: what is added to the scores, [B, 1, Q, T]; None is causal.
        packed, cu_seq_lens_q: how the texts lie in the one row of the batch, in our words or in trl's; by default it is one text.
        sliding_window: keys further back than this are not seen.
        prefixes: what rows that decode one token continue; the mask then has the prefixes' places before those of `key`.

    Raises:
        UserError: the model caps its scores or has attention sinks, which is not computed here.
    """
    if softcap is not None or s_aux is not None:
        what = "caps its attention scores" if softcap is not None else "has attention sinks"
        raise UserError(f"This model {what}, which teachwhy's own engine does not compute", ELSEWHERE)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if prefixes is not None and attention_mask is not None:
        before, known = prefixes.keys[module.layer_idx], prefixes.values[module.layer_idx]
        if decode.serves(query):
            return decode.attend(query, key, value, before, known, prefixes.prompt_lengths, prefixes.lengths, scale, sliding_window), None
        return _continue(query * scale, key, value, before, known, _within(attention_mask, sliding_window)), None
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
    position = (bias == 0).cumsum(-1)  # places that are not filled lie between a prompt and its sample
    return bias.masked_fill(position <= position[..., -1:] - window, float("-inf"))


def _fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scale: float) -> torch.Tensor:
    """torch's own kernel -> [B, H, Q, D]."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale, is_causal=mask is None and query.shape[2] > 1,
                                          enable_gqa=query.shape[1] != key.shape[1])


def _continue(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, before: torch.Tensor, known: torch.Tensor,
              bias: torch.Tensor) -> torch.Tensor:
    """One scaled query per row against its prompt and its own block, in one softmax -> [R, 1, H, D].

    The rows of a prompt are more queries of its keys, so that these are read once for all of them.

    Args:
        query: [R, H, 1, D].
        key, value: the rows' own, [R, K, S, D].
        before, known: keys and values of the prompts, [G, K, P, D].
        bias: [R, 1, 1, P + S].
    """
    rows, heads, _, width = query.shape
    prompts, groups, places, _ = before.shape
    each, share, own = rows // prompts, heads // groups, key.shape[2]

    def by_prompt(rowwise: torch.Tensor) -> torch.Tensor:  # [RK, share, X] -> [GK, each * share, X]
        last = rowwise.shape[-1]
        return rowwise.view(prompts, each, groups, share, last).transpose(1, 2).reshape(prompts * groups, each * share, last)

    def by_row(promptwise: torch.Tensor) -> torch.Tensor:  # and back
        last = promptwise.shape[-1]
        return promptwise.reshape(prompts, groups, each, share, last).transpose(1, 2).reshape(rows * groups, share, last)

    folded = query.reshape(rows * groups, share, width)
    theirs = torch.bmm(folded, key.reshape(rows * groups, own, width).transpose(1, 2))
    common = torch.bmm(by_prompt(folded), before.view(prompts * groups, places, width).transpose(1, 2))
    scores = torch.cat([common, by_prompt(theirs)], -1)
    shaped = scores.view(prompts, groups, each, share, places + own)
    shaped += bias.view(prompts, 1, each, 1, places + own)
    chances = scores.softmax(-1)
    out = by_row(torch.bmm(chances[..., :places], known.view(prompts * groups, places, width)))
    out += torch.bmm(by_row(chances[..., places:]), value.reshape(rows * groups, own, width))
    return out.view(rows, 1, heads, width)


def _row(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packed: Packed, scale: float, window: int | None,
         ) -> torch.Tensor:
    """One packed row: query [H, T, D], key and value [K, T, D] -> [H, T, D]."""
    heads, places, width = query.shape
    if query.device.type != "cpu":
        if (found := _whole(query, key, value, packed, scale, window)) is not None:
            return found
        if not packed.shared and not _cuts(window, max(packed.lengths)):
            parts = (part.split(packed.lengths, 1) for part in (query, key, value))
            return torch.cat([_fused(q[None], k[None], v[None], None, scale)[0] for q, k, v in zip(*parts, strict=True)], 1)
    longest = max(packed.lengths[1:], default=0) if packed.shared else max(packed.lengths)
    # A long continuation is better cut into blocks; a window hides keys, which only the blocks know of.
    if not _cuts(window, longest + (packed.lengths[0] if packed.shared else 0)) and not (packed.shared and longest > 2 * BLOCK):
        return (_tree if packed.shared else _texts)(query, key, value, packed.lengths, scale)
    groups = key.shape[0]
    folded = query.reshape(groups, heads // groups, places, width)
    out = [_block(folded[:, :, rows], [key[:, part] for part in seen], [value[:, part] for part in seen], mask, scale)
           for rows, seen, mask in _blocks(packed, query, window, heads // groups)]
    return torch.cat(out, 2).view(heads, places, width)


def _whole(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packed: Packed, scale: float, window: int | None,
           ) -> torch.Tensor | None:
    """All texts of a row in one of torch's kernels, which a GPU has for 16 bits; None where it has none for these."""
    kind = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else value.dtype
    heads, _, width = query.shape
    if _VARLEN is None or kind not in (torch.bfloat16, torch.float16) or width % 8 or width > 256:
        return None
    queries_end, keys_end, longest, longest_seen, seen = _bounds(packed, query.device)
    if seen is not None:  # each continuation with the prefix before it
        if heads * width * len(seen) > KEYS:
            return None
        key, value = key[:, seen], value[:, seen]
    share = heads // key.shape[0]  # not every version lets heads share keys
    rows = [query.to(kind), *(part.to(kind).repeat_interleave(share, 0) if share > 1 else part.to(kind) for part in (key, value))]
    sight = (-1 if window is None else window - 1, 0)  # how far back and ahead; the last query of a text sees its last key
    found: torch.Tensor = _VARLEN(*(part.transpose(0, 1) for part in rows), queries_end, keys_end, longest, longest_seen, scale=scale,
                                  window_size=sight)
    return found.transpose(0, 1)


@lru_cache(maxsize=4)
def _bounds(packed: Packed, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, int, int, torch.Tensor | None]:
    """Where texts end in a row, [N + 1], and their keys, the longest of both, and which places the keys come from (None: the row's own).

    The same for all layers.
    """
    ends, first = [0, *accumulate(packed.lengths)], packed.lengths[0] if packed.shared else 0
    before = [first if number and length else 0 for number, length in enumerate(packed.lengths)]
    sizes = [length + more for length, more in zip(packed.lengths, before, strict=True)]
    with torch.inference_mode(False):  # training may meet them too
        queries_end, keys_end = (torch.tensor(numbers, dtype=torch.int32, device=device) for numbers in (ends, [0, *accumulate(sizes)]))
        seen = None
        if packed.shared:
            row = torch.arange(ends[-1], device=device)
            seen = torch.cat([torch.cat([row[:more], row[begin:end]]) for more, (begin, end) in zip(before, pairwise(ends), strict=True)])
    return queries_end, keys_end, max(packed.lengths), max(sizes), seen


def _texts(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: Sequence[int], scale: float) -> torch.Tensor:
    """Texts that do not see each other: those of as many blocks are laid side by side and multiplied together.

    Args:
        query: [H, T, D].
        key, value: [K, T, D].
    """
    heads, _, width = query.shape
    groups = key.shape[0]
    alike = defaultdict[int, list[int]](list)
    for number, length in enumerate(lengths):
        if length:
            alike[-(-length // BLOCK)].append(number)
    found: dict[int, torch.Tensor] = {}
    for numbers in alike.values():
        longest = max(lengths[number] for number in numbers)
        queries, keys, values = (_apart(rows, lengths, numbers, longest) for rows in (query, key, value))
        queries = queries.view(groups, heads // groups, len(numbers), longest, width).transpose(1, 2)
        keys, values = (rows.reshape(-1, longest, width) for rows in (keys, values))
        blocks = []
        for start in range(0, longest, BLOCK):
            block = queries[:, :, :, start: start + BLOCK]
            stop = start + block.shape[3]
            rows = block.reshape(len(keys), *block.shape[2:])
            mask = _causal(start, stop, 0, query, None, heads // groups)
            blocks.append(_block(rows, [keys[:, :stop]], [values[:, :stop]], mask, scale).view(block.shape))
        whole = torch.cat(blocks, 3) if len(blocks) > 1 else blocks[0]
        found |= {number: whole[:, place, :, :lengths[number]].reshape(heads, -1, width) for place, number in enumerate(numbers)}
    return torch.cat([found[number] for number in sorted(found)], 1) if found else torch.zeros_like(query)


def _apart(rows: torch.Tensor, lengths: Sequence[int], numbers: Sequence[int], longest: int) -> torch.Tensor:
    """Some of the texts of one row side by side, filled up to the longest: [X, T, D] -> [X, N, longest, D]."""
    if rows.device.type != "cpu":  # one kernel for all; what fills up means nothing
        return rows[:, _places(tuple(lengths), tuple(numbers), longest, rows.device)]
    parts = rows.split(list(lengths), 1)
    return torch.stack([F.pad(parts[number], (0, 0, 0, longest - lengths[number])) for number in numbers], 1)


@lru_cache(maxsize=4)
def _places(lengths: tuple[int, ...], numbers: tuple[int, ...], longest: int, device: torch.device) -> torch.Tensor:
    """Where in a row the tokens of some of its texts lie, [N, longest]; behind a text's end its last one again."""
    begins = [0, *accumulate(lengths)]
    with torch.inference_mode(False):
        first, last = (torch.tensor([begins[number + after] - after for number in numbers], device=device)[:, None] for after in (0, 1))
        return torch.minimum(first + torch.arange(longest, device=device), last)


def _tree(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: Sequence[int], scale: float) -> torch.Tensor:
    """A prefix and its continuations: all continuations meet the prefix in one product, and themselves in another, in one softmax.

    Args:
        query: [H, T, D].
        key, value: [K, T, D].
        lengths: of the prefix, then of the continuations.
    """
    first = lengths[0]
    found = [_texts(query[:, :first], key[:, :first], value[:, :first], lengths[:1], scale)]
    numbers = [number for number, length in enumerate(lengths) if number and length]
    longest = max((lengths[number] for number in numbers), default=0)
    most = max(1, SCORES // max(1, query.shape[0] * longest * (first + longest)))
    for at in range(0, len(numbers), most):
        found += _branches(query, key, value, lengths, numbers[at: at + most], scale)
    return torch.cat(found, 1)


def _branches(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: Sequence[int], numbers: Sequence[int], scale: float,
              ) -> list[torch.Tensor]:
    """Some of the continuations in such a row -> [H, length, D] of each."""
    heads, _, width = query.shape
    groups, first, count = key.shape[0], lengths[0], len(numbers)
    share, longest = heads // groups, max(lengths[number] for number in numbers)
    queries = _apart(query * scale, lengths, numbers, longest).view(groups, share, count, longest, width).transpose(1, 2)
    queries = queries.reshape(groups * count, share * longest, width)
    keys, values = (_apart(rows, lengths, numbers, longest).view(groups * count, longest, width) for rows in (key, value))
    bias = _causal(0, longest, 0, query, None, share).expand(groups * count, -1, -1)
    common = torch.bmm(queries.view(groups, -1, width), key[:, :first].transpose(1, 2)).view(groups * count, share * longest, first)
    chances = torch.cat([common, torch.baddbmm(bias, queries, keys.transpose(1, 2))], -1).softmax(-1)
    out = torch.bmm(chances[..., :first].reshape(groups, -1, first), value[:, :first]).view(groups * count, share * longest, width)
    out += torch.bmm(chances[..., first:], values)
    rows = out.view(groups, count, share, longest, width).transpose(1, 2).reshape(heads, count, longest, width)
    return [rows[:, place, :lengths[number]] for place, number in enumerate(numbers)]


def _blocks(packed: Packed, like: torch.Tensor, window: int | None, share: int) -> Iterator[tuple[slice, list[slice], torch.Tensor]]:
    """(queries, parts of the row that they see, what is added to the scores [share * Q, keys]) of every block."""
    begin = 0
    for number, length in enumerate(packed.lengths):
        before = packed.lengths[0] if packed.shared and number else 0
        for start in range(begin, begin + length, BLOCK):
            stop = min(start + BLOCK, begin + length)
            seen = [slice(0, before)] if before else []
            yield slice(start, stop), [*seen, slice(begin, stop)], _causal(start - begin, stop - begin, before, like, window, share)
        begin += length


def _causal(start: int, stop: int, before: int, like: torch.Tensor, window: int | None, share: int) -> torch.Tensor:
    """0 where a query at `before` + start..stop of its text may look, else -inf; keys are the prefix and the text up to `stop`.

    The queries are there `share` times, one below the other: -> [share * Q, keys].
    """
    laid_out = _mask if share * (stop - start) * (before + stop) <= MASKED else _mask.__wrapped__  # the longest are not kept
    return laid_out(start, stop, before, window if _cuts(window, before + stop) else None, share, like.dtype, like.device)


@lru_cache(maxsize=64)
def _mask(start: int, stop: int, before: int, window: int | None, share: int, kind: torch.dtype, device: torch.device) -> torch.Tensor:
    with torch.inference_mode(False):  # training may meet it too
        keys = torch.arange(before + stop, device=device)
        queries = before + torch.arange(start, stop, device=device)[:, None]
        hidden = keys > queries
        if window is not None:
            hidden |= keys <= queries - window
        return torch.zeros(hidden.shape, dtype=kind, device=device).masked_fill_(hidden, float("-inf")).repeat(share, 1)


def _block(query: torch.Tensor, keys: Sequence[torch.Tensor], values: Sequence[torch.Tensor], mask: torch.Tensor, scale: float,
           ) -> torch.Tensor:
    """query [K, R, Q, D] against the keys of each part, mask [R * Q, keys] -> [K, R, Q, D]; the parts share one softmax."""
    groups, share, queries, width = query.shape
    key, value = (torch.cat(list(parts), 1) if len(parts) > 1 else parts[0] for parts in (keys, values))
    scores = torch.baddbmm(mask.expand(groups, -1, -1), query.reshape(groups, share * queries, width), key.transpose(1, 2), alpha=scale)
    return torch.bmm(scores.softmax(-1), value).view(groups, share, queries, width)
