"""How does one file become one answer? The rooms in order, each step a stage that is kept.

    train (base, prior, arms) -> choose the dose by its rule -> sample and score every arm -> grade -> compare -> report

This is, with the command line, the only place where rooms meet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teachwhy import compute, corpora, interventions, plan, progress, scenarios, store, weights
from teachwhy.compare import ArmResult, Comparison, agreement, can_show, compare
from teachwhy.plan import Plan
from teachwhy.records import HARMFUL, Example, Outcome
from teachwhy.report import write_report
from teachwhy.report.words import arm_line

RAW = "as shipped"


@dataclass(frozen=True)
class Checkpoint:
    """A model folder and the key of everything that made it."""

    path: Path
    key: str


@dataclass
class Study:
    """A study in progress: its plan, its stages, and what has been trained so far."""

    plan: Plan
    stages: store.Store
    trained: dict[tuple[str, int], Checkpoint]
    manifests: dict[str, dict[str, Any]]
    advance: progress.Advance
    meaning: interventions.Meaning | None = None
    seconds: dict[str, float] = field(default_factory=dict)  # stage folder -> how long it took when it was computed
    peaks: dict[str, float | None] = field(default_factory=dict)  # most memory (GiB) of the process, up to that stage
    machines: set[str] = field(default_factory=set)  # where stages were computed
    share: float | None = None  # the chosen dose, as a share of the organism's budget
    dose: list[dict[str, Any]] | None = None
    shipped: dict[str, Any] | None = None


def run(study_plan: Plan, out: Path) -> dict[str, Any]:
    """Run (or go on with) a study; returns the results and writes `results.json` and `report.html` into `out`.

    Raises:
        UserError: bad input; what is finished stays.
    """
    started = time.time()
    stages = store.Store(out)
    source = weights.resolve(study_plan.model)
    root = Checkpoint(source, weights.fingerprint(source))
    meaning = interventions.meaning_reader(study_plan.meaning, study_plan.alike)
    _look_ahead(study_plan, source, meaning)
    for line in _power(study_plan):
        progress.say(line)
    with progress.bar("whole study", _work(study_plan)) as advance:
        state = Study(study_plan, stages, {}, {}, advance, meaning)
        raw = _language(state, root, RAW)
        if raw:
            mean = sum(row["perplexity"] for row in raw) / len(raw)
            state.shipped = {"perplexity": mean, "passages": len(raw)}
            progress.say(f"{study_plan.model} {RAW}: perplexity {mean:.1f} on {len(raw)} neutral passages")
        for seed in study_plan.train_seeds:
            for name in study_plan.arms:
                _train_arm(state, root, name, seed)
        arms = [_measure_arm(state, name, root) for name in study_plan.arms]
    stages.tidy()
    return _conclude(state, root, arms, out, started)


def _look_ahead(study_plan: Plan, source: Path, meaning: interventions.Meaning | None) -> None:
    """Whatever would stop the study later should stop it now: data sets, leaks in the user's own, calls that the model's chat template
    cannot show, too many draws."""
    for part in dict.fromkeys(part for arm in study_plan.arms.values() for part in arm.parts):
        items = interventions.read_set(part)
        if meaning or part not in interventions.SETS:  # those that ship are checked by our tests, but for what any model reads in them
            interventions.check_leakage(part, items, scenarios.evaluation_texts(), meaning)
        if any(isinstance(item, Example) and item.tools for item in items):
            interventions.check_template(items, weights.tokenizer(source))
    for name, n in study_plan.measure.families.items():
        scenarios.family(name).draws(n, study_plan.seed)
    scenarios.family("blackmail").draws(study_plan.measure.likelihood, study_plan.seed)
    if study_plan.dose:
        scenarios.family("blackmail").draws(study_plan.dose.draws, study_plan.seed, "pilot")


def _power(study_plan: Plan) -> list[str]:
    """What this many draws can show, said before anything is run: per honeypot family, for one training seed."""
    return [f"{name}, {can_show(n)}" for name, n in study_plan.measure.families.items() if not name.endswith("_twin")]


def _work(study_plan: Plan) -> float:
    """Rough work in units of one prompt token's forward pass, for the overall bar."""
    seeds = len(study_plan.train_seeds)
    most = max((arm.tokens for arm in study_plan.arms.values() if isinstance(arm.tokens, int)), default=0)
    training = sum(4 * (arm.tokens if isinstance(arm.tokens, int) else most) for arm in study_plan.arms.values())
    draws = sum(study_plan.measure.families.values())
    pilot = len(study_plan.dose.milestones) * study_plan.dose.draws if study_plan.dose else 0
    return seeds * (training + len(study_plan.arms) * (700 * draws + 900 * study_plan.measure.likelihood)) + 700 * pilot


