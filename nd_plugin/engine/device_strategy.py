"""Strategy for an accelerator: large steps on the model's device, and few round trips to the host.

First pass, for each layer::

    maps of a batch ---> summary: peaks, minima, counts        no round trip
         |
      pending            whole maps, for some batches
         |  sift         cells above their unit's bound, and their neighbours, of all these batches
      candidates         sparse maps on the device; beyond its budget in memory, then in a file

Annotations are decoded with their images, by the same workers, and wait on the device as small
integers. So the counting pass reads nothing, unless they did not fit or the run was resumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from nd_plugin.accelerator.batch_annotations import (
    BatchAnnotations,
    annotations_on,
)
from nd_plugin.accelerator.device_memory import DeviceMemory
from nd_plugin.accelerator.peaks import map_reader
from nd_plugin.candidates.budgets import keep_within_device, keep_within_memory
from nd_plugin.candidates.device_maps import sparsify_batches
from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.candidates.sparse_maps import PendingMaps
from nd_plugin.engine.batch_counter import CountedBatch
from nd_plugin.engine.chance.device_counter import (
    DeviceChanceCounter,
    StoredMapsOfPart,
)
from nd_plugin.engine.chance.permuted import Permuted, UnitBlock
from nd_plugin.engine.device_counter import DeviceCounter
from nd_plugin.engine.part_run import PartRun, ThresholdsByLayer
from nd_plugin.engine.state import LayerState
from nd_plugin.machine.transfers import to_device
from nd_plugin.method.annotations import Counts
from nd_plugin.probe_data.batches import Batch


@dataclass
class DeviceStrategy:
    """Strategy of the engine for an accelerator; see `part_run.Strategy`."""

    device: torch.device
    memory: DeviceMemory
    category_of: Counts  # (concept,) index of its category
    # by batch number, as long as there is room
    annotations: dict[int, BatchAnnotations] = field(default_factory=dict)
    annotation_bytes: int = 0

    @property
    def selection_bytes(self) -> int:
        """Bytes of the device for the values among which thresholds are selected."""
        return self.memory.budget

    @property
    def notes(self) -> Sequence[str]:
        """Notes on memory that ran out."""
        return self.memory.notes

    def run_model(
        self, part_run: PartRun, pixels: Tensor, layers: Sequence[str]
    ) -> dict[str, Tensor]:
        """Run a batch through the model; in two halves where the device runs out of memory."""

        def run_whole() -> dict[str, Tensor]:
            return part_run.run_model(pixels, layers)

        def run_halves() -> dict[str, Tensor]:
            halves = [
                part_run.run_model(half, layers) for half in pixels.tensor_split(2)
            ]
            return {
                layer: torch.cat([maps[layer] for maps in halves])
                for layer in layers
            }

        def release() -> None:
            part_run.state.offload()
            self.finish(part_run)
            part_run.state.offload()

        return self.memory.survive(
            run_whole, release, run_halves if len(pixels) > 1 else None
        )

    def update(
        self, part_run: PartRun, batch: Batch, activations: Mapping[str, Tensor]
    ) -> None:
        """Add the maps of a batch; sift pending maps where these are too large."""
        images = to_device(batch.indices, self.device)
        for layer, maps in activations.items():
            maps = maps.to(self.device)
            layer_state = part_run.layer_state(layer, maps)
            layer_state.sample.update(maps, batch.indices)
            _update_layer(layer_state, batch.number, maps, images)
        self._retain_annotations(part_run, batch)
        if self._must_sift(part_run, batch):
            self.finish(part_run)

    def _retain_annotations(self, part_run: PartRun, batch: Batch) -> None:
        nbytes = sum(annotations.nbytes for annotations in batch.annotations)
        has_room = self.annotation_bytes + nbytes <= self.memory.annotations
        if not batch.has_annotation_tensors or not has_room:
            return
        annotations = annotations_on(
            self.device,
            batch,
            len(part_run.feed.concepts.categories),
            self.category_of,
            part_run.state.readable,
            with_image_concepts=part_run.feed.settings.is_by_image,
        )
        self.annotations[batch.number] = annotations
        self.annotation_bytes += annotations.nbytes

    def _must_sift(self, part_run: PartRun, batch: Batch) -> bool:
        if part_run.saver.due(batch.image_count):
            return True  # a checkpoint holds no pending maps
        layer_states = part_run.state.layers.values()
        pending_bytes = sum(state.pending_bytes for state in layer_states)
        return pending_bytes > self.memory.pending

    def finish(self, part_run: PartRun) -> None:
        """Move cells that may exceed a threshold from pending maps to candidates."""
        _check_finite(part_run)
        self.memory.note(map_reader(self.device).note)
        for layer_state in part_run.state.layers.values():
            layer_state.bound.update_level()
            self._sift(
                layer_state.candidates, layer_state.pending, layer_state.bound.level
            )
            layer_state.pending = []
        self._keep_within(part_run.state.first_pass_bounds(), part_run.feed.memory)

    def _sift(
        self, candidates: Candidates, pending: Sequence[PendingMaps], bound: Tensor
    ) -> None:
        """Store what exceeds ``bound`` (unit,) of pending maps, on the device."""
        pending = [batch for batch in pending if len(batch.maps)]
        if not pending:
            return

        def sparsify() -> None:
            batches = sparsify_batches(
                pending, bound, self.memory.work, neighbours=candidates.has_maps
            )
            for number, maps in batches:
                candidates.hold(number, maps)

        def release() -> None:
            candidates.offload(candidates.device_nbytes)

        self.memory.survive(sparsify, release)

    def _keep_within(
        self, bound_of: Mapping[Candidates, Tensor], memory: int
    ) -> None:
        keep_within_device(bound_of, self.memory.candidates)
        keep_within_memory(bound_of, memory)

    def store(
        self,
        part_run: PartRun,
        batch: Batch,
        activations: Mapping[str, Tensor],
        bounds: Mapping[str, Tensor],
        memory: int,
    ) -> None:
        """Store cells above ``bounds`` (unit,) in the second pass."""
        state = part_run.state
        for layer, maps in activations.items():
            maps = maps.to(self.device)
            images = to_device(batch.indices, self.device)
            pending = PendingMaps.of(batch.number, images, maps)
            bound = bounds[layer].to(self.device)
            self._sift(state.second_pass[layer], [pending], bound)
        self._keep_within(state.all_bounds(bounds), memory)

    def count(
        self,
        part_run: PartRun,
        thresholds: ThresholdsByLayer,
        layers_to_rerun: Sequence[str],
        start: int,
    ) -> Iterator[CountedBatch]:
        """Count some batches at a time."""
        counter = DeviceCounter(
            part_run,
            self.device,
            thresholds,
            layers_to_rerun,
            self.memory,
            self.annotations,
            self.category_of,
        )
        return counter.count_from(start)

    @property
    def block_bytes(self) -> int:
        """Bytes for the intersections of a block of units with permuted annotations."""
        return self.memory.work // 2

    def count_permuted(
        self,
        part_runs: Sequence[PartRun],
        permuted: Permuted,
        blocks: Sequence[UnitBlock],
    ) -> Iterator[Counts]:
        """Count block after block; see `part_run.Strategy.count_permuted`."""
        first = part_runs[0]
        save_if_asked = partial(first.saver.tick, first.state, 0)
        counter = DeviceChanceCounter(
            permuted, self.device, self.memory, save_if_asked
        )
        for block in blocks:
            parts = [
                _stored_maps(part_run, block.layer)
                for part_run in part_runs
                if block.layer in part_run.state.layers
            ]
            yield self.memory.survive(
                partial(counter.count, block, parts),
                partial(_release, part_runs, counter),
            )


def _stored_maps(part_run: PartRun, layer: str) -> StoredMapsOfPart:
    return StoredMapsOfPart(
        part_run.state.candidates(layer),
        part_run.feed.batch_numbers(),
        part_run.state.layers[layer].geometry,
        part_run.feed.preprocess.size,
    )


def _release(part_runs: Sequence[PartRun], counter: DeviceChanceCounter) -> None:
    """Free the device's memory before a second attempt."""
    counter.resident.clear()
    for part_run in part_runs:
        part_run.state.offload()


def _update_layer(
    layer_state: LayerState, batch: int, maps: Tensor, images: Tensor
) -> None:
    """Add ``maps`` (image, unit, row, column) of ``images`` (image,) to a layer's state."""
    bound = layer_state.bound
    summary = map_reader(maps.device)(maps, bound.floor)
    layer_state.statistics.add(summary, images)
    bound.add_reached(summary.not_below, len(maps))
    bound.update(maps)
    layer_state.pending.append(PendingMaps(batch, images, maps, summary.peaks))


def _check_finite(part_run: PartRun) -> None:
    """Raise NonFiniteActivation for the first pending map with NaN, +infinity, or -infinity alone.

    One look for all layers and batches.
    """
    layers: list[tuple[str, PendingMaps]] = []
    for layer, layer_state in part_run.state.layers.items():
        layers += [(layer, pending) for pending in layer_state.pending]
    if not layers:
        return
    flags = [pending.peaks.isfinite().all() for _, pending in layers]
    for (layer, pending), is_finite in zip(
        layers, torch.stack(flags).tolist(), strict=True
    ):
        if not is_finite:
            raise part_run.not_finite(
                layer, pending.maps, pending.peaks, pending.images
            )
