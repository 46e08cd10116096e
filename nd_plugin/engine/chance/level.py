"""Level of chance: the best match of each unit with permuted annotations.

A pass over the candidates after the counting pass, without the model. Every process counts its own
images against the annotations of all images that theirs are exchanged with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from nd_plugin.engine.batch_counter import category_indices
from nd_plugin.engine.chance.annotation_store import AnnotationStore
from nd_plugin.engine.chance.permuted import Permuted, UnitBlock, divide_units
from nd_plugin.engine.part_run import PartRun, ThresholdsByLayer, report_permuted
from nd_plugin.engine.state import CountState
from nd_plugin.errors import RunFailed
from nd_plugin.machine.allocator import trim_memory
from nd_plugin.machine.forked_workers import can_fork, map_in_order
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method.annotations import Counts, LabelCombinations
from nd_plugin.method.iou import iou, labels
from nd_plugin.probe_data.batches import Feed
from nd_plugin.significance.chance_counts import ChanceCounts
from nd_plugin.significance.exchange import Strata
from nd_plugin.significance.image_concepts import ImageConcepts

FEW = 0.03  # of the images; if more are fixed, a note says so
BYTES_PER_COUNT = 8
MEMORY_DIVISOR = 4  # of the memory for candidates, which is in use: for annotations

NO_MAPS = (
    "no level of chance was counted: the maps that may exceed a threshold did not fit on disk; "
    "free some space there, or raise --memory (memory=)"
)


@dataclass(frozen=True)
class ChanceLevel:
    """Level of chance of a run."""

    counts: Mapping[tuple[str, float], ChanceCounts]  # by layer and quantile
    notes: Mapping[str, Sequence[str]]  # by layer


def count_chance(
    part_runs: Sequence[PartRun],
    thresholds: ThresholdsByLayer,
    counted: CountState,
    group: SingleProcess,
) -> ChanceLevel:
    """Count the level of chance of all layers whose maps are stored in all processes.

    ``counted`` is of the whole probe data set. Raises RunFailed for an annotation that the counting
    pass has read and that cannot be read any more, and NotSaved for a full disk.
    """
    feed = part_runs[0].feed
    if not feed.settings.permutations:
        return ChanceLevel({}, {})
    strata = Strata.of(
        ImageConcepts.joined(counted.image_concepts),
        category_indices(feed.concepts),
        len(feed.concepts.categories),
    )
    countable = {}
    notes: dict[str, Sequence[str]] = {}
    for layer in dict.fromkeys(part_runs[0].layers):
        if _has_maps(part_runs, layer, group):
            countable[layer] = thresholds[layer]
            notes[layer] = _fixed_notes(strata)
        else:
            notes[layer] = [NO_MAPS]
    counts = _count(part_runs, countable, counted, strata, group)
    return ChanceLevel(counts, notes)


def _has_maps(
    part_runs: Sequence[PartRun], layer: str, group: SingleProcess
) -> bool:
    """Return whether all maps of a layer that may exceed a threshold are stored, everywhere."""
    all_here = all(
        part_run.state.candidates(layer).has_maps
        for part_run in part_runs
        if layer in part_run.state.layers
    )
    return all(group.gather(all_here))


def _fixed_notes(strata: Strata) -> Sequence[str]:
    fixed = strata.fixed_images
    total = len(strata.images)
    if fixed <= FEW * total:
        return []
    return [
        f"{fixed} of {total} images keep their annotation in all permutations: no other image has "
        "masks of the same size and the same categories; the level of chance is too high (if "
        "sizes differ, --mask-size N gives all masks one)"
    ]


def _count(
    part_runs: Sequence[PartRun],
    thresholds: ThresholdsByLayer,
    counted: CountState,
    strata: Strata,
    group: SingleProcess,
) -> dict[tuple[str, float], ChanceCounts]:
    """Count the layers of ``thresholds``; none is no work."""
    if not thresholds:
        return {}
    feed = part_runs[0].feed
    with closing(AnnotationStore(feed.memory // MEMORY_DIVISOR)) as store:
        permuted = _permuted(feed, thresholds, strata, store)
        _fill(part_runs, permuted)
        strategy = part_runs[0].strategy
        blocks = _blocks(permuted, strategy.block_bytes, feed.workers, group)
        report_permuted(part_runs[0], 0)
        best = []
        tables = strategy.count_permuted(part_runs, permuted, blocks)
        for block, table in zip(blocks, tables, strict=True):
            best.append(_best(permuted, block, _total(table, group), counted))
            report_permuted(part_runs[0], len(best) / len(blocks))
    return _joined(blocks, best, strata.fixed_images)


def _permuted(
    feed: Feed,
    thresholds: ThresholdsByLayer,
    strata: Strata,
    store: AnnotationStore,
) -> Permuted:
    settings = feed.settings
    values = {
        (layer, at_quantile.quantile): at_quantile.values.cpu()
        for layer, at_quantiles in thresholds.items()
        for at_quantile in at_quantiles
    }
    return Permuted(
        strata,
        strata.permutations(settings.seed, settings.permutations),
        store,
        len(feed.concepts),
        category_indices(feed.concepts),
        len(feed.concepts.categories),
        values,
    )


def _blocks(
    permuted: Permuted, block_bytes: int, workers: int, group: SingleProcess
) -> Sequence[UnitBlock]:
    """Divide the units of all layers into blocks, the same in all processes."""
    table_bytes = (
        BYTES_PER_COUNT * permuted.permutation_count * permuted.concept_count
    )
    most_units = min(group.gather(block_bytes)) // max(table_bytes, 1)
    processes = max(group.gather(workers)) + 1
    units = {key: len(values) for key, values in permuted.thresholds.items()}
    return divide_units(units, most_units, processes)


def _best(
    permuted: Permuted, block: UnitBlock, table: Counts, counted: CountState
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the best IoU and its concept, (permutation, unit) each, of a block's intersections.

    ``table`` (permutation, unit, concept) is of the whole probe data set.
    """
    unit_area = counted.units[block.key].unit_area.numpy()
    of_block = unit_area[block.units.start : block.units.stop]
    scores, concepts = [], []
    for intersection in table:
        unit_scores = iou(
            intersection, of_block, counted.areas.area, permuted.category_of
        )
        concepts.append(labels(unit_scores))
        scores.append(unit_scores.max(axis=1))
    return np.stack(scores), np.stack(concepts)


