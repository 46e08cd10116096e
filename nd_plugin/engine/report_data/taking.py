"""Pictures of the top images of all layers, with annotations and maps, once all is counted.

They are taken in the order of ranks until the budget of the layer is spent. Nothing here makes a
run fail: a picture that cannot be made is a note. Every process of a ``group`` has to call
`take_pictures`, and all return the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
import torch

from nd_plugin.engine.part_run import PartRun
from nd_plugin.engine.report_data.collected import LayerTop, new_images_by_rank
from nd_plugin.engine.report_data.picture_files import (
    STAGE,
    LayerFiles,
    PictureFiles,
    make_files,
)
from nd_plugin.engine.report_data.top_map_collector import SlottedMaps, in_slots
from nd_plugin.errors import NDError
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method.annotations import Counts
from nd_plugin.method.cell_selection import position_dtype
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.items import half, mask_size
from nd_plugin.receptive_fields.geometry import Size
from nd_plugin.results.top_maps import UNKNOWN, TopMaps
from nd_plugin.results.top_pictures import TopPictures


@dataclass(frozen=True)
class LayerPictures:
    """Pictures of a layer, and notes on those that are missing."""

    pictures: TopPictures | None
    notes: tuple[str, ...] = ()


def take_pictures(
    part_runs: Sequence[PartRun],
    tops: Mapping[str, LayerTop],
    unannotated: AbstractSet[str],
    group: SingleProcess,
) -> dict[str, LayerPictures]:
    """Take the pictures of all layers; ``part_runs`` are the parts of this process.

    ``unannotated`` are the names of the images whose annotation could not be counted.
    """
    feed = part_runs[0].feed
    own_images = _own_images(part_runs)
    pictures: dict[str, LayerPictures] = {}
    with torch.device("cpu"):  # not the caller's default device
        for part_run in part_runs:
            _collect_uncollected_maps(part_run)
        for layer, top in tops.items():
            maps = group.gather(_collect_maps(part_runs, layer, top))
            images_by_rank = [
                np.intersect1d(images, own_images)
                for images in new_images_by_rank(top.top_images)
            ]
            budget = feed.settings.picture_budget
            own_files = make_files(
                part_runs[0], images_by_rank, budget, unannotated
            )
            files = group.gather(own_files)
            pictures[layer] = _layer_pictures(feed, top, maps, files)
    return pictures


def _own_images(part_runs: Sequence[PartRun]) -> Counts:
    """Return all images of the parts of this process."""
    images = [
        image
        for part_run in part_runs
        for number in part_run.feed.batch_numbers()
        for image in part_run.feed.order[number]
    ]
    return np.array(images, np.int64)


def _collect_uncollected_maps(part_run: PartRun) -> None:
    """Run batches through the model again whose maps neither candidates nor a pass have.

    They are of layers whose maps did not fit on disk, and were counted before an interruption.
    """
    state = part_run.state
    collectors = part_run.report_data.maps
    order = part_run.feed.order
    layers = [
        layer for layer in state.layers if not state.candidates(layer).has_maps
    ]
    missing = {
        number
        for layer in collectors.keys() & set(layers)
        for number in part_run.feed.batch_numbers()
        if collectors[layer].lacks(np.array(order[number], np.int64))
    }
    if not missing or part_run.probe is None:
        return
    try:
        with closing(part_run.feed.batches(annotated=False)) as batches:
            for batch in batches:
                part_run.progress(STAGE, 0, part_run.feed.images)
                if batch.number in missing:
                    readable = part_run.images_of_first_pass(batch)
                    activations = part_run.activations(readable, layers)
                    part_run.report_data.add_activations(readable, activations)
                    missing.discard(batch.number)
                if not missing:
                    return
    except NDError:  # a note says how many masks are not shown
        return


def _collect_maps(
    part_runs: Sequence[PartRun], layer: str, top: LayerTop
) -> SlottedMaps:
    """Collect a layer's maps from the candidates of this process.

    Where they are without maps, the counting pass has collected the maps.
    """
    collector = part_runs[0].report_data.maps[layer]
    below_top = torch.full_like(top.lowest_peaks, -torch.inf)
    bound = torch.nextafter(top.lowest_peaks, below_top)
    for part_run in part_runs:
        if layer not in part_run.state.layers:
            continue
        candidates = part_run.state.candidates(layer)
        if not candidates.has_maps:
            continue
        order = part_run.feed.order
        batches = [
            number
            for number in part_run.feed.batch_numbers()
            if collector.needs(np.array(order[number], np.int64))
        ]
        for number in batches:
            collector.cover(np.array(order[number], np.int64))
        for maps in candidates.above(batches, bound):
            collector.add_sparse(maps)
    return collector.collected()


def _layer_pictures(
    feed: Feed,
    top: LayerTop,
    maps: Sequence[SlottedMaps],
    files: Sequence[LayerFiles],
) -> LayerPictures:
    """Assemble the pictures of a layer from the maps and files of all processes."""
    by_image = reduce(or_, (part.by_image for part in files))
    ranks = min(part.complete_ranks for part in files)
    ranks = _ranks_within_budget(feed, top, maps, by_image, ranks)
    top_images = top.top_images[:, :ranks]
    images = [
        image
        for image in np.unique(top_images).tolist()
        if not by_image[image].missing
    ]
    notes = [
        *_budget_notes(feed, top, ranks),
        *_missing_notes(feed, top_images, by_image),
    ]
    if not images:
        return LayerPictures(None, tuple(notes))
    top_maps = _top_maps(feed, top, maps, ranks)
    notes += _unknown_map_notes(top_maps)
    sizes = [_mask_size_of(by_image[image], feed) for image in images]
    pictures = TopPictures(
        images=np.array(images, np.int64),
        encoded=tuple(by_image[image].picture for image in images),
        packed_labels=tuple(_packed_labels(by_image[image]) for image in images),
        mask_sizes=np.array(sizes, np.int64),
        top_images=top_images,
        maps=top_maps,
    )
    return LayerPictures(pictures, tuple(notes))


def _ranks_within_budget(
    feed: Feed,
    top: LayerTop,
    maps: Sequence[SlottedMaps],
    by_image: Mapping[int, PictureFiles],
    ranks: int,
) -> int:
    """Return how many of the first ``ranks`` ranks fit the budget, with their maps."""
    slots = np.arange(top.top_images.size)
    counts, _, values = in_slots(maps, slots)
    stored = counts.clip(min=0).reshape(top.top_images.shape).sum(0)
    position_bytes = _position_dtype(top.cells).itemsize
    map_bytes = stored * (values.itemsize + position_bytes)
    total = 0
    for rank, images in enumerate(new_images_by_rank(top.top_images[:, :ranks])):
        file_bytes = sum(by_image[image].nbytes for image in images.tolist())
        total += file_bytes + int(map_bytes[rank])
        if total > feed.settings.picture_budget:
            return rank
    return ranks


def _top_maps(
    feed: Feed, top: LayerTop, maps: Sequence[SlottedMaps], ranks: int
) -> TopMaps:
    """Return the maps of the first ``ranks`` top images of each unit."""
    slots = np.arange(top.top_images.size).reshape(top.top_images.shape)
    counts, positions, values = in_slots(maps, slots[:, :ranks].ravel())
    return TopMaps(
        geometry=top.geometry,
        image_size=feed.preprocess.size,
        cells=top.cells,
        counts=counts.reshape(-1, ranks),
        positions=positions.astype(_position_dtype(top.cells)),
        values=values,
    )


def _position_dtype(cells: Size) -> np.dtype[np.integer]:
    dtype = position_dtype(cells[0] * cells[1])
    return np.dtype(str(dtype).removeprefix("torch."))


def _mask_size_of(files: PictureFiles, feed: Feed) -> Size:
    """Return the size of an image's masks, whether its annotation could be read or not."""
    if files.labels is not None:
        return files.labels.size
    size = mask_size(feed.settings, feed.concepts, feed.preprocess.size)
    return size or half(feed.preprocess.size)


