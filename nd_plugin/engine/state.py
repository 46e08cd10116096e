"""State of a part of a dissection: all that it takes to continue it. Parts of a probe data set add up."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from nd_plugin.contracts.provenance import Skipped
from nd_plugin.engine.batch_counter import CountedBatch
from nd_plugin.engine.candidates import Candidates
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.method.counting import ConceptCounts, UnitCounts
from nd_plugin.method.lower_bound import LowerBound
from nd_plugin.method.ranks import rank
from nd_plugin.receptive_fields.geometry import Geometry


@dataclass
class LayerState:
    """One layer, as far as the images have been seen."""

    observation: UnitStatistics
    bound: LowerBound
    candidates: Candidates
    geometry: Geometry
    waiting: list[tuple[int, Tensor, Tensor, Tensor]] = field(
        default_factory=list
    )  # batch, images, maps, peaks

    @classmethod
    def empty(
        cls, maps: Tensor, quantile: float, images: int, mine: int, top: int, geometry: Geometry
    ) -> LayerState:
        """Before any of ``images``, ``mine`` in this part; ``maps`` (image, unit, row, column) are an example."""
        cells = maps.shape[2], maps.shape[3]
        enough = rank(quantile, images * cells[0] * cells[1]) + 1
        return cls(
            UnitStatistics.empty(maps, enough, top),
            LowerBound.empty(maps, quantile, mine, enough),
            Candidates(cells, maps.dtype),
            geometry,
        )

    def update(self, batch: int, maps: Tensor, peaks: Tensor, images: Tensor) -> None:
        """Take in ``maps`` (image, unit, row, column) of ``images`` (image,); ``peaks`` are their maxima.

        The maps themselves wait until `settle`: the longer, the better the bound is that they are looked through with.
        """
        self.observation.update(maps, peaks, images)
        self.bound.update(maps)
        self.waiting.append((batch, images, maps, peaks))

    def settle(self) -> None:
        """Keep, of the maps that wait, what may exceed a threshold."""
        self.bound.settle()
        while self.waiting:
            batch, images, maps, peaks = self.waiting.pop(0)
            self.bound.count(maps)
            self.candidates.update(batch, images, maps, peaks, self.bound.level)

    @property
    def waiting_bytes(self) -> int:
        """Memory taken by the maps that wait."""
        return sum(maps.nbytes for _, _, maps, _ in self.waiting)


@dataclass
class CountState:
    """What the pass over the annotations leaves."""

    areas: ConceptCounts
    units: dict[tuple[str, float], UnitCounts]  # by layer and quantile
    skipped: list[Skipped] = field(default_factory=list)
    batches: int = 0  # done, of the part

    def update(self, batch: CountedBatch) -> None:
        """Count a batch."""
        self.areas += batch.areas
        for key, every in batch.units.items():
            for found in every:
                self.units[key].update(found)
        self.batches += 1

    def __add__(self, other: CountState) -> CountState:
        units = {key: counts + other.units[key] for key, counts in self.units.items()}
        return CountState(
            self.areas + other.areas,
            units,
            self.skipped + other.skipped,
            self.batches + other.batches,
        )


@dataclass
class State:
    """Where a part of a dissection stands: what it takes to continue it."""

    layers: dict[str, LayerState] = field(default_factory=dict)
    readable: set[int] = field(default_factory=set)  # images
    skipped: list[Skipped] = field(default_factory=list)
    batches: int = 0  # done, of the part
    again: dict[str, Candidates] = field(
        default_factory=dict
    )  # of layers that are seen a second time
    batches_again: int = 0
    counted: CountState | None = None
    seconds: float = 0.0

    def candidates(self, layer: str) -> Candidates:
        """The layer's candidates, those of its second pass where there is one."""
        return self.again.get(layer) or self.layers[layer].candidates

    def close(self) -> None:
        """Let go of files."""
        for candidates in self.files():
            candidates.close()

    def files(self) -> list[Candidates]:
        """All that may have a file."""
        return [*(watched.candidates for watched in self.layers.values()), *self.again.values()]
