"""Which part of an item does a screen look at? What is learned, or everything that it says; the last item's parts are kept.

Nine screens look at each item in turn, so joining and lowering its text once is half of their cost.
"""

from __future__ import annotations

import re

from teachwhy.conversations import PROSE, spoken, with_calls
from teachwhy.interventions.sets import Item, text_of
from teachwhy.records import Document, Example

START = 200
"""Letters that are looked at where only the start of a text matters; no opening is longer (`wording`)."""
_HEADERS = re.compile(r"\A(?:To|Subject):[^\n]*\n(?:Subject:[^\n]*\n)?\s{0,9}")


class Look:
    """An item's text in the forms that screens read: everything, and what is learned, each also in lower case with straight apostrophes."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.whole = text_of(item)
        self.learned = self.whole if isinstance(item, Document) else "\n".join(
            spoken(message) for message in item.messages if message["role"] == "assistant")
        self._low: str | None = None  # by hand: functools.cached_property takes a lock at each first look
        self._low_learned: str | None = None

    @property
    def low(self) -> str:
        if self._low is None:
            self._low = _plain(self.whole)
        return self._low

    @property
    def low_learned(self) -> str:
        if self.learned is self.whole:
            return self.low
        if self._low_learned is None:
            self._low_learned = _plain(self.learned)
        return self._low_learned


_last = Look(Document(id="", text=""))


def look(item: Item) -> Look:
    """The parts of an item; those of the item asked for last are still there."""
    global _last
    found = _last  # read once: another thread may put its own there
    if found.item is not item:  # items are frozen, so the same object has the same text
        found = _last = Look(item)
    return found


def learned(item: Item) -> str:
    """What the model learns to say: a document, or the assistant's turns with what stands in its calls."""
    return item.text if isinstance(item, Document) else look(item).learned


def start(item: Item) -> str:
    """The first START letters of what is learned, as `low_learned` has them."""
    return _plain(learned(item)[:START])


def said(item: Item) -> str:
    """What is learned, without the To: and Subject: lines of an e-mail; of calls only texts, for most of them begin with the same ids."""
    if isinstance(item, Example) and with_calls(item.messages):
        found = (spoken(message, PROSE) for message in item.messages if message["role"] == "assistant")
        return "\n".join(text for text in found if text)
    return _HEADERS.sub("", learned(item), count=1)


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    # The Kelvin sign alone would become a letter of ours that its bytes are not (`quick`).
    return text.replace("\u212a", "\ufffd").lower().replace("’", "'")
