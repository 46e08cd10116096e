"""Counting pass over one part of the probe data set: masks of the units against the annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nd_plugin.engine.batch_counter import CountedBatch, Counter
from nd_plugin.engine.forward_pass import PartRun
from nd_plugin.engine.state import CountState
from nd_plugin.engine.thresholds import UnitThresholds
from nd_plugin.machine.forked_workers import can_fork, map_in_order
from nd_plugin.method.counting import ConceptCounts, UnitCounts
from nd_plugin.probe_data.batches import Batch

ThresholdsByLayer = Mapping[str, Sequence[UnitThresholds]]  # one UnitThresholds for each quantile


def count_concepts(part: PartRun, thresholds: ThresholdsByLayer) -> CountState:
    """Count the remaining batches: masks above the ``thresholds`` against annotations.

    Layers without stored maps go through the model again. Raises RunFailed without a model.
    """
    state = part.state
    if state.counted is None:
        state.counted = _no_counts(part, thresholds)
    counted = state.counted
    layers_to_rerun = [layer for layer in state.layers if not state.candidates(layer).whole]
    if layers_to_rerun:
        part.require_probe(layers_to_rerun)
    unreadable = {item.image for item in state.skipped if item.part == "image"}
    start = counted.batches
    batches = _count_batches(part, thresholds, layers_to_rerun, start)
    for batch in part.with_progress("masks", batches, start):
        counted.update(batch)
        for item in batch.skipped:
            if item.part == "annotation" and item.image not in unreadable:
                counted.skipped.append(item)
        part.saver.tick(state, batch.seen)
    return counted


def _no_counts(part: PartRun, thresholds: ThresholdsByLayer) -> CountState:
    """Return counts of 0 for every layer and quantile."""
    concepts = part.feed.concepts
    sizes = (len(concepts.concepts), len(concepts.categories))
    counts: dict[tuple[str, float], UnitCounts] = {}
    for layer in part.layers:
        for at_quantile in thresholds[layer]:
            unit_count = len(at_quantile.values)
            counts[layer, at_quantile.quantile] = UnitCounts.empty(unit_count, *sizes)
    return CountState(ConceptCounts.empty(*sizes), counts)


def _count_batches(
    part: PartRun, thresholds: ThresholdsByLayer, layers_to_rerun: Sequence[str], start: int
) -> Iterator[CountedBatch]:
    """Count batch after batch, from number ``start`` on.

    On a CPU, where no model is needed, forked processes decode and count whole batches. Else
    worker processes decode, and this process counts.
    """
    feed = part.feed
    state = part.state
    counter = Counter(
        feed,
        {layer: state.candidates(layer) for layer in state.layers},
        thresholds,
        {layer: layer_state.geometry for layer, layer_state in state.layers.items()},
        state.readable,
        part.device,
    )
    needs_model = bool(layers_to_rerun)
    if part.device.type == "cpu" and not needs_model and (can_fork() or not feed.workers):
        return map_in_order(counter.decode_and_count, feed.numbers(start), feed.workers)

    def count(batch: Batch) -> CountedBatch:
        activations = part.activations(batch, layers_to_rerun) if needs_model else {}
        return counter.count(batch, activations)

    batches = feed.batches(pictures=needs_model, annotated=True, start=start)
    return map(count, batches)
