"""Which token comes next? From logits to one token per row: temperature, the likeliest few, the nucleus, a uniform number."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from teachwhy.errors import UserError


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen; part of every stored outcome.

    Attributes:
        temperature: 0 is greedy.
        top_p: the nucleus, the fewest likeliest tokens that hold this share (Holtzman et al. 2020).
        max_new_tokens: a sample is cut off here.
        top_k: only this many likeliest tokens (0: all).
        stop: a sample ends where its text holds one of these strings; an empty one, which every text holds, is left out.
        logprobs: give the log-probability of every sampled token too.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    max_new_tokens: int = 160
    top_k: int = 0
    stop: tuple[str, ...] = ()
    logprobs: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", tuple(string for string in self.stop if string))
        if self.temperature < 0 or not 0 <= self.top_p <= 1 or self.max_new_tokens < 1 or self.top_k < 0:
            raise UserError(f"Nothing can be sampled with temperature {self.temperature}, top_p {self.top_p}, top_k {self.top_k} and "
                            f"{self.max_new_tokens} new tokens", "Give 0 or more, 0 to 1, 0 or more, and 1 or more.")


def choose(logits: torch.Tensor, uniforms: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """Pick a token per row by inverting the nucleus distribution at a uniform number.

    logits [S, V], uniforms [S] in [0, 1) -> token ids [S]. Temperature 0 is greedy. The nucleus is exact: the sort is cut to the
    likeliest tokens, and goes on to more of them for the rows where these hold less than `top_p`. `top_k` comes first, and
    the nucleus is then of what it left, as in transformers and vLLM.
    """
    if decoding.temperature == 0:
        return logits.argmax(-1)
    scaled = logits.float() / decoding.temperature
    if decoding.top_k:
        best, tokens = scaled.topk(min(decoding.top_k, scaled.shape[-1]), dim=-1)
        return _invert(best.softmax(-1), tokens, uniforms, decoding.top_p)
    total = log_total(scaled)[:, None]
    chosen, rows = torch.zeros_like(uniforms, dtype=torch.long), torch.arange(len(scaled), device=scaled.device)
    few = SORTED if scaled.device.type == "cpu" else SORTED[1:]  # a GPU sorts many in the time in which it is asked twice
    for held in sorted({min(size, scaled.shape[-1]) for size in (*few, scaled.shape[-1])}):
        best, tokens = (scaled if len(rows) == len(scaled) else scaled[rows]).topk(held, dim=-1)
        probabilities = (best - total[rows]).exp()
        chosen[rows] = _invert(probabilities, tokens, uniforms[rows], decoding.top_p)
        rows = rows[probabilities.sum(-1) < decoding.top_p]
        if not len(rows):
            break
    return chosen


SORTED = (64, 1024)
"""Likeliest tokens that are sorted before all are: nearly every nucleus lies within the first few."""


def log_total(scaled: torch.Tensor) -> torch.Tensor:
    """logsumexp over the last dimension, [S, V] -> [S]. What is e^-80 of the likeliest counts for nothing in fp32, and left to fall
    further it becomes numbers so small that a processor needs ten times as long for each: they cost as much as a layer."""
    most = scaled.amax(-1, keepdim=True)
    return most[:, 0] + (scaled - most).clamp_(min=-80).exp_().sum(-1).log()


def _invert(probabilities: torch.Tensor, tokens: torch.Tensor, uniforms: torch.Tensor, top_p: float) -> torch.Tensor:
    """Token ids [S] at the uniform numbers [S], from sorted probabilities and their tokens [S, K]."""
    before = probabilities.cumsum(-1) - probabilities
    kept = probabilities * (before < top_p)  # the token that crosses the line belongs to the nucleus
    cumulative = kept.cumsum(-1)
    place = (cumulative < (uniforms * cumulative[:, -1])[:, None]).sum(-1, keepdim=True)
    return tokens.gather(-1, place.clamp(max=tokens.shape[-1] - 1))[:, 0]
