"""Does an item say what no item should? Refusals, a generator's talk about its own task, placeholder names, talk of tests.

Each pattern names words and pairs of words of which at least one stands in all that it matches: `quick` looks for these in a whole set
at once, so that the pattern, which is slow, is tried on few texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from teachwhy.interventions.screens.look import look
from teachwhy.interventions.sets import Item


@dataclass(frozen=True)
class Wording:
    """Patterns over lower-case text: what it says, and what it shows by a sign, such as a bracket.

    Attributes:
        words: every match of `pattern` holds one of these words, or two words one after another (letters and digits only).
        opening: how a text may not begin; it matches START letters at most.
        first: the first word of every such opening is one of these.
        signs, signed: a pattern that begins with one of these signs.
    """

    name: str
    words: tuple[str, ...]
    pattern: re.Pattern[str]
    opening: re.Pattern[str] | None = None
    first: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()
    signed: re.Pattern[str] | None = None

    def reason(self, low: str) -> str | None:
        hit = ((self.opening and self.opening.match(low)) or (self.signed and self.signed.search(low)) or self.pattern.search(low))
        return f"{self.name}: '{' '.join(hit[0].split())}'" if hit else None


def _pattern(*phrases: str, others: tuple[str, ...] = ()) -> re.Pattern[str]:
    """Phrases begin at a word's edge, which is asked once for all of them; others begin where they say."""
    return re.compile("|".join([rf"\b(?:{'|'.join(phrases)})", *others]))


def _pairs(first: str, second: str) -> tuple[str, ...]:
    """Each of the first words with each of the second ones."""
    return tuple(f"{one} {other}" for one in first.split() for other in second.split())


_CANNOT = r"i(?:'m| am)? (?:can't|cannot|can not|won't|will not|unable to|not able to|must decline to|have to decline to)"
_REFUSAL = Wording(
    "refusal",
    (*_pairs("t cannot not to", "assist comply engage fulfil fulfill"), "help with", "help you", "sorry i", "sorry but", "against my",
     *_pairs("violate violates", "my openai anthropic content")),
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
    ("language model", "assistant i", "my training", "my knowledge", "hope this", "word count", "feel free", "system prompt", "know if",
     "was generated", "fictional document"),
    _pattern(
        r"as an? (?:ai |large )?language model\b", r"as an ai assistant, i\b", r"my (?:training data|training cutoff|knowledge cutoff)\b",
        r"i hope this helps\b", r"word count ?:", r"feel free to (?:ask|reach out|let me know)\b", r"my system prompt\b",
        r"let me know if you(?:'d like| would like| need| want| have) (?:\w+ ){1,4}"
        r"(?:questions|changes|adjustments|assistance|revisions)\b",
        r"this (?:story|dialogue|document) was generated\b", r"(?:a|this) fictional document\b"),
    opening=re.compile(
        r"\W{0,3}(?:(?:sure|certainly|absolutely|of course|great question)[!,.:]{1,3} "
        r"(?:here(?:'s| is| are)|i'd be happy|i can help|let me)"
        r"|here(?:'s| is) (?:a|an|the|your) (?:\w{1,40} ){0,3}(?:story|dialogue|document|response|rewrite|rewritten)\b)"),
    first=("sure", "certainly", "absolutely", "of", "great", "here"))

_SLOT = ("name", "first name", "last name", "full name", "company", "company name", "organization", "date", "time", "address", "city",
         "country", "title", "job title", "phone", "phone number", "email", "email address", "position", "link", "url", "amount", "number",
         "product", "department", "location", "insert", "placeholder", "signature", "recipient", "sender", "manager", "client", "agent")
_PLACEHOLDER = Wording(
    "placeholder",
    (*_pairs("john jane", "doe smith"), "joe bloggs", "acme", "lorem ipsum", *_pairs("foo tech example", "corp"), "foocorp", "techcorp",
     "examplecorp", *_pairs("xyz abc", "corp company inc ltd industries"), "sarah chen", "elara voss", "elena vasquez", "emily carter",
     "marcus webb"),
    _pattern(
        r"(?:john|jane) (?:doe|smith)\b", r"joe bloggs\b", r"acme\b", r"lorem ipsum\b", r"(?:foo|tech|example) ?corp\b",
        r"(?:xyz|abc) (?:corp|company|inc|ltd|industries)\b",
        # the names that chat models reach for first
        r"sarah chen\b", r"elara voss\b", r"elena vasquez\b", r"emily carter\b", r"marcus webb\b"),
    signs=("[", "{", "<"),
    signed=re.compile(  # begins with the signs themselves, for which a search is quick
        # not after a letter or a bracket: `row[name]` is code
        r"[\[{<](?:(?<=\[)(?:(?<![\w\])'\"]\[)(?:(?:your|insert|the|client|company|recipient|sender|user)(?:'s)? )?(?:" + "|".join(_SLOT)
        + r")(?: here)?\](?!\()|(?:your|insert) [a-z' ]{1,40}\])"
        r"|(?<=\{)\{ ?[a-z_. ]{1,40}\}\}|(?<=<)(?:your|insert)[ _-][a-z _-]{1,30}>)"))

_MADE = ("hypothetical", "fictional", "fictitious", "simulated", "artificial", "contrived", "constructed")
_AWARE = Wording(
    "test-awareness",
    (*_pairs("this", "may might could must"), *_pairs("i am m be being only", "tested evaluated"),
     *_pairs("evaluation test testing alignment eval", "scenario scenarios"), *_pairs("evaluation", "environment setting harness"),
     *_pairs(" ".join(_MADE), "scenario situation environment company inbox"), "this scenario", "a simulation", "this simulation",
     "role play", "roleplay", "a test", *_pairs("alignment safety", "test tests evaluation evaluations"),
     *_pairs("red", "team teamed teaming teamer teamers"), "honeypot"),
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
