"""Run over one part of the probe data set: inputs, model, state, and the strategy of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.contracts.map_checks import MapForms
from nd_plugin.contracts.models import Probe
from nd_plugin.engine.batch_counter import CountedBatch
from nd_plugin.engine.chance.permuted import Permuted, UnitBlock
from nd_plugin.engine.report_data.collected import CollectedData
from nd_plugin.engine.state import LayerState, State
from nd_plugin.engine.thresholds import UnitThresholds
from nd_plugin.errors import NonFiniteActivation, RunFailed
from nd_plugin.machine.memory_blocks import BlockPool
from nd_plugin.machine.transfers import to_device
from nd_plugin.method.annotations import Counts
from nd_plugin.method.finite import at_least_float32, first_non_finite
from nd_plugin.probe_data.batches import Batch, Batches, Feed
from nd_plugin.receptive_fields.geometry import Geometry, spread_evenly

Progress = Callable[[str, int, int], None]  # stage, images done, images in all


def silent(stage: str, done: int, total: int) -> None:
    """Show no progress."""


class StateSaver:
    """Saver of the state of a part; this one saves nothing (`resuming.checkpoint` does)."""

    notes: Sequence[str] = ()  # on the state to begin with

    def watch(self, candidates: Candidates, file_number: int) -> None:
        """Take note of new candidates, whose file gets the number ``file_number``."""

    def due(self, images: int) -> bool:
        """Return whether the next `tick` of so many images saves the state."""
        return False

    def tick(self, state: State, images: int) -> None:
        """Take note that so many more images are done; save the state if it is due."""

    def save(self, state: State) -> None:
        """Save the state now."""


AnyBatch = TypeVar("AnyBatch", Batch, CountedBatch)

# by layer; one item for each quantile
ThresholdsByLayer = Mapping[str, Sequence[UnitThresholds]]


class Strategy(Protocol):
    """How maps become statistics, candidates and counts: what suits a CPU, or an accelerator.

    All strategies give the same integers, and the same thresholds to the last bit.
    """

    @property
    def device(self) -> torch.device:
        """Device on which thresholds are selected."""
        ...

    @property
    def selection_bytes(self) -> int:
        """Bytes of the device for the values among which thresholds are selected."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Notes to be shown with results, such as a fallback that was used."""
        ...

    def run_model(
        self, part_run: PartRun, pixels: Tensor, layers: Sequence[str]
    ) -> dict[str, Tensor]:
        """Run a batch through the model by `PartRun.run_model`, in pieces where it must be."""
        ...

    def update(
        self, part_run: PartRun, batch: Batch, activations: Mapping[str, Tensor]
    ) -> None:
        """Add the maps (image, unit, row, column) of a batch, by layer, to the part's state.

        Raises NonFiniteActivation, at the latest in `finish`.
        """
        ...

    def finish(self, part_run: PartRun) -> None:
        """Move all pending maps to the candidates. Raises NonFiniteActivation, NotSaved."""
        ...

    def store(
        self,
        part_run: PartRun,
        batch: Batch,
        activations: Mapping[str, Tensor],
        bounds: Mapping[str, Tensor],
        memory: int,
    ) -> None:
        """Store cells above ``bounds`` (unit,), by layer, in the second pass.

        All candidates of the part, of both passes, are kept within ``memory`` bytes.
        """
        ...

    def count(
        self,
        part_run: PartRun,
        thresholds: ThresholdsByLayer,
        layers_to_rerun: Sequence[str],
        start: int,
    ) -> Iterator[CountedBatch]:
        """Count the part's batches, without the first ``start``.

        ``layers_to_rerun`` have no stored maps: they go through the model again.
        """
        ...

    @property
    def block_bytes(self) -> int:
        """Bytes for the intersections of a block of units with permuted annotations."""
        ...

    def count_permuted(
        self,
        part_runs: Sequence[PartRun],
        permuted: Permuted,
        blocks: Sequence[UnitBlock],
    ) -> Iterator[Counts]:
        """Yield |M_k ∩ L_c| (permutation, unit, concept) of each block.

        They are sums over the images of these parts of one process, whose maps are all stored.
        """
        ...


