"""How near in meaning are two texts? By the states of a language model, which see what shared runs of words do not.

A sentence encoder (of the BERT kind, such as all-MiniLM-L6-v2) is made for the question: its mean state is the vector (Reimers and
Gurevych 2019). A causal model's mean state points mostly where all texts point, so the directions that all texts of a set share are
taken out (Mu and Viswanath 2018, "All-but-the-Top"); the cosines of the embedded one tell subjects, and paraphrases poorly (docs/data.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teachwhy import progress, weights
from teachwhy.errors import UserError

Vectors = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
ROW = 1024
"""Tokens that are read together."""
COMMON = 3
"""Shared directions that are taken out beside the mean."""
FEWEST = 30
"""Texts below which shared directions would be the texts themselves."""


def of_model(path: Path) -> Embed:
    """Vectors by the model in a folder: a sentence encoder, or any causal model. A text that was read once is not read again.

    Raises:
        UserError: the folder holds no model that can be read.
    """
    if weights.is_encoder(path):
        return remembered(encoder(*weights.load_encoder(path)))
    return embedder(*weights.load(path, merged=True))


def remembered(embed: Embed) -> Embed:
    """The same vectors, each text read once: the rounds of a pipeline and the arms of a study ask for the same ones again.

    Args:
        embed: a function that gives a text the same vector, whatever stands beside it.
    """
    known: dict[str, Vectors] = {}

    def again(texts: Sequence[str]) -> Vectors:
        if new := [text for text in dict.fromkeys(texts) if text not in known]:
            known.update(zip(new, embed(new), strict=True))
        return np.stack([known[text] for text in texts]) if texts else embed(texts)

    return again


def encoder(model: Any, tokenizer: Any, longest: int = 512, at_once: int = 32) -> Embed:
    """A function from texts to unit vectors [N, D]: the mean of a sentence encoder's last states.

    Args:
        longest: tokens of a text that are read.
        at_once: texts that are read together, those of like length.
    """
    def embed(texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), model.config.hidden_size), np.float32)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        with progress.bar("reading for meaning", len(texts)) as done:
            for start in range(0, len(order), at_once):
                places = order[start: start + at_once]
                vectors[places] = _pooled(model, tokenizer, [texts[place] for place in places], longest)
                done(len(places))
        return vectors

    return embed


def _pooled(model: Any, tokenizer: Any, texts: list[str], longest: int) -> Vectors:
    """Unit vectors [N, D]: the mean over each text's own tokens."""
    import torch

    batch = tokenizer(texts, padding=True, truncation=True, max_length=longest, return_tensors="pt").to(model.device)
    with torch.inference_mode():
        states, own = model(**batch).last_hidden_state.float(), batch["attention_mask"].unsqueeze(-1)
        mean = (states * own).sum(1) / own.sum(1)
        return np.asarray(torch.nn.functional.normalize(mean, dim=-1).cpu().numpy(), np.float32)


def embedder(model: Any, tokenizer: Any, longest: int = 400) -> Embed:
    """A function from texts to unit vectors [N, D], with what the given texts have in common taken out.

    Args:
        longest: tokens of a text that are read.
    """
    def means(texts: Sequence[str]) -> Vectors:
        rows = [ids[:longest] or [tokenizer.eos_token_id] for ids in tokenizer(list(texts), add_special_tokens=False).input_ids]
        with progress.bar("reading for meaning", len(rows)) as done:
            return np.stack([mean for batch in _batches(rows) for mean in _read(model, batch, done)])

    read = remembered(means)
    return lambda texts: apart(read(texts)) if texts else np.zeros((0, 1), np.float32)


def apart(means: Vectors) -> Vectors:
    """Unit vectors of what is each text's own: without the mean of all and the directions in which they differ most.

    Raises:
        UserError: so few texts that what they have in common cannot be told from what each says.
    """
    if len(means) < FEWEST:
        raise UserError(f"Meaning cannot be compared over {len(means)} texts", f"Give {FEWEST} or more, evaluation texts included.")
    own = means - means.mean(0)
    _, _, directions = np.linalg.svd(own, full_matrices=False)
    own -= own @ directions[:COMMON].T @ directions[:COMMON]
    length = np.linalg.norm(own, axis=1, keepdims=True)
    return np.asarray(own / np.maximum(length, 1e-12), np.float32)


def pairs(vectors: Vectors, at_least: float, others: Vectors | None = None) -> Iterator[tuple[int, int, float]]:
    """(place, earlier place, cosine) of every pair at least so near; with `others`, (place, place there, cosine)."""
    nearness = vectors @ (vectors if others is None else others).T
    for place, other in zip(*np.nonzero(nearness >= at_least), strict=True):
        if others is not None or other < place:
            yield int(place), int(other), float(nearness[place, other])


def _batches(rows: Sequence[list[int]]) -> Iterator[list[list[int]]]:
    """The texts in rows of about `ROW` tokens."""
    batch: list[list[int]] = []
    for row in rows:
        if batch and sum(map(len, batch)) + len(row) > ROW:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _read(model: Any, batch: list[list[int]], done: progress.Advance) -> list[Vectors]:
    """The mean last state [D] of each text."""
    import torch

    from teachwhy.attention import Packed

    lengths = tuple(map(len, batch))
    ids = torch.tensor([[token for row in batch for token in row]], device=model.device)
    positions = torch.tensor([[place for length in lengths for place in range(length)]], device=model.device)
    with torch.inference_mode():
        states = model.base_model(input_ids=ids, position_ids=positions, use_cache=False, packed=Packed(lengths)).last_hidden_state[0]
    done(len(batch))
    return [part.float().mean(0).cpu().numpy() for part in states.split(lengths)]
