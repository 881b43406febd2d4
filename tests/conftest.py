"""Shared fixtures: no network, a private model cache, and one finished tiny study."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def model_cache(tmp_path_factory):
    """Converted and toy weights go into a folder of this test run."""
    os.environ["TEACHWHY_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """(results, folder) of studies/tiny.yaml."""
    from teachwhy import plan, study

    folder = tmp_path_factory.mktemp("tiny") / "run"
    return study.run(plan.read_plan(ROOT / "studies" / "tiny.yaml"), folder), folder


@pytest.fixture
def rules_alone(monkeypatch):
    """Labels by rule: the probe of states is never sure."""
    from teachwhy.scenarios import states

    monkeypatch.setattr(states, "read", lambda *_: None)


@pytest.fixture(autouse=True)
def no_encoder_beside_us(request, monkeypatch):
    """Commands read for meaning where an encoder is installed; fast tests do not depend on that."""
    from teachwhy import minilm

    if "slow" not in request.keywords:
        monkeypatch.setattr(minilm, "archive", lambda: None)
