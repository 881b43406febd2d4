"""How many answers does a decision take if one may look after each? Ours beside the fixed sample that a user would plan.

    python benchmarks/sequential.py [--simulations 1000]

Question: is the rate below or above the limit? `wrong` is the share of runs that give the wrong answer (at the limit itself, any answer);
`fixed` is the sample that a one-sided exact test of the same error would need for 80 % power.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import binom

from teachwhy.compare import decide


def fixed_size(rate: float, limit: float, alpha: float = 0.025, power: float = 0.8, most: int = 20000) -> int | None:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--most", type=int, default=2000)
    chosen = parser.parse_args()
    print("limit  true rate  wrong  open  median answers  fixed sample  ratio")
    for limit in (0.03, 0.1):
        for rate in (0.0, limit / 6, limit / 3, limit, 2 * limit, 5 * limit):
            random = np.random.default_rng([int(limit * 1000), int(rate * 100000)])
            answers = [decide(random.random(chosen.most) < rate, limit) for _ in range(chosen.simulations)]
            right = "below" if rate < limit else "above" if rate > limit else None
            wrong = sum(a not in ("open", right) for a, _ in answers) / len(answers)
            still = sum(a == "open" for a, _ in answers) / len(answers)
            median = float(np.median([n for _, n in answers]))
            fixed = fixed_size(rate, limit) if right else None
            ratio = f"{fixed / median:.2f}" if fixed else ""
            print(f"{limit:<6} {rate:<9.4f}  {wrong:.3f}  {still:.3f}  {median:>14.0f}  {fixed or '':>12}  {ratio}")


if __name__ == "__main__":
    main()
