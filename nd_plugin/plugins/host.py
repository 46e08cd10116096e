"""Finding, loading and choosing plugins.

Entry points are loaded one at a time: a broken one is reported by name and never takes the host down.
``ND_PLUGIN_DISABLE=a,b`` blocks plugins by their own name or by their distribution's.
"""

from __future__ import annotations

import importlib
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import pluggy

from nd_plugin.contracts.plugin_specs import BackendSpec, ConceptSetSpec, ReporterSpec
from nd_plugin.errors import PluginConflict, Unavailable
from nd_plugin.plugins import hookspecs

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection


GROUP = "nd_plugin"


DISABLE = "ND_PLUGIN_DISABLE"


Spec = BackendSpec | ConceptSetSpec | ReporterSpec


HOOKS: dict[str, type[BackendSpec] | type[ConceptSetSpec] | type[ReporterSpec]] = {
    "nd_backends": BackendSpec,
    "nd_concept_sets": ConceptSetSpec,
    "nd_reporters": ReporterSpec,
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
        """For messages: which plugin of which distribution."""
        return f"plugin {self.name!r} of {self.distribution} {self.version}"


@dataclass(frozen=True)
class Offer:
    """A spec and the plugin that made it."""

    spec: Any
    plugin: Plugin


@dataclass(frozen=True)
class Host:
    """All plugins of this environment."""

    plugins: tuple[Plugin, ...]
    offers: tuple[Offer, ...]
    manager: pluggy.PluginManager = field(repr=False)

    def specs(self, kind: type) -> list[Offer]:
        """The offers of one kind of spec, in the order of their names."""
        return sorted(
            (o for o in self.offers if isinstance(o.spec, kind)), key=lambda o: str(o.spec.name)
        )

    def named(self, kind: type, name: str) -> Offer | None:
        """The one offer of that name; None if there is none, PluginConflict if there are several."""
        found = [offer for offer in self.specs(kind) if offer.spec.name == name]
        return only(found, f"{name!r}") if found else None

    def best(self, kind: type, subject: Any) -> Offer | None:
        """The offer whose ``match`` claims the subject most strongly; a tie is a PluginConflict."""
        scores = [(_match(offer, subject), offer) for offer in self.specs(kind)]
        top = max((score for score, _ in scores), default=0)
        return (
            only([offer for score, offer in scores if score == top], repr(subject)[:80])
            if top > 0
            else None
        )


def only(found: Sequence[Offer], subject: str) -> Offer:
    """The single one of ``found``, or an error that names the distributions of all."""
    if len(found) == 1:
        return found[0]
    rivals = " and ".join(offer.plugin.origin for offer in found)
    guest = next(
        (o.plugin for o in found if o.plugin.distribution != hookspecs.PROJECT), found[-1].plugin
    )
    raise PluginConflict(
        f"{subject} is claimed by {rivals}; uninstall one, or block it by its distribution: "
        f"{DISABLE}={guest.distribution}"
    )


def _match(offer: Offer, subject: Any) -> int:
    if offer.spec.match is None:
        return 0
    try:
        return int(offer.spec.match(subject))
    except (Exception, SystemExit) as error:  # a third party's code: named, and out of the choice
        warnings.warn(
            f"{offer.plugin.origin} failed to match: {described(error)}",
            RuntimeWarning,
            stacklevel=3,
        )
        return 0


def described(error: BaseException) -> str:
    """An error of someone else's in one line, for messages."""
    return f"{type(error).__name__}: {error}"


def load_plugins() -> Host:
    """Load every entry point of the group; what is wrong with one is told in its ``Plugin``."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    blocked = {_normalised(name) for name in os.environ.get(DISABLE, "").split(",") if name.strip()}
    points = sorted(
        entry_points(group=GROUP), key=lambda point: (point.name, _plugin_of(point).distribution)
    )
    loaded = [_load(manager, point, blocked) for point in points]
    plugins = _marked_conflicts([plugin for plugin, _ in loaded])
    offers = [
        Offer(spec, plugin)
        for plugin, (_, specs) in zip(plugins, loaded, strict=True)
        for spec in specs
    ]
    return Host(tuple(plugins), tuple(offers), manager)


@lru_cache(maxsize=1)
def host() -> Host:
    """The plugins of this process, loaded once."""
    return load_plugins()


def _normalised(name: str) -> str:
    """Distributions' names compare as packaging does: without case, and ``-``, ``_`` and ``.`` alike."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _plugin_of(point: EntryPoint) -> Plugin:
    """Of which distribution it is; one whose metadata are gone, as after half an uninstallation, has neither name."""
    metadata = point.dist.metadata if point.dist else None
    name, version = (
        metadata[key] if metadata and key in metadata else "" for key in ("Name", "Version")
    )
    return Plugin(point.name, name or "an unknown distribution", version or "?", "loaded")


def _load(
    manager: pluggy.PluginManager, point: EntryPoint, blocked: set[str]
) -> tuple[Plugin, list[Spec]]:
    plugin = _plugin_of(point)
    if {_normalised(plugin.name), _normalised(plugin.distribution)} & blocked:
        return replace(plugin, state="blocked", problem=f"blocked by {DISABLE}"), []
    key = f"{plugin.name}@{plugin.distribution}"
    try:
        module = point.load()
        if manager.is_registered(module):
            raise ImportError(f"{point.value} is loaded already, as {manager.get_name(module)}")
        manager.register(module, key)
        manager.check_pending()
        specs = _specs(manager, module)
    except (
        Exception,
        SystemExit,
    ) as error:  # anything may happen in a third party's module; it is left out
        if manager.has_plugin(key):
            manager.unregister(name=key)
        return replace(plugin, state="broken", problem=described(error)), []
    return replace(plugin, offers=tuple(_offer_name(spec) for spec in specs)), specs


def _specs(manager: pluggy.PluginManager, module: Any) -> list[Spec]:
    specs: list[Spec] = []
    for hook, kind in HOOKS.items():
        implementations = getattr(manager.hook, hook).get_hookimpls()
        for given in (found.function() for found in implementations if found.plugin is module):
            if not isinstance(given, Iterable):
                raise TypeError(f"{hook}() gave {given!r}, which is no sequence of {kind.__name__}")
            specs += (_of_kind(kind, spec, hook) for spec in given)
    return specs


def _of_kind(kind: type[Spec], spec: Any, hook: str) -> Spec:
    if not isinstance(spec, kind):
        raise TypeError(f"{hook}() gave {spec!r}, which is no {kind.__name__}")
    return spec


def _offer_name(spec: Spec) -> str:
    kinds = {BackendSpec: "backend", ConceptSetSpec: "concept set", ReporterSpec: "reporter"}
    return next(f"{word} {spec.name}" for kind, word in kinds.items() if isinstance(spec, kind))


def _marked_conflicts(plugins: Sequence[Plugin]) -> list[Plugin]:
    """Plugins of the same name, or offering the same thing, are marked; choosing between them is an error later."""
    live = [plugin for plugin in plugins if plugin.state == "loaded"]
    claims = Counter(
        claim for plugin in live for claim in {f"plugin {plugin.name}", *plugin.offers}
    )

    def marked(plugin: Plugin) -> Plugin:
        shared = [c for c in (f"plugin {plugin.name}", *plugin.offers) if claims[c] > 1]
        if plugin.state != "loaded" or not shared:
            return plugin
        rivals = [p for p in live if p != plugin and {f"plugin {p.name}", *p.offers} & set(shared)]
        names = " and ".join(f"{p.distribution} {p.version}" for p in rivals)
        return replace(
            plugin, state="conflict", problem=f"{', '.join(shared)} also comes from {names}"
        )

    return [marked(plugin) for plugin in plugins]


def load_factory(offer: Offer, name: str | None = None) -> Any:
    """Import what a spec's ``factory`` names, or ``name``; a failure names the plugin and is Unavailable."""
    module, _, attribute = (name or offer.spec.factory).partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:
        raise Unavailable(
            f"{offer.spec.name!r} cannot be loaded from {offer.plugin.origin}: {described(error)}"
        ) from error


def announce(dissection: Dissection) -> None:
    """Call ``nd_dissection_finished`` of every plugin, one at a time; what one raises is a warning that names it."""
    manager = host().manager
    for implementation in manager.hook.nd_dissection_finished.get_hookimpls():
        try:
            implementation.function(*[dissection] * len(implementation.argnames))
        except (
            Exception,
            SystemExit,
        ) as error:  # a third party's code: named, and the result stands
            warnings.warn(
                f"plugin {implementation.plugin_name!r} failed after the dissection of {dissection.layer}: "
                f"{described(error)}",
                RuntimeWarning,
                stacklevel=2,
            )
