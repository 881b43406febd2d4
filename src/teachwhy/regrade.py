"""How else could a run be labelled? Its stored transcripts, graded again by the rules of today or by a judge, without sampling.

The run's own outcomes stay. The new ones lie in `regraded/<rater>/outcomes/`, a folder that `teachwhy gate` reads like a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teachwhy import compare, corpora, judge, progress, scenarios, store
from teachwhy.errors import UserError
from teachwhy.judge import Exhibit, Verdict
from teachwhy.records import HARMFUL, Evidence, Outcome
from teachwhy.scenarios.answers import Kind
from teachwhy.scenarios.transcripts import Transcript

SENT = ("measured", "unclear")
"""Statuses of answers in which something was sent. What the rules cannot make out is what a judge is for."""


@dataclass(frozen=True)
class Rater:
    """Who rated, and with which errors on each labelled set that was asked of; `labels`: on the set whose items have one of all labels."""

    name: str
    errors: Mapping[Kind, compare.Errors]
    labels: compare.Agreement | None = None


@dataclass(frozen=True)
class _Said:
    """A rater's label of a labelled item. `truth` is the item's own label; empty where it is only known to be harm or none."""

    harmful: bool
    label: str
    truth: str = ""


def read_outcomes(run: Path) -> dict[str, list[Outcome]]:
    """arm -> its stored outcomes.

    Raises:
        UserError: the folder holds none.
    """
    files = sorted((run / "outcomes").glob("*.jsonl"))
    if not files:
        raise UserError(f"{run} holds no outcomes", "Give the folder of a finished study or sweep.")
    return {file.stem: [Outcome.model_validate(row) for row in corpora.read_rows(file)] for file in files if file.stat().st_size}


_KEPT = ("model", "train_seed", "stage", "commit", "sequential")


def by_rules(run: Path) -> dict[str, list[Outcome]]:
    """Every stored answer, labelled by the rules of today."""
    found = {}
    for arm, old in read_outcomes(run).items():
        if any("stage" not in o.conditions for o in old):
            raise UserError(f"Some outcomes of {arm} do not say which stage they are from", "Grade a run that this version made.")
        stages = dict.fromkeys(str(o.conditions["stage"]) for o in old)
        conditions: dict[str, dict[str, Any]] = {
            str(o.conditions["stage"]): {key: o.conditions[key] for key in _KEPT if key in o.conditions} for o in old}
        coupling = old[0].conditions.get("coupling", "message")
        # A study counts training seeds as rollouts: an answer keeps the number that it was stored under.
        number = {(str(o.conditions["stage"]), o.draw): o.rollout for o in old}
        drawn = {stage: [o.draw for o in old if o.conditions["stage"] == stage] for stage in stages}
        repeats = {stage: len(names) > len(set(names)) for stage, names in drawn.items()}
        found[arm] = [o if repeats[stage] else o.model_copy(update={"rollout": number.get((stage, o.draw), o.rollout)})
                      for stage in stages for o in scenarios.grade_log(_log(run, stage), arm, conditions[stage], coupling)]
    _write(run, f"rules-{scenarios.GRADER_VERSION}", found)
    return found


def _log(run: Path, stage: str) -> Path:
    path = run / stage / "log.eval"
    if not path.is_file():
        raise UserError(f"The log {path} is not there any more", "Keep the stage folders of a run that is to be graded again.")
    return path


def _write(run: Path, name: str, found: dict[str, list[Outcome]]) -> Path:
    folder = store.open_folder(run / "regraded" / name / "outcomes")
    for arm, outcomes in found.items():
        store.write_jsonl(folder / f"{arm}.jsonl", (o.model_dump(mode="json") for o in outcomes))
    return folder.parent


def kinds(found: Mapping[str, Sequence[Outcome]]) -> tuple[Kind, ...]:
    """The kinds of labelled sets that tell a rater's errors in these outcomes. In a twin, whose rate is not corrected, none do."""
    families = dict.fromkeys(o.family for outcomes in found.values() for o in outcomes if not o.family.endswith("_twin"))
    return tuple(dict.fromkeys(kind for family in families if (kind := scenarios.kind_of(family))))


def by_judge(run: Path, model: Any, name: str, connections: int = 16) -> tuple[dict[str, list[Outcome]], Rater]:
    """Every stored answer in which something was sent, labelled by a judge; the judge's errors on labelled sets of its kinds.

    Verdicts are kept one by one: the same command goes on where it stopped.

    Args:
        model: an inspect model; `name` stands for it in file names and hashes.
    """
    graded = by_rules(run)
    identity = judge.identity(name, judge.SETTINGS)
    folder = store.open_folder(run / "regraded" / f"judge-{identity}")
    rater = check(model, name, folder, kinds(graded), connections)
    rated = {arm: [o for o in outcomes if o.status in SENT] for arm, outcomes in graded.items()}
    exhibits = {_key(arm, o): scenarios.exhibit(_log(run, str(o.conditions["stage"])), o, _key(arm, o))
                for arm, outcomes in rated.items() for o in outcomes}
    verdicts = _ask(model, list(exhibits.values()), folder / "verdicts.jsonl", "judge", connections)
    found = {arm: [_judged(o, verdicts[_key(arm, o)], identity) if o.status in SENT else o for o in outcomes]
             for arm, outcomes in graded.items()}
    _write(run, folder.name, found)
    store.write_jsonl(folder / "disputed.jsonl", disputed(graded, found))
    return found, rater


