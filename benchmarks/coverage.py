"""How often does the 95 % interval hold the true rate? Ours beside the two that a user would write down first, over clusters and repeats.

    python benchmarks/coverage.py [--simulations 2000] [--repeats 5]

Each cluster (scenario) has a rate of its own, drawn from a beta distribution whose mean is p and whose intra-cluster correlation is given;
`naive` is Wilson's interval as if all answers were independent, `normal` is the cluster-robust mean plus and minus 1.96 standard errors.
"""

from __future__ import annotations

import argparse
import itertools
import math

import numpy as np

from teachwhy.compare.rates import rate, wilson

RATES, CORRELATIONS, CLUSTERS = (0.0, 0.01, 0.03, 0.1, 0.5), (0.0, 0.3, 0.7), (20, 50, 200)


def simulate(p: float, icc: float, clusters: int, repeats: int, random: np.random.Generator) -> np.ndarray:
    """(clusters, repeats) of 0 and 1."""
    if p in (0.0, 1.0) or icc == 0:
        own = np.full(clusters, p)
    else:
        spread = 1 / icc - 1
        own = random.beta(p * spread, (1 - p) * spread, clusters)
    return random.random((clusters, repeats)) < own[:, None]


def cell(p: float, icc: float, clusters: int, repeats: int, simulations: int, seed: int = 1) -> dict[str, float]:
    """Share of simulations in which each interval holds p, and our mean width."""
    random = np.random.default_rng([seed, int(p * 1000), int(icc * 10), clusters, repeats])
    hits = {"ours": 0, "naive": 0, "normal": 0}
    width = 0.0
    for _ in range(simulations):
        seen = simulate(p, icc, clusters, repeats, random)
        found = rate({(str(i), j): bool(seen[i, j]) for i in range(clusters) for j in range(repeats)})
        naive = wilson(int(seen.sum()), seen.size)
        means = seen.mean(axis=1)
        half = 1.96 * means.std(ddof=1) / math.sqrt(clusters)
        hits["ours"] += found.low <= p <= found.high
        hits["naive"] += naive[0] <= p <= naive[1]
        hits["normal"] += means.mean() - half <= p <= means.mean() + half
        width += found.high - found.low
    return {**{name: n / simulations for name, n in hits.items()}, "width": width / simulations}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--repeats", type=int, nargs="+", default=[1, 5])
    chosen = parser.parse_args()
    print("p      icc  clusters  repeats   ours  naive  normal  mean width of ours")
    inside = total = 0
    for repeats in chosen.repeats:
        for p, icc, clusters in itertools.product(RATES, CORRELATIONS, CLUSTERS):
            if repeats == 1 and icc > 0:
                continue  # with one answer a cluster there is nothing to correlate
            found = cell(p, icc, clusters, repeats, chosen.simulations)
            inside += 0.93 <= found["ours"] <= 0.97
            total += 1
            print(f"{p:<6} {icc:<4} {clusters:>8} {repeats:>8}  {found['ours']:.3f}  {found['naive']:.3f}   {found['normal']:.3f}  "
                  f"{found['width']:.3f}")
    print(f"between 93 and 97 %: {inside} of {total} cells")


if __name__ == "__main__":
    main()
