"""Strategy for a CPU: sparse tiles, and forked processes that decode and count whole batches.

First pass, for each layer. The lower bounds of the thresholds T_k rise with every image, so maps
wait before their cells are compared with them::

    maps of a batch ---> statistics, lower bounds
         |
      pending            whole maps, in a quarter of the memory
         |  sift         take the cells above their unit's bound, and their neighbours
      candidates         sparse maps, in the other three quarters
         |  prune        drop the maps that the bounds have ruled out since
         |  spill        move the oldest batches to a file
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from nd_plugin.candidates.budgets import keep_within_memory, pending_budget
from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.candidates.sparse_maps import SparseMaps, peaks_of
from nd_plugin.engine.batch_counter import CountedBatch, Counter
from nd_plugin.engine.chance.host_counter import HostChanceCounter
from nd_plugin.engine.chance.permuted import Permuted, UnitBlock
from nd_plugin.engine.part_run import PartRun, ThresholdsByLayer, report_permuted
from nd_plugin.engine.thresholds import CPU
from nd_plugin.machine.forked_workers import can_fork, map_in_order
from nd_plugin.machine.threads import one_thread, parallel_jobs
from nd_plugin.method.annotations import Counts
from nd_plugin.method.upsampling import MaskGrid
from nd_plugin.probe_data.batches import Batch, Feed
from nd_plugin.receptive_fields.geometry import Size

BLOCK_BYTES = 2**27  # in each process


@dataclass(frozen=True)
class HostStrategy:
    """Strategy of the engine for a CPU; see `part_run.Strategy`."""

    selection_bytes: int
    device: torch.device = CPU
    notes: Sequence[str] = ()

    def run_model(
        self, part_run: PartRun, pixels: Tensor, layers: Sequence[str]
    ) -> dict[str, Tensor]:
        """Run a batch through the model."""
        return part_run.run_model(pixels, layers)

    def update(
        self, part_run: PartRun, batch: Batch, activations: Mapping[str, Tensor]
    ) -> None:
        """Add the maps of a batch; sift pending maps where these are too large."""
        # operations are short: a second thread would wait for a busy processor
        with one_thread():
            for layer, maps in activations.items():
                _update_layer(part_run, layer, maps, batch)
        if _must_sift(part_run, batch):
            self.finish(part_run)

    def finish(self, part_run: PartRun) -> None:
        """Move cells that may exceed a threshold from pending maps to candidates."""
        layer_states = part_run.state.layers.values()
        with parallel_jobs() as run_jobs:
            run_jobs(layer_state.sift_pending for layer_state in layer_states)
        memory = part_run.feed.memory
        bound_of = part_run.state.first_pass_bounds()
        keep_within_memory(bound_of, memory - pending_budget(memory))

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
            _store(state.second_pass[layer], maps, bounds[layer], batch)
        keep_within_memory(state.all_bounds(bounds), memory)

    def count(
        self,
        part_run: PartRun,
        thresholds: ThresholdsByLayer,
        layers_to_rerun: Sequence[str],
        start: int,
    ) -> Iterator[CountedBatch]:
        """Count batch after batch.

        Where no model is needed, forked processes decode and count whole batches. Else worker
        processes decode, and this process counts.
        """
        feed = part_run.feed
        state = part_run.state
        counter = Counter(
            feed,
            {layer: state.candidates(layer) for layer in state.layers},
            thresholds,
            {
                layer: layer_state.geometry
                for layer, layer_state in state.layers.items()
            },
            state.readable,
            part_run.report_data.pack_labels_of,
            feed.fold_of,
        )
        needs_model = bool(layers_to_rerun)
        if not needs_model and (can_fork() or not feed.workers):
            return map_in_order(
                counter.decode_and_count,
                feed.batch_numbers(start),
                feed.workers,
                partial(_name_annotations, feed),
            )

        def count(batch: Batch) -> CountedBatch:
            if not needs_model:
                return counter.count(batch, {})
            readable = part_run.images_of_first_pass(batch)
            activations = part_run.activations(readable, layers_to_rerun)
            part_run.report_data.add_activations(readable, activations)
            return counter.count(readable, activations)

        batches = feed.batches(
            pictures=needs_model,
            annotated=True,
            start=start,
            pack_labels_of=part_run.report_data.pack_labels_of,
        )
        return map(count, batches)

    @property
    def block_bytes(self) -> int:
        """Bytes for the intersections of a block of units with permuted annotations."""
        return BLOCK_BYTES

    def count_permuted(
        self,
        part_runs: Sequence[PartRun],
        permuted: Permuted,
        blocks: Sequence[UnitBlock],
    ) -> Iterator[Counts]:
        """Count blocks in forked processes and here; see `part_run.Strategy.count_permuted`."""
        feed = part_runs[0].feed
        batch_count = sum(
            len(part_run.feed.batch_numbers()) for part_run in part_runs
        )
        counter = HostChanceCounter(
            permuted,
            blocks,
            partial(_read_maps, part_runs),
            partial(_report, part_runs[0], len(blocks), batch_count),
        )
        workers = feed.workers if can_fork() else 0
        return map_in_order(counter.count, range(len(blocks)), workers)


def _name_annotations(feed: Feed, number: int) -> str:
    """Name what a worker decodes that counts a batch."""
    images = feed.order[number]
    first = feed.concepts.name(images[0])
    last = feed.concepts.name(images[-1])
    count = len(images)
    return f"the annotations of the {count} images from {first} to {last}"


def _read_maps(
    part_runs: Sequence[PartRun], layer: str
) -> Iterator[tuple[SparseMaps, Callable[[Size], MaskGrid]]]:
    """Yield the stored maps of a layer, batch by batch, and the grid for masks of a size."""
    for part_run in part_runs:
        if layer not in part_run.state.layers:
            continue
        geometry = part_run.state.layers[layer].geometry
        grid_of = partial(MaskGrid, geometry, part_run.feed.preprocess.size)
        candidates = part_run.state.candidates(layer)
        for number in part_run.feed.batch_numbers():
            yield candidates.of(number), grid_of


def _report(
    part_run: PartRun, blocks: int, batches: int, block: int, batches_done: int
) -> None:
    """Show how far the counting of ``blocks`` over ``batches`` is; save state where asked to.

    The end of a block is shown when all blocks before it have ended, too.
    """
    if batches_done < batches:
        report_permuted(part_run, (block + batches_done / batches) / blocks)


def _update_layer(
    part_run: PartRun, layer: str, maps: Tensor, batch: Batch
) -> None:
    """Add ``maps`` (image, unit, row, column) to the layer's state. Raises NonFiniteActivation.

    NaN and +infinity show in the maxima of the maps. -infinity is an ordinary small value, unless
    a map holds nothing else.
    """
    maps = maps.cpu()
    peaks = peaks_of(maps)
    if not bool(peaks.isfinite().all()):
        raise part_run.not_finite(layer, maps, peaks, batch.indices)
    layer_state = part_run.layer_state(layer, maps)
    layer_state.sample.update(maps, batch.indices)
    layer_state.update(batch.number, maps, peaks, batch.indices)


def _must_sift(part_run: PartRun, batch: Batch) -> bool:
    """Return whether pending maps are to be sifted now; they wait while none of this requires it.

    The longer they wait, the higher the bounds, and the fewer cells exceed them.
    """
    if part_run.saver.due(batch.image_count):
        return True  # a checkpoint holds no pending maps
    layer_states = part_run.state.layers.values()
    pending_bytes = sum(layer_state.pending_bytes for layer_state in layer_states)
    return pending_bytes > pending_budget(part_run.feed.memory)


def _store(
    candidates: Candidates, maps: Tensor, bound: Tensor, batch: Batch
) -> None:
    """Store the cells of ``maps`` (image, unit, row, column) above ``bound`` (unit,)."""
    maps = maps.cpu()
    peaks = peaks_of(maps)
    with one_thread():
        candidates.update(batch.number, batch.indices, maps, peaks, bound)
