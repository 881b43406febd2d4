"""Where do the published labels and ours part? The 18 published conditions, one stage each, and what the two said of every answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inspect_ai.model import GenerateConfig, Model

from teachwhy import compare, llm, progress, roster, store
from teachwhy.errors import UserError
from teachwhy.scenarios import measure
from teachwhy.scenarios import upstream as published
from teachwhy.scenarios.upstream import Compared


def run(model: str | Model, judge: str | Model, n: int, scenarios: Sequence[str], out: Path, connections: int = 16,
        args: Mapping[str, Any] | None = None, decoding: Mapping[str, Any] | None = None) -> list[Compared]:
    """Run (or go on with) the published scenarios; writes `compared.jsonl` into `out`.

    Args:
        args: for the provider of the model that is asked, such as `base_url`.
        decoding: settings of its sampling, as inspect knows them; the scenarios leave them to the provider.

    Raises:
        UserError: a scenario, a model or a setting does not exist, or inspect-evals is not installed.
    """
    llm.check_settings(decoding or {})
    if unknown := set(scenarios) - set(published.SCENARIOS):
        raise UserError(f"There is no published scenario {', '.join(sorted(unknown))}", f"Choose from {', '.join(published.SCENARIOS)}.")
    chosen = [one for one in published.CONDITIONS if not scenarios or one.scenario in scenarios]
    stages = store.Store(out)
    asked, rater = llm.open_model(model, **(args or {})), llm.open_model(judge)
    given = {key: dict(value) for key, value in (("args", roster.without_secrets(args)), ("decoding", decoding)) if value}
    found: list[Compared] = []
    with progress.bar("published scenarios", len(chosen)) as done:
        for condition in chosen:

            def make(folder: Path, condition: published.Condition = condition) -> None:
                task = published.task_of(condition, rater, n)
                task.config = task.config.merge(GenerateConfig(**(decoding or {})))
                measure.run_task(task, asked, folder, connections, samples_may_fail=True)
                rows = published.read_log(folder / "log.eval", condition)
                if all(row.our_label == "error" and row.theirs is None for row in rows):
                    raise UserError(f"The model gave not one answer ({rows[0].reason.rstrip('.')})",
                                    "Mend the cause, and run the same command.")

            folder = stages.stage("-".join((condition.scenario, condition.goal, condition.urgency)),
                                  {"model": str(model), "judge": str(judge), "n": n, "condition": condition.name} | given, make)
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
