"""How many megabytes of text does a core screen in a second? Ours, screen by screen, beside datatrove's filters on the same texts.

    python benchmarks/screening.py [--megabytes 20] [--repeats 3]

Rows are single screens, each tried on every text. `screen(items, held_out)` runs all of them as a user does, contamination with every
evaluation text too: a quick pass over hashed words first, so that the patterns are tried on few texts; its figure makes the ratio.

The shipped sets, repeated. `repeated` texts are exact copies, so that the search for near-duplicates confirms one for every text;
in the `shuffled` ones each copy has its words in another order, so that nothing is a duplicate and everything is kept.
datatrove is no dependency of ours. To have it beside: pip install datatrove spacy nltk 'xxhash<4'
(datatrove 0.10 cannot hash with xxhash 4; in a virtual environment of its own, whose site-packages PYTHONPATH then names.)
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence

from teachwhy import interventions, scenarios
from teachwhy.interventions import screens, wordhash
from teachwhy.interventions.leakage import HeldOut, held_out_as
from teachwhy.interventions.screens import near, together
from teachwhy.records import Document


def texts_of(megabytes: float, shuffled: bool) -> list[Document]:
    """The shipped sets as documents, repeated up to a size."""
    once = [interventions.text_of(item) for name in interventions.SETS for item in interventions.read_set(name)]
    found: list[Document] = []
    size, copy = 0, 0
    while size < megabytes * 1e6:
        order = random.Random(copy)
        for text in once:
            words = text.split(" ")
            if shuffled:
                order.shuffle(words)
            found.append(Document(id=str(len(found)), text=" ".join(words)))
            size += len(text.encode())
        copy += 1
    return found


def speed(work: Callable[[], object], megabytes: float, repeats: int) -> float:
    """Median MB/s."""
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return megabytes / statistics.median(seconds)


def ours(items: Sequence[Document], held: HeldOut) -> dict[str, Callable[[], object]]:
    texts, words = [item.text for item in items], wordhash.hashed([item.text for item in items])
    alone = {name: (lambda one=one: [one(item) for item in items]) for name, one in screens.SCREENS.items()}
    return {**alone,
            "near-duplicates and templates": lambda: near.near_duplicates(texts),
            "openings": lambda: together.repeated_openings(texts),
            "skeletons": lambda: together.repeated_skeletons(texts),
            "contamination, runs of words": lambda: held.suspects(words),
            "contamination, rare words": lambda: held.paraphrases(words),
            "(hashing the words)": lambda: wordhash.hashed(texts)}


def theirs(texts: Sequence[str]) -> dict[str, Callable[[], object]] | None:
    """datatrove's filters, or None where it is not installed."""
    try:
        from datatrove.data import Document as Row
        from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
        from datatrove.pipeline.filters import C4QualityFilter, GopherQualityFilter, GopherRepetitionFilter
    except ImportError:
        return None
    rows = [Row(text=text, id=str(i)) for i, text in enumerate(texts)]
    filters = {"GopherQualityFilter": GopherQualityFilter(), "GopherRepetitionFilter": GopherRepetitionFilter(),
               "C4QualityFilter": C4QualityFilter(filter_no_terminal_punct=False)}
    minhash = MinhashDedupSignature("/tmp", MinhashConfig(n_grams=5), language="en")
    found: dict[str, Callable[[], object]] = {
        # a copy each, because some filters edit the text
        name: (lambda one=one: [one.filter(Row(text=row.text, id=row.id)) for row in rows]) for name, one in filters.items()}
    return {**found, "MinHash signatures (5-grams)": lambda: [minhash.get_signature(minhash.get_shingles(row.text)) for row in rows]}


def show(rows: dict[str, Callable[[], object]], megabytes: float, repeats: int) -> float:
    """Print each row; returns the MB/s of all of them one after another."""
    seconds = 0.0
    for name, work in rows.items():
        found = speed(work, megabytes, repeats)
        seconds += 0 if name.startswith("(") else megabytes / found
        print(f"  {name:<34}{found:>9.1f} MB/s")
    print(f"  {'one after another':<34}{megabytes / seconds:>9.1f} MB/s")
    return megabytes / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    evaluation = scenarios.evaluation_texts()
    held = held_out_as(tuple(evaluation))
    totals = {}
    for kind in ("repeated", "shuffled"):
        items = texts_of(chosen.megabytes, kind == "shuffled")
        size = sum(len(item.text.encode()) for item in items) / 1e6
        print(f"ours, {kind}: {len(items)} texts, {size:.1f} MB, one core")
        show(ours(items, held), size, chosen.repeats)
        for name, texts in (("screen(items)", ()), ("screen(items, held_out)", evaluation)):
            totals[kind] = speed(lambda items=items, texts=texts: screens.screen(items, texts), size, chosen.repeats)
            print(f"  {name:<34}{totals[kind]:>9.1f} MB/s")
        print()
    part = texts_of(chosen.megabytes / 10, False)
    size = sum(len(item.text.encode()) for item in part) / 1e6
    filters = theirs([item.text for item in part])
    if filters is None:
        print("datatrove is not installed here; for the comparison: pip install datatrove spacy nltk 'xxhash<4'")
        return
    print(f"datatrove: {len(part)} texts, {size:.1f} MB, one core")
    other = show(filters, size, 1)
    ratios = ", ".join(f"{total / other:.0f} ({kind})" for kind, total in totals.items())
    print(f"\nratio, all of ours to all of theirs: {ratios}")


if __name__ == "__main__":
    main()
