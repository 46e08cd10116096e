"""The passes of one part of a dissection: over the images, through the model, and over the annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from nd_plugin.candidates import Candidates, Room
from nd_plugin.counting import ConceptCounts, Scenes, UnitCounts, category_indices
from nd_plugin.errors import NonFiniteActivation, RunFailed
from nd_plugin.feed import Batch, Feed
from nd_plugin.geometry import Size, spread_evenly
from nd_plugin.kept import Kept, keep
from nd_plugin.surroundings import one_thread, side_by_side
from nd_plugin.tally import Labels
from nd_plugin.types import Probe
from nd_plugin.upsample import true_places
from nd_plugin.watching import Counted, State, Threshold, Watched

WORTH = 1.5  # times as many batches: then the bound is so much better that maps are worth looking through again
AT_ONCE = 1024  # maps that one thread counts at a time
WAITING = 4  # a part of so many of the memory is for maps that wait
MUCH = 0.75  # of the memory: what may be left, so that it does not have to be done for every batch
Progress = Callable[[str, int, int], None]  # stage, images done, images in all


def silent(stage: str, done: int, total: int) -> None:
    """Shows no progress."""


class Keeper:
    """Keeps the state of a part while it runs; this one keeps nothing (see `checkpoint`)."""

    def watch(self, candidates: Candidates, place: int) -> None:
        """The candidates of a layer, the ``place``-th, begin."""

    def due(self, images: int) -> bool:
        """Whether the state is kept when so many images more are done."""
        return False

    def tick(self, state: State, images: int) -> None:
        """So many images more are done."""

    def save(self, state: State) -> None:
        """Keep the state as it is."""


@dataclass
class Passes:
    """One part: what it has to see, and what it has seen."""

    feed: Feed
    layers: tuple[str, ...]
    quantiles: tuple[float, ...]
    device: torch.device
    state: State
    probe: Probe | None = None  # None: what has been seen is merged
    progress: Progress = silent
    keeper: Keeper = field(default_factory=Keeper)
    seen_again: dict[str, Candidates] = field(default_factory=dict)
    room: Room = field(default_factory=Room)  # for the candidates of all layers

    def candidates(self, layer: str) -> Candidates:
        """The layer's candidates, those of its second pass where there was one."""
        return self.seen_again[layer] if layer in self.seen_again else self.state.layers[layer].candidates

    def close(self) -> None:
        """Let go of files."""
        self.state.close()
        for candidates in self.seen_again.values():
            candidates.close()

    def observe(self) -> None:
        """The pass over the images, from where the state stands."""
        state = self.state
        strict = self.feed.settings.strict  # then a bad annotation stops the run now, not after the pass
        for batch in self._batches("activations", annotated=strict, start=state.batches):
            state.skipped += batch.skipped
            state.readable.update(batch.indices.tolist())
            activations = self._maps(batch, self.layers)
            with one_thread():  # what is short in one is long in two where the second shares its processor
                for layer, maps in activations.items():
                    self._see(layer, maps, batch)
            waiting = sum(watched.waiting_bytes for watched in state.layers.values())
            if waiting > self.feed.memory // WAITING or self.device.type != "cpu" or self.keeper.due(batch.seen):
                self._settle()
            state.batches += 1
            self.keeper.tick(state, batch.seen)
        self._settle()

    def _settle(self) -> None:
        """Keep what may matter of the maps that wait, within the memory."""
        layers = self.state.layers

        def settle(layer: str) -> None:
            for images, maps in layers[layer].settle():
                raise self._not_finite(layer, maps, images)

        with side_by_side() as do:
            do(partial(settle, layer) for layer in layers)
        left = self.feed.memory - self.feed.memory // WAITING
        keep_within_memory({one.candidates: one.bound.level for one in layers.values()}, left)

    def _see(self, layer: str, maps: Tensor, batch: Batch) -> None:
        """NaN and infinity show in the maxima; minus infinity is looked for where it can reach a mask."""
        peaks = maps.flatten(2).amax(2)
        if not bool(peaks.isfinite().all()):
            raise self._not_finite(layer, maps, batch.indices)
        watched = self.state.layers.get(layer) or self._first(layer, maps)
        watched.see(batch.number, maps, peaks, batch.indices.to(maps.device))

    def _first(self, layer: str, maps: Tensor) -> Watched:
        settings, size = self.feed.settings, self.feed.preprocess.size
        anchored = settings.anchor == "rf"
        cells = maps.shape[2], maps.shape[3]
        geometry = self._model([layer]).geometries[layer] if anchored else spread_evenly(cells, size)
        watched = Watched.none(maps, max(self.quantiles), self.feed.images, settings.top_images, geometry)
        watched.candidates.room = self.room
        self.keeper.watch(watched.candidates, len(self.state.layers))
        self.state.layers[layer] = watched
        return watched

    def see_again(self, wanted: Mapping[str, Tensor]) -> None:
        """A second pass over the images for some layers, keeping what is above a level (unit,) that is given."""
        self._model(list(wanted))
        mine = [layer for layer in wanted if layer in self.state.layers]
        for layer in mine:
            before = self.state.layers[layer].candidates
            self.seen_again[layer] = Candidates(before.cells, before.dtype, room=self.room)
        levels = {self.seen_again[layer]: wanted[layer] for layer in mine}
        for batch in self._batches("activations, again", annotated=False):
            for layer, maps in self._maps(batch, mine).items():
                candidates, images = self.seen_again[layer], batch.indices.to(maps.device)
                peaks, level = maps.flatten(2).amax(2), levels[candidates].to(maps.device)
                with one_thread():
                    candidates.see(batch.number, images, maps, peaks, level)
            keep_within_memory(levels, self.feed.memory)

    def count(self, found: Mapping[str, Sequence[Threshold]]) -> Counted:
        """The pass over the annotations, from where the state stands: masks against concepts."""
        vocabulary = self.feed.concepts
        category_of, sizes = category_indices(vocabulary), (len(vocabulary.concepts), len(vocabulary.categories))
        counted = self.state.counted = self.state.counted or self._nothing_counted(found, *sizes)
        again = [layer for layer in self.state.layers if not self.candidates(layer).whole]
        if again:
            self._model(again)
        unread = {item.image for item in self.state.skipped if item.part == "image"}
        with side_by_side() as do:
            for batch in self._batches("masks", pictures=bool(again), annotated=True, start=counted.batches):
                counted.skipped += [s for s in batch.skipped if s.part == "annotation" and s.image not in unread]
                activations = self._maps(batch, again) if again else {}
                kept = {
                    layer: _above(found[layer], activations[layer], batch.indices)
                    if layer in activations
                    else self.candidates(layer).of(batch.number)
                    for layer in self.state.layers
                }
                for images, labels in _by_size(batch, self.state.readable):
                    for one in labels:
                        counted.areas.see(one, category_of)
                    scenes = Scenes.of(labels, category_of, sizes[1], self.device)
                    do(self._jobs(kept, found, images, scenes, counted))
                counted.batches += 1
                self.keeper.tick(self.state, batch.seen)
        return counted

    def _jobs(
        self,
        kept: Mapping[str, Kept],
        found: Mapping[str, Sequence[Threshold]],
        images: Tensor,
        scenes: Scenes,
        counted: Counted,
    ) -> Iterator[Callable[[], None]]:
        """What there is to count in the scenes of ``images`` (image,), in pieces."""
        for layer, maps in kept.items():
            for at in found[layer]:
                place = torch.searchsorted(images, maps.images.long()).clamp(max=len(images) - 1)
                mine = true_places((maps.peaks > at.values[maps.units]) & (images[place] == maps.images))
                for piece in torch.split(mine, AT_ONCE) if len(mine) else ():
                    counts = counted.units[layer, at.quantile]
                    yield partial(self._count, maps, at, piece, place[piece], scenes, layer, counts)

    def _nothing_counted(self, found: Mapping[str, Sequence[Threshold]], concepts: int, categories: int) -> Counted:
        units = {
            (layer, at.quantile): UnitCounts.none(len(at.values), concepts, categories, self.device)
            for layer in self.layers
            for at in found[layer]
        }
        return Counted(ConceptCounts.none(concepts, categories), units)

    def _count(
        self, kept: Kept, at: Threshold, mine: Tensor, place: Tensor, scenes: Scenes, layer: str, counts: UnitCounts
    ) -> None:
        """Count the maps ``mine`` (map,) among ``kept``, which lie at ``place`` (map,) among the scenes."""
        place, units = (part.to(self.device) for part in (place, kept.units[mine].long()))
        maps = kept.maps(mine, self.device)
        geometry = self.state.layers[layer].geometry
        counts.see(place, units, maps, at.values.to(self.device), geometry, self.feed.preprocess.size, scenes)

    def _batches(self, stage: str, *, pictures: bool = True, annotated: bool, start: int = 0) -> Iterator[Batch]:
        batches = self.feed.numbers()
        total = sum(len(self.feed.order[number]) for number in batches)
        done = sum(len(self.feed.order[number]) for number in batches[:start])
        self.progress(stage, done, total)
        for batch in self.feed.batches(pictures=pictures, annotated=annotated, start=start):
            yield batch
            done += batch.seen
            self.progress(stage, done, total)

    def _maps(self, batch: Batch, layers: Sequence[str]) -> dict[str, Tensor]:
        if not len(batch.indices):
            return {}
        images = self.feed.preprocess.normalise(batch.pixels.to(self.device, non_blocking=True))
        found = self._model(layers)(images)
        return {layer: _at_least_float32(found[layer]) for layer in layers}

    def _model(self, layers: Sequence[str]) -> Probe:
        if self.probe is None:
            raise RunFailed(
                f"layer {layers[0]!r} has to be seen again (its maps found no room on a disk, or its thresholds are "
                "not among what was kept): merge with --model MODEL, the one that the shards were made with"
            )
        return self.probe

    def _not_finite(self, layer: str, maps: Tensor, images: Tensor) -> NonFiniteActivation:
        image, unit, row, column = (int(place) for place in (~maps.isfinite()).nonzero()[0])
        name = self.feed.concepts.name(int(images[image]))
        value = float(maps[image, unit, row, column])
        return NonFiniteActivation(
            f"layer {layer!r}, unit {unit}, image {name}: the activation at row {row}, column {column} is {value}; "
            "look at the weights, the preprocessing (mean, std, scale), or an autocast that overflows"
        )


