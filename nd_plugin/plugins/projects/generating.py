"""Projects of plugins, filled in from templates and written as a whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from nd_plugin.errors import BadInput
from nd_plugin.plugins.projects.names import ProjectNames
from nd_plugin.results.atomic_files import write_folder
from nd_plugin.storage.targets import check_folder

TEMPLATES = Path(__file__).parent / "templates"
COMMON = "common"  # to projects of all kinds
ENDING = ".jinja"
MODULE = "MODULE"  # stands for the module's name in paths


@dataclass(frozen=True)
class Kind:
    """Kind of plugin: what its project says of itself, and what its code needs."""

    name: str  # also the folder of its templates
    summary: str
    requirements: tuple[str, ...]  # beside nd_plugin


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "backend",
            "A backend for nd_plugin: networks of filters, run in NumPy",
            ("numpy>=1.26", "torch>=2.6"),
        ),
        Kind(
            "concept-set",
            "A concept set for nd_plugin: pictures with labelled boxes",
            ("numpy>=1.26", "pillow>=10.1"),
        ),
        Kind(
            "reporter",
            "A report format for nd_plugin: the best detectors in Markdown",
            ("pillow>=10.1",),
        ),
    )
}


@dataclass(frozen=True)
class Project:
    """Project that was written."""

    kind: Kind
    names: ProjectNames
    folder: Path
    files: tuple[str, ...]  # below the folder


def write_project(kind: Kind, names: ProjectNames, folder: Path) -> Project:
    """Write a project; its folder appears when all files are there.

    Raises BadInput for a folder that holds anything, and NotSaved.
    """
    check_folder(folder, "a project")
    if not _is_free(folder):
        raise BadInput(
            f"{folder} exists and is not empty, and nothing is overwritten: name another folder "
            "with --output"
        )
    files = project_files(kind, names)
    write_folder(folder, files, may_replace=_is_free)
    return Project(kind, names, folder, tuple(files))


def project_files(kind: Kind, names: ProjectNames) -> dict[str, bytes]:
    """Return the contents of a project's files, by their paths below its folder."""
    values = {
        "kind": kind.name,
        "summary": kind.summary,
        "requirements": kind.requirements,
        "distribution": names.distribution,
        "module": names.module,
        "plugin": names.plugin,
        "version": metadata.version("nd_plugin"),
    }
    files: dict[str, bytes] = {}
    for template in (*_templates(COMMON), *_templates(kind.name)):
        path = template.partition("/")[2].removesuffix(ENDING)
        name = path.replace(MODULE, names.module)
        files[name] = _rendered(template, values).encode()
    return dict(sorted(files.items()))


def _templates(folder: str) -> list[str]:
    """Return the templates in a folder, as paths below `TEMPLATES`."""
    paths = (TEMPLATES / folder).rglob(f"*{ENDING}")
    return sorted(path.relative_to(TEMPLATES).as_posix() for path in paths)


def _rendered(template: str, values: Mapping[str, Any]) -> str:
    """Return a template filled in; braces are left to Python and to workflows."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=False,  # names are checked, and no page is made
        keep_trailing_newline=True,
        loader=FileSystemLoader(TEMPLATES),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
        variable_start_string="<<",
        variable_end_string=">>",
    )
    return environment.get_template(template).render(values)


def _is_free(folder: Path) -> bool:
    """Return whether there is no folder, or nothing in it."""
    return not os.path.lexists(folder) or not any(folder.iterdir())