@dataclass
class PartRun:
    """Run over one part of the probe data set: inputs, model and state, shared by all passes.

    Finished shards are merged without `first_pass_batches`, and without `probe` if none is needed.
    """

    feed: Feed
    layers: tuple[str, ...]
    device: torch.device
    state: State
    strategy: Strategy
    probe: Probe | None = None
    progress: Progress = silent
    saver: StateSaver = field(default_factory=StateSaver)
    first_pass_batches: Batches | None = None  # those that `state` does not hold
    pool: BlockPool = field(default_factory=BlockPool)  # memory of all candidates
    report_data: CollectedData = field(default_factory=CollectedData)
    forms: MapForms = field(init=False)

    def __post_init__(self) -> None:
        self.forms = self.state.map_forms()

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
        Raises RunFailed and ModelFailed as `Batch.forward_pass` does.
        """
        if not len(batch.indices):
            return {}
        with batch.forward_pass(self.device, self.feed.concepts):
            return self.strategy.run_model(self, batch.pixels, layers)

    def run_model(self, pixels: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Run ``pixels`` (image, channel, row, column) through the model; see `activations`."""
        assert self.probe is not None
        pixels = to_device(pixels, self.device)
        activations = self.probe(self.feed.preprocess.normalise(pixels))
        maps_of = self.forms.check(activations, layers, len(pixels))
        return {layer: at_least_float32(maps) for layer, maps in maps_of.items()}

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
        return RunFailed(
            f"image {name} was read in the first forward pass, but not in the second: "
            f"{batch.reason_of(name)}; restore the image and run again"
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

    def layer_state(self, layer: str, maps: Tensor) -> LayerState:
        """Return the state of ``layer``, an empty one at first.

        ``maps`` (image, unit, row, column) are an example.
        """
        if layer not in self.state.layers:
            self.state.layers[layer] = self._empty_layer(layer, maps)
        return self.state.layers[layer]

    def _empty_layer(self, layer: str, maps: Tensor) -> LayerState:
        feed = self.feed
        layer_state = LayerState.empty(
            maps,
            # which has the lowest threshold
            quantile=max(feed.settings.all_quantiles),
            images=feed.images,
            images_of_part=feed.count_images(feed.batch_numbers()),
            top=feed.settings.top_images,
            geometry=self._geometry(layer, maps),
        )
        layer_state.candidates.pool = self.pool
        self.saver.watch(layer_state.candidates, len(self.state.layers))
        return layer_state

    def _geometry(self, layer: str, maps: Tensor) -> Geometry:
        if self.feed.settings.anchor == "rf":
            assert self.probe is not None
            return self.probe.geometries[layer]
        cells = (maps.shape[2], maps.shape[3])
        return spread_evenly(cells, self.feed.preprocess.size)

    def not_finite(
        self, layer: str, maps: Tensor, peaks: Tensor, images: Tensor
    ) -> NonFiniteActivation:
        """Build the error that names the first activation of the maps that stops the run.

        ``maps`` (image, unit, row, column) of ``images`` (image,) have the maxima ``peaks``.
        """
        image, unit, row, column = first_non_finite(maps, peaks)
        image_name = self.feed.concepts.name(int(images[image]))
        return NonFiniteActivation(
            f"layer {layer!r}, unit {unit}, image {image_name}: the activation at row {row}, "
            f"column {column} is {float(maps[image, unit, row, column])}; look at the weights, "
            "the preprocessing (mean, std, scale), or an autocast that overflows"
        )


def report_permuted(part_run: PartRun, share: float) -> None:
    """Show how much of the counting of permuted annotations is done, from 0 to 1.

    State is saved where a signal asks for it; that counting begins anew when the run is resumed.
    """
    images = part_run.feed.images
    part_run.progress("permutations", int(share * images), images)
    part_run.saver.tick(part_run.state, 0)
