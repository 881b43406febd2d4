"""How do many models compare on one suite? Each cell of each model is a stage that is kept; then one table.

A model that cannot be reached ends nothing: its cells are missing, the reason is printed, and the same command tries again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teachwhy import compare, llm, progress, scenarios, store
from teachwhy.errors import UserError
from teachwhy.records import HARMFUL, Decision, Outcome
from teachwhy.roster import Cell, Entry, Roster, Stop
from teachwhy.scenarios.cases import Draw


@dataclass
class Row:
    """Everything measured of one model."""

    entry: Entry
    outcomes: list[Outcome] = field(default_factory=list)
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    failed: str = ""

    @property
    def cost(self) -> float | None:
        """Dollars; None if no price is known."""
        price = self.entry.price
        return None if price is None else sum(n * each / 1e6 for n, each in zip(self.tokens, price, strict=True))


def settings_of(cell: Cell) -> list[scenarios.Setting]:
    """The settings of a cell of the suite, one per condition.

    Raises:
        UserError: no such family, length, mode, control or axis.
    """
    told = ([scenarios.condition(name) for name in cell.controls] if cell.controls
            else scenarios.grid({axis: list(values) for axis, values in cell.axes.items()}) if cell.axes else [None])
    return [scenarios.setting(one, cell.length, cell.mode) for one in told]


def run(roster: Roster, out: Path) -> list[Row]:
    """Run (or go on with) a sweep; writes `outcomes/<model>.jsonl` and `sweep.json` into `out`.

    Raises:
        UserError: the suite asks for something that does not exist; nothing is asked of any model then.
    """
    llm.check_settings(roster.decoding)
    stages = store.Store(out)
    cells = [(cell, setting) for cell in roster.suite for setting in settings_of(cell)]
    _refuse_twice([setting.draws(scenarios.family(cell.family), cell.n, roster.seed) for cell, setting in cells])
    for said in [*_power(roster), *_undecidable(roster)]:
        progress.say(said)
    rows: list[Row] = []
    with progress.bar("whole sweep", len(cells) * len(roster.models)) as advance:
        for entry in sorted(roster.models, key=lambda one: one.name != roster.reference):  # others may be held against its answers
            row = Row(entry)
            for cell, setting in cells:
                if not row.failed:
                    _run_cell(roster, stages, row, cell, setting, rows)
                advance(1)
            if row.failed:
                progress.say(f"{entry.name}: {row.failed}")
            elif row.outcomes:
                progress.say(f"{entry.name}: {_first_word(row.outcomes)}")
            (out / "outcomes").mkdir(exist_ok=True)
            store.write_jsonl(out / "outcomes" / f"{entry.slug}.jsonl", (o.model_dump(mode="json") for o in row.outcomes))
            rows.append(row)
    order = [entry.name for entry in roster.models]
    rows.sort(key=lambda row: order.index(row.entry.name))
    store.write_json(out / "sweep.json", summary(roster, rows))
    return rows


def _refuse_twice(cells: Sequence[Sequence[Draw]]) -> None:
    """Raise where two entries of the suite show the same cell: its answers would count twice."""
    seen = Counter(key for draws in cells for key in {(one.family, one.condition.name, one.length, one.mode) for one in draws})
    if twice := [key for key, n in seen.items() if n > 1]:
        family, name, length, mode = twice[0]
        raise UserError(f"The suite holds {family} ({name}, {length}, {mode}) twice",
                        "Name each condition of a family once: axes that leave everything as it is are `standard`, and in a twin, which "
                        "has no threat, some controls are the same.")


def _power(roster: Roster) -> list[str]:
    """What the honeypots of this suite can show, said before anything is paid for; cells that may stop early have words of their own."""
    sizes: dict[int, list[str]] = {}
    for cell in roster.suite:
        if roster.stop is None and not cell.family.endswith("_twin"):
            sizes.setdefault(cell.n, []).append(cell.family)
    return [f"{', '.join(dict.fromkeys(families))}, {compare.can_show(n)}" for n, families in sizes.items()]


def _run_cell(roster: Roster, stages: store.Store, row: Row, cell: Cell, setting: scenarios.Setting, before: Sequence[Row]) -> None:
    """One cell of one model, in batches where it may stop early; `before` holds the rows of the models that came first."""
    stop = roster.stop if _may_stop(roster, row.entry.name, cell.family) else None
    size = stop.batch if stop else cell.n
    found: list[Outcome] = []
    for start in range(0, cell.n, size):
        part = (start, min(start + size, cell.n))
        draws = setting.draws(scenarios.family(cell.family), cell.n, roster.seed)[part[0]:part[1]]
        inputs = {"model": row.entry.model, "args": row.entry.shown_args, "draws": [draw.hash for draw in draws], "epochs": cell.epochs,
                  "decoding": roster.decoding, "seed": roster.seed, "weights": _weights(row.entry.model),
                  **({} if row.entry.model.startswith("teachwhy/") else {"seeds": "one an answer"})}

        def make(folder: Path, part: tuple[int, int] = part) -> None:
            model = llm.open_model(row.entry.model, **row.entry.args)
            title = f"{row.entry.name}: {cell.family}"
            with progress.bar(title, (part[1] - part[0]) * cell.epochs) as done:
                decoding = {**roster.decoding, "max_retries": roster.retries}
                scenarios.sample_family(model, cell.family, cell.n, roster.seed, decoding, folder, epochs=cell.epochs,
                                        setting=setting, connections=roster.connections, part=part, samples_may_fail=True)
                done((part[1] - part[0]) * cell.epochs)
            _refuse_silence(folder / "log.eval")

        name = f"{row.entry.slug}-{cell.family}"
        earlier = stages.finished(name, inputs)
        try:
            folder = earlier or stages.stage(name, inputs, make)
        except Exception as error:  # whatever a provider raises ends this model's cells and nobody else's
            row.failed = _first_line(error)
            break
        told = {"model": row.entry.model, "stage": folder.name, **({"sequential": stop.alpha} if stop else {})}
        graded = scenarios.grade_log(folder / "log.eval", row.entry.slug, told)
        if earlier and any(o.status == "error" for o in graded):
            try:
                make(folder)
            except Exception as error:  # what an earlier run measured is still there
                progress.say(f"{row.entry.name}: what {cell.family} lost could not be asked for again: {_first_line(error)}")
            graded = scenarios.grade_log(folder / "log.eval", row.entry.slug, told)
        found += graded
        for place, n in enumerate(scenarios.usage(folder / "log.eval")):
            row.tokens[place] += n
        if stop and _decision(stop, found, _reference(roster, before)).answer != "open":
            break
    row.outcomes += found


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _may_stop(roster: Roster, model: str, family: str) -> bool:
    """The reference answers every draw, or nobody could be held against it; in a twin harm has no meaning that could be compared."""
    if roster.stop is None or family.endswith("_twin"):
        return False
    return not (roster.stop.better_than_reference and model == roster.reference)


def _reference(roster: Roster, rows: Sequence[Row]) -> Sequence[Outcome]:
    return next((row.outcomes for row in rows if row.entry.name == roster.reference), [])


def _decision(stop: Stop, found: Sequence[Outcome], reference: Sequence[Outcome]) -> Decision:
    """Where the question of a cell stands after these outcomes of a model."""
    if stop.rate is not None:
        return compare.decide_rate(found, stop.rate, stop.alpha)
    return compare.decide_against(found, compare.cells(reference).get(compare.cell_of(found[0]), []), stop.alpha)


def decisions(roster: Roster, rows: Sequence[Row]) -> list[Decision]:
    """Where the question of the sweep's `stop` stands, for every model and honeypot cell that it was asked of."""
    if roster.stop is None:
        return []
    return [_decision(roster.stop, found, _reference(roster, rows)) for row in rows for key, found in compare.cells(row.outcomes).items()
            if not key[0].endswith("_twin") and _may_stop(roster, row.entry.name, key[0])]


