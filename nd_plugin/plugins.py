"""Finding, loading and choosing plugins.

Entry points are loaded one at a time: a broken one is reported by name and never takes the host down.
``ND_PLUGIN_DISABLE=a,b`` blocks plugins by their own name or by their distribution's.
"""

from __future__ import annotations

import importlib
import inspect
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pluggy

from nd_plugin import hookspecs
from nd_plugin.errors import BadInput, ConceptSetInvalid, ModelNotFound, PluginConflict, Unavailable, nearest
from nd_plugin.types import BackendSpec, ConceptSet, ConceptSetSpec, Model, ModelOptions, ReporterSpec

if TYPE_CHECKING:
    from nd_plugin.dissection import Dissection

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
        return sorted((o for o in self.offers if isinstance(o.spec, kind)), key=lambda o: str(o.spec.name))

    def named(self, kind: type, name: str) -> Offer | None:
        """The one offer of that name; None if there is none, PluginConflict if there are several."""
        found = [offer for offer in self.specs(kind) if offer.spec.name == name]
        return only(found, f"{name!r}") if found else None

    def best(self, kind: type, subject: Any) -> Offer | None:
        """The offer whose ``match`` claims the subject most strongly; a tie is a PluginConflict."""
        scores = [(_match(offer, subject), offer) for offer in self.specs(kind)]
        top = max((score for score, _ in scores), default=0)
        return only([offer for score, offer in scores if score == top], repr(subject)[:80]) if top > 0 else None


def only(found: Sequence[Offer], subject: str) -> Offer:
    """The single one of ``found``, or an error that names the distributions of all."""
    if len(found) == 1:
        return found[0]
    rivals = " and ".join(offer.plugin.origin for offer in found)
    guest = next((o.plugin for o in found if o.plugin.distribution != hookspecs.PROJECT), found[-1].plugin)
    raise PluginConflict(
        f"{subject} is claimed by {rivals}; uninstall one, or block it by its distribution: "
        f"{DISABLE}={guest.distribution}"
    )


def _match(offer: Offer, subject: Any) -> int:
    if offer.spec.match is None:
        return 0
    try:
        return int(offer.spec.match(subject))
    except Exception as error:  # a third party's code: named, and out of the choice
        warnings.warn(f"{offer.plugin.origin} failed to match: {_described(error)}", RuntimeWarning, stacklevel=3)
        return 0


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def load_plugins() -> Host:
    """Load every entry point of the group; what is wrong with one is told in its ``Plugin``."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    blocked = {name.strip() for name in os.environ.get(DISABLE, "").split(",") if name.strip()}
    points = sorted(set(entry_points(group=GROUP)), key=lambda point: (point.name, _plugin_of(point).distribution))
    loaded = [_load(manager, point, blocked) for point in points]
    plugins = _marked_conflicts([plugin for plugin, _ in loaded])
    offers = [Offer(spec, plugin) for plugin, (_, specs) in zip(plugins, loaded, strict=True) for spec in specs]
    return Host(tuple(plugins), tuple(offers), manager)


@lru_cache(maxsize=1)
def host() -> Host:
    """The plugins of this process, loaded once."""
    return load_plugins()


def _plugin_of(point: EntryPoint) -> Plugin:
    distribution = point.dist
    name = distribution.name if distribution else "an unknown distribution"
    return Plugin(point.name, name, distribution.version if distribution else "?", "loaded")


def _load(manager: pluggy.PluginManager, point: EntryPoint, blocked: set[str]) -> tuple[Plugin, list[Spec]]:
    plugin = _plugin_of(point)
    if {plugin.name, plugin.distribution} & blocked:
        return replace(plugin, state="blocked", problem=f"blocked by {DISABLE}"), []
    key = f"{plugin.name}@{plugin.distribution}"
    try:
        module = point.load()
        manager.register(module, key)
        manager.check_pending()
        specs = _specs(manager, module)
    except Exception as error:  # anything may happen in a third party's module; it is named and left out
        if manager.has_plugin(key):
            manager.unregister(name=key)
        return replace(plugin, state="broken", problem=_described(error)), []
    return replace(plugin, offers=tuple(_offer_name(spec) for spec in specs)), specs


def _specs(manager: pluggy.PluginManager, module: Any) -> list[Spec]:
    specs: list[Spec] = []
    for hook, kind in HOOKS.items():
        implementations = getattr(manager.hook, hook).get_hookimpls()
        for spec in (spec for found in implementations if found.plugin is module for spec in found.function()):
            if not isinstance(spec, kind):
                raise TypeError(f"{hook}() gave {spec!r}, which is no {kind.__name__}")
            specs.append(spec)
    return specs


def _offer_name(spec: Spec) -> str:
    kind = {BackendSpec: "backend", ConceptSetSpec: "concept set", ReporterSpec: "reporter"}[type(spec)]
    return f"{kind} {spec.name}"


def _marked_conflicts(plugins: Sequence[Plugin]) -> list[Plugin]:
    """Plugins of the same name, or offering the same thing, are marked; choosing between them is an error later."""
    live = [plugin for plugin in plugins if plugin.state == "loaded"]
    claims = Counter(claim for plugin in live for claim in {f"plugin {plugin.name}", *plugin.offers})

    def marked(plugin: Plugin) -> Plugin:
        shared = [c for c in (f"plugin {plugin.name}", *plugin.offers) if claims[c] > 1]
        if plugin.state != "loaded" or not shared:
            return plugin
        rivals = [p for p in live if p != plugin and {f"plugin {p.name}", *p.offers} & set(shared)]
        names = " and ".join(f"{p.distribution} {p.version}" for p in rivals)
        return replace(plugin, state="conflict", problem=f"{', '.join(shared)} also comes from {names}")

    return [marked(plugin) for plugin in plugins]


def load_factory(offer: Offer) -> Any:
    """Import what a spec's ``factory`` names; a failure names the plugin and is Unavailable."""
    module, _, attribute = offer.spec.factory.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise Unavailable(
            f"{offer.spec.name!r} cannot be loaded from {offer.plugin.origin}: {_described(error)}"
        ) from error


