"""Run of a dissection for `LayerDissection`: checkpoints, progress, and results nested by layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nd_plugin.captum_api.progress import StageProgress
from nd_plugin.contracts.models import Model
from nd_plugin.engine.run import run
from nd_plugin.errors import BadInput
from nd_plugin.plugins.host import announce
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results.displayed_layers import DissectionList
from nd_plugin.results.dissection import Dissection
from nd_plugin.resuming.checkpoint import CheckpointFolder


def quantile_tuple(quantile: float | Sequence[float]) -> tuple[Any, ...]:
    """Return one quantile or several as a tuple, unchecked. Raises BadInput for none."""
    if not _is_several(quantile):
        return (quantile,)
    quantiles = tuple(quantile)  # type: ignore[arg-type]
    if not quantiles:
        raise BadInput("no quantile: the list is empty")
    return quantiles


def _is_several(quantile: Any) -> bool:
    return isinstance(quantile, Sequence) and not isinstance(quantile, str)


def run_dissection(
    model: Model,
    layers: Sequence[Any],
    feed: Feed,
    quantile: float | Sequence[float],
    checkpoint: str | Path | None,
    show_progress: bool,
) -> Any:
    """Dissect layers, with checkpoints if a folder is given; announce each result to plugins.

    Returns one dissection for each layer, or, for several quantiles, a list for each layer. Raises
    BadInput for no layer.
    """
    if not layers:
        raise BadInput("no layer to dissect: the list of layers is empty")
    progress = StageProgress(disable=not show_progress)
    if checkpoint is None:
        with progress:
            dissections = run(model, layers, feed, progress)
    else:
        folder = CheckpointFolder(Path(checkpoint), feed)
        with folder.guarded(), progress:
            dissections = run(
                model, layers, feed, progress, open_state=folder.open_state
            )
        folder.remove()
    for dissection in dissections:
        announce(dissection)
    return _nested_by_layer(dissections, len(layers), quantile)


def _nested_by_layer(
    dissections: list[Dissection], layer_count: int, quantile: Any
) -> Any:
    layer_list = DissectionList(dissections)
    if not _is_several(quantile):
        return layer_list
    length = len(dissections) // layer_count
    starts = range(0, len(dissections), length)
    return DissectionList(layer_list[start : start + length] for start in starts)