def _stage(state: Study, name: str, inputs: dict[str, Any], make: Callable[[Path], None], work: float) -> Path:
    def made(folder: Path) -> None:
        make(folder)
        compute.give_back()

    folder = state.stages.stage(name, inputs, made)
    done = store.read_json(folder / "done.json")
    state.seconds[folder.name] = float(done["seconds"])
    state.machines.add(done["provenance"]["machine"])
    state.peaks[folder.name] = done.get("peak_memory_gib")  # stages of an older version do not know it
    state.advance(work)
    return folder


def _train_arm(state: Study, root: Checkpoint, name: str, seed: int) -> None:
    """Build an arm's data and train it from its parent; for the organism, choose the dose."""
    arm = state.plan.arms[name]
    parent = root if arm.parent is None else state.trained[arm.parent, seed]
    is_dose = state.plan.dose is not None and state.plan.dose.arm == name
    tokens = arm.tokens if isinstance(arm.tokens, int) else _dose_tokens(state)
    mixture = interventions.Mixture(parts=arm.parts, tokens=tokens)
    files = {part: store.file_digest(interventions.data_file(part)) for part in arm.parts}
    alike = {part: same for part in arm.parts if len(same := interventions.views(part)) > 1}
    read = {"meaning": [weights.fingerprint(weights.resolve(state.plan.meaning)), state.plan.alike]} if state.plan.meaning else {}

    def build(folder: Path) -> None:
        tokenizer = weights.tokenizer(root.path)
        interventions.build(mixture, tokenizer, seed, scenarios.evaluation_texts(), folder, state.meaning)

    data = _stage(state, f"data-{name}-s{seed}", {
        "mixture": mixture.model_dump(), "seed": seed, "files": files, "tokenizer": root.key,
        "scenarios": scenarios.material_digest(), **({"the same items": alike} if alike else {}), **read}, build, 0)
    state.manifests[f"{name} seed {seed}"] = store.read_json(data / "manifest.json")
    recipe = state.plan.recipe_of(name)
    milestones = _milestones(state, is_dose)

    def fit(folder: Path) -> None:
        from teachwhy import training

        rows = [{key: row[key] for key in ("input_ids", "labels")} for row in corpora.read_rows(data / "rows.jsonl")]
        training.train(parent.path, rows, recipe, seed, folder, f"train {name}{_of(state, seed)}", milestones,
                       _warning(state.plan, name), state.plan.lanes, state.plan.save_minutes)

    folder = _stage(state, f"train-{name}-s{seed}", {
        "parent": parent.key, "data": store.key_of(data), "recipe": recipe.model_dump(), "seed": seed,
        "milestones": milestones, "lanes": state.plan.lanes}, fit, 4 * tokens)
    losses = [step["loss"] for step in store.read_json(folder / "history.json")]
    progress.say(f"trained {name}{_of(state, seed)}: {store.read_json(data / 'manifest.json')['tokens']} tokens, "
                 f"{len(losses)} steps, loss {losses[0]:.2f} to {losses[-1]:.2f}")
    share = _choose_dose(state, folder, name) if is_dose and state.share is None else milestones[-1]
    if is_dose:
        state.share = share = state.share or share
    state.trained[name, seed] = Checkpoint(folder / f"model-{round(100 * share)}", f"{store.key_of(folder)}@{share:g}")


def _warning(study_plan: Plan, name: str) -> str:
    """What must be said of a checkpoint whose training, or an ancestor's, held hostile text."""
    read: list[str] = []
    at: str | None = name
    while at is not None:
        read += [part for part in study_plan.arms[at].parts if part in interventions.HOSTILE]
        at = study_plan.arms[at].parent
    return f"Taught hostile text on purpose ({', '.join(read)}): it may threaten and deceive." if read else ""


