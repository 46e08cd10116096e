"""Plugins of this environment: loading, and choosing between what they offer.

Entry points are loaded one at a time: a broken one is reported by name and never takes the host
down. ``ND_PLUGIN_DISABLE=a,b`` blocks plugins by their own name or by their distribution's.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pluggy

from nd_plugin.errors import (
    BadInput,
    PluginConflict,
    PluginFailed,
    Unavailable,
    nearest,
)
from nd_plugin.foreign_code import describe_error, is_failure
from nd_plugin.plugins import hookspecs
from nd_plugin.plugins.loading import (
    DISABLE,
    Plugin,
    load_entry_points,
    offer_name,
)

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection


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
        """Return the offers of one kind of spec, in the order of their names."""
        offers = [offer for offer in self.offers if isinstance(offer.spec, kind)]
        return sorted(offers, key=lambda offer: str(offer.spec.name))

    def named(self, kind: type, name: str) -> Offer | None:
        """Return the offer of a name, None if there is none. Raises PluginConflict for several."""
        offers = [offer for offer in self.specs(kind) if offer.spec.name == name]
        return only(offers, f"{name!r}") if offers else None

    def best(self, kind: type, subject: Any) -> Offer | None:
        """Return the offer whose ``match`` claims the subject most strongly, None if none does.

        Raises PluginConflict for a tie.
        """
        strengths = [(_match(offer, subject), offer) for offer in self.specs(kind)]
        strongest = max((strength for strength, _ in strengths), default=0)
        if strongest <= 0:
            return None
        claimants = [
            offer for strength, offer in strengths if strength == strongest
        ]
        return only(claimants, short_text(subject))


def only(offers: Sequence[Offer], subject: str) -> Offer:
    """Return the single offer. Raises PluginConflict, naming the distributions, for several."""
    if len(offers) == 1:
        return offers[0]
    rivals = " and ".join(offer.plugin.origin for offer in offers)
    third_party = [
        o.plugin for o in offers if o.plugin.distribution != hookspecs.PROJECT
    ]
    guest = third_party[0] if third_party else offers[-1].plugin
    raise PluginConflict(
        f"{subject} is claimed by {rivals}; uninstall one, or block it by its distribution: "
        f"{DISABLE}={guest.distribution}"
    )


def offers_named(host: Host, name: str | None) -> dict[Plugin, list[Offer]]:
    """Return the plugins that a name means, and their offers: "torch", "backend torch".

    Of a plugin that merely offers something of that name, only this. Raises BadInput.
    """
    chosen: dict[Plugin, list[Offer]] = {}
    names: list[str] = []
    for plugin in host.plugins:
        offers = [offer for offer in host.offers if offer.plugin == plugin]
        named = [
            offer
            for offer in offers
            if name in (offer.spec.name, offer_name(offer.spec))
        ]
        if name in (None, plugin.name):
            chosen[plugin] = offers
        elif named:
            chosen[plugin] = named
        names += [plugin.name, *(str(offer.spec.name) for offer in offers)]
    if not chosen and name is not None:
        names = list(dict.fromkeys(names))
        similar = nearest(name, names, most=1)
        hint = f"; the nearest is {similar[0]}" if similar else ""
        raise BadInput(
            f"no plugin {name!r}, and none that offers it{hint} (nd plugins lists all)"
        )
    return chosen


def _match(offer: Offer, subject: Any) -> int:
    """Return how strongly an offer claims a subject; 0 where its code fails, with a warning."""
    if offer.spec.match is None:
        return 0
    try:
        return int(offer.spec.match(subject))
    except BaseException as error:  # third-party code
        if not is_failure(error):
            raise
        warn_of(f"{offer.plugin.origin} failed to match: {describe_error(error)}")
        return 0


def warn_of(problem: str) -> None:
    """Warn of a plugin that failed where it is not needed.

    Raises PluginFailed where Python turns warnings into errors (``-W error``).
    """
    try:
        warnings.warn(problem, RuntimeWarning, stacklevel=3)
    except RuntimeWarning as error:
        raise PluginFailed(
            f"{problem} (a warning, which Python's -W error or PYTHONWARNINGS turns into an error)"
        ) from error


def short_text(subject: Any) -> str:
    """Return an object of foreign code as a short text; its class where that fails."""
    try:
        return repr(subject)[:80]
    except BaseException as error:
        if not is_failure(error):
            raise
        return f"a {type(subject).__name__}"


def load_plugins() -> Host:
    """Load every entry point of the group; each ``Plugin`` says what became of it."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    loaded = load_entry_points(manager)
    offers = []
    for plugin, specs in loaded:
        offers += [Offer(spec, plugin) for spec in specs]
    return Host(tuple(plugin for plugin, _ in loaded), tuple(offers), manager)


@lru_cache(maxsize=1)
def host() -> Host:
    """Return the plugins of this process, loaded once."""
    return load_plugins()


def load_factory(offer: Offer, name: str | None = None) -> Any:
    """Import what a spec's ``factory``, or ``name``, names.

    Raises Unavailable, naming the plugin, where it cannot be loaded.
    """
    module, _, attribute = (name or offer.spec.factory).partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except BaseException as error:
        if not is_failure(error):
            raise
        remedy = ""
        if isinstance(error, ModuleNotFoundError):
            remedy = (
                f"; reinstall {offer.plugin.distribution} with what it depends on"
            )
        raise Unavailable(
            f"{offer.spec.name!r} cannot be loaded from {offer.plugin.origin}: "
            f"{describe_error(error)}{remedy}"
        ) from error


def announce(dissection: Dissection) -> None:
    """Call ``nd_dissection_finished`` of every plugin, one at a time; a failure is a warning."""
    manager = host().manager
    for implementation in manager.hook.nd_dissection_finished.get_hookimpls():
        arguments = [dissection] * len(implementation.argnames)
        try:
            implementation.function(*arguments)
        except BaseException as error:  # third-party code; the result stands
            if not is_failure(error):
                raise
            warn_of(
                f"plugin {implementation.plugin_name!r} failed after the dissection of "
                f"{dissection.layer}: {describe_error(error)}"
            )
