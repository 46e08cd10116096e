"""State of a part of a dissection: whatever it takes to continue it. States of parts add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import chain
from operator import add

from torch import Tensor

from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.candidates.sparse_maps import PendingMaps
from nd_plugin.contracts.map_checks import MapForms
from nd_plugin.contracts.provenance import Skipped
from nd_plugin.engine.batch_counter import CountedBatch
from nd_plugin.engine.report_data.activation_sample import ActivationSample
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method.counting import BatchCounts, ConceptCounts, UnitCounts
from nd_plugin.method.lower_bound import LowerBound
from nd_plugin.method.ranks import rank
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.receptive_fields.geometry import Geometry
from nd_plugin.significance.folds import FoldSums
from nd_plugin.significance.image_concepts import ImageConcepts


@dataclass
class LayerState:
    """State of one layer after some of the images.

    The bounds rise with every image. So maps are held as they are for a while, and searched for
    candidates with the bounds that hold by then: fewer cells exceed them.
    """

    statistics: UnitStatistics
    bound: LowerBound
    candidates: Candidates
    geometry: Geometry
    sample: ActivationSample
    pending: list[PendingMaps] = field(default_factory=list)

    @classmethod
    def empty(
        cls,
        maps: Tensor,
        quantile: float,
        images: int,
        images_of_part: int,
        top: int,
        geometry: Geometry,
    ) -> LayerState:
        """Return the state before any image.

        The probe data set has ``images`` images, its part ``images_of_part``; ``maps`` (image,
        unit, row, column) give the sizes, the dtype and the device.
        """
        rows, columns = maps.shape[2], maps.shape[3]
        enough = rank(quantile, images * rows * columns) + 1
        return cls(
            UnitStatistics.empty(maps, enough, top),
            LowerBound.empty(maps, quantile, images_of_part, enough),
            Candidates((rows, columns), maps.dtype),
            geometry,
            ActivationSample.empty(maps.shape[1], images),
        )

    def update(
        self, batch: int, maps: Tensor, peaks: Tensor, images: Tensor
    ) -> None:
        """Add ``maps`` (image, unit, row, column) of ``images`` (image,) with maxima ``peaks``.

        The maps stay pending until `sift_pending`.
        """
        self.statistics.update(maps, peaks, images)
        self.bound.update(maps)
        self.pending.append(PendingMaps(batch, images, maps, peaks))

    def sift_pending(self) -> None:
        """Move what may exceed a threshold from the pending maps to the candidates."""
        self.bound.update_level()
        while self.pending:
            batch, images, maps, peaks = self.pending.pop(0)
            self.bound.count(maps)
            self.candidates.update(batch, images, maps, peaks, self.bound.level)

    @property
    def pending_bytes(self) -> int:
        """Bytes of memory of the pending maps."""
        return sum(pending.maps.nbytes for pending in self.pending)


@dataclass
class CountState:
    """Counts of masks and concepts after some of the annotations."""

    areas: ConceptCounts
    # by layer and quantile; with folds, not before `total`
    units: dict[tuple[str, float], UnitCounts]
    skipped: list[Skipped] = field(default_factory=list)  # annotations
    batches: int = 0  # done, of the part
    remarks: Remarks = field(default_factory=Remarks)  # on annotations
    # by layer and quantile; nothing without folds
    folds: dict[tuple[str, float], FoldSums] = field(default_factory=dict)
    # for folds and permutations
    image_concepts: list[ImageConcepts] = field(default_factory=list)

    def update(self, batch: CountedBatch) -> None:
        """Add the counts of a batch."""
        self.areas += batch.areas
        for key, batch_counts in batch.units.items():
            for counts in batch_counts:
                self._add(key, counts)
        self.batches += batch.batches
        self.remarks += batch.remarks
        self.image_concepts += batch.image_concepts

    def _add(self, key: tuple[str, float], counts: BatchCounts) -> None:
        """Add counts of a layer at a quantile."""
        if counts.rows is None:
            self.units[key].update(counts)
        else:
            self.folds[key].update(counts)

    def total(self, group: SingleProcess) -> CountState:
        """Return the sum of the counts of all processes, which all have to call this.

        With folds, the counts of units are the sums of these.
        """
        folds = {key: sums.total(group) for key, sums in self.folds.items()}
        units = {key: _total(counts, group) for key, counts in self.units.items()}
        of_folds = {key: sums.over_folds() for key, sums in folds.items()}
        skipped = chain.from_iterable(group.gather(self.skipped))
        image_concepts = group.gather(ImageConcepts.joined(self.image_concepts))
        return CountState(
            reduce(add, group.gather(self.areas)),
            units | of_folds,
            list(skipped),
            self.batches,
            Remarks.total(group.gather(self.remarks)),
            folds,
            [ImageConcepts.joined(image_concepts)],
        )

    def __add__(self, other: CountState) -> CountState:
        units = {
            key: counts + other.units[key] for key, counts in self.units.items()
        }
        return CountState(
            self.areas + other.areas,
            units,
            self.skipped + other.skipped,
            self.batches + other.batches,
            self.remarks + other.remarks,
            {key: sums + other.folds[key] for key, sums in self.folds.items()},
            self.image_concepts + other.image_concepts,
        )


def _total(counts: UnitCounts, group: SingleProcess) -> UnitCounts:
    return UnitCounts(
        group.total(counts.intersection), group.total(counts.unit_area)
    )


@dataclass
class State:
    """Progress of a part of a dissection through its passes, and the results so far."""

    layers: dict[str, LayerState] = field(default_factory=dict)  # of the first pass
    readable: set[int] = field(default_factory=set)  # images read in the first pass
    skipped: list[Skipped] = field(default_factory=list)  # images
    remarks: Remarks = field(default_factory=Remarks)  # on images
    batches: int = 0  # of the first pass, done
    # candidates of layers that need a second forward pass
    second_pass: dict[str, Candidates] = field(default_factory=dict)
    second_pass_batches: int = 0  # of the second pass, done
    counted: CountState | None = None  # None: before the pass over the annotations
    seconds: float = 0.0

    @property
    def has_pending_maps(self) -> bool:
        """Whether maps wait to be sifted, which a checkpoint would lose."""
        return any(layer.pending for layer in self.layers.values())

    def map_forms(self) -> MapForms:
        """Return the forms of the maps of all layers so far."""
        forms = MapForms()
        for layer, layer_state in self.layers.items():
            statistics = layer_state.statistics
            forms.expect(layer, len(statistics.highest), statistics.cells)
        return forms

    def candidates(self, layer: str) -> Candidates:
        """Return the layer's candidates: those of its second pass where it has one."""
        return self.second_pass.get(layer) or self.layers[layer].candidates

    def first_pass_bounds(self) -> dict[Candidates, Tensor]:
        """Return the bounds (unit,) of each layer's candidates of the first pass, as of now."""
        layer_states = self.layers.values()
        return {layer.candidates: layer.bound.level for layer in layer_states}

    def all_bounds(
        self, second_pass_bounds: Mapping[str, Tensor]
    ) -> dict[Candidates, Tensor]:
        """Return the bounds of all candidates; ``second_pass_bounds`` (unit,) are by layer."""
        bound_of = self.first_pass_bounds()
        for layer, candidates in self.second_pass.items():
            bound_of[candidates] = second_pass_bounds[layer]
        return bound_of

    def offload(self) -> None:
        """Move all candidates from a device to memory."""
        for candidates in self.files():
            candidates.offload(candidates.device_nbytes)

    def close(self) -> None:
        """Close all files."""
        for candidates in self.files():
            candidates.close()

    def files(self) -> list[Candidates]:
        """Return all candidates, each of which may have an open file."""
        first_pass = [layer.candidates for layer in self.layers.values()]
        return [*first_pass, *self.second_pass.values()]
