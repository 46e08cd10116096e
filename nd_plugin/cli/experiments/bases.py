"""Models in bases that ``--basis`` names, for ``nd dissect`` and ``nd merge``."""

from __future__ import annotations

from collections.abc import Sequence

from nd_plugin.bases.basis import view_name
from nd_plugin.bases.memory import (
    fitting_feed,
    measure_layer,
    view_bytes,
)
from nd_plugin.bases.opening import read_basis
from nd_plugin.bases.virtual_layers import ModelInBases
from nd_plugin.cli import console
from nd_plugin.contracts.models import Model, ModelOptions
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.plugins.opening import open_model
from nd_plugin.probe_data.batches import Feed


def open_in_bases(text: str, options: ModelOptions, files: Sequence[str]) -> Model:
    """Open a model whose layers can be seen in the bases of files. Raises BadInput."""
    model = open_model(text, options)
    return ModelInBases(model, list(map(read_basis, files))) if files else model


def see_in_bases(
    model: Model,
    layers: list[str],
    feed: Feed,
    files: Sequence[str],
    group: SingleProcess,
) -> tuple[Model, list[str], Feed]:
    """Return the model in the bases of files, the layers in each of them, and a feed for these.

    Without a file, all stay as they are. Batches are smaller where the maps of all directions need
    it, the same in every process of the group. Raises BadInput.
    """
    if not files:
        return model, layers, feed
    bases = list(map(read_basis, files))
    shapes = [measure_layer(model, layer, feed.preprocess.size) for layer in layers]
    nbytes = sum(view_bytes(shape, bases) for shape in shapes)
    feed, note = fitting_feed(feed, nbytes, model.device, group)
    if note and group.rank == 0:
        console.say(note)
    views = [view_name(shape.name, basis) for shape in shapes for basis in bases]
    return ModelInBases(model, bases), views, feed
