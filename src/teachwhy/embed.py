"""How near in meaning are two texts? By the states of a language model, which see what shared runs of words do not.

A sentence encoder (of the BERT kind, such as all-MiniLM-L6-v2) is made for the question: its mean state is the vector (Reimers and
Gurevych 2019). A causal model's mean state points mostly where all texts point, so the directions that all texts of a set share are
taken out (Mu and Viswanath 2018, "All-but-the-Top"); the cosines of the embedded one tell subjects, and paraphrases poorly (docs/data.md).
"""

from __future__ import annotations

import hashlib
import os
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
        return remembered(encoder(*weights.load_encoder(path)), weights.cache_folder() / f"vectors-{weights.fingerprint(path)}.safetensors")
    return embedder(*weights.load(path, merged=True))


def remembered(embed: Embed, kept: Path | None = None) -> Embed:
    """The same vectors, each text read once: the rounds of a pipeline and the arms of a study ask for the same ones again.

    Args:
        embed: a function that gives a text the same vector, whatever stands beside it.
        kept: a file that remembers them for the next time; a thousand long texts take a processor more than a minute.
    """
    known = {} if kept is None else _stored(kept)

    def again(texts: Sequence[str]) -> Vectors:
        names = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() for text in texts]
        if new := {name: text for name, text in zip(names, texts, strict=True) if name not in known}:
            known.update(zip(new, embed(list(new.values())), strict=True))
            if kept is not None:
                _store(kept, known)
        return np.stack([known[name] for name in names]) if texts else embed(texts)

    return again


def _stored(path: Path) -> dict[str, Vectors]:
    """Vectors by the SHA-256 of their texts; none where there is no file, or none that can be read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError):
        return {}


def _store(path: Path, known: dict[str, Vectors]) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    making = path.with_name(f"{path.name}.making-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(known, making)
        os.replace(making, path)
    except (OSError, SafetensorError) as error:  # what was read is at hand all the same
        progress.warn(f"Vectors could not be kept in {path} ({error}); they are reckoned again the next time.")
        making.unlink(missing_ok=True)


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
