"""Command ``nd plugins list``: the installed plugins, and what became of them."""

from __future__ import annotations

from dataclasses import asdict

from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.console import new_table, print_json
from nd_plugin.cli.options.shared import Json
from nd_plugin.plugins.host import Host, host

STATE_COLOURS = {
    "loaded": "green",
    "broken": "red",
    "blocked": "yellow",
    "conflict": "red",
}


def list_plugins(json: Json = False) -> None:
    """List the installed plugins, including broken and blocked ones."""
    with console.results_only():
        loaded_host = host()
    print_plugins(loaded_host, as_json=json)


def print_plugins(host: Host, *, as_json: bool) -> None:
    """Print name, origin, state and offers of every plugin, then problems."""
    if as_json:
        print_json({"plugins": [asdict(plugin) for plugin in host.plugins]})
        return
    table = new_table("plugin", "distribution", "state", "offers")
    for plugin in host.plugins:
        distribution = f"{plugin.distribution} {plugin.version}"
        state = Text(plugin.state, style=STATE_COLOURS[plugin.state])
        table.add_row(plugin.name, distribution, state, ", ".join(plugin.offers))
    console.show(table)
    for plugin in host.plugins:
        if plugin.problem:
            problem = f"! {plugin.origin}: {plugin.problem}"
            console.show(
                Text(problem, style=STATE_COLOURS[plugin.state]), wrap_words=False
            )
