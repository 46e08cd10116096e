"""The house's own rules: floors, shelves, public names."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import nd_plugin

ROOT = Path(__file__).parents[2]
SHELVES = ("adapters", "concept_sets")
FLOORS = [
    {"errors", "geometry", "preprocess", "types", "datasets"},
    {"positions"},
    {
        "composition",
        "layout",
        "masks",
        "quantile",
        "rest",
        "scores",
        "summary",
        "surroundings",
        "tally",
        "targets",
        "tiles",
        "upsample",
    },
    {"hookspecs", "plugins", "opening"},
    {
        "kept",
        "candidates",
        "copies",
        "counting",
        "observation",
        "processes",
        "watching",
        "feed",
        "files",
        "storage",
        "dissection",
        "runs",
    },
    {"counter", "passes", "packing", "combining", "engine", "checkpoint", "shards", "testing"},
    {
        "contribution",
        "explanation",
        "explaining",
        "attribution",
        "captum_concepts",
        "unit_explanation",
        "layer_dissection",
        "parity",
    },
    {
        "report",
        "console",
        "listings",
        "reporting",
        "commands",
        "comparing",
        "explain_command",
        "options",
        "cli",
        "__main__",
    },
]


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of every import in a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_the_shelves_are_no_packages_and_nobody_imports_them() -> None:
    for shelf in SHELVES:
        assert not (ROOT / shelf / "__init__.py").exists()
    for path in sources("nd_plugin", "tests", "examples", "benchmarks", *SHELVES):
        for module, _ in imports(path):
            assert module.partition(".")[0] not in SHELVES, f"{path} imports {module}"


def test_plugins_import_public_names_only() -> None:
    public = set(nd_plugin.__all__)
    for path in sources("examples", *SHELVES):
        for module, name in imports(path):
            if module.partition(".")[0] == "nd_plugin":
                assert module == "nd_plugin" and name in public, f"{path} imports {module}.{name}"


def test_the_host_knows_no_plugin() -> None:
    names = {path.name for shelf in SHELVES for path in (ROOT / shelf).iterdir() if path.is_dir()}
    assert "nd_torch" in names
    for path in sources("nd_plugin"):
        assert not {module.partition(".")[0] for module, _ in imports(path)} & names, path


def floor_of(module: str) -> int:
    return next(place for place, floor in enumerate(FLOORS) if module in floor)


def test_imports_go_downwards() -> None:
    for path in sources("nd_plugin"):
        inside = path.relative_to(ROOT / "nd_plugin").parts[0].removesuffix(".py")
        if inside in ("__init__", "py.typed"):
            continue
        for module, name in module_level_imports(path):
            if module == "nd_plugin" or module.startswith("nd_plugin."):
                target = module.partition(".")[2].partition(".")[0] or name
                assert floor_of(target) <= floor_of(inside), f"{inside} imports {target}, which is above it"


def module_level_imports(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("package", ["pluggy"])
def test_pluggy_lives_in_two_modules(package: str) -> None:
    users = {path.name for path in sources("nd_plugin") if any(module == package for module, _ in imports(path))}
    assert users == {"hookspecs.py", "plugins.py"}


def test_every_public_name_is_there_and_documented() -> None:
    assert sorted(dir(nd_plugin)) == sorted(nd_plugin.__all__) and len(set(nd_plugin.__all__)) == len(nd_plugin.__all__)
    for name in nd_plugin.__all__:
        assert getattr(nd_plugin, name).__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        nd_plugin.nothing  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "nd_plugin" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(nd_plugin.__all__)


def test_all_modules_can_be_imported() -> None:
    for module in pkgutil.walk_packages(nd_plugin.__path__, "nd_plugin."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def test_the_error_tree_is_drawn_as_it_is() -> None:
    from nd_plugin import errors

    drawn = (errors.__doc__ or "").split()
    for name in errors.__all__:
        if name != "nearest":
            assert name in drawn, name
