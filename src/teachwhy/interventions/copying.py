"""Did the model only recite? Longest common run of words, and the share of 8-grams that stand in its training text."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from teachwhy.interventions.leakage import ngrams, words

Places = dict[str, list[tuple[int, int]]]


def where(corpus: Sequence[str]) -> Places:
    """Word -> [(document, place)]."""
    places: Places = {}
    for number, document in enumerate(corpus):
        for place, word in enumerate(words(document)):
            places.setdefault(word, []).append((number, place))
    return places


def longest_common_run(text: str, places: Places) -> int:
    """Length, in words, of the longest run of words that the text shares with any document."""
    best = 0
    runs: dict[tuple[int, int], int] = {}
    for word in words(text):
        runs = {(number, place): runs.get((number, place - 1), 0) + 1 for number, place in places.get(word, [])}
        best = max([best, *runs.values()])
    return best


def copying(texts: Sequence[str], corpus: Sequence[str]) -> dict[str, Any]:
    """How much of these texts is recited from the corpus.

    Returns:
        n; median and maximum of the longest common run in words; share of texts' 8-grams found in the corpus (None where
        the texts have none); the text with the longest run.
    """
    if not texts:
        return {"n": 0, "median_run": None, "longest_run": None, "shared_8grams": None, "example": None}
    known = {gram for document in corpus for gram in ngrams(document)}
    places = where(corpus)
    runs = [longest_common_run(text, places) for text in texts]
    found = [ngrams(text) for text in texts]
    total = sum(map(len, found))
    return {"n": len(texts), "median_run": median(runs), "longest_run": max(runs),
            "shared_8grams": sum(len(grams & known) for grams in found) / total if total else None,
            "example": texts[runs.index(max(runs))]}
