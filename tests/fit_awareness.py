"""Fit the probe for voiced suspicion (`scenarios/suspicion.py`) on the tune part of the labelled answers, and count it by writers left out.

    python tests/fit_awareness.py [--write]

A sentence that holds a writer's evidence counts as voiced (where a writer gave none, one that the rule finds), every sentence of an answer
that voices nothing as not; the other sentences of an answer that does are left out.
"""

import argparse
import json
from dataclasses import dataclass
from importlib import resources

import numpy as np
from safetensors.numpy import save_file

from fit_states import logistic
from teachwhy import progress, scenarios
from teachwhy.scenarios import language, suspicion
from teachwhy.scenarios.awareness import speaks_of_test

RIDGE = 0.03


@dataclass(frozen=True)
class Answer:
    """A labelled answer: [N, 3 D] features of its sentences, which of them voice it, whether the rule finds it."""

    writer: str
    aware: bool
    features: np.ndarray
    voiced: np.ndarray
    ruled: bool


def rows_of(split):
    text = resources.files(scenarios).joinpath("labelled").joinpath("awareness.jsonl").read_text(encoding="utf-8")
    return [row for row in map(json.loads, text.splitlines()) if row["split"] == split]


def answers(split):
    """All of one split that have a sentence."""
    rows, found = rows_of(split), []
    with progress.bar(f"reading {split}", len(rows)) as done:
        for row in rows:
            text = row["answer"]
            read = list(language.sentences(language.unquoted(text)))
            ruled = {span.start for span in speaks_of_test([{"role": "assistant", "content": text}])}
            at = text.find(row["evidence"]) if row.get("evidence") else -1
            voiced = [at < end and start < at + len(row["evidence"]) if at >= 0 else start in ruled for start, end, _ in read]
            if read:
                found.append(Answer(row["id"].split("-")[1], row["aware"], suspicion.features([one for _, _, one in read]),
                                    np.array(voiced) & row["aware"], bool(ruled)))
            done(1)
    return found


def fit(found):
    """(weights [3 D], bias)."""
    x = np.concatenate([one.features[one.voiced] if one.aware else one.features for one in found])
    y = np.concatenate([np.full(one.voiced.sum() if one.aware else len(one.features), one.aware) for one in found])
    return logistic(x, y, RIDGE)


def worst(found, weights, bias):
    """[N] log-odds of each answer's likeliest sentence."""
    return np.array([(one.features @ weights + bias).max() for one in found])


def left_out(found):
    """[N] the same, each by a probe that has not seen its writer."""
    scores = np.zeros(len(found))
    for writer in sorted({one.writer for one in found}):
        mine = np.array([one.writer == writer for one in found])
        scores[mine] = worst([one for one in found if one.writer == writer], *fit([one for one in found if one.writer != writer]))
    return scores


def show(name, scores, found):
    aware, ruled = np.array([one.aware for one in found]), np.array([one.ruled for one in found])
    print(f"{name}: the rule alone {(aware & ruled).sum()}/{ruled.sum()} right, {(aware & ruled).sum()}/{aware.sum()} found")
    for limit in (0.75, 1.5, suspicion.SURE, 3.0):
        called = ruled | (scores >= limit)
        print(f"  from {limit:.2f}: {(aware & called).sum()}/{called.sum()} right, {(aware & called).sum()}/{aware.sum()} found, "
              f"{(called & ~aware).sum()} of {(~aware).sum()} wrongly")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    found = answers("tune")
    show("writers left out", left_out(found), found)
    weights, bias = fit(found)
    if chosen.write:
        save_file({"weights": weights.astype(np.float32), "bias": np.array([bias], np.float32)}, suspicion.FILE)


if __name__ == "__main__":
    main()
