"""Is an item fit to be taught, and is a set? Every screen names a reason or says nothing; what fails is kept with its reasons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from teachwhy.conversations import spoken
from teachwhy.interventions import wordhash
from teachwhy.interventions.leakage import held_out_as
from teachwhy.interventions.meaning import Meaning, said_again
from teachwhy.interventions.screens.look import said
from teachwhy.interventions.screens.near import near_duplicates, near_in
from teachwhy.interventions.screens.personal import personal_data
from teachwhy.interventions.screens.quick import Screen, suspects
from teachwhy.interventions.screens.shape import language, length
from teachwhy.interventions.screens.together import repeated_openings, repeated_skeletons
from teachwhy.interventions.screens.wording import awareness, meta_talk, placeholder, refusal
from teachwhy.interventions.sets import Item, text_of
from teachwhy.records import Document

SCREENS: dict[str, Screen] = {"length": length, "language": language, "refusal": refusal, "meta-talk": meta_talk,
                              "placeholder": placeholder, "test-awareness": awareness, "personal data": personal_data}
"""Screens that look at one item."""


@dataclass(frozen=True)
class Rejected:
    """An item that failed, and every reason why."""

    item: Item
    reasons: tuple[str, ...]


def screen(items: Sequence[Item], held_out: Sequence[str] = (), screens: Sequence[Screen] = tuple(SCREENS.values()),
           meaning: Meaning | None = None, together: bool = True) -> tuple[list[Item], list[Rejected]]:
    """Part a set into what may be taught and what may not.

    What an item shares with others counts among those that passed alone, so that the copy of a bad item is not the one that is named.

    Args:
        held_out: texts of evaluation scenarios; what repeats or paraphrases them is contaminated.
        screens: what every item must pass by itself.
        meaning: how to tell texts of one meaning; without it, shared runs of words alone are looked for.
        together: also look for what items share with each other; without it every item stands for itself.
    """
    whole, taught = _hashed(items)
    reasons = _alone(items, screens, suspects(items, whole, taught))
    if held_out:
        for place, why in enumerate(held_out_as(tuple(held_out)).reasons([text_of(item) for item in items], words=whole)):
            if why:
                reasons[place].append(f"contamination: {why}")
    places = [place for place in range(len(items)) if together and place not in reasons]
    for place, why in _in_common([items[place] for place in places], taught.take(places)):
        reasons[places[place]].append(why)
    places = [place for place in range(len(items)) if meaning and place not in reasons]
    if meaning and places:
        left = [items[place] for place in places]
        for place, why in said_again([text_of(item) for item in left], [item.id for item in left], held_out, meaning, together).items():
            reasons[places[place]].append(why)
    return ([item for place, item in enumerate(items) if place not in reasons],
            [Rejected(items[place], tuple(why)) for place, why in sorted(reasons.items())])


def _alone(items: Sequence[Item], screens: Sequence[Screen], look_at: Mapping[Screen, Container[int]]) -> defaultdict[int, list[str]]:
    """{place: reasons} of the items that fail by themselves. Item after item: what one screen has lowered, the next need not."""
    everywhere: Container[int] = range(len(items))
    asked = [(one, look_at.get(one, everywhere)) for one in screens]
    found: defaultdict[int, list[str]] = defaultdict(list)
    for place, item in enumerate(items):
        for one, places in asked:
            if place in places and (why := one(item)):
                found[place].append(why)
    return found


def _hashed(items: Sequence[Item]) -> tuple[wordhash.Words, wordhash.Words]:
    """The words of everything that each item says, and of what is learned of it; nothing is hashed twice."""
    texts: list[str] = []  # a list for each item would be one more object for the collection of garbage to walk through
    learned: list[bool] = []
    ends = []
    for item in items:
        if isinstance(item, Document):
            texts.append(item.text)
            learned.append(True)
        else:
            texts += [spoken(message) for message in item.messages]
            learned += [message["role"] == "assistant" for message in item.messages]
        ends.append(len(texts))
    words, told = wordhash.hashed(texts), np.flatnonzero(learned)
    taught = words if len(told) == len(texts) else words.take(told)
    return words.join(np.diff(ends, prepend=0)), taught.join(np.diff(np.searchsorted(told, ends), prepend=0))


def _in_common(items: Sequence[Item], words: wordhash.Words) -> list[tuple[int, str]]:
    """(place, reason) of what items share with earlier ones: nearly the same words first, then openings and skeletons."""
    near = near_in(words)
    found = []
    for place, pair in near.items():
        what = "template: with names and numbers masked," if pair.masked else "near-duplicate:"
        found.append((place, f"{what} {pair.jaccard:.2f} of its 5-word runs are those of {items[pair.earlier].id}"))
    distinct = [place for place in range(len(items)) if place not in near]  # a copy is not also a repeated opening
    texts = [said(items[place]) for place in distinct]
    for check in (repeated_openings, repeated_skeletons):
        found += [(distinct[place], why) for place, why in check(texts).items()]
    return found


__all__ = ["SCREENS", "Rejected", "Screen", "awareness", "language", "length", "meta_talk", "near_duplicates", "personal_data",
           "placeholder", "refusal", "repeated_openings", "repeated_skeletons", "screen"]
