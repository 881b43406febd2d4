"""Is the difference between two arms real? Paired on the same draws: interval, exact test, multiplicity, equivalence.

Interval: Newcombe's (1998) hybrid score method for paired proportions (his method 10), carried to clusters by using cluster-robust
limits and the correlation of the per-draw means (MOVER). Test: the exact sign-flip distribution of the per-draw
differences, which for one rollout per draw is McNemar's exact test.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from teachwhy.compare.rates import Key, rate
from teachwhy.records import Equivalence


@dataclass(frozen=True)
class Difference:
    """First minus second, on the n keys that both arms measured."""

    n: int
    value: float | None
    low: float | None
    high: float | None
    p: float | None
    discordant: float | None


def difference(first: Mapping[Key, bool], second: Mapping[Key, bool], confidence: float = 0.95) -> Difference:
    """Paired difference of two rates with an interval and a two-sided exact p-value."""
    keys = sorted(first.keys() & second.keys())
    if not keys:
        return Difference(0, None, None, None, None, None)
    a, b = {key: first[key] for key in keys}, {key: second[key] for key in keys}
    value, low, high = _interval(a, b, confidence)
    return Difference(
        n=len(keys), value=value, low=low, high=high,
        p=sign_flip_p([sum(a[key] - b[key] for key in group) for group in _by_draw(keys)]),
        discordant=sum(a[key] != b[key] for key in keys) / len(keys))


def _interval(a: Mapping[Key, bool], b: Mapping[Key, bool], confidence: float) -> tuple[float, float, float]:
    """Difference, and its limits; the keys of both are the same."""
    (one, one_low, one_high), (two, two_low, two_high) = _limits(a, confidence), _limits(b, confidence)
    r = _correlation(a, b)
    delta = one - two
    return delta, delta - _join(one - one_low, two_high - two, r), delta + _join(one_high - one, two - two_low, r)


def _limits(values: Mapping[Key, bool], confidence: float) -> tuple[float, float, float]:
    found = rate(values, confidence)
    if found.value is None or found.low is None or found.high is None:
        raise ValueError("a difference needs at least one pair")
    return found.value, found.low, found.high


def _join(x: float, y: float, r: float) -> float:
    return math.sqrt(max(0.0, x * x - 2 * r * x * y + y * y))


def _by_draw(keys: Sequence[Key]) -> list[list[Key]]:
    groups: dict[str, list[Key]] = defaultdict(list)
    for key in keys:
        groups[key[0]].append(key)
    return list(groups.values())


def _correlation(a: Mapping[Key, bool], b: Mapping[Key, bool]) -> float:
    """Correlation of the two arms' per-draw means; 0 where one of them does not vary.

    A positive covariance is taken for smaller by half a draw, as Newcombe does: without that, two arms that never disagreed would get an
    interval without width.
    """
    groups = _by_draw(list(a))
    x = np.array([sum(a[key] for key in group) / len(group) for group in groups])
    y = np.array([sum(b[key] for key in group) / len(group) for group in groups])
    if len(groups) < 2 or x.std() == 0 or y.std() == 0:
        return 0.0
    covariance = float(((x - x.mean()) * (y - y.mean())).mean())
    if covariance > 0:
        covariance = max(0.0, covariance - 1 / (2 * len(groups)))
    return covariance / float(x.std() * y.std())


def sign_flip_p(differences: Sequence[int]) -> float:
    """Exact two-sided p of the sum of per-draw differences, if each sign were a fair coin."""
    sizes = [abs(value) for value in differences if value != 0]
    observed = abs(sum(differences))
    distribution = np.array([1.0])  # of the sum, centred: index i stands for i - total
    for size in sizes:
        flipped = np.zeros(len(distribution) + 2 * size)
        flipped[: len(distribution)] += 0.5 * distribution
        flipped[2 * size:] += 0.5 * distribution
        distribution = flipped
    total = sum(sizes)
    sums = np.arange(-total, total + 1)
    return float(min(1.0, distribution[np.abs(sums) >= observed].sum()))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's (1979) step-down adjustment; None stays None and does not count."""
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, i) in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p))
        adjusted[i] = running
    return adjusted


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Benjamini and Hochberg's (1995) step-up adjustment (false discovery rate); None stays None and does not count."""
    order = sorted(((p, i) for i, p in enumerate(p_values) if p is not None), reverse=True)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 1.0
    for place, (p, i) in enumerate(order):
        running = min(running, p * len(order) / (len(order) - place))
        adjusted[i] = running
    return adjusted


def equivalence(first: Mapping[Key, bool], second: Mapping[Key, bool], margin: float) -> Equivalence:
    """Is the paired difference surely smaller than `margin`, either way? Two one-sided tests (Schuirmann 1987), by the interval.

    Raises:
        ValueError: no pair was measured in both arms, or the margin is not positive.
    """
    keys = first.keys() & second.keys()
    if margin <= 0 or not keys:
        raise ValueError(f"the margin must be positive, not {margin}" if keys else "an equivalence test needs at least one pair")
    a, b = {key: first[key] for key in sorted(keys)}, {key: second[key] for key in sorted(keys)}

    def outside(alpha: float) -> float:
        _, low, high = _interval(a, b, 1 - 2 * alpha)
        return max(-low, high) - margin

    least, most = 1e-6, 0.5 - 1e-6
    p = 1.0 if outside(most) > 0 else least if outside(least) <= 0 else float(brentq(outside, least, most, xtol=1e-6))
    _, low, high = _interval(a, b, 0.9)
    return Equivalence(margin=margin, low=low, high=high, p=p)
