"""Has an evaluation scenario slipped into the training text? Word 8-grams, and nearest neighbours by TF-IDF cosine.

Rare-word cosine needs no second model, and flags paraphrases that keep names, figures or objects; where a model is at hand that reads for
meaning (`meaning`), it flags others too. Each check fails the build.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from teachwhy import mail
from teachwhy.errors import UserError
from teachwhy.interventions import wordhash
from teachwhy.interventions.meaning import Meaning, told_again
from teachwhy.interventions.rarewords import Vectors
from teachwhy.interventions.sets import Item, text_of

NGRAM = 8
_PIECE, _EVERY = 5, 4
"""Of any eight words in a row, five that begin at every fourth word of a text lie within: a look at a quarter of all places finds them."""
_LOOK = 1 << 17
"""Words that are looked through together: a quarter of their places fit into a core's own cache."""
COSINE = 0.5
"""Unrelated pairs of our texts stay below 0.4 (see docs/decisions/0005); copies with changed names are above 0.6."""


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def ngrams(text: str, n: int = NGRAM) -> set[tuple[str, ...]]:
    """All runs of n words."""
    found = words(text)
    return {tuple(found[i: i + n]) for i in range(len(found) - n + 1)}


class HeldOut:
    """Evaluation texts, in the two forms with which training items are compared: runs of eight words, and rare words.

    The fixed wording of the agent format, which training and test share on purpose, is left out of the comparison.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        told, fixed = ([f" {' '.join(words(text))} " for text in some] for some in (texts, mail.INSTRUCTIONS))
        for line in fixed:
            told = [text.replace(line, " ") for text in told]
        # One string and arrays: a million runs as objects would be walked through by each collection of garbage.
        self._told, self._fixed = "\n".join(told), {run for text in fixed for run in _runs(text)}
        # An apostrophe parts words there and not here, so a run of eight here holds one or more of eight there.
        held = wordhash.hashed(told)
        self._hashes = np.setdiff1d(_all_runs(held, NGRAM), _all_runs(wordhash.hashed(fixed), NGRAM), assume_unique=True)
        self._pieces = _all_runs(held, _PIECE)
        self._table = wordhash.Table([self._pieces], bits=max(20, (32 * len(self._pieces)).bit_length()))
        self._format = wordhash.hashed(mail.INSTRUCTIONS)
        self._vectors = Vectors(wordhash.hashed(texts).without(self._format))

    def reason(self, text: str) -> str | None:
        """What a text shares with an evaluation scenario, or None."""
        return self.reasons([text])[0]

    def reasons(self, texts: Sequence[str], words: wordhash.Words | None = None) -> list[str | None]:
        """What each text shares with an evaluation scenario, or None.

        Args:
            words: the texts' words, where they are hashed already.
        """
        words = words or wordhash.hashed(texts)
        reasons: list[str | None] = [None] * len(texts)
        for place, cosine in self.paraphrases(words).items():
            reasons[place] = f"is nearly an evaluation scenario (cosine {cosine:.2f})"
        for place in self.suspects(words):
            reasons[place] = self._copied(texts[place]) or reasons[place]
        return reasons

    def paraphrases(self, words: wordhash.Words) -> dict[int, float]:
        """{text: cosine} of those that have the rare words of a held-out text, whatever order they stand in."""
        return self._vectors.near(words.without(self._format), COSINE)

    def suspects(self, words: wordhash.Words) -> set[int]:
        """Texts that may share a run of words with a held-out one: all that do, and hardly one that does not."""
        last = len(words.hashes) - NGRAM
        places = [found for low in range(0, last + NGRAM, _LOOK) if len(found := self._pieces_at(words, range(low, low + _LOOK)))]
        starts = np.unique(np.concatenate([np.empty(0, np.int64), *places])[:, None] - np.arange(_EVERY))
        starts = starts[(starts >= 0) & (starts <= last)]
        starts = starts[_among(wordhash.runs_at(words, starts, NGRAM), self._hashes)]
        return set((np.searchsorted(words.bounds, starts, side="right") - 1).tolist())

    def _pieces_at(self, words: wordhash.Words, places: range) -> NDArray[np.int64]:
        """Those of every fourth place where a piece of a held-out run begins."""
        starts = np.arange(places.start, min(places.stop, len(words.hashes) - _PIECE + 1), _EVERY)
        values = wordhash.runs_at(words, starts, _PIECE)
        flagged = np.flatnonzero(self._table.flags(values))  # a quick look spares the search for most
        return starts[flagged[_among(values[flagged], self._pieces)]]

    def _copied(self, text: str) -> str | None:
        runs = sorted(_runs(text) - self._fixed)
        hashes = wordhash.runs(wordhash.hashed(runs), NGRAM)
        likely = sorted({place for values, owner in hashes for place in owner[_among(values, self._hashes)].tolist()})
        shared = next((runs[place] for place in likely if f" {runs[place]} " in self._told), None)
        return f"shares the words '{shared}' with an evaluation scenario" if shared else None


@lru_cache(maxsize=2)
def held_out_as(texts: tuple[str, ...]) -> HeldOut:
    """Evaluation texts, ready to be compared with: a study asks for the same ones at every arm, and making them ready takes seconds."""
    return HeldOut(texts)


def check_leakage(name: str, items: Iterable[Item], held_out: Sequence[str], meaning: Meaning | None = None) -> None:
    """Raise if an item of a training set repeats or paraphrases an evaluation scenario.

    Args:
        meaning: also look for items that say the same as a scenario in words of their own.

    Raises:
        UserError: names the item, and what it shares.
    """
    found = list(items)
    texts = [text_of(item) for item in found]
    retold = told_again(texts, held_out, meaning) if meaning and texts else {}
    for place, (item, shared) in enumerate(zip(found, held_out_as(tuple(held_out)).reasons(texts), strict=True)):
        if why := shared or retold.get(place):
            raise UserError(f"Item {item.id} of {name} {why}", "Take the item out, or rewrite it: what is tested must not be trained on.")


def _runs(text: str) -> set[str]:
    return {" ".join(gram) for gram in ngrams(text)}


def _all_runs(words: wordhash.Words, n: int) -> wordhash.Hashes:
    """All different runs of n words, in order of their hashes."""
    return wordhash.distinct(np.concatenate([np.empty(0, np.uint64), *(values for values, _ in wordhash.runs(words, n))]))


def _among(values: wordhash.Hashes, members: wordhash.Hashes) -> NDArray[np.bool_]:
    """Which values are among the members, which are in order?"""
    if not len(members):
        return np.zeros(len(values), bool)
    return members[np.minimum(np.searchsorted(members, values), len(members) - 1)] == values
