"""Hooks that a plugin may implement, ours and third parties' alike.

A plugin is a module named by an entry point in the group ``nd_plugin``; the entry point's name is
the plugin's name. Listing plugins calls the first three hooks, so they return light specs and
import nothing heavy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

from nd_plugin.contracts.plugin_specs import (
    BackendSpec,
    ConceptSetSpec,
    ReporterSpec,
)

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

PROJECT = "nd_plugin"
hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker(PROJECT)
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker(PROJECT)


@hookspec
def nd_backends() -> Sequence[BackendSpec]:
    """Return the backends of this plugin, which open models."""
    raise NotImplementedError


@hookspec
def nd_concept_sets() -> Sequence[ConceptSetSpec]:
    """Return the concept sets of this plugin, which read probe data sets."""
    raise NotImplementedError


@hookspec
def nd_reporters() -> Sequence[ReporterSpec]:
    """Return the report formats of this plugin."""
    raise NotImplementedError


@hookspec
def nd_dissection_finished(dissection: Dissection) -> None:
    """Take note of a finished dissection; what a plugin raises is reported and changes nothing."""
