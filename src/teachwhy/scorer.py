"""How likely is each of many texts after one prefix? All of them in one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from teachwhy import compute, memory, progress
from teachwhy.attention import Packed
from teachwhy.choosing import log_total
from teachwhy.errors import UserError
from teachwhy.sampler import window


def score(model: Any, prefix: Sequence[int], continuations: Sequence[Sequence[int]], temperature: float = 1.0) -> list[float]:
    """Log-probability (nats, summed over tokens) of each continuation of one prefix at a temperature, in one forward pass.

    The continuations follow the prefix in one packed row: each sees the prefix and itself. Where memory runs out, or there
    is too little of it from the start, half as many are scored together, each pass with the prefix; a score is the same either way, up to
    rounding.

    Raises:
        UserError: memory does not hold one continuation, a text is longer than the model's window, or there is no prefix or no temperature.
    """
    longest, room = len(prefix) + max(map(len, continuations), default=0), window(model)
    if not prefix or temperature <= 0:
        raise UserError("Continuations are scored after a prefix of at least one token, at a temperature above 0",
                        "Begin with the tokenizer's first token, and give temperature 1 for the model's own probabilities.")
    if longest > room:
        raise UserError(f"A text to be scored has {longest} tokens, and this model reads {room}", "Use shorter texts.")
    found: list[float] = []
    together = memory.at_once(len(continuations), _bytes(model, continuations), model.device.type == "cpu")
    if together < len(continuations):
        progress.warn(f"There is memory for {together} of {len(continuations)} continuations at a time: so many are scored together.")
    while len(found) < len(continuations):
        part = continuations[len(found): len(found) + together]
        try:
            found += _score(model, prefix, part, temperature)
            continue
        except RuntimeError as error:  # as in `sampler.sample`
            if not compute.is_out_of_memory(error):
                raise
            if len(part) == 1:
                raise UserError("Memory does not hold one scored text of this model", "Use a smaller model or shorter texts.") from error
        together = len(part) // 2
        compute.give_back()
        progress.warn(f"Memory ran out while scoring; {together} continuations at a time were scored together from there on.")
    return found


def _bytes(model: Any, continuations: Sequence[Sequence[int]]) -> Callable[[int], float]:
    """From how many continuations are scored together to the bytes of the logits of all their tokens."""
    longest = max(map(len, continuations), default=0)
    return lambda count: count * longest * model.config.get_text_config().vocab_size * model.dtype.itemsize


@torch.inference_mode()
def _score(model: Any, prefix: Sequence[int], continuations: Sequence[Sequence[int]], temperature: float) -> list[float]:
    """The same in one forward pass, whatever memory that needs."""
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
                   logits_to_keep=torch.tensor(predictors, dtype=torch.long, device=model.device)).logits[0]
    targets = ids[0, len(prefix):]
    # A few rows at a time: the vocabulary of all of them in fp32 would be read from memory again for every step.
    picked = torch.cat([_log_probability(rows, these, temperature)
                        for rows, these in zip(logits.split(SCORED), targets.split(SCORED), strict=True)])
    sums: list[float] = torch.stack([part.sum() for part in picked.split(lengths)]).tolist()
    return sums


SCORED = 32
"""Rows whose logits are turned into log-probabilities together."""


def _log_probability(logits: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
    """Log-probability (nats) of one token per row: logits [N, V], targets [N] -> [N], in fp32."""
    scaled = logits.float() / temperature
    return scaled.gather(-1, targets[:, None])[:, 0] - log_total(scaled)
