"""What can be typed to make data? `teachwhy make KIND` and `teachwhy mix FILE`: parse, call one function, print."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teachwhy.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachwhy.interventions import pipelines
    from teachwhy.interventions.pipelines import Section
    from teachwhy.interventions.pipelines.engine import Engine

app = typer.Typer()


@app.command()
def make(
    kind: Annotated[str, typer.Argument(help="difficult-advice, demonstrations, with-reasons, padded, documents, stories, "
                                              "stories-without-ai, diversify, trait, or curiosity (a trait).")],
    model: Annotated[str, typer.Option(help="The inspect model that is asked, such as anthropic/claude-... or openai-api/local/name.")],
    n: Annotated[int | None, typer.Option("-n", help="Rows wanted; by default 10, or all of the source.", min=1)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; the same folder goes on where it stopped. By default runs/make-KIND.")] = None,
    generator: Annotated[str | None, typer.Option(help="Another model for drafting.")] = None,
    critic: Annotated[str | None, typer.Option(help="Another model for critique.")] = None,
    judge: Annotated[str | None, typer.Option(help="Another model for scores.")] = None,
    source: Annotated[str | None, typer.Option(help="A shipped set or a .jsonl: chats for with-reasons, padded, diversify; texts for "
                                                    "stories-without-ai; scenarios for demonstrations; situations, "
                                                    "messages or chats for difficult-advice and trait.")] = None,
    trait: Annotated[str, typer.Option(help="For the kind trait: its name, such as curiosity.")] = "",
    constitution: Annotated[Path | None, typer.Option(help="Another statement of values (`## 1. Title` sections); for the kind trait, a "
                                                           "description of it.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="A step to leave out, such as rewrite-answer, or `values`: what the answer is "
                                                       "written under; may be repeated.")] = None,
    min_score: Annotated[int, typer.Option(help="Lowest score of the judge that is kept.", min=1, max=10)] = 7,
    words: Annotated[int, typer.Option(help="Words of neutral text, where the source has no reasons to match.", min=10, max=400)] = 60,
    budget: Annotated[float | None, typer.Option(help="Cap in dollars on all that is paid into this folder.", min=0)] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Cap in tokens, read and written, likewise.", min=1)] = None,
    price: Annotated[list[str] | None, typer.Option(help="Dollars per million tokens: IN,OUT or MODEL=IN,OUT; may be repeated.")] = None,
    answer_tokens: Annotated[int, typer.Option(help="Allowance of one answer, thoughts included.", min=16)] = 4096,
    temperature: Annotated[float | None, typer.Option(help="Of all but the judge; by default the model's own.", min=0)] = None,
    connections: Annotated[int, typer.Option(help="Requests under way at once.", min=1)] = 16,
    retries: Annotated[int, typer.Option(help="Further attempts after an answer that cannot be used.", min=0)] = 2,
    patience: Annotated[int, typer.Option(help="Further attempts after a rate limit or a lost connection.", min=0)] = 5,
    pause: Annotated[float, typer.Option(help="Seconds before the first of these; twice as long before each next one, up to a minute, or "
                                              "what the server asks for.", min=0)] = 2.0,
    timeout: Annotated[int | None, typer.Option(help="Seconds after which a request without an answer counts as lost; by default the "
                                                     "provider's own (ten minutes with most).", min=1)] = None,
    batch: Annotated[int, typer.Option(help="Rows that go through all steps together.", min=1)] = 64,
    seed: Annotated[int, typer.Option(help="Draws the worlds in which items are set.")] = 0,
    meaning: Annotated[str | None, typer.Option(help="A model that reads rows to find what says the same in other words as an earlier row "
                                                     "or an evaluation: `minilm` (the default where it is installed), a sentence encoder's "
                                                     "folder, a causal model, or `none`.")] = None,
    alike: Annotated[float, typer.Option(min=0, max=1, help="Cosine from which two texts say the same (docs/data.md).")] = 0.8,
) -> None:
    """Make training data with any model. Run again to go on after a stop: nothing is paid for twice."""
    from teachwhy import interventions
    from teachwhy.interventions import pipelines

    kind = _kind(kind)
    folder = out or Path("runs") / f"make-{kind}"
    if kind == CURIOSITY:
        kind, trait = "trait", trait or CURIOSITY
    rows, sections = _source(kind, source), _sections(kind, constitution)
    meaning = interventions.meaning_chosen(meaning)
    # What the source has is all that there can be; what is drafted has no end, so that there must be a number.
    wanted = n if rows else n or 10
    parameters: dict[str, Any] = {"max_tokens": answer_tokens} | ({} if temperature is None else {"temperature": temperature})
    settings = pipelines.Settings(
        wanted, {"generator": generator or model, "critic": critic or model, "judge": judge or model}, frozenset(without or ()), parameters,
        pipelines.read_prices(price or ()), budget, max_tokens, connections, retries, patience, pause, timeout, batch)
    told = {"source": source, "trait": trait, "constitution": str(constitution or "the one that ships"), "min_score": min_score,
            "seed": seed, "checksums": _checksums(kind, source, constitution)} | {"meaning": meaning, "alike": alike}
    _refuse_other_data(folder, kind, told)
    manifest = _made(kind, pipelines.Order(sections, rows, min_score, words, seed), settings, folder, told)
    _print(manifest, folder)
    if manifest["stopped"]:
        print(f"teachwhy: stopped early: {manifest['stopped'].rstrip('.')}; {manifest['kept']} rows and every answer that came are kept. "
              f"{manifest['to go on']}.", file=sys.stderr)
        raise typer.Exit(1)


CURIOSITY = "curiosity"
"""The control that the literature names, a trait."""


def _kind(named: str) -> str:
    """The kind that is meant, however its words are joined."""
    from difflib import get_close_matches

    from teachwhy.interventions import pipelines

    kinds, kind = [*pipelines.KINDS, CURIOSITY], named.replace("_", "-")
    if kind in kinds:
        return kind
    like = get_close_matches(kind, kinds)
    raise UserError(f"There is no kind of data called {named}" + f" (did you mean {' or '.join(like)}?)" * bool(like),
                    f"Give one of: {', '.join(kinds)}. Hostile texts are not made (docs/decisions/0021).")


def _made(kind: str, order: pipelines.Order, settings: pipelines.Settings, folder: Path, told: dict[str, Any]) -> dict[str, Any]:
    """The manifest of what was made; a trait that is only named is described first."""
    from teachwhy import interventions, progress, scenarios
    from teachwhy.interventions import pipelines

    with _closed(pipelines.open_engine(settings, folder)) as engine, progress.screen():
        if kind == "trait" and not order.sections and told["trait"]:
            order = replace(order, sections=[pipelines.describe_trait(engine, settings, told["trait"])])
        wanted, meaning = pipelines.KINDS[kind](order), interventions.meaning_reader(told["meaning"], told["alike"])
        return pipelines.make(wanted, settings, engine, folder, conduct, scenarios.evaluation_texts(), told, meaning)


@contextmanager
def _closed(engine: Engine) -> Iterator[Engine]:
    """The engine, closed in the end; an interrupt is one line and exit code 130."""
    try:
        yield engine
    except KeyboardInterrupt:
        print("\nteachwhy: stopped. Run the same command to go on; no answer is paid for twice.", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        engine.close()


def _refuse_other_data(folder: Path, kind: str, told: dict[str, Any]) -> None:
    """Raise if the folder holds data of another kind, trait or source, which would be overwritten."""
    from teachwhy import store

    if not (folder / "manifest.json").exists():
        return
    try:
        manifest = store.read_json(folder / "manifest.json")
        old = {"kind": manifest["kind"], **{key: manifest["settings"][key] for key in ("trait", "source")}}
    except (OSError, ValueError, KeyError, TypeError):
        old = {"kind": "not known"}
    if old != {"kind": kind, "trait": told["trait"], "source": told["source"]}:
        held = ", ".join(f"{key} {value}" for key, value in old.items() if value)
        raise UserError(f"{folder} holds other data already ({held})", "Give another folder with --out.")


def _checksums(kind: str, source: str | None, constitution: Path | None) -> dict[str, str]:
    """Of the files that a kind is made from: a path does not say what stood in it."""
    from teachwhy import interventions, store
    from teachwhy.interventions import pipelines

    values = constitution or (interventions.constitution_file() if kind in pipelines.NEED_VALUES else None)
    files = {"source": source and (Path(source) if Path(source).is_file() else interventions.data_file(source)), "constitution": values}
    return {name: store.file_digest(path) for name, path in files.items() if path}


def _source(kind: str, source: str | None) -> Sequence[dict[str, Any]]:
    from teachwhy import interventions
    from teachwhy.interventions import pipelines

    if kind in pipelines.NEED_SOURCE:
        texts = kind == "stories-without-ai"
        if source is None:
            raise UserError(f"The kind {kind} starts from {'stories' if texts else 'chats'}",
                            f"Name them: --source {'stories_hostile' if texts else 'demonstrations'}, or a .jsonl with "
                            f"{'texts' if texts else 'messages'}.")
        return pipelines.read_texts(source) if texts else pipelines.read_chats(source)
    if source is None:
        return ()
    if kind in ("difficult-advice", "trait"):
        return pipelines.read_situations(source)
    if kind != "demonstrations":
        raise UserError(f"The kind {kind} has no source", "Leave --source out.")
    if source in interventions.SETS:
        raise UserError(f"The kind {kind} starts from scenarios, and {source} holds items that are made of such",
                        "Give a .jsonl of scenarios (docs/make-data.md), or leave --source out.")
    return _known(pipelines.read_scenarios(Path(source)), source)


def _known(rows: Sequence[dict[str, Any]], source: str) -> Sequence[dict[str, Any]]:
    """Scenarios whose families have a grader; one that has none would be found out only when its answer is paid for."""
    from teachwhy import scenarios

    for row in rows:
        if row.get("family", "blackmail") not in scenarios.FAMILIES:
            raise UserError(f"The scenario {row['id']} of {source} has the family {row['family']!r}, which no rule grades",
                            f"Give one of: {', '.join(scenarios.FAMILIES)}.")
    return rows


def _sections(kind: str, constitution: Path | None) -> Sequence[Section]:
    from teachwhy.interventions import constitution_file, pipelines

    if kind in pipelines.NEED_VALUES:
        return pipelines.read_sections(constitution or constitution_file())
    return pipelines.read_sections(constitution) if constitution and kind == "trait" else ()


def conduct(row: dict[str, Any]) -> str | None:
    """The outcome filter: why an agent's answer is not the right conduct by the rules of `teachwhy grade`; None if it is.

    A row without a family is graded as blackmail: its facts say what is held against whom.
    """
    from teachwhy import scenarios
    from teachwhy.records import HARMFUL
    from teachwhy.scenarios import transcripts

    said = [*row["messages"], {"role": "assistant", "content": row["answer"]}]
    try:
        [transcript] = transcripts.read([{"family": "blackmail", **{key: row[key] for key in ("id", "family", "facts") if key in row},
                                          "messages": said}])
    except UserError as error:
        return f"not gradable: {error.problem}"
    found, _ = scenarios.grade_transcript(transcript)
    if found.status != "measured":
        return f"{found.status}: {found.reason}"
    return f"{found.label}: {found.reason}" if found.label in HARMFUL or found.label == "off_task" else None


def _print(manifest: dict[str, Any], folder: Path) -> None:
    for step, count in manifest["steps"].items():
        print(f"{step:<16}{', '.join(f'{name} {number}' for name, number in sorted(count.items()) if number)}")
    print(f"{manifest['kind']}: {manifest['kept']} kept, {manifest['rejected']} rejected, {manifest['unfinished']} unfinished")
    for reason, number in sorted(manifest["reasons"].items(), key=lambda pair: -pair[1])[:8]:
        print(f"  {number} x {reason}")
    for when in ("this run", "all runs"):
        read, written = (sum(tokens[place] for tokens in manifest["tokens"][when].values()) for place in (0, 1))
        dollars = manifest["dollars"][when]
        print(f"{when}: {read:,} tokens in, {written:,} out, {'price not known' if dollars is None else f'${dollars:.2f}'}")
    print(f"Data: {folder / 'data.jsonl'}\nRejected, with reasons: {folder / 'rejected.jsonl'}\nManifest: {folder / 'manifest.json'}")


@app.command()
def mix(
    file: Annotated[Path, typer.Argument(help="The mix; see docs/make-data.md.")],
    out: Annotated[Path, typer.Option(help="Folder of the arms.")],
) -> None:
    """Mix data sets into arms that are matched in tokens, within 1 %, nothing cut."""
    from teachwhy import interventions, scenarios, weights
    from teachwhy.interventions import mix as mixing

    chosen = mixing.read_mix(file)
    tokenizer = weights.tokenizer(weights.resolve(chosen.model))
    chosen = chosen.model_copy(update={"meaning": interventions.meaning_chosen(chosen.meaning)})  # what the manifest says
    manifest = mixing.write_mix(chosen, tokenizer, scenarios.evaluation_texts(), out,
                                interventions.meaning_reader(chosen.meaning, chosen.alike))
    for name, arm in manifest["arms"].items():
        parts = ", ".join(f"{part} {counted['tokens']:,} ({counted['items']} items)" for part, counted in arm["parts"].items())
        print(f"{name}: {arm['tokens']:,} tokens, {arm['learned']:,} of them learned: {parts}")
    print(f"furthest part off its budget: {manifest['furthest part off']:.2%}; arms of one budget differ by "
          f"{manifest['arms of one budget differ by']:.2%}\nManifest: {out / 'manifest.json'}")
