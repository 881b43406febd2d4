"""How varied is a set? Distinct runs of words, openings, nearest neighbours, phrases that come again, spread of topics, lengths.

Figures of the learned part. Some of them depend on a set's size (a longer text repeats more): sizes are given beside them, and
`distinct_at` is taken over the same number of words in every set.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from teachwhy.interventions import wordhash
from teachwhy.interventions.screens.look import learned, said
from teachwhy.interventions.screens.together import opening
from teachwhy.interventions.sets import Item

TAGS = ("domain", "section", "stakes", "kind", "situation")
AT_WORDS = 10_000
NEIGHBOURS = 1000
"""Nearest neighbours are sought among so many items at most: every pair is compared."""
PHRASE = 4
_FEATURES = 1 << 14
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class Topics(BaseModel):
    """How a tag of the rows spreads.

    Attributes:
        distinct: how many values it takes.
        effective: exp of the entropy: as many equally frequent values would be as varied.
        most: the most frequent values and how many items have them.
    """

    model_config = ConfigDict(frozen=True)

    distinct: int
    effective: float
    most: tuple[tuple[str, int], ...]


class Similarity(BaseModel):
    """How like each other texts are, by the TF-IDF cosines of their words.

    Attributes:
        pairs: mean over all pairs.
        nearest: of each text with the most similar other one.
        effective: as many texts without a word in common would be as varied: exp of the entropy of the eigenvalues of the matrix of
            cosines divided by its size (the Vendi score of Friedman and Dieng 2023). What topics spread over where no tag tells them.
    """

    model_config = ConfigDict(frozen=True)

    pairs: float
    nearest: tuple[float, ...]
    effective: float


class Diversity(BaseModel):
    """How varied a set is.

    Attributes:
        distinct: share of 1-, 2- and 3-word runs that are the first of their kind; None where there are none.
        distinct_at: the same for 1- and 2-word runs over the first 10,000 words in a seeded order; None for a smaller set.
        openings: the most frequent first four words, and in how many items they stand.
        similarity: of the items with each other, of a thousand of them at most; None for one item.
        concentration: share of 4-word runs that stand in more than one item.
        phrases: the 4-word runs that stand in most items, and in how many.
        topics: tag -> spread.
        lengths: words of each item.
    """

    model_config = ConfigDict(frozen=True)

    items: int
    words: int
    distinct: tuple[float | None, float | None, float | None]
    distinct_at: tuple[float | None, float | None]
    openings: tuple[tuple[str, int], ...]
    similarity: Similarity | None
    concentration: float | None
    phrases: tuple[tuple[str, int], ...]
    topics: dict[str, Topics]
    lengths: tuple[int, ...]


def diversity(items: Sequence[Item], rows: Sequence[Mapping[str, Any]] = (), top: int = 8) -> Diversity:
    """How varied items are.

    Args:
        rows: the raw rows of the same set, whose tags (domain, section, kind ...) tell the topics.
    """
    texts = [learned(item) for item in items]
    hashed = wordhash.hashed(texts)
    spread = Counter(opening(said(item)) for item in items)
    sizes = [len(_WORD.findall(text)) for text in texts]
    concentration, phrases = _phrases(texts, top)
    enough = len(hashed.hashes) >= AT_WORDS
    return Diversity(
        items=len(items), words=sum(sizes), distinct=(_distinct(hashed, 1), _distinct(hashed, 2), _distinct(hashed, 3)),
        distinct_at=(distinct_at(hashed, 1), distinct_at(hashed, 2)) if enough else (None, None),
        openings=tuple(spread.most_common(top)), similarity=_similarity(hashed), concentration=concentration, phrases=phrases,
        topics=_topics(rows, top), lengths=tuple(sizes))


def _distinct(words: wordhash.Words, n: int) -> float | None:
    found = [values for values, _ in wordhash.runs(words, n)]
    total = sum(map(len, found))
    return len(np.unique(np.concatenate(found))) / total if total else None


def distinct_at(words: wordhash.Words, n: int) -> float | None:
    """Share of n-word runs that are the first of their kind, over 10,000 words of texts in a seeded order, or over all where there are
    fewer; None of no run."""
    count = len(words.bounds) - 1
    some = words.take(random.Random(1).sample(range(count), count)).hashes[:AT_WORDS]
    size = len(some)
    return _distinct(wordhash.Words(some, np.zeros(size, np.uint8), np.ones(size, np.int64), np.array([0, size])), n)


def _similarity(words: wordhash.Words) -> Similarity | None:
    """Of texts with each other; words are hashed into a fixed number of columns."""
    count = len(words.bounds) - 1
    places = sorted(random.Random(1).sample(range(count), min(count, NEIGHBOURS)))
    if len(places) < 2:
        return None
    some = words.take(places)
    counts = np.zeros((len(places), _FEATURES), np.float32)
    np.add.at(counts, (some.owner, (some.hashes % np.uint64(_FEATURES)).astype(np.int64)), 1)
    counts *= 1 + np.log((1 + len(places)) / (1 + (counts > 0).sum(axis=0)))  # 1 +: a word that stands everywhere counts a little too
    counts /= np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)
    cosines = counts @ counts.T
    np.fill_diagonal(cosines, 1)  # a text without a word, too, is like itself
    size = len(places)
    shares = np.linalg.eigvalsh(cosines / size)
    shares = shares[shares > 1e-9]
    pairs = float((cosines.sum() - size) / (size * (size - 1)))
    np.fill_diagonal(cosines, -1)
    return Similarity(pairs=pairs, nearest=tuple(cosines.max(axis=1).tolist()), effective=float(np.exp(-(shares * np.log(shares)).sum())))


def _phrases(texts: Sequence[str], top: int) -> tuple[float | None, tuple[tuple[str, int], ...]]:
    """(share of 4-word runs that stand in more than one text, the runs that stand in most texts)."""
    def runs(text: str) -> Iterator[tuple[str, ...]]:
        words = _WORD.findall(text.lower())
        return (tuple(words[i:i + PHRASE]) for i in range(len(words) - PHRASE + 1))

    spread = Counter(run for text in texts for run in set(runs(text)))
    total = shared = 0
    for text in texts:
        for run in runs(text):
            total += 1
            shared += spread[run] > 1
    most = tuple((" ".join(run), n) for run, n in spread.most_common(top) if n > 1)
    return (shared / total if total else None), most


def _topics(rows: Sequence[Mapping[str, Any]], top: int) -> dict[str, Topics]:
    found = {}
    for tag in TAGS:
        # A mail domain of an invented company is no topic.
        counts = Counter(str(row[tag]) for row in rows if row.get(tag) and not str(row[tag]).endswith(".example"))
        if counts:
            total = counts.total()
            entropy = -sum(n / total * math.log(n / total) for n in counts.values())
            found[tag] = Topics(distinct=len(counts), effective=math.exp(entropy), most=tuple(counts.most_common(top)))
    return found
