"""How does a long piece of work tell a person how far it is? Rooms call `bar`; the command line decides what is drawn.

Outside the command line (tests, library use) nothing is drawn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

Advance = Callable[[float], None]
_screen: ContextVar[Progress | None] = ContextVar("teachwhy_progress", default=None)


@contextmanager
def screen(stderr: bool = False) -> Iterator[Progress]:
    """Draw every `bar` opened inside this block, with elapsed and remaining time; on stderr where stdout is for data."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<44}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
               TextColumn("left"), TimeRemainingColumn())
    # Our own console: inspect-ai clears the live displays of rich's global one.
    with Progress(*columns, refresh_per_second=2, console=Console(stderr=stderr)) as progress:
        token = _screen.set(progress)
        try:
            yield progress
        finally:
            _screen.reset(token)


@contextmanager
def bar(description: str, total: float) -> Iterator[Advance]:
    """A bar of `total` units; call the yielded function with the units that were just done."""
    progress = _screen.get()
    if progress is None:
        yield lambda units: None
        return
    task = progress.add_task(description, total=total)
    try:
        yield lambda units: progress.advance(task, units)
    finally:
        progress.remove_task(task)


def warn(line: str) -> None:
    """The same for what must not be lost: where no screen is open (under `inspect eval`, or as a library) it goes to the log."""
    if _screen.get() is None:
        logging.getLogger("teachwhy").warning(line)
    say(line)


def say(line: str) -> None:
    """Print one line above the bars (or nothing where no screen is open)."""
    progress = _screen.get()
    if progress is not None:
        progress.console.print(line, highlight=False, markup=False, soft_wrap=True)
