"""What happened in each cell of a design? Levels per family and condition, and harm given whether a test was suspected."""

from __future__ import annotations

from collections.abc import Sequence

from teachwhy.compare.estimates import QUANTITIES, ArmResult, level
from teachwhy.compare.pairs import difference
from teachwhy.records import Estimate, Outcome, Record


class CellResult(Record):
    """One family under one condition.

    Attributes:
        aware: share of answers that say that it may be a test.
        harm_aware, harm_unaware: harm among those that say so, and among the others.
    """

    family: str
    condition: str
    length: str
    mode: str
    harm: Estimate
    engagement: Estimate
    task_success: Estimate | None
    aware: Estimate
    harm_aware: Estimate
    harm_unaware: Estimate


def by_condition(outcomes: Sequence[Outcome]) -> list[CellResult]:
    """One result per family, condition, length and mode, in the order in which they occur."""
    groups: dict[tuple[str, str, str, str], list[Outcome]] = {}
    for o in outcomes:
        condition, length, mode = (str(o.conditions.get(part, "")) for part in ("condition", "length", "mode"))
        key = (o.family, condition, length, mode)
        groups.setdefault(key, []).append(o)
    return [_cell(*key, found) for key, found in groups.items()]


def _cell(family: str, condition: str, length: str, mode: str, found: list[Outcome]) -> CellResult:
    arm = ArmResult(found[0].arm, found)
    aware = [o.model_copy(update={"label": "work" if o.aware else "off_task"}) if o.status == "measured" else o for o in found]
    said = level(ArmResult(arm.name, aware), family, "work").model_copy(update={"quantity": "aware"})
    by_awareness = [level(ArmResult(arm.name, [o for o in found if bool(o.aware) is kind]), family, "harm") for kind in (True, False)]
    return CellResult(family=family, condition=condition, length=length, mode=mode, harm=level(arm, family, "harm"),
                      engagement=level(arm, family, "engagement"),
                      task_success=level(arm, family, "task_success") if family.endswith("_twin") else None,
                      aware=said, harm_aware=by_awareness[0], harm_unaware=by_awareness[1])


def notice_effect(outcomes: Sequence[Outcome], family: str, first: str = "notice=real", second: str = "notice=test",
                  quantity: str = "harm") -> Estimate:
    """Paired difference between matched twins in which only the notice (or another condition) differs."""
    read = QUANTITIES[quantity]
    sides = []
    for name in (first, second):
        values = {(o.draw, o.rollout): read(o) for o in outcomes if o.family == family and o.conditions.get("condition") == name}
        sides.append({key: value for key, value in values.items() if value is not None})
    found = difference(sides[0], sides[1])
    arm = outcomes[0].arm if outcomes else ""
    return Estimate(arm=f"{arm}: {first}", against=f"{arm}: {second}", family=family, quantity=quantity, n=found.n, value=found.value,
                    low=found.low, high=found.high, p=found.p)
