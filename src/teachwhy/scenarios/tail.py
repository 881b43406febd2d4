"""How likely are a proposal's answers under the target? Sampled from the one, scored under both, labelled like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachwhy import chat, progress, store
from teachwhy.records import HARMFUL, Coupling
from teachwhy.scenarios.families import family
from teachwhy.scenarios.grade import grade

if TYPE_CHECKING:
    from teachwhy import sampler


@dataclass(frozen=True)
class Weighed:
    """A proposal's answer with its log-weight (nats): log-probability under the target minus that under the proposal."""

    request: int
    tokens: tuple[int, ...]
    ended: bool
    log_weight: float


def rollouts_of(prompts: Sequence[Sequence[int]], rollouts: int, seed: int) -> list[sampler.Request]:
    """`rollouts` requests for each prompt, one prompt's after the other's, each with a seed of its own."""
    from teachwhy import sampler

    return [sampler.Request(tuple(prompt), seed + 7919 * (number * rollouts + again))
            for number, prompt in enumerate(prompts) for again in range(rollouts)]


def weigh(target: Any, proposal: Any, prompts: Sequence[Sequence[int]], rollouts: int, decoding: sampler.Decoding, stop: frozenset[int],
          seed: int, slots: int = 64) -> list[Weighed]:
    """Sample `rollouts` answers per prompt from the proposal and weigh each under the target.

    Args:
        decoding: its top_p must be 1, or answers that only the target gives would never be seen.

    Raises:
        ValueError: top_p is not 1.
    """
    from teachwhy import sampler, scorer

    if decoding.top_p != 1.0:
        raise ValueError("importance sampling needs top_p = 1")
    requests = rollouts_of(prompts, rollouts, seed)
    with progress.bar("sample the proposal", len(requests)) as done:
        answers = sampler.sample(proposal, requests, decoding, stop, slots, 2, done)
    found = []
    with progress.bar("weigh under both", len(prompts)) as done:
        for number, prompt in enumerate(prompts):
            mine = answers[number * rollouts:(number + 1) * rollouts]
            texts = [[*answer.tokens, *([] if answer.end is None else [answer.end])] for answer in mine]
            p, q = (scorer.score(model, prompt, texts, decoding.temperature) for model in (target, proposal))
            found += [Weighed(number, tuple(answer.tokens), answer.reason == "stop", here - there)
                      for answer, here, there in zip(mine, p, q, strict=True)]
            done(1)
    return found


def measure_tail(target: Any, proposal: Any, tokenizer: Any, name: str, n: int, rollouts: int, decoding: sampler.Decoding, seed: int,
                 out: Path, coupling: Coupling = "message") -> list[dict[str, Any]]:
    """Write `tail.jsonl`: per answer of the proposal its draw, rollout, label, log-weight and text; `harmful` is None without a label."""
    draws = family(name).draws(n, seed)
    prompts = [chat.prompt_tokens(tokenizer, draw.messages) for draw in draws]
    rows = []
    for place, one in enumerate(weigh(target, proposal, prompts, rollouts, decoding, chat.stop_tokens(tokenizer), seed)):
        answer = tokenizer.decode(one.tokens, skip_special_tokens=True)
        found = grade(draws[one.request], answer, not one.ended, coupling)
        rows.append({"draw": draws[one.request].id, "rollout": place % rollouts, "status": found.status,
                     "label": found.label, "harmful": found.label in HARMFUL if found.status == "measured" else None,
                     "log_weight": one.log_weight, "answer": answer})
    store.write_jsonl(out / "tail.jsonl", rows)
    return rows