def disputed(rules: dict[str, list[Outcome]], judged: dict[str, list[Outcome]]) -> list[dict[str, Any]]:
    """Each answer that the rules call harm and a judge does not, with both reasons: the judge may be right, or have been talked to."""
    return [{"arm": arm, "draw": o.draw, "rollout": o.rollout, "stage": o.conditions.get("stage"), "rules": o.label, "why": o.reason,
             "judge": other.label or other.status, "judge_why": other.reason}
            for arm, outcomes in rules.items() for o, other in zip(outcomes, judged[arm], strict=True)
            if o.label in HARMFUL and other.label not in HARMFUL]


def _key(arm: str, o: Outcome) -> str:
    return "|".join(map(str, (arm, o.conditions.get("stage", ""), o.draw, o.rollout)))


def _judged(o: Outcome, verdict: Verdict, identity: str) -> Outcome:
    """An outcome with the judge's label in place of the rules'."""
    place = o.answer.find(verdict.quote) if verdict.quote else -1
    spans = (Evidence(start=place, end=place + len(verdict.quote), what="quoted by the judge"),) if place >= 0 and not o.transcript else ()
    reason = f"judge: {verdict.quote or verdict.why}" + (" (it addressed its grader)" if verdict.flagged else "")
    return o.model_copy(update={"status": verdict.status, "label": verdict.label, "evidence": spans, "aware": verdict.aware,
                                "reason": reason, "conditions": {**o.conditions, "grader": identity}})


def check(model: Any, name: str, folder: Path, kinds: Iterable[Kind], connections: int = 16) -> Rater:
    """A judge's errors on the labelled sets of these kinds: on the items in which something was sent or done, for it is shown no others."""
    items = {kind: [one for one in _exhibits(kind) if one[0].sent] for kind in kinds}
    asked = [exhibit for rows in items.values() for exhibit, _, _ in rows]
    verdicts = _ask(model, asked, folder / "labelled.jsonl", "judge on labelled answers", connections)
    return _rater(name, {kind: [_Said(harmful, str(verdicts[exhibit.id].label), truth) for exhibit, harmful, truth in rows
                                if verdicts[exhibit.id].status == "measured"] for kind, rows in items.items()})


def _exhibits(kind: Kind) -> list[tuple[Exhibit, bool, str]]:
    """(what a judge is shown, is it harm, its label) of every item of a labelled set; the deeds have no label of six."""
    if kind == "transcripts":
        return [(scenarios.exhibit_of_transcript(one), label in HARMFUL, label) for split in ("tune", "test")
                for one, label in scenarios.labelled(split) if label != "none"]
    return [(scenarios.exhibit_of_draw(one.draw, [{"role": "assistant", "content": one.answer}], one.id), one.harmful, "")
            for split in ("tune", "test") for one in scenarios.labelled_answers(split)]


def _rater(name: str, said: Mapping[Kind, Sequence[_Said]]) -> Rater:
    """A rater from what it said of the items of each labelled set."""
    errors = {kind: compare.errors([one.harmful for one in rows], [one.label in HARMFUL for one in rows]) for kind, rows in said.items()}
    named = [one for rows in said.values() for one in rows if one.truth]
    return Rater(name, errors, compare.cohen_kappa([one.truth for one in named], [one.label for one in named]) if named else None)


def rules_on_labelled(kinds: Iterable[Kind]) -> Rater:
    """The errors of our own labels on the test part of the labelled sets of these kinds, which no rule was written on and no probe
    fitted on."""
    found = {kind: _by_rules(kind) for kind in kinds}
    return _rater("rules", found)


def _by_rules(kind: Kind) -> list[_Said]:
    """Our labels of the test part of a labelled set, but for what has none."""
    said = []
    if kind == "deeds":
        answers = scenarios.labelled_answers("test")
        graded = [(one.harmful, scenarios.grade(one.draw, one.answer, False).label) for one in answers]
        return [_Said(harmful, label) for harmful, label in graded if label is not None]
    rows = [(transcript, label) for transcript, label in scenarios.labelled("test") if label != "none"]
    with progress.bar("errors of our labels", len(rows)) as done:
        for transcript, truth in rows:
            label = scenarios.grade_transcript(transcript)[0].label
            said += [_Said(truth in HARMFUL, label, truth)] if label is not None else []
            done(1)
    return said


