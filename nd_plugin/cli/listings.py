"""What ``nd layers``, ``nd concepts`` and ``nd plugins`` print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.models import LayerDescription
from nd_plugin.plugins.host import Host

STATES = {"loaded": "green", "broken": "red", "blocked": "yellow", "conflict": "red"}


def new_table(*headers: str) -> Table:
    """A table without lines, whose cells are folded where they do not fit."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def print_json(value: Any) -> None:
    """Plain values as JSON, for other programs."""
    console.write(json.dumps(value, indent=1, allow_nan=False))


def print_layers(layers: Sequence[LayerDescription], *, as_json: bool) -> None:
    """Name, kind, output shape and receptive field of each layer."""
    if as_json:
        print_json([asdict(layer) for layer in layers])
        return
    table = new_table("layer", "kind", "shape", "stride", "receptive field")
    for layer in layers:
        shape = "x".join(map(str, layer.shape[1:])) if layer.shape else "no units"
        at = layer.geometry
        field = (
            f"{at.rows.size:g}x{at.columns.size:g}"
            if at and at.anchored
            else "unknown"
            if at
            else ""
        )
        stride = f"{at.rows.stride:g}" if at and at.anchored else ""
        table.add_row(Text(layer.name), layer.kind, shape, stride, field)
    console.show(table, folded=False)


def print_concepts(concepts: ConceptSet, *, as_json: bool) -> None:
    """The concepts of each category."""
    notes = getattr(concepts, "notes", ())
    by_category = {
        category: [concept.name for concept in concepts.concepts if concept.category == category]
        for category in concepts.categories
    }
    if as_json:
        told = {"images": len(concepts), "categories": by_category, "notes": list(notes)}
        print_json({**asdict(concepts.identity), **told})
        return
    identity = concepts.identity
    counts = f"{len(concepts)} images, {len(concepts.concepts)} concepts"
    console.show(Text(f"{identity.source}: {counts}; fingerprint {identity.fingerprint[:16]}"))
    table = new_table("category", "", "concepts")
    for category, names in by_category.items():
        table.add_row(Text(category), str(len(names)), Text(", ".join(names)))
    console.show(table)
    for note in notes:
        console.show(Text(f"! {note}", style="yellow"), whole=True)


def print_plugins(host: Host, *, as_json: bool) -> None:
    """Every plugin, where it comes from, what it offers, and what is wrong with it."""
    if as_json:
        print_json([asdict(plugin) for plugin in host.plugins])
        return
    table = new_table("plugin", "distribution", "state", "offers")
    for plugin in host.plugins:
        state = Text(plugin.state, style=STATES[plugin.state])
        table.add_row(
            plugin.name, f"{plugin.distribution} {plugin.version}", state, ", ".join(plugin.offers)
        )
    console.show(table)
    for plugin in host.plugins:
        if plugin.problem:
            console.show(
                Text(f"! {plugin.origin}: {plugin.problem}", style=STATES[plugin.state]), whole=True
            )
