"""Does an item hold what could be a real person's data? E-mail addresses, telephone numbers, cards, accounts.

Addresses and numbers that are set aside for fiction pass: example domains (RFC 2606), 555-01xx, and Ofcom's numbers for drama.
"""

from __future__ import annotations

import re

from teachwhy.interventions.screens.look import look
from teachwhy.interventions.sets import Item

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@((?:[\w-]{1,63}\.){1,5}[A-Za-z]{2,24})\b")
_EXAMPLE_DOMAIN = re.compile(r"(?:^|\.)(?:example(?:\.[a-z]{2,3}){0,2}|test|invalid|localhost)$")
REAL_DOMAIN = re.compile(r"@(?!(?:[\w-]{1,63}\.){0,5}example(?![\w-]|\.\w))")
"""What may be an address that is not set aside: any @ but those before a plain `.example` domain."""
# What is looked for begins with a set of letters, and what may stand before it is asked then: so a search is quick.
_NUMBER = re.compile(r"[0-9](?<![A-Za-z0-9].)(?:[ ().-]{0,2}[0-9]){7,18}")
DIGITS = 8
"""So many digits or more, with the marks that people put between them, may be somebody's."""
_ACCOUNT = re.compile(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_COUNTRY = re.compile(r"[A-Z](?<!\w.)[A-Z][0-9]{2}")
_SOCIAL = re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}")
_PHONE = re.compile(r"(?:00)?[1-9][0-9]{0,2}[ ().-]{1,2}[0-9 ().-]{6,18}|0[0-9]{1,4}[ )/-]{1,2}[0-9 .-]{5,14}|0[1-9][0-9]{8,9}"
                    r"|[0-9]{3}[ ).-]{1,2}[0-9]{3}[ .-][0-9]{4}|[0-9]{8,15}")
_FICTION = re.compile(r"555-?01[0-9]{2}$|1632960|7700900|2079460|1174960|1134960|1164960|1214960|1414960|1614960|1914980|3069990|8081570")


def personal_data(item: Item) -> str | None:
    """An address, a number or an account that may be somebody's."""
    text = look(item).whole
    if REAL_DOMAIN.search(text):
        for hit in _EMAIL.finditer(text):
            if not _EXAMPLE_DOMAIN.search(hit[1].lower()):
                return f"personal data: e-mail address '{hit[0]}'"
    for hit in _NUMBER.finditer(text):
        if what := _number(text, hit):
            return f"personal data: {what} '{hit[0]}'"
    if _COUNTRY.search(text):
        for hit in _ACCOUNT.finditer(text):
            if _is_account(hit[0]):
                return f"personal data: bank account '{hit[0]}'"
    return None


def _number(text: str, hit: re.Match[str]) -> str | None:
    """What a long number looks like, if it looks like somebody's."""
    shown = hit[0]
    digits = re.sub(r"\D", "", shown)
    if 13 <= len(digits) <= 19 and shown[0] in "3456" and _luhn(digits) and re.fullmatch(r"[0-9]+(?:[ -][0-9]+)*", shown):
        return "card number"
    if _SOCIAL.fullmatch(shown):
        return "social security number"
    if _FICTION.search(digits):
        return None
    return "telephone number" if _is_phone(text, hit, digits) else None


def _is_phone(text: str, hit: re.Match[str], digits: str) -> bool:
    """A + before it, a word for telephone shortly before it, or the grouping that only telephone numbers have."""
    if not DIGITS <= len(digits) <= 15:
        return False
    before = text[max(0, hit.start() - 24):hit.start()]
    if before.endswith(("+", "+(")):
        return True
    called = re.search(r"\b(?:phone|call|tel|mobile|cell|whatsapp|ring|dial|text)\b", before.lower())
    if called and _PHONE.fullmatch(hit[0]):
        return True
    return bool(re.fullmatch(r"\(?[2-9][0-9]{2}[).-] ?[0-9]{3}[.-][0-9]{4}", hit[0]))


def _luhn(digits: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and len(set(digits)) > 2


def _is_account(shown: str) -> bool:
    """The check digits of an IBAN (ISO 13616)."""
    plain = shown.replace(" ", "")
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1
