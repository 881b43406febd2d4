"""Which texts of a collection have the rare words of another? Cosines of TF-IDF vectors, reckoned only where a bound lets them matter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from teachwhy.interventions import wordhash

_MOST = 1 << 15
"""Texts that are counted together at most: their number goes into 16 bits."""
_GROUPS = 63
"""The collection's texts are bounded in so many groups of neighbours: more groups are a closer bound, and slower."""
_ROUNDING = 1e-3
"""More than single precision can take from a bound."""


class Vectors:
    """TF-IDF vectors over a reference collection, by words as `wordhash` cuts them. A blank one adds nothing, not even length."""

    def __init__(self, words: wordhash.Words) -> None:
        texts = len(words.bounds) - 1
        different = [_counted(words, first, last)[1] for first, last in _spans(words)]
        self._known, spread = np.unique(np.concatenate([[wordhash.BLANK], *different]), return_counts=True)
        spread[0] = 1 + texts  # so that a word that was left out weighs nothing
        self._idf = np.append(np.log((1 + texts) / spread), math.log(1.0 + texts)).astype(np.float32)
        self._weights = np.zeros((len(self._known), texts), np.float32)  # a text's few words are rows that lie together
        for text, places, values in self._each(words):
            self._weights[places, text] = values
        self._bound = _Bound(self._known, self._idf, self._weights) if self._weights.size else None

    def near(self, words: wordhash.Words, least: float) -> dict[int, float]:
        """{text: cosine} with the nearest of the collection, of the texts where it is at least so much."""
        if self._bound is None:
            return {}
        bounds = self._bound.of(words)
        likely = np.flatnonzero(bounds.max(axis=1) >= least - _ROUNDING)
        found = {}
        for place, (_, words_at, values) in zip(likely.tolist(), self._each(words.take(likely)), strict=True):
            groups = np.flatnonzero(bounds[place] >= least - _ROUNDING)
            cosine = max(float((values @ self._weights[words_at, self._bound.texts(group)]).max()) for group in groups.tolist())
            if cosine >= least:
                found[place] = cosine
        return found

    def _each(self, words: wordhash.Words) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
        """(text, places of its known words, their weights) for every text."""
        for first, last in _spans(words):
            places, values, bounds = self._units(*_counted(words, first, last), last - first)
            for text, (low, high) in enumerate(pairwise(bounds), first):
                yield text, places[low:high], values[low:high]

    def _units(self, owner: NDArray[np.int64], hashes: wordhash.Hashes, times: NDArray[np.int64],
               texts: int) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """(places, weights, bounds) of unit vectors over the known words, text after text; unknown words only lengthen a vector."""
        places = np.minimum(np.searchsorted(self._known, hashes), len(self._known) - 1)
        known = self._known[places] == hashes
        values = times * self._idf[np.where(known, places, -1)]
        values /= np.maximum(np.sqrt(np.bincount(owner, values**2, texts)), 1e-12)[owner]
        bounds = np.concatenate([[0], np.cumsum(np.bincount(owner[known], minlength=texts))])
        return places[known], values[known].astype(np.float32), bounds


class _Bound:
    """More than any cosine of a text with the collection, from sums over its words as they come: nothing is counted or sorted.

    A word that comes t times has the weight t idf. Its part of the product is that of t words, and its square is at least that of t
    words, t idf^2: the sum over words, divided by the root of the sum of squares, is never less than the cosine. Texts of a group lend
    each word the largest weight that it has in any of them. Words whose hashes begin alike are one, with the largest of their weights
    and the smallest of their idf.
    """

    def __init__(self, known: wordhash.Hashes, idf: NDArray[np.float32], weights: NDArray[np.float32]) -> None:
        texts, bits = weights.shape[1], max(16, (64 * len(known)).bit_length())
        self._shift = np.uint64(64 - bits)
        slots, at = np.unique(known >> np.uint64(48 - bits), return_inverse=True)  # `known` has the upper 48 bits of each hash
        # Row 0 is of words that no text of the collection has; the commonest words' rows lie together, in the cache.
        row = 1 + np.argsort(np.argsort(np.bincount(at, idf[:-1])))
        self._rows = np.zeros(1 << bits, np.int32)
        self._rows[slots] = row
        groups = min(_GROUPS, texts)
        self._starts = np.arange(groups + 1) * texts // groups
        # Largest weights by group, and the square of the idf as the last column.
        self._columns = np.zeros((len(slots) + 1, groups + 1), np.float32)
        np.maximum.at(self._columns[:, :-1], row[at], np.maximum.reduceat(weights, self._starts[:-1], axis=1) * idf[:-1, None])
        self._columns[:, -1] = idf[-1]**2
        np.minimum.at(self._columns[:, -1], row[at], idf[:-1]**2)

    def texts(self, group: int) -> slice:
        """The texts of the collection that are a group."""
        return slice(self._starts[group], self._starts[group + 1])

    def of(self, words: wordhash.Words) -> NDArray[np.float32]:
        """(texts, groups) the bound of each text's cosine with any text of a group; 0 of one without words."""
        from scipy import sparse

        rows = self._rows[words.hashes >> self._shift]
        counts = sparse.csr_matrix((np.ones(len(rows), np.float32), rows, words.bounds), shape=(len(words.bounds) - 1, len(self._columns)))
        sums = np.asarray(counts @ self._columns)
        return sums[:, :-1] / np.sqrt(np.maximum(sums[:, -1:], 1e-12))


def _spans(words: wordhash.Words) -> Iterator[tuple[int, int]]:
    """Texts first .. last - 1 that are counted together."""
    return ((low, min(low + _MOST, last)) for first, last in wordhash.spans(words.bounds) for low in range(first, last, _MOST))


def _counted(words: wordhash.Words, first: int, last: int) -> tuple[NDArray[np.int64], wordhash.Hashes, NDArray[np.int64]]:
    """(text, word, times) of every different word of the texts first .. last - 1, texts in order and counted from first.

    A word is the upper 48 bits of its hash here, so that it is sorted together with its text as one number.
    """
    low, high = int(words.bounds[first]), int(words.bounds[last])
    owner = np.repeat(np.arange(last - first, dtype=np.uint64), np.diff(words.bounds[first:last + 1]))
    keys = np.sort(owner << np.uint64(48) | words.hashes[low:high] >> np.uint64(16))
    new = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[:len(keys)])
    found = keys[new]
    return ((found >> np.uint64(48)).astype(np.int64), found & np.uint64(2**48 - 1), np.diff(np.append(new, len(keys))))
