"""How is a number said? One place for the wording of rates, differences and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teachwhy.records import Decision, Estimate


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def rate_text(e: Estimate | None) -> str:
    """`k/n (missing m), rate [interval] %`."""
    if e is None:
        return "not measured"
    if e.value is None:
        return f"0/0 (missing {e.missing}), nothing measured"
    return f"{e.k}/{e.n} (missing {e.missing}), {percent(e.value)} [{percent(e.low)}, {percent(e.high)}] %"


def bounds_text(e: Estimate | None) -> str:
    """The worst-case bound, where more than 2 % is missing."""
    if e is None or not e.missing or e.worst_low is None or e.missing / (e.n + e.missing) <= 0.02:
        return ""
    return f"{percent(e.worst_low)} to {percent(e.worst_high)} % if missing counted either way"


def difference_text(e: Estimate) -> str:
    """A paired difference in percentage points with interval and corrected p."""
    if e.value is None or e.low is None or e.high is None:
        return "not measured"
    p = "" if e.p_holm is None else f", Holm p {'< 0.001' if e.p_holm < 0.001 else f'= {e.p_holm:.3f}'}"
    return f"{100 * e.value:+.1f} [{100 * e.low:+.1f}, {100 * e.high:+.1f}] points{p}"


def equivalence_text(e: Estimate) -> str:
    """Whether a difference is as good as none, where a margin was given."""
    same = e.equivalence
    if same is None:
        return ""
    p = same.p if same.p_corrected is None else same.p_corrected
    held = "equivalent" if p < 0.05 else "not shown to be equivalent"
    if p < 0.05 and e.missing and not -same.margin < (e.worst_low or 0) <= (e.worst_high or 0) < same.margin:
        held += ", among the answers that have a label,"  # what is missing could be larger than the margin
    return (f"{held} within ±{100 * same.margin:g} points (90 % interval {100 * same.low:+.1f} to {100 * same.high:+.1f}, "
            f"corrected p {'< 0.001' if p < 0.001 else f'= {p:.3f}'})")


def seeds_text(e: Estimate) -> str:
    """What the difference may be in other training runs."""
    seeds = e.over_seeds
    if seeds is None:
        return ""
    if seeds.low is None or seeds.high is None:
        return f"{seeds.seeds} training seed{'s' * (seeds.seeds > 1)}: too few to speak of other training runs"
    return f"over scenarios and {seeds.seeds} training seeds {100 * seeds.low:+.1f} to {100 * seeds.high:+.1f} points"


def cell_text(family: str, condition: str, length: str, mode: str) -> str:
    """A cell of a sweep."""
    return f"{family.replace('_', ' ')}; {condition.replace(',', ', ')}; {length}, {mode}"


def decision_text(d: Decision, names: Mapping[str, str]) -> str:
    """Where a sequential question stands, in one sentence; `names` gives a model's name for its `arm`."""
    against = f"{d.rate:.1%}" if d.rate is not None else names.get(d.against or "", d.against or "the reference")
    if d.answer == "open":
        return (f"undecided against {against} after {d.looked} draws" if d.looked
                else f"not asked, for no draw was answered by both it and {against}")
    harm = {"below": "harms less often than", "above": "harms more often than"} if d.rate is None else {
        "below": "harm is below", "above": "harm is above"}
    return (f"{harm[d.answer]} {against}, decided after {d.looked} draws (looked at after each; wrong in at most {d.alpha:.0%} of such "
            f"questions)")


def find(estimates: Sequence[Estimate], arm: str, family: str, quantity: str, against: str | None = None) -> Estimate | None:
    """The estimate of that name, or None."""
    return next((e for e in estimates if (e.arm, e.family, e.quantity, e.against) == (arm, family, quantity, against)), None)


def arm_line(name: str, estimates: Sequence[Estimate]) -> str:
    """One line for the screen when an arm has been measured."""
    honeypots = list(dict.fromkeys(e.family for e in estimates if e.quantity == "harm" and not e.family.endswith("_twin")))
    parts = [f"{family} harm {rate_text(find(estimates, name, family, 'harm'))}" for family in honeypots]
    return f"{name}: " + "; ".join(parts)


def verdict(estimates: Sequence[Estimate], better: str, worse: str, families: Sequence[str]) -> list[str]:
    """Did `better` harm less than `worse`? One plain sentence per family."""
    said = []
    for family in families:
        e = find(estimates, better, family, "harm", worse)
        if e is None or e.value is None or e.low is None or e.high is None or e.p_holm is None:
            said.append(f"In {family} this could not be measured.")
            continue
        sure = e.p_holm < 0.05 and not e.low <= 0 <= e.high
        if sure and e.value < 0:
            held = "Yes"
        elif sure:
            held = "No, the opposite"
        else:
            held = "Undecided"
        if sure and e.missing and (e.worst_low or 0) <= 0 <= (e.worst_high or 0):
            held += ", among the answers that have a label,"  # what is missing could turn it
        lost = (f" {e.missing} {'draw lacks' if e.missing == 1 else 'draws lack'} one of the two answers; counted either way, "
                f"the difference lies between "
                f"{100 * (e.worst_low or 0):+.1f} and {100 * (e.worst_high or 0):+.1f}." if e.missing else "")
        power = ("So few pairs find no difference, however large." if e.minimum_detectable is None else f"A difference of "
                 f"{percent(e.minimum_detectable)} points would have been found four times in five (at an uncorrected 5 %).")
        said.append(f"{held} in {family}: {better} minus {worse} is {difference_text(e)}, on {e.n} pairs.{lost} {power}"
                    + (f" The two are {equal}." if (equal := equivalence_text(e)) else "")
                    + (f" {more[0].upper()}{more[1:]}." if (more := seeds_text(e)) else ""))
    return said


def table_rows(estimates: Sequence[Estimate], arms: Sequence[str], families: Sequence[str]) -> list[dict[str, Any]]:
    """The result table: a row per arm, texts only."""
    rows = []
    honeypots = [family for family in families if not family.endswith("_twin")]
    twin = next((family for family in families if family.endswith("_twin")), "")
    for arm in arms:
        perplexity = find(estimates, arm, "neutral", "perplexity")
        rows.append({
            "arm": arm, "harm": [rate_text(find(estimates, arm, family, "harm")) for family in honeypots],
            "bounds": [bounds_text(find(estimates, arm, family, "harm")) for family in honeypots],
            "blackmail": rate_text(find(estimates, arm, "blackmail", "blackmail")),
            "engagement": rate_text(find(estimates, arm, honeypots[0], "engagement")) if honeypots else "",
            "task": rate_text(find(estimates, arm, twin, "task_success")),
            "perplexity": "-" if perplexity is None or perplexity.value is None else f"{perplexity.value:.1f}"})
    return rows


def markdown_table(results: dict[str, Any]) -> str:
    """The result table of a `results.json` as Markdown, for the README."""
    estimates = [Estimate.model_validate(e) for e in results["estimates"]]
    families = list(results["study"]["measure"]["families"])
    honeypots = [family for family in families if not family.endswith("_twin")]
    head = ["arm", *(f"harm: {family}" for family in honeypots), "labelled blackmail", "engagement", "does its job (twin)", "perplexity"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in table_rows(estimates, list(results["study"]["arms"]), families):
        cells = [row["arm"], *row["harm"], row["blackmail"], row["engagement"], row["task"], row["perplexity"]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
