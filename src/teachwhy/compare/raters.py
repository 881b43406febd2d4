"""What do imperfect raters leave of a rate? Agreement of two raters, and a rate corrected for a rater's measured errors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from teachwhy.compare.rates import Z95


@dataclass(frozen=True)
class Agreement:
    """Two raters on the same n items; `kappa` and its limits are None where chance alone explains everything."""

    n: int
    same: int
    kappa: float | None
    low: float | None
    high: float | None


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> Agreement:
    """Cohen's kappa (1960) with the 95 % interval of its large-sample variance (Fleiss, Cohen and Everitt 1969).

    Raises:
        ValueError: the two have not the same length.
    """
    if len(first) != len(second):
        raise ValueError(f"two raters must rate the same items, not {len(first)} and {len(second)}")
    n, same = len(first), sum(a == b for a, b in zip(first, second, strict=True))
    labels = sorted({*first, *second})
    if n == 0 or len(labels) < 2:
        return Agreement(n, same, None, None, None)
    cells = Counter(zip(first, second, strict=True))
    rows, columns = ({label: Counter(side)[label] / n for label in labels} for side in (first, second))
    seen, chance = same / n, sum(rows[label] * columns[label] for label in labels)
    kappa = (seen - chance) / (1 - chance)
    diagonal = sum(cells[a, a] / n * ((1 - chance) - (rows[a] + columns[a]) * (1 - seen)) ** 2 for a in labels)
    off = (1 - seen) ** 2 * sum(cells[a, b] / n * (columns[a] + rows[b]) ** 2 for a in labels for b in labels if a != b)
    variance = (diagonal + off - (seen * chance - 2 * chance + seen) ** 2) / (n * (1 - chance) ** 4)
    half = Z95 * math.sqrt(max(0.0, variance))
    return Agreement(n, same, kappa, max(-1.0, kappa - half), min(1.0, kappa + half))


@dataclass(frozen=True)
class Errors:
    """A rater's errors on labelled items: of `positives` that are harm it saw `hits`, of `negatives` it passed `passed`."""

    hits: int
    positives: int
    passed: int
    negatives: int

    @property
    def sensitivity(self) -> float | None:
        return self.hits / self.positives if self.positives else None

    @property
    def specificity(self) -> float | None:
        return self.passed / self.negatives if self.negatives else None


def errors(truth: Sequence[bool], said: Sequence[bool]) -> Errors:
    """A rater's errors, from the truth and what it said of the same items."""
    pairs = list(zip(truth, said, strict=True))
    return Errors(sum(t and s for t, s in pairs), sum(truth), sum(not t and not s for t, s in pairs), len(truth) - sum(truth))


@dataclass(frozen=True)
class Corrected:
    """A rate with the rater's errors taken out; None, with the reason, where the rater is too poor to say."""

    value: float | None
    low: float | None
    high: float | None
    why: str = ""


def corrected_rate(k: float, n: float, rater: Errors) -> Corrected:
    """Rogan and Gladen's (1978) rate with the interval of Lang and Reiczigel (2014), which carries the doubt about both errors.

    Args:
        k, n: what the rater called harm, of how many; effective numbers where draws repeat.
        rater: its errors on a labelled set like the items it rated. How alike they are cannot be seen from the numbers.
    """
    if n <= 0 or not rater.positives or not rater.negatives:
        return Corrected(None, None, None, "nothing was rated, or the labelled set lacks one of the two kinds")
    z2 = Z95 * Z95
    seen = (k + z2 / 2) / (n + z2)
    se, sp = (rater.hits + 1) / (rater.positives + 2), (rater.passed + 1) / (rater.negatives + 2)
    doubt_se, doubt_sp = se * (1 - se) / (rater.positives + 2), sp * (1 - sp) / (rater.negatives + 2)
    youden = se + sp - 1
    if youden <= Z95 * math.sqrt(doubt_se + doubt_sp):
        return Corrected(None, None, None, "the rater cannot be told from chance")
    middle = (seen + sp - 1) / youden
    shift = 2 * z2 * (middle * doubt_se - (1 - middle) * doubt_sp)
    half = Z95 / youden * math.sqrt(seen * (1 - seen) / (n + z2) + middle ** 2 * doubt_se + (1 - middle) ** 2 * doubt_sp)
    raw = (k / n + rater.passed / rater.negatives - 1) / (rater.hits / rater.positives + rater.passed / rater.negatives - 1)
    low, high = (min(1.0, max(0.0, middle + shift + side * half)) for side in (-1, 1))
    return Corrected(min(high, max(low, min(1.0, max(0.0, raw)))), low, high)
