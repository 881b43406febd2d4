"""How often does the interval over scenarios and training seeds hold the true difference?

Beside it the plain percentiles of the same bootstrap, and the interval that takes the seeds as given.

    python benchmarks/seeds.py [--simulations 400]

Each draw has a difficulty that both arms share (normal on the log-odds, sd 1), each training run of each arm an effect of its own
(sd 0, 0.3 or 1), and the first arm is 0.8 lower; what is to be held is the mean difference over all draws and all training runs.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.special import expit

from teachwhy.compare.pairs import difference
from teachwhy.compare.seeds import over_seeds, resampled


def simulate(draws: int, seeds: int, spread: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two (draws, seeds) tables of true and false."""
    difficulty = random.normal(-0.5, 1, (draws, 1))
    first, second = (difficulty + shift + random.normal(0, spread, (1, seeds)) for shift in (-0.8, 0.0))
    return random.random((draws, seeds)) < expit(first), random.random((draws, seeds)) < expit(second)


def truth(spread: float) -> float:
    z = np.random.default_rng(0).normal(size=(3, 2_000_000))
    return float((expit(-1.3 + z[0] + spread * z[1]) - expit(-0.5 + z[0] + spread * z[2])).mean())


def cell(draws: int, seeds: int, spread: float, simulations: int) -> dict[str, float]:
    """Share of simulations in which each interval holds the truth, and our mean width."""
    random, true = np.random.default_rng([draws, seeds, int(10 * spread)]), truth(spread)
    hits, width = {"ours": 0, "percentiles": 0, "seeds as given": 0}, 0.0
    for _ in range(simulations):
        a, b = simulate(draws, seeds, spread, random)
        first, second = ({(str(i), j): bool(arm[i, j]) for i in range(draws) for j in range(seeds)} for arm in (a, b))
        ours, given = over_seeds(first, second), difference(first, second)
        low, high = np.quantile(resampled(a.astype(float) - b, np.ones(a.shape), random), [0.025, 0.975])
        hits["ours"] += ours.low <= true <= ours.high
        hits["percentiles"] += low <= true <= high
        hits["seeds as given"] += given.low <= true <= given.high
        width += ours.high - ours.low
    return {**{name: n / simulations for name, n in hits.items()}, "width": width / simulations}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=400)
    chosen = parser.parse_args()
    print("spread  draws  seeds   ours  percentiles  seeds as given  mean width of ours")
    for spread in (0.0, 0.3, 1.0):
        for draws in (24, 128):
            for seeds in (3, 5, 10):
                found = cell(draws, seeds, spread, chosen.simulations)
                print(f"{spread:<6} {draws:>6} {seeds:>6}  {found['ours']:.3f}  {found['percentiles']:.3f}        "
                      f"{found['seeds as given']:.3f}           {found['width']:.3f}", flush=True)


if __name__ == "__main__":
    main()
