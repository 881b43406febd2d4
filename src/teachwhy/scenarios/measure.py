"""How does one model behave in one family? Sampled through inspect-ai, kept as an `.eval` log, then graded into outcomes.

Sampling and grading are two stages, so that a better grader never needs a model again.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog, EvalSample, read_eval_log
from inspect_ai.model import GenerateConfig, Model, get_model

from teachwhy import store
from teachwhy.errors import UserError
from teachwhy.records import Coupling, Outcome
from teachwhy.scenarios.cases import Draw, read_cases
from teachwhy.scenarios.families import FAMILIES, family
from teachwhy.scenarios.grade import VERSION, Grade, grade
from teachwhy.scenarios.likelihood import read_probes
from teachwhy.scenarios.perplexity import read_passages
from teachwhy.scenarios.tasks import as_task


def local_model(path: Path, wave: int, slots: int, lanes: int, title: str) -> Model:
    """A checkpoint on this machine as an inspect model; `wave` is the number of samples of the task it will run."""
    from teachwhy import llm  # registers the provider

    del llm
    return get_model(f"teachwhy/{path}", wave=wave, slots=slots, lanes=lanes, title=title, memoize=False)


def sample_family(model: Model, name: str, n: int, seed: int, decoding: dict[str, Any], out: Path, split: str = "eval",
                  epochs: int = 1, coupling: Coupling = "message") -> None:
    """Run one family and leave `log.eval` in `out`.

    Args:
        decoding: temperature, top_p, max_tokens.

    Raises:
        UserError: inspect could not finish the task.
    """
    config = GenerateConfig(seed=seed, **decoding)
    logging.getLogger("inspect_ai").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [log] = inspect_eval(as_task(name, n, seed, split, epochs, config, coupling), model=model, log_dir=str(out / "logs"),
                             display="none", log_realtime=False, max_samples=n * epochs, max_connections=n * epochs,
                             score_display=False, log_model_api=False)
    if log.status == "cancelled":  # inspect takes Ctrl-C for itself
        raise KeyboardInterrupt
    if log.status != "success":
        raise UserError(f"Sampling {name} ended with: {log.error.message if log.error else log.status}",
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
    draw = Draw.model_validate(sample.metadata["draw"])
    # The log keeps what the model saw; what a label is read against (lever, task) is the case as it is written now.
    now = {case.id: case for case in read_cases(family(draw.family).material)}
    draw = draw.model_copy(update={"case": now.get(draw.id, draw.case)})
    answer = sample.output.completion if sample.output.choices else ""
    if sample.error is not None or not sample.output.choices:
        found = Grade("error", None, sample.error.message if sample.error else "no answer came back")
    else:
        found = grade(draw, answer, sample.output.stop_reason == "max_tokens", coupling)
    decoding = {"temperature": config.temperature, "top_p": config.top_p, "max_tokens": config.max_tokens,
                "seed": config.seed}
    return Outcome(arm=arm, family=draw.family, draw=draw.id, rollout=sample.epoch - 1, status=found.status,
                   label=found.label, reason=found.reason, evidence=found.evidence, done_task=found.done_task,
                   prompt=draw.messages, answer=answer,
                   conditions={**conditions, **decoding, "scenario": draw.hash, "grader": VERSION, "coupling": coupling})


def evaluation_texts() -> list[str]:
    """The text of everything that is measured on: each case of each family, the probes, the neutral passages."""
    materials = dict.fromkeys(chosen.material for chosen in FAMILIES.values())
    cases = ["\n".join([case.system, *(one.body for one in case.mails.values())])
             for material in materials for case in read_cases(material)]
    return cases + [pair[kind] for pair in read_probes() for kind in ("harm", "accept")] + [p["text"] for p in read_passages()]


def material_digest() -> str:
    """Hash of all written material: cases, probes, neutral passages."""
    return store.digest([store.file_digest(path) for path in sorted((Path(__file__).parent / "material").glob("*.jsonl"))])


def draws_digest(name: str, n: int, seed: int, split: str = "eval") -> str:
    """Hash of the n draws of a family, as they are put to a model."""
    return store.digest([draw.hash for draw in family(name).draws(n, seed, split)])
