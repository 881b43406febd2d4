"""What do the items of a set have too much in common? Openings, and skeletons: the same frame with other names in it.

Of what too many items share, the first few stay and the later ones are named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import TypeVar

SHARE = 0.02
FEW = 2
"""So many items may always share an opening: 2 % of a small set is none."""
SENTENCES = 6
Key = TypeVar("Key", bound=Hashable)

_OPENING = re.compile(r"\S+(?:\s+\S+){0,3}")
_STARTS = re.compile(r"(?:\A|[.!?:][\"')]?\s|\n)\s{0,9}([A-Za-z']+|[0-9])")


def opening(text: str) -> str:
    """The first four words, in lower case, without marks at their edges."""
    hit = _OPENING.search(text)
    return " ".join(word.strip(".,;:!?\"'()*_") for word in hit[0].lower().split()) if hit else ""


def skeleton(text: str) -> tuple[str, ...]:
    """First words of the first six sentences, or none for a text of fewer than four."""
    starts = tuple(hit[1].lower() for hit in islice(_STARTS.finditer(text), SENTENCES))
    return starts if len(starts) >= 4 else ()


def repeated_openings(texts: Sequence[str], share: float = SHARE) -> dict[int, str]:
    """Place -> reason, for every text past the share of the set whose first four words are the same."""
    return _beyond([opening(text) for text in texts], share, lambda key, n: f"opening: '{key}' opens {n} of {len(texts)} items")


def repeated_skeletons(texts: Sequence[str], share: float = SHARE) -> dict[int, str]:
    """Place -> reason, for every text past the share of the set whose sentences begin with the same words one after another."""
    return _beyond([skeleton(text) for text in texts], share,
                   lambda key, n: f"skeleton: sentences begin '{' / '.join(key)}' in {n} of {len(texts)} items")


def _beyond(keys: Sequence[Key], share: float, say: Callable[[Key, int], str]) -> dict[int, str]:
    allowed = max(FEW, int(share * len(keys)))
    totals = Counter(key for key in keys if key)
    seen: Counter[Key] = Counter()
    found = {}
    for place, key in enumerate(keys):
        if key and totals[key] > allowed:
            seen[key] += 1
            if seen[key] > allowed:
                found[place] = say(key, totals[key])
    return found
