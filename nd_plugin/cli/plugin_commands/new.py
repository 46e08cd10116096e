"""Command ``nd plugins new``: a project of a plugin, ready to be filled in."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.options.shared import Json
from nd_plugin.errors import BadInput, nearest

if TYPE_CHECKING:
    from nd_plugin.plugins.projects.generating import Kind, Project


def complete_kind(incomplete: str) -> list[str]:
    """Return the kinds of plugins that begin with what is typed."""
    from nd_plugin.plugins.projects.generating import KINDS

    return [name for name in KINDS if name.startswith(incomplete)]


KindName = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        help="What the plugin offers: backend, concept-set or reporter.",
        autocompletion=complete_kind,
    ),
]
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of the distribution, such as nd-street; the module (nd_street) and the plugin "
        "(street) are named after it.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="DIR",
        help="Folder of the project; it is new or empty. [default: NAME]",
        show_default=False,
    ),
]


def new(
    kind: KindName, name: Name, output: Output = None, json: Json = False
) -> None:
    """Write the project of a plugin: code that works, tests with the kit, CI and a README."""
    from nd_plugin.plugins.host import host
    from nd_plugin.plugins.projects.generating import write_project
    from nd_plugin.plugins.projects.names import ProjectNames
    from nd_plugin.storage.names import expanded_home

    chosen_kind = _kind(kind)
    names = ProjectNames.derive(name)
    with console.results_only():
        names.check_free(host())
    folder = Path(name) if output is None else expanded_home(output)
    project = write_project(chosen_kind, names, folder)
    print_project(project, as_json=json)


def print_project(project: Project, *, as_json: bool) -> None:
    """Print a project's names and files, and the commands that come next."""
    names = project.names
    commands = next_commands(project)
    if as_json:
        console.print_json(
            {
                "kind": project.kind.name,
                "distribution": names.distribution,
                "module": names.module,
                "plugin": names.plugin,
                "folder": str(project.folder),
                "files": list(project.files),
                "next": commands,
            }
        )
        return
    lines = [
        f"{project.kind.name} {names.distribution}: {len(project.files)} files in {project.folder}",
        f"  distribution  {names.distribution}",
        f"  module        {names.module}",
        f"  plugin        {names.plugin}",
        "files",
        *(f"  {file}" for file in project.files),
        "next",
        *(f"  {command}" for command in commands),
    ]
    for line in lines:
        console.show(Text(line), wrap_words=False)


def next_commands(project: Project) -> list[str]:
    """Return the commands that install a project and run its tests."""
    return [
        f"cd {shlex.quote(str(project.folder))}",
        'python -m pip install -e ".[test]"',
        "python -m pytest",
    ]


def _kind(name: str) -> Kind:
    """Return a kind of plugin by its name. Raises BadInput."""
    from nd_plugin.plugins.projects.generating import KINDS

    if name in KINDS:
        return KINDS[name]
    similar = nearest(name, KINDS, most=1)
    hint = f"; the nearest is {similar[0]}" if similar else ""
    raise BadInput(
        f"no kind of plugin {name!r}; kinds are {', '.join(KINDS)}{hint}"
    )