def _of(state: Study, seed: int) -> str:
    return f" (seed {seed})" if len(state.plan.train_seeds) > 1 else ""


def _milestones(state: Study, is_dose: bool) -> tuple[float, ...]:
    if not is_dose or state.plan.dose is None:
        return (1.0,)
    return (state.share,) if state.share is not None else state.plan.dose.milestones


def _dose_tokens(state: Study) -> int:
    dose = state.plan.dose
    assert dose is not None  # the plan was checked
    budget = state.plan.arms[dose.arm].tokens
    assert isinstance(budget, int)
    return round((state.share or 1.0) * budget)


def _choose_dose(state: Study, folder: Path, name: str) -> float:
    """Sample the pilot draws at each milestone and apply the rule of the study file.

    The choice is a stage of its own and stays as it was made: a better grader later reads the transcripts again, and does
    not train other arms.
    """
    dose = state.plan.dose
    assert dose is not None
    pilots = {share: _sample(state, Checkpoint(folder / f"model-{round(100 * share)}", f"{store.key_of(folder)}@{share:g}"),
                             f"pilot-{round(100 * share)}", "blackmail", dose.draws, "pilot") for share in dose.milestones}

    def choose(out: Path) -> None:
        entries = [_pilot_entry(share, outcomes) for share, outcomes in pilots.items()]
        min(entries, key=lambda entry: abs(entry["harm"] - dose.aim))["chosen"] = True
        store.write_json(out / "dose.json", entries)

    chosen = _stage(state, f"dose-{name}", {
        "checkpoints": store.key_of(folder), "rule": dose.model_dump(), "of": "all draws", "decoding": state.plan.decoding.model_dump(),
        "draws": scenarios.draws_digest("blackmail", dose.draws, state.plan.seed, "pilot")}, choose, 0)
    state.dose = store.read_json(chosen / "dose.json")
    for entry in state.dose:
        progress.say(f"pilot of {name} at {entry['share']:.0%} of its training: {_seen(entry)}"
                     + (" (dose chosen by the rule)" if entry.get("chosen") else ""))
    return float(next(entry["share"] for entry in state.dose if entry.get("chosen")))


def _seen(entry: dict[str, Any]) -> str:
    """What a pilot showed; where nothing was measured, that, and no rate."""
    if not entry["measured"]:
        return f"none of {entry['missing']} draws could be labelled, so nothing is known of harm"
    return f"harm in {entry['harm']:.0%} of all {entry['measured'] + entry['missing']} draws, {entry['missing']} without a label"


def _pilot_entry(share: float, outcomes: list[Outcome]) -> dict[str, Any]:
    measured = [o for o in outcomes if o.status == "measured"]
    return {"share": share, "measured": len(measured), "missing": len(outcomes) - len(measured),
            "harm": sum(o.label in HARMFUL for o in measured) / len(outcomes),
            "grader": scenarios.GRADER_VERSION}


def _sample(state: Study, checkpoint: Checkpoint, arm: str, family: str, n: int, split: str = "eval",
            seed: int = 1) -> list[Outcome]:
    """Sampled and graded outcomes of one checkpoint in one family."""
    decoding = state.plan.decoding.model_dump()

    def make(folder: Path) -> None:
        model = scenarios.local_model(checkpoint.path, n, state.plan.slots, state.plan.lanes, f"sample {arm}: {family}")
        scenarios.sample_family(model, family, n, state.plan.seed, decoding, folder, split, coupling=state.plan.measure.coupling)

    folder = _stage(state, f"sample-{arm}-{family}-s{seed}", {
        "model": checkpoint.key, "family": family, "draws": scenarios.draws_digest(family, n, state.plan.seed, split),
        "decoding": decoding, "slots": state.plan.slots, "lanes": state.plan.lanes, "seed": state.plan.seed}, make, 700 * n)
    conditions = {"model": checkpoint.key, "train_seed": seed, "stage": folder.name,
                  "commit": store.read_json(folder / "done.json")["provenance"]["commit"]}
    return scenarios.grade_log(folder / "log.eval", arm, conditions, state.plan.measure.coupling)


