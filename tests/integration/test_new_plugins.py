"""Projects that ``nd plugins new`` writes: they pass their own tests, and the tests can fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nd_plugin.plugins.projects.generating import KINDS, Project, write_project
from nd_plugin.plugins.projects.names import ProjectNames

ROOT = Path(__file__).parents[2]
AWKWARD_NAMES = {
    "backend": "ND.Filter__bank",
    "concept-set": "nd-3D.boxes",
    "reporter": "Z9",
}


@dataclass(frozen=True)
class Edit:
    """Wrong edit of a generated project, and the generated test that has to fail then."""

    kind: str
    name: str
    file: str
    before: str
    after: str
    test: str

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"


EDITS = [
    Edit(
        "backend",
        "transposed-maps",
        "backend.py",
        "torch.from_numpy(maps[layer])",
        "torch.from_numpy(maps[layer]).transpose(2, 3)",
        "test_contract[rows-before-columns]",
    ),
    Edit(
        "backend",
        "shifted-places",
        "network.py",
        "self.stride, rows // 2)",
        "self.stride, 0)",
        "test_contract[places]",
    ),
    Edit(
        "backend",
        "error-of-python",
        "backend.py",
        "raise LayerNotFound(",
        "raise KeyError(",
        "test_contract[unknown-layer]",
    ),
    Edit(
        "concept-set",
        "transposed-planes",
        "reader.py",
        "tuple(stack.planes)",
        "tuple(plane.T for plane in stack.planes)",
        "test_contract[plane-aspect]",
    ),
    Edit(
        "concept-set",
        "labels-from-0",
        "reader.py",
        "1 + labels.index(",
        "labels.index(",
        "test_labels_cover_the_pixels_of_their_colour",
    ),
    Edit(
        "concept-set",
        "forgotten-option",
        "reader.py",
        "content = [VERSION, smallest, ",
        "content = [VERSION, ",
        "test_sets_of_other_boxes_have_other_fingerprints",
    ),
    Edit(
        "reporter",
        "no-notes",
        "markdown.py",
        "if report.notes:",
        "if not report.notes:",
        "test_notes_are_kept",
    ),
    Edit(
        "reporter",
        "names-as-markup",
        "markdown.py",
        'return SPECIAL.sub(lambda match: f"&#{ord(match[0])};", shown)',
        "return shown",
        "test_foreign_names_stay_text",
    ),
    Edit(
        "reporter",
        "units-from-1",
        "markdown.py",
        "str(score.unit),",
        "str(score.unit + 1),",
        "test_every_detector_has_a_row_with_its_top_images",
    ),
]


def generate(kind: str, name: str, folder: Path) -> Project:
    """Write a project, and beside its modules what pip would add for an installation."""
    project = write_project(KINDS[kind], ProjectNames.derive(name), folder / name)
    settings = tomllib.loads((project.folder / "pyproject.toml").read_text())
    points = settings["project"]["entry-points"]["nd_plugin"]
    information = project.folder / "src" / f"{project.names.module}-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n"
    )
    lines = [f"{point} = {module}" for point, module in points.items()]
    (information / "entry_points.txt").write_text(
        "\n".join(["[nd_plugin]", *lines, ""])
    )
    return project


def run_python(
    projects: Sequence[Project], folder: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a module with projects installed."""
    paths = [str(project.folder / "src") for project in projects]
    paths += filter(None, [os.environ.get("PYTHONPATH")])
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("projects")


@pytest.fixture(scope="module", params=sorted(KINDS))
def project(request: pytest.FixtureRequest, folder: Path) -> Project:
    return generate(request.param, AWKWARD_NAMES[request.param], folder)


@pytest.fixture(scope="module")
def type_cache(folder: Path) -> Path:
    """Cache of mypy for all projects: torch is not read again for each of them."""
    cache = folder / "mypy_cache"
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", cache)
    return cache


def test_a_project_passes_the_commands_of_its_readme(
    project: Project, type_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYPY_CACHE_DIR", str(type_cache))
    readme = (project.folder / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^(ruff check && .*)$", readme, re.MULTILINE)
    commands = line.split(" && ")
    assert commands == ["ruff check", "ruff format --check", "mypy", "pytest"]
    for command in commands:
        done = run_python([project], project.folder, *command.split())
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def failures(folder: Path) -> dict[str, set[str]]:
    """Names of the failed tests of each wrong project, from one run of pytest for all."""
    edited = folder / "edited"
    projects = []
    for edit in EDITS:
        project = generate(edit.kind, f"nd-{edit.name}", edited)
        path = project.folder / "src" / project.names.module / edit.file
        text = path.read_text(encoding="utf-8")
        assert text.count(edit.before) == 1, edit
        path.write_text(text.replace(edit.before, edit.after), encoding="utf-8")
        projects.append(project)
    (edited / "pytest.ini").write_text("[pytest]\n")
    options = (
        "--import-mode=importlib",
        "--continue-on-collection-errors",
        "-k=not nd_report",  # runs a process for each edit
        "--junitxml=results.xml",
    )
    run_python(
        projects,
        edited,
        "pytest",
        *options,
        *(p.names.distribution for p in projects),
    )
    failed: dict[str, set[str]] = {str(edit): set() for edit in EDITS}
    for case in ElementTree.parse(edited / "results.xml").iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            # a module that cannot be imported is a case without a class
            place = case.attrib["classname"] or case.attrib["name"]
            distribution = place.partition(".")[0]
            (edit,) = (e for e in EDITS if f"nd-{e.name}" == distribution)
            failed[str(edit)].add(case.attrib["name"])
    return failed


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_a_wrong_edit_fails_a_test_of_the_project(
    edit: Edit, failures: dict[str, set[str]]
) -> None:
    assert edit.test in failures[str(edit)]
