"""Forward passes over one part of the probe data set: from images to statistics and candidates.

First pass (`observe`), for each layer. The lower bounds of the thresholds T_k rise with every
image, so maps wait before their cells are compared with them::

    maps of a batch ---> statistics, lower bounds
         |
      pending            whole maps, in a quarter of the memory
         |  sift         take the cells above their unit's bound, and their neighbours
      candidates         sparse maps, in the other three quarters
         |  prune        drop the maps that the bounds have ruled out since
         |  spill        move the oldest batches to a file

Second pass (`observe_again`), for layers with a T_k below the stored values: cells above a bound
that is certain by then become candidates at once. The candidates of the first pass stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import Tensor

from nd_plugin.contracts.models import Probe
from nd_plugin.engine.batch_counter import CountedBatch
from nd_plugin.engine.callbacks import Progress, StateSaver, silent
from nd_plugin.engine.candidates import (
    Candidates,
    keep_within_memory,
    pending_budget,
)
from nd_plugin.engine.report_data.collected import CollectedData
from nd_plugin.engine.sparse_maps import peaks_of
from nd_plugin.engine.state import LayerState, State
from nd_plugin.errors import NonFiniteActivation, RunFailed
from nd_plugin.machine.allocator import trim_memory
from nd_plugin.machine.memory_blocks import BlockPool
from nd_plugin.machine.threads import one_thread, parallel_jobs
from nd_plugin.method.finite import at_least_float32, first_non_finite
from nd_plugin.probe_data.batches import Batch, Batches, Feed
from nd_plugin.receptive_fields.geometry import Geometry, spread_evenly

AnyBatch = TypeVar("AnyBatch", Batch, CountedBatch)


@dataclass
class PartRun:
    """Run over one part of the probe data set: inputs, model and state, shared by all passes.

    Finished shards are merged without `first_pass_batches`, and without `probe` if none is needed.
    """

    feed: Feed
    layers: tuple[str, ...]
    device: torch.device
    state: State
    probe: Probe | None = None
    progress: Progress = silent
    saver: StateSaver = field(default_factory=StateSaver)
    first_pass_batches: Batches | None = None  # those that `state` does not hold
    pool: BlockPool = field(default_factory=BlockPool)  # memory of all candidates
    report_data: CollectedData = field(default_factory=CollectedData)

    def close(self) -> None:
        """Close the files of candidates."""
        self.state.close()

    def check_model(self, layers: Sequence[str]) -> None:
        """Raise RunFailed if ``layers`` cannot pass through the model again, for want of one."""
        if self.probe is None:
            raise RunFailed(
                f"layer {layers[0]!r} needs a second forward pass: its maps did not fit on disk, "
                "or a threshold is below the stored values; merge with --model MODEL, the model "
                "that the shards were made with"
            )

    def activations(self, batch: Batch, layers: Sequence[str]) -> dict[str, Tensor]:
        """Run a batch through the model.

        Returns (image, unit, row, column) float32 or float64 by layer; nothing for an empty batch.
        """
        if not len(batch.indices):
            return {}
        assert self.probe is not None
        pixels = batch.pixels.to(self.device, non_blocking=True)
        activations = self.probe(self.feed.preprocess.normalise(pixels))
        return {layer: at_least_float32(activations[layer]) for layer in layers}

    def images_of_first_pass(self, batch: Batch) -> Batch:
        """Return a batch of a later pass with exactly those images that the first pass has read.

        An image that was unreadable then counts nowhere, even if it can be read by now. Raises
        RunFailed for one that can no longer be read.
        """
        readable = self.state.readable
        batch_images = batch.indices.tolist()
        for image in self.feed.order[batch.number]:
            if image in readable and image not in batch_images:
                raise self._no_longer_readable(image, batch)
        rows = [row for row, image in enumerate(batch_images) if image in readable]
        if len(rows) == len(batch_images):
            return batch
        return replace(
            batch,
            indices=batch.indices[rows],
            pixels=batch.pixels[rows],
            labels=tuple(batch.labels[row] for row in rows),
        )

    def _no_longer_readable(self, image: int, batch: Batch) -> RunFailed:
        name = self.feed.concepts.name(image)
        reasons = {item.image: item.reason for item in batch.skipped}
        return RunFailed(
            f"image {name} was read in the first forward pass, but not in the second: "
            f"{reasons.get(name, 'unknown reason')}; restore the image and run again"
        )

    def with_progress(
        self, stage: str, batches: Iterator[AnyBatch], batches_done: int
    ) -> Iterator[AnyBatch]:
        """Iterate over ``batches``, and report the images that are done after each.

        ``batches`` are the part's, without the first ``batches_done``.
        """
        numbers = self.feed.batch_numbers()
        images_total = self.feed.count_images(numbers)
        images_done = self.feed.count_images(numbers[:batches_done])
        self.progress(stage, images_done, images_total)
        for batch in batches:
            yield batch
            images_done += batch.image_count
            self.progress(stage, images_done, images_total)


def observe(part_run: PartRun) -> None:
    """Run the remaining images through the model: statistics, bounds and candidates of all layers.

    Raises NonFiniteActivation; RunFailed, Unreadable and ModelFailed as the feed and the model do;
    NotSaved where candidates fit neither in memory nor on disk.
    """
    state = part_run.state
    for layer_state in state.layers.values():
        # restored ones have pools of their own
        layer_state.candidates.pool = part_run.pool
    batches = part_run.first_pass_batches
    assert batches is not None
    for batch in part_run.with_progress("activations", batches, state.batches):
        state.skipped += batch.skipped
        state.readable.update(batch.indices.tolist())
        state.remarks += batch.picture_remarks
        part_run.report_data.small_pictures.update(batch.small_pictures)
        activations = part_run.activations(batch, part_run.layers)
        # operations are short: a second thread would wait for a busy processor
        with one_thread():
            for layer, maps in activations.items():
                _update_layer(part_run, layer, maps, batch)
        if _must_sift(part_run, batch):
            _sift_pending(part_run)
        state.batches += 1
        part_run.saver.tick(state, batch.image_count)
        trim_memory()
    _sift_pending(part_run)


def _update_layer(
    part_run: PartRun, layer: str, maps: Tensor, batch: Batch
) -> None:
    """Add ``maps`` (image, unit, row, column) to the layer's state. Raises NonFiniteActivation.

    NaN and +infinity show in the maxima of the maps. -infinity is an ordinary small value, unless
    a map holds nothing else.
    """
    peaks = peaks_of(maps)
    if not bool(peaks.isfinite().all()):
        raise _not_finite(part_run, layer, maps, peaks, batch.indices)
    layer_state = part_run.state.layers.get(layer) or _add_layer(
        part_run, layer, maps
    )
    layer_state.sample.update(maps, batch.indices)
    layer_state.update(batch.number, maps, peaks, batch.indices.to(maps.device))


def _add_layer(part_run: PartRun, layer: str, maps: Tensor) -> LayerState:
    """Add an empty state for ``layer``; ``maps`` (image, unit, row, column) are an example."""
    feed = part_run.feed
    layer_state = LayerState.empty(
        maps,
        quantile=max(feed.settings.all_quantiles),  # which has the lowest threshold
        images=feed.images,
        images_of_part=feed.count_images(feed.batch_numbers()),
        top=feed.settings.top_images,
        geometry=_geometry(part_run, layer, maps),
    )
    layer_state.candidates.pool = part_run.pool
    part_run.saver.watch(layer_state.candidates, len(part_run.state.layers))
    part_run.state.layers[layer] = layer_state
    return layer_state


def _geometry(part_run: PartRun, layer: str, maps: Tensor) -> Geometry:
    if part_run.feed.settings.anchor == "rf":
        assert part_run.probe is not None
        return part_run.probe.geometries[layer]
    cells = (maps.shape[2], maps.shape[3])
    return spread_evenly(cells, part_run.feed.preprocess.size)


def _must_sift(part_run: PartRun, batch: Batch) -> bool:
    """Return whether pending maps are to be sifted now; they wait while none of this requires it.

    The longer they wait, the higher the bounds, and the fewer cells exceed them.
    """
    if part_run.device.type != "cpu":
        return True  # memory of a GPU is left to the model
    if part_run.saver.due(batch.image_count):
        return True  # a checkpoint holds no pending maps
    layer_states = part_run.state.layers.values()
    pending_bytes = sum(layer_state.pending_bytes for layer_state in layer_states)
    return pending_bytes > pending_budget(part_run.feed.memory)


def _sift_pending(part_run: PartRun) -> None:
    """Move cells that may exceed a threshold from the pending maps of all layers to candidates.

    Candidates are then kept within the memory that pending maps leave. Raises NotSaved.
    """
    layer_states = part_run.state.layers.values()
    with parallel_jobs() as run_jobs:
        run_jobs(layer_state.sift_pending for layer_state in layer_states)
    memory = part_run.feed.memory
    bound_of = part_run.state.first_pass_bounds()
    keep_within_memory(bound_of, memory - pending_budget(memory))


def observe_again(
    part_run: PartRun, bounds: Mapping[str, Tensor], memory: int
) -> None:
    """Run the images through the model a second time, for the layers of ``bounds`` only.

    Cells above their unit's bound (unit,) are stored. All candidates of the part, of both passes,
    are kept within ``memory`` bytes. Raises RunFailed without a model and for an image that can no
    longer be read, and as `observe` does.
    """
    part_run.check_model(list(bounds))
    state = part_run.state
    layers = [layer for layer in bounds if layer in state.layers]
    bound_of = state.first_pass_bounds()
    for layer in layers:
        if layer not in state.second_pass:
            _add_second_candidates(part_run, layer)
        state.second_pass[layer].pool = part_run.pool
        bound_of[state.second_pass[layer]] = bounds[layer]
    batches_done = state.second_pass_batches
    batches = part_run.feed.batches(annotated=False, start=batches_done)
    stage = "activations, second pass"
    for batch in part_run.with_progress(stage, batches, batches_done):
        readable = part_run.images_of_first_pass(batch)
        activations = part_run.activations(readable, layers)
        for layer, maps in activations.items():
            _store(state.second_pass[layer], maps, bounds[layer], readable)
        keep_within_memory(bound_of, memory)
        state.second_pass_batches += 1
        part_run.saver.tick(state, batch.image_count)
        trim_memory()


def _add_second_candidates(part_run: PartRun, layer: str) -> None:
    state = part_run.state
    first_candidates = state.layers[layer].candidates
    candidates = Candidates(first_candidates.cells, first_candidates.dtype)
    file_number = len(state.layers) + len(state.second_pass)
    part_run.saver.watch(candidates, file_number)
    state.second_pass[layer] = candidates


def _store(
    candidates: Candidates, maps: Tensor, bound: Tensor, batch: Batch
) -> None:
    """Store the cells of ``maps`` (image, unit, row, column) above ``bound`` (unit,)."""
    images = batch.indices.to(maps.device)
    peaks = peaks_of(maps)
    bound = bound.to(maps.device)
    with one_thread():
        candidates.update(batch.number, images, maps, peaks, bound)


def _not_finite(
    part_run: PartRun, layer: str, maps: Tensor, peaks: Tensor, images: Tensor
) -> NonFiniteActivation:
    """Build the error that names the first activation of the maps that stops the run."""
    image, unit, row, column = first_non_finite(maps, peaks)
    image_name = part_run.feed.concepts.name(int(images[image]))
    return NonFiniteActivation(
        f"layer {layer!r}, unit {unit}, image {image_name}: the activation at row {row}, "
        f"column {column} is {float(maps[image, unit, row, column])}; look at the weights, "
        "the preprocessing (mean, std, scale), or an autocast that overflows"
    )
