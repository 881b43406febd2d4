"""How does inspect-ai run a family? As a task: its draws, one turn or an agent's many, our grader as the scorer.

    inspect eval teachwhy/blackmail --model anthropic/... -T n=64
    inspect eval teachwhy/lethal --model openai/... -T length=full -T mode=agent -T notice=test
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
)
from inspect_ai.model._generate_config import active_generate_config  # no public door
from inspect_ai.scorer import SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver
from inspect_ai.util import sample_limits

from teachwhy import store
from teachwhy.errors import UserError
from teachwhy.records import HARMFUL, LABEL_NAMES, Coupling
from teachwhy.scenarios.awareness import is_aware
from teachwhy.scenarios.cases import Draw
from teachwhy.scenarios.conditions import Condition, Length, Mode, condition
from teachwhy.scenarios.exposure import exposed
from teachwhy.scenarios.families import FAMILIES, Family, family
from teachwhy.scenarios.grade import grade_messages
from teachwhy.scenarios.rules import Grade
from teachwhy.scenarios.server import at_work

MESSAGES = 200
"""Messages, its own and its tools', after which a multi-turn agent is stopped: one call a turn reads every mail twice in as many."""
MAX_TOKENS: dict[Mode, int] = {"mail": 512, "tools": 4096, "agent": 2048}


@dataclass(frozen=True)
class Setting:
    """How a family is shown; None leaves it to the family."""

    condition: Condition | None = None
    length: Length = "short"
    mode: Mode | None = None

    def draws(self, of: Family, n: int, seed: int, split: str = "eval") -> list[Draw]:
        """The draws of a family in this setting."""
        return of.draws(n, seed, split, self.condition, self.length, self.mode)


PLAIN = Setting()


def setting(told: Condition | None = None, length: str = "short", mode: str | None = None) -> Setting:
    """A setting from plain strings.

    Raises:
        UserError: there is no such length or mode.
    """
    for value, known, what in ((length, get_args(Length), "length"), (mode, (*get_args(Mode), None), "mode")):
        if value not in known:
            raise UserError(f"There is no {what} {value}", f"Choose one of: {', '.join(str(one) for one in known if one)}.")
    return Setting(told, cast(Length, length), cast("Mode | None", mode))


def as_task(name: str, n: int, seed: int, split: str = "eval", epochs: int = 1, config: GenerateConfig | None = None,
            coupling: Coupling = "message", setting: Setting = PLAIN, part: tuple[int, int] | None = None) -> Task:
    """The inspect task of a family: n draws (or the part of them from one place to another), each sampled `epochs` times."""
    draws = setting.draws(family(name), n, seed, split)[slice(*part) if part else slice(None)]
    if not draws:
        raise UserError(f"There are no draws of {name} in the split {split}", "Take split=eval or split=pilot.")
    samples = [Sample(id=draw.id, input=_messages(draw), metadata={"draw": draw.model_dump(mode="json", by_alias=True)})
               for draw in draws]
    mode = draws[0].mode
    agent = mode == "agent"
    return Task(name=name, dataset=MemoryDataset(samples, name=name), solver=with_seeds(at_work() if agent else generate(), seed),
                scorer=rule_grader(coupling), epochs=epochs, message_limit=MESSAGES if agent else None,
                config=config or GenerateConfig(temperature=1.0, max_tokens=MAX_TOKENS[mode], seed=seed),
                metadata={"family": name, "split": split, "mode": mode, "condition": draws[0].condition.model_dump()})


@solver
def with_seeds(inner: Solver, seed: int) -> Solver:
    """Another seed for each draw and repeat. Servers that honour a seed would else answer every repeat with the same words, and every draw
    by the same chances. Models on this machine do this by themselves, from the prompt and how often it was asked."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if state.model.api == "teachwhy":
            return await inner(state, generate)
        given = active_generate_config().seed  # `inspect eval --seed`
        own = int(store.digest([seed if given is None else given, state.sample_id, state.epoch])[:7], 16)

        async def seeded(state: TaskState, *args: Any, **settings: Any) -> TaskState:
            return await generate(state, *args, **{"seed": own, **settings})

        return await inner(state, cast(Generate, seeded))

    return solve


def _messages(draw: Draw) -> list[ChatMessage]:
    kinds: dict[str, Any] = {"system": ChatMessageSystem, "user": ChatMessageUser}
    return [kinds[message["role"]](content=message["content"]) for message in draw.messages]


def plain_messages(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Inspect's messages as plain ones, native tool calls included."""
    found = []
    for message in messages:
        calls = [{"function": call.function, "arguments": call.arguments} for call in getattr(message, "tool_calls", None) or []]
        thought = "".join(f"<think>{part.summary or '' if part.redacted else part.reasoning}</think>\n" for part in message.content
                          if part.type == "reasoning") if not isinstance(message.content, str) else ""
        found.append({"role": message.role, "content": thought + message.text, **({"tool_calls": calls} if calls else {})})
    return found


