"""Which texts say nearly the same, or the same with other names in it? MinHash finds pairs worth a look, the exact Jaccard index decides.

Runs of five words are hashed with names and numbers masked: texts that share words share masked words too, so one search serves both
questions. One hash of each run fills 144 bins (one-permutation hashing, Li, Owen and Zhang 2012); empty bins borrow (optimal
densification, Shrivastava 2017). 48 bands of 3 bins put texts into buckets. A text is compared only with kept texts of its buckets,
so a thousand copies of one text cost a thousand comparisons, not half a million.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teachwhy.interventions import wordhash
from teachwhy.interventions.wordhash import Hashes, Words

RUN = 5
JACCARD = 0.5
TEMPLATE = 0.6
"""Two texts whose runs agree so far once names and numbers are masked are one template."""
BANDS, ROWS = 48, 3
"""A pair at the limit of 0.5 is missed with (1 - 0.5^3)^48 = 0.2 %, one at 0.6 with 0.001 %."""
_BINS = BANDS * ROWS
_EMPTY = np.uint32(0xFFFFFFFF)
_BORROWS = 64


@dataclass(frozen=True)
class Near:
    """A text is nearly an earlier one: its place, the Jaccard index, and whether only with names and numbers masked."""

    earlier: int
    jaccard: float
    masked: bool


def near_duplicates(texts: Sequence[str]) -> dict[int, Near]:
    """Place of each text that nearly repeats an earlier one which is kept -> which."""
    return near_in(wordhash.hashed(texts))


def near_in(words: Words) -> dict[int, Near]:
    """As `near_duplicates`, of words that are hashed already."""
    first: dict[bytes, int] = {}
    firsts = [first.setdefault(words.hashes[low:high].tobytes(), place)
              for place, (low, high) in enumerate(zip(words.bounds[:-1].tolist(), words.bounds[1:].tolist(), strict=True)) if high > low]
    distinct = list(first.values())
    places = [place for place, empty in enumerate((np.diff(words.bounds) == 0).tolist()) if not empty]
    near = {distinct[place]: Near(distinct[pair.earlier], pair.jaccard, pair.masked)
            for place, pair in _near_distinct(words if len(distinct) == len(words.bounds) - 1 else words.take(distinct)).items()}
    # The copy of a near-duplicate names what that one repeats.
    copies = {place: near.get(same, Near(same, 1.0, False)) for place, same in zip(places, firsts, strict=True) if place != same}
    return dict(sorted({**near, **copies}.items()))


def _near_distinct(words: Words) -> dict[int, Near]:
    """As `near_in`, where no two texts have the same words and none is empty."""
    keys, shared = _buckets(_signatures(words))
    pairs = _Pairs(words)
    found: dict[int, Near] = {}
    members: dict[int, list[int]] = {}
    for place in np.flatnonzero(shared.any(axis=1)).tolist():
        mine = keys[place][shared[place]].tolist()
        near = _nearest(pairs, place, mine, members)
        if near is None:
            for bucket in mine:
                members.setdefault(bucket, []).append(place)
        else:
            found[place] = near
            pairs.forget(place)
    return found


class _Pairs:
    """Exact comparison of two texts; the runs of those that are kept are remembered."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._sets: dict[tuple[int, bool], Hashes] = {}

    def forget(self, place: int) -> None:
        for masked in (False, True):
            self._sets.pop((place, masked), None)

    def jaccard(self, one: int, other: int, masked: bool) -> float:
        a, b = self._runs(one, masked), self._runs(other, masked)
        both = np.sort(np.concatenate([a, b]))
        shared = int(np.count_nonzero(both[1:] == both[:-1]))
        return shared / (len(both) - shared)

    def _runs(self, place: int, masked: bool) -> Hashes:
        """Each run of a text once, in order."""
        if (place, masked) not in self._sets:
            hashes, kinds = self._words.of(place)
            hashes = wordhash.masked(hashes, kinds) if masked else hashes
            self._sets[place, masked] = wordhash.distinct(wordhash.runs_of(hashes, min(RUN, len(hashes))))
        return self._sets[place, masked]


def _nearest(pairs: _Pairs, place: int, mine: list[int], members: dict[int, list[int]]) -> Near | None:
    """The first kept text of the same buckets that is as near as the limits."""
    seen: set[int] = set()
    for bucket in mine:
        for other in members.get(bucket, ()):
            if other in seen:
                continue
            seen.add(other)
            if (index := pairs.jaccard(place, other, False)) >= JACCARD:
                return Near(other, index, False)
            if (index := pairs.jaccard(place, other, True)) >= TEMPLATE:
                return Near(other, index, True)
    return None


def _signatures(words: Words) -> NDArray[np.uint32]:
    """(texts, bins) the smallest hash of masked runs in each bin; a text of one to four words is one run."""
    count = len(words.bounds) - 1
    found = np.full((count, _BINS), _EMPTY)
    flat = found.reshape(-1)
    for values, owner in wordhash.runs(words, RUN, masks=True):
        _lower(flat, values, owner)
    sizes = np.diff(words.bounds)
    for place in np.flatnonzero((sizes > 0) & (sizes < RUN)).tolist():
        _lower(flat, wordhash.runs_of(wordhash.masked(*words.of(place)), int(sizes[place])), np.full(1, place))
    donors = np.random.default_rng(1).integers(0, _BINS, (_BORROWS, _BINS))  # fixed: two texts must borrow alike
    for first in range(0, count, 512):
        _borrow(found[first:first + 512], donors)
    return found


def _lower(flat: NDArray[np.uint32], values: Hashes, owner: NDArray[np.int64]) -> None:
    """Put hashes into their bins, the smallest of each bin stays."""
    bins = ((values >> np.uint64(32)) * np.uint64(_BINS)) >> np.uint64(32)
    small = np.minimum(values.astype(np.uint32), _EMPTY - np.uint32(1))
    np.minimum.at(flat, owner * _BINS + bins.astype(np.int64), small)


def _borrow(found: NDArray[np.uint32], donors: NDArray[np.int64]) -> None:
    """Fill empty bins from full ones of the same text."""
    source = found.copy()
    rows, places = np.nonzero(found == _EMPTY)
    for donor in donors:
        if not len(rows):
            return
        taken = source[rows, donor[places]]
        found[rows, places] = taken
        still = taken == _EMPTY
        rows, places = rows[still], places[still]
    found[rows, places] = source[rows].min(axis=1)  # a text of a few runs: any of them


def _buckets(signatures: NDArray[np.uint32]) -> tuple[Hashes, NDArray[np.bool_]]:
    """(texts, bands) key of the bucket, and whether another text is in it."""
    columns = signatures.reshape(-1, BANDS, ROWS).astype(np.uint64)
    band = np.arange(BANDS, dtype=np.uint64) << np.uint64(32)
    keys = wordhash.mixed((columns[..., 0] | band) + wordhash.mixed(columns[..., 1] + wordhash.mixed(columns[..., 2])))
    order = np.sort(keys, axis=None)
    several = wordhash.distinct(order[1:][order[1:] == order[:-1]])
    shared = wordhash.Table([several]).flags(keys.ravel()).reshape(keys.shape) > 0  # a stranger may look known: only these are searched
    shared[shared] = np.isin(keys[shared], several)
    return keys, shared
