"""Forward pass over one part of the probe data set: from images to statistics and stored maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from nd_plugin.contracts.models import Probe
from nd_plugin.engine.batch_counter import CountedBatch
from nd_plugin.engine.callbacks import Progress, StateSaver, silent
from nd_plugin.engine.candidates import BlockPool, Candidates
from nd_plugin.engine.state import LayerState, State
from nd_plugin.errors import NonFiniteActivation, RunFailed
from nd_plugin.machine.allocator import trim_memory
from nd_plugin.machine.threads import one_thread, parallel_jobs
from nd_plugin.probe_data.batches import Batch, Batches, Feed
from nd_plugin.receptive_fields.geometry import Geometry, spread_evenly

PRUNE_GROWTH = (
    1.5  # prune when so many times as many batches are stored as at the last pruning
)


SPILL_TARGET = (
    0.75  # of the memory: spilling frees more than it must, to be needed less often
)


AnyBatch = TypeVar("AnyBatch", Batch, CountedBatch)


@dataclass
class PartRun:
    """Run over one part of the probe data set: inputs, model and state, shared by all passes."""

    feed: Feed
    layers: tuple[str, ...]
    device: torch.device
    state: State
    probe: Probe | None = None  # None: finished shards, merged without their model
    progress: Progress = silent
    saver: StateSaver = field(default_factory=StateSaver)
    images: Batches | None = None  # to observe; None: finished shards
    pool: BlockPool = field(
        default_factory=BlockPool
    )  # memory for the candidates of all layers

    def close(self) -> None:
        """Close the files of candidates."""
        self.state.close()

    def require_probe(self, layers: Sequence[str]) -> Probe:
        """Return the probe. Raises RunFailed without a model, naming the first of ``layers``."""
        if self.probe is None:
            raise RunFailed(
                f"layer {layers[0]!r} needs a second forward pass: its maps did not fit on disk, "
                "or a threshold is below the stored values; merge with --model MODEL, the model "
                "that the shards were made with"
            )
        return self.probe

    def activations(self, batch: Batch, layers: Sequence[str]) -> dict[str, Tensor]:
        """Run a batch through the model.

        Returns (image, unit, row, column) float32 or float64 by layer; nothing for an empty batch.
        """
        if not len(batch.indices):
            return {}
        pixels = batch.pixels.to(self.device, non_blocking=True)
        probe = self.require_probe(layers)
        activations = probe(self.feed.preprocess.normalise(pixels))
        return {layer: _at_least_float32(activations[layer]) for layer in layers}

    def with_progress(
        self, stage: str, batches: Iterator[AnyBatch], start: int
    ) -> Iterator[AnyBatch]:
        """Iterate over the part's ``batches`` from number ``start`` on, and report progress."""
        numbers = self.feed.numbers()
        images_total = self.feed.seen(numbers)
        images_done = self.feed.seen(numbers[:start])
        self.progress(stage, images_done, images_total)
        for batch in batches:
            yield batch
            images_done += batch.seen
            trim_memory()
            self.progress(stage, images_done, images_total)


def observe(part_run: PartRun) -> None:
    """Run the remaining images through the model: statistics, bounds and candidates of all layers.

    Raises NonFiniteActivation.
    """
    assert part_run.images is not None
    state = part_run.state
    for batch in part_run.with_progress("activations", part_run.images, state.batches):
        state.skipped += batch.skipped
        state.readable.update(batch.indices.tolist())
        activations = part_run.activations(batch, part_run.layers)
        with (
            one_thread()
        ):  # short operations: a second thread would wait for a busy processor
            for layer, maps in activations.items():
                _update_layer(part_run, layer, maps, batch)
        if _must_sift(part_run, batch):
            _sift_pending(part_run)
        state.batches += 1
        part_run.saver.tick(state, batch.seen)
    _sift_pending(part_run)


def _update_layer(part_run: PartRun, layer: str, maps: Tensor, batch: Batch) -> None:
    """Add ``maps`` (image, unit, row, column) to the layer's state. Raises NonFiniteActivation.

    NaN and +infinity show in the maxima of the maps. -infinity is an ordinary small value, unless
    a map holds nothing else.
    """
    peaks = maps.flatten(2).amax(2)
    if not bool(peaks.isfinite().all()):
        raise _not_finite(part_run, layer, maps, peaks, batch.indices)
    layer_state = part_run.state.layers.get(layer) or _add_layer(part_run, layer, maps)
    layer_state.update(batch.number, maps, peaks, batch.indices.to(maps.device))


def _add_layer(part_run: PartRun, layer: str, maps: Tensor) -> LayerState:
    """Add an empty state for ``layer``; ``maps`` (image, unit, row, column) are an example."""
    feed = part_run.feed
    images_of_part = feed.seen(feed.numbers())
    layer_state = LayerState.empty(
        maps,
        max(part_run.feed.settings.all_quantiles),
        feed.images,
        images_of_part,
        feed.settings.top_images,
        _geometry(part_run, layer, maps),
    )
    layer_state.candidates.room = part_run.pool
    part_run.saver.watch(layer_state.candidates, len(part_run.state.layers))
    part_run.state.layers[layer] = layer_state
    return layer_state


