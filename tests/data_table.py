"""Put the sizes and the variety of every set that ships into docs/data.md and its README: `python tests/data_table.py --write`."""

import re
import statistics
import sys
from collections import Counter
from pathlib import Path

from readme_table import ROOT
from teachwhy import cli_data, interventions, store
from teachwhy.interventions import wordhash
from teachwhy.interventions.diversity import AT_WORDS, distinct_at
from teachwhy.interventions.screens.look import learned, said
from teachwhy.interventions.screens.together import opening

PAGE = ROOT / "docs" / "data.md"
NAMES = (*interventions.SETS, interventions.CONSTITUTION)
BLOCK = re.compile(r"(<!-- data table: make data-table -->\n).*?(<!-- /data table -->)", re.DOTALL)
HEAD = "| set | items | tokens | distinct-1 | distinct-2 |\n|---|---|---|---|---|\n"


def variety(name: str) -> tuple[str, str, str]:
    """(items, distinct-1, distinct-2) as the table shows them."""
    texts = [learned(item) for item in interventions.read_set(name)]
    words = wordhash.hashed(texts)
    one, two = (f"{distinct_at(words, n):.3f}{'*' * (len(words.hashes) < AT_WORDS)}" for n in (1, 2))
    return str(len(texts)), one, two


def tokens() -> dict[str, int]:
    """Set -> tokens of the embedded model."""
    size, unit = cli_data._measure()
    if unit != "tokens":
        raise SystemExit("The table says tokens: install the embedded model first (`make test` does).")
    return {name: size([interventions.text_of(item) for item in interventions.read_set(name)]) for name in NAMES}


def committed() -> dict[str, tuple[str, str, str, str]]:
    """Set -> (items, tokens, distinct-1, distinct-2) as the page says."""
    found = BLOCK.search(PAGE.read_text())
    assert found is not None, "docs/data.md has no table"
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[0].splitlines() if line.startswith("| `")]
    return {name.strip("`"): (items, count, one, two) for name, items, count, one, two in lines}


def rendered() -> str:
    """The page with its table made anew."""
    counted = tokens()
    table = HEAD
    for name in NAMES:
        items, one, two = variety(name)
        table += f"| `{name}` | {items} | {counted[name]:,} | {one} | {two} |\n"
    return BLOCK.sub(lambda match: match.group(1) + table + match.group(2), PAGE.read_text())


def figures(name: str, tokens: str) -> str:
    """A set's figures in a line, for its README."""
    items, one, two = variety(name)
    found = interventions.read_set(name)
    sizes = [len(learned(item).split()) for item in found]
    most = Counter(opening(said(item)) for item in found).most_common(1)[0][1]
    return (f"`{name}`: {items} items, {tokens} tokens; learned words an item {statistics.median(sizes):.0f} in the median, "
            f"{min(sizes)} to {max(sizes)}; distinct-1 {one}, distinct-2 {two}{' (of fewer than 10,000 words)' * one.endswith('*')}; "
            f"the commonest four words at the start open {most / len(found):.1%} of items.")


def readmes(tokens: dict[str, str]) -> dict[Path, str]:
    """README of each folder -> as it should be, with the figures of the sets in it."""
    pages = {}
    for folder in dict.fromkeys(folder for folder, _ in interventions.SETS.values()):
        names = [name for name, (other, _) in interventions.SETS.items() if other == folder]
        file = interventions.data_file(names[0])
        block = "\n".join([f"**Figures** (`make data-table`; SHA-256 of `data.jsonl` begins {store.file_digest(file)}; "
                           f"`teachwhy data sheet {names[0]}` draws them):", *(f"* {figures(name, tokens[name])}" for name in names)])
        page = file.with_name("README.md")
        pages[page] = re.sub(r"\n+\*\*Figures\*\*.*\Z", "", page.read_text(), flags=re.DOTALL).rstrip() + f"\n\n{block}\n"
    return pages


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(rendered())
    for page, text in readmes({name: counted for name, (_, counted, _, _) in committed().items()}).items():
        page.write_text(text)
