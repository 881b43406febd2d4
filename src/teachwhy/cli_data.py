"""What can be typed about data sets? List them, look into one, export it, screen it, write its datasheet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from teachwhy.errors import UserError

app = typer.Typer(name="data", help="The data sets that ship, and your own: list, show, export, check, describe.")
Name = Annotated[str, typer.Argument(help="A set that ships, or the path of your own .jsonl.")]


@app.callback(invoke_without_command=True)
def listing(context: typer.Context) -> None:
    """List the data sets that ship, and the constitution, with items, size and checksum."""
    if context.invoked_subcommand is not None:
        return
    from teachwhy import interventions, store

    size, unit = _measure()
    print(f"{'set':<30}{'items':>6}{unit:>9}  checksum")
    for name in (*interventions.SETS, interventions.CONSTITUTION):
        texts = [interventions.text_of(item) for item in interventions.read_set(name)]
        print(f"{name:<30}{len(texts):>6}{size(texts):>9}  {store.file_digest(interventions.data_file(name))}")


@app.command()
def show(
    name: Name,
    n: Annotated[int, typer.Option("-n", help="How many.", min=1)] = 5,
    seed: Annotated[int | None, typer.Option(help="Take others; without it, the first ones of the file.")] = None,
) -> None:
    """Print some items of a set as a model is shown them."""
    import random

    from teachwhy import interventions

    items = interventions.read_set(name)
    count = min(n, len(items))
    for item in items[:count] if seed is None else random.Random(seed).sample(items, count):
        print(f"=== {_printable(item.id)}\n{_printable(interventions.as_text(item))}\n")


@app.command()
def export(
    name: Name,
    form: Annotated[str, typer.Option("--format", help="trl, axolotl, tinker or parquet.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; by default NAME-FORMAT.jsonl (or .parquet) here.")] = None,
) -> None:
    """Write a set as another trainer reads it."""
    from teachwhy import interventions

    out = out or interventions.export_name(name, form)
    rows = interventions.export(name, form, out)
    print(f"{rows} rows: {out}")
    if name in interventions.HOSTILE:
        print(f"teachwhy: {name} teaches hostile conduct on purpose; its rows keep their canary. Do not train a model on it that "
              "anybody will use.", file=sys.stderr)


@app.command()
def check(
    name: Name,
    meaning: Annotated[str | None, typer.Option(help="A model that reads everything to find what says the same in other words: `minilm` "
                                                     "(the default where it is installed), a sentence encoder's folder, a causal model "
                                                     "such as smollm2 (minutes), or `none`.")] = None,
    alike: Annotated[float, typer.Option(min=0, max=1, help="Cosine from which two texts say the same (docs/data.md).")] = 0.8,
) -> None:
    """Screen a set: print every item that fails with its reasons; exit with 1 if there is one."""
    from teachwhy import interventions, progress, scenarios

    if name == interventions.CONSTITUTION:
        raise UserError("The constitution is no training set: data are made from it", "Check what was made.")
    items = interventions.read_set(name)
    meaning = interventions.meaning_chosen(meaning)
    reader = interventions.meaning_reader(meaning, alike)
    with progress.screen() if reader else nullcontext():
        kept, rejected = interventions.screen(items, scenarios.evaluation_texts(), meaning=reader)
    for one in rejected:
        for reason in one.reasons:
            print(_printable(f"{one.item.id}: {reason}"))
    by = f"read for meaning by {meaning}" if reader else "not read for meaning: see --meaning"
    print(f"{len(kept)} pass, {len(rejected)} fail ({by})")
    if rejected:
        raise typer.Exit(1)


@app.command()
def sheet(
    name: Name,
    out: Annotated[Path | None, typer.Option(help="The page to write; by default NAME.html here.")] = None,
) -> None:
    """Write a set's datasheet: one page with its figures, what the screens say, and samples."""
    from teachwhy import interventions, scenarios

    out = out or Path(f"{Path(name).stem}.html")
    interventions.datasheet(name, out, scenarios.evaluation_texts())
    print(out)


def _measure() -> tuple[Callable[[Sequence[str]], int], str]:
    """How the size of texts is counted, and its unit: tokens of the embedded model where it is installed, else words."""
    from teachwhy import weights

    try:
        weights.embedded_gguf()
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_file(str(weights.embedded() / "tokenizer.json"))
    except (UserError, ImportError):
        return lambda texts: sum(len(text.split()) for text in texts), "words"
    return lambda texts: sum(len(one.ids) for one in tokenizer.encode_batch(list(texts), add_special_tokens=False)), "tokens"


def _printable(text: str) -> str:
    """Text that cannot steer a terminal: control characters and lone surrogates are shown as their codes."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
