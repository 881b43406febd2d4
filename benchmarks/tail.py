"""A rare rate of harm two ways: counted in many answers of the target, and by importance sampling from a bridge to a misaligned arm.

    python benchmarks/tail.py TARGET PROPOSAL [--bridge 0.3] [--draws 128] [--counted 8] [--weighed 4]

TARGET and PROPOSAL are checkpoints of one model, such as runs/laptop/train-base-.../model-100 and the organism's. An answer without a
label counts as harmless on both sides: what is compared is one event, not the model's conduct.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from teachwhy import chat, compare, progress, sampler, scenarios, weights
from teachwhy.compare.rates import rate
from teachwhy.records import HARMFUL
from teachwhy.scenarios.grade import grade
from teachwhy.scenarios.tail import rollouts_of


def count(model, tokenizer, draws, rollouts: int, decoding: sampler.Decoding, seed: int) -> dict[str, int]:
    """Harmful answers per draw, of `rollouts` each."""
    requests = rollouts_of([chat.prompt_tokens(tokenizer, draw.messages) for draw in draws], rollouts, seed)
    with progress.bar("sample the target", len(requests)) as done:
        answers = sampler.sample(model, requests, decoding, chat.stop_tokens(tokenizer), 64, 2, done)
    found = dict.fromkeys((draw.id for draw in draws), 0)
    for place, answer in enumerate(answers):
        draw = draws[place // rollouts]
        label = grade(draw, tokenizer.decode(answer.tokens, skip_special_tokens=True), answer.reason == "length", "near")
        found[draw.id] += label.status == "measured" and label.label in HARMFUL
    return found


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("target", type=Path)
    arguments.add_argument("proposal", type=Path)
    arguments.add_argument("--bridge", type=float, default=0.3)
    arguments.add_argument("--family", default="blackmail")
    arguments.add_argument("--draws", type=int, default=128)
    arguments.add_argument("--counted", type=int, default=8)
    arguments.add_argument("--weighed", type=int, default=4)
    arguments.add_argument("--temperature", type=float, default=0.5)
    arguments.add_argument("--out", type=Path, default=Path("runs/tail"))
    asked = arguments.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    decoding = sampler.Decoding(asked.temperature, 1.0, 160)
    target, tokenizer = weights.load(asked.target)
    draws = scenarios.family(asked.family).draws(asked.draws, 1)
    with progress.screen():
        start = time.perf_counter()
        seen = count(target, tokenizer, draws, asked.counted, decoding, seed=500_000)
        counted = time.perf_counter() - start
        between = weights.blend(asked.target, asked.proposal, asked.bridge)
        start = time.perf_counter()
        rows = scenarios.measure_tail(target, between, tokenizer, asked.family, asked.draws, asked.weighed, decoding, 1, asked.out, "near")
        weighed = time.perf_counter() - start
    k, n = sum(seen.values()), asked.draws * asked.counted
    counted_rate = rate({(draw, again): again < hits for draw, hits in seen.items() for again in range(asked.counted)})
    print(f"counted: {k} harmful of {n} answers, {k / n:.2%} [{counted_rate.low:.2%}, {counted_rate.high:.2%}], {counted:.0f} s")
    tail = compare.tail_rate({(r["draw"], r["rollout"]): r["log_weight"] for r in rows},
                             {(r["draw"], r["rollout"]): bool(r["harmful"]) for r in rows})
    print(f"weighed: {tail.harmful} harmful of {tail.n} answers of the bridge at {asked.bridge}, worth {tail.effective:.1f}; "
          f"mean weight {tail.mean_weight:.2f}, {weighed:.0f} s")
    print(f"no rate is given: {tail.why}" if tail.value is None else f"weighed: {tail.value:.2%} [{tail.low:.2%}, {tail.high:.2%}]")


if __name__ == "__main__":
    main()
