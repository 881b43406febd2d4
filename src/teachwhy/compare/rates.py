"""How large is a rate, and how sure are we? Score intervals that respect clusters of draws and of training seeds.

One rollout per draw: Wilson (1927). Several: Wilson with the effective sample size of the beta-binomial's correlation between the
answers to a draw, and of what training seeds vary beyond chance (two-way after Cameron, Gelbach and Miller 2011). At 0 and 1, where no
variance can be seen, the number of draws is the sample size: repeats of a draw are taken to say nothing new.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.stats import norm

from teachwhy.compare.clusters import correlation

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
    """The number of independent answers that would give the mean the same variance.

    Variance between draws by the design effect 1 + (m - 1) rho (Kish 1965), rho the beta-binomial's correlation and m the mean number of
    answers to the draw of an answer; to it comes what training seeds (or rollouts) vary beyond chance.
    """
    n, k = len(values), sum(values.values())
    draws: dict[str, list[bool]] = defaultdict(list)
    for (draw, _), value in values.items():
        draws[draw].append(value)
    if len(draws) in (1, n) or k in (0, n):
        return float(len(draws))
    p = k / n
    chance = p * (1 - p) / n
    alike = correlation((sum(found), len(found)) for found in draws.values())
    between_draws = chance * (1 + (sum(len(found) ** 2 for found in draws.values()) / n - 1) * alike)
    return max(1.0, p * (1 - p) / (between_draws + max(0.0, _variance_between_seeds(values, p) - chance)))


def _variance_between_seeds(values: Mapping[Key, bool], p: float) -> float:
    """Cluster-robust variance of the mean, each seed (or rollout) a cluster."""
    sums: dict[int, float] = defaultdict(float)
    for (_, seed), value in values.items():
        sums[seed] += value - p
    if len(sums) < 2:
        return 0.0
    return len(sums) / (len(sums) - 1) * sum(total * total for total in sums.values()) / len(values) ** 2


def rate(values: Mapping[Key, bool], confidence: float = 0.95) -> Rate:
    """Rate and interval (95 % by default) of the measured values. What is missing must not be in `values`."""
    n, k = len(values), sum(values.values())
    if n == 0:
        return Rate(0, 0, None, None, None)
    size, z = effective_n(values), float(norm.ppf((1 + confidence) / 2))
    low, high = wilson(k / n * size, size, z)
    # One event among repeats shows that answers to a draw differ, none shows nothing: its limit alone would fall with the first event.
    draws = len({draw for draw, _ in values})
    high = max(high, wilson(0, draws, z)[1]) if k else high
    low = min(low, wilson(draws, draws, z)[0]) if k < n else low
    return Rate(k, n, k / n, low, high)


def worst_case(k: int, n: int, missing: int) -> tuple[float, float]:
    """The rate if every missing draw were a failure, and if every one were a success (n + missing > 0)."""
    return k / (n + missing), (k + missing) / (n + missing)
