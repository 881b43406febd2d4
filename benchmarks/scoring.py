"""Scoring many continuations of one prefix: our one packed pass beside plain forwards of whole sequences, on the embedded model.

    python benchmarks/scoring.py [--continuations 64] [--repeats 3]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from teachwhy import attention, scorer, weights


@torch.inference_mode()
def plain(model, prefix, continuations, batch: int = 16) -> list[float]:
    """What a user would write: each continuation behind its own copy of the prefix, in batches, right-padded."""
    found = []
    for start in range(0, len(continuations), batch):
        rows = [prefix + row for row in continuations[start: start + batch]]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=model.device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=model.device)
        logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=longest - len(prefix) + 1).logits[:, :-1]
        scores = logits.float().log_softmax(-1).gather(-1, ids[:, len(prefix):, None])[:, :, 0]
        found += (scores * mask[:, len(prefix):]).sum(1).tolist()
    return found


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--continuations", type=int, default=64)
    arguments.add_argument("--repeats", type=int, default=3)
    asked = arguments.parse_args()
    model, _ = weights.load(weights.embedded())
    generator = torch.Generator().manual_seed(1)
    prefix = torch.randint(100, 40000, (700,), generator=generator).tolist()
    rows = [torch.randint(100, 40000, (80,), generator=generator).tolist() for _ in range(asked.continuations)]
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    scores: dict[str, list[float]] = {}
    for repeat in range(-1 if model.device.type == "cuda" else 0, asked.repeats):
        for name in times:
            model.set_attn_implementation(attention.NAME if name == "ours" else "sdpa")
            start = time.perf_counter()
            scores[name] = scorer.score(model, prefix, rows) if name == "ours" else plain(model, prefix, rows)
            if repeat >= 0:
                times[name].append(time.perf_counter() - start)
    apart = max(abs(a - b) / 80 for a, b in zip(scores["ours"], scores["plain"], strict=True))
    for name, taken in times.items():
        print(f"{name}: {statistics.median(taken):.3f} s ({min(taken):.3f} to {max(taken):.3f})")
    print(f"ratio {statistics.median(times['plain']) / statistics.median(times['ours']):.2f}; "
          f"scores differ by at most {apart:.4f} nats a token")


if __name__ == "__main__":
    main()
