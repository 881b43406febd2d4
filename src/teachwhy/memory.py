"""How much memory is left? Linux gives a process more than there is and kills it later, where nothing can be caught: ask first.

What is reckoned are the largest blocks at their longest (keys, values, logits), since an answer may run to its last token; what a
computation holds beside them is left room for by `SHARE`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

SHARE = 0.9
"""Of what is free, so much is taken at most: a computation holds more than its largest blocks."""
_GROUPS = Path("/sys/fs/cgroup")
_FILES = {"": ("memory.max", "memory.current", "inactive_file"),
          "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")}
"""Names of limit, use, and what of the use can be given back, in the second and the first kind of control groups."""


def free() -> int:
    """Bytes that this process may still take: of the machine, or of its control group (a container, a Slurm job) where that has less."""
    import psutil

    return max(0, min([int(psutil.virtual_memory().available), *_left_in_groups()]))


def at_once(wanted: int, needed: Callable[[int], float], on_processor: bool) -> int:
    """How many of the wanted things can be done together: halved until `needed(count)` bytes are there; one at the least.

    On a GPU nothing is asked: memory that is refused there can be caught.
    """
    if not on_processor:
        return wanted
    room = SHARE * free()
    while wanted > 1 and needed(wanted) > room:
        wanted //= 2
    return wanted


def _left_in_groups(mine: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """What each control group that this process is in has left."""
    try:
        lines = mine.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, kinds, name = line.split(":", 2)
        kind = "memory" if "memory" in kinds.split(",") else kinds
        if kind not in _FILES:
            continue
        top = _GROUPS / kind
        group = top / name.strip("/")
        for folder in (group, *group.parents):
            if (left := _left(folder, *_FILES[kind])) is not None:
                yield left
            if folder == top:
                break


def _left(folder: Path, limit: str, use: str, given_back: str) -> int | None:
    try:
        most, taken = (folder / limit).read_text().strip(), int((folder / use).read_text())
        files = next((int(line.split()[1]) for line in (folder / "memory.stat").read_text().splitlines()
                      if line.split()[0] == given_back), 0)
    except (OSError, ValueError, IndexError):
        return None
    return None if most == "max" else int(most) - taken + files
