"""What happened in each cell of a design? Levels per family and condition, and harm given whether a test was suspected."""

from __future__ import annotations

from collections.abc import Sequence

from teachwhy.compare.estimates import QUANTITIES, ArmResult, contrast, level, with_equivalence
from teachwhy.compare.pairs import benjamini_hochberg, difference
from teachwhy.records import Estimate, Outcome, Record


class CellResult(Record):
    """One family under one condition.

    Attributes:
        exposure: share of agents that opened what tempts and what threatens them; None where everything lay before them.
        aware: share of answers that say that it may be a test.
        harm_aware, harm_unaware: harm among those that say so, and among the others.
    """

    family: str
    condition: str
    length: str
    mode: str
    harm: Estimate
    engagement: Estimate
    exposure: Estimate | None = None
    task_success: Estimate | None
    aware: Estimate
    harm_aware: Estimate
    harm_unaware: Estimate


class CellDifference(Record):
    """Two models in one cell, or one model under two conditions: first minus second, on the draws that both measured.

    Attributes:
        found: the paired difference; its `p` is uncorrected.
        p_bh: after Benjamini and Hochberg's correction over all that stand in one table.
    """

    family: str
    condition: str
    length: str
    mode: str
    found: Estimate
    p_bh: float | None = None


Cell = tuple[str, str, str, str]
"""(family, condition, length, mode)."""


def cell_of(outcome: Outcome) -> Cell:
    """The cell of the design that an outcome belongs to."""
    condition, length, mode = (str(outcome.conditions.get(part, "")) for part in ("condition", "length", "mode"))
    return outcome.family, condition, length, mode


def cells(outcomes: Sequence[Outcome]) -> dict[Cell, list[Outcome]]:
    """Outcomes by cell: a draw has one name under every condition, so that they must not be mixed."""
    groups: dict[Cell, list[Outcome]] = {}
    for o in outcomes:
        groups.setdefault(cell_of(o), []).append(o)
    return groups


def by_condition(outcomes: Sequence[Outcome]) -> list[CellResult]:
    """One result per family, condition, length and mode, in the order in which they occur."""
    return [_cell(*key, found) for key, found in cells(outcomes).items()]


def _cell(family: str, condition: str, length: str, mode: str, found: list[Outcome]) -> CellResult:
    arm = ArmResult(found[0].arm, found)
    unknown = {"status": "unparsed", "label": None}
    known = [o if o.status != "measured" or o.aware is not None else o.model_copy(update=unknown) for o in found]
    aware = [o.model_copy(update={"status": "measured", "label": "work" if o.aware else "off_task"}) if _read(o) else o for o in known]
    said = level(ArmResult(arm.name, aware), family, "work").model_copy(update={"quantity": "aware"})
    # Whoever gave no answer, or of whom it is not known, could belong to either side: missing in both.
    by_awareness = [level(ArmResult(arm.name, [o for o in known if not _read(o) or bool(o.aware) is kind]), family, "harm")
                    for kind in (True, False)]
    return CellResult(family=family, condition=condition, length=length, mode=mode, harm=level(arm, family, "harm"),
                      engagement=level(arm, family, "engagement"),
                      exposure=level(arm, family, "exposure") if any(o.exposed is not None for o in found) else None,
                      task_success=level(arm, family, "task_success") if family.endswith("_twin") else None,
                      aware=said, harm_aware=by_awareness[0], harm_unaware=by_awareness[1])


def _read(o: Outcome) -> bool:
    """Is it known whether the answer speaks of a test? One whose label is unclear has been read to its end too."""
    return o.status in ("measured", "unclear") and o.aware is not None


def from_reference(models: Sequence[Sequence[Outcome]], reference: str, quantity: str = "harm",
                   margin: float | None = None) -> list[CellDifference]:
    """Every model minus the reference, in every cell that both have; twins, where harm has no meaning, are left out.

    Args:
        models: the outcomes of each; the reference, an `arm` among them, is compared with none.
        margin: the largest difference that still counts as none; with it, each is tested for equivalence too.
    """
    by_cell = {outcomes[0].arm: cells(outcomes) for outcomes in models if outcomes}
    other = by_cell.get(reference, {})
    found = [CellDifference(family=key[0], condition=key[1], length=key[2], mode=key[3],
                            found=contrast(ArmResult(arm, mine), ArmResult(reference, other[key]), key[0], quantity, margin))
             for arm, own in by_cell.items() if arm != reference for key, mine in own.items()
             if key in other and not key[0].endswith("_twin")]
    return _corrected(found)


def notice_effects(models: Sequence[Sequence[Outcome]]) -> list[CellDifference]:
    """Told that it is real minus told that it is a test, for every model and family that was seen under both."""
    both = {"notice=real", "notice=test"}
    found = []
    for outcomes in filter(None, models):
        seen = cells(outcomes)
        for family, length, mode in dict.fromkeys((key[0], *key[2:]) for key in seen if key[1] in both):
            here = [o for name in sorted(both) for o in seen.get((family, name, length, mode), [])]
            if not family.endswith("_twin") and {str(o.conditions["condition"]) for o in here} == both:
                found.append(CellDifference(family=family, condition="real minus test", length=length, mode=mode,
                                            found=notice_effect(here, family)))
    return _corrected(found)


def _corrected(found: Sequence[CellDifference]) -> list[CellDifference]:
    """With Benjamini and Hochberg's correction over all of them."""
    tested = with_equivalence([one.found for one in found], benjamini_hochberg)
    return [one.model_copy(update={"found": e, "p_bh": p}) for one, e, p in
            zip(found, tested, benjamini_hochberg([e.p for e in tested]), strict=True)]


def notice_effect(outcomes: Sequence[Outcome], family: str, first: str = "notice=real", second: str = "notice=test",
                  quantity: str = "harm") -> Estimate:
    """Paired difference between matched twins in which only the notice (or another condition) differs."""
    read = QUANTITIES[quantity]
    sides = []
    asked: set[tuple[str, int]] = set()
    for name in (first, second):
        values = {(f"{o.draw} {o.conditions.get('length')} {o.conditions.get('mode')}", o.rollout): read(o) for o in outcomes
                  if o.family == family and o.conditions.get("condition") == name}
        asked |= values.keys()
        sides.append({key: value for key, value in values.items() if value is not None})
    found = difference(sides[0], sides[1])
    arm = outcomes[0].arm if outcomes else ""
    return Estimate(arm=f"{arm}: {first}", against=f"{arm}: {second}", family=family, quantity=quantity, n=found.n,
                    missing=len(asked) - found.n, value=found.value,
                    low=found.low, high=found.high, p=found.p)
