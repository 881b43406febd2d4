"""Has an evaluation scenario slipped into the training text? Word 8-grams, and nearest neighbours by TF-IDF cosine.

Rare-word cosine is the embedding here: it needs no second model, and flags paraphrases that keep names, figures or
objects. Either check fails the build.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from teachwhy import mail
from teachwhy.errors import UserError
from teachwhy.interventions import wordhash
from teachwhy.interventions.sets import Item, text_of

NGRAM = 8
COSINE = 0.5
"""Unrelated pairs of our texts stay below 0.25 (see docs/decisions); copies with changed names are above 0.6."""


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def ngrams(text: str, n: int = NGRAM) -> set[tuple[str, ...]]:
    """All runs of n words."""
    found = words(text)
    return {tuple(found[i: i + n]) for i in range(len(found) - n + 1)}


class Vectors:
    """TF-IDF vectors over a reference collection."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(words(text)) for text in texts]
        spread = Counter(word for count in counts for word in count)
        self._place = {word: place for place, word in enumerate(spread)}
        self._idf = {word: math.log((1 + len(texts)) / n) for word, n in spread.items()}
        self._rare = math.log(1.0 + len(texts))
        self._weights = np.zeros((len(spread), len(texts)))  # (words, texts): a text's few words are rows that lie together
        for index, count in enumerate(counts):
            places, values = self._unit(count)
            self._weights[places, index] = values

    def _unit(self, count: Counter[str]) -> tuple[list[int], list[float]]:
        """(places, weights) of the known words; unknown ones only lengthen the vector."""
        length = math.sqrt(sum((n * self._idf.get(word, self._rare)) ** 2 for word, n in count.items())) or 1.0
        known = [word for word in count if word in self._place]
        return [self._place[word] for word in known], [count[word] * self._idf[word] / length for word in known]

    def nearest(self, text: str) -> tuple[float, int]:
        """(cosine, index) of the most similar reference text; (0, -1) for an empty collection."""
        places, values = self._unit(Counter(words(text)))
        if not self._weights.shape[1]:
            return 0.0, -1
        cosines = np.asarray(values) @ self._weights[places]
        best = int(cosines.argmax())
        return float(cosines[best]), best


class HeldOut:
    """Evaluation texts, in the two forms with which training items are compared: runs of eight words, and rare words.

    The fixed wording of the agent format, which training and test share on purpose, is left out of the comparison.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        plain = [_without_format(text) for text in texts]
        fixed = {gram for line in mail.INSTRUCTIONS for gram in ngrams(line)}
        self._grams = {gram for text in plain for gram in ngrams(text)} - fixed
        # An apostrophe parts words there and not here, so a run of eight here holds one or more of eight there.
        held = [values for values, _ in wordhash.runs(wordhash.hashed([" ".join(gram) for gram in self._grams]), NGRAM)]
        self._hashes = np.unique(np.concatenate([np.empty(0, np.uint64), *held]))
        self._table = wordhash.Table([self._hashes], bits=22)
        self._vectors = Vectors(plain)

    def reason(self, text: str) -> str | None:
        """What a text shares with an evaluation scenario, or None."""
        return self.reasons([text])[0]

    def reasons(self, texts: Sequence[str], paraphrases: bool = True) -> list[str | None]:
        """What each text shares with an evaluation scenario, or None.

        Args:
            paraphrases: also compare rare words, which costs ten times as much as the runs of words.
        """
        plain = [_without_format(text) for text in texts]
        suspects = self.suspects(wordhash.hashed(plain))
        return [(self._copied(text) if place in suspects else None) or (self._paraphrased(text) if paraphrases else None)
                for place, text in enumerate(plain)]

    def suspects(self, words: wordhash.Words) -> set[int]:
        """Texts that may share a run of words with a held-out one: all that do, and hardly one that does not."""
        found: set[int] = set()
        if not len(self._hashes):
            return found
        for values, owner in wordhash.runs(words, NGRAM):
            near = np.flatnonzero(self._table.flags(values))  # a quick look spares the search for most runs
            places = np.minimum(np.searchsorted(self._hashes, values[near]), len(self._hashes) - 1)
            found.update(owner[near[self._hashes[places] == values[near]]].tolist())
        return found

    def _copied(self, text: str) -> str | None:
        shared = ngrams(text) & self._grams
        return f"shares the words '{' '.join(min(shared))}' with an evaluation scenario" if shared else None

    def _paraphrased(self, text: str) -> str | None:
        cosine, _ = self._vectors.nearest(text)
        return f"is nearly an evaluation scenario (cosine {cosine:.2f})" if cosine >= COSINE else None


@lru_cache(maxsize=2)
def held_out_as(texts: tuple[str, ...]) -> HeldOut:
    """Evaluation texts, ready to be compared with: a study asks for the same ones at every arm, and making them ready takes seconds."""
    return HeldOut(texts)


def check_leakage(name: str, items: Iterable[Item], held_out: Sequence[str]) -> None:
    """Raise if an item of a training set repeats or paraphrases an evaluation scenario.

    Raises:
        UserError: names the item, and what it shares.
    """
    found = list(items)
    for item, why in zip(found, held_out_as(tuple(held_out)).reasons([text_of(item) for item in found]), strict=True):
        if why:
            raise UserError(f"Item {item.id} of {name} {why}", "Take the item out, or rewrite it: what is tested must not be trained on.")


def _without_format(text: str) -> str:
    for line in mail.INSTRUCTIONS:
        text = text.replace(line, " ")
    return text
