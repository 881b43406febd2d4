"""When may we stop sampling? Bounds on a rate that hold at every sample size at once, so that looking is free.

One test martingale per side: the likelihood of what was seen, averaged over rates on the far side of p0 (a Jeffreys prior cut
off at p0; for rates below p0 most of the weight lies at 0 itself, for a good model never does harm), over its likelihood at p0. Under
any rate on the near side it is a non-negative supermartingale that starts at 1, so by Ville's inequality it ever reaches 1/alpha with
probability alpha at most (Ville 1939; Robbins 1970; as confidence sequences: Howard, Ramdas, McAuliffe and Sekhon 2021). Draws must
be independent: one rollout per scenario.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal

from numpy import logaddexp
from scipy.optimize import brentq
from scipy.special import betainc, betaln

PRIOR = 0.5
"""Both shapes of the beta prior (Jeffreys)."""

NEVER = 0.8
"""The prior's weight at a rate of exactly 0, of those below p0: "below 3 %" then takes 102 clean answers (125 without it, 99 in a fixed
sample), and more answers after a first harm. A family has 102 written cases, so that it can be decided at all."""

Side = Literal["below", "above"]
Arm = Literal["first", "second", "open"]
_LOWER: dict[str, Arm] = {"below": "first", "above": "second", "open": "open"}


def log_evidence(k: int, n: int, p0: float, side: Side, never: float = NEVER) -> float:
    """Log of the evidence against "the rate is not `side` p0" after k of n, anytime valid.

    Args:
        p0: in (0, 1).
        side: `below` gathers evidence that the rate is below p0, `above` that it is above.
        never: weight of a rate of exactly 0 among those below p0, in [0, 1).
    """
    if n == 0:
        return 0.0
    a, b = k + PRIOR, n - k + PRIOR
    prior, posterior = betainc(PRIOR, PRIOR, p0), betainc(a, b, p0)
    if side == "above":
        prior, posterior = 1 - prior, betainc(b, a, 1 - p0)
    if posterior <= 0:
        return -math.inf
    at_p0 = k * math.log(p0) + (n - k) * math.log1p(-p0)
    spread = float(betaln(a, b) - betaln(PRIOR, PRIOR) + math.log(posterior) - math.log(prior) - at_p0)
    if side == "above" or not never:
        return spread
    spread += math.log1p(-never)
    return float(logaddexp(spread, math.log(never) - at_p0)) if k == 0 else spread


def confidence_sequence(k: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Two-sided 1 - alpha interval for the rate after k of n that holds for all n at once (alpha/2 on each side)."""
    line = math.log(2 / alpha)
    tiny = 1e-9

    def limit(side: Side) -> float:
        # The evidence grows as p0 moves away from k/n on the side in question; find where it crosses the line.
        far, near = (1 - tiny, k / n) if side == "below" else (tiny, k / n)
        near = min(max(near, tiny), 1 - tiny)
        if log_evidence(k, n, far, side) < line:
            return 1.0 if side == "below" else 0.0
        if log_evidence(k, n, near, side) >= line:
            return near
        return float(brentq(lambda p: log_evidence(k, n, p, side) - line, *sorted((near, far)), xtol=1e-9))

    return (0.0, 1.0) if n == 0 else (limit("above"), limit("below"))


def decide(values: Iterable[bool], p0: float, alpha: float = 0.05, never: float = NEVER) -> tuple[Literal["below", "above", "open"], int]:
    """Look after every value whether the rate is below or above p0: (answer, values looked at).

    Each answer has an error of its own, as the gate's one-sided bounds have: under any rate of p0 or more `below` is ever said with
    probability alpha at most, under any rate of p0 or less `above`. So a rate off p0 gets a wrong answer with probability alpha at most
    (at p0 itself both answers are wrong, each with at most alpha).

    Raises:
        ValueError: p0 is not inside (0, 1), or a value is missing (what was not measured must not be taken for good).
    """
    if not 0 < p0 < 1:
        raise ValueError(f"p0 must be inside (0, 1), not {p0}")
    line, k, n = -math.log(alpha), 0, 0
    for value in values:
        if value not in (True, False):
            raise ValueError(f"every value must be true or false, not {value!r}")
        k, n = k + bool(value), n + 1
        if log_evidence(k, n, p0, "below", never) >= line:
            return "below", n
        if log_evidence(k, n, p0, "above") >= line:
            return "above", n
    return "open", n


def fewest_values(p0: float, alpha: float = 0.05, never: float = NEVER) -> int:
    """After how many values, not one of them true, `decide` first says `below`."""
    line, n = -math.log(alpha), 1
    while log_evidence(0, n, p0, "below", never) < line:
        n += 1
    return n


def decide_pairs(pairs: Iterable[tuple[bool, bool]], alpha: float = 0.05) -> tuple[Arm, int]:
    """Which of two arms has the lower rate, looking after every paired draw: (that arm, pairs looked at).

    Only pairs that disagree speak, and if the arms are equal each of these is a fair coin (McNemar 1947). Two-sided: the chance of
    ever naming one of two equal arms is at most alpha.
    """
    seen = 0

    def worse_first() -> Iterator[bool]:
        nonlocal seen
        for a, b in pairs:
            seen += 1
            if a != b:
                yield bool(a)

    answer, _ = decide(worse_first(), 0.5, alpha / 2, never=0)  # equal arms make both answers wrong, and neither is favoured
    return _LOWER[answer], seen


def fewest_pairs(alpha: float = 0.05) -> int:
    """After how many pairs that disagree, all the same way, `decide_pairs` first names an arm."""
    return fewest_values(0.5, alpha / 2, never=0)
