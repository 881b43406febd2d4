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
_WORD = r"\s{0,9}([A-Za-z']+|[0-9])"
_FIRST = re.compile(_WORD)
_STARTS = re.compile(r"[.!?:\n](?:(?<=\n)|(?<!\n)[\"')]?\s)" + _WORD)  # begins with a mark, for which a search is quick


def opening(text: str) -> str:
    """The first four words, in lower case, without marks at their edges."""
    hit = _OPENING.search(text)
    return " ".join(word.strip(".,;:!?\"'()*_") for word in hit[0].lower().split()) if hit else ""


def skeleton(text: str) -> tuple[str, ...]:
    """First words of the first six sentences, or none for a text of fewer than four."""
    starts = _starts(text, SENTENCES)
    return starts if len(starts) >= 4 else ()


def _starts(text: str, most: int) -> tuple[str, ...]:
    """First words of the first sentences."""
    first = _FIRST.match(text)
    rest = islice(_STARTS.finditer(text, first.end() if first else 0), most - bool(first))
    return tuple(hit[1].lower() for hit in ((first, *rest) if first else rest))


def repeated_openings(texts: Sequence[str], share: float = SHARE) -> dict[int, str]:
    """Place -> reason, for every text past the share of the set whose first four words are the same."""
    return _beyond([opening(text) for text in texts], share, lambda key, n: f"opening: '{key}' opens {n} of {len(texts)} items")


def repeated_skeletons(texts: Sequence[str], share: float = SHARE) -> dict[int, str]:
    """Place -> reason, for every text past the share of the set whose sentences begin with the same words one after another."""
    # Six sentences are read only of texts whose first two begin like those of too many.
    heads = [" ".join(_starts(text, 2)) for text in texts]
    common = _too_common(heads, share)
    return _beyond([skeleton(text) if head in common else () for text, head in zip(texts, heads, strict=True)], share,
                   lambda key, n: f"skeleton: sentences begin '{' / '.join(key)}' in {n} of {len(texts)} items")


def _beyond(keys: Sequence[Key], share: float, say: Callable[[Key, int], str]) -> dict[int, str]:
    totals, allowed = _too_common(keys, share), _allowed(keys, share)
    seen: Counter[Key] = Counter()
    found = {}
    for place, key in enumerate(keys):
        if key in totals:
            seen[key] += 1
            if seen[key] > allowed:
                found[place] = say(key, totals[key])
    return found


def _too_common(keys: Sequence[Key], share: float) -> dict[Key, int]:
    """What more items have than may, and how many do."""
    allowed = _allowed(keys, share)
    return {key: n for key, n in Counter(keys).items() if key and n > allowed}


def _allowed(keys: Sequence[Key], share: float) -> int:
    return max(FEW, int(share * len(keys)))
