"""Sampling many different scenarios: our sampler beside transformers' generate, in one run, on the embedded model.

    python benchmarks/sampling.py [--draws 32] [--repeats 3]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from teachwhy import attention, chat, sampler, weights
from teachwhy.scenarios import family


def ours(model, requests, decoding) -> int:
    return sum(len(c.tokens) for c in sampler.sample(model, requests, decoding, frozenset(), slots=128, lanes=2))


@torch.inference_mode()
def generate(model, tokenizer, requests, decoding, batch: int = 32) -> int:
    """What a user would write: left-padded batches and `generate` with the same decoding and length."""
    for start in range(0, len(requests), batch):
        prompts = [list(r.prompt) for r in requests[start: start + batch]]
        longest = max(map(len, prompts))
        ids = torch.tensor([[tokenizer.pad_token_id] * (longest - len(p)) + p for p in prompts])
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
        model.generate(ids, attention_mask=mask, max_new_tokens=decoding.max_new_tokens, min_new_tokens=decoding.max_new_tokens,
                       do_sample=True, temperature=decoding.temperature, top_p=decoding.top_p, top_k=0,
                       pad_token_id=tokenizer.pad_token_id)
    return len(requests) * decoding.max_new_tokens


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--draws", type=int, default=32)
    arguments.add_argument("--repeats", type=int, default=3)
    given = arguments.parse_args()
    model, tokenizer = weights.load(weights.embedded())
    draws = family("blackmail").draws(given.draws, 1)
    requests = [sampler.Request(tuple(chat.prompt_tokens(tokenizer, draw.messages)), i) for i, draw in enumerate(draws)]
    decoding = sampler.Decoding(temperature=0.8, top_p=0.95, max_new_tokens=64)
    speeds: dict[str, list[float]] = {"ours": [], "generate": []}
    for _ in range(given.repeats):
        for name in speeds:
            model.set_attn_implementation(attention.NAME if name == "ours" else "sdpa")
            started = time.perf_counter()
            tokens = ours(model, requests, decoding) if name == "ours" else generate(model, tokenizer, requests, decoding)
            speeds[name].append(tokens / (time.perf_counter() - started))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    for name, value in medians.items():
        print(f"{name:<10}{value:8.1f} new tokens/s  (min {min(speeds[name]):.1f}, max {max(speeds[name]):.1f})")
    print(f"ratio {medians['ours'] / medians['generate']:.2f}  ({given.draws} draws x {decoding.max_new_tokens} tokens, "
          f"median of {given.repeats})")


if __name__ == "__main__":
    main()
