"""Does our engine compute this model as transformers does? Tried once when a model is loaded that no test of ours knows.

Packed rows and slots of keys and values are right for layers of attention, each with keys and values of its own. Layers that carry a state
from token to token (Qwen3-Next, LFM2, Mamba), keys shared between layers (Gemma 3n), biases by distance (BLOOM) or a chunked mask
(Llama 4) go wrong, most of them without an error: one text of a row then leaks into the next.
"""

from __future__ import annotations

from typing import Any

import torch

from teachwhy import attention, compute
from teachwhy.errors import UserError

KNOWN = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma3_text"})
"""Kinds of models that our tests compare with transformers."""
LAYERS = frozenset({"full_attention", "sliding_attention"})
TEXTS = ((5, 17, 3, 29, 11, 23, 7), (13, 2, 19, 31, 5))
"""Two texts of small token ids, which every vocabulary has."""
STEPS = 3


def check(model: Any, training: bool = False) -> None:
    """Raise if a model is computed otherwise here than by its own forward pass.

    Args:
        training: look at the loss's way to the logits too.

    Raises:
        UserError: it is, or it cannot be computed here at all.
    """
    config = model.config.get_text_config()
    if config.model_type in KNOWN:
        return
    if odd := _odd(config):
        raise _refused(config.model_type, odd)
    try:
        wrong = _wrong(model, training)
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, RuntimeError) and compute.is_out_of_memory(error):
            raise
        raise _refused(config.model_type, f"it fails with {type(error).__name__}: {str(error).splitlines()[0][:100] if str(error) else ''}"
                       ) from error
    finally:
        model.set_attn_implementation(attention.NAME)
    if wrong:
        raise _refused(config.model_type, wrong)


def _odd(config: Any) -> str:
    """What the configuration says of layers that are not computed here."""
    if kinds := set(getattr(config, "layer_types", None) or ()) - LAYERS:
        return f"it has layers of the kind {sorted(kinds)[0]}"
    if getattr(config, "attention_chunk_size", None):
        return "its attention is cut into chunks"
    return "its layers share keys and values" if getattr(config, "num_kv_shared_layers", 0) else ""


@torch.inference_mode()
def _wrong(model: Any, training: bool) -> str:
    """What differs from the model's own forward pass on two short texts; empty where nothing does."""
    from teachwhy import sampler
    from teachwhy.logits import logits_of

    was_training = model.training
    model.eval()
    rows = [torch.tensor([text], device=model.device) for text in TEXTS]
    model.set_attn_implementation("eager")
    plain = torch.cat([model(input_ids=row, use_cache=False).logits[0] for row in rows])
    model.set_attn_implementation(attention.NAME)
    lengths = tuple(len(text) for text in TEXTS)
    packed = {"input_ids": torch.cat(rows, 1), "use_cache": False, "packed": attention.Packed(lengths),
              "position_ids": torch.tensor([[place for length in lengths for place in range(length)]], device=model.device)}
    if _apart(model(**packed).logits[0], plain):
        return "packed into one row, texts change each other or their positions are lost"
    if training and _apart(logits_of(model, model.base_model(**packed).last_hidden_state[0]), plain):
        return "its logits are not what its output layer gives"
    asked = [sampler.Request(text, 0) for text in TEXTS]
    found = sampler.sample(model, asked, sampler.Decoding(0.0, 1.0, STEPS, logprobs=True), frozenset())
    model.set_attn_implementation("eager")
    for text, one in zip(TEXTS, found, strict=True):
        whole = torch.tensor([[*text, *one.tokens]], device=model.device)
        logp = model(input_ids=whole, use_cache=False).logits[0, len(text) - 1:-1].float().log_softmax(-1)
        true = logp.gather(-1, whole[0, len(text):, None])[:, 0]
        if (true - torch.tensor(one.logprobs, device=true.device)).abs().max() > 0.1 * logp.std() + _slack(plain):
            return "its samples have other probabilities than it gives them"
    model.train(was_training)
    return ""


def _apart(found: torch.Tensor, plain: torch.Tensor) -> bool:
    """Do two tables of logits differ by more than rounding?"""
    return bool((found - plain).float().abs().mean() > (0.001 + _slack(plain)) * plain.float().std())


def _slack(plain: torch.Tensor) -> float:
    return 0.0 if plain.dtype == torch.float32 else 0.2


def _refused(kind: str, why: str) -> UserError:
    return UserError(f"Models of the kind {kind} are not computed by teachwhy's own engine: {why}", attention.ELSEWHERE)