def keep_within_memory(kept: Mapping[Candidates, Tensor], memory: int) -> None:
    """Forget what the bounds (unit,) rule out by now; while that is too little, the oldest maps go to the disk."""
    if sum(candidates.nbytes for candidates in kept) <= memory:
        return
    for candidates, level in kept.items():
        if len(candidates.parts) > WORTH * candidates.pruned:
            candidates.prune(level)
    while (taken := sum(candidates.nbytes for candidates in kept)) > MUCH * memory:
        largest = max(kept, key=lambda candidates: candidates.nbytes)
        largest.spill(kept[largest], int(taken - MUCH * memory) + 1)


def _by_size(batch: Batch, readable: set[int]) -> Iterator[tuple[Tensor, list[Labels]]]:
    """The images of a batch that count, ascending, and their labels, apart by the size of their masks."""
    groups: dict[Size, list[tuple[int, Labels]]] = {}
    for image, labels in sorted(zip(batch.indices.tolist(), batch.labels, strict=True), key=lambda pair: pair[0]):
        if labels is not None and image in readable:
            groups.setdefault(labels.size, []).append((image, labels))
    for group in groups.values():
        yield torch.from_numpy(np.array([image for image, _ in group], np.int64)), [labels for _, labels in group]


def _above(found: Sequence[Threshold], maps: Tensor, images: Tensor) -> Kept:
    """What exceeds any threshold of ``maps`` (image, unit, row, column) of ``images`` (image,)."""
    lowest = torch.stack([at.values for at in found]).amin(0).to(maps.device)
    return keep(maps, images.to(maps.device), maps.flatten(2).amax(2), lowest)[0]


def _at_least_float32(maps: Tensor) -> Tensor:
    return maps if maps.dtype in (torch.float32, torch.float64) else maps.float()
