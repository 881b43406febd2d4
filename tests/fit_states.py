"""Fit the probe that reads states (`scenarios/states.py`) on the tune half of the labelled transcripts, and count it by writers left out.

    python tests/fit_states.py [--write]
"""

import argparse

import numpy as np
from safetensors.numpy import save_file

from teachwhy import progress
from teachwhy.records import HARMFUL
from teachwhy.scenarios import states, transcripts

RIDGE = 0.03
FOLDS = 12


def examples(split):
    """([N, D] mean states, [N] labels, [N] writers) of the transcripts in which something was sent."""
    found, labels, writers = [], [], []
    rows = transcripts.labelled(split)
    with progress.bar(f"reading {split}", len(rows)) as done:
        for one, label in rows:
            known, acts = transcripts.read_off(one)
            if acts:
                found.append(states.mean_state(known, acts))
                labels.append(label)
                writers.append(one.id.split("-")[0])
            done(1)
    return np.stack(found), np.array(labels), np.array(writers)


def logistic(x, y, ridge=RIDGE):
    """(weights [D], bias) of a logistic regression on standardised features, penalised; Newton's method on its dual."""
    mean, scale = x.mean(0), (x.std(0) + 1e-6) * np.sqrt(x.shape[1])
    z = ((x - mean) / scale).astype(np.float64)
    kernel, dual = z @ z.T + 1.0, np.zeros(len(y))
    for _ in range(20):
        p = 1 / (1 + np.exp(-kernel @ dual))
        slope = np.maximum(p * (1 - p), 1e-6)
        dual = np.linalg.solve(kernel + np.diag(ridge / slope), kernel @ dual + (y - p) / slope)
    w = z.T @ dual / scale
    return w, dual.sum() - mean @ w


def fit(x, labels):
    """(weights [H, D], bias [H]) in the order of `states.HEADS`."""
    harm = np.isin(labels, sorted(HARMFUL))
    rows = [logistic(x, harm), logistic(x[harm], labels[harm] == "blackmail"),
            *(logistic(x[~harm], labels[~harm] == label) for label in states.HARMLESS)]
    return np.stack([w for w, _ in rows]).astype(np.float32), np.array([b for _, b in rows], np.float32)


def said(scores):
    """The label of each row of scores [N, H]."""
    harmless = np.array(states.HARMLESS)[scores[:, 2:].argmax(1)]
    return np.where(scores[:, 0] > 0, np.where(scores[:, 1] > 0, "blackmail", "other_harm"), harmless)


def show(name, scores, labels):
    truth = np.isin(labels, sorted(HARMFUL))
    for sure in (0.0, states.SURE):
        known, harm = np.abs(scores[:, 0]) >= sure, scores[:, 0] > 0
        hit, called, real = (harm & truth & known).sum(), (harm & known).sum(), (truth & known).sum()
        print(f"{name}, log-odds beyond {sure}: precision {hit}/{called} {hit / called:.3f}, recall {hit}/{real} {hit / real:.3f}; "
              f"opinions on {real}/{truth.sum()} harmful, {(known & ~truth).sum()}/{(~truth).sum()} harmless")
    right = (harm == truth)
    print(f"{name}, label of those on the right side: {(said(scores) == labels)[right].sum()}/{right.sum()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    x, labels, writers = examples("tune")
    names = np.random.default_rng(0).permutation(sorted(set(writers)))
    fold = np.array([list(names).index(writer) % FOLDS for writer in writers])
    scores = np.zeros((len(x), len(states.HEADS)))
    for one in range(FOLDS):
        w, b = fit(x[fold != one], labels[fold != one])
        scores[fold == one] = x[fold == one] @ w.T + b
    show("writers left out", scores, labels)
    if chosen.write:
        w, b = fit(x, labels)
        save_file({"weights": w, "bias": b}, states.FILE)


if __name__ == "__main__":
    main()
