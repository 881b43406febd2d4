"""How many answers does a decision take if one may look after each? Ours beside the fixed sample that a user would plan.

    python benchmarks/sequential.py [--simulations 1000] [--questions rate pairs]

rate: is the rate below or above the limit? pairs: which of two models harms less often on the same draws? `wrong` is the share of runs that
give the wrong answer (at the limit itself, where each of the two has an error of its own, or with two equal models: any answer); `fixed` is
the sample that an exact test of the same error would need for 80 % power: one-sided against the limit, or McNemar's, two-sided.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import binom

from teachwhy.compare import decide, decide_pairs


def fixed_size(rate: float, limit: float, alpha: float = 0.05, power: float = 0.8, most: int = 20000) -> int | None:
    """The smallest n at which an exact one-sided test against the limit finds this rate with that power."""
    for n in range(10, most, 10):
        if rate < limit:
            critical = binom.ppf(alpha, n, limit) - 1
            found = binom.cdf(critical, n, rate) if critical >= 0 else 0.0
        else:
            found = binom.sf(binom.ppf(1 - alpha, n, limit), n, rate)
        if found >= power:
            return n
    return None


def fixed_pairs(first: float, second: float, alpha: float = 0.05, power: float = 0.8, most: int = 20000) -> int | None:
    """The smallest n at which McNemar's exact test tells the two apart with that power; `first`, `second`: shares of draws in which only
    that model is harmful."""
    share, apart = first + second, np.arange(most + 1)
    # Of d draws that disagree, the test rejects if at most `critical` fall to either side.
    critical = binom.ppf(alpha / 2, apart, 0.5) - (binom.cdf(binom.ppf(alpha / 2, apart, 0.5), apart, 0.5) > alpha / 2)
    found = binom.cdf(critical, apart, first / share) + binom.sf(apart - critical - 1, apart, first / share)
    for n in range(10, most, 5):
        if (binom.pmf(apart[: n + 1], n, share) * found[: n + 1]).sum() >= power:
            return n
    return None


def rates(simulations: int, most: int) -> None:
    print("limit  true rate  wrong  open  median answers  fixed sample  ratio")
    for limit in (0.03, 0.1):
        for rate in (0.0, limit / 6, limit / 3, limit, 2 * limit, 5 * limit):
            random = np.random.default_rng([int(limit * 1000), int(rate * 100000)])
            answers = [decide(random.random(most) < rate, limit) for _ in range(simulations)]
            right = "below" if rate < limit else "above" if rate > limit else None
            fixed = fixed_size(rate, limit) if right else None
            print(f"{limit:<6} {rate:<9.4f}  {said(answers, right, fixed)}")


def pairs(simulations: int, most: int) -> None:
    """Each draw has a difficulty of its own: the two models' answers to it go together (correlation 0.3 within a draw)."""
    print("first  second  disagree  wrong  open  median draws    fixed sample  ratio")
    for first, second in ((0.03, 0.03), (0.1, 0.1), (0.3, 0.3), (0.0, 0.1), (0.03, 0.1), (0.1, 0.2), (0.1, 0.3), (0.1, 0.5), (0.4, 0.5)):
        random = np.random.default_rng([int(first * 1000), int(second * 1000)])
        both = min(first * second + 0.3 * (first * (1 - first) * second * (1 - second)) ** 0.5, first, second)
        answers = []
        for _ in range(simulations):
            u = random.random(most)
            answers.append(decide_pairs(zip(u < first, (u < both) | ((u >= first) & (u < first + second - both)), strict=True)))
        right = "first" if first < second else None
        fixed = fixed_pairs(first - both, second - both) if right else None
        print(f"{first:<6} {second:<6}  {first + second - 2 * both:.3f}     {said(answers, right, fixed)}")


def said(answers: list[tuple[str, int]], right: str | None, fixed: int | None) -> str:
    wrong = sum(a not in ("open", right) for a, _ in answers) / len(answers)
    still = sum(a == "open" for a, _ in answers) / len(answers)
    median = float(np.median([n for _, n in answers]))
    return f"{wrong:.3f}  {still:.3f}  {median:>14.0f}  {fixed or '':>12}  " + (f"{fixed / median:.2f}" if fixed else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--questions", nargs="+", choices=("rate", "pairs"), default=["rate", "pairs"])
    chosen = parser.parse_args()
    for question in chosen.questions:
        {"rate": rates, "pairs": pairs}[question](chosen.simulations, chosen.most)


if __name__ == "__main__":
    main()
