"""Checks of installed plugins: loading, light imports, and each offer by its conformance kit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points

from nd_plugin.errors import PluginFailed
from nd_plugin.plugins.checks.light_imports import heavy_imports
from nd_plugin.plugins.checks.offers import (
    Result,
    State,
    check_offer,
    state_of,
)
from nd_plugin.plugins.host import Host, offers_named
from nd_plugin.plugins.loading import GROUP, Plugin, offer_name

LOADS = "its module is imported, and gives specs of sound types"
LIGHT = "its module imports nothing heavy, so that listing plugins is quick"


@dataclass(frozen=True)
class PluginCheck:
    """Results of the checks of a plugin, by offer; those of the plugin itself under ""."""

    plugin: Plugin
    results: dict[str, list[Result]]

    def count(self, state: State) -> int:
        """Count the results of a state."""
        states = [
            result.state for results in self.results.values() for result in results
        ]
        return states.count(state)


def check_plugins(
    host: Host, name: str | None, say: Callable[[str], None]
) -> list[PluginCheck]:
    """Check the plugin, or the offer, of a name; None: all plugins.

    ``say`` is told what is checked next. Raises BadInput for an unknown name.
    """
    offers_of = offers_named(host, name)
    loaded = [plugin for plugin in offers_of if plugin.state == "loaded"]
    say("importing the modules of plugins in a process of its own")
    imports = _check_imports(loaded)
    checks = []
    for plugin, offers in offers_of.items():
        results = {"": [_check_loading(plugin), *imports.get(plugin, ())]}
        # of a conflict, the host would not know which of two it opens
        if plugin.state == "loaded":
            for offer in offers:
                words = offer_name(offer.spec)
                say(f"checking {words}")
                results[words] = list(check_offer(offer))
        checks.append(PluginCheck(plugin, results))
    return checks


def _check_loading(plugin: Plugin) -> Result:
    if plugin.state == "blocked":
        return Result("loads", LOADS, "not checked", plugin.problem)
    return Result("loads", LOADS, state_of(plugin.problem), plugin.problem)


def _check_imports(plugins: Sequence[Plugin]) -> dict[Plugin, list[Result]]:
    """Check what the modules of plugins import."""
    module_of = {plugin: _module_of(plugin) for plugin in plugins}
    modules = list(dict.fromkeys(module_of.values()))
    try:
        heavy = heavy_imports(modules)
    except PluginFailed as error:
        problems = dict.fromkeys(modules, str(error))
    else:
        problems = {
            module: f"{module} imports {', '.join(names)}" if names else ""
            for module, names in heavy.items()
        }
    results: dict[Plugin, list[Result]] = {}
    for plugin, module in module_of.items():
        problem = problems[module]
        results[plugin] = [
            Result("light-imports", LIGHT, state_of(problem), problem)
        ]
    return results


def _module_of(plugin: Plugin) -> str:
    """Return the module of a plugin's entry point."""
    for point in entry_points(group=GROUP, name=plugin.name):
        if point.dist is not None and point.dist.name == plugin.distribution:
            return point.module
    # of a distribution without a name
    return next(iter(entry_points(group=GROUP, name=plugin.name))).module
