"""Put the sizes and the variety of every set that ships into docs/data.md: `python tests/data_table.py --write`."""

import re
import sys

from readme_table import ROOT
from teachwhy import cli_data, interventions
from teachwhy.interventions import wordhash
from teachwhy.interventions.diversity import AT_WORDS, distinct_at
from teachwhy.interventions.screens.look import learned

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


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(rendered())
