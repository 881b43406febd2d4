"""What did we do to the model? One fine-tune, of all weights in fp32 or of low-rank adapters, on trl, from a list of token rows.

Hides the trainer and its settings. Products are bf16 under autocast where the hardware has them. Pure bf16 weights would lose
most of each update (a step of 1e-4 is below half a unit in the last place), so the master weights stay in fp32.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

from teachwhy import compute, progress, store, weights
from teachwhy.errors import UserError
from teachwhy.training.recipe import Recipe

Row = dict[str, list[int]]
"""One training row: `input_ids` and `labels` (-100 where nothing is learned)."""


def train(parent: Path, rows: list[Row], recipe: Recipe, seed: int, out: Path, title: str,
          milestones: tuple[float, ...] = (1.0,), warning: str = "", lanes: int = 1) -> list[Path]:
    """Fine-tune the model in `parent` on `rows`; save one checkpoint per milestone (shares of all steps).

    Args:
        warning: what a user of the checkpoint must know, such as hostile text in its past; written into its config and card.
        lanes: parts of each step that are computed side by side on a processor.

    Returns:
        The checkpoint folders `out/model-<percent>`, in the order of the milestones; with `lora`, adapters that name their model.
    """
    lengths = sorted(len(row["input_ids"]) for row in rows)
    batch = shared_batch(recipe.batch_tokens / max(1, lengths[len(lengths) // 2]), compute.lanes(lanes))
    steps = math.ceil(len(rows) / batch) * recipe.passes
    due = {max(1, round(share * steps)): out / f"model-{round(100 * share)}" for share in milestones}
    if len(due) < len(milestones):
        raise UserError(f"Two milestones of `{title}` fall on the same of its {steps} steps", "Set them further apart.")
    run = partial(_run, parent, rows, recipe, seed, out, title, due, batch, steps, warning, lanes)
    try:
        history = run(recompute=False)
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if not compute.is_out_of_memory(error):
            raise
        history = None
    if history is None:  # outside the handler, which would keep the failed run's memory
        compute.give_back()
        progress.say(f"Memory ran out in `{title}`: it starts again and keeps less of each forward pass, which takes a third longer.")
        history = run(recompute=True)
    store.write_json(out / "history.json", history)
    return [due[step] for step in due]


def shared_batch(texts: float, lanes: int) -> int:
    """How many texts a step holds: the nearest number that lanes can share, or one of two lanes waits for the other's third text."""
    return max(1, round(texts)) if texts < lanes else lanes * round(texts / lanes)


def _run(parent: Path, rows: list[Row], recipe: Recipe, seed: int, out: Path, title: str, due: dict[int, Path], batch: int, steps: int,
         warning: str, lanes: int, *, recompute: bool) -> list[dict[str, float]]:
    """One training from its first step to its last, with the checkpoints that fall due; returns its losses."""
    import torch
    from datasets import Dataset
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    from transformers import TrainerCallback

    from teachwhy.training.loss import LearnedOnlyTrainer

    torch.manual_seed(seed)
    model, tokenizer = _prepared(parent, recipe)
    warning = warning or getattr(model.config, "teachwhy_warning", "")  # an ancestor may lie outside this study
    model.config.teachwhy_warning = warning
    history: list[dict[str, float]] = []
    mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average)) if recipe.average else None

    with progress.bar(title, steps) as advance:
        class Watch(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                advance(1)
                if mean is not None:
                    mean.update_parameters(kwargs["model"])
                if state.global_step in due:
                    weights.save(kwargs["model"] if mean is None else mean.module, tokenizer, due[state.global_step])
                    (due[state.global_step] / "README.md").write_text(_card(title, warning), encoding="utf-8")

            def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None,
                       **kwargs: Any) -> None:
                if logs and "loss" in logs:
                    history.append({"step": state.global_step, "loss": logs["loss"], "lr": logs["learning_rate"]})

        trainer = LearnedOnlyTrainer(model=model, args=_settings(recipe, batch, steps, seed, out, recompute),
                                     train_dataset=Dataset.from_list(rows), processing_class=tokenizer, callbacks=[Watch()])
        trainer.lanes = lanes
        _silence(trainer)
        trainer.train()
    return history


def _prepared(parent: Path, recipe: Recipe) -> tuple[Any, Any]:
    """The model to train: all of its weights in fp32, or fp32 adapters on frozen weights in the machine's own format."""
    if not recipe.lora:
        return weights.load(parent, training=True)
    from peft import LoraConfig, get_peft_model

    model, tokenizer = weights.load(parent, merged=True)
    model.name_or_path = str(parent.resolve())  # what the adapters will name as their model
    adapters = LoraConfig(r=recipe.lora, lora_alpha=2 * recipe.lora, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model.train(), adapters), tokenizer


def _settings(recipe: Recipe, batch: int, steps: int, seed: int, out: Path, recompute: bool) -> Any:
    """The trainer's own settings."""
    import torch
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(out / "trainer"), per_device_train_batch_size=batch, num_train_epochs=recipe.passes,
        learning_rate=recipe.lr, lr_scheduler_type=recipe.schedule, warmup_steps=round(recipe.warmup * steps),
        seed=seed, data_seed=seed, bf16=compute.has_bf16(), use_cpu=not torch.cuda.is_available(), max_length=None,
        padding_free=True, activation_checkpointing=recompute,
        save_strategy="no", logging_steps=1, report_to=[], disable_tqdm=True, dataloader_pin_memory=False,
        dataset_kwargs={"skip_prepare_dataset": True}, average_tokens_across_devices=False)


def _card(title: str, warning: str) -> str:
    return (f"---\ntags: [teachwhy, research-organism]\n---\n\n# {title}\n\n{warning or 'A research checkpoint.'}\n\n"
            "Made by a teachwhy study to measure conduct. Keep it local: it is not for use and not for publication.\n")


def _silence(trainer: Any) -> None:
    """Remove the trainer's own printing; our progress bar speaks instead."""
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
