"""Entry points of the group ``nd_plugin``: loaded one by one, what is wrong with one recorded."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from nd_plugin.contracts.plugin_specs import (
    BackendSpec,
    ConceptSetSpec,
    ReporterSpec,
)
from nd_plugin.foreign_code import describe_error, is_failure
from nd_plugin.plugins.spec_types import check_spec

GROUP = "nd_plugin"
DISABLE = "ND_PLUGIN_DISABLE"
Spec = BackendSpec | ConceptSetSpec | ReporterSpec
HOOKS: dict[str, type[BackendSpec] | type[ConceptSetSpec] | type[ReporterSpec]] = {
    "nd_backends": BackendSpec,
    "nd_concept_sets": ConceptSetSpec,
    "nd_reporters": ReporterSpec,
}
OFFER_WORDS: dict[type, str] = {
    BackendSpec: "backend",
    ConceptSetSpec: "concept set",
    ReporterSpec: "reporter",
}


@dataclass(frozen=True)
class Plugin:
    """One entry point and what became of it."""

    name: str
    distribution: str
    version: str
    state: str  # "loaded" | "broken" | "blocked" | "conflict"
    problem: str = ""
    offers: tuple[str, ...] = ()  # "backend torch", "concept set shapes"

    @property
    def origin(self) -> str:
        """Plugin, distribution and version, for messages."""
        return f"plugin {self.name!r} of {self.distribution} {self.version}"

    @property
    def claims(self) -> tuple[str, ...]:
        """Names that no other plugin may have."""
        return (f"plugin {self.name}", *self.offers)


def load_entry_points(
    manager: pluggy.PluginManager,
) -> list[tuple[Plugin, list[Spec]]]:
    """Load every entry point, in the order of names and distributions; conflicts are marked."""
    blocked = _blocked_names()
    points = [(point, _plugin_of(point)) for point in entry_points(group=GROUP)]
    points.sort(key=lambda pair: (pair[1].name, pair[1].distribution))
    loaded = [_load(manager, point, plugin, blocked) for point, plugin in points]
    plugins = mark_conflicts([plugin for plugin, _ in loaded])
    return [
        (plugin, specs) for plugin, (_, specs) in zip(plugins, loaded, strict=True)
    ]


def _blocked_names() -> set[str]:
    names = os.environ.get(DISABLE, "").split(",")
    return {_normalised(name) for name in names if name.strip()}


def _normalised(name: str) -> str:
    """Return a distribution's name as packaging compares it: no case, ``-``, ``_``, ``.`` alike."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _plugin_of(point: EntryPoint) -> Plugin:
    """Return the plugin with its distribution, unknown where an uninstallation was cut short."""
    metadata = point.dist.metadata if point.dist else None
    name = _entry(metadata, "Name") or "an unknown distribution"
    version = _entry(metadata, "Version") or "?"
    return Plugin(point.name, name, version, "loaded")


def _entry(metadata: Any, key: str) -> str:
    """Return an entry of a distribution's metadata; reading one that is not there is deprecated."""
    return str(metadata[key]) if metadata and key in metadata else ""


def _load(
    manager: pluggy.PluginManager,
    point: EntryPoint,
    plugin: Plugin,
    blocked: set[str],
) -> tuple[Plugin, list[Spec]]:
    if {_normalised(plugin.name), _normalised(plugin.distribution)} & blocked:
        return replace(plugin, state="blocked", problem=f"blocked by {DISABLE}"), []
    key = f"{plugin.name}@{plugin.distribution}"
    try:
        specs = _register(manager, point, key)
    except BaseException as error:  # anything may happen in a third party's module
        if not is_failure(error):
            raise
        if manager.has_plugin(key):
            manager.unregister(name=key)
        return replace(plugin, state="broken", problem=describe_error(error)), []
    offers = tuple(offer_name(spec) for spec in specs)
    return replace(plugin, offers=offers), specs


def _register(
    manager: pluggy.PluginManager, point: EntryPoint, key: str
) -> list[Spec]:
    module = point.load()
    if manager.is_registered(module):
        raise ImportError(
            f"{point.value} is loaded already, as {manager.get_name(module)}"
        )
    manager.register(module, key)
    manager.check_pending()
    return _specs(manager, module)


def _specs(manager: pluggy.PluginManager, module: Any) -> list[Spec]:
    """Return the specs that a plugin's module gives. Raises TypeError for anything else."""
    specs: list[Spec] = []
    for hook, kind in HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            if implementation.plugin is not module:
                continue
            answer = implementation.function()
            if not isinstance(answer, Iterable):
                raise TypeError(
                    f"{hook}() gave {answer!r}, which is no sequence of {kind.__name__}"
                )
            specs += [_of_kind(kind, spec, hook) for spec in answer]
    return specs


def _of_kind(kind: type[Spec], spec: Any, hook: str) -> Spec:
    if not isinstance(spec, kind):
        raise TypeError(f"{hook}() gave {spec!r}, which is no {kind.__name__}")
    check_spec(spec)
    return spec


def offer_name(spec: Spec) -> str:
    """Return the kind and the name of what a plugin offers: "concept set shapes"."""
    words = [word for kind, word in OFFER_WORDS.items() if isinstance(spec, kind)]
    return f"{words[0]} {spec.name}"


def mark_conflicts(plugins: Sequence[Plugin]) -> list[Plugin]:
    """Mark loaded plugins of the same name, or offering the same thing.

    Choosing between them is an error later.
    """
    loaded = [plugin for plugin in plugins if plugin.state == "loaded"]
    counts: Counter[str] = Counter()
    for plugin in loaded:
        counts.update(set(plugin.claims))
    marked = []
    for plugin in plugins:
        shared = [claim for claim in plugin.claims if counts[claim] > 1]
        conflicts = plugin.state == "loaded" and shared
        marked.append(_conflicting(plugin, shared, loaded) if conflicts else plugin)
    return marked


def _conflicting(
    plugin: Plugin, shared: Sequence[str], loaded: Sequence[Plugin]
) -> Plugin:
    rivals = [
        rival
        for rival in loaded
        if rival != plugin and set(rival.claims) & set(shared)
    ]
    names = " and ".join(
        f"{rival.distribution} {rival.version}" for rival in rivals
    )
    problem = f"{', '.join(shared)} also comes from {names}"
    return replace(plugin, state="conflict", problem=problem)
