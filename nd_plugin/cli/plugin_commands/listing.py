"""Command ``nd plugins list``: the installed plugins, what became of them, and their checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.console import new_table, print_json
from nd_plugin.cli.options.shared import Json
from nd_plugin.plugins.host import host, offers_named
from nd_plugin.plugins.loading import Plugin
from nd_plugin.shell.completion import complete_plugin

STATE_COLOURS = {
    "loaded": "green",
    "broken": "red",
    "blocked": "yellow",
    "conflict": "red",
}


Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="A plugin, or what it offers: torch, 'concept set shapes'. [default: all plugins]",
        autocompletion=complete_plugin,
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Check what they import and, by the conformance kits, what they offer; exit with 1 if "
        "a check is broken.",
    ),
]


def list_plugins(
    name: Name = None, check: Check = False, json: Json = False
) -> None:
    """List the installed plugins, including broken and blocked ones, or check them."""
    with console.results_only():
        loaded_host = host()
    if check:
        from nd_plugin.cli.plugin_commands import check as checking

        checking.check(loaded_host, name, as_json=json)
        return
    plugins = list(offers_named(loaded_host, name))
    print_plugins(plugins, as_json=json)


def print_plugins(plugins: Sequence[Plugin], *, as_json: bool) -> None:
    """Print name, origin, state and offers of every plugin, then problems."""
    if as_json:
        print_json({"plugins": [asdict(plugin) for plugin in plugins]})
        return
    table = new_table("plugin", "distribution", "state", "offers")
    for plugin in plugins:
        distribution = f"{plugin.distribution} {plugin.version}"
        state = Text(plugin.state, style=STATE_COLOURS[plugin.state])
        table.add_row(plugin.name, distribution, state, ", ".join(plugin.offers))
    console.show(table)
    for plugin in plugins:
        if plugin.problem:
            problem = f"! {plugin.origin}: {plugin.problem}"
            console.show(
                Text(problem, style=STATE_COLOURS[plugin.state]), wrap_words=False
            )
