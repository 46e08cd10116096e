"""Option ``nd plugins --check``: the checks of installed plugins, as tables or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.console import new_table, print_json
from nd_plugin.plugins.host import Host

if TYPE_CHECKING:
    from nd_plugin.plugins.checks.installed import PluginCheck
    from nd_plugin.plugins.checks.offers import Result, State

COLOURS: dict[State, str] = {
    "holds": "green",
    "broken": "red",
    "not checked": "yellow",
}


def check(host: Host, name: str | None, *, as_json: bool) -> None:
    """Check the plugin or offer of a name, or all plugins; exit with 1 if a check is broken."""
    # the kits import torch
    from nd_plugin.plugins.checks.installed import check_plugins

    with console.results_only():
        checks = check_plugins(host, name, console.say)
    if as_json:
        print_json(_content(checks))
    else:
        print_checks(checks, is_full=name is not None)
    if _count(checks, "broken"):
        raise typer.Exit(1)


def print_checks(checks: Sequence[PluginCheck], *, is_full: bool) -> None:
    """Print a table for each plugin, then how many checks hold.

    The checks of an offer that hold are one row, unless ``is_full``.
    """
    for plugin_check in checks:
        plugin = plugin_check.plugin
        heading = f"{plugin.name} ({plugin.distribution} {plugin.version})"
        console.show(Text(f"{heading}: {_summary([plugin_check])}", style="bold"))
        table = new_table("offer", "check", "state", "problem")
        for offer, results in plugin_check.results.items():
            for name, state, problem in _rows(results, is_full=is_full):
                state_cell = Text(state, style=COLOURS[state])
                table.add_row(Text(offer), Text(name), state_cell, Text(problem))
        console.show(table)
        console.write("")
    console.show(Text(f"in all: {_summary(checks)}"))


def _rows(
    results: Sequence[Result], *, is_full: bool
) -> Iterator[tuple[str, State, str]]:
    """Yield check, state and problem of each row."""
    holding = [result.check for result in results if result.state == "holds"]
    if holding and not is_full:
        few = len(holding) <= 2
        yield ", ".join(holding) if few else f"{len(holding)} checks", "holds", ""
    for result in results:
        if is_full or result.state != "holds":
            yield result.check, result.state, result.problem


def _summary(checks: Sequence[PluginCheck]) -> str:
    """Return how many checks are in each state: "40 hold, 1 broken"."""
    holding = _count(checks, "holds")
    broken = _count(checks, "broken")
    unchecked = _count(checks, "not checked")
    parts = [f"{holding} hold" if holding != 1 else "1 holds"]
    if broken:
        parts.append(f"{broken} broken")
    if unchecked:
        parts.append(f"{unchecked} not checked")
    return ", ".join(parts)


def _count(checks: Sequence[PluginCheck], state: State) -> int:
    return sum(plugin_check.count(state) for plugin_check in checks)


def _content(checks: Sequence[PluginCheck]) -> dict[str, Any]:
    plugins = []
    for plugin_check in checks:
        rows = [
            {"offer": offer, **asdict(result)}
            for offer, results in plugin_check.results.items()
            for result in results
        ]
        plugins.append({**asdict(plugin_check.plugin), "checks": rows})
    return {
        "plugins": plugins,
        "broken": _count(checks, "broken"),
        "not_checked": _count(checks, "not checked"),
    }
