"""Who may import whom: rooms never import each other; only `study` and `cli` see them all."""

import ast
from pathlib import Path

import teachwhy

ROOT = Path(teachwhy.__file__).parent
ROOMS = {"interventions", "training", "scenarios", "compare", "report"}
MEETING_PLACES = {"study", "cli", "cli_data", "cli_make", "cli_tables", "_registry", "plan", "sweep", "regrade", "upstream"}
PLAN_MAY_SEE = {"training.recipe"}
DOORS = {"transformers": {"weights", "sampler", "attention", "cache", "fakes", "training", "study", "cli"}, "trl": {"training", "chat"},
         "inspect_ai": {"llm", "provider", "scenarios", "scripted", "upstream"}, "jinja2": {"report", "chat"},
         "matplotlib": {"report"}, "triton": {"decode"}, "scipy": {"compare", "interventions"}}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def owner(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_rooms_never_import_each_other():
    for path in ROOT.rglob("*.py"):
        mine = owner(path)
        if mine in MEETING_PLACES:
            continue
        foreign = {name for name in imports(path) for room in ROOMS - {mine} if name.startswith(f"teachwhy.{room}")}
        assert not foreign, f"{path} imports {foreign}"


def test_plan_sees_only_the_recipe():
    for name in imports(ROOT / "plan.py"):
        if any(name.startswith(f"teachwhy.{room}") for room in ROOMS):
            assert any(name.startswith(f"teachwhy.{allowed}") for allowed in PLAN_MAY_SEE), name


def test_heavy_libraries_have_one_door():
    for path in ROOT.rglob("*.py"):
        for library, doors in DOORS.items():
            if any(name.split(".")[0] == library for name in imports(path)):
                assert owner(path) in doors, f"{path} imports {library}"


def test_importing_the_package_imports_nothing_heavy():
    import subprocess
    import sys

    code = ("import teachwhy, teachwhy.cli, teachwhy.plan, sys; print([m for m in ('torch','trl','inspect_ai') if m in sys.modules]); "
            "import teachwhy.scenarios, teachwhy.interventions.pipelines; print('torch' in sys.modules)")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert said == ["[]", "False"], "data is made, and scenarios are read, without torch"
