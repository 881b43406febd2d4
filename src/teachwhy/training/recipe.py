"""Which settings does a fine-tune have? Few, and each spelled once."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Recipe(BaseModel):
    """How one stage of training runs.

    Attributes:
        lr: peak learning rate of AdamW.
        passes: how often each row is seen.
        batch_tokens: tokens per optimizer step, about (rows are never cut).
        warmup: share of steps over which the rate rises from 0.
        schedule: what the rate does after that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lr: float = 6e-5
    passes: int = 1
    batch_tokens: int = 1400
    warmup: float = 0.1
    schedule: str = "constant_with_warmup"
