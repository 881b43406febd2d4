"""Is the text of a usable size, and is it English? Counts of words and letters; no model."""

from __future__ import annotations

import re

from teachwhy.interventions.screens.look import learned
from teachwhy.interventions.sets import Item

MIN_WORDS, MAX_WORDS = 12, 1500
_BEGIN = 200
FUNCTION_SHARE = 0.11
LATIN_SHARE = 0.9

FUNCTION = frozenset("""a about after all and any are at because been before but by can could did does down each for from get had has
have here him his how if into is it just ll m more my not now of off on one only or other our out over re than that the their them then
there they this to too up us ve very we were what when where which while who will with would you your""".split())  # noqa: SIM905
"""English words that are not also German, Dutch, Spanish or French ones (`was`, `in`, `so`, `he`, `me`). Our texts have 0.24 to 0.45
of them, the leanest (addresses and figures) 0.15, sentences in five other languages at most 0.09."""
_WORD = re.compile(r"[a-z0-9]+")  # as in wordhash, so that a set can be looked through by hashes
_OTHER_SCRIPT = re.compile(r"[^\W\d_\u0000-\u024f]")
BEYOND_LATIN = re.compile("[\u0250-\u1fff\u2070-\u209f\u2100-\u218f\u2460-\u24ff\u2776-\u2793\u2c00-\U0010ffff]")
"""Where letters of other scripts are: everything past the Latin ones but punctuation and drawn signs. Quicker to look for than a letter."""
_LETTER = re.compile(r"[^\W\d_]")


def length(item: Item, low: int = MIN_WORDS, high: int = MAX_WORDS) -> str | None:
    """The learned part has too few words or too many."""
    text = learned(item)
    words = len(text[:_BEGIN].split())  # of most texts the beginning has enough: no need to go through the rest
    if words <= low:
        words = len(text.split(None, low))
    if words < low:
        return f"length: {words} words, fewer than {low}"
    if len(text) > 2 * high:  # a shorter text has not so many words: no need to count them
        words = len(text.split())
        if words > high:
            return f"length: {words} words, more than {high}"
    return None


def language(item: Item) -> str | None:
    """The learned part is not English: too few of its function words, or letters of another script."""
    text = learned(item)
    if not text.isascii():
        letters = len(_LETTER.findall(text))
        latin = 1 - len(_OTHER_SCRIPT.findall(text)) / letters if letters else 1.0
        if latin < LATIN_SHARE:
            return f"language: {1 - latin:.0%} of its letters are not Latin"
    words = _WORD.findall(text.lower())
    if len(words) < MIN_WORDS:
        return None  # `length` says so, and a share of so few words says nothing
    share = sum(word in FUNCTION for word in words) / len(words)
    return f"language: only {share:.0%} of its words are common English ones" if share < FUNCTION_SHARE else None
