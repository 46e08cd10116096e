"""Counting pass over one part of the probe data set: masks of the units against the annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from nd_plugin.contracts.provenance import Skipped
from nd_plugin.engine.batch_counter import CountedBatch, Counter
from nd_plugin.engine.forward_pass import PartRun
from nd_plugin.engine.state import CountState
from nd_plugin.engine.thresholds import UnitThresholds
from nd_plugin.machine.allocator import trim_memory
from nd_plugin.machine.forked_workers import can_fork, map_in_order
from nd_plugin.method.counting import ConceptCounts, UnitCounts
from nd_plugin.probe_data.batches import Batch

# one UnitThresholds for each quantile
ThresholdsByLayer = Mapping[str, Sequence[UnitThresholds]]


def count_concepts(part_run: PartRun, thresholds: ThresholdsByLayer) -> CountState:
    """Count the remaining batches: masks above the ``thresholds`` against annotations.

    Layers without stored maps go through the model again. Raises RunFailed without a model, and
    for an image that the first pass has read and that cannot be read any more.
    """
    state = part_run.state
    if state.counted is None:
        state.counted = _no_counts(part_run, thresholds)
    counted = state.counted
    layers_to_rerun = [
        layer for layer in state.layers if not state.candidates(layer).has_maps
    ]
    if layers_to_rerun:
        part_run.check_model(layers_to_rerun)
    unreadable = {item.image for item in state.skipped if item.part == "image"}
    batches_done = counted.batches
    batches = _count_batches(part_run, thresholds, layers_to_rerun, batches_done)
    for batch in part_run.with_progress("masks", batches, batches_done):
        counted.update(batch)
        part_run.report_data.add_labels(batch.packed_labels)
        counted.skipped += _skipped_annotations(batch, unreadable)
        part_run.saver.tick(state, batch.image_count)
        trim_memory()
    return counted


def _skipped_annotations(
    batch: CountedBatch, unreadable: AbstractSet[str]
) -> list[Skipped]:
    """Return skipped annotations of images that could be read; the others are listed already."""
    return [
        item
        for item in batch.skipped
        if item.part == "annotation" and item.image not in unreadable
    ]


def _no_counts(part_run: PartRun, thresholds: ThresholdsByLayer) -> CountState:
    """Return counts of 0 for every layer and quantile."""
    concepts = part_run.feed.concepts
    sizes = (len(concepts.concepts), len(concepts.categories))
    counts: dict[tuple[str, float], UnitCounts] = {}
    for layer in part_run.layers:
        for at_quantile in thresholds[layer]:
            unit_count = len(at_quantile.values)
            counts[layer, at_quantile.quantile] = UnitCounts.empty(
                unit_count, *sizes
            )
    return CountState(ConceptCounts.empty(*sizes), counts)


def _count_batches(
    part_run: PartRun,
    thresholds: ThresholdsByLayer,
    layers_to_rerun: Sequence[str],
    start: int,
) -> Iterator[CountedBatch]:
    """Count batch after batch, from number ``start`` on.

    On a CPU, where no model is needed, forked processes decode and count whole batches. Else
    worker processes decode, and this process counts.
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
        part_run.device,
        part_run.report_data.pack_labels_of,
    )
    needs_model = bool(layers_to_rerun)
    if (
        part_run.device.type == "cpu"
        and not needs_model
        and (can_fork() or not feed.workers)
    ):
        return map_in_order(
            counter.decode_and_count, feed.batch_numbers(start), feed.workers
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
