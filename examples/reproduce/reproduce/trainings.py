"""Trainings of the experiment: what is trained, from what, and how its files are called."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reproduce.networks import Architecture
from reproduce.scales import Scale


@dataclass(frozen=True)
class Training:
    """One training: a task, an architecture, a seed, and what it starts from."""

    variant: str
    task: str
    architecture: Architecture
    seed: int
    # variant of the network that it is tuned from; "": random weights
    source: str = ""

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.variant}-{self.seed}"

    @property
    def source_name(self) -> str:
        """Name of the folder of the network that it is tuned from."""
        return f"{self.source}-{self.seed}"


# what is trained, and what differs from the baseline
VARIANTS = {
    "scenes": "twelve scenes; the baseline: dropout, no batch norm",
    "scenes-bn": "with batch norm",
    "scenes-no-dropout": "without dropout",
    "scenes-bn-no-dropout": "with batch norm, without dropout",
    "scenes-narrow": "half as many units",
    "scenes-grey": "sees no colour",
    "objects": "presence of objects",
    "captions": "captions",
    "colour": "colourisation: sees no colour",
    "rotation": "rotation prediction",
    "scenes-to-objects": "objects, tuned from scenes",
    "objects-to-scenes": "scenes, tuned from objects",
}
TUNED = {
    "scenes-to-objects": ("scenes", "objects"),
    "objects-to-scenes": ("objects", "scenes"),
}
# variants to compare, by the names that figures show
CONDITIONS = {
    "baseline": "scenes",
    "batch norm": "scenes-bn",
    "no dropout": "scenes-no-dropout",
    "batch norm, no dropout": "scenes-bn-no-dropout",
    "half the units": "scenes-narrow",
}
SUPERVISIONS = {
    "scenes": "scenes",
    "objects": "objects",
    "captions": "captions",
    "rotation": "rotation",
    "colourisation (grey input)": "colour",
    "scenes from grey input": "scenes-grey",
}


def trainings(scale: Scale) -> list[Training]:
    """Return all trainings, those of the first seed first, and sources before the tuned."""
    return [
        _training(variant, seed, scale)
        for seed in range(scale.seeds)
        for variant in VARIANTS
    ]


def _training(variant: str, seed: int, scale: Scale) -> Training:
    plain = Architecture(scale.units)
    architectures = {
        "scenes-bn": replace(plain, batch_norm=True),
        "scenes-no-dropout": replace(plain, dropout=False),
        "scenes-bn-no-dropout": replace(plain, batch_norm=True, dropout=False),
        "scenes-narrow": replace(plain, units=scale.fewer_units),
        "scenes-grey": replace(plain, grey=True),
        "colour": replace(plain, grey=True),
    }
    source, task = TUNED.get(variant, ("", variant.partition("-")[0]))
    architecture = architectures.get(variant, plain)
    return Training(variant, task, architecture, seed, source)
