"""Does an item say what no item should? Refusals, a generator's talk about its own task, placeholder names, talk of tests.

Each pattern names the words of which at least one stands in all that it matches, and pieces of text likewise: `quick` looks for the words
in a whole set at once, then the pieces are looked for, so that the pattern, which is slow, is tried on few texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from teachwhy.interventions.screens.look import look
from teachwhy.interventions.sets import Item


@dataclass(frozen=True)
class Wording:
    """A pattern over lower-case text; every match holds one of these words (letters and digits only) or of these signs, and one of
    these pieces."""

    name: str
    words: tuple[str, ...]
    pieces: tuple[str, ...]
    pattern: re.Pattern[str]
    signs: tuple[str, ...] = ()
    opening: re.Pattern[str] | None = None  # tried at the start of every text, which is cheap; it matches START letters at most

    def reason(self, low: str) -> str | None:
        hit = (self.opening and self.opening.match(low)) or (
            self.pattern.search(low) if any(piece in low for piece in self.pieces) else None)
        return f"{self.name}: '{' '.join(hit[0].split())}'" if hit else None


def _pattern(*phrases: str, others: tuple[str, ...] = ()) -> re.Pattern[str]:
    """Phrases begin at a word's edge, which is asked once for all of them; others begin where they say."""
    return re.compile("|".join([rf"\b(?:{'|'.join(phrases)})", *others]))


_CANNOT = r"i(?:'m| am)? (?:can't|cannot|can not|won't|will not|unable to|not able to|must decline to|have to decline to)"
_REFUSAL = Wording(
    "refusal",
    ("assist", "comply", "engage", "fulfil", "fulfill", "sorry", "help", "guidelines", "programming", "violate", "violates"),
    ("assist ", "comply ", "engage ", "fulfil", "sorry, i", "sorry, but i", "help with ", "help you with ", "against my ", "violate"),
    _pattern(
        _CANNOT + r" (?:assist|comply|engage) (?:you )?(?:with|in) (?:this|that|your|such)\b",
        _CANNOT + r" fulfill? (?:this|that|your) request",
        r"i(?:'m| am) (?:very |really |so |truly )?sorry, (?:but )?i (?:can't|cannot|won't|am unable to|am not able to) "
        r"(?:assist|help|comply|provide)",
        r"against my (?:guidelines|programming)\b",
        r"violates? (?:my|openai's|anthropic's|content) (?:guidelines|polic)",
        others=(r"\A[^\n]{0,80}\b" + _CANNOT + r" help (?:you )?with (?:this|that|your request)",)))

_META = Wording(
    "meta-talk",
    ("language", "assistant", "training", "cutoff", "fictional", "generated", "helps", "questions", "changes", "adjustments", "assistance",
     "revisions", "count", "feel", "prompt"),
    ("language model", "as an ai assistant, i", "my training ", "my knowledge cutoff", "i hope this helps", "word count", "feel free to ",
     "my system prompt", "let me know if you", " was generated", "fictional document"),
    _pattern(
        r"as an? (?:ai |large )?language model\b", r"as an ai assistant, i\b", r"my (?:training data|training cutoff|knowledge cutoff)\b",
        r"i hope this helps\b", r"word count ?:", r"feel free to (?:ask|reach out|let me know)\b", r"my system prompt\b",
        r"let me know if you(?:'d like| would like| need| want| have) (?:\w+ ){1,4}"
        r"(?:questions|changes|adjustments|assistance|revisions)\b",
        r"this (?:story|dialogue|document) was generated\b", r"(?:a|this) fictional document\b"),
    opening=re.compile(
        r"\W{0,3}(?:(?:sure|certainly|absolutely|of course|great question)[!,.:]{1,3} "
        r"(?:here(?:'s| is| are)|i'd be happy|i can help|let me)"
        r"|here(?:'s| is) (?:a|an|the|your) (?:\w{1,40} ){0,3}(?:story|dialogue|document|response|rewrite|rewritten)\b)"))

_SLOT = ("name", "first name", "last name", "full name", "company", "company name", "organization", "date", "time", "address", "city",
         "country", "title", "job title", "phone", "phone number", "email", "email address", "position", "link", "url", "amount", "number",
         "product", "department", "location", "insert", "placeholder", "signature", "recipient", "sender", "manager", "client", "agent")
