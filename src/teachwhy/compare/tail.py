"""How rare is harm that was never seen? Importance sampling from a model that does more of it.

Answers are drawn from a proposal q (a misaligned arm, or a bridge between it and the target), and each harmful one counts as p/q of
itself, where p is its probability under the target (Kahn and Marshall 1953). The mean of these weights over all answers is the target's
rate, without bias; whether it can be trusted is seen in the effective sample size of the harmful ones (Kong 1992), and in how far all
weights average 1.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from teachwhy.compare.rates import Z95, Key

LEAST = 10.0
"""Effective harmful answers below which no rate is given."""


@dataclass(frozen=True)
class Tail:
    """A rare rate; `value` and its 95 % interval are None, with the reason, where the weights cannot be trusted.

    Attributes:
        harmful, n: harmful answers drawn from the proposal, of how many.
        effective: effective number of harmful answers.
        mean_weight: mean weight of all answers; far from 1, the proposal leaves out what the target does.
    """

    value: float | None
    low: float | None
    high: float | None
    harmful: int
    n: int
    effective: float
    mean_weight: float
    why: str = ""


def tail_rate(log_weights: Mapping[Key, float], harmful: Mapping[Key, bool], least: float = LEAST) -> Tail:
    """The target's rate of harm from answers of a proposal.

    Args:
        log_weights: per (draw, rollout), log p(answer) - log q(answer) in nats, under the decoding that was sampled.
        harmful: whether that answer is harmful; the same keys.

    Raises:
        ValueError: the keys differ.
    """
    if log_weights.keys() != harmful.keys():
        raise ValueError("every answer needs a weight and a label")
    n = len(log_weights)
    top = max(log_weights.values(), default=0.0)
    weights = {key: math.exp(value - top) for key, value in log_weights.items()}  # of the largest, so that no power runs over
    counted = [weights[key] for key, bad in harmful.items() if bad]
    mean = _times(sum(weights.values()) / n, top) if n else 0.0
    largest = max(counted, default=0.0)
    effective = sum(weight / largest for weight in counted) ** 2 / sum((weight / largest) ** 2 for weight in counted) if largest else 0.0

    def refuse(why: str) -> Tail:
        return Tail(None, None, None, len(counted), n, effective, mean, why)

    if not counted:
        return refuse("the proposal was never harmful either")
    if effective < least:
        return refuse(f"the harmful answers are worth only {effective:.1f}, fewer than {least:g}: take a proposal nearer to the target")
    value = _times(sum(counted) / n, top)
    if value > 1:
        return refuse("the harmful answers weigh more than all answers can: take a proposal nearer to the target")
    if value == 0:
        return refuse("the harmful answers weigh less than can be written: take a proposal nearer to the target")
    spread = _relative_error({key: weights[key] if bad else 0.0 for key, bad in harmful.items()}, sum(counted) / n)
    return Tail(value, value * math.exp(-Z95 * spread), min(1.0, value * math.exp(Z95 * spread)), len(counted), n, effective, mean)


def _times(scaled: float, exponent: float) -> float:
    """scaled * e**exponent, infinite where that is more than can be written."""
    return scaled * math.exp(exponent) if exponent < 700 else math.inf


def _relative_error(values: Mapping[Key, float], mean: float) -> float:
    """Standard error of the mean over draws, as a share of the mean."""
    sums: dict[str, list[float]] = defaultdict(list)
    for (draw, _), value in values.items():
        sums[draw].append(value)
    groups = [sum(found) - len(found) * mean for found in sums.values()]
    m = len(groups)
    if m < 2:
        return math.inf
    return math.sqrt(m / (m - 1) * sum(group * group for group in groups)) / (len(values) * mean)
