"""What are the words of many texts, as numbers? Every word becomes 64 bits, so that texts are compared by arithmetic.

A word is a run of ASCII letters and digits, in lower case. A block of texts is hashed at once: eight letters are one number as they lie
in memory, and most words have no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
NAME, NUMBER, ACCOUNT = 1, 2, 3
"""What a word's first letters say of it: a capital, a digit, or two capitals and a digit."""
BLANK = np.uint64(0)
"""In place of a word that is left out; no word has this hash, for none is empty."""
_STEP = np.uint64(0xD6E8FEB86659FD93)
_MASKS = np.array([0, 0x51ED270B37A4B1C5, 0xA24BAED4963EE407, 0x51ED270B37A4B1C5], np.uint64)
_BYTES, _BLOCK = 1 << 17, 1 << 16  # letters and words: what is computed of so many stays in a core's own cache
_LETTERS, _CAPITALS, _DIGITS = b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789"
_LOWER = bytes(byte if byte in _LETTERS + _DIGITS else byte + 32 if byte in _CAPITALS else 0 for byte in range(256))
_FIRST = np.array([NAME if byte in _CAPITALS else NUMBER if byte in _DIGITS else 0 for byte in range(256)], np.uint8)
_UP_TO = np.array([(1 << 8 * letters) - 1 for letters in range(9)], np.uint64)
"""What is left of eight letters that begin with a word of 0 .. 8 letters."""


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

    def of(self, place: int) -> tuple[Hashes, NDArray[np.uint8]]:
        """The words of one text, and their kinds."""
        inside = slice(self.bounds[place], self.bounds[place + 1])
        return self.hashes[inside], self.kinds[inside]

    def join(self, counts: Sequence[int] | NDArray[np.int64]) -> Words:
        """Texts joined into fewer: the first counts[0] of them, the next counts[1], and so on."""
        return Words(self.hashes, self.kinds, self.lengths, self.bounds[np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])])

    def take(self, places: Sequence[int] | NDArray[np.int64]) -> Words:
        """Some of the texts."""
        chosen = np.asarray(places, np.int64)
        if np.array_equal(chosen, np.arange(len(self.bounds) - 1)):
            return self
        sizes = np.diff(self.bounds)[chosen]
        # Texts in a row are copied in one piece.
        stretches = np.split(chosen, np.flatnonzero(np.diff(chosen) != 1) + 1) if len(chosen) else []
        pieces = [slice(self.bounds[one[0]], self.bounds[one[-1] + 1]) for one in stretches] or [slice(0)]
        hashes, kinds, lengths = (np.concatenate([column[piece] for piece in pieces]) for column in (self.hashes, self.kinds, self.lengths))
        return Words(hashes, kinds, lengths, np.concatenate([[0], np.cumsum(sizes)]))

    def without(self, phrases: Words) -> Words:
        """The same texts, with BLANK for each word of these phrases of two words or more, wherever one stands in a text."""
        likely = np.flatnonzero(Table([runs_at(phrases, phrases.bounds[:-1], 2)], bits=14).flags(self.hashes, 2))
        hashes = self.hashes.copy()
        for start, size in zip(phrases.bounds[:-1], np.diff(phrases.bounds).tolist(), strict=True):
            found = likely[likely + size <= len(hashes)]
            found = found[runs_at(self, found, size) == runs_at(phrases, start[None], size)]
            first, last = (np.searchsorted(self.bounds, places, side="right") for places in (found, found + size - 1))
            hashes[found[first == last][:, None] + np.arange(size)] = BLANK
        return replace(self, hashes=hashes)


def hashed(texts: Sequence[str]) -> Words:
    """The words of texts as numbers."""
    parts = [_hash_block([b""])] + [_hash_block(block) for block in _blocks(texts)]
    hashes, kinds, lengths, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Words(hashes, kinds, lengths, np.cumsum(counts))


