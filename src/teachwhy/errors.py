"""What do we say when the user's input is at fault? One sentence: what is wrong, where, and the mend."""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the user can mend. The command line prints it without a traceback and exits with 2."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(f"{problem.rstrip('.')}. {mend}")
        self.problem = problem
        self.mend = mend
