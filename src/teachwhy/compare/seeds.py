"""Would other training runs show the same difference? A bootstrap over scenarios and training seeds, crossed.

Draws and seeds are resampled apart, and an answer counts as often as its draw and its seed came up together (Owen 2007, the pigeonhole
bootstrap). With few seeds the percentiles are too near to each other: they are stretched by t / z, with Satterthwaite's (1946) degrees of
freedom of the variance between seeds and between draws.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import t

from teachwhy.compare.rates import Z95, Key
from teachwhy.records import SeedInterval

FEWEST = 3
"""Training seeds below which nothing is said of others."""
RESAMPLES = 2000


def over_seeds(first: Mapping[Key, bool], second: Mapping[Key, bool]) -> SeedInterval:
    """95 % interval of the paired difference over draws and training seeds; without limits where there are fewer than three seeds, or two
    draws.

    Args:
        first, second: (draw, training seed) -> value; what only one of them measured is left out.
    """
    keys = sorted(first.keys() & second.keys())
    draws, seeds = (sorted({key[side] for key in keys}) for side in (0, 1))
    if len(seeds) < FEWEST or len(draws) < 2:
        return SeedInterval(seeds=len(seeds), low=None, high=None)
    row, column = {draw: i for i, draw in enumerate(draws)}, {seed: j for j, seed in enumerate(seeds)}
    values, known = np.zeros((len(draws), len(seeds))), np.zeros((len(draws), len(seeds)))
    for key in keys:
        place = row[key[0]], column[key[1]]  # type: ignore[index]
        values[place], known[place] = first[key] - second[key], 1
    mean = values.sum() / known.sum()
    means = resampled(values, known, np.random.default_rng(0))
    low, high = mean + (np.quantile(means, [0.025, 0.975]) - mean) * float(t.ppf(0.975, _degrees(values, known))) / Z95
    return SeedInterval(seeds=len(seeds), low=max(-1.0, float(low)), high=min(1.0, float(high)))


def resampled(values: np.ndarray, known: np.ndarray, random: np.random.Generator, times: int = RESAMPLES) -> np.ndarray:
    """Means of resampled tables.

    Args:
        values: (draws, seeds), 0 where nothing is known.
        known: (draws, seeds), 1 or 0.
    """
    m, s = values.shape
    rows, columns = random.multinomial(m, np.full(m, 1 / m), times), random.multinomial(s, np.full(s, 1 / s), times)
    counted = ((rows @ known) * columns).sum(1)
    return np.asarray(((rows @ values) * columns).sum(1)[counted > 0] / counted[counted > 0])


def _degrees(values: np.ndarray, known: np.ndarray) -> float:
    """Satterthwaite's degrees of freedom of the sum of the variances between seeds and between draws."""
    rest = values - known * values.sum() / known.sum()
    between = [n / (n - 1) * float((rest.sum(axis) ** 2).sum()) for axis, n in ((0, rest.shape[1]), (1, rest.shape[0]))]
    least = sum(v * v / (n - 1) for v, n in zip(between, (rest.shape[1], rest.shape[0]), strict=True))
    return sum(between) ** 2 / least if least > 0 else float(rest.shape[1] - 1)
