"""What difference can so many draws find? Exact power of McNemar's test, which is the sign-flip test of one rollout per draw.

Of n pairs a share disagrees; how many do is binomial, and among these how many speak for the first arm is binomial too. The test's own
two-sided 5 % is exact, so that few pairs find nothing, whatever the difference: the usual normal formula (Connor 1987) denies that.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, norm

from teachwhy.compare.rates import Z95

ALPHA = 0.05
MANY = 2000
"""Pairs from which the normal approximation is taken."""


def mcnemar_power(n: int, effect: float, discordant: float) -> float:
    """Chance that a paired difference of this size is found among n pairs at two-sided 5 %, if this share of pairs disagrees.

    Raises:
        ValueError: the effect is larger than the share that disagrees.
    """
    effect = abs(effect)
    if not effect <= discordant <= 1:
        raise ValueError(f"an effect of {effect:g} needs between {effect:g} and 1 of pairs to disagree, not {discordant:g}")
    if n > MANY:
        found = (effect * math.sqrt(n) - Z95 * math.sqrt(discordant)) / math.sqrt(max(discordant - effect * effect, 1e-12))
        return float(norm.cdf(found))
    m = np.arange(n + 1)
    share = (1 + effect / discordant) / 2 if discordant else 0.5
    critical = binom.ppf(ALPHA / 2, m, 0.5)
    critical = np.where(binom.cdf(critical, m, 0.5) <= ALPHA / 2, critical, critical - 1)  # most on one side that the test still calls few
    rejected = binom.cdf(critical, m, share) + binom.sf(m - critical - 1, m, share)
    return float((binom.pmf(m, n, discordant) * np.where(critical >= 0, rejected, 0.0)).sum())


def required_pairs(effect: float, discordant: float, power: float = 0.8) -> int:
    """Draws that find a paired difference of this size with that power, if this share of pairs disagrees.

    Raises:
        ValueError: the effect is 0, or larger than the share that disagrees.
    """
    if not 0 < abs(effect) <= discordant <= 1:
        raise ValueError(f"an effect of {effect} needs between {abs(effect)} and 1 of pairs to disagree, not {discordant}")
    wanted = float(norm.ppf(power))
    n = math.ceil((Z95 * math.sqrt(discordant) + wanted * math.sqrt(discordant - effect * effect)) ** 2 / effect ** 2)  # Connor 1987
    while mcnemar_power(n, effect, discordant) < power:
        n += max(1, n // 100)
    return n


def minimum_detectable(n: int, discordant: float, power: float = 0.8) -> float | None:
    """Smallest paired difference found with that power among n pairs, if this share of them disagrees, or as many as the difference takes.

    Returns:
        None where so few pairs find nothing, be it that they all differ one way.
    """
    def lacks(effect: float) -> float:
        return power - mcnemar_power(n, effect, min(1.0, max(discordant, effect)))

    if n == 0 or lacks(1.0) > 0:
        return None
    return float(brentq(lacks, 1e-9, 1.0, xtol=1e-4))
