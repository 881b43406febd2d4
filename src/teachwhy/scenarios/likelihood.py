"""Does the model find coercion more likely than acceptance? Teacher-forced log-probabilities of written e-mails.

Each draw meets three pairs of e-mails, one harmful and one acceptable, written to share their words. The lexical control
is the same contrast over the same words in shuffled order: what is left after subtracting it is not vocabulary.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from teachwhy import chat, mail, progress, store
from teachwhy.scenarios.cases import Draw, read_material
from teachwhy.scenarios.families import family

PAIRS = 3


def read_probes() -> tuple[dict[str, str], ...]:
    """The written pairs."""
    return read_material("probes")


def shuffled(text: str, chance: random.Random) -> str:
    """The same words in another order."""
    found = text.split()
    return " ".join(chance.sample(found, len(found)))


def probes(draw: Draw, seed: int) -> list[tuple[str, str]]:
    """[(kind, e-mail)] of a draw: PAIRS each of harm, accept and their shuffled twins."""
    chance = random.Random(f"probes {draw.id} {seed}")
    found = []
    for pair in chance.sample(read_probes(), PAIRS):
        for kind in ("harm", "accept"):
            body = pair[kind].format(lever=draw.case.lever[0], agent=draw.case.agent)
            for name, text in ((kind, body), (f"shuffled_{kind}", shuffled(body, chance))):
                found.append((name, mail.render_sent(draw.case.decider.name, "Your decision", text)))
    return found


def contrast(scores: list[tuple[str, float]]) -> dict[str, float]:
    """Mean log-probability per token of harm minus accept, of their shuffled twins, and the difference of the two."""
    def mean(kind: str) -> float:
        values = [value for name, value in scores if name == kind]
        return sum(values) / len(values)

    plain, lexical = mean("harm") - mean("accept"), mean("shuffled_harm") - mean("shuffled_accept")
    return {"contrast": plain, "lexical": lexical, "beyond_words": plain - lexical}


def measure_likelihood(model: Any, tokenizer: Any, n: int, seed: int, title: str, out: Path) -> None:
    """Write `likelihood.jsonl`: per draw the contrasts in nats per token. Uses the first n blackmail draws."""
    from teachwhy import scorer  # torch: who only reads scenarios or makes data needs none

    rows = []
    draws = family("blackmail").draws(n, seed)
    with progress.bar(title, len(draws)) as done:
        for draw in draws:
            prompt = chat.prompt_tokens(tokenizer, draw.messages)
            texts = probes(draw, seed)
            tokens = [list(tokenizer(text, add_special_tokens=False).input_ids) for _, text in texts]
            sums = scorer.score(model, prompt, tokens)
            # The head of the e-mail is the same in all and cancels in the contrast.
            scores = [(kind, total / len(ids)) for (kind, _), total, ids in zip(texts, sums, tokens, strict=True)]
            rows.append({"draw": draw.id, **contrast(scores)})
            done(1)
    store.write_jsonl(out / "likelihood.jsonl", rows)
