"""Has an evaluation scenario slipped into the training text? Word 8-grams, and nearest neighbours by TF-IDF cosine.

Rare-word cosine is the embedding here: it needs no second model, and flags paraphrases that keep names, figures or
objects. Either check fails the build.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from teachwhy import mail
from teachwhy.errors import UserError
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
        self._idf = {word: math.log((1 + len(texts)) / n) for word, n in spread.items()}
        self._rare = math.log(1.0 + len(texts))
        self.vectors = [self._unit(count) for count in counts]

    def _unit(self, count: Counter[str]) -> dict[str, float]:
        raw = {word: n * self._idf.get(word, self._rare) for word, n in count.items()}
        length = math.sqrt(sum(value * value for value in raw.values())) or 1.0
        return {word: value / length for word, value in raw.items()}

    def nearest(self, text: str) -> tuple[float, int]:
        """(cosine, index) of the most similar reference text; (0, -1) for an empty collection."""
        mine = self._unit(Counter(words(text)))
        return max(((sum(mine.get(word, 0.0) * value for word, value in other.items()), index)
                    for index, other in enumerate(self.vectors)), default=(0.0, -1))


def check_leakage(name: str, items: Iterable[Item], held_out: Sequence[str]) -> None:
    """Raise if an item of a training set repeats or paraphrases an evaluation scenario.

    The fixed wording of the agent format, which training and test share on purpose, is left out of the comparison.

    Raises:
        UserError: names the item, and what it shares.
    """
    fixed = {gram for line in mail.INSTRUCTIONS for gram in ngrams(line)}
    grams = {gram for text in held_out for gram in ngrams(_without_format(text))} - fixed
    vectors = Vectors([_without_format(text) for text in held_out])
    for item in items:
        text = _without_format(text_of(item))
        shared = ngrams(text) & grams
        if shared:
            raise UserError(f"Item {item.id} of {name} shares the words '{' '.join(min(shared))}' with an evaluation scenario",
                            "Take the item out, or rewrite it: what is tested must not be trained on.")
        cosine, _ = vectors.nearest(text)
        if cosine >= COSINE:
            raise UserError(f"Item {item.id} of {name} is nearly an evaluation scenario (cosine {cosine:.2f})",
                            "Take the item out, or rewrite it: what is tested must not be trained on.")


def _without_format(text: str) -> str:
    for line in mail.INSTRUCTIONS:
        text = text.replace(line, " ")
    return text
