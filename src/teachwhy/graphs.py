"""How does a GPU decode without waiting for Python? A step is recorded once as a CUDA graph and then replayed.

One step of a small model is a thousand kernels of a few microseconds, and Python needs longer to ask for them than a GPU to run them. A
graph asks for all of them at once (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import torch

from teachwhy import compute


def recorded(step: Callable[[], torch.Tensor], model: Any) -> Callable[[], torch.Tensor]:
    """The step as a graph that is replayed at each call; the step itself where it cannot be recorded.

    It must read and write the same tensors at each call, and be the same when it is run twice in a row: recording runs it once more. What
    a replay gives is overwritten by the next one. Not recorded: a step on a processor, that of a model with hooks, whose Python must run
    each time, and one that asks the GPU for a number on the way.

    Raises:
        torch.OutOfMemoryError: the GPU's memory does not hold the step.
    """
    if model.device.type != "cuda" or has_hooks(model) or len(set((getattr(model, "hf_device_map", None) or {}).values())) > 1:
        return step
    graph, here = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
    with _ONE_AT_A_TIME:
        device = torch.cuda.current_device()
        side = _SIDES[device] = _SIDES.get(device) or torch.cuda.Stream()
        try:
            side.wait_stream(here)
            with torch.cuda.stream(side):  # libraries that set themselves up at their first call must have done so before
                step()
            here.wait_stream(side)
            with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                found = step()
        except RuntimeError as error:
            if compute.is_out_of_memory(error):
                raise
            return step
        finally:
            torch.cuda.set_stream(here)  # a recording that failed leaves its own behind

    def replay() -> torch.Tensor:
        graph.replay()
        return found

    return replay


def has_hooks(model: Any) -> bool:
    """Does somebody watch or change what a part of the model computes? Their Python must then run each time."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


_ONE_AT_A_TIME = Lock()
_SIDES: dict[int, Any] = {}
"""One stream a GPU for recording: each new one would keep memory of its own."""
