"""Where was a killed training? Its state after some step, kept beside what it makes, and the trainer that goes on from it.

trl's loop does the going on: it skips the rows that were read. Its own checkpoints are neither renamed into place nor free of pickle,
and do not know the running mean of the weights, so the state is ours: one safetensors file and the trainer's own JSON, in a folder that
has its name only when it is whole. A training that goes on from it is the uninterrupted one to the bit.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.optim.swa_utils import AveragedModel
from transformers.trainer import TRAINER_STATE_NAME

from teachwhy import progress, store
from teachwhy.training.loss import LearnedOnlyTrainer

STATE = "state.safetensors"


@dataclass(frozen=True)
class Saved:
    """A state to go on from.

    Attributes:
        folder: where it lies.
        step: how many optimizer steps it has behind it.
        recompute: whether that run keeps less of each forward pass.
        provenance: who computed it.
    """

    folder: Path
    step: int
    recompute: bool
    provenance: dict[str, str]


def newest(folder: Path, made_of: str) -> Saved | None:
    """The last whole state in a folder, if it belongs to this training.

    Args:
        folder: holds `step-<n>` folders, or is not there.
        made_of: digest of all that the training depends on.
    """
    found = [state for path in folder.glob("step-*") if (state := _read(path, made_of))]
    return max(found, key=lambda state: state.step, default=None)


def _read(path: Path, made_of: str) -> Saved | None:
    try:
        with safe_open(path / STATE, "pt") as stream:
            told = json.loads(stream.metadata()["told"])
        step = store.read_json(path / TRAINER_STATE_NAME)["global_step"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):  # a disk that lost power keeps less than it said
        return None
    return Saved(path, step, told["recompute"], told["provenance"]) if told["made_of"] == made_of else None


class ResumableTrainer(LearnedOnlyTrainer):
    """Keeps its state where `folder` says and goes on from there, with the running mean of the weights if there is one."""

    folder: Path
    made_of: str
    recompute = False
    mean: AveragedModel | None = None

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Keep the state after this step, then remove the one before; without room the training goes on unsaved."""
        making, whole = self.folder / ".making", self.folder / f"step-{self.state.global_step}"
        shutil.rmtree(making, ignore_errors=True)
        told = {"made_of": self.made_of, "recompute": self.recompute, "provenance": store.provenance(),
                "schedule": self.lr_scheduler.state_dict()}
        try:
            making.mkdir(parents=True)
            save_file(self._tensors(), making / STATE, {"told": json.dumps(told)})
            self.state.save_to_json(str(making / TRAINER_STATE_NAME))
            os.replace(making, whole)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(making, ignore_errors=True)
            progress.say(f"The state after step {self.state.global_step} cannot be kept in {self.folder} "
                         f"({str(error).strip().splitlines()[0][:200]}): the training goes on without it.")
            return
        for other in set(self.folder.glob("step-*")) - {whole}:
            shutil.rmtree(other)

    def _tensors(self) -> dict[str, torch.Tensor]:
        """All that a step reads and no file of the parent holds: learned weights, their mean, AdamW's moments, the random state.

        Python's and numpy's random states are left out: no step draws from them.
        """
        found = {f"weights/{name}": value for name, value in _learned(self.model).items()}
        if self.mean is not None:
            found |= {f"mean/{name}": value for name, value in _learned(self.mean.module).items()}
            found["averaged"] = self.mean.n_averaged
        for index, moments in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer/{index}/{name}": value for name, value in moments.items()}
        found["random/cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            found["random/cuda"] = torch.cuda.get_rng_state()
        return {name: value.detach().contiguous() for name, value in found.items()}

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with torch.no_grad(), safe_open(Path(resume_from_checkpoint) / STATE, "pt") as stream:
            for name, parameter in _learned(self.model).items():
                parameter.copy_(stream.get_tensor(f"weights/{name}"))
            if self.mean is not None:
                for name, parameter in _learned(self.mean.module).items():
                    parameter.copy_(stream.get_tensor(f"mean/{name}"))
                self.mean.n_averaged.copy_(stream.get_tensor("averaged"))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        moments: dict[int, dict[str, torch.Tensor]] = {}
        with safe_open(Path(checkpoint) / STATE, "pt") as stream:
            schedule = json.loads(stream.metadata()["told"])["schedule"]
            for key in stream.keys():  # noqa: SIM118 - a stream is no dict
                kind, *rest = key.split("/")
                if kind == "optimizer":
                    moments.setdefault(int(rest[0]), {})[rest[1]] = stream.get_tensor(key)
        self.lr_scheduler.load_state_dict(schedule)
        groups = [{**group, "lr": rate} for group, rate in
                  zip(self.optimizer.state_dict()["param_groups"], self.lr_scheduler.get_last_lr(), strict=True)]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        with safe_open(Path(checkpoint) / STATE, "pt") as stream:
            torch.set_rng_state(stream.get_tensor("random/cpu"))
            if torch.cuda.is_available() and "random/cuda" in stream.keys():  # noqa: SIM118
                torch.cuda.set_rng_state(stream.get_tensor("random/cuda"))


def _learned(model: Any) -> dict[str, torch.nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