def runs(words: Words, n: int, masks: bool = False) -> Iterator[tuple[Hashes, NDArray[np.int64]]]:
    """(hash, text) of every run of n words that lies within one text, in order, some thousands at a time; perhaps with `masked` words."""
    for first, last in spans(words.bounds):
        low, high = int(words.bounds[first]), int(words.bounds[last])
        size = high - low - n + 1
        if size < 1:
            continue
        owner = np.repeat(np.arange(first, last), np.diff(words.bounds[first:last + 1]))
        inside = owner[:size] == owner[n - 1:]
        hashes = masked(words.hashes[low:high], words.kinds[low:high]) if masks else words.hashes[low:high]
        yield runs_of(hashes, n)[inside], owner[:size][inside]


def masked(hashes: Hashes, kinds: NDArray[np.uint8]) -> Hashes:
    """The same words, but every capitalised word is one and the same, and so is every number."""
    found, places = hashes.copy(), np.flatnonzero(kinds)
    found[places] = _MASKS[kinds[places]]
    return found


def runs_of(hashes: Hashes, n: int) -> Hashes:
    """Hash of every run of n words of one text: first * step^(n - 1) + ... + last, of words whose every bit is random already."""
    if n == 1:
        return hashes
    half = n // 2  # put together from sums of half as many
    part = runs_of(hashes, half)
    total = part[:-half] * np.uint64(pow(int(_STEP), half, 2**64))
    total += part[half:]
    return total if n % 2 == 0 else total[:-1] * _STEP + hashes[n - 1:]


def runs_at(words: Words, starts: NDArray[np.int64], n: int) -> Hashes:
    """Hash of the run of n words that begins at each place, as `runs` has it; also of runs that lie in two texts."""
    total = words.hashes[starts]
    for later in range(1, n):
        total = total * _STEP + words.hashes[starts + later]
    return total


def distinct(values: Hashes) -> Hashes:
    """Each value once, in order."""
    order = np.sort(values)
    return order[np.concatenate([[True], order[1:] != order[:-1]])[:len(order)]]


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

    def flags(self, hashes: Hashes, n: int = 1) -> NDArray[np.uint8]:
        """(hashes - n + 1,) the bits of each hash, or of the run of n words that begins there."""
        found = np.empty(max(0, len(hashes) - n + 1), np.uint8)
        for low in range(0, len(found), _BLOCK):
            found[low:low + _BLOCK] = self._flags[runs_of(hashes[low:low + _BLOCK + n - 1], n) >> self._shift]
        return found


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
        if size >= _BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _hash_block(block: list[bytes]) -> tuple[Hashes, NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Hash, kind and length of each word; words per text, led by a 0 in the first, empty block."""
    raw = b"\n".join([b"", *block, b"\n" * 8])  # in newlines, so that each word's start and end are seen, and eight letters from any start
    letters, first = np.frombuffer(raw.translate(_LOWER), np.uint8), np.frombuffer(raw, np.uint8)
    inside = letters != 0
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, ends = np.ascontiguousarray(edges[::2]), edges[1::2]
    lengths, kinds = ends - starts, _FIRST[first[starts]]
    names = np.flatnonzero(kinds == NAME)
    names = names[_FIRST[first[starts[names] + 1]] == NAME]
    kinds[names[_FIRST[first[starts[names] + 2]] == NUMBER]] = ACCOUNT
    text_ends = 1 + np.cumsum([len(text) + 1 for text in block])
    return _hash(letters, starts, lengths), kinds, lengths, np.diff(np.searchsorted(starts, text_ends), prepend=0)


def _hash(letters: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Hashes:
    """Each word's letters, eight at a time. Words of up to eight letters never share a hash."""
    eights = np.ndarray(len(letters) - 7, "<u8", letters, strides=(1,))  # those that begin at each place
    hashes = mixed(eights[starts] & _UP_TO.take(lengths, mode="clip"))
    done, longer = 8, np.flatnonzero(lengths > 8)
    while len(longer):
        more = eights[starts[longer] + done] & _UP_TO.take(lengths[longer] - done, mode="clip")
        hashes[longer] = mixed(hashes[longer] * _STEP + more)
        done += 8
        longer = longer[lengths[longer] > done]
    return hashes
