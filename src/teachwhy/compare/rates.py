"""How large is a rate, and how sure are we? Score intervals that respect clusters of draws and of training seeds.

One rollout per draw: Wilson (1927). Several: Wilson with the effective sample size of a cluster-robust variance; two-way
(draw and training seed) after Cameron, Gelbach and Miller (2011), with Satterthwaite's (1946) degrees of freedom, since the variance of
a rare event is itself seen in few draws. At 0 and 1, where no variance can be seen, the number
of draws is the sample size: repeats of a draw are taken to say nothing new.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scipy.stats import norm, t

Key = tuple[str, int]
"""(draw, training seed or rollout)."""
Z95 = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Rate:
    """k of n with a 95 % interval; `value`, `low`, `high` are None when n = 0."""

    k: int
    n: int
    value: float | None
    low: float | None
    high: float | None


def wilson(k: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval for k successes in n (n may be an effective, fractional sample size > 0)."""
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (0.0 if k == 0 else max(0.0, centre - half)), (1.0 if k == n else min(1.0, centre + half))


def effective_n(values: Mapping[Key, bool]) -> float:
    """The number of independent draws that would give the cluster-robust variance of the mean."""
    n = len(values)
    draws = {draw for draw, _ in values}
    if len(draws) == n or len(draws) == 1:
        return float(len(draws))
    p = sum(values.values()) / n
    if p in (0.0, 1.0):
        return float(len(draws))
    variance = (_cluster_variance(values, p, lambda key: key[0]) + _cluster_variance(values, p, lambda key: key[1])
                - p * (1 - p) / n)
    variance = max(variance, _cluster_variance(values, p, lambda key: key[0]), p * (1 - p) / n)
    return max(1.0, p * (1 - p) / variance)


def _degrees(values: Mapping[Key, bool], p: float) -> float:
    """Satterthwaite's degrees of freedom of the variance between draws: 2 / (squared coefficient of variation of its estimate)."""
    squares = [total * total for total in _sums(values, p, lambda key: key[0]).values()]
    if sum(squares) < 1e-12:  # every draw has the same mean
        return max(1.0, len(squares) - 1.0)
    share = sum(squares) ** 2 / sum(square * square for square in squares)  # how many draws carry the variance
    return 2 * share / max(1e-9, 1 - share / len(squares))


def _cluster_variance(values: Mapping[Key, bool], p: float, cluster: Callable[[Key], object]) -> float:
    sums = _sums(values, p, cluster)
    if len(sums) < 2:
        return 0.0
    return len(sums) / (len(sums) - 1) * sum(total * total for total in sums.values()) / len(values) ** 2


def _sums(values: Mapping[Key, bool], p: float, cluster: Callable[[Key], object]) -> dict[object, float]:
    """Summed deviations from the mean, per cluster."""
    sums: dict[object, float] = defaultdict(float)
    for key, value in values.items():
        sums[cluster(key)] += value - p
    return sums


def rate(values: Mapping[Key, bool], confidence: float = 0.95) -> Rate:
    """Rate and interval (95 % by default) of the measured values. What is missing must not be in `values`."""
    n, k = len(values), sum(values.values())
    if n == 0:
        return Rate(0, 0, None, None, None)
    size, z = effective_n(values), float(norm.ppf((1 + confidence) / 2))
    if 0 < k < n and len({draw for draw, _ in values}) < n:
        size = max(1.0, size * (z / float(t.ppf((1 + confidence) / 2, _degrees(values, k / n)))) ** 2)
    low, high = wilson(k / n * size, size, z)
    return Rate(k, n, k / n, low, high)


def worst_case(k: int, n: int, missing: int) -> tuple[float, float]:
    """The rate if every missing draw were a failure, and if every one were a success (n + missing > 0)."""
    return k / (n + missing), (k + missing) / (n + missing)
