"""Does an item say again, in other words, what an earlier one or an evaluation scenario says? Runs of words cannot tell; meaning can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teachwhy import embed

ALIKE = 0.8
"""Cosine from which two texts are named: few pairs on different subjects reach it (docs/data.md has what it finds and misses)."""
LONG, MORE = 250, 0.05
"""Two texts of more words than that each must be nearer by so much: a mean over hundreds of tokens tells a genre as well (docs/data.md)."""
_BEGIN = 60
"""Letters by which an evaluation text is named."""


@dataclass(frozen=True)
class Meaning:
    """How texts are read for their meaning.

    Attributes:
        vectors: see `embed.of_model`.
        alike: cosine of two vectors from which their texts say the same.
    """

    vectors: embed.Embed
    alike: float = ALIKE


def chosen(named: str | None) -> str:
    """What commands read by: the model that is named, else the encoder that can be installed beside us, where it is, else `none`."""
    from teachwhy import minilm

    return named or (minilm.NAME if minilm.archive() else "none")


def reader(model: str | None, alike: float) -> Meaning | None:
    """How texts are read for their meaning by a named model; None where none is named, or `none`.

    Raises:
        UserError: there is no such model.
    """
    from teachwhy import weights

    return None if model in (None, "none") else Meaning(embed.of_model(weights.resolve(model)), alike)


def told_again(texts: Sequence[str], held_out: Sequence[str], meaning: Meaning) -> dict[int, str]:
    """{place: reason} of texts that are near in meaning to a text of an evaluation; the reason names the nearest by how it begins."""
    return _told_again(*_read(texts, held_out, meaning), held_out, meaning.alike)


def said_again(texts: Sequence[str], names: Sequence[str], held_out: Sequence[str], meaning: Meaning, compared: bool = True,
               ) -> dict[int, str]:
    """{place: reason} of texts that are near in meaning to a text of an evaluation, or to an earlier text that is kept.

    Args:
        names: what each text is called in reasons.
        compared: whether texts are also held against each other.
    """
    mine, theirs = _read(texts, held_out, meaning)
    reasons = {place: f"contamination: {why}" for place, why in _told_again(mine, theirs, held_out, meaning.alike).items()}
    long = [len(text.split()) > LONG for text in texts]
    for place, other, cosine in embed.pairs(mine, meaning.alike) if compared else ():
        if long[place] and long[other] and cosine < meaning.alike + MORE:
            continue
        if other not in reasons:  # places come in order, so that whether an earlier one is kept is known
            reasons.setdefault(place, f"near in meaning: cosine {cosine:.2f} with {names[other]}")
    return reasons


def _read(texts: Sequence[str], held_out: Sequence[str], meaning: Meaning) -> tuple[embed.Vectors, embed.Vectors]:
    found = meaning.vectors([*texts, *held_out])  # together: some vectors are what sets a text apart from the others
    return found[: len(texts)], found[len(texts):]


def _told_again(mine: embed.Vectors, theirs: embed.Vectors, held_out: Sequence[str], at_least: float) -> dict[int, str]:
    nearest: dict[int, tuple[float, int]] = {}
    for place, other, cosine in embed.pairs(mine, at_least, theirs):
        nearest[place] = max(nearest.get(place, (0.0, 0)), (cosine, other))
    return {place: f"says the same as the evaluation text that begins `{' '.join(held_out[other].split())[:_BEGIN]}` (cosine {cosine:.2f})"
            for place, (cosine, other) in nearest.items()}
