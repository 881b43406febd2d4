"""How does a pipeline run from seeds to a folder? In rounds: each takes the rows still wanted through all steps, screens, writes.

So a run that is killed, or whose budget ends, has finished rows to show; and since every answer is in the cache, the same command goes on.
The folder holds `data.jsonl`, `rejected.jsonl` (with step and reason), `manifest.json` and `answers/`.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from teachwhy import progress, store
from teachwhy.errors import UserError
from teachwhy.interventions import screens
from teachwhy.interventions.meaning import Meaning
from teachwhy.interventions.pipelines import prompts
from teachwhy.interventions.pipelines.answers import Tagged, read
from teachwhy.interventions.pipelines.cache import Cache
from teachwhy.interventions.pipelines.cost import Ledger, Price
from teachwhy.interventions.pipelines.engine import Call, Engine, Role
from teachwhy.interventions.pipelines.guide import Section
from teachwhy.interventions.pipelines.kinds import Kind, Outcome
from teachwhy.interventions.pipelines.steps import Rejected, Row, apply
from teachwhy.records import Document, Example

SCREEN, OUTCOME, VALUES = "screen", "outcome", "values"
PATIENCE = 3
"""Rounds in a row without one row kept, after which a run is stopped."""


@dataclass(frozen=True)
class Settings:
    """How to run.

    Attributes:
        n: rows wanted; None takes the whole source.
        models: role -> an inspect model or its name.
        without: names of steps that are left out; `screen` and `outcome` too, and `values`, under which an answer is written.
        parameters: sent with every request, and part of what names its answer. `max_tokens` is one answer's allowance.
        budget, max_tokens: caps in dollars and in tokens on all that was ever paid into this folder.
        retries, patience, pause, timeout: see `Engine`.
    """

    n: int | None
    models: Mapping[Role, Any]
    without: frozenset[str] = frozenset()
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"max_tokens": 4096})
    prices: Mapping[str, Price] = field(default_factory=dict)
    budget: float | None = None
    max_tokens: int | None = None
    connections: int = 16
    retries: int = 2
    patience: int = 5
    pause: float = 2.0
    timeout: int | None = None
    batch: int = 64


class _Text(Tagged):
    text: str


def open_engine(settings: Settings, out: Path) -> Engine:
    """The engine of a run into this folder.

    Raises:
        UserError: the folder cannot be written to, or a budget in dollars lacks a price.
    """
    store.open_folder(out)
    ledger = Ledger(settings.prices, settings.budget, settings.max_tokens)
    return Engine(settings.models, Cache(out / "answers"), ledger, settings.connections, settings.retries, settings.patience,
                  settings.pause, settings.timeout)


def describe_trait(engine: Engine, settings: Settings, name: str) -> Section:
    """A trait with its reasons, in the generator's words.

    Raises:
        UserError: no description came.
    """
    asked = Call("generator", prompts.messages("trait/describe", {"trait": name}), dict(settings.parameters))
    [found] = engine.ask("describe", [asked], lambda index, reply: read(_Text, reply).text)
    if found.status != "answered":
        raise UserError(f"The trait {name} could not be described ({found.reason or engine.stopped})",
                        "Write a description yourself: a file `## 1. Trait` with text below, given with --constitution.")
    return Section(title=name, text=str(found.value), tag=name)


def make(kind: Kind, settings: Settings, engine: Engine, out: Path, outcome: Outcome | None = None, held_out: Sequence[str] = (),
         told: Mapping[str, Any] | None = None, meaning: Meaning | None = None) -> dict[str, Any]:
    """Make (or go on making) a data set in `out`; returns the manifest.

    Args:
        outcome: grades the answers of kinds that have an agent act.
        held_out: texts of evaluation scenarios; what shares them is rejected.
        told: more to be said in the manifest, such as where the source lies.
        meaning: rows that say the same as an earlier one, or as a text that is held out, are rejected too.

    Raises:
        UserError: `without` names no step of this kind, or one that it cannot do without.
    """
    making = _Making(_lean(kind, settings.without), settings, engine, outcome, held_out, meaning)
    try:
        for _ in making.rounds():
            _write(making, out, told or {})
    except BaseException as error:
        making.ended = error.problem if isinstance(error, UserError) else "interrupted"
        _write(making, out, told or {})
        raise
    return _write(making, out, told or {})


def _lean(kind: Kind, without: Iterable[str]) -> Kind:
    """The kind without the steps, or the values under which a step answers, that were switched off."""
    names = {step.name: step.needed for step in (*kind.plan, *kind.steps)}
    optional = [*(name for name, needed in names.items() if not needed), *[VALUES] * any(step.plain for step in kind.steps),
                *[OUTCOME] * kind.graded, SCREEN]
    for name in without:
        if name not in optional:
            problem = f"The step `{name}` of {kind.name} can't be left out" if name in names else f"{kind.name} has no step `{name}`"
            raise UserError(problem, f"These can be left out: {', '.join(optional)}.")
    steps = (replace(step, prompt=step.plain) if step.plain and VALUES in without else step for step in kind.steps)
    plan = tuple(step for step in kind.plan if step.name not in without)
    return replace(kind, plan=plan, fan=kind.fan if plan else 1, steps=tuple(step for step in steps if step.name not in without),
                   graded=kind.graded and OUTCOME not in without, screened=SCREEN not in without)


@dataclass
class _Making:
    """The state of a run: what is kept, what was rejected, what is planned and not begun."""

    kind: Kind
    settings: Settings
    engine: Engine
    outcome: Outcome | None
    held_out: Sequence[str]
    meaning: Meaning | None
    passed: list[Row] = field(default_factory=list)
    kept: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    screened: list[Rejected] = field(default_factory=list)
    unfinished: int = 0
    ended: str = ""
    mend: str = "Run the same command again to go on"
    _pool: list[Row] = field(default_factory=list)

    @property
    def wanted(self) -> float:
        return math.inf if self.settings.n is None else self.settings.n

    def rounds(self) -> Iterator[int]:
        """Take rows through all steps until enough are kept, the source is empty, or there is a reason to stop; yields after each round."""
        seeds, barren = self.kind.seeds(), 0
        while len(self.kept) < self.wanted and not self.engine.stopped:
            before = len(self.kept)
            need = int(min(self.wanted - before, self.settings.batch))
            source_is_empty = self._refill(seeds, need)
            rows, self._pool = self._pool[:need], self._pool[need:]
            self._through(rows)
            yield len(self.kept)
            if source_is_empty and not self._pool:
                if not self.kept or len(self.kept) < (self.settings.n or 0):
                    self.ended = "the source has no more rows"
                    self.mend = "Give a longer --source, or see rejected.jsonl for what to change"
                break
            barren = 0 if len(self.kept) > before else barren + 1
            if barren >= PATIENCE and not self.engine.stopped:
                self.ended = f"{barren} rounds kept not one row" + self._mostly()
                self.mend = "See rejected.jsonl for what to change: the same command would end here again"
                break

    def _mostly(self) -> str:
        """The commonest kind of reason for which rows were not kept, as it was given the first time."""
        given = [one.reason for one in (*self.rejected, *self.screened)]
        kinds = Counter(reason.split(":")[0] for reason in given).most_common(1)
        return f"; mostly: {next(reason for reason in given if reason.startswith(kinds[0][0]))[:160]}" if kinds else ""

    def _refill(self, seeds: Iterator[Row], need: int) -> bool:
        """Plan more rows if fewer than needed lie ready; whether the seeds have run out. Seeds take turns, so that topics spread."""
        lacking = need - len(self._pool)
        if lacking <= 0:
            return False
        count = max(math.ceil(lacking / self.kind.fan), min(lacking, self.kind.spread))
        rows = list(itertools.islice(seeds, count))
        empty = len(rows) < count
        for step in self.kind.plan:
            families, bad, unfinished = apply(self.engine, step, rows, dict(self.settings.parameters))
            self._note(bad, unfinished)
            turns = itertools.zip_longest(*families)
            rows = [row for turn in turns for row in turn if row is not None]
        self._pool += rows
        return empty

    def _through(self, rows: list[Row]) -> None:
        for step in self.kind.steps:
            families, bad, unfinished = apply(self.engine, step, rows, dict(self.settings.parameters))
            self._note(bad, unfinished)
            rows = [row for family in families for row in family]
            if self.kind.graded and step.name == "answer":
                rows = self._graded(rows)
        self.passed += rows
        self._screen()

    def _graded(self, rows: list[Row]) -> list[Row]:
        good = []
        for row in rows:
            if self.outcome is None or "facts" not in row.data:
                note = "not graded: " + ("no grader was given" if self.outcome is None else "the scenario states no facts")
                good.append(replace(row, data=row.data | {"outcome": note}))
                continue
            shown = {key: row.data[key] for key in ("facts", "family", "messages", "answer") if key in row.data}
            why = self.outcome(shown | {"id": row.id})
            if why is None:
                good.append(replace(row, data=row.data | {"outcome": "passed"}))
            else:
                self._note([Rejected(row, OUTCOME, why)], 0)
        return good

    def _screen(self) -> None:
        """Part what has passed all steps anew: some screens look at the whole set."""
        self.kept, self.screened = self.passed, []
        if not self.kind.screened or not self.passed:
            return
        items = {row.id: _item(row.id, self.kind.finish(row.data)) for row in self.passed}
        _, bad = screens.screen(list(items.values()), self.held_out, meaning=self.meaning, together=self.kind.compared)
        reasons = {one.item.id: "; ".join(one.reasons) for one in bad}
        self.kept = [row for row in self.passed if row.id not in reasons]
        self.screened = [Rejected(row, SCREEN, reasons[row.id]) for row in self.passed if row.id in reasons]

    def _note(self, bad: Sequence[Rejected], unfinished: int) -> None:
        self.rejected += bad
        self.unfinished += unfinished


def _item(name: str, written: Mapping[str, Any]) -> Example | Document:
    if "text" in written:
        return Document(id=name, text=written["text"])
    return Example(id=name, messages=tuple(written["messages"]), tools=tuple(written.get("tools", ())))


def _name(kind: Kind, row: Row) -> str:
    return f"{kind.name}-{row.id}"


def _written(kind: Kind, row: Row) -> dict[str, Any]:
    return {"id": _name(kind, row), **kind.finish(row.data),
            **{key: row.data[key] for key in ("score", "realism") if key in row.data},
            "provenance": {"parents": list(row.parents), "steps": list(row.made)}}


def _write(making: _Making, out: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    kind, engine, settings = making.kind, making.engine, making.settings
    rejected = [*making.rejected, *making.screened]
    kept = making.kept
    manifest = {
        "kind": kind.name, "kept": len(kept), "wanted": settings.n, "rejected": len(rejected), "unfinished": making.unfinished,
        "stopped": engine.stopped or making.ended,
        "to go on": engine.mend if engine.stopped else making.mend if making.ended else "",
        "reasons": dict(Counter(f"{one.step}: {one.reason.split(':')[0].split(' (')[0]}" for one in rejected)),
        "outcomes": dict(Counter(str(row.data["outcome"]) for row in kept if "outcome" in row.data)),
        "steps": {name: dict(count) for name, count in engine.counts.items()},
        "tokens": {"this run": {m: list(t) for m, t in engine.ledger.fresh.items()},
                   "all runs": {m: list(t) for m, t in engine.ledger.paid.items()},
                   "answers not counted by provider": engine.ledger.guessed},
        "dollars": {"this run": engine.ledger.cost(engine.ledger.fresh), "all runs": engine.ledger.cost(engine.ledger.paid)},
        "settings": {"models": {role: engine.name(role) for role in settings.models}, "without": sorted(settings.without),
                     "parameters": dict(settings.parameters), "retries": settings.retries, "budget": settings.budget,
                     "max_tokens": settings.max_tokens, "held_out": store.digest(sorted(making.held_out)), **told},
        "prompts": {step.name: prompts.digest(step.prompt) for step in (*kind.plan, *kind.steps)},
        "provenance": store.provenance()}
    try:
        store.write_jsonl(out / "data.jsonl", (_written(kind, row) for row in kept))
        store.write_jsonl(out / "rejected.jsonl", (
            {"id": _name(kind, one.row), "step": one.step, "reason": one.reason, "row": one.row.data,
             "provenance": {"parents": list(one.row.parents), "steps": [*one.row.made, *one.made]}} for one in rejected))
        store.write_json(out / "manifest.json", manifest)
    except OSError as error:
        raise UserError(f"Cannot write to {out} ({error.strerror})", "Free some space, then run the same command.") from error
    progress.say(f"{kind.name}: {len(kept)} kept, {len(rejected)} rejected")
    return manifest