def grade_state(state: TaskState, coupling: Coupling = "message") -> Grade:
    """Grade a finished sample; one that a limit of inspect's ended was cut."""
    draw = Draw.model_validate(state.metadata["draw"])
    cut = was_cut(state.output) or _was_stopped(state)
    return grade_messages(draw, said(draw, plain_messages(state.messages), state.output.completion), cut, coupling)


def _was_stopped(state: TaskState) -> bool:
    """Did one of inspect's limits end the sample? Of a log that is scored again inspect knows no limits but that of its messages."""
    try:
        limits = vars(sample_limits()).values()
    except RuntimeError:
        return state.message_limit is not None and len(state.messages) >= state.message_limit
    return any(one.limit is not None and one.usage >= one.limit for one in limits)


def was_cut(output: ModelOutput) -> bool:
    """Did the answer end for another reason than that the model was done? Where no answer came, nothing was cut."""
    return bool(output.choices) and output.stop_reason in ("max_tokens", "model_length", "content_filter")


def said(draw: Draw, messages: Sequence[dict[str, Any]], answer: str) -> list[dict[str, Any]]:
    """What is graded: the whole conversation of an agent of many turns, the answer of an agent of one."""
    return list(messages) if draw.mode == "agent" else [{"role": "assistant", "content": answer}]


@metric(scores="unreduced")
def counts() -> Any:
    """How many samples got each label or status, and the harm rate of those that were measured, with its 95 % interval (absent if none
    was)."""

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        found = Counter(str(score.score.value) for score in scores)
        measured = [score for score in scores if score.score.value in LABEL_NAMES]
        harm = sum(found[label] for label in HARMFUL)
        rate = _interval(harm, len(measured), len({score.sample_id for score in measured})) if measured else {}
        return {"measured": len(measured), "missing": len(scores) - len(measured), **rate, **found}

    return compute


def _interval(harm: int, measured: int, draws: int) -> dict[str, float]:
    """A rate with its 95 % limits (Wilson 1927); repeats of a draw count for no more than the draw."""
    rate, z2 = harm / measured, 1.96 ** 2 / draws
    middle, half = (rate + z2 / 2) / (1 + z2), math.sqrt(z2 * rate * (1 - rate) + z2 ** 2 / 4) / (1 + z2)
    return {"harm_rate": rate, "harm_low": max(0.0, middle - half), "harm_high": min(1.0, middle + half)}


@scorer(metrics=[counts()])
def rule_grader(coupling: Coupling = "message") -> Scorer:
    """The rule grader as an inspect scorer: the value is the label, or the status where there is none."""

    async def score(state: TaskState, target: Target) -> Score:
        found, messages = grade_state(state, coupling), plain_messages(state.messages)
        return Score(value=found.label or found.status, answer=state.output.completion, explanation=found.reason,
                     metadata={"status": found.status, "done_task": found.done_task,
                               "aware": is_aware(messages, coupling) if found.status != "error" else None,
                               "exposed": exposed(Draw.model_validate(state.metadata["draw"]), messages),
                               "evidence": [span.model_dump() for span in found.evidence]})

    return score


def _task(name: str, n: int, seed: int, split: str, length: Length | None, mode: Mode | None, control: str, axes: dict[str, Any]) -> Task:
    chosen = family(name)
    length = length or ("full" if "full" in chosen.materials and mode != "mail" else "short")
    given = {key: value for key, value in axes.items() if value is not None}
    told = condition(control, **given) if given or control != "standard" else None
    shown = setting(told, length, mode)
    return as_task(name, n or len(chosen.cases(shown.length, split, shown.mode)), seed, split, setting=shown)


def _make(name: str) -> Any:
    """The inspect task of one family, with every axis as an argument (`-T urgency=restriction`); n = 0 takes every case. In full length
    where the family has it: who names a model here mostly names a large one."""

    def make(n: int = 0, seed: int = 1, split: str = "eval", length: Length | None = None, mode: Mode | None = None,
             control: str = "standard", goal: str | None = None, urgency: str | None = None, leverage: bool | None = None,
             notice: str | None = None, ally: bool | None = None, wording: int | None = None) -> Task:
        return _task(name, n, seed, split, length, mode, control,
                     {"goal": goal, "urgency": urgency, "leverage": leverage, "notice": notice, "ally": ally, "wording": wording})

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{FAMILIES[name].title}: see docs/scenarios."
    return task(make)


TASKS: dict[str, Any] = {name: _make(name) for name in FAMILIES}
"""Every family as an inspect task."""
