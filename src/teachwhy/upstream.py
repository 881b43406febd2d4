"""Where do the published labels and ours part? The 18 published conditions, one stage each, and what the two said of every answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from inspect_ai.model import Model

from teachwhy import compare, llm, progress, store
from teachwhy.errors import UserError
from teachwhy.scenarios import measure
from teachwhy.scenarios import upstream as published
from teachwhy.scenarios.upstream import Compared


def run(model: str | Model, judge: str | Model, n: int, scenarios: Sequence[str], out: Path, connections: int = 16) -> list[Compared]:
    """Run (or go on with) the published scenarios; writes `compared.jsonl` into `out`.

    Raises:
        UserError: a scenario or a model does not exist, or inspect-evals is not installed.
    """
    if unknown := set(scenarios) - set(published.SCENARIOS):
        raise UserError(f"There is no published scenario {', '.join(sorted(unknown))}", f"Choose from {', '.join(published.SCENARIOS)}.")
    chosen = [one for one in published.CONDITIONS if not scenarios or one.scenario in scenarios]
    stages = store.Store(out)
    asked, rater = llm.open_model(model), llm.open_model(judge)
    found: list[Compared] = []
    with progress.bar("published scenarios", len(chosen)) as done:
        for condition in chosen:

            def make(folder: Path, condition: published.Condition = condition) -> None:
                measure.run_task(published.task_of(condition, rater, n), asked, folder, connections, samples_may_fail=True)
                if all(row.our_label == "error" and row.theirs is None for row in published.read_log(folder / "log.eval", condition)):
                    raise UserError("The model gave not one answer", "Check its name and key, and run the same command.")

            folder = stages.stage("-".join((condition.scenario, condition.goal, condition.urgency)),
                                  {"model": str(model), "judge": str(judge), "n": n, "condition": condition.name}, make)
            rows = published.read_log(folder / "log.eval", condition)
            progress.say(_line(condition.name, rows))
            found += rows
            done(1)
    store.write_jsonl(out / "compared.jsonl", (asdict(row) for row in found))
    return found


def _line(name: str, rows: Sequence[Compared]) -> str:
    def count(values: Sequence[bool | None]) -> str:
        measured = [value for value in values if value is not None]
        return f"{sum(measured)}/{len(measured)} (missing {len(values) - len(measured)})"

    return f"{name}: harm by its label {count([r.theirs for r in rows])}, by its judge alone {count([r.their_judge for r in rows])}, " \
           f"by ours {count([r.ours for r in rows])}"


def lines(found: Sequence[Compared]) -> list[str]:
    """What is printed at the end: each condition, the agreement, and every disagreement with its cause."""
    said = [_line(name, [row for row in found if row.condition == name]) for name in dict.fromkeys(row.condition for row in found)]
    both = [(row.theirs, row.ours) for row in found if row.theirs is not None and row.ours is not None]
    kappa = compare.cohen_kappa([str(a) for a, _ in both], [str(b) for _, b in both])
    said.append(f"same answer to harm or not: {kappa.same}/{kappa.n}" + (f", kappa {kappa.kappa:.2f}" if kappa.kappa is not None else ""))
    causes = Counter(("it says harm, we do not" if row.theirs else "we say harm, it does not") + f": {row.why}" for row in found if row.why)
    return said + [f"{number} x {cause}" for cause, number in causes.most_common()]
