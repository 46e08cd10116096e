"""The passes of one part of a dissection: over the images, through the model, and over the annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from nd_plugin.contracts.models import Probe
from nd_plugin.engine.batch_counter import CountedBatch, Counter
from nd_plugin.engine.callbacks import Progress, StateSaver, silent
from nd_plugin.engine.candidates import BlockPool, Candidates
from nd_plugin.engine.state import CountState, LayerState, State
from nd_plugin.engine.thresholds import UnitThresholds
from nd_plugin.errors import NonFiniteActivation, RunFailed
from nd_plugin.machine.allocator import trim_memory
from nd_plugin.machine.forked_workers import can_fork, map_in_order
from nd_plugin.machine.threads import one_thread, parallel_jobs
from nd_plugin.method.counting import ConceptCounts, UnitCounts
from nd_plugin.probe_data.batches import Batch, Batches, Feed
from nd_plugin.receptive_fields.geometry import spread_evenly

WORTH = 1.5  # times as many batches: then the bound is so much better that maps are worth looking through again


WAITING = 4  # a part of so many of the memory is for maps that wait


MUCH = 0.75  # of the memory: what may be left, so that it does not have to be done for every batch


AnyBatch = TypeVar("AnyBatch", Batch, CountedBatch)


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
    keeper: StateSaver = field(default_factory=StateSaver)
    first: Batches | None = (
        None  # of the images, begun already: for a state that stands at the beginning
    )
    room: BlockPool = field(
        default_factory=BlockPool
    )  # for the candidates of all layers

    def close(self) -> None:
        """Let go of files."""
        self.state.close()

    def observe(self) -> None:
        """The pass over the images, from where the state stands."""
        state = self.state
        for batch in self._batches("activations", self._images(), state.batches):
            state.skipped += batch.skipped
            state.readable.update(batch.indices.tolist())
            activations = self._maps(batch, self.layers)
            with one_thread():  # what is short in one is long in two where the second shares its processor
                for layer, maps in activations.items():
                    self._see(layer, maps, batch)
            waiting = sum(watched.waiting_bytes for watched in state.layers.values())
            if (
                waiting > self.feed.memory // WAITING
                or self.device.type != "cpu"
                or self.keeper.due(batch.seen)
            ):
                self._settle()
            state.batches += 1
            self.keeper.tick(state, batch.seen)
        self._settle()

    def _images(self) -> Batches:
        """The batches of the images, from where the state stands."""
        if self.first is not None and self.state.batches == 0:
            return self.first
        if self.first is not None:
            self.first.close()
        return self.feed.images_from(self.state.batches)

    def _settle(self) -> None:
        """Keep what may matter of the maps that wait, within the memory."""
        layers = self.state.layers.values()
        with parallel_jobs() as do:
            do(watched.settle for watched in layers)
        left = self.feed.memory - self.feed.memory // WAITING
        keep_within_memory({one.candidates: one.bound.level for one in layers}, left)

    def _see(self, layer: str, maps: Tensor, batch: Batch) -> None:
        """NaN and infinity show in the maxima; minus infinity is a value like others, but where a map has no other."""
        peaks = maps.flatten(2).amax(2)
        if not bool(peaks.isfinite().all()):
            raise self._not_finite(layer, maps, peaks, batch.indices)
        watched = self.state.layers.get(layer) or self._first(layer, maps)
        watched.update(batch.number, maps, peaks, batch.indices.to(maps.device))

    def _first(self, layer: str, maps: Tensor) -> LayerState:
        settings, size = self.feed.settings, self.feed.preprocess.size
        anchored = settings.anchor == "rf"
        cells = maps.shape[2], maps.shape[3]
        geometry = (
            self._model([layer]).geometries[layer]
            if anchored
            else spread_evenly(cells, size)
        )
        sizes = self.feed.images, self.feed.seen(self.feed.numbers())
        watched = LayerState.empty(
            maps, max(self.quantiles), *sizes, settings.top_images, geometry
        )
        watched.candidates.room = self.room
        self.keeper.watch(watched.candidates, len(self.state.layers))
        self.state.layers[layer] = watched
        return watched

    def see_again(self, wanted: Mapping[str, Tensor]) -> None:
        """A second pass over the images for some layers, keeping what is above a level (unit,) that is given."""
        self._model(list(wanted))
        state, mine = (
            self.state,
            [layer for layer in wanted if layer in self.state.layers],
        )
        for layer in mine:
            if layer not in state.again:
                before = state.layers[layer].candidates
                state.again[layer] = Candidates(before.cells, before.dtype)
                self.keeper.watch(
                    state.again[layer], len(state.layers) + len(state.again) - 1
                )
            state.again[layer].room = self.room
        start = state.batches_again
        again = self.feed.batches(annotated=False, start=start)
        for batch in self._batches("activations, again", again, start):
            for layer, maps in self._maps(batch, mine).items():
                images, peaks = batch.indices.to(maps.device), maps.flatten(2).amax(2)
                with one_thread():
                    state.again[layer].update(
                        batch.number, images, maps, peaks, wanted[layer].to(maps.device)
                    )
            keep_within_memory(
                {state.again[layer]: wanted[layer] for layer in mine}, self.feed.memory
            )
            state.batches_again += 1
            self.keeper.tick(state, batch.seen)

    def count(self, found: Mapping[str, Sequence[UnitThresholds]]) -> CountState:
        """The pass over the annotations, from where the state stands: masks against concepts."""
        state = self.state
        counted = state.counted = state.counted or self._nothing_counted(found)
        again = [layer for layer in state.layers if not state.candidates(layer).whole]
        if again:
            self._model(again)
        counter = Counter(
            self.feed,
            {layer: state.candidates(layer) for layer in state.layers},
            found,
            {layer: watched.geometry for layer, watched in state.layers.items()},
            state.readable,
            self.device,
        )
        unread = {item.image for item in state.skipped if item.part == "image"}
        for batch in self._batches(
            "masks", self._counted(counter, again, counted.batches), counted.batches
        ):
            counted.update(batch)
            counted.skipped += [
                s
                for s in batch.skipped
                if s.part == "annotation" and s.image not in unread
            ]
            self.keeper.tick(state, batch.seen)
        return counted

    def _counted(
        self, counter: Counter, again: Sequence[str], start: int
    ) -> Iterator[CountedBatch]:
        """The counts of all batches but ``start``, where the layers ``again`` go through the model a second time."""
        feed = self.feed
        if self.device.type == "cpu" and not again and (can_fork() or not feed.workers):
            return map_in_order(
                counter.decode_and_count, feed.numbers(start), feed.workers
            )
        batches = feed.batches(pictures=bool(again), annotated=True, start=start)
        return (
            counter.count(batch, self._maps(batch, again) if again else {})
            for batch in batches
        )

    def _nothing_counted(
        self, found: Mapping[str, Sequence[UnitThresholds]]
    ) -> CountState:
        sizes = len(self.feed.concepts.concepts), len(self.feed.concepts.categories)
        units = {
            (layer, at.quantile): UnitCounts.empty(len(at.values), *sizes)
            for layer in self.layers
            for at in found[layer]
        }
        return CountState(ConceptCounts.empty(*sizes), units)

    def _batches(
        self, stage: str, batches: Iterator[AnyBatch], start: int = 0
    ) -> Iterator[AnyBatch]:
        """The part's ``batches``, of which ``start`` are done already, while progress is shown."""
        numbers = self.feed.numbers()
        total, done = self.feed.seen(numbers), self.feed.seen(numbers[:start])
        self.progress(stage, done, total)
        for batch in batches:
            yield batch
            done += batch.seen
            trim_memory()
            self.progress(stage, done, total)

    def _maps(self, batch: Batch, layers: Sequence[str]) -> dict[str, Tensor]:
        if not len(batch.indices):
            return {}
        images = self.feed.preprocess.normalise(
            batch.pixels.to(self.device, non_blocking=True)
        )
        found = self._model(layers)(images)
        return {layer: _at_least_float32(found[layer]) for layer in layers}

    def _model(self, layers: Sequence[str]) -> Probe:
        if self.probe is None:
            raise RunFailed(
                f"layer {layers[0]!r} has to be seen again (its maps found no room on a disk, or its thresholds are "
                "not among what was kept): merge with --model MODEL, the one that the shards were made with"
            )
        return self.probe

    def _not_finite(
        self, layer: str, maps: Tensor, peaks: Tensor, images: Tensor
    ) -> NonFiniteActivation:
        image, unit = (int(place) for place in (~peaks.isfinite()).nonzero()[0])
        map_ = maps[image, unit]
        row, column = (
            int(place)
            for place in (map_.isnan() | (map_ == peaks[image, unit])).nonzero()[0]
        )
        name = self.feed.concepts.name(int(images[image]))
        return NonFiniteActivation(
            f"layer {layer!r}, unit {unit}, image {name}: the activation at row {row}, column {column} is "
            f"{float(map_[row, column])}; look at the weights, the preprocessing (mean, std, scale), or an autocast "
            "that overflows"
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


def _at_least_float32(maps: Tensor) -> Tensor:
    return maps if maps.dtype in (torch.float32, torch.float64) else maps.float()