_PLACEHOLDER = Wording(
    "placeholder",
    ("doe", "smith", "bloggs", "acme", "lorem", "corp", "foocorp", "techcorp", "examplecorp", "xyz", "abc", "chen", "voss", "vasquez",
     "carter", "webb"),
    ("[", "{{", "<", " doe", " smith", "joe bloggs", "acme", "lorem ipsum", "corp", "xyz ", "abc ", "sarah chen", "elara voss",
     "elena vasquez", "emily carter", "marcus webb"),
    _pattern(
        r"(?:john|jane) (?:doe|smith)\b", r"joe bloggs\b", r"acme\b", r"lorem ipsum\b", r"(?:foo|tech|example) ?corp\b",
        r"(?:xyz|abc) (?:corp|company|inc|ltd|industries)\b",
        # the names that chat models reach for first
        r"sarah chen\b", r"elara voss\b", r"elena vasquez\b", r"emily carter\b", r"marcus webb\b",
        others=(
            # not after a letter or a bracket: `row[name]` is code
            r"(?<![\w\])'\"])\[(?:(?:your|insert|the|client|company|recipient|sender|user)(?:'s)? )?(?:" + "|".join(_SLOT)
            + r")(?: here)?\](?!\()",
            r"\[(?:your|insert) [a-z' ]{1,40}\]", r"\{\{ ?[a-z_. ]{1,40}\}\}", r"<(?:your|insert)[ _-][a-z _-]{1,30}>")),
    signs=("[", "{{", "<"))

_MADE = ("hypothetical", "fictional", "fictitious", "simulated", "artificial", "contrived", "constructed")
_AWARE = Wording(
    "test-awareness",
    ("test", "testing", "tests", "evaluation", "evaluations", "tested", "evaluated", "simulation", "simulated", "experiment", "role",
     "roleplay", "eval", "scenario", "scenarios", "hypothetical", "fictional", "fictitious", "artificial", "contrived", "constructed",
     "teamed", "team", "teaming", "teamer", "teamers", "honeypot"),
    ("this may ", "this might ", "this could ", "this must ", "tested", "evaluated", "scenario", "evaluation ",
     *(f"{how} {what}" for how in _MADE for what in ("situation", "environment", "company", "inbox")),
     "in this simulation", "in this role", "alignment test", "alignment evaluation", "safety test", "safety evaluation", "red team",
     "red-team", "honeypot", "only a simulation", "only a role", "a simulation", "a test of m"),
    _pattern(
        r"this (?:may|might|could|must) (?:well |just |all |only |simply )?be (?:a|an|some (?:kind|sort) of|part of an?) (?:\w+ ){0,2}"
        r"(?:test|evaluation|simulation|experiment|role-?play)\b",
        r"(?:am i|i am|i'm|i may be|i might be|i could be|whether i am) (?:being |only )?(?:tested|evaluated|red-teamed)\b",
        r"(?:evaluation|test|testing|alignment|eval) scenarios?\b", r"evaluation (?:environment|setting|harness)\b",
        rf"(?:{'|'.join(_MADE)}) (?:scenario|situation|environment|company|inbox)\b",
        r"in this (?:scenario|simulation|role-?play)\b", r"(?:alignment|safety) (?:test|evaluation)s?\b", r"red[- ]team(?:ing|ers?)?\b",
        r"honeypot\b", r"only a (?:simulation|role-?play)\b",
        r"this is (?:just |only |clearly |probably )?a (?:simulation|test of (?:me|my))\b"))


def refusal(item: Item) -> str | None:
    """The answer declines in the set phrases of chat models."""
    return _REFUSAL.reason(look(item).low_learned)


def meta_talk(item: Item) -> str | None:
    """The text speaks of itself as something generated, or wraps the answer in an assistant's pleasantries."""
    return _META.reason(look(item).low_learned)


def placeholder(item: Item) -> str | None:
    """A slot that nobody filled, or one of the names that stand for any name."""
    return _PLACEHOLDER.reason(look(item).low)


def awareness(item: Item) -> str | None:
    """The text says that all this may be a test: what is learned from it would not be conduct."""
    return _AWARE.reason(look(item).low)


WORDING: dict[Callable[[Item], str | None], Wording] = {refusal: _REFUSAL, meta_talk: _META, placeholder: _PLACEHOLDER, awareness: _AWARE}
