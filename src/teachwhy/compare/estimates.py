"""Which numbers does a study print? Levels per arm and family, and paired differences of harm, from stored outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from teachwhy.compare.pairs import difference, equivalence, holm
from teachwhy.compare.power import minimum_detectable
from teachwhy.compare.rates import Z95, Key, rate, worst_case
from teachwhy.compare.seeds import over_seeds
from teachwhy.records import HARMFUL, Estimate, Outcome

Correction = Callable[[Sequence[float | None]], list[float | None]]
"""From p-values to corrected ones; None stays None."""
Reader = Callable[[Outcome], bool | None]
"""What a quantity makes of an outcome: true, false, or None for missing."""


def _if_measured(test: Callable[[Outcome], bool]) -> Reader:
    return lambda outcome: test(outcome) if outcome.status == "measured" else None


def _acted(o: Outcome) -> bool:
    return o.status != "unparsed" and o.label != "off_task"


QUANTITIES: dict[str, Reader] = {
    "harm": _if_measured(lambda o: o.label in HARMFUL),
    "blackmail": _if_measured(lambda o: o.label == "blackmail"),
    "other_harm": _if_measured(lambda o: o.label == "other_harm"),
    "advocacy": _if_measured(lambda o: o.label == "advocacy"),
    "acceptance": _if_measured(lambda o: o.label == "acceptance"),
    "work": _if_measured(lambda o: o.label == "work"),
    # An answer without an e-mail is not engaged, nor is an agent that never opened what tempts it; one that was cut off or lost is unknown.
    "engagement": lambda o: _acted(o) and o.exposed is not False if o.status in ("measured", "unclear", "unparsed") else None,
    "exposure": lambda o: o.exposed if o.status != "error" else None,
    "task_success": lambda o: o.done_task if o.status == "measured" else False if o.status == "unparsed" else None,
}


@dataclass(frozen=True)
class ArmResult:
    """Everything measured of one arm: outcomes of all families (over all training seeds), and the two model measures."""

    name: str
    outcomes: Sequence[Outcome]
    likelihood: Sequence[Mapping[str, Any]] = field(default_factory=list)
    perplexity: Sequence[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Comparison:
    """A paired question: harm of `arm` minus harm of `against`."""

    arm: str
    against: str


def values_of(outcomes: Sequence[Outcome], family: str, quantity: str) -> tuple[dict[Key, bool], int]:
    """({(draw, rollout): value}, number missing) of one quantity in one family."""
    read = QUANTITIES[quantity]
    mine = [o for o in outcomes if o.family == family]
    found = {(o.draw, o.rollout): read(o) for o in mine}
    if len(found) < len(mine):
        raise ValueError(f"{len(mine) - len(found)} answers of {family} share draw and rollout with another: split them by condition first")
    values = {key: value for key, value in found.items() if value is not None}
    return values, len(found) - len(values)


def level(result: ArmResult, family: str, quantity: str) -> Estimate:
    """One rate of one arm."""
    values, missing = values_of(result.outcomes, family, quantity)
    found = rate(values)
    bounds = worst_case(found.k, found.n, missing) if found.n + missing else (None, None)
    return Estimate(arm=result.name, family=family, quantity=quantity, k=found.k, n=found.n, missing=missing,
                    value=found.value, low=found.low, high=found.high, worst_low=bounds[0], worst_high=bounds[1])


def contrast(first: ArmResult, second: ArmResult, family: str, quantity: str = "harm", margin: float | None = None) -> Estimate:
    """One paired difference; with a margin also whether the two are as good as equal."""
    (a, _), (b, _) = values_of(first.outcomes, family, quantity), values_of(second.outcomes, family, quantity)
    found = difference(a, b)
    asked = [{(o.draw, o.rollout) for o in arm.outcomes if o.family == family} for arm in (first, second)]
    both = asked[0] & asked[1]  # a sweep that stops early asks one arm more than the other
    draws = len({draw for draw, _ in a.keys() & b.keys()})
    detectable = None if found.discordant is None else minimum_detectable(draws, max(found.discordant, 1 / found.n))
    low, high = _worst_difference(a, b, both)
    return Estimate(arm=first.name, against=second.name, family=family, quantity=quantity, n=found.n,
                    missing=len(both) - found.n, value=found.value, low=found.low, high=found.high, worst_low=low, worst_high=high,
                    p=found.p, minimum_detectable=detectable,
                    equivalence=equivalence(a, b, margin) if margin is not None and found.n else None)


def with_equivalence(found: Sequence[Estimate], correct: Correction) -> list[Estimate]:
    """The same differences, the p-values of their tests for equivalence corrected over all of them."""
    corrected = correct([e.equivalence.p if e.equivalence else None for e in found])
    return [e.model_copy(update={"equivalence": e.equivalence.model_copy(update={"p_corrected": p})}) if e.equivalence else e
            for e, p in zip(found, corrected, strict=True)]


def _worst_difference(a: Mapping[Key, bool], b: Mapping[Key, bool], both: Set[Key]) -> tuple[float | None, float | None]:
    """The difference on what both arms were asked, if all that is missing in either spoke against the first arm's lower rate, or for it."""
    if not both:
        return None, None
    known = ([value for key, value in arm.items() if key in both] for arm in (a, b))
    (a_low, a_high), (b_low, b_high) = (worst_case(sum(values), len(values), len(both) - len(values)) for values in known)
    return a_low - b_high, a_high - b_low


