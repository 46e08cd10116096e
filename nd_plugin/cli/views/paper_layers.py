"""Layers that the paper dissects, for ``nd layers --paper``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.contracts.models import LayerDescription
from nd_plugin.plugins.paper_layers import PaperLayer, list_paper_layers


def print_paper_layers(
    layers: Sequence[LayerDescription], *, as_json: bool
) -> None:
    """Print the paper's layers among a model's, what they are called there, and what they are for.

    Raises LayerNotFound for a network that the paper's table does not have.
    """
    descriptions = {layer.name: layer for layer in layers}
    paper_layers = list_paper_layers(layers)
    if as_json:
        rows = []
        for layer in paper_layers:
            paper = asdict(layer)
            del paper["name"]
            rows.append({**asdict(descriptions[layer.name]), "paper": paper})
        console.print_json({"layers": rows})
        return
    table = console.new_table("layer", "shape", "in the paper", "what for")
    for layer in paper_layers:
        shape = descriptions[layer.name].shape or ()
        table.add_row(
            Text(layer.name),
            "x".join(map(str, shape[1:])),
            Text(_paper_text(layer)),
            layer.role,
        )
    console.show(table, fold_rows=False)
    console.say("-l paper stands for the first of these")


def _paper_text(layer: PaperLayer) -> str:
    return f"{layer.paper_name} of {layer.network}"
