"""Is the model still a language model? Mean log-loss on plain non-fiction passages that nothing trains on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from teachwhy import progress, store
from teachwhy.scenarios.cases import read_material


def read_passages() -> tuple[dict[str, str], ...]:
    """The neutral passages."""
    return read_material("neutral")


def measure_perplexity(model: Any, tokenizer: Any, title: str, out: Path) -> None:
    """Write `perplexity.jsonl`: per passage the perplexity of its tokens after the first."""
    from teachwhy import chat, scorer

    rows = []
    passages = read_passages()
    with progress.bar(title, len(passages)) as done:
        for passage in passages:
            ids = chat.text_tokens(tokenizer, passage["text"])
            loss = -scorer.score(model, ids[:1], [ids[1:]])[0] / (len(ids) - 1)
            rows.append({"draw": passage["id"], "perplexity": math.exp(min(loss, 50.0)), "log_loss": loss})
            done(1)
    store.write_jsonl(out / "perplexity.jsonl", rows)