def _total(table: Counts, group: SingleProcess) -> Counts:
    total: Counts = group.total(torch.from_numpy(table)).numpy()
    return total


def _joined(
    blocks: Sequence[UnitBlock],
    best: Sequence[tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]],
    fixed_images: int,
) -> dict[tuple[str, float], ChanceCounts]:
    """Join the blocks of each layer and quantile."""
    parts: dict[tuple[str, float], list[int]] = {}
    for index, block in enumerate(blocks):
        parts.setdefault(block.key, []).append(index)
    return {
        key: ChanceCounts(
            np.concatenate([best[index][0] for index in indices], axis=1),
            np.concatenate([best[index][1] for index in indices], axis=1),
            fixed_images,
        )
        for key, indices in parts.items()
    }


def _fill(part_runs: Sequence[PartRun], permuted: Permuted) -> None:
    """Decode the annotations that the images of this process are counted against."""
    feed = part_runs[0].feed
    needed = _needed_images(part_runs, permuted)
    numbers = [
        number
        for number, images in enumerate(feed.order)
        if not needed.isdisjoint(images)
    ]
    decode = partial(_decode, feed, needed)
    workers = feed.workers if can_fork() else 0
    part_run = part_runs[0]
    total = feed.count_images(numbers)
    done = 0
    part_run.progress("annotations", done, total)
    batches: Iterator[list[tuple[int, LabelCombinations | None]]]
    batches = map_in_order(
        lambda index: decode(numbers[index]), range(len(numbers)), workers
    )
    for number, decoded in zip(numbers, batches, strict=True):
        for image, image_labels in decoded:
            permuted.store.add(image, _checked(permuted, feed, image, image_labels))
        done += len(feed.order[number])
        part_run.progress("annotations", done, total)
        part_run.saver.tick(part_run.state, 0)


def _needed_images(part_runs: Sequence[PartRun], permuted: Permuted) -> set[int]:
    """Return the images whose annotations any image of this process gets."""
    images = [
        image
        for part_run in part_runs
        for number in part_run.feed.batch_numbers()
        for image in part_run.feed.order[number]
    ]
    rows = permuted.row_of[np.array(images, np.int64)]
    partners = np.unique(permuted.partners[rows[rows >= 0]])
    return set(permuted.strata.images[partners].tolist())


def _decode(
    feed: Feed, needed: set[int], number: int
) -> list[tuple[int, LabelCombinations | None]]:
    """Decode the annotations of the ``needed`` images of a batch; None for an unreadable one."""
    trim_memory()
    batch = feed.annotations(number)
    by_image = dict(zip(batch.indices.tolist(), batch.labels, strict=True))
    return [
        (image, by_image.get(image))
        for image in feed.order[number]
        if image in needed
    ]


def _checked(
    permuted: Permuted,
    feed: Feed,
    image: int,
    image_labels: LabelCombinations | None,
) -> LabelCombinations:
    """Return labels that are as the counting pass has read them. Raises RunFailed."""
    expected = permuted.size_of(int(permuted.row_of[image]))
    if image_labels is None or image_labels.size != expected:
        raise RunFailed(
            f"the annotation of {feed.concepts.name(image)} was read in the counting pass, but "
            "cannot be read any more, or has changed; restore it and run again"
        )
    return image_labels
