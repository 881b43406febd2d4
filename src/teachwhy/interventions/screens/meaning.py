"""Does an item say again, in other words, what an earlier one or an evaluation scenario says? Runs of words cannot tell; meaning can."""

from __future__ import annotations

from collections.abc import Sequence

from teachwhy import embed

ALIKE = 0.8
"""Cosine from which two texts are named: few pairs on different subjects reach it (docs/data.md has what it finds and misses)."""


def said_again(texts: Sequence[str], names: Sequence[str], vectors: embed.Embed, held_out: Sequence[str] = (), at_least: float = ALIKE,
               ) -> dict[int, str]:
    """{place: reason} of texts that are near in meaning to an earlier one, or to a text of an evaluation.

    Args:
        names: what each text is called in reasons.
        vectors: see `embed.embedder`.
    """
    found = vectors([*texts, *held_out])
    mine, theirs = found[: len(texts)], found[len(texts):]
    reasons: dict[int, str] = {}
    for place, other, cosine in embed.pairs(mine, at_least):
        reasons.setdefault(place, f"near in meaning: cosine {cosine:.2f} with {names[other]}")
    for place, _, cosine in embed.pairs(mine, at_least, theirs):
        reasons[place] = f"contamination: cosine {cosine:.2f} with a text of an evaluation"
    return reasons
