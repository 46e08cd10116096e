"""What pictures cost a dissection: python benchmarks/pictures.py DATA [--rounds N].

DATA is the folder that contains broden_camvid. Dissections with and without pictures run in turn in
one process. The medians of seconds are printed and their ratio, and the same for the processors'
seconds of all processes, which other work on the machine disturbs less; then what they take on the
disk.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import nn
from whole_run import FOUR_LAYERS, WORKERS

from nd_plugin import ConceptSet, Dissection, LayerDissection, open_concepts
from nd_plugin.results import pictures_format

DRAWN = "shapes?images=400"


@dataclass
class Seconds:
    """Seconds of a dissection, round by round: of the clock, and of the processors."""

    clock: list[float] = field(default_factory=list)
    processors: list[float] = field(default_factory=list)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure a round."""
        clock = time.perf_counter()
        processors = _processor_seconds()
        yield
        self.clock.append(time.perf_counter() - clock)
        self.processors.append(_processor_seconds() - processors)


def _processor_seconds() -> float:
    """Return the seconds that this process and its ended children have computed."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = [resource.getrusage(kind) for kind in kinds]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _dissect(
    model: nn.Module, layers: Sequence[str], concepts: ConceptSet, *, pictures: bool
) -> list[Dissection]:
    dissections = LayerDissection(model, list(layers)).dissect(
        concepts, workers=WORKERS, pictures=pictures
    )
    return [item for item in dissections if isinstance(item, Dissection)]


def compare(
    model: nn.Module,
    layers: Sequence[str],
    concepts: ConceptSet,
    name: str,
    rounds: int,
) -> None:
    """Print one line; a first round warms up."""
    without = Seconds()
    with_pictures = Seconds()
    size = 0
    for _ in range(1 + rounds):
        with without.measured():
            _dissect(model, layers, concepts, pictures=False)
        with with_pictures.measured():
            dissections = _dissect(model, layers, concepts, pictures=True)
        files = [
            pictures_format.pack(dissection.pictures)
            for dissection in dissections
            if dissection.pictures is not None
        ]
        size = sum(map(len, files))
    ratios = []
    for kind in ("clock", "processors"):
        medians = [
            statistics.median(getattr(seconds, kind)[1:])
            for seconds in (without, with_pictures)
        ]
        ratio = medians[1] / medians[0]
        ratios.append(f"{kind} {medians[0]:.2f} s, {medians[1]:.2f} s: {ratio:.3f}")
    print(f"{name:32} {'   '.join(ratios)}   {size / 2**20:.1f} MiB", flush=True)


def main() -> None:
    """Print all lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    from nd_torch.zoo import efficientnet_lite0

    model = efficientnet_lite0().eval()
    camvid = open_concepts(f"broden:{arguments.data}/broden_camvid")
    drawn = open_concepts(DRAWN)
    for layers, name in ((["_bn1"], "_bn1"), (FOUR_LAYERS, "four layers")):
        compare(model, layers, camvid, f"{name}, CamVid", arguments.rounds)
        compare(model, layers, drawn, f"{name}, shapes", arguments.rounds)


if __name__ == "__main__":
    main()
