"""Which settings does a fine-tune have? Few, and each spelled once."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Recipe(BaseModel):
    """How one stage of training runs.

    Attributes:
        lr: peak learning rate of AdamW.
        passes: how often each row is seen.
        batch_tokens: tokens per optimizer step, about (rows are never cut).
        warmup: share of steps over which the rate rises from 0.
        schedule: what the rate does after that.
        average: decay per step of a running mean of the weights (0: none). The mean is what is saved: it does for every
            checkpoint what a falling rate does for the last alone, so that doses differ by what was read and not by the
            last few batches (Polyak and Juditsky 1992; Izmailov et al. 2018).
        lora: rank of the low-rank adapters that are trained in place of the weights (Hu et al. 2021), on every linear layer but the
            output, scaled by 2; 0 trains all weights. Give it a rate some ten times higher.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lr: float = 6e-5
    passes: int = 1
    batch_tokens: int = 1400
    warmup: float = 0.1
    schedule: str = "constant_with_warmup"
    average: float = Field(0.0, ge=0, lt=1)
    lora: int = Field(0, ge=0)