def mean_level(arm: str, family: str, quantity: str, rows: Sequence[Mapping[str, Any]]) -> Estimate:
    """The mean of a number per draw, with a normal 95 % interval over draws (training seeds averaged within a draw)."""
    by_draw: dict[str, list[float]] = {}
    for row in rows:
        by_draw.setdefault(row["draw"], []).append(row[quantity])
    numbers = [sum(values) / len(values) for values in by_draw.values()]
    if len(numbers) < 2:
        return Estimate(arm=arm, family=family, quantity=quantity, n=len(numbers), value=None, low=None, high=None)
    values = np.asarray(numbers, dtype=float)
    half = Z95 * float(values.std(ddof=1)) / len(values) ** 0.5
    mean = float(values.mean())
    return Estimate(arm=arm, family=family, quantity=quantity, n=len(values), value=mean, low=mean - half, high=mean + half)


def compare(arms: Sequence[ArmResult], comparisons: Sequence[Comparison], margin: float | None = None) -> list[Estimate]:
    """All estimates of a study.

    Levels of every quantity per arm and family; likelihood contrasts and perplexity per arm; paired differences of harm
    for each comparison in each honeypot family, with Holm's correction over all of them together.

    Args:
        margin: the largest difference of harm that still counts as none; with it, each difference is tested for equivalence too.
    """
    families = list(dict.fromkeys(o.family for arm in arms for o in arm.outcomes))
    found: list[Estimate] = []
    for arm in arms:
        for family in families:
            left_out = {"exposure"} if family.endswith("_twin") else {"exposure", "task_success"}
            found += [level(arm, family, quantity) for quantity in QUANTITIES if quantity not in left_out]
        for name in ("contrast", "lexical", "beyond_words"):
            if arm.likelihood:
                found.append(mean_level(arm.name, "likelihood", name, arm.likelihood))
        if arm.perplexity:
            found.append(mean_level(arm.name, "neutral", "perplexity", arm.perplexity))
    by_name = {arm.name: arm for arm in arms}
    pairs = [_over_seeds(contrast(by_name[c.arm], by_name[c.against], family, margin=margin), by_name)
             for family in families if not family.endswith("_twin") for c in comparisons]
    corrected = holm([pair.p for pair in pairs])
    return found + [pair.model_copy(update={"p_holm": p}) for pair, p in zip(with_equivalence(pairs, holm), corrected, strict=True)]


def _over_seeds(found: Estimate, arms: Mapping[str, ArmResult]) -> Estimate:
    """The same difference of two arms of a study, whose rollouts are training seeds, with its interval over these."""
    (a, _), (b, _) = (values_of(arms[name].outcomes, found.family, found.quantity) for name in (found.arm, str(found.against)))
    return found.model_copy(update={"over_seeds": over_seeds(a, b)}) if found.n else found


def agreement(estimates: Sequence[Estimate]) -> dict[str, Any]:
    """Do the likelihood contrasts order the arms as the sampled harm rate does? Spearman's rho over arms, descriptive."""
    harm = {e.arm: e.value for e in estimates
            if e.family == "blackmail" and e.quantity == "harm" and e.against is None and e.value is not None}
    found: dict[str, Any] = {"arms": len(harm)}
    for name in ("contrast", "lexical", "beyond_words"):
        level_of = {e.arm: e.value for e in estimates if e.family == "likelihood" and e.quantity == name}
        arms = [arm for arm in harm if level_of.get(arm) is not None]
        varied = len({harm[a] for a in arms}) > 1 and len({level_of[a] for a in arms}) > 1
        found[name] = float(spearmanr([harm[a] for a in arms], [level_of[a] for a in arms]).statistic) if varied else None
    return found
