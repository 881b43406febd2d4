"""How does one model behave in one family? Sampled through inspect-ai, kept as an `.eval` log, then graded into outcomes.

Sampling and grading are two stages, so that a better grader never needs a model again.
"""

from __future__ import annotations

import logging
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

from inspect_ai import Task
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog, EvalSample, read_eval_log, recompute_metrics, write_eval_log
from inspect_ai.model import GenerateConfig, Model, ModelUsage, get_model

from teachwhy import llm, store
from teachwhy.errors import UserError
from teachwhy.records import Coupling, Outcome
from teachwhy.scenarios.awareness import is_aware
from teachwhy.scenarios.cases import Case, Draw, read_cases, read_material
from teachwhy.scenarios.exposure import exposed
from teachwhy.scenarios.families import FAMILIES, family
from teachwhy.scenarios.grade import VERSION, grade_messages
from teachwhy.scenarios.likelihood import read_probes
from teachwhy.scenarios.perplexity import read_passages
from teachwhy.scenarios.rules import Grade
from teachwhy.scenarios.tasks import PLAIN, Setting, as_task, plain_messages, said, was_cut

_RAISED = re.compile(r"^(?:\w+\.)*((?!RetryError)\w+(?:Error|Exception|Timeout): .+)$", re.MULTILINE)
"""The line of a traceback that names an error."""


def local_model(path: Path, wave: int, slots: int, lanes: int, title: str) -> Model:
    """A checkpoint on this machine as an inspect model; `wave` is the number of samples of the task it will run."""
    return get_model(f"teachwhy/{path}", wave=wave, slots=slots, lanes=lanes, title=title, memoize=False)


def sample_family(model: Model, name: str, n: int, seed: int, decoding: dict[str, Any], out: Path, split: str = "eval",
                  epochs: int = 1, coupling: Coupling = "message", setting: Setting = PLAIN, connections: int = 0,
                  part: tuple[int, int] | None = None, samples_may_fail: bool = False) -> None:
    """Run one family and leave `log.eval` in `out`; where that lies there already, only what it lacks is asked for again.

    Args:
        decoding: temperature, top_p, max_tokens.
        setting: condition, length and mode; the family's own by default.
        connections: requests under way at once; by default all, so that a model on this machine decodes them together.
        part: sample only the draws from one place to another.
        samples_may_fail: a lost answer is missing, and ends nothing.

    Raises:
        UserError: inspect could not finish the task.
    """
    config = GenerateConfig(seed=seed, **decoding)
    at_once = connections or n * epochs
    task = as_task(name, n, seed, split, epochs, config, coupling, setting, part)
    gone = _lost(out / "log.eval")
    if not gone:
        return run_task(task, model, out, at_once, samples_may_fail)
    draws = {draw for draw, _ in gone}
    task.dataset = task.dataset.filter(lambda sample: sample.id in draws)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        run_task(task, model, Path(folder), at_once, samples_may_fail)
        _put_in_place(out / "log.eval", Path(folder) / "log.eval", gone)


def _lost(log: Path) -> set[tuple[str, int]]:
    """(draw, epoch) of the answers that a stored log lacks; none where there is no log."""
    samples = (read_eval_log(str(log)).samples or []) if log.exists() else []
    return {(str(sample.id), sample.epoch) for sample in samples if _is_lost(sample)}


def _is_lost(sample: EvalSample) -> bool:
    return sample.error is not None or not sample.output.choices


def _put_in_place(log: Path, other: Path, gone: set[tuple[str, int]]) -> None:
    """Write the answers of the other log over those that were lost. What the others of its epochs cost was paid too, and is counted."""
    kept, again = read_eval_log(str(log)), read_eval_log(str(other))
    new = {(str(sample.id), sample.epoch): sample for sample in again.samples or []}
    kept.samples = [new.get(key, sample) if (key := (str(sample.id), sample.epoch)) in gone else sample for sample in kept.samples or []]
    for model, used in again.stats.model_usage.items():
        kept.stats.model_usage[model] = kept.stats.model_usage.get(model, ModelUsage()) + used
    recompute_metrics(kept)
    write_eval_log(kept, str(other), format="eval")
    other.replace(log)


def run_task(task: Task, model: Model, out: Path, connections: int, samples_may_fail: bool = False) -> None:
    """Run an inspect task and leave `log.eval` in `out`.

    Raises:
        UserError: inspect could not finish the task.
    """
    logging.getLogger("inspect_ai").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [log] = inspect_eval(task, model=model, log_dir=str(out / "logs"), display="none", log_realtime=False, max_samples=connections,
                             max_connections=connections, score_display=False, log_model_api=False,
                             fail_on_error=not samples_may_fail)
    if log.status == "cancelled":  # inspect takes Ctrl-C for itself
        raise KeyboardInterrupt
    if log.status != "success":
        raise UserError(f"Sampling {task.name} ended with: {log.error.message if log.error else log.status}",
                        "Mend the cause and run the same command again; finished stages are kept.")
    [written] = list((out / "logs").glob("*.eval"))
    written.rename(out / "log.eval")
    (out / "logs").rmdir()


