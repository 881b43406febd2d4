"""Documentation cannot rot: README code runs, its table is the committed result, links resolve, studies are described."""

import re
from pathlib import Path

import pytest

import data_table
from readme_table import ROOT, newest, rendered
from teachwhy.plan import Arm, Plan


def test_the_readme_table_is_the_committed_result():
    assert newest() is not None
    assert (ROOT / "README.md").read_text() == rendered(), "run `make readme`"


def test_the_data_table_has_the_items_and_the_variety_of_what_ships():
    page = {name: (items, one, two) for name, (items, _, one, two) in data_table.committed().items()}
    assert page == {name: data_table.variety(name) for name in data_table.NAMES}, "run `make data-table`"


def test_the_readme_of_each_set_has_its_figures():
    counted = {name: tokens for name, (_, tokens, _, _) in data_table.committed().items()}
    for page, text in data_table.readmes(counted).items():
        assert page.read_text() == text, f"{page}: run `make data-table`"


@pytest.mark.slow
def test_the_data_table_has_the_tokens_of_what_ships():
    assert data_table.PAGE.read_text() == data_table.rendered(), "run `make data-table`"


def test_readme_python_runs(tmp_path, monkeypatch):
    import os

    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    (tmp_path / "studies").symlink_to(ROOT / "studies")
    monkeypatch.chdir(tmp_path)
    os.environ.setdefault("TEACHWHY_CACHE", str(tmp_path / "cache"))
    for block in blocks:
        exec(compile(block, "README", "exec"), {})


@pytest.mark.parametrize("path", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=lambda path: path.name)
def test_links_resolve(path):
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link


def test_every_key_of_a_study_file_is_described():
    text = (ROOT / "docs" / "study-files.md").read_text()
    for model in (Plan, Arm):
        for key in model.model_fields:
            assert f"`{key}`" in text, key


def test_every_make_target_in_the_docs_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"`make ([a-z-]+)`", path.read_text()):
            assert target in targets, f"{Path(path).name}: make {target}"
