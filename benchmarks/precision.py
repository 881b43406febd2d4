"""Does training with 16-bit products learn what training in fp32 learns? Loss curves side by side, and the loss on texts not trained on.

    python benchmarks/precision.py [--tokens 16000] [--seeds 3] [--figure FILE.png]

Three ways on the same rows of the embedded model, in the same order: all in fp32; fp32 weights under 16-bit products (how teachwhy trains
where the hardware has them); weights that are 16-bit themselves, as trl trains a model that was loaded so. The noise to compare with is
fp32 against itself in another order of rows. On a processor without 16-bit products they are emulated: right, but many times slower.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from training import rows_of

from teachwhy import compute, training, weights

OTHERS, MOST = 6_000, 60_000
"""Tokens of the texts that the loss is tried on, and of those to train on: the set has no more, and would start again."""
RECIPE = training.Recipe(lr=1e-4, batch_tokens=1000)


def curve(rows: list[training.Row], others: list[training.Row], way: str, seed: int) -> tuple[list[float], float]:
    """(loss of each step, loss a learned token on other rows at the end)."""
    with tempfile.TemporaryDirectory() as name, patch.object(compute, "has_bf16", lambda: way != "fp32"), \
            patch.object(weights, "load", _in_16_bits if way == "bf16 weights" else weights.load):
        [model] = training.train(weights.embedded(), rows, RECIPE, seed, Path(name), f"{way}, seed {seed}", lanes=2)
        history = json.loads((Path(name) / "history.json").read_text())
        return [step["loss"] for step in history], held_out(model, others)


_load = weights.load


def _in_16_bits(*args: Any, **settings: Any) -> Any:
    import torch

    model, tokenizer = _load(*args, **settings)
    return model.to(torch.bfloat16), tokenizer


def held_out(folder: Path, rows: list[training.Row]) -> float:
    """Mean loss of the learned tokens, in fp32."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    total = count = 0.0
    with torch.inference_mode():
        for row in rows:
            learned = sum(label != -100 for label in row["labels"][1:])
            loss = model(input_ids=torch.tensor([row["input_ids"]]), labels=torch.tensor([row["labels"]])).loss
            total, count = total + float(loss) * learned, count + learned
    return total / count


def draw(curves: dict[str, list[float]], file: Path) -> None:
    """The curves as a picture."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    for (name, losses), style in zip(curves.items(), ("-", "--", ":"), strict=False):
        axes.plot(range(1, len(losses) + 1), losses, style, label=name)
    axes.set(xlabel="step of some 1,000 tokens", ylabel="loss a learned token")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tokens", type=int, default=16_000)
    arguments.add_argument("--seeds", type=int, default=3, help="orders of rows in fp32, to tell the noise by")
    arguments.add_argument("--figure", type=Path)
    asked = arguments.parse_args()
    if asked.tokens > MOST or asked.seeds < 1:
        arguments.error(f"at most {MOST} tokens, for the set has no more texts than these and those to try the loss on; at least one seed")
    both = rows_of(asked.tokens + OTHERS)
    cut = len(both) * asked.tokens // (asked.tokens + OTHERS)
    rows, others = both[:cut], both[cut:]
    print(f"{len(rows)} texts to train on, {len(others)} others; the hardware's own format: {compute.number_format()}", flush=True)
    fp32 = [curve(rows, others, "fp32", seed) for seed in range(1, asked.seeds + 1)]
    curves, ends = {"fp32": fp32[0][0]}, [end for _, end in fp32]
    print(f"fp32: loss on others {', '.join(f'{end:.4f}' for end in ends)} ({asked.seeds} orders of rows)", flush=True)
    for way in ("bf16 products", "bf16 weights"):
        losses, end = curve(rows, others, way, 1)
        apart = statistics.fmean(abs(one - other) for one, other in zip(losses, fp32[0][0], strict=True))
        curves[way] = losses
        print(f"{way}: loss on others {end:.4f}, {end - ends[0]:+.4f} from fp32 in the same order; a step's loss is {apart:.4f} from "
              f"fp32's on the mean, the last {losses[-1] - fp32[0][0][-1]:+.4f}", flush=True)
    if asked.seeds > 1:
        print(f"noise: {asked.seeds} orders in fp32 have a standard deviation of {statistics.stdev(ends):.4f}")
    if asked.figure:
        draw(curves, asked.figure)


if __name__ == "__main__":
    main()
