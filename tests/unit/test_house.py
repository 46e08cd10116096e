"""The house's own rules: floors, shelves, public names."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nd_plugin
from nd_plugin import reading, testing

ROOT = Path(__file__).parents[2]
SHELVES = ("adapters", "concept_sets")
# examples of plugins; examples/reproduce is a study, which uses experiments and plots
EXAMPLE_PLUGINS = (
    "examples/nd_boxes/nd_boxes",
    "examples/nd_filterbank",
    "examples/nd_flax",
    "examples/nd_gratings",
    "examples/nd_openvino/nd_openvino",
    "examples/nd_pdf/nd_pdf",
)
PACKAGES = {  # the rooms of the house, each on its floor: whoever imports goes down
    "errors": 1,
    "foreign_code": 2,
    "borders": 2,
    "receptive_fields": 2,
    "pictures": 2,
    "storage": 2,
    "preprocess": 3,
    "user_code": 3,
    "machine": 3,
    "model_inputs": 4,
    "contracts": 4,
    "report": 5,
    "method": 5,
    "site": 6,
    "significance": 6,
    "probe_data": 7,
    "candidates": 7,
    "results": 7,
    "notebook": 7,
    "accelerator": 8,
    "bases": 8,
    "comparison": 8,
    "plots": 8,
    "rating": 8,
    "explain": 8,
    "testing": 8,
    "concepts": 8,
    "plugins": 9,
    "reading": 9,
    "engine": 10,
    "resuming": 11,
    "experiments": 12,
    "captum_api": 12,
    "shell": 12,
    "cli": 13,
    "__main__": 14,
}


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of every import in a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def sources(*folders: str) -> list[Path]:
    return [
        path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def test_the_shelves_are_no_packages_and_nobody_imports_them() -> None:
    for shelf in SHELVES:
        assert not (ROOT / shelf / "__init__.py").exists()
    for path in sources("nd_plugin", "tests", "examples", "benchmarks", *SHELVES):
        for module, _ in imports(path):
            assert module.partition(".")[0] not in SHELVES, (
                f"{path} imports {module}"
            )


def test_plugins_import_public_names_only() -> None:
    public = {
        "nd_plugin": set(nd_plugin.__all__),
        "nd_plugin.reading": set(reading.__all__),
        "nd_plugin.testing": set(testing.__all__),
    }
    for path in sources(*EXAMPLE_PLUGINS, *SHELVES):
        for module, name in imports(path):
            if module.partition(".")[0] == "nd_plugin":
                assert name in public.get(module, ()), (
                    f"{path} imports {module}.{name}"
                )


def test_the_host_knows_no_plugin() -> None:
    names = {
        path.name
        for shelf in SHELVES
        for path in (ROOT / shelf).iterdir()
        if path.is_dir()
    }
    assert "nd_torch" in names
    for path in sources("nd_plugin"):
        assert (
            not {module.partition(".")[0] for module, _ in imports(path)} & names
        ), path


def module_of(path: Path, root: Path) -> str:
    """``engine.passes`` for ``root/engine/passes.py``, ``cli`` for ``root/cli/__init__.py``."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_between_modules(
    root: Path, *, at_load: bool = True
) -> dict[str, set[str]]:
    """Return the modules of a package that each of them imports, at load or anywhere."""
    modules = {
        module_of(path, root): path
        for path in sorted(root.rglob("*.py"))
        if path.parent != root or path.stem != "__init__"
    }
    arrows: dict[str, set[str]] = {}
    for module, path in modules.items():
        targets = set()
        for imported, name in (
            module_level_imports(path) if at_load else imports(path)
        ):
            inside = (
                imported.removeprefix(f"{root.name}.")
                if imported.startswith(f"{root.name}.")
                else ""
            )
            inside = "." if imported == root.name else inside
            candidates = [name] if inside == "." else [f"{inside}.{name}", inside]
            targets.update(
                [candidate for candidate in candidates if candidate in modules][:1]
            )
        arrows[module] = targets - {module}
    return arrows