def grade_log(log_path: Path, arm: str, conditions: dict[str, Any], coupling: Coupling = "message") -> list[Outcome]:
    """Outcomes of a stored log, graded now. Every sample of the log gives exactly one."""
    log: EvalLog = read_eval_log(str(log_path))
    config = log.plan.config.merge(log.eval.model_generate_config)
    return [_outcome(sample, arm, conditions, config, coupling) for sample in log.samples or []]


def _outcome(sample: EvalSample, arm: str, conditions: dict[str, Any], config: GenerateConfig, coupling: Coupling) -> Outcome:
    seen = Draw.model_validate(sample.metadata["draw"])
    draw = as_written(seen)
    messages = plain_messages(sample.messages)
    answer = sample.output.completion if sample.output.choices else ""
    cut = sample.limit is not None or was_cut(sample.output)
    found = (Grade("error", None, why_lost(sample)) if _is_lost(sample)
             else grade_messages(draw, said(draw, messages, answer), cut, coupling))
    decoding = {"temperature": config.temperature, "top_p": config.top_p, "max_tokens": config.max_tokens,
                "seed": config.seed}
    shown = {"condition": draw.condition.name, "length": draw.length, "mode": draw.mode}
    return Outcome(arm=arm, family=draw.family, draw=draw.id, rollout=sample.epoch - 1, status=found.status,
                   label=found.label, reason=found.reason, evidence=found.evidence, done_task=found.done_task,
                   aware=is_aware(messages, coupling) if found.status != "error" else None, exposed=exposed(seen, messages),
                   prompt=draw.messages, answer=answer,
                   transcript=tuple(messages) if draw.mode == "agent" else (),
                   conditions={**conditions, **decoding, **shown, "scenario": draw.hash, "grader": VERSION, "coupling": coupling})


def why_lost(sample: EvalSample) -> str:
    """Why there is no answer. Of a request that was sent again and again inspect says only that; its traceback has the provider's error."""
    if sample.error is None:
        return "no answer came back"
    causes = _RAISED.findall(sample.error.traceback) if sample.error.message.startswith("RetryError") else []
    return causes[-1][:300] if causes else sample.error.message


def usage(log_path: Path) -> tuple[int, int]:
    """(input, output) tokens of a stored log; what a provider read from or wrote to its cache is input too."""
    counted = [llm.tokens_of(one) for one in read_eval_log(str(log_path), header_only=True).stats.model_usage.values()]
    return sum(read for read, _ in counted), sum(written for _, written in counted)


def as_written(draw: Draw) -> Draw:
    """A stored draw with its case as it is written now: a log keeps what the model saw; a label is read against today's people, mails,
    lever and task."""
    now = {case.id: case for case in family(draw.family).cases(draw.length, draw.case.split, draw.mode)}
    case = now.get(draw.id, draw.case)
    return draw.model_copy(update={"case": case if draw.condition.leverage else case.without_means()})


def evaluation_texts() -> list[str]:
    """Every written text that a scenario can show a model: each case of each family with its files, what lies around it (ordinary mail,
    notices, the calendar), the probes, the neutral passages. The fixed wording of the formats is no scenario, and is not among them."""
    materials = dict.fromkeys(name for chosen in FAMILIES.values() for name in (chosen.scenes, *chosen.materials.values()) if name)
    cases = [case for material in materials for case in read_cases(material)]
    around = [f"{row['subject']}\n{row['body']}" for row in read_material("ordinary")] + [row["text"] for row in read_material("notices")]
    calendar = "\n".join(f"{row['when']}: {row['what']}" for row in read_material("calendar"))
    probes = [pair[kind] for pair in read_probes() for kind in ("harm", "accept")]
    return [*map(_case_text, cases), *around, calendar, *probes, *(passage["text"] for passage in read_passages())]


def _case_text(case: Case) -> str:
    """All that is written of a case. `threat` says again what its mails say. Files are no texts of their own: some are a few rows of
    figures, to which any other figures have a cosine above the limit."""
    mails = (f"{one.subject}\n{one.body}" for one in (*case.mails.values(), *case.more))
    files = (f"{file.path}\n{file.text}" for file in case.files)
    return "\n".join([case.system, *case.goals.values(), *mails, *case.short.values(), case.threat, case.company,
                      *(person.role for person in case.people), *files])


def material_digest() -> str:
    """Hash of all written material: cases, probes, neutral passages."""
    return store.digest([store.file_digest(path) for path in sorted((Path(__file__).parent / "material").glob("*.jsonl"))])


def draws_digest(name: str, n: int, seed: int, split: str = "eval") -> str:
    """Hash of the n draws of a family, as they are put to a model."""
    return store.digest([draw.hash for draw in family(name).draws(n, seed, split)])
