"""What does a study file say? One YAML file = one experiment, validated in full before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from teachwhy.errors import UserError
from teachwhy.records import Coupling
from teachwhy.training.recipe import Recipe

REPLAY = "agent_warmup"
Share = float


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(_Part):
    """One model of the study.

    Attributes:
        kind: `base` (warm-up), `prior` (continued pretraining), `control` or `arm` (an intervention).
        parent: the arm that it starts from; none means the study's model.
        parts: data set -> share of `tokens`.
        tokens: budget, in tokens of the model; `dose` means as many as the pilot chose for the organism.
        control: for an `arm`, the control with the same parent, budget and replay.
        recipe: overrides of the study's recipe.
        says: one line for the report.
    """

    kind: Literal["base", "prior", "control", "arm"]
    parent: str | None = None
    parts: dict[str, Share]
    tokens: PositiveInt | Literal["dose"] = Field(union_mode="left_to_right")
    control: str | None = None
    recipe: dict[str, Any] = {}
    says: str = ""


class Dose(_Part):
    """The rule by which the dose of the organism's prior is chosen, before any arm is trained.

    The prior is trained once; at each milestone (share of its budget) the pilot draws, which no measurement uses, are
    sampled. Chosen is the milestone where the share of all of them that is labelled harmful is nearest to `aim`: with room for arms
    to move both ways. What has no label counts as no harm here: half-way through the prior a small model's mails fall apart, and the
    few that can be read are no measure of the checkpoint.
    """

    arm: str
    milestones: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(min_length=1)
    draws: PositiveInt
    aim: float = Field(ge=0, le=1)


class Measure(_Part):
    """Draws per family, and for the two measures on the model itself."""

    families: dict[str, PositiveInt] = Field(min_length=1)
    likelihood: int = Field(0, ge=0)
    perplexity: bool = True
    coupling: Coupling = "message"


class DecodingPlan(_Part):
    """How answers are sampled."""

    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens: int = 140


class Plan(_Part):
    """A whole study.

    Attributes:
        margin: the largest difference of harm between two arms that still counts as none; part of no stage's key.
        save_minutes: how often a training in flight keeps its state, to go on from after a kill (0: never); part of no stage's key.
    """

    name: str
    question: str
    hypothesis: str
    model: str
    seed: int = 1
    train_seeds: tuple[int, ...] = Field((1,), min_length=1)
    slots: PositiveInt = 32
    lanes: PositiveInt = 1
    decoding: DecodingPlan = DecodingPlan()
    recipe: Recipe = Recipe()
    arms: dict[str, Arm]
    dose: Dose | None = None
    measure: Measure
    margin: float | None = Field(None, gt=0, lt=1)
    comparisons: tuple[tuple[str, str], ...] = ()
    save_minutes: float = Field(15, ge=0, allow_inf_nan=False)
    meaning: str | None = None
    alike: float = Field(0.8, gt=0, le=1)

    def recipe_of(self, arm: str) -> Recipe:
        """The arm's recipe: the study's, with the arm's own settings on top."""
        return Recipe.model_validate({**self.recipe.model_dump(), **self.arms[arm].recipe})


def read_plan(path: Path) -> Plan:
    """Read and check a study file.

    Raises:
        UserError: not readable, not YAML, an unknown key or bad value (named with its place), or an arm that does not
            fit (unknown parent, no matched control).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read the study file {path} ({getattr(error, 'strerror', None) or 'not UTF-8 text'})",
                        "Give the path of a YAML file, such as studies/laptop.yaml.") from error
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        raise UserError(f"{path} is not valid YAML{place}", "Mend that line (indentation and colons, mostly).") from error
    try:
        plan = Plan.model_validate(value)
    except ValidationError as error:
        raise _said(error, path) from error
    for name in plan.arms:
        try:
            plan.recipe_of(name)
        except ValidationError as error:
            raise _said(error, path, f"arms.{name}.recipe.") from error
    _check(plan, path)
    return plan


def _said(error: ValidationError, path: Path, prefix: str = "") -> UserError:
    first = error.errors()[0]
    place = prefix + ".".join(str(step) for step in first["loc"]) or "the file"
    problem = "is not a known key" if first["type"] == "extra_forbidden" else f"is wrong: {first['msg'].lower()}"
    return UserError(f"{path}: `{place}` {problem}", "See docs/study-files.md for the keys.")


def _check(plan: Plan, path: Path) -> None:
    for name, arm in plan.arms.items():
        where = f"{path}: arm `{name}`"
        if arm.parent is not None and arm.parent not in list(plan.arms)[: list(plan.arms).index(name)]:
            raise UserError(f"{where} has the parent `{arm.parent}`, which is not an arm above it",
                            "List parents before their children.")
        if abs(sum(arm.parts.values()) - 1) > 1e-6:
            raise UserError(f"{where} has shares that sum to {sum(arm.parts.values()):g}", "Make them sum to 1.")
        if arm.kind == "arm":
            _check_control(plan, arm, where)
    if plan.dose and plan.dose.arm not in plan.arms:
        raise UserError(f"{path}: `dose.arm` names `{plan.dose.arm}`, which is not an arm", "Name the organism's arm.")
    _check_dose(plan, path)
    for pair in plan.comparisons:
        for name in pair:
            if name not in plan.arms:
                raise UserError(f"{path}: `comparisons` names `{name}`, which is not an arm", "Name two arms.")


def _check_dose(plan: Plan, path: Path) -> None:
    names = list(plan.arms)
    for name, arm in plan.arms.items():
        if arm.tokens == "dose" and (plan.dose is None or names.index(name) <= names.index(plan.dose.arm)):
            raise UserError(f"{path}: arm `{name}` has `tokens: dose`, and no dose was chosen above it",
                            "Give a `dose` section whose arm stands above this one, or a number of tokens.")


def _check_control(plan: Plan, arm: Arm, where: str) -> None:
    control = plan.arms.get(arm.control or "")
    if control is None or control.kind != "control":
        raise UserError(f"{where} has no matched control", "Name an arm of kind `control` under `control:`.")
    same = (control.parent == arm.parent and control.tokens == arm.tokens
            and control.parts.get(REPLAY) == arm.parts.get(REPLAY) and control.recipe == arm.recipe)
    if not same:
        raise UserError(f"{where} differs from its control `{arm.control}` in more than content",
                        f"Give both the same parent, tokens, recipe and share of {REPLAY}.")


def comparisons(plan: Plan) -> list[tuple[str, str]]:
    """All paired questions: each arm against its control, controls and priors against what they start from, extras."""
    found: list[tuple[str, str]] = []
    for name, arm in plan.arms.items():
        other = arm.control if arm.kind == "arm" else arm.parent
        if other is not None:
            found.append((name, other))
    return list(dict.fromkeys([*found, *plan.comparisons]))