def between_packages(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same, of packages."""
    rooms: dict[str, set[str]] = {
        module.partition(".")[0]: set() for module in arrows
    }
    for module, targets in arrows.items():
        room = module.partition(".")[0]
        rooms[room].update(
            {target.partition(".")[0] for target in targets} - {room}
        )
    return rooms


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """A way that leads back to where it began; empty where there is none."""
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        for target in sorted(arrows[node]):
            if ring := walk(target, [*way, node]):
                return ring
        done.add(node)
        return []

    return next((ring for node in sorted(arrows) if (ring := walk(node, []))), [])


def climbs(arrows: dict[str, set[str]], floors: dict[str, int]) -> list[str]:
    """Imports of a package from the same floor or from one above."""
    rooms = between_packages(arrows)
    return [
        f"{room} imports {target}"
        for room in rooms
        for target in rooms[room]
        if floors[target] >= floors[room]
    ]


def test_every_room_is_on_the_list_and_imports_go_down() -> None:
    arrows = imports_between_modules(ROOT / "nd_plugin")
    assert {module.partition(".")[0] for module in arrows} == set(PACKAGES)
    assert climbs(arrows, PACKAGES) == []


def test_no_circle_between_modules_or_packages() -> None:
    arrows = imports_between_modules(ROOT / "nd_plugin")
    assert circle(arrows) == []
    assert circle(between_packages(arrows)) == []


@pytest.mark.parametrize(
    ("files", "ring", "climbing"),
    [
        (
            {
                "low/a.py": "import pkg.low\nfrom pkg.low.b import x",
                "low/b.py": "from pkg.low import a",
            },
            True,
            False,
        ),
        (
            {
                "low/a.py": "from pkg.high.b import x",
                "high/b.py": "from pkg.low.c import y",
                "low/c.py": "",
            },
            True,
            True,
        ),
        ({"low/a.py": "from pkg.high import b", "high/b.py": ""}, False, True),
        ({"low/a.py": "", "high/b.py": "from pkg.low.a import x"}, False, False),
        (
            {
                "low/a.py": "def f():\n    from pkg.high import b",
                "high/b.py": "from pkg.low import a",
            },
            False,
            False,
        ),
    ],
)
def test_a_planted_circle_is_found(
    tmp_path: Path, files: dict[str, str], ring: bool, climbing: bool
) -> None:
    for name, text in files.items():
        path = tmp_path / "pkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    arrows = imports_between_modules(tmp_path / "pkg")
    assert bool(circle(arrows) or circle(between_packages(arrows))) == ring
    assert bool(climbs(arrows, {"low": 1, "high": 2})) == climbing


def test_rooms_have_three_to_twelve_modules_and_empty_inits() -> None:
    for folder in sorted(
        path
        for path in (ROOT / "nd_plugin").iterdir()
        if (path / "__init__.py").exists()
    ):
        modules = [path for path in folder.glob("*.py") if path.stem != "__init__"]
        assert len(modules) <= 12, folder.name
        # `plots` has public names, as `testing` has
        if folder.name not in ("cli", "plots", "testing"):
            assert (folder / "__init__.py").read_text() == "", folder.name


def test_no_module_is_longer_than_300_lines() -> None:
    for path in sources("nd_plugin", *SHELVES):
        assert path.read_text().count("\n") <= 300, path


def module_level_imports(path: Path) -> Iterator[tuple[str, str]]:
    """Those that run when the module is loaded."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("package", ["pluggy"])
def test_pluggy_lives_in_the_plugins_room(package: str) -> None:
    users = {
        path.name
        for path in sources("nd_plugin")
        if any(module == package for module, _ in imports(path))
    }
    assert users == {"hookspecs.py", "host.py", "loading.py"}


def test_every_public_name_is_there_and_documented() -> None:
    assert sorted(dir(nd_plugin)) == sorted(nd_plugin.__all__) and len(
        set(nd_plugin.__all__)
    ) == len(nd_plugin.__all__)
    for name in nd_plugin.__all__:
        assert getattr(nd_plugin, name).__doc__, name
    for name in reading.__all__:
        # the alias of a function's type has no docstring
        assert getattr(reading, name).__doc__ or name == "TableReport"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        nd_plugin.nothing  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "nd_plugin" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == set(nd_plugin.__all__)


def test_all_modules_can_be_imported() -> None:
    for module in pkgutil.walk_packages(nd_plugin.__path__, "nd_plugin."):
        needs_triton = module.name.endswith("_triton")
        if needs_triton and importlib.util.find_spec("triton") is None:
            continue
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def test_the_error_tree_is_drawn_as_it_is() -> None:
    from nd_plugin import errors

    drawn = (errors.__doc__ or "").split()
    for name in errors.__all__:
        if name not in ("check_run", "nearest"):
            assert name in drawn, name


def test_the_picture_of_the_rooms_is_drawn_from_this_code() -> None:
    spec = importlib.util.spec_from_file_location(
        "draw_rooms", ROOT / "docs/draw_rooms.py"
    )
    assert spec and spec.loader
    draw_rooms = importlib.util.module_from_spec(spec)
    sys.modules["draw_rooms"] = draw_rooms  # dataclasses look their module up
    spec.loader.exec_module(draw_rooms)
    drawn = (ROOT / "docs" / "rooms.svg").read_text(encoding="utf-8")
    assert draw_rooms.svg(draw_rooms.rooms()) == drawn, "python docs/draw_rooms.py"
