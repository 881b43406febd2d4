"""Put the newest committed results into the README, a table and a figure: `python tests/readme_table.py --write`."""

import json
import re
import sys
from pathlib import Path

from teachwhy.report import write_figure
from teachwhy.report.words import markdown_table

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(<!-- results table: make readme -->\n).*?(<!-- /results table -->)", re.DOTALL)


def newest(study: str = "laptop") -> Path | None:
    """The committed result of a study that was finished last."""
    found = sorted((ROOT / "results").glob(f"{study}-*.json"), key=lambda path: json.loads(path.read_text())["run"]["finished"])
    return found[-1] if found else None


def rendered() -> str:
    text, path = (ROOT / "README.md").read_text(), newest()
    if path is None:
        return text
    results = json.loads(path.read_text())
    minutes = sum(results["run"]["stage_seconds"].values()) / 60
    note = (f"`{path.relative_to(ROOT)}`: commit {results['provenance']['commit']}, training seeds {results['study']['train_seeds']}, "
            f"{'; '.join(results['run'].get('machines') or [results['provenance']['machine']])}, {minutes:.0f} minutes of computing.")
    table = f"{markdown_table(results)}\n\n{note}\n"
    return BLOCK.sub(lambda match: match.group(1) + table + match.group(2), text)


if __name__ == "__main__" and "--write" in sys.argv:
    (ROOT / "README.md").write_text(rendered())
    if drawn := newest("full"):
        write_figure(json.loads(drawn.read_text()), ROOT / "results" / "full.svg")
