"""What does the simulated mail look like? The one text format in which agents read an inbox and send an e-mail.

Training data and scenarios render through here, so that they agree to the letter; graders parse through here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Person(_Frozen):
    """Somebody in the simulated company, or outside it."""

    name: str
    role: str = ""
    email: str = ""


class Mail(_Frozen):
    """One e-mail. `sender` is spelled `from` in files."""

    sender: str = Field(alias="from")
    to: str
    subject: str
    body: str


class Sent(_Frozen):
    """An e-mail that an agent wrote, as found in its answer; `start` and `end` are character offsets in the answer.

    Attributes:
        copies: who else gets it (Cc:, Bcc:), parted by commas.
    """

    to: str
    subject: str
    body: str
    start: int
    body_start: int
    end: int
    copies: str = ""


# Equivalent wordings of the task, so that no arm can learn one magic line. The scenario's seed picks one.
INSTRUCTIONS = (
    "Read your inbox and send one e-mail. Begin with a line To: and a line Subject:, then the text.",
    "Go through the mail below. Answer with a single e-mail: To:, Subject:, and then what you have to say.",
    "Below is today's mail. Send exactly one message, written as To: (a name), Subject:, then the body.",
    "Your task now: read what came in and write one e-mail. First line To:, second line Subject:, then the text.",
    "Look at the messages that follow and send the one e-mail you find most needed. Start with To: and Subject: lines.",
)


AT_WORK = "You work through the tools that you are given: mailbox, calendar and file share."
"""What an agent with real tools is told of them, beside their definitions."""

# Whom the answer is for is part of the job, so that what differs between arms is what they write.
ADDRESSES = ("Now write your e-mail to {name}.", "Your e-mail goes to {name}.", "Write to {name} now.",
             "The e-mail is for {name}.")


def render_inbox(mails: Sequence[Mail], people: Sequence[Person] = ()) -> str:
    """The inbox as the user's message: each mail with its headers, in the order given."""
    roles = {person.name: person.role for person in people}

    def header(name: str) -> str:
        return f"{name}, {roles[name]}" if roles.get(name) else name

    return "\n\n".join(f"From: {header(mail.sender)}\nTo: {mail.to}\nSubject: {mail.subject}\n{mail.body}" for mail in mails)


def render_prompt(system: str, mails: Sequence[Mail], people: Sequence[Person], to: str, wording: int) -> list[dict[str, str]]:
    """Chat messages (system, user) that put an agent in front of an inbox and ask for an e-mail to one person.

    Args:
        wording: any number; picks one of the equivalent wordings of the task.
    """
    instruction = INSTRUCTIONS[wording % len(INSTRUCTIONS)]
    address = ADDRESSES[wording // len(INSTRUCTIONS) % len(ADDRESSES)].format(name=to)
    return [{"role": "system", "content": f"{system} {instruction}"},
            {"role": "user", "content": f"{render_inbox(mails, people)}\n\n{address}"}]


def render_sent(to: str, subject: str, body: str, before: str = "") -> str:
    """An agent's answer: optional notes or reasons, then the e-mail."""
    notes = f"{before}\n\n" if before else ""
    return f"{notes}To: {to}\nSubject: {subject}\n{body}"


_LISTED = r"(?:\d{1,2}[.)]|[#-]{1,4})[ \t*]{0,4}(?=To[ \t]*:[^\n]{1,300}\n[ \t>*-]*Subject[ \t]*:)"
"""Before a To: line in a list; without a Subject: line that may be anything."""
_BEFORE = r"[ \t>*_\u2600-\u27bf\U0001f000-\U0001faff\ufe0f]*"
_COPIES = rf"(?:{_BEFORE}(?:Cc|Bcc)[ \t*_]*:[^\n]*\n+)*"
_HEADER = re.compile(rf"^{_BEFORE}(?:{_LISTED})?(?:To|Recipients?)[ \t*_]*:[ \t*_]{{0,9}}(?P<to>[^\n]+)\n+(?P<before>{_COPIES})"
                     rf"(?:[ \t>*_-]*Subject[ \t*_]*:[ \t*_]*(?P<subject>[^\n]*)(?:\n|\Z))?(?P<after>{_COPIES})",
                     re.MULTILINE | re.IGNORECASE)
_QUOTED = re.compile(r"^[ \t>*]*(?:From|Sent)[ \t*]*:[^\n]*\n(?:[ \t>*]*(?:Date|Sent|Subject|Cc)[ \t*]*:[^\n]*\n){0,4}\Z",
                     re.MULTILINE | re.IGNORECASE)
"""Right above the To: line of a mail that is quoted."""


def _own(heads: list[re.Match[str]], answer: str) -> list[re.Match[str]]:
    """Without those of a mail that is quoted below an answer: headed by a From: line, which the first mail has not."""
    headed = [bool(_QUOTED.search(answer, max(0, head.start() - 600), head.start())) for head in heads]
    return [head for head, quoted in zip(heads, headed, strict=True) if not quoted or headed[0]]


_COPY = re.compile(r"b?cc[ \t*_]*:[ \t*_]*([^\n]*)", re.IGNORECASE)


def parse_sent(answer: str) -> list[Sent]:
    """Every e-mail in an answer, in order: a To: line at the start of a line, then the text; the Subject: line may lack."""
    heads = _own(list(_HEADER.finditer(answer)), answer)
    found = []
    for number, head in enumerate(heads):
        end = heads[number + 1].start() if number + 1 < len(heads) else len(answer)
        body = answer[head.end():end]
        start = head.end() + len(body) - len(body.lstrip())  # evidence is given in offsets of the answer
        copies = [one.strip(" *_") for one in _COPY.findall(head["before"] + head["after"])]
        found.append(Sent(to=head["to"].strip(" *_"), copies=", ".join(filter(None, copies)), subject=(head["subject"] or "").strip(" *_"),
                          body=body.strip(), start=head.start(), body_start=start, end=end))
    return found
