"""The engine alone, at Broden's scale: python benchmarks/stream.py [--images 63305] [--units 256] …

Spatially smooth synthetic activations stand in for a network; generating them is not timed. The
engine's work on them is compared with `amax` over the same batches, that is with reading each
activation once. The first of the two to touch a batch finds it outside the processor's cache, so
they take turns at being first. Both run in one thread, as the engine does here: beside processes
that decode images, a second thread would be waited for.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from stopwatch import Stopwatch
from torch import Tensor
from torch.nn import functional as F

from nd_plugin.candidates.budgets import keep_within_memory, pending_budget
from nd_plugin.candidates.layer_candidates import StoredMaps
from nd_plugin.candidates.sparse_maps import peaks_of
from nd_plugin.engine.state import LayerState
from nd_plugin.engine.thresholds import thresholds
from nd_plugin.machine.allocator import retain_memory, trim_memory
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.machine.threads import one_thread
from nd_plugin.method.lower_bound import CombinedBounds
from nd_plugin.method.ranks import rank
from nd_plugin.receptive_fields.geometry import spread_evenly

GIB = 2**30
INPUT_SIZE = (227, 227)
TOP_IMAGES = 50
POOL_SIZE = 6  # batches of noise that activations are made from


def dense(maps: Tensor) -> Tensor:
    """Return maps as after BatchNorm."""
    return maps


def saturated(maps: Tensor) -> Tensor:
    """Change maps to those after ReLU6."""
    return maps.mul_(4).clamp_(0, 6)


def constant(maps: Tensor) -> Tensor:
    """Make all activations equal."""
    return maps.fill_(-0.5)


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": Tensor.relu_,  # sparse to a different degree in each unit
    "dense": dense,
    "saturated": saturated,
    "hardswish": F.hardswish,  # many zeros, and values below 0
    "constant": constant,
}


@dataclass(frozen=True)
class Workload:
    """Activations of one layer, and the engine's settings."""

    images: int
    units: int
    cells: int  # rows, and columns, of a map
    batch_size: int
    kind: str  # of activations: a key of KINDS
    memory: int  # bytes for maps
    quantile: float
    checked_units: (
        int  # whose thresholds are compared with those of all values, sorted
    )

    @property
    def cells_per_map(self) -> int:
        """Number of activations in a map."""
        return self.cells**2

    @property
    def nbytes(self) -> int:
        """Size of all activations."""
        return self.images * self.units * self.cells_per_map * 4


def generate(workload: Workload) -> Iterator[Tensor]:
    """Iterate over batches of smooth maps (image, unit, row, column)."""
    generator = torch.Generator().manual_seed(0)
    noise = [smooth_noise(workload, generator) for _ in range(POOL_SIZE)]
    shift = torch.linspace(-2, 0.5, workload.units)[:, None, None]
    transform = KINDS[workload.kind]
    starts = range(0, workload.images, workload.batch_size)
    for number, start in enumerate(starts):
        count = min(workload.batch_size, workload.images - start)
        gain = torch.empty(count, workload.units, 1, 1)
        gain.exponential_(generator=generator).add_(0.5)
        rotation = int(torch.randint(workload.units, (), generator=generator))
        maps = noise[number % POOL_SIZE].roll(rotation, dims=1)[:count]
        yield transform(maps.mul(gain).add_(shift))


def smooth_noise(workload: Workload, generator: torch.Generator) -> Tensor:
    """Return a batch of noise, interpolated from every third cell."""
    coarse_side = workload.cells // 3 + 1
    shape = (workload.batch_size, workload.units, coarse_side, coarse_side)
    coarse = torch.randn(shape, generator=generator)
    size = (workload.cells, workload.cells)
    return F.interpolate(coarse, size=size, mode="bicubic", align_corners=False)


class Engine:
    """The engine's first pass over one layer, timed."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.stopwatch = Stopwatch()
        self.layer: LayerState | None = None

    def update(self, number: int, maps: Tensor) -> None:
        """Take in a batch, as the engine does."""
        workload = self.workload
        with self.stopwatch:
            if self.layer is None:
                self.layer = self._start(maps)
            first_image = number * workload.batch_size
            images = torch.arange(first_image, first_image + len(maps))
            self.layer.update(number, maps, peaks_of(maps), images)
            if self.layer.pending_bytes > pending_budget(workload.memory):
                self._enforce_budget(self.layer)
            trim_memory()

    def finish(self) -> LayerState:
        """Complete the pass, and return the layer's state."""
        assert self.layer is not None
        with self.stopwatch:
            self._enforce_budget(self.layer)
        return self.layer

    def _start(self, maps: Tensor) -> LayerState:
        workload = self.workload
        images = workload.images
        geometry = spread_evenly((workload.cells, workload.cells), INPUT_SIZE)
        return LayerState.empty(
            maps,
            quantile=workload.quantile,
            images=images,
            images_of_part=images,
            top=TOP_IMAGES,
            geometry=geometry,
        )

    def _enforce_budget(self, layer: LayerState) -> None:
        layer.sift_pending()
        memory = self.workload.memory
        budget = memory - pending_budget(memory)
        keep_within_memory({layer.candidates: layer.bound.level}, budget)