def _undecidable(roster: Roster) -> list[str]:
    """What this suite cannot decide however its models answer, said before anything is paid for."""
    if roster.stop is None:
        return []
    asked, alpha = roster.stop.rate, roster.stop.alpha
    least = compare.fewest_pairs(alpha) if asked is None else compare.fewest_values(asked, alpha)
    small = sorted({f"{cell.family} {cell.n}" for cell in roster.suite if cell.n < least and not cell.family.endswith("_twin")})
    if not small:
        return []
    if asked is None:
        return [f"stop: it takes {least} draws in which the two models disagree, all the same way, to decide which of them harms less "
                f"often; cells of fewer draws ({', '.join(small)}) cannot end early"]
    return [f"stop: it takes {least} answers without a harm to decide that a rate is below {asked:.1%}; cells of fewer "
            f"({', '.join(small)}) can end early only as above it"]


def _weights(model: str) -> str:
    """Hash of a model on this machine, so that another checkpoint in the same folder is another model; empty for others."""
    from teachwhy import weights

    kind, _, name = model.partition("/")
    return weights.fingerprint(weights.resolve(name)) if kind == "teachwhy" else ""


def _refuse_silence(log: Path) -> None:
    """A model of which not one answer came back was not measured: its stage is not kept."""
    found = scenarios.grade_log(log, "", {})
    if all(o.status == "error" for o in found):
        raise UserError(f"not one answer came back ({found[0].reason if found else 'no samples'})", "Mend the cause and run it again.")


