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
from nd_plugin.quantile import Bound, Flat, rank, select
from nd_plugin.surroundings import one_thread
from nd_plugin.types import Skipped


@dataclass
class Watched:
    """One layer, as far as the images have been seen."""

    observation: Observation
    bound: Bound
    candidates: Candidates
    geometry: Geometry
    waiting: list[tuple[int, Tensor, Tensor, Tensor]] = field(default_factory=list)  # batch, images, maps, peaks

    @classmethod
    def none(cls, maps: Tensor, quantile: float, images: int, top: int, geometry: Geometry) -> Watched:
        """Before any of ``images`` images; ``maps`` (image, unit, row, column) are an example."""
        cells = maps.shape[2], maps.shape[3]
        return cls(
            Observation.none(maps, rank(quantile, images * cells[0] * cells[1]) + 1, top),
            Bound.none(maps.shape[1], quantile, maps.dtype, maps.device),
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

    def settle(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Keep, of the maps that wait, what may exceed a threshold.

        Gives the images (image,) and maps of each batch in which a map that may has minus infinity somewhere.
        """
        self.bound.settle()
        while self.waiting:
            batch, images, maps, peaks = self.waiting.pop(0)
            if bool(self.candidates.see(batch, images, maps, peaks, self.bound.level).isneginf()):
                yield images, maps

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
    counted: Counted | None = None
    seconds: float = 0.0

    def close(self) -> None:
        """Let go of files."""
        for watched in self.layers.values():
            watched.candidates.close()


@dataclass(frozen=True)
class Threshold:
    """T_k of one layer at one quantile."""

    quantile: float
    values: Tensor  # (unit,)
    known: Tensor  # (unit,) bool; else T_k is none of the values that were kept


def thresholds(
    parts: Sequence[Candidates], above: Tensor, whole: Observation, quantiles: Sequence[float], group: Alone
) -> list[Threshold]:
    """T_k at each quantile, from the candidates of this process's parts and those of the other processes.

    ``above`` (unit,) is what all candidates are above, in all processes; ``whole`` the observation of everything.
    Beside values that were kept, T_k is known for units that are constant, and for those that are 0 almost everywhere.
    """
    found = []
    for quantile in quantiles:
        place = rank(quantile, whole.locations)

        def flat() -> Iterator[Flat]:
            return (values for part in parts for values in part.flat(above))

        with one_thread():  # a second one would not make it faster, and wait where it has to share a processor
            values, known = select(flat, above, whole.highest, place, group.total)
        zero = (whole.nonzero <= min(place, whole.locations - place - 1)) & (above <= 0)
        values = torch.where(zero & ~known, torch.zeros_like(values), values)
        values = torch.where(whole.varied, values, whole.highest + 0.0)
        found.append(Threshold(quantile, values, known | zero | ~whole.varied))
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
