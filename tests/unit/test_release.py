"""What has to agree for a release: versions, bounds, environments, links."""

from __future__ import annotations

import re
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def direct_dependencies() -> dict[str, str]:
    """Lower bound, or the version that is pinned, of every dependency and extra."""
    metadata = project()["project"]
    texts = [*metadata["dependencies"]]
    for extra in metadata["optional-dependencies"].values():
        texts += extra
    bounds = {}
    for text in texts:
        found = re.match(r"([\w-]+)(?:>=|==)([\d.]+)", text)
        if found:
            bounds[canonical(found[1])] = found[2]
    return bounds


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    pins = [line.partition("==") for line in lines if "==" in line]
    return {canonical(package): version for package, _, version in pins}


def test_the_oldest_versions_that_are_tested_are_the_lower_bounds() -> None:
    oldest = pinned("constraints-oldest.txt")
    bounds = direct_dependencies()
    assert {name: oldest.get(name) for name in bounds} == bounds


def test_the_citation_has_the_version_of_the_package() -> None:
    text = (ROOT / "CITATION.cff").read_text()
    (version,) = re.findall(r"^version: (.+)$", text, re.MULTILINE)
    assert version == project()["project"]["version"]


def test_every_package_of_the_wheel_is_typed() -> None:
    packages = project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    untyped = [path for path in packages if not (ROOT / path / "py.typed").exists()]
    assert untyped == []


def test_every_python_that_is_promised_is_tested() -> None:
    classifiers = project()["project"]["classifiers"]
    promised = re.findall(r":: (3\.\d+)\n", "\n".join([*classifiers, ""]))
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert promised and all(f'"{version}"' in workflow for version in promised)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_environments_that_exist(path: Path) -> None:
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    known = {name.removeprefix("testenv:") for name in tox.sections()}
    named = re.findall(r"tox (?:run )?-e ([\w,-]+)", path.read_text())
    unknown = {name for text in named for name in text.split(",")} - known
    assert unknown == set()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_to_a_major_version(path: Path) -> None:
    used = re.findall(r"uses: (\S+)", path.read_text())
    loose = [
        action for action in used if not re.search(r"@(v\d+|release/v\d+)$", action)
    ]
    assert used and loose == []
