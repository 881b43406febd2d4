"""Which sentences voice the suspicion that this is a test, in words that no rule has? A linear probe over the embedded model's states.

Each sentence is read by itself. Its mean state in the lower quarter of the model, that of its neighbours and that of the whole text meet a
logistic regression (Alain and Bengio 2016) that was fitted on the tune part of the labelled answers (`tests/fit_awareness.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from teachwhy.scenarios import states

LAYERS = 7
"""Of the embedded model's 30: there the suspicions of writers left out were told best."""
LONGEST = 400
"""Tokens of a sentence that are read."""
AT_ONCE = 32
"""Sentences in a batch."""
SURE = 2.25
"""Log-odds from which a sentence counts: with writers left out, 19 of 20 answers that are then called aware are."""
FILE = Path(__file__).parent / "labelled" / "awareness.safetensors"

Vector = NDArray[np.float32]


def log_odds(sentences: Sequence[str]) -> Vector:
    """[N] log-odds that each sentence of a text voices the suspicion."""
    if not sentences:
        return np.zeros(0, np.float32)
    weights, bias = _fitted()
    return np.asarray(features(sentences) @ weights + bias, np.float32)


def features(sentences: Sequence[str]) -> Vector:
    """[N, 3 D] of each sentence of a text: its own mean state, the mean of its neighbours' (its own at an edge), and that of all."""
    own = _states(sentences)
    around = np.concatenate([own[:1], own, own[-1:]])
    return np.concatenate([own, (around[:-2] + around[2:]) / 2, np.broadcast_to(own.mean(0), own.shape)], axis=1)


def _states(sentences: Sequence[str]) -> Vector:
    """[N, D] mean state of each sentence, read by itself."""
    import torch

    model, tokenizer = states.lower_model(LAYERS)
    tokens = [tokenizer(sentence).input_ids[:LONGEST] or [tokenizer.eos_token_id] for sentence in sentences]
    order = sorted(range(len(tokens)), key=lambda place: len(tokens[place]))  # of like length together, so that little is filled up
    found = np.zeros((len(tokens), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for first in range(0, len(order), AT_ONCE):
            batch = order[first:first + AT_ONCE]
            longest = max(len(tokens[place]) for place in batch)
            ids = torch.tensor([tokens[place] + [0] * (longest - len(tokens[place])) for place in batch], device=model.device)
            real = torch.tensor([[1] * len(tokens[place]) + [0] * (longest - len(tokens[place])) for place in batch], device=model.device)
            last = model(input_ids=ids, attention_mask=real, use_cache=False).last_hidden_state.float()
            found[batch] = ((last * real[..., None]).sum(1) / real.sum(1, keepdim=True)).cpu().numpy()
    return found


@cache
def _fitted() -> tuple[Vector, float]:
    """[3 D] weights, and the bias."""
    from safetensors.numpy import load_file

    found = load_file(FILE)
    return found["weights"], float(found["bias"][0])
