"""Where do results live, and what need not be done again? Folders named by a hash of everything that made them.

A stage writes into a temporary folder; `done.json` is written last and the folder is renamed into place in one step,
so a folder that exists is whole. A run that is killed loses the stage in flight and nothing else, and of that only what
came after the state that a long stage keeps to go on from.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from teachwhy import __version__, compute
from teachwhy.errors import UserError

GOES_ON = "going-on"
"""A folder within a stage in flight: while it is there, the stage can go on after a kill. The stage removes it at its end."""


def digest(value: Any) -> str:
    """SHA-256 of a JSON value with sorted keys, first 12 hexadecimal digits (48 bits: ample for one run folder)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, first 12 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:12]


@cache
def commit() -> str:
    """The commit of the source tree that is running, `-dirty` if it was changed.

    Outside a checkout, as in a container, what `TEACHWHY_COMMIT` says, or `unknown`.
    """
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True).stdout

    try:
        changed = "-dirty" if git("status", "--porcelain", "--untracked-files=no", ":/src", ":/studies").strip() else ""
        return git("rev-parse", "--short=10", "HEAD").strip() + changed
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("TEACHWHY_COMMIT", "unknown")


def provenance() -> dict[str, str]:
    """Who computed this: version, commit, Python, machine."""
    products = compute.number_format() if find_spec("torch") else "no torch"  # data can be made without it
    return {"teachwhy": __version__, "commit": commit(), "python": platform.python_version(),
            "machine": ", ".join([platform.machine(), f"{os.cpu_count()} cores", products, *compute.gpus()])}


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file in one step: it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write a JSON-lines file in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    os.replace(temporary, path)


def open_folder(path: Path) -> Path:
    """Make a folder that we can write to.

    Raises:
        UserError: the folder cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.write_bytes(b"ok")
        probe.unlink()
    except OSError as error:
        raise UserError(f"Cannot write to the output folder {path} ({error.strerror})",
                        "Free some space or give another folder with --out.") from error
    return path


class Store:
    """The stages of one study in one folder."""

    def __init__(self, root: Path) -> None:
        self.root = open_folder(root)
        for leftover in root.glob(".making-*"):
            _clear(leftover)

    def finished(self, name: str, inputs: dict[str, Any]) -> Path | None:
        """The folder of a stage, if somebody has finished it before."""
        final = self.root / f"{name}-{digest(inputs)}"
        return final if (final / "done.json").exists() else None

    def stage(self, name: str, inputs: dict[str, Any], make: Callable[[Path], None]) -> Path:
        """Return the finished folder of a stage; call `make(folder)` only if nobody has finished it before.

        Args:
            name: readable prefix of the folder, such as `train-organism`.
            inputs: every setting and every upstream key that the result depends on.
            make: fills an empty folder, or one that it had begun and marked with `GOES_ON`.
        """
        if finished := self.finished(name, inputs):
            return finished
        key = digest(inputs)
        final = self.root / f"{name}-{key}"
        shutil.rmtree(final, ignore_errors=True)
        making = self.root / f".making-{name}-{key}"
        started = time.time()
        try:
            _clear(making)
            making.mkdir(exist_ok=True)
            make(making)
            write_json(making / "done.json", {"name": name, "key": key, "inputs": inputs, "provenance": provenance(),
                                              "seconds": round(time.time() - started, 1), "peak_memory_gib": peak_memory()})
            os.replace(making, final)
        except OSError as error:
            raise UserError(f"Cannot write the stage {name} in {self.root} ({error.strerror or error})",
                            "Free some space or mend the folder, then run the same command: finished stages are kept.",
                            ) from error
        return final

    def tidy(self) -> None:
        """Remove what stages that nobody asked for this time have begun: to be called when all are finished."""
        for leftover in self.root.glob(".making-*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _clear(making: Path) -> None:
    """Remove a stage in flight, unless it can go on."""
    if not (making / GOES_ON).is_dir():
        shutil.rmtree(making, ignore_errors=True)


def peak_memory() -> float:
    """The most memory that this process has held so far, in GiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


@contextmanager
def made_aside(final: Path) -> Iterator[Path]:
    """A new folder beside `final` to make it in: it has that name only when it is whole. Where another process was first, its own stays.

    Raises:
        OSError: it cannot be written.
    """
    making = final.with_name(f"{final.name}.making-{os.getpid()}")
    try:
        making.mkdir(parents=True, exist_ok=True)
        yield making
        try:
            os.replace(making, final)
        except OSError:
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)


def key_of(stage: Path) -> str:
    """The content key of a finished stage folder."""
    return str(read_json(stage / "done.json")["key"])
