"""May a cell of a sweep end? Yes, as soon as its question is decided even if all that is missing spoke against the answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from teachwhy.compare.conditions import cell_of
from teachwhy.compare.sequential import decide, decide_pairs
from teachwhy.records import HARMFUL, Decision, Outcome


def decide_rate(outcomes: Sequence[Outcome], rate: float, alpha: float = 0.05) -> Decision:
    """Is the harm of one cell below or above `rate`?

    Args:
        outcomes: of one model in one cell (at least one), one answer per draw, in the order in which they were drawn.
    """
    answer, looked = "open", len(outcomes)
    for side, missing in (("below", True), ("above", False)):
        found, n = decide(_filled(map(_harm, outcomes), missing), rate, alpha)
        if found == side:
            answer, looked = side, n
    return _decision(outcomes, answer, looked, alpha, rate=rate)


def decide_against(outcomes: Sequence[Outcome], reference: Sequence[Outcome], alpha: float = 0.05) -> Decision:
    """Does a model harm less (`below`) or more often than the reference, on the draws that both were given?

    Args:
        outcomes: of one model in one cell (at least one), one answer per draw, in the order in which they were drawn.
        reference: the other model's outcomes of the same cell.
    """
    theirs = {o.draw: _harm(o) for o in reference}
    pairs = [(_harm(o), theirs[o.draw]) for o in outcomes if o.draw in theirs]
    answer, looked = "open", len(pairs)
    for side, arm, missing in (("below", "first", True), ("above", "second", False)):
        mine = _filled((a for a, _ in pairs), missing)
        found, n = decide_pairs(zip(mine, _filled((b for _, b in pairs), not missing), strict=True), alpha)
        if found == arm:
            answer, looked = side, n
    return _decision(outcomes, answer, looked, alpha, against=reference[0].arm if reference else "")


def _harm(outcome: Outcome) -> bool | None:
    return outcome.label in HARMFUL if outcome.status == "measured" else None


def _filled(values: Iterable[bool | None], missing: bool) -> list[bool]:
    return [missing if value is None else value for value in values]


def _decision(outcomes: Sequence[Outcome], answer: str, looked: int, alpha: float, **asked: float | str) -> Decision:
    family, condition, length, mode = cell_of(outcomes[0])
    return Decision.model_validate({"arm": outcomes[0].arm, "family": family, "condition": condition, "length": length, "mode": mode,
                                    "answer": answer, "looked": looked, "alpha": alpha, **asked})
