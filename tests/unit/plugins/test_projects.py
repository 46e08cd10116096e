"""Projects of plugins: their names, and what stands in their files."""

from __future__ import annotations

import ast
import keyword
import tomllib
from pathlib import Path

import pytest

from nd_plugin import BadInput
from nd_plugin.plugins.host import host
from nd_plugin.plugins.projects.generating import (
    KINDS,
    project_files,
    write_project,
)
from nd_plugin.plugins.projects.names import LONGEST, ProjectNames

LONG = "nd-" + "n" * (LONGEST - 3)
NAMES = ["nd-street", "street", "ND.Colour_Bars", "nd-3d", "a", LONG]


@pytest.mark.parametrize(
    ("name", "module", "plugin"),
    [
        ("nd-street", "nd_street", "street"),
        ("nd_street", "nd_street", "street"),
        ("street", "street", "street"),
        ("ND.Colour_Bars", "nd_colour_bars", "colour-bars"),
        ("nd-3d", "nd_3d", "3d"),
        ("my--own", "my_own", "my-own"),
    ],
)
def test_names_are_derived(name: str, module: str, plugin: str) -> None:
    names = ProjectNames.derive(name)
    assert (names.distribution, names.module, names.plugin) == (
        name,
        module,
        plugin,
    )
    names.check_free(host())


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "no name of a distribution"),
        ("my plugin", "no name of a distribution"),
        ("../nd-street", "no name of a distribution"),
        ("-nd", "no name of a distribution"),
        ("straße", "no name of a distribution"),
        ("nd-street\n", "no name of a distribution"),
        ("3d", "no name in Python; choose another one, such as nd-3d"),
        ("class", "a word of Python's own; choose another one, such as nd-class"),
        ("json", "Python's standard library; choose another one, such as nd-json"),
        ("tests", "use themselves; choose another one, such as nd-tests"),
        ("con", "use themselves; choose another one, such as nd-con"),
        ("nd-concat", "a word of nd's own; choose another name, such as nd-my-"),
        (LONG + "n", f"41 characters; take {LONGEST} at most"),
    ],
)
def test_names_that_do_not_serve_are_refused(name: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        ProjectNames.derive(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nd-shapes", r"'shapes', a name that plugin 'shapes' of nd_plugin .* has"),
        ("nd-html", "'html', a name that plugin 'reports' of nd_plugin"),
        ("nd-timm", r"'timm', a name that .* \(it opens timm:NAME\) has"),
        ("numpy", r"numpy \S+ is installed here; choose another name"),
        ("PIL", "a package 'pil' is installed here"),
    ],
)
def test_names_that_something_installed_has_are_refused(
    name: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pil.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadInput, match=problem):
        ProjectNames.derive(name).check_free(host())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_files_are_python_and_toml_with_the_names(kind: str, name: str) -> None:
    names = ProjectNames.derive(name)
    files = project_files(KINDS[kind], names)
    project = tomllib.loads(files["pyproject.toml"].decode())
    assert project["project"]["name"] == name
    entry_points = project["project"]["entry-points"]["nd_plugin"]
    assert entry_points == {names.plugin: names.module}
    assert f"src/{names.module}/py.typed" in files
    offers = files[f"src/{names.module}/__init__.py"].decode()
    assert f'"{names.plugin}"' in offers
    for path, content in files.items():
        text = content.decode()
        assert "{%" not in text and "<<" not in text, path
        assert not any(word in text for word in ("TODO", "FIXME", "MODULE")), path
        if path.endswith(".py"):
            ast.parse(text)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_of_specs_name_what_is_there(kind: str) -> None:
    names = ProjectNames.derive("nd-street")
    files = project_files(KINDS[kind], names)
    offers = ast.parse(files["src/nd_street/__init__.py"])
    places = [
        node.value
        for node in ast.walk(offers)
        if isinstance(node, ast.Constant)
        and str(node.value).startswith("nd_street.")
    ]
    assert places
    for place in places:
        module, _, attribute = str(place).partition(":")
        tree = ast.parse(files[f"src/{module.replace('.', '/')}.py"])
        defined = [
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        ]
        assert attribute in defined, place


@pytest.mark.parametrize("kind", KINDS)
def test_listing_a_plugin_imports_nothing_heavy(kind: str) -> None:
    files = project_files(KINDS[kind], ProjectNames.derive("nd-street"))
    tree = ast.parse(files["src/nd_street/__init__.py"])
    imported = [
        node.module if isinstance(node, ast.ImportFrom) else node
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert imported == ["nd_plugin"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    names = ProjectNames.derive("nd-street")
    project = write_project(KINDS["reporter"], names, folder)
    written = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert written == set(project.files) >= {"README.md", ".gitignore"}
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_folder_that_holds_anything_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    names = ProjectNames.derive("nd-street")
    with pytest.raises(BadInput, match="not empty, and nothing is overwritten"):
        write_project(KINDS["backend"], names, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_no_part_of_a_project_is_left_where_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ProjectNames.derive("nd-street")
    files = project_files(KINDS["backend"], names)
    monkeypatch.setattr(
        "nd_plugin.plugins.projects.generating.project_files",
        lambda *_: {**files, "pyproject.toml/below": b"a file cannot be a folder"},
    )
    with pytest.raises(Exception, match="cannot be written"):
        write_project(KINDS["backend"], names, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_every_word_of_python_is_refused() -> None:
    for word in keyword.kwlist:
        with pytest.raises(BadInput):
            ProjectNames.derive(word)
