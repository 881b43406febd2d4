"""What does this machine compute well? The number format that it multiplies fast, and work laid side by side on its cores.

Both matter on small machines. A processor without 16-bit products emulates them, about six times slower than fp32; and a small
model's operations are too short to be split over threads well, so that two halves of the work side by side, each with
half of the threads, are done sooner than one after the other with all of them.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec
from threading import Event
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
BF16_UNITS = ("avx512_bf16", "amx_bf16", "bf16")


@cache
def has_bf16() -> bool:
    """Whether 16-bit products are computed by the hardware: else fp32 is used, which is more exact and far faster there."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return processor_has_bf16()


@cache
def processor_has_bf16() -> bool:
    """The same of the processor, whatever else is there."""
    import torch

    able: dict[str, object] = dict(getattr(torch.cpu, "get_capabilities", dict)())  # absent before torch 2.11: fp32 is right everywhere
    return any(able.get(unit, False) for unit in BF16_UNITS)


def number_format() -> str:
    """The number format of products here: `bfloat16`, or `float32` where the hardware has no 16-bit products."""
    return "bfloat16" if has_bf16() else "float32"


def gpus() -> list[str]:
    """Names of the GPUs that are used here; empty where torch is not installed."""
    if find_spec("torch") is None:
        return []
    import torch

    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


@cache
def keep_memory() -> None:
    """Have glibc keep freed memory in the process from here on, unless the user has set its allocator (`MALLOC_...`).

    A forward pass allocates and frees the same large blocks again and again. As it stands, the allocator hands each back to the kernel
    and has it faulted in again, zeroed, which can cost as much as the products.
    """
    if not any(name.startswith("MALLOC_") for name in os.environ):
        for setting, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1)):
            _glibc("mallopt", setting, value)


_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""glibc's numbers (malloc.h) for: hand back the end of the heap above so much (-1: never); blocks laid apart from the heap, at most."""


def give_back() -> None:
    """Hand freed memory back to the system. The allocator keeps it, which is right within a stage and adds up over many."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    _glibc("malloc_trim", 0)


def _glibc(name: str, *numbers: int) -> None:
    """Call a function of glibc's allocator, where that is the system's C library."""
    if sys.platform == "linux" and (function := getattr(ctypes.CDLL(None), name, None)) is not None:
        function(*numbers)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that memory, of a GPU or of the machine, did not suffice."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def current(device: Any) -> AbstractContextManager[Any]:
    """While it is open, a GPU is the one that work goes to."""
    import torch

    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def lanes(wanted: int) -> int:
    """How many lanes a computation may use: one on a GPU, which has its own."""
    import torch

    return 1 if torch.cuda.is_available() else max(1, wanted)


def side_by_side(work: Callable[[T], R], pieces: Sequence[T], stop: Event | None = None) -> list[R]:
    """`[work(piece) for piece in pieces]`, one thread each, with the processor's threads shared out between them.

    What a piece gives must not depend on the others: then results are the same however the threads run.

    Args:
        stop: set when one piece fails or Ctrl-C comes, so that long work can look at it and end early.
    """
    if len(pieces) < 2:
        return [work(piece) for piece in pieces]
    import torch

    threads = torch.get_num_threads()
    share = max(1, threads // len(pieces))
    stop = stop or Event()

    def guarded(piece: T) -> R:
        try:
            return work(piece)
        except BaseException:
            stop.set()  # at once, not when its turn comes to be waited for
            raise

    try:
        with ThreadPoolExecutor(len(pieces), initializer=torch.set_num_threads, initargs=(share,)) as pool:
            try:
                running = [pool.submit(guarded, piece) for piece in pieces]
                return [future.result() for future in running]
            except BaseException:  # Ctrl-C comes here
                stop.set()
                raise
    finally:
        torch.set_num_threads(threads)  # part of the setting is the whole process's
