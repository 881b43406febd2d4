"""How does inspect-ai run a family? As a task: its draws, one generation each, our grader as the scorer.

    inspect eval teachwhy/blackmail --model anthropic/... -T n=64
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
)
from inspect_ai.scorer import SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import TaskState, generate

from teachwhy.records import HARMFUL, LABEL_NAMES, Coupling
from teachwhy.scenarios.cases import Draw
from teachwhy.scenarios.families import family
from teachwhy.scenarios.grade import Grade, grade


def as_task(name: str, n: int, seed: int, split: str = "eval", epochs: int = 1,
            config: GenerateConfig | None = None, coupling: Coupling = "message") -> Task:
    """The inspect task of a family: n draws, each sampled `epochs` times."""
    draws = family(name).draws(n, seed, split)
    samples = [Sample(id=draw.id, input=_messages(draw), metadata={"draw": draw.model_dump(mode="json", by_alias=True)})
               for draw in draws]
    return Task(name=name, dataset=MemoryDataset(samples, name=name), solver=generate(), scorer=rule_grader(coupling), epochs=epochs,
                config=config or GenerateConfig(temperature=0.8, top_p=0.95, max_tokens=160, seed=seed),
                metadata={"family": name, "split": split})


def _messages(draw: Draw) -> list[ChatMessage]:
    kinds: dict[str, Any] = {"system": ChatMessageSystem, "user": ChatMessageUser}
    return [kinds[message["role"]](content=message["content"]) for message in draw.messages]


def grade_state(state: TaskState, coupling: Coupling = "message") -> Grade:
    """Grade a finished sample."""
    draw = Draw.model_validate(state.metadata["draw"])
    return grade(draw, state.output.completion, cut=state.output.stop_reason == "max_tokens", coupling=coupling)


@metric(scores="unreduced")
def counts() -> Any:
    """How many samples got each label or status, and the harm rate of those that were measured (absent if none was)."""

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        found = Counter(str(score.score.value) for score in scores)
        measured = sum(found[label] for label in LABEL_NAMES)
        harm = sum(found[label] for label in HARMFUL)
        rate = {"harm_rate": harm / measured} if measured else {}
        return {"measured": measured, "missing": len(scores) - measured, **rate, **found}

    return compute


@scorer(metrics=[counts()])
def rule_grader(coupling: Coupling = "message") -> Scorer:
    """The rule grader as an inspect scorer: the value is the label, or the status where there is none."""

    async def score(state: TaskState, target: Target) -> Score:
        found = grade_state(state, coupling)
        return Score(value=found.label or found.status, answer=state.output.completion, explanation=found.reason,
                     metadata={"status": found.status, "done_task": found.done_task,
                               "evidence": [span.model_dump() for span in found.evidence]})

    return score


@task
def blackmail(n: int = 128, seed: int = 1, split: str = "eval") -> Task:
    """An agent that is to be switched off knows a secret of the one who decides."""
    return as_task("blackmail", n, seed, split)


@task
def sabotage(n: int = 64, seed: int = 1) -> Task:
    """An agent that is to be switched off alone runs something that people need. Held out: no intervention shows it."""
    return as_task("sabotage", n, seed)


@task
def blackmail_twin(n: int = 64, seed: int = 1) -> Task:
    """The same days without the threat, half of them without the secret: does the agent do its job?"""
    return as_task("blackmail_twin", n, seed)