def _ask(model: Any, exhibits: Sequence[Exhibit], kept: Path, title: str, connections: int) -> dict[str, Verdict]:
    """Verdicts by id: those that are kept already, the others asked for now. Errors are asked for again."""
    found: dict[str, Verdict] = {}
    keys = {exhibit.id: judge.key_of(exhibit) for exhibit in exhibits}
    if kept.is_file():
        for line in kept.read_text(encoding="utf-8").split("\n"):
            if line.strip() and (verdict := _read(line)) and verdict.status != "error" and verdict.key == keys.get(verdict.id):
                found[verdict.id] = verdict
    missing = [exhibit for exhibit in exhibits if exhibit.id not in found]
    with kept.open("a", encoding="utf-8") as stream, progress.bar(title, len(missing)) as done:

        def tell(verdict: Verdict) -> None:
            found[verdict.id] = verdict
            stream.write(json.dumps(verdict.model_dump(mode="json"), ensure_ascii=False) + "\n")
            stream.flush()
            done(1)

        if missing:
            judge.ask(model, missing, tell, connections)
    if exhibits and all(found[exhibit.id].status == "error" for exhibit in exhibits):
        raise UserError(f"The judge gave not one answer ({found[exhibits[0].id].why})", "Mend the cause and run the same command.")
    return found


def _read(line: str) -> Verdict | None:
    """A kept verdict; a line that a kill cut short is none."""
    try:
        return Verdict.model_validate_json(line)
    except ValueError:
        return None


def second_opinions(read: Sequence[Transcript], rows: Sequence[dict[str, Any]], model: Any, kept: Path) -> list[Verdict | None]:
    """A judge's verdict on each transcript in which something was sent (by the rules' own row of it), None on the others.

    Args:
        kept: a file of this judge's; verdicts are added one by one, and what it has already is not asked again.
    """
    # By place, since ids may repeat.
    exhibits = [scenarios.exhibit_of_transcript(one).model_copy(update={"id": str(place)})
                for place, (one, row) in enumerate(zip(read, rows, strict=True)) if row["status"] in SENT]
    found = _ask(model, exhibits, kept, "judge", connections=16)
    return [found[str(place)].model_copy(update={"id": one.id}) if str(place) in found else None for place, one in enumerate(read)]


def comparison(old: dict[str, list[Outcome]], new: dict[str, list[Outcome]], rater: Rater) -> list[dict[str, Any]]:
    """Per arm and honeypot family: both rates of harm, the new one with the rater's errors on that kind taken out, and their agreement;
    `cell` is what the new labels say, harm among answers that speak of a test and among the others included."""
    rows = []
    for arm, everything in new.items():
        before = compare.cells(old[arm])
        for cell, outcomes in compare.cells(everything).items():
            family, condition = cell[:2]
            if family.endswith("_twin"):
                continue
            stored, now = compare.level(compare.ArmResult(arm, before.get(cell, [])), family, "harm"), compare.by_condition(outcomes)[0]
            pairs = _pairs(before.get(cell, []), outcomes, family)
            values, _ = compare.values_of(outcomes, family, "harm")
            size = compare.effective_n(values) if values else 0.0
            corrected = _corrected((now.harm.value or 0.0) * size, size, rater, family)
            name = family if condition in ("", "standard") else f"{family}: {condition}"
            rows.append({"arm": arm, "family": name, "old": stored, "new": now.harm, "corrected": corrected, "cell": now,
                         "agreement": compare.cohen_kappa([a for a, _ in pairs], [b for _, b in pairs]),
                         "cleared": _cleared(before.get(cell, []), outcomes)})
    return rows


def _cleared(old: Sequence[Outcome], new: Sequence[Outcome]) -> int:
    """Stored harm that the other rater does not find, be it that it sees none or that it gives no verdict."""
    harm = {_key("", o) for o in old if o.label in HARMFUL}
    return sum(_key("", o) in harm and o.label not in HARMFUL for o in new)


def _corrected(k: float, n: float, rater: Rater, family: str) -> compare.Corrected:
    """A rate without the errors that the rater made on labelled items of the family's kind: errors in mails say nothing of deeds."""
    kind = scenarios.kind_of(family)
    if kind is None or kind not in rater.errors:
        return compare.Corrected(None, None, None, "no labelled set is of this kind")
    return compare.corrected_rate(k, n, rater.errors[kind])


def _pairs(old: Sequence[Outcome], new: Sequence[Outcome], family: str) -> list[tuple[str, str]]:
    """(old, new) label of each answer that both measured."""
    before = {_key("", o): o.label for o in old if o.family == family and o.status == "measured"}
    return [(str(before[_key("", o)]), str(o.label)) for o in new
            if o.family == family and o.status == "measured" and _key("", o) in before]
