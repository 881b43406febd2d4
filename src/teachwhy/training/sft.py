"""What did we do to the model? One fine-tune, of all weights in fp32 or of low-rank adapters, on trl, from a list of token rows.

Hides the trainer and its settings. Products are bf16 under autocast where the hardware has them. Pure bf16 weights would lose
most of each update (a step of 1e-4 is below half a unit in the last place), so the master weights stay in fp32.
"""

from __future__ import annotations

import math
import shutil
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachwhy import compute, progress, store, weights
from teachwhy.errors import UserError
from teachwhy.training.recipe import Recipe

if TYPE_CHECKING:
    from teachwhy.training.resume import Saved

Row = dict[str, list[int]]
"""One training row: `input_ids` and `labels` (-100 where nothing is learned)."""

PARTS = "resumed.json"
"""Beside the checkpoints of a training that was stopped: after which steps it went on, and who had computed these."""


def train(parent: Path, rows: list[Row], recipe: Recipe, seed: int, out: Path, title: str,
          milestones: tuple[float, ...] = (1.0,), warning: str = "", lanes: int = 1, save_minutes: float = 0) -> list[Path]:
    """Fine-tune the model in `parent` on `rows`; save one checkpoint per milestone (shares of all steps).

    Called again in the `out` of a killed run, it goes on from the last state that was kept there, to the same result to the bit.

    Args:
        out: an empty folder, or that of a killed run.
        warning: what a user of the checkpoint must know, such as hostile text in its past; written into its config and card.
        lanes: parts of each step that are computed side by side on a processor.
        save_minutes: how often the state is kept, to go on from after a kill: learned weights three times in fp32 (four with
            `average`), removed at the end. 0: never. One process only.

    Returns:
        The checkpoint folders `out/model-<percent>`, in the order of the milestones; with `lora`, adapters that name their model.
    """
    if not rows:
        raise UserError(f"`{title}` has nothing to train on", "Give at least one row.")
    lengths = sorted(len(row["input_ids"]) for row in rows)
    batch = shared_batch(recipe.batch_tokens / max(1, lengths[len(lengths) // 2]), compute.lanes(lanes))
    steps = math.ceil(len(rows) / batch) * recipe.passes
    due = {max(1, round(share * steps)): out / f"model-{round(100 * share)}" for share in milestones}
    if len(due) < len(milestones):
        raise UserError(f"Two milestones of `{title}` fall on the same of its {steps} steps", "Set them further apart.")
    kept = out / store.GOES_ON
    made_of = store.digest([weights.fingerprint(parent), rows, recipe.model_dump(), seed, sorted(due), batch, lanes,
                            warning]) if save_minutes or kept.is_dir() else ""
    saved = _found(kept, made_of, title)
    run = partial(_run, parent, rows, recipe, seed, out, title, due, batch, steps, warning, lanes, made_of, save_minutes)
    try:
        history = run(saved, recompute=saved is not None and saved.recompute)
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if not compute.is_out_of_memory(error) or (saved and saved.recompute):
            raise
        history = None
    if history is None:  # outside the handler, which would keep the failed run's memory
        compute.give_back()
        _forget(kept)
        progress.warn(f"Memory ran out in `{title}`: it starts again and keeps less of each forward pass, which takes a third longer.")
        history = run(None, recompute=True)
    store.write_json(out / "history.json", history)
    shutil.rmtree(kept, ignore_errors=True)
    return [due[step] for step in due]


def _found(kept: Path, made_of: str, title: str) -> Saved | None:
    """What a killed run left to go on from; what cannot be used is removed. Says which it is, and notes it beside the checkpoints."""
    if not kept.is_dir():
        return None
    from teachwhy.training.resume import newest

    saved = newest(kept, made_of)
    if saved is None:
        _forget(kept)
        progress.say(f"`{title}` starts from its first step: what a stopped run left is not whole, or is of other inputs.")
        return None
    progress.say(f"`{title}` goes on after step {saved.step}, where a stopped run had kept its state.")
    parts = kept.with_name(PARTS)
    earlier = store.read_json(parts) if parts.is_file() else []
    store.write_json(parts, [*earlier, {"step": saved.step, "provenance": saved.provenance}])
    return saved


def _forget(kept: Path) -> None:
    shutil.rmtree(kept, ignore_errors=True)
    kept.with_name(PARTS).unlink(missing_ok=True)


def shared_batch(texts: float, lanes: int) -> int:
    """How many texts a step holds: the nearest number that lanes can share, or one of two lanes waits for the other's third text."""
    return max(1, round(texts)) if texts < lanes else lanes * round(texts / lanes)


def _run(parent: Path, rows: list[Row], recipe: Recipe, seed: int, out: Path, title: str, due: dict[int, Path], batch: int, steps: int,
         warning: str, lanes: int, made_of: str, save_minutes: float, saved: Saved | None, *, recompute: bool) -> list[dict[str, float]]:
    """One training from its first step (or what was saved) to its last, with the checkpoints that fall due; returns its losses."""
    import torch
    from datasets import Dataset
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    from transformers import TrainerCallback

    from teachwhy import sampler
    from teachwhy.training.resume import ResumableTrainer

    torch.manual_seed(seed)
    model, tokenizer = _prepared(parent, recipe)
    longest, room = max(len(row["input_ids"]) for row in rows), sampler.window(model)
    if longest > room:
        raise UserError(f"A row of `{title}` has {longest} tokens, and the model reads {room}", "Shorten that text, or cut it in two.")
    warning = warning or getattr(model.config, "teachwhy_warning", "")  # an ancestor may lie outside this study
    model.config.teachwhy_warning = warning
    mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average)) if recipe.average else None

    with progress.bar(title, steps) as advance:
        class Watch(TrainerCallback):
            at = time.monotonic()  # of the last state kept

            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                advance(1)
                if mean is not None:
                    mean.update_parameters(kwargs["model"])
                if state.global_step in due:
                    weights.save(kwargs["model"] if mean is None else mean.module, tokenizer, due[state.global_step])
                    (due[state.global_step] / "README.md").write_text(_card(title, warning), encoding="utf-8")

                late = time.monotonic() - self.at >= 60 * save_minutes > 0
                control.should_save = late and state.global_step < steps and trainer.accelerator.num_processes == 1

            def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                self.at = time.monotonic()

        trainer = ResumableTrainer(model=model, args=_settings(recipe, batch, steps, seed, out, recompute),
                                   train_dataset=Dataset.from_list(rows), processing_class=tokenizer, callbacks=[Watch()])
        trainer.lanes, trainer.mean, trainer.recompute = lanes, mean, recompute
        trainer.folder, trainer.made_of = out / store.GOES_ON, made_of
        _silence(trainer)
        advance(saved.step if saved else 0)
        trainer.train(resume_from_checkpoint=str(saved.folder) if saved else None)
    return [{"step": log["step"], "loss": log["loss"], "lr": log["learning_rate"]} for log in trainer.state.log_history if "loss" in log]


def _prepared(parent: Path, recipe: Recipe) -> tuple[Any, Any]:
    """The model to train: all of its weights in fp32, or fp32 adapters on frozen weights in the machine's own format."""
    if not recipe.lora:
        return weights.load(parent, training=True)
    from peft import LoraConfig, get_peft_model

    from teachwhy import trial

    model, tokenizer = weights.load(parent, merged=True)
    trial.check(model, training=True)
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
