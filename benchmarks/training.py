"""Fine-tuning on chat data: our training beside trl's SFTTrainer with its defaults in bf16, on the same rows of the embedded model.

    python benchmarks/training.py [--tokens 8000] [--repeats 3] [--lora 16]

`--lora` trains adapters of that rank on frozen weights instead of all weights, on both sides.

The share of the machine's peak counts 6 operations per weight and token (4 with adapters: no gradients of frozen weights), the output
layer at learned tokens alone, attention not at all, against the fastest of a few square bf16 products.

The allocator keeps freed memory for both sides (`compute.keep_memory`), so trl's is faster here than where a user starts it bare.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from teachwhy import compute, interventions, training, weights
from teachwhy.training.sft import shared_batch

PARTS = {"plain_chat": 1.0}
MORE = {"plain_chat": 0.35, "difficult_advice": 0.4, "curiosity_advice": 0.25}
"""What is read where 60,000 tokens are too few."""


def rows_of(tokens: int) -> list[training.Row]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(weights.embedded())
    with tempfile.TemporaryDirectory() as folder:
        mixture = interventions.Mixture(parts=MORE if tokens > 60_000 else PARTS, tokens=tokens)
        interventions.build(mixture, tokenizer, 1, [], Path(folder))
        read = [json.loads(line) for line in (Path(folder) / "rows.jsonl").read_text().splitlines()]
    return [{key: row[key] for key in ("input_ids", "labels")} for row in read]


def ours(rows: list[training.Row], folder: Path, lora: int) -> float:
    recipe = training.Recipe(lr=1e-3 if lora else 1e-4, batch_tokens=1000, lora=lora)
    training.train(weights.embedded(), rows, recipe, 1, folder, "ours", lanes=2)
    return float(json.loads((folder / "history.json").read_text())[-1]["loss"])


def trl(rows: list[training.Row], folder: Path, lora: int) -> float:
    """What a user would write: trl's trainer as it comes, bf16 asked for, the same rows, batch and rate."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    lengths = sorted(len(row["input_ids"]) for row in rows)
    batch = shared_batch(1000 / lengths[len(lengths) // 2], compute.lanes(2))  # as many as ours
    settings = SFTConfig(output_dir=str(folder), per_device_train_batch_size=batch, num_train_epochs=1,
                         learning_rate=1e-3 if lora else 1e-4, bf16=True, use_cpu=not torch.cuda.is_available(), save_strategy="no",
                         logging_steps=1, report_to=[], disable_tqdm=True, seed=1, lr_scheduler_type="constant_with_warmup", warmup_steps=1,
                         dataset_kwargs={"skip_prepare_dataset": True})
    adapters = LoraConfig(r=lora, lora_alpha=2 * lora, target_modules="all-linear", task_type="CAUSAL_LM") if lora else None
    trainer = SFTTrainer(peft_config=adapters, model=AutoModelForCausalLM.from_pretrained(weights.embedded(), dtype="float32"),
                         args=settings, train_dataset=Dataset.from_list(rows),
                         processing_class=AutoTokenizer.from_pretrained(weights.embedded()))
    trainer.train()
    return float([step["loss"] for step in trainer.state.log_history if "loss" in step][-1])


def peak() -> float:
    """Operations per second of square products on the device and in the number format of training, the best of a few sizes and tries."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    best = 0.0
    for size in (1024, 2048, 3072, *([8192] if device == "cuda" else [])):
        a, b = torch.randn(2, size, size, device=device).to(getattr(torch, compute.number_format()))
        for _ in range(4):
            start = time.perf_counter()
            (a @ b)[0, 0].item()
            best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def operations(rows: list[training.Row], lora: int) -> float:
    """What one pass over the rows must multiply at least."""
    model, _ = weights.load(weights.embedded())
    output = model.get_output_embeddings().weight.numel()
    layers = sum(p.numel() for p in model.parameters()) - output  # the embedding is tied to the output layer and only looked up
    tokens, learned = sum(len(row["input_ids"]) for row in rows), sum(label != -100 for row in rows for label in row["labels"])
    return (4 if lora else 6) * (layers * tokens + output * learned)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tokens", type=int, default=8000)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--lora", type=int, default=0)
    asked = arguments.parse_args()
    rows = rows_of(asked.tokens)
    tokens = sum(len(row["input_ids"]) for row in rows)
    fastest, needed = peak(), operations(rows, asked.lora)
    rates: dict[str, list[float]] = {"ours": [], "trl": []}
    for repeat in range(asked.repeats):
        for name, run in (("ours", ours), ("trl", trl)):
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                loss = run(rows, Path(folder), asked.lora)
                rates[name].append(tokens / (time.perf_counter() - start))
            print(f"{name}, run {repeat + 1}: {rates[name][-1]:.0f} tokens/s, loss of the last step {loss:.3f}", flush=True)
    done = needed * statistics.median(rates["ours"]) / tokens
    print(f"ours: {done / 1e9:.0f} GFLOP/s, {done / fastest:.0%} of the machine's {fastest / 1e9:.0f}; loading and saving included")
    print(f"ratio {statistics.median(rates['ours']) / statistics.median(rates['trl']):.2f} ({tokens} tokens; loading included)")


if __name__ == "__main__":
    main()