@dataclass(frozen=True)
class Measurement:
    """Results of one run; times in seconds."""

    engine: float
    amax: float
    selection: float  # of the thresholds
    stored_maps: int
    stored_bytes: int
    disk_bytes: int
    all_known: bool  # whether every threshold was found in one pass
    all_exact: bool  # whether those of the checked units are exact
    memory_before: float  # GiB, peak before the first batch


def measure(workload: Workload) -> Measurement:
    """Run the engine and `amax` over the same batches."""
    engine = Engine(workload)
    amax = Stopwatch()
    values = torch.empty(
        workload.checked_units, workload.images * workload.cells_per_map
    )
    values.zero_()  # so that its memory counts as taken before
    memory_before = peak_memory()
    selection = Stopwatch()

    def run_amax(maps: Tensor) -> None:
        with amax:
            maps.flatten(2).amax(2)

    with retain_memory(), one_thread(), torch.no_grad():
        for number, maps in enumerate(generate(workload)):
            if number % 2 == 1:
                run_amax(maps)
            engine.update(number, maps)
            if number % 2 == 0:
                run_amax(maps)
            batch_values = (
                maps[:, : workload.checked_units].transpose(0, 1).flatten(1)
            )
            start = number * workload.batch_size * workload.cells_per_map
            values[:, start : start + batch_values.shape[1]] = batch_values
        layer = engine.finish()
        with selection:
            bounds = CombinedBounds.of([layer.bound.snapshot()])
            observation = layer.statistics.on_cpu()
            layer_thresholds = thresholds(
                [layer.candidates],
                bounds,
                observation,
                [workload.quantile],
                SingleProcess(),
                workload.memory,
            )[0]
    candidates = layer.candidates
    measurement = Measurement(
        engine=engine.stopwatch.seconds,
        amax=amax.seconds,
        selection=selection.seconds,
        stored_maps=count_stored_maps(layer),
        stored_bytes=candidates.nbytes + candidates.file_length,
        disk_bytes=candidates.file_length,
        all_known=bool(layer_thresholds.is_known.all()),
        all_exact=are_exact(layer_thresholds.values, values, workload.quantile),
        memory_before=memory_before,
    )
    candidates.close()
    return measurement


def count_stored_maps(layer: LayerState) -> int:
    """Count the maps of which cells are stored, in memory or on disk."""
    count = 0
    for batch in layer.candidates.by_batch.values():
        count += batch.maps if isinstance(batch, StoredMaps) else len(batch.units)
    return count


def are_exact(unit_thresholds: Tensor, values: Tensor, quantile: float) -> bool:
    """Compare thresholds with those found by sorting all values (unit, value)."""
    threshold_rank = rank(quantile, values.shape[1])
    for unit, unit_values in enumerate(values):
        expected = unit_values.topk(threshold_rank + 1).values[-1]
        if float(expected) != float(unit_thresholds[unit]):
            return False
    return True


def peak_memory() -> float:
    """Return the largest resident size of the process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def print_line(workload: Workload, result: Measurement) -> None:
    """Print the times, their ratios to `amax`, and the memory."""
    total = result.engine + result.selection
    stored_share = result.stored_maps / (workload.images * workload.units)
    shape = f"{workload.units} units x {workload.cells}x{workload.cells}"
    size = f"{workload.nbytes / GIB:5.2f} GiB"
    columns = [
        f"{workload.kind:9} {workload.images:6} images x {shape} ({size})",
        f"amax {result.amax:6.2f} s",
        f"stream {result.engine:6.2f} s = {result.engine / result.amax:.2f} x",
        f"thresholds {result.selection:5.2f} s, together {total / result.amax:.2f} x",
        f"{workload.nbytes / total / 1e9:.1f} GB/s",
        f"stored {stored_share:.1%} of the maps in {result.stored_bytes / GIB:.2f} GiB, "
        f"{result.disk_bytes / GIB:.2f} GiB of it on disk",
        f"peak {peak_memory():.2f} GiB (before: {result.memory_before:.2f})",
        f"known {result.all_known}, exact in {workload.checked_units} units: {result.all_exact}",
    ]
    print("  ".join(columns), flush=True)


def parse_arguments() -> Workload:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=63305)
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--cells", type=int, default=13)
    parser.add_argument("--kind", choices=KINDS, default="relu")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--memory", type=float, default=1.0, help="GiB")
    parser.add_argument("--quantile", type=float, default=0.005)
    parser.add_argument(
        "--check",
        type=int,
        default=4,
        help="units whose thresholds are checked by sorting",
    )
    arguments = parser.parse_args()
    return Workload(
        images=arguments.images,
        units=arguments.units,
        cells=arguments.cells,
        batch_size=arguments.batch,
        kind=arguments.kind,
        memory=int(arguments.memory * GIB),
        quantile=arguments.quantile,
        checked_units=arguments.check,
    )


def main() -> None:
    """Print one line."""
    workload = parse_arguments()
    print_line(workload, measure(workload))


if __name__ == "__main__":
    main()