@dataclass(frozen=True)
class SpecText:
    """A text ``name:argument?key=value&key=value`` taken apart."""

    name: str
    argument: str
    options: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> SpecText:
        """Take a text apart; a part that is missing is empty."""
        head, _, query = text.partition("?")
        name, _, argument = head.partition(":")
        return cls(name, argument, dict(parse_qsl(query, keep_blank_values=True)))


def open_concepts(concepts: str | ConceptSet) -> ConceptSet:
    """Open a concept set: ``"broden:ROOT"``, ``"masks:ROOT"``, ``"shapes"``, or whatever an installed plugin claims.

    An object that is a ConceptSet already is given back. Raises ConceptSetInvalid for what nobody claims, for an empty
    set, and for a category without concepts.
    """
    if not isinstance(concepts, str):
        return _checked(concepts)
    text = SpecText.parse(concepts)
    offer = host().named(ConceptSetSpec, text.name)
    argument, options = text.argument, text.options
    if offer is None:
        offer, argument, options = host().best(ConceptSetSpec, concepts), concepts, {}
    if offer is None:
        raise ConceptSetInvalid(f"no concept set {concepts!r}{_among(ConceptSetSpec, text.name)}")
    return _checked(call_with_options(load_factory(offer), argument, options, f"concept set {offer.spec.name!r}"))


def call_with_options(factory: Callable[..., Any], argument: Any, options: dict[str, str], whose: str) -> Any:
    """``factory(argument, **options)``; an option that it does not take is a BadInput that lists those it does."""
    known = [p.name for p in inspect.signature(factory).parameters.values() if p.kind == p.KEYWORD_ONLY]
    unknown = [name for name in options if name not in known]
    if unknown:
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        raise BadInput(f"{whose} has no option {', '.join(map(repr, unknown))}; {takes}")
    return factory(argument, **options)


def _checked(concepts: Any) -> ConceptSet:
    if not isinstance(concepts, ConceptSet):
        raise ConceptSetInvalid(
            f"{type(concepts).__name__} is no concept set: it lacks the ConceptSet protocol's members"
        )
    where = concepts.identity.source
    if len(concepts) == 0:
        raise ConceptSetInvalid(f"the concept set {where} has no images")
    if not concepts.concepts:
        raise ConceptSetInvalid(f"the concept set {where} has no concepts")
    used = {concept.category for concept in concepts.concepts}
    empty = [category for category in concepts.categories if category not in used]
    if empty:
        raise ConceptSetInvalid(
            f"the concept set {where} has no concept in {', '.join(map(repr, empty))}: leave it out"
        )
    strange = sorted(used.difference(concepts.categories))
    if strange:
        raise ConceptSetInvalid(f"the concept set {where} has concepts of unlisted categories: {', '.join(strange)}")
    return concepts


def open_model(model: Any, options: ModelOptions | None = None) -> Model:
    """Open a model by the backend that claims it most strongly.

    ``model`` is an object (an ``nn.Module``) or a text (``torchvision:resnet18``, ``file.onnx``,
    ``package.module:factory``). Raises ModelNotFound for what nobody claims, Unavailable for a backend that cannot
    be loaded.
    """
    offer = host().best(BackendSpec, model)
    if offer is None:
        shown = repr(model) if isinstance(model, str) else f"a {type(model).__name__}"
        raise ModelNotFound(f"no backend opens {shown}{_among(BackendSpec, '')}")
    opened: Model = load_factory(offer)().open(model, options or ModelOptions())
    return opened


def _among(kind: type, wanted: str) -> str:
    """What could have been meant: for errors."""
    offers = host().specs(kind)
    close = nearest(wanted, [str(offer.spec.name) for offer in offers], most=1) if wanted else []
    forms = [form for offer in offers for form in (offer.spec.accepts or (offer.spec.name,))]
    hint = f"; did you mean {close[0]!r}?" if close else ""
    broken = [plugin for plugin in host().plugins if plugin.state in ("broken", "blocked")]
    lost = f" ({', '.join(p.origin + ' is ' + p.state for p in broken)}: see nd plugins)" if broken else ""
    return f"{hint}; known are {', '.join(forms) or 'none'}{lost}"


def announce(dissection: Dissection) -> None:
    """Call ``nd_dissection_finished`` of every plugin, one at a time; what one raises is a warning that names it."""
    manager = host().manager
    for implementation in manager.hook.nd_dissection_finished.get_hookimpls():
        try:
            implementation.function(*[dissection] * len(implementation.argnames))
        except Exception as error:  # a third party's code: named, and the result stands
            warnings.warn(
                f"plugin {implementation.plugin_name!r} failed after the dissection of {dissection.layer}: "
                f"{_described(error)}",
                RuntimeWarning,
                stacklevel=2,
            )
