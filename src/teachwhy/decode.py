"""How does a GPU give one more token to every row? Attention over a prompt and a row's own tokens, in one kernel of ours (Triton's).

torch needs some twenty kernels for it, each as long as it takes to start one. Here a program takes a few rows of one prompt together, so
that they read its keys once, and goes on to each row's own keys in the same softmax (Milakov and Gimelshein 2018).
"""

from __future__ import annotations

from functools import cache

import torch

from teachwhy import progress

try:
    import triton
    import triton.language as tl
except ImportError:  # comes with torch where that is made for GPUs
    triton = None

TOGETHER = 16
"""Queries of a program: the fewest that a GPU's units for products take."""
BYTES = 2**16
"""Of keys and values that lie in a GPU's fast memory at once, where two blocks of each are held."""


def serves(query: torch.Tensor) -> bool:
    """Is the kernel made for this? If not, `attention` has torch's products."""
    return triton is not None and query.device.type == "cuda" and query.shape[-1] <= 256 and _works(query.device)


@cache
def _works(device: torch.device) -> bool:
    """Can Triton make a kernel here? It needs a compiler and Python's headers, and a GPU that is not too old."""
    one, filled = torch.ones(1, 1, 1, 16, device=device), torch.ones(1, dtype=torch.long, device=device)
    try:
        attend(one, one, one, one, one, filled, filled - 1, 1.0, None)
    except Exception as error:  # of many kinds: of Triton, of the compiler, of the driver
        progress.warn(f"Decoding goes without its own kernel, some two thirds as fast: Triton fails here ({type(error).__name__}: "
                      f"{(str(error).splitlines() or [''])[0][:100]}).")
        return False
    return True


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, before: torch.Tensor, known: torch.Tensor,
           prompt_lengths: torch.Tensor, lengths: torch.Tensor, scale: float, window: int | None) -> torch.Tensor:
    """One query per row against its prompt and its own tokens -> [R, 1, H, D].

    Args:
        query: [R, H, 1, D]; rows of a prompt lie side by side, as many for each.
        key, value: the rows' own, [R, K, S, D].
        before, known: keys and values of the prompts, [G, K, P, D].
        prompt_lengths: places of the prompts that are filled, [G].
        lengths: tokens of its own that a row has before the one that it is given here, [R].
        window: keys further back than this are not seen.
    """
    rows, heads, _, width = query.shape
    prompts, groups, places, _ = before.shape
    share, each = heads // groups, rows // prompts
    taken = max(1, min(each, TOGETHER // share))
    flat = query[:, :, 0]
    if flat.stride(-1) != 1:
        flat = flat.contiguous()
    out, padded = query.new_empty(rows, 1, heads, width), max(16, triton.next_power_of_2(width))
    _attend[(-(-each // taken), groups, prompts)](
        flat, key, value, before, known, prompt_lengths, lengths, out, scale, each, places, key.shape[2], flat.stride(0), flat.stride(1),
        window or 2**30, groups=groups, rows=taken, share=share, width=width,
        queries=max(TOGETHER, triton.next_power_of_2(taken * share)), padded=padded,
        keys=min(64, BYTES // (4 * padded * key.itemsize)), precision="ieee" if query.dtype == torch.float32 else "tf32", num_stages=2)
    return out


jit = (lambda function: function) if triton is None else triton.jit


@jit
def _meet(q, to_keys, to_values, place, filled, seen, most, total, found, scale, width: tl.constexpr,  # type: ignore[no-untyped-def]
          padded: tl.constexpr, precision: tl.constexpr):
    """Some more keys for all queries of a program; the softmax so far is kept as its highest score, its sum and its weighted values."""
    d = tl.arange(0, padded)
    there = (place < filled)[:, None] & (d < width)[None, :]
    k = tl.load(to_keys + place[:, None] * width + d[None, :], mask=there, other=0.0)
    v = tl.load(to_values + place[:, None] * width + d[None, :], mask=there, other=0.0)
    scores = tl.where(seen, tl.dot(q, tl.trans(k), input_precision=precision) * scale, float("-inf"))
    higher = tl.maximum(most, tl.max(scores, 1))
    safe = tl.where(higher == float("-inf"), 0.0, higher)  # a window may hide all of these
    chances, fade = tl.exp(scores - safe[:, None]), tl.exp(most - safe)
    found = found * fade[:, None] + tl.dot(chances.to(v.dtype), v, input_precision=precision)
    return higher, total * fade + tl.sum(chances, 1), found


@jit
def _attend(query, key, value, before, known, prompt_lengths, lengths, out, scale, each, places, own,  # type: ignore[no-untyped-def]
            row_step, head_step, window, groups: tl.constexpr, rows: tl.constexpr, share: tl.constexpr, width: tl.constexpr,
            queries: tl.constexpr, padded: tl.constexpr, keys: tl.constexpr, precision: tl.constexpr):
    first, group, prompt = tl.program_id(0) * rows, tl.program_id(1), tl.program_id(2)
    m, n, d = tl.arange(0, queries), tl.arange(0, keys), tl.arange(0, padded)
    slot = m // share
    real = (slot < rows) & (first + slot < each)
    row = (prompt * each + first + slot).to(tl.int64)
    head = group * share + m % share
    asked = real[:, None] & (d < width)[None, :]
    q = tl.load(query + row[:, None] * row_step + head[:, None] * head_step + d[None, :], mask=asked, other=0.0)
    filled = tl.load(prompt_lengths + prompt)
    oldest = filled + tl.load(lengths + row, mask=real, other=0) - window + 1
    most, total = tl.full([queries], float("-inf"), tl.float32), tl.zeros([queries], tl.float32)
    found = tl.zeros([queries, padded], tl.float32)
    at = (prompt * groups + group).to(tl.int64) * places * width
    for start in range(0, filled, keys):
        place = start + n
        seen = (place < filled)[None, :] & (place[None, :] >= oldest[:, None])
        most, total, found = _meet(q, before + at, known + at, place, filled, seen, most, total, found, scale, width, padded, precision)
    for number in tl.static_range(rows):
        has = tl.load(lengths + prompt * each + first + number, mask=first + number < each, other=-1) + 1
        at = ((prompt * each + first + number).to(tl.int64) * groups + group) * own * width
        for start in range(0, has, keys):
            place = start + n
            seen = (slot == number)[:, None] & (place < has)[None, :] & (filled + place[None, :] >= oldest[:, None])
            most, total, found = _meet(q, key + at, value + at, place, has, seen, most, total, found, scale, width, padded, precision)
    to = out + row[:, None] * (groups * share * width) + head[:, None] * width + d[None, :]
    tl.store(to, (found / total[:, None]).to(out.dtype.element_ty), mask=asked)
