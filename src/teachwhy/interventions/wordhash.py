"""What are the words of many texts, as numbers? Every word becomes 64 bits, so that texts are compared by arithmetic.

A word is a run of ASCII letters and digits, in lower case. A block of texts is hashed at once: the sum of letter * base^place
up to the word's end, less that up to its start, shifted back to place 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
NAME, NUMBER, ACCOUNT = 1, 2, 3
"""What a word's first letters say of it: a capital, a digit, or two capitals and a digit."""
_BASE = 0x9E3779B97F4A7C15
_UNBASE = pow(_BASE, -1, 2**64)  # the base is odd, so division by it exists
_STEP = np.uint64(0xD6E8FEB86659FD93)
_MASKS = np.array([0, 0x51ED270B37A4B1C5, 0xA24BAED4963EE407, 0x51ED270B37A4B1C5], np.uint64)
_BLOCK = 1 << 16  # bytes: all that is computed of a block fits into a core's own cache
_LETTERS, _CAPITALS, _DIGITS = b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789"
_LOWER = bytes(byte if byte in _LETTERS + _DIGITS else byte + 32 if byte in _CAPITALS else 0 for byte in range(256))
_FIRST = bytes(NAME if byte in _CAPITALS else NUMBER if byte in _DIGITS else 0 for byte in range(256))


@dataclass(frozen=True)
class Words:
    """The words of some texts.

    Attributes:
        hashes: (words,) all words in order.
        kinds: (words,) 0, NAME, NUMBER or ACCOUNT.
        lengths: (words,) letters of each.
        bounds: (texts + 1,) text i has the words from bounds[i] to bounds[i + 1].
    """

    hashes: Hashes
    kinds: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    bounds: NDArray[np.int64]

    @property
    def owner(self) -> NDArray[np.int64]:
        """(words,) the text that each word stands in."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))

    def masked(self) -> Words:
        """The same words, but every capitalised word is one and the same, and so is every number."""
        hashes, places = self.hashes.copy(), np.flatnonzero(self.kinds)
        hashes[places] = _MASKS[self.kinds[places]]
        return Words(hashes, self.kinds, self.lengths, self.bounds)

    def join(self, counts: Sequence[int]) -> Words:
        """Texts joined into fewer: the first counts[0] of them, the next counts[1], and so on."""
        return Words(self.hashes, self.kinds, self.lengths, self.bounds[np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])])

    def take(self, places: Sequence[int]) -> Words:
        """Some of the texts."""
        lows, highs = self.bounds[:-1][places], self.bounds[1:][places]
        sizes = highs - lows
        bounds = np.concatenate([[0], np.cumsum(sizes)])
        chosen = np.arange(bounds[-1]) + np.repeat(lows - bounds[:-1], sizes)
        return Words(self.hashes[chosen], self.kinds[chosen], self.lengths[chosen], bounds)


def hashed(texts: Sequence[str]) -> Words:
    """The words of texts as numbers."""
    parts = [_hash_block([b""])] + [_hash_block(block) for block in _blocks(texts)]
    hashes, kinds, lengths, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Words(hashes, kinds, lengths, np.cumsum(counts))


def runs(words: Words, n: int) -> Iterator[tuple[Hashes, NDArray[np.int64]]]:
    """(hash, text) of every run of n words that lies within one text, in order, some thousands at a time."""
    for first, last in spans(words.bounds):
        low, size = int(words.bounds[first]), int(words.bounds[last] - words.bounds[first]) - n + 1
        if size < 1:
            continue
        owner = np.repeat(np.arange(first, last), np.diff(words.bounds[first:last + 1]))
        total = _sums(words.hashes[low:low + size + n - 1], n)
        inside = owner[:size] == owner[n - 1:]
        yield mixed(total[inside]), owner[:size][inside]


def runs_at(words: Words, starts: NDArray[np.int64], n: int) -> Hashes:
    """Hash of the run of n words that begins at each place, as `runs` has it; also of runs that lie in two texts."""
    total = words.hashes[starts]
    for later in range(1, n):
        total = total * _STEP + words.hashes[starts + later]
    return mixed(total)


def _sums(hashes: Hashes, n: int) -> Hashes:
    """Of every n words in a row: first * step^(n - 1) + ... + last, put together from sums of half as many."""
    if n == 1:
        return hashes
    half = n // 2
    part = _sums(hashes, half)
    total = part[:-half] * np.uint64(pow(int(_STEP), half, 2**64))
    total += part[half:]
    return total if n % 2 == 0 else total[:-1] * _STEP + hashes[n - 1:]


def mixed(values: Hashes) -> Hashes:
    """Spread every bit over all 64 (the finisher of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Table:
    """Which sets is a word or run in? Bits of up to eight sets by the hash's upper bits: a stranger may look known, never the reverse."""

    def __init__(self, sets: Iterable[Hashes], bits: int = 20) -> None:
        self._shift = np.uint64(64 - bits)
        self._flags = np.zeros(1 << bits, np.uint8)
        for place, members in enumerate(sets):
            self._flags[members >> self._shift] |= np.uint8(1 << place)

    def flags(self, hashes: Hashes) -> NDArray[np.uint8]:
        return self._flags[hashes >> self._shift]


def spans(bounds: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Texts first .. last - 1 that together have about as many words as the cache holds well."""
    first = 0
    while first < len(bounds) - 1:
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + (_BLOCK >> 1), side="right")) - 1)
        yield first, last
        first = last


def _blocks(texts: Sequence[str]) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    size = 0
    for text in texts:
        block.append(text.encode("utf-8", "replace"))  # a lone surrogate is no reason to stop
        size += len(block[-1]) + 1
        if size >= _BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def _hash_block(block: list[bytes]) -> tuple[Hashes, NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Hash, kind and length of each word; words per text, led by a 0 in the first, empty block."""
    raw = b"\n".join([b"", *block, b"\n\n"])  # in newlines, so that each word's start and end are seen
    letters, first = (np.frombuffer(raw.translate(table), np.uint8) for table in (_LOWER, _FIRST))
    inside = letters != 0
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    power, unpower = _powers(1 << (len(raw) - 1).bit_length())
    sums = np.empty(len(raw) + 1, np.uint64)
    sums[0] = 0
    np.cumsum(letters * power[:len(raw)], out=sums[1:])
    hashes = mixed((sums[ends] - sums[starts]) * unpower[starts])
    kinds = first[starts]
    names = np.flatnonzero((kinds == NAME) & (first[starts + 1] == NAME))
    kinds[names[first[starts[names] + 2] == NUMBER]] = ACCOUNT
    text_ends = 1 + np.cumsum([len(text) + 1 for text in block])
    return hashes, kinds, ends - starts, np.diff(np.searchsorted(starts, text_ends), prepend=0)


@cache
def _powers(size: int) -> tuple[Hashes, Hashes]:
    """The base's powers 0 .. size - 1, and those of its inverse, modulo 2^64."""
    def powers(base: int) -> Hashes:
        return np.concatenate([np.ones(1, np.uint64), np.cumprod(np.full(size - 1, base, np.uint64))])

    return powers(_BASE), powers(_UNBASE)