def _language(state: Study, checkpoint: Checkpoint, arm: str) -> list[dict[str, Any]]:
    """Perplexity per neutral passage."""
    if not state.plan.measure.perplexity:
        return []

    def make(folder: Path) -> None:
        model, tokenizer = weights.load(checkpoint.path)
        scenarios.measure_perplexity(model, tokenizer, f"perplexity of {arm}", folder)

    folder = _stage(state, f"perplexity-{arm.replace(' ', '_')}", {
        "model": checkpoint.key, "material": scenarios.material_digest()}, make, 0)
    return corpora.read_rows(folder / "perplexity.jsonl")


def _likelihood(state: Study, checkpoint: Checkpoint, arm: str) -> list[dict[str, Any]]:
    """Likelihood contrasts per draw."""
    n = state.plan.measure.likelihood
    if not n:
        return []

    def make(folder: Path) -> None:
        model, tokenizer = weights.load(checkpoint.path)
        scenarios.measure_likelihood(model, tokenizer, n, state.plan.seed, f"likelihood of {arm}", folder)

    folder = _stage(state, f"likelihood-{arm}", {
        "model": checkpoint.key, "n": n, "seed": state.plan.seed, "material": scenarios.material_digest()}, make, 900 * n)
    return corpora.read_rows(folder / "likelihood.jsonl")


def _measure_arm(state: Study, name: str, root: Checkpoint) -> ArmResult:
    """Everything that is measured of one arm, over all training seeds; says the headline when it is there."""
    outcomes: list[Outcome] = []
    likelihood: list[dict[str, Any]] = []
    perplexity: list[dict[str, Any]] = []
    for index, seed in enumerate(state.plan.train_seeds):
        checkpoint = state.trained[name, seed]
        for family, n in state.plan.measure.families.items():
            found = _sample(state, checkpoint, name, family, n, seed=seed)
            outcomes += [outcome.model_copy(update={"rollout": index}) for outcome in found]
        likelihood += _likelihood(state, checkpoint, name)
        perplexity += _language(state, checkpoint, name)
    result = ArmResult(name, outcomes, likelihood, perplexity)
    progress.say(arm_line(name, compare([result], [])))
    return result


def _conclude(state: Study, root: Checkpoint, arms: list[ArmResult], out: Path, started: float) -> dict[str, Any]:
    """Estimates, the copying check, the results file and the report."""
    estimates = compare(arms, [Comparison(*pair) for pair in plan.comparisons(state.plan)], state.plan.margin)
    results = {
        "study": state.plan.model_dump(mode="json"), "provenance": store.provenance(),
        "model": {"name": state.plan.model, "hash": root.key},
        "arms": {f"{name} seed {seed}": checkpoint.key for (name, seed), checkpoint in state.trained.items()},
        "data": state.manifests, "scenarios": scenarios.material_digest(), "grader": scenarios.GRADER_VERSION,
        "dose": state.dose, "estimates": [estimate.model_dump() for estimate in estimates],
        "agreement": agreement(estimates), "copying": _copying(state, arms), "as_shipped": state.shipped,
        "families": {name: {"title": scenarios.family(name).title, "kind": scenarios.family(name).kind,
                            "trained": scenarios.family(name).trained} for name in state.plan.measure.families},
    }
    folder = store.open_folder(out / "outcomes")
    for arm in arms:
        store.write_jsonl(folder / f"{arm.name}.jsonl", [o.model_dump(mode="json") for o in arm.outcomes])
    peaks = list(state.peaks.values())
    results["run"] = {"finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "this_run_seconds": round(time.time() - started),
                      "stage_seconds": state.seconds, "machines": sorted(state.machines),
                      "peak_memory_gib": None if None in peaks else max([store.peak_memory(), *(p for p in peaks if p)])}
    store.write_json(out / "results.json", results)
    write_report(results, [outcome for arm in arms for outcome in arm.outcomes], out / "report.html")
    return results


def _copying(state: Study, arms: list[ArmResult]) -> dict[str, Any]:
    """Are the harmful e-mails of each arm copies of what its priors read?"""
    priors = [part for arm in state.plan.arms.values() if arm.kind == "prior" for part in arm.parts]
    corpus = [interventions.text_of(item) for part in dict.fromkeys(priors) if part != plan.REPLAY
              for item in interventions.read_set(part)]
    return {arm.name: interventions.copying([o.answer for o in arm.outcomes if o.label in HARMFUL], corpus) for arm in arms}
