"""How often does the 95 % interval hold the true rate? Ours beside the two that a user would write down first, over clusters and repeats.

    python benchmarks/coverage.py [--simulations 2000] [--repeats 5]

Each cluster (scenario) has a rate of its own, drawn from a beta distribution whose mean is p and whose intra-cluster correlation is given;
`naive` is Wilson's interval as if all answers were independent, `normal` is the cluster-robust mean plus and minus 1.96 standard errors.

For single answers coverage is also computed exactly, of Wilson's and four other intervals, and of the best that any interval could do
there: a rate is held by a run of counts, and no run may lie between 93 and 97 %.
"""

from __future__ import annotations

import argparse
import itertools
import math

import numpy as np
from scipy.stats import beta, binom

from teachwhy.compare.rates import Z95, rate, wilson

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


def exact(p: float, n: int) -> dict[str, float]:
    """Exact coverage at rate p of n single answers, by the counts at which each interval holds p."""
    k = np.arange(n + 1)
    chance, below, above = binom.pmf(k, n, p), binom.cdf(k, n, p), binom.sf(k - 1, n, p)
    likely = np.argsort(-chance)
    smallest = likely[: int(np.searchsorted(chance[likely].cumsum(), 0.95)) + 1]
    posterior = beta.cdf(p, k + 0.5, n - k + 0.5)
    held = {
        "wilson": np.abs(k - n * p) <= Z95 * math.sqrt(n * p * (1 - p)),
        "clopper-pearson": np.minimum(below, above) > 0.025,
        "mid-p": np.minimum(below, above) - chance / 2 > 0.025,
        "jeffreys": ((posterior >= 0.025) | (k == n)) & ((posterior <= 0.975) | (k == 0)),
        "sterne": np.isin(k, smallest)}
    return {name: float(chance[which].sum()) for name, which in held.items()}


def attainable(p: float, n: int) -> float:
    """The coverage nearest to 95 % that any run of counts has."""
    total = np.concatenate([[0.0], binom.cdf(np.arange(n + 1), n, p)])
    runs = (total[None, :] - total[:, None])[np.triu_indices(n + 2, 1)]
    return float(runs[np.abs(runs - 0.95).argmin()])


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
    print("\nexact, single answers\np      n     wilson  clopper-pearson  mid-p  jeffreys  sterne   nearest that any could be")
    for p, n in itertools.product(RATES[1:], CLUSTERS):
        print(f"{p:<6} {n:<4}  " + "   ".join(f"{value:.4f}" for value in exact(p, n).values()) + f"   {attainable(p, n):.4f}")


if __name__ == "__main__":
    main()
