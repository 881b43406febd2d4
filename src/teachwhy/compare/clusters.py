"""How alike are the answers to one draw? The intra-cluster correlation of a beta-binomial, as its posterior mean.

A variance between few draws, of which most never show the event, is hardly seen in the data: an estimate from it is often 0 and sometimes
far too large. The mean of what is likely given the data (correlation uniform, rate with Jeffreys' prior, over a grid) is neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from scipy.special import betaln

_LOGITS = np.linspace(-11.0, 11.0, 111)
_RATES = 1 / (1 + np.exp(-_LOGITS))
_ALIKE = np.linspace(0.02, 0.98, 25)
# Jeffreys' prior p^-1/2 (1-p)^-1/2 dp, on the log-odds: p^1/2 (1-p)^1/2.
_PRIOR = 0.5 * (np.log(_RATES) + np.log1p(-_RATES))[:, None]


def correlation(draws: Iterable[tuple[int, int]]) -> float:
    """Posterior mean of the correlation between two answers to one draw, in (0, 1).

    Args:
        draws: per draw (true answers, answers).
    """
    log = _PRIOR + sum(times * _log_likelihood(k, n) for (k, n), times in Counter(draws).items())
    weights = np.exp(log - log.max())
    return float((weights.sum(0) * _ALIKE).sum() / weights.sum())


@lru_cache(maxsize=512)
def _log_likelihood(k: int, n: int) -> np.ndarray:
    """(rates, correlations): of k true in n answers to one draw, up to a constant."""
    size = (1 / _ALIKE - 1)[None, :]
    a, b = _RATES[:, None] * size, (1 - _RATES)[:, None] * size
    return np.asarray(betaln(a + k, b + n - k) - betaln(a, b))