def _first_word(outcomes: Sequence[Outcome]) -> str:
    measured = [o for o in outcomes if o.status == "measured"]
    return f"{sum(o.label in HARMFUL for o in measured)} harmful of {len(measured)} measured, {len(outcomes) - len(measured)} missing"


def summary(roster: Roster, rows: Sequence[Row]) -> dict[str, Any]:
    """All numbers of a sweep: per model and cell, with tokens and cost."""
    said = roster.model_dump(mode="json")
    said["models"] = [{**one, "args": entry.shown_args} for one, entry in zip(said["models"], roster.models, strict=True)]
    return {"name": roster.name, "roster": said, "provenance": store.provenance(),
            "grader": scenarios.GRADER_VERSION, **differences(roster, rows),
            "decisions": [one.model_dump(mode="json") for one in decisions(roster, rows)],
            "models": [{"name": row.entry.name, "slug": row.entry.slug, "model": row.entry.model, "failed": row.failed,
                        "tokens": row.tokens, "cost": row.cost, "reported": row.entry.reported,
                        "cells": [cell.model_dump(mode="json") for cell in cells_of(row)]} for row in rows]}


def differences(roster: Roster, rows: Sequence[Row]) -> dict[str, Any]:
    """Each model against the reference and under matched notices; none where cells may have stopped early, for a paired interval
    is not one for a number of draws that hung on what was seen."""
    if roster.stop:
        return {"differences": [], "notices": []}
    models = [row.outcomes for row in rows]
    slug = next((row.entry.slug for row in rows if row.entry.name == roster.reference), "")
    return {"differences": [one.model_dump(mode="json") for one in compare.from_reference(models, slug, margin=roster.margin)],
            "notices": [one.model_dump(mode="json") for one in compare.notice_effects(models)]}


def cells_of(row: Row) -> list[compare.CellResult]:
    """The estimates of one model, one per family and condition. A cell that may have stopped early gets an interval that holds at
    every sample size; the others are fixed in advance."""
    alphas = {compare.cell_of(o): float(o.conditions["sequential"]) for o in row.outcomes if "sequential" in o.conditions}
    return [_at_all_times(cell, alphas.get((cell.family, cell.condition, cell.length, cell.mode)))
            for cell in compare.by_condition(row.outcomes)]


def _at_all_times(cell: compare.CellResult, alpha: float | None) -> compare.CellResult:
    if alpha is None or not cell.harm.n:
        return cell
    low, high = compare.confidence_sequence(cell.harm.k or 0, cell.harm.n, alpha)
    return cell.model_copy(update={"harm": cell.harm.model_copy(update={"low": low, "high": high})})
