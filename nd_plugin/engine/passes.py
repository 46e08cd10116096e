"""Passes over one part of the probe data set: through the model, and over the annotations.

First pass (`observe`): statistics, lower bounds and candidates of all layers. Second pass
(`observe_again`), for layers with a T_k below the stored values: cells above a bound that is
certain by then become candidates at once; those of the first pass stay. Counting pass
(`count_concepts`): masks of the candidates against the annotations. What is done with a batch is
the strategy's.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from torch import Tensor

from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.contracts.provenance import Skipped
from nd_plugin.engine.batch_counter import CountedBatch
from nd_plugin.engine.part_run import PartRun, ThresholdsByLayer
from nd_plugin.engine.state import CountState
from nd_plugin.machine.allocator import trim_memory
from nd_plugin.method.counting import ConceptCounts, UnitCounts
from nd_plugin.significance.folds import FoldSums


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
        state.skipped += [item for item in batch.skipped if item.part == "image"]
        state.readable.update(batch.indices.tolist())
        state.remarks += batch.picture_remarks
        part_run.report_data.small_pictures.update(batch.small_pictures)
        part_run.report_data.add_labels(batch.packed_labels)
        activations = part_run.activations(batch, part_run.layers)
        part_run.strategy.update(part_run, batch, activations)
        state.batches += 1
        part_run.saver.tick(state, batch.image_count)
        trim_memory()
    part_run.strategy.finish(part_run)


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
    for layer in layers:
        if layer not in state.second_pass:
            _add_second_candidates(part_run, layer)
        state.second_pass[layer].pool = part_run.pool
    batches_done = state.second_pass_batches
    batches = part_run.feed.batches(annotated=False, start=batches_done)
    stage = "activations, second pass"
    for batch in part_run.with_progress(stage, batches, batches_done):
        readable = part_run.images_of_first_pass(batch)
        activations = part_run.activations(readable, layers)
        part_run.strategy.store(part_run, readable, activations, bounds, memory)
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
    batches = part_run.strategy.count(
        part_run, thresholds, layers_to_rerun, batches_done
    )
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
    folds = part_run.feed.settings.folds
    counted = CountState(ConceptCounts.empty(*sizes), {})
    for layer in part_run.layers:
        for at_quantile in thresholds[layer]:
            key = (layer, at_quantile.quantile)
            unit_count = len(at_quantile.values)
            if folds:
                counted.folds[key] = FoldSums.empty(folds, unit_count, *sizes)
            else:
                counted.units[key] = UnitCounts.empty(unit_count, *sizes)
    return counted