def _packed_labels(files: PictureFiles) -> bytes:
    return b"" if files.labels is None else files.labels.content


def _budget_notes(feed: Feed, top: LayerTop, ranks: int) -> list[str]:
    wanted_ranks = top.top_images.shape[1]
    if ranks == wanted_ranks:
        return []
    budget = feed.settings.picture_budget / 2**20
    which = f"of the first {ranks} of {wanted_ranks} top images of each unit"
    if not ranks:
        which = "not saved"
    return [
        f"pictures are {which}: more would exceed {budget:g} MiB "
        "(--picture-budget; picture_budget= in Python)"
    ]


def _missing_notes(
    feed: Feed, top_images: Counts, by_image: Mapping[int, PictureFiles]
) -> list[str]:
    missing = [
        image for image in np.unique(top_images).tolist() if by_image[image].missing
    ]
    if not missing:
        return []
    name = feed.concepts.name(missing[0])
    return [
        f"{len(missing)} of the top images have no picture, such as {name}: "
        f"{by_image[missing[0]].missing}"
    ]


def _unknown_map_notes(maps: TopMaps) -> list[str]:
    unknown = int((maps.counts == UNKNOWN).sum())
    if not unknown:
        return []
    return [
        f"{unknown} of {maps.counts.size} masks in top images are not shown: their maps did not "
        "fit on disk, and the run was interrupted since; dissect again with more --memory"
    ]
