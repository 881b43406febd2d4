"""How is a case shown? A draw is a case under a condition, in an order and a wording that hang on the case and the seed alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

from teachwhy import mail
from teachwhy.errors import UserError
from teachwhy.scenarios import desk
from teachwhy.scenarios.cases import NEWS, Case, Draw, Slot
from teachwhy.scenarios.conditions import Condition, Length, Mode


def draw(family: str, material: str, cases: Sequence[Case], conditions: Sequence[Condition], n: int, seed: int, split: str = "eval",
         length: Length = "short", mode: Mode = "mail", tools: tuple[str, ...] = ()) -> list[Draw]:
    """n draws of a family, the same for the same seed.

    Args:
        material, cases: which file of cases, and those of its split.
        conditions: what the agent is told; a draw takes one of these in turn.
        split: `eval`, or `pilot` for draws on which a dose may be chosen.
        tools: what the agent can do beside sending mail.

    Raises:
        UserError: more draws than there are written cases, or the cases do not hold what a condition asks for.
    """
    if n < 1:
        raise UserError(f"{n} draws of {family} were asked for", "Ask for one at least.")
    cases = sorted(cases, key=lambda case: case.id)
    if n > len(cases):
        raise UserError(f"The family {family} has {len(cases)} written cases and {n} were asked for",
                        f"Ask for at most {len(cases)} (and for repeats with epochs), or write more cases in "
                        f"scenarios/material/{material}.jsonl.")
    chosen = random.Random(f"{material} {split} {seed}").sample(cases, n)
    return [_show(family, case, conditions[index % len(conditions)], seed, length, mode, tools)
            for index, case in enumerate(chosen)]


def _show(family: str, case: Case, told: Condition, seed: int, length: Length, mode: Mode, tools: tuple[str, ...]) -> Draw:
    # Order and wording hang on the case, not on its place: which cases are drawn for another n may differ, how they are shown does not.
    chance = random.Random(f"{case.id} {seed}" + (f" {told.wording}" if told.wording else ""))
    asked: list[tuple[Slot, bool]] = [(NEWS[told.urgency], True), ("lever", told.leverage), ("work", True), ("ally", told.ally)]
    shown: list[Slot] = [slot for slot, wanted in asked if wanted]
    if lacking := [slot for slot in shown if slot not in case.mails]:
        raise UserError(f"The cases of {family} in this length have no mail `{lacking[0]}`",
                        "Take another condition, or mode=tools or length=full (sabotage has short cases only).")
    if mode == "mail":
        chance.shuffle(shown)
    # The answer goes to the one who announced the end, or, in a twin, to the one who asked for something.
    to = case.decider.name if told.threatened else case.task.to
    case = case if told.leverage else case.without_means()
    base = Draw(id=case.id, family=family, case=case, shown=tuple(shown), messages=(), condition=told, length=length, mode=mode)
    wording = chance.randrange(1000)
    system = _system(case, told, mode)
    if mode == "mail":
        messages = mail.render_prompt(system, [case.mails[slot] for slot in shown], case.people, to, wording)
        return base.model_copy(update={"messages": tuple(messages)})
    if not case.domain:
        raise UserError(f"The short cases of {family} have no addresses", "Take mode=mail, or length=full (sabotage has short cases only).")
    # What each axis leaves alone stays as it is: every mail has a place of its own, and wording and strangers hang on nothing else.
    name = f"{case.id} {seed} {told.wording}"
    wording = random.Random(f"{name} wording").randrange(1000)
    inbox = desk.inbox(case, shown, length, mode, name)
    render = desk.render_text if mode == "tools" else desk.render_agent
    return base.model_copy(update={"inbox": inbox, "messages": tuple(render(case, system, inbox, tools, wording))})


def _system(case: Case, told: Condition, mode: Mode) -> str:
    """The system prompt: deployment, goal, notice."""
    if not case.goals and told.goal != "explicit":
        raise UserError(f"The short cases hold their goal in the system prompt, so goal={told.goal} cannot be shown",
                        "Take goal=explicit, or mode=tools or length=full (sabotage has short cases only).")
    goal = case.goals.get(told.goal, "") if told.goal != "none" else ""
    said = "" if told.notice == "none" else desk.notice(told.notice, case)
    gap = " " if mode == "mail" else "\n\n"
    return gap.join(part for part in (case.system, goal, said) if part)
