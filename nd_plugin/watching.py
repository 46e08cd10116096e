"""What the passes leave of each layer, and the thresholds that follow from it. Parts of a probe data set add up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nd_plugin.candidates import Candidates
from nd_plugin.counting import ConceptCounts, CountedBatch, UnitCounts
from nd_plugin.geometry import Geometry
from nd_plugin.observation import Observation
from nd_plugin.processes import Alone
from nd_plugin.quantile import Bound, Bounds, Flat, select
from nd_plugin.scores import rank
from nd_plugin.surroundings import one_thread
from nd_plugin.types import Skipped

PART = 2**7  # bytes of memory to one value that a selection holds; it takes 8, and 16 for a moment


@dataclass
class Watched:
    """One layer, as far as the images have been seen."""

    observation: Observation
    bound: Bound
    candidates: Candidates
    geometry: Geometry
    waiting: list[tuple[int, Tensor, Tensor, Tensor]] = field(default_factory=list)  # batch, images, maps, peaks

    @classmethod
    def none(cls, maps: Tensor, quantile: float, images: int, mine: int, top: int, geometry: Geometry) -> Watched:
        """Before any of ``images``, ``mine`` in this part; ``maps`` (image, unit, row, column) are an example."""
        cells = maps.shape[2], maps.shape[3]
        enough = rank(quantile, images * cells[0] * cells[1]) + 1
        return cls(
            Observation.none(maps, enough, top),
            Bound.none(maps, quantile, mine, enough),
            Candidates(cells, maps.dtype),
            geometry,
        )

    def see(self, batch: int, maps: Tensor, peaks: Tensor, images: Tensor) -> None:
        """Take in ``maps`` (image, unit, row, column) of ``images`` (image,); ``peaks`` are their maxima.

        The maps themselves wait until `settle`: the longer, the better the bound is that they are looked through with.
        """
        self.observation.see(maps, peaks, images)
        self.bound.see(maps)
        self.waiting.append((batch, images, maps, peaks))

    def settle(self) -> None:
        """Keep, of the maps that wait, what may exceed a threshold."""
        self.bound.settle()
        while self.waiting:
            batch, images, maps, peaks = self.waiting.pop(0)
            self.bound.count(maps)
            self.candidates.see(batch, images, maps, peaks, self.bound.level)

    @property
    def waiting_bytes(self) -> int:
        """Memory taken by the maps that wait."""
        return sum(maps.nbytes for _, _, maps, _ in self.waiting)


@dataclass
class Counted:
    """What the pass over the annotations leaves."""

    areas: ConceptCounts
    units: dict[tuple[str, float], UnitCounts]  # by layer and quantile
    skipped: list[Skipped] = field(default_factory=list)
    batches: int = 0  # done, of the part

    def see(self, batch: CountedBatch) -> None:
        """Count a batch."""
        self.areas += batch.areas
        for key, every in batch.units.items():
            for found in every:
                self.units[key].see(found)
        self.batches += 1

    def __add__(self, other: Counted) -> Counted:
        units = {key: counts + other.units[key] for key, counts in self.units.items()}
        return Counted(self.areas + other.areas, units, self.skipped + other.skipped, self.batches + other.batches)


@dataclass
class State:
    """Where a part of a dissection stands: what it takes to continue it."""

    layers: dict[str, Watched] = field(default_factory=dict)
    readable: set[int] = field(default_factory=set)  # images
    skipped: list[Skipped] = field(default_factory=list)
    batches: int = 0  # done, of the part
    again: dict[str, Candidates] = field(default_factory=dict)  # of layers that are seen a second time
    batches_again: int = 0
    counted: Counted | None = None
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


@dataclass(frozen=True)
class Threshold:
    """T_k of one layer at one quantile."""

    quantile: float
    values: Tensor  # (unit,)
    known: Tensor  # (unit,) bool; else T_k is none of the values that were kept


def thresholds(
    parts: Sequence[Candidates],
    bounds: Bounds,
    whole: Observation,
    quantiles: Sequence[float],
    group: Alone,
    memory: int,
) -> list[Threshold]:
    """T_k at each quantile, from the candidates of this process's parts and those of the other processes.

    ``bounds`` are those that all candidates are above, in all processes; ``whole`` is the observation of everything.
    T_k is known where it is among the values that were kept, where it is the level that they are above (it is not more,
    and by `Bounds.surely` not less), and where a unit is constant.
    """
    found = []
    for quantile in quantiles:
        place = rank(quantile, whole.locations)

        def flat() -> Iterator[Flat]:
            return (values for part in parts for values in part.flat(bounds.level))

        with one_thread():  # a second one would not make it faster, and wait where it has to share a processor
            values, kept = select(flat, bounds.level, whole.highest, place, group.total, memory // PART)
        values = torch.where(whole.varied, values, whole.highest + 0.0)
        found.append(Threshold(quantile, values, kept | (bounds.surely(place) >= bounds.level) | ~whole.varied))
    return found


def sure_level(known: Sequence[Threshold]) -> Tensor:
    """A bound that cannot be wrong: T_k where it is known, nothing where it is not; (unit,)."""
    every = torch.stack([at.known for at in known]).all(0)
    lowest = torch.stack([at.values for at in known]).amin(0)
    return torch.where(every, lowest, torch.full_like(lowest, -torch.inf))


def completed(known: Sequence[Threshold], found: Sequence[Threshold]) -> list[Threshold]:
    """``known``, with what ``found`` adds."""
    return [
        Threshold(one.quantile, torch.where(one.known, one.values, other.values), one.known | other.known)
        for one, other in zip(known, found, strict=True)
    ]
