"""The engine alone, at Broden's scale: python benchmarks/stream.py [--images 63305] [--units 256] [--kind relu].

A source of spatially smooth activations stands in for the network. What is timed is what the engine does with them;
what it is compared with is `amax` over the same batches, that is reading each activation once. Which of the two sees a
batch first, out of the processor's cache, alternates. Making the activations is not timed. Both have one thread, as the
engine has here: beside processes that decode, a second one is waited for.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from nd_plugin.engine.candidates import StoredMaps
from nd_plugin.engine.passes import WAITING, keep_within_memory
from nd_plugin.engine.state import LayerState
from nd_plugin.engine.thresholds import thresholds
from nd_plugin.machine.allocator import retain_memory, trim_memory
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.machine.threads import one_thread
from nd_plugin.method.lower_bound import CombinedBounds
from nd_plugin.method.ranks import rank
from nd_plugin.receptive_fields.geometry import spread_evenly

GIB = 2**30


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": Tensor.relu_,  # sparse to a different degree in each unit
    "dense": lambda maps: maps,  # as after BatchNorm
    "saturated": lambda maps: maps.mul_(4).clamp_(0, 6),  # as after ReLU6
    "hardswish": F.hardswish,  # many zeros, and values below 0
    "constant": lambda maps: maps.fill_(-0.5),
}


def source(images: int, units: int, cells: int, batch: int, kind: str) -> Iterator[Tensor]:
    """Batches of smooth maps (image, unit, row, column)."""
    random = torch.Generator().manual_seed(0)
    pool = []
    for _ in range(6):
        coarse = torch.randn(batch, units, cells // 3 + 1, cells // 3 + 1, generator=random)
        pool.append(F.interpolate(coarse, size=(cells, cells), mode="bicubic", align_corners=False))
    shift = torch.linspace(-2, 0.5, units)[:, None, None]
    for number, start in enumerate(range(0, images, batch)):
        count = min(batch, images - start)
        gain = torch.empty(count, units, 1, 1).exponential_(generator=random).add_(0.5)
        moved = pool[number % 6].roll(int(torch.randint(units, (), generator=random)), dims=1)[:count]
        yield KINDS[kind](moved.mul(gain).add_(shift))


def measure(
    images: int, units: int, cells: int, batch: int, memory: int, quantile: float, check: int, kind: str
) -> None:
    """Print one line."""
    watched: LayerState | None = None
    ours = limit = 0.0
    some = torch.empty(check, images * cells**2)
    some.zero_()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    def amax(maps: Tensor) -> float:
        begun = time.perf_counter()
        maps.flatten(2).amax(2)
        return time.perf_counter() - begun

    with retain_memory(), one_thread(), torch.no_grad():
        for number, maps in enumerate(source(images, units, cells, batch, kind)):
            limit += amax(maps) if number % 2 else 0
            begun = time.perf_counter()
            if watched is None:
                watched = LayerState.empty(
                    maps, quantile, images, images, 50, spread_evenly((cells, cells), (227, 227))
                )
            seen = torch.arange(number * batch, number * batch + len(maps))
            peaks = maps.flatten(2).amax(2)
            watched.update(number, maps, peaks, seen)
            if watched.waiting_bytes > memory // WAITING:
                settle(watched, memory)
            trim_memory()
            ours += time.perf_counter() - begun
            limit += 0 if number % 2 else amax(maps)
            some[:, number * batch * cells**2 :][:, : len(maps) * cells**2] = maps[:, :check].transpose(0, 1).flatten(1)
        assert watched is not None
        begun = time.perf_counter()
        settle(watched, memory)
        ours += time.perf_counter() - begun
        begun = time.perf_counter()
        bounds, seen_all = CombinedBounds.of([watched.bound.snapshot()]), watched.observation.on_cpu()
        found = thresholds([watched.candidates], bounds, seen_all, [quantile], SingleProcess(), memory)[0]
        select = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    parts = watched.candidates.parts.values()
    kept = sum(part.maps if isinstance(part, StoredMaps) else len(part.units) for part in parts)
    stored = watched.candidates.nbytes + watched.candidates.end
    place = rank(quantile, some.shape[1])
    exact = all(
        float(unit.topk(place + 1).values[-1]) == float(found.values[number]) for number, unit in enumerate(some)
    )
    size = images * units * cells * cells * 4
    print(
        f"{kind:9} {images:6} images x {units} units x {cells}x{cells} ({size / GIB:5.2f} GiB)  amax {limit:6.2f} s  "
        f"stream {ours:6.2f} s = {ours / limit:.2f} x  thresholds {select:5.2f} s, "
        f"together {(ours + select) / limit:.2f} x  "
        f"{size / (ours + select) / 1e9:.1f} GB/s  kept {kept / (images * units):.1%} of the maps "
        f"in {stored / GIB:.2f} GiB, {watched.candidates.end / GIB:.2f} GiB of it on disk  "
        f"peak {peak:.2f} GiB (before: {before:.2f})  known {bool(found.known.all())}, exact in {check} units: {exact}",
        flush=True,
    )
    watched.candidates.close()


def settle(watched: LayerState, memory: int) -> None:
    """As the engine does."""
    watched.settle()
    keep_within_memory({watched.candidates: watched.bound.level}, memory - memory // WAITING)


def main() -> None:
    """One line, or the growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=63305)
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--cells", type=int, default=13)
    parser.add_argument("--kind", choices=KINDS, default="relu")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--memory", type=float, default=1.0, help="GiB")
    parser.add_argument("--quantile", type=float, default=0.005)
    parser.add_argument("--check", type=int, default=4, help="units whose thresholds are checked by sorting everything")
    given = parser.parse_args()
    memory = int(given.memory * GIB)
    measure(given.images, given.units, given.cells, given.batch, memory, given.quantile, given.check, given.kind)


if __name__ == "__main__":
    main()
