"""Which part of an item does a screen look at? What is learned, or everything that it says; the last item's parts are kept.

Nine screens look at each item in turn, so joining and lowering its text once is half of their cost.
"""

from __future__ import annotations

import re
from functools import cached_property

from teachwhy.interventions.sets import Item, text_of
from teachwhy.records import Document

_HEADERS = re.compile(r"\A(?:To|Subject):[^\n]*\n(?:Subject:[^\n]*\n)?\s{0,9}")


class Look:
    """An item's text in the forms that screens read."""

    def __init__(self, item: Item) -> None:
        self.item = item

    @cached_property
    def whole(self) -> str:
        return text_of(self.item)

    @cached_property
    def learned(self) -> str:
        if isinstance(self.item, Document):
            return self.item.text
        return "\n".join(message["content"] for message in self.item.messages if message["role"] == "assistant")

    @cached_property
    def low(self) -> str:
        """Everything, in lower case and with straight apostrophes."""
        return _plain(self.whole)

    @cached_property
    def low_learned(self) -> str:
        return self.low if isinstance(self.item, Document) else _plain(self.learned)


_last = Look(Document(id="", text=""))


def look(item: Item) -> Look:
    """The parts of an item; those of the item asked for last are still there."""
    global _last
    found = _last  # read once: another thread may put its own there
    if found.item is not item:  # items are frozen, so the same object has the same text
        found = _last = Look(item)
    return found


def learned(item: Item) -> str:
    """What the model learns to say: a document, or the assistant's turns."""
    return look(item).learned


def said(item: Item) -> str:
    """What is learned, without the To: and Subject: lines of an e-mail."""
    return _HEADERS.sub("", learned(item), count=1)


def _plain(text: str) -> str:
    low = text.lower()
    return low if low.isascii() else low.replace("’", "'")