def _geometry(part_run: PartRun, layer: str, maps: Tensor) -> Geometry:
    if part_run.feed.settings.anchor == "rf":
        return part_run.require_probe([layer]).geometries[layer]
    cells = (maps.shape[2], maps.shape[3])
    return spread_evenly(cells, part_run.feed.preprocess.size)


def _must_sift(part_run: PartRun, batch: Batch) -> bool:
    """Return whether pending maps are to be sifted now.

    On a CPU they wait as long as memory allows, since the bound improves meanwhile; a checkpoint
    holds no pending maps, and memory of a GPU is left to the model.
    """
    pending = sum(
        layer_state.pending_bytes for layer_state in part_run.state.layers.values()
    )
    return (
        pending > pending_budget(part_run.feed.memory)
        or part_run.device.type != "cpu"
        or part_run.saver.due(batch.seen)
    )


def _sift_pending(part_run: PartRun) -> None:
    """Store what may exceed a threshold of the pending maps, within the memory."""
    layer_states = part_run.state.layers.values()
    with parallel_jobs() as run_jobs:
        run_jobs(layer_state.sift_pending for layer_state in layer_states)
    levels = {
        layer_state.candidates: layer_state.bound.level for layer_state in layer_states
    }
    memory = part_run.feed.memory
    keep_within_memory(levels, memory - pending_budget(memory))


def observe_again(part_run: PartRun, levels: Mapping[str, Tensor]) -> None:
    """Run the images through the model a second time, for the layers of ``levels`` only.

    Stores maps that exceed their unit's level (unit,). Raises RunFailed without a model.
    """
    part_run.require_probe(list(levels))
    state = part_run.state
    layers = [layer for layer in levels if layer in state.layers]
    for layer in layers:
        if layer not in state.second_pass:
            _add_second_candidates(part_run, layer)
        state.second_pass[layer].room = part_run.pool
    level_of = {state.second_pass[layer]: levels[layer] for layer in layers}
    start = state.second_pass_batches
    batches = part_run.feed.batches(annotated=False, start=start)
    for batch in part_run.with_progress("activations, second pass", batches, start):
        _store_again(part_run, batch, layers, levels)
        keep_within_memory(level_of, part_run.feed.memory)
        state.second_pass_batches += 1
        part_run.saver.tick(state, batch.seen)


def _add_second_candidates(part_run: PartRun, layer: str) -> None:
    state = part_run.state
    first_candidates = state.layers[layer].candidates
    candidates = Candidates(first_candidates.cells, first_candidates.dtype)
    file_number = len(state.layers) + len(state.second_pass)
    part_run.saver.watch(candidates, file_number)
    state.second_pass[layer] = candidates


def _store_again(
    part_run: PartRun, batch: Batch, layers: Sequence[str], levels: Mapping[str, Tensor]
) -> None:
    activations = part_run.activations(batch, layers)
    for layer, maps in activations.items():
        images = batch.indices.to(maps.device)
        peaks = maps.flatten(2).amax(2)
        level = levels[layer].to(maps.device)
        with one_thread():
            part_run.state.second_pass[layer].update(
                batch.number, images, maps, peaks, level
            )


def pending_budget(memory: int) -> int:
    """Return how many bytes of ``memory`` maps may take that wait to be sifted."""
    return memory // 4


def keep_within_memory(levels: Mapping[Candidates, Tensor], memory: int) -> None:
    """Bring candidates, with the level (unit,) of each, below ``memory`` bytes if they exceed it.

    First what the levels rule out by now is pruned; then the oldest maps are moved to disk.
    """
    if _total_bytes(levels) <= memory:
        return
    for candidates, level in levels.items():
        if len(candidates.by_batch) > PRUNE_GROWTH * candidates.batches_at_last_prune:
            candidates.prune(level)
    target = SPILL_TARGET * memory
    while (total := _total_bytes(levels)) > target:
        largest = max(levels, key=lambda candidates: candidates.nbytes)
        largest.spill(levels[largest], int(total - target) + 1)


def _total_bytes(levels: Mapping[Candidates, Tensor]) -> int:
    return sum(candidates.nbytes for candidates in levels)


def _at_least_float32(maps: Tensor) -> Tensor:
    return maps if maps.dtype in (torch.float32, torch.float64) else maps.float()


def _not_finite(
    part_run: PartRun, layer: str, maps: Tensor, peaks: Tensor, images: Tensor
) -> NonFiniteActivation:
    """Build the error that names the first activation that is not finite."""
    image, unit = _first_true(~peaks.isfinite())
    unit_map = maps[image, unit]
    row, column = _first_true(unit_map.isnan() | (unit_map == peaks[image, unit]))
    image_name = part_run.feed.concepts.name(int(images[image]))
    return NonFiniteActivation(
        f"layer {layer!r}, unit {unit}, image {image_name}: the activation at row {row}, "
        f"column {column} is {float(unit_map[row, column])}; look at the weights, the "
        "preprocessing (mean, std, scale), or an autocast that overflows"
    )


def _first_true(mask: Tensor) -> tuple[int, int]:
    row, column = mask.nonzero()[0].tolist()
    return row, column
