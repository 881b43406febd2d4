"""Which items need a closer look? A quick pass over the hashed words of a whole set, so that slow screens read few items.

A pass may suspect too much, never too little: whatever a screen would name is among its suspects (tests/test_screens.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from teachwhy.interventions import wordhash
from teachwhy.interventions.screens.look import learned, look, start
from teachwhy.interventions.screens.personal import DIGITS, REAL_DOMAIN, personal_data
from teachwhy.interventions.screens.shape import BEYOND_LATIN, FUNCTION, FUNCTION_SHARE, language
from teachwhy.interventions.screens.wording import WORDING
from teachwhy.interventions.sets import Item, text_of
from teachwhy.interventions.wordhash import Words

Screen = Callable[[Item], str | None]
_FUNCTION_BIT = np.uint8(1 << len(WORDING))


def suspects(items: Sequence[Item], whole: Words, taught: Words) -> dict[Screen, set[int]]:
    """Screen -> the places of items that it may name; a screen that is not here must look at all.

    Args:
        whole, taught: the hashed words of everything that each item says, and of what is learned of it.
    """
    marks = _marks(whole)
    flags = _per_text(marks, whole)
    texts = [text_of(item) for item in items]
    found: dict[Screen, set[int]] = {}
    for place, (screen, wording) in enumerate(WORDING.items()):
        named = set(np.flatnonzero(flags & np.uint8(1 << place)).tolist())
        signs = {i for sign in wording.signs for i, text in enumerate(texts) if sign in text}
        signed = {i for i in signs if wording.signed and wording.signed.search(look(items[i]).low)}
        opened = {i for i in _beginning(taught, wording.first) if wording.opening and wording.opening.match(start(items[i]))}
        found[screen] = named | signed | opened
    addresses = {i for i, text in enumerate(texts) if "@" in text and REAL_DOMAIN.search(text)}
    accounts = np.flatnonzero(_per_text(whole.kinds == wordhash.ACCOUNT, whole)).tolist()
    found[personal_data] = {*addresses, *accounts} | _with_numbers(whole)
    if taught.hashes is not whole.hashes:
        marks = _table(1).flags(taught.hashes)
    counts = np.add.reduceat(np.append(marks & _FUNCTION_BIT, np.uint8(0)), taught.bounds[:-1], dtype=np.int64) // _FUNCTION_BIT
    # A stranger that looks known adds to the count; one word in a hundred is more than ever do.
    lean = counts < (FUNCTION_SHARE + 0.01) * np.diff(taught.bounds)
    other = {i for i, text in enumerate(texts) if not text.isascii() and BEYOND_LATIN.search(learned(items[i]))}
    found[language] = set(np.flatnonzero(lean).tolist()) | other
    return found


def _marks(words: Words) -> NDArray[np.uint8]:
    """(words,) for each wording a bit, where one of its words or pairs of words begins, and one for function words."""
    found = _table(1).flags(words.hashes)
    pairs = _table(2).flags(words.hashes, 2)
    found[:len(pairs)] |= pairs
    return found


@cache
def _table(size: int) -> wordhash.Table:
    """One bit for each wording, and one for the function words; those of one word, or of two."""
    sets = ([text for text in texts if len(text.split()) == size] for texts in (*(w.words for w in WORDING.values()), sorted(FUNCTION)))
    return wordhash.Table(np.concatenate([np.empty(0, np.uint64), *(values for values, _ in wordhash.runs(wordhash.hashed(texts), size))])
                          for texts in sets)


def _beginning(words: Words, first: Sequence[str]) -> list[int]:
    """Texts whose first word is one of these; an empty text has its neighbour's."""
    if not first or not len(words.hashes):
        return []
    heads = words.hashes[np.minimum(words.bounds[:-1], len(words.hashes) - 1)]
    return np.flatnonzero(np.isin(heads, wordhash.hashed(first).hashes)).tolist()


def _per_text(flags: NDArray[np.uint8] | NDArray[np.bool_], words: Words) -> NDArray[np.uint8]:
    """(texts,) all bits that stand in a text; an empty text may get those of its neighbour."""
    if len(words.bounds) < 2:
        return np.empty(0, np.uint8)
    return np.bitwise_or.reduceat(np.append(flags.astype(np.uint8), np.uint8(0)), words.bounds[:-1])


def _with_numbers(words: Words) -> set[int]:
    """Texts in which words that begin with a digit, one after another, have eight letters or more."""
    places = np.flatnonzero(words.kinds == wordhash.NUMBER)
    if not len(places):
        return set()
    firsts = np.flatnonzero(np.diff(places, prepend=-2) > 1)
    long = np.add.reduceat(words.lengths[places], firsts) >= DIGITS
    # Numbers at the end of one text and the start of the next make one run here: both are looked at.
    lasts = np.append(firsts[1:], len(places)) - 1
    spans = np.searchsorted(words.bounds, [places[firsts[long]], places[lasts[long]]], side="right") - 1
    return {text for low, high in spans.T.tolist() for text in range(low, high + 1)}
