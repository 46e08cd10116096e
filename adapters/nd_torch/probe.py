"""Looking into layers: a survey of one forward pass, then the probe that follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nd_plugin import (
    Geometry,
    LayerAmbiguous,
    LayerNotFound,
    Layout,
    ModelFailed,
    Positions,
    UnitsNotFound,
    find_layout,
    geometry_of,
)
from nd_torch.forward import Stop, at_rest, forward, hooked
from nd_torch.naming import Target, choose, entries
from nd_torch.tracking import Tracking

Size = tuple[int, int]


@dataclass(frozen=True)
class Sighting:
    """One output of one run of a module."""

    module: nn.Module
    run: int
    shapes: Mapping[str, torch.Size]  # by entry
    positions: Mapping[str, Positions | None]


@dataclass(frozen=True)
class Survey:
    """What one forward pass showed of some modules, in the order in which they ran."""

    sightings: tuple[Sighting, ...]
    images: Size

    def runs(self, module: nn.Module) -> int:
        """How often a module ran."""
        return sum(sighting.module is module for sighting in self.sightings)

    def of(self, target: Target) -> Sighting:
        """What was seen of a target, or the error that says why it cannot be probed."""
        count = self.runs(target.module)
        if count == 0:
            raise LayerNotFound(f"layer {target.name!r} does not run in the model's forward pass")
        if target.run is None and count > 1:
            choices = ", ".join(f"{target.name}#{run}" for run in range(count))
            raise LayerAmbiguous(f"layer {target.name!r} runs {count} times in one forward pass; choose one: {choices}")
        run = target.run or 0
        if run >= count:
            raise LayerNotFound(f"layer {target.name!r}: it runs {count} times, the last being #{count - 1}")
        return next(s for s in self.sightings if s.module is target.module and s.run == run)

    def layout(self, target: Target) -> tuple[Layout, Geometry]:
        """How the output of a target is laid out, and where its cells look."""
        sighting = self.of(target)
        stand_ins = {key: torch.empty(shape, device="meta") for key, shape in sighting.shapes.items()}
        chosen = choose(_nested(stand_ins), target)
        key = next(key for key, stand_in in stand_ins.items() if stand_in is chosen)
        layout = find_layout(sighting.shapes[key], sighting.positions[key], target.name)
        return layout, geometry_of(layout, sighting.shapes[key], self.images)


def _nested(found: Mapping[str, Tensor]) -> object:
    return found[""] if list(found) == [""] else dict(found)


def survey(
    call: Callable[[Tensor], Any], images: Tensor, modules: Sequence[nn.Module], root: nn.Module | None
) -> Survey:
    """Run the model once on two images and note what the modules give and where it lies."""
    tracking, runs, sightings = Tracking(images), Counter[int](), list[Sighting]()

    def see(module: nn.Module, _: Any, output: Any) -> None:
        found = entries(output)
        shapes = {key: tensor.shape for key, tensor in found.items()}
        positions = {key: tracking.positions(tensor) for key, tensor in found.items()}
        sightings.append(Sighting(module, runs[id(module)], shapes, positions))
        runs[id(module)] += 1

    with hooked(modules, see), torch.inference_mode(False), tracking:
        forward(call, images, root)
    return Survey(tuple(sightings), (images.shape[2], images.shape[3]))


@dataclass
class TorchProbe:
    """Takes the maps of some targets from a forward pass, which it ends after the last of them."""

    call: Callable[[Tensor], Any]
    root: nn.Module | None
    targets: Sequence[Target]  # as asked for
    layouts: Mapping[Target, Layout]
    geometries: Mapping[str, Geometry]
    _runs: Counter[int] = field(default_factory=Counter)
    _taken: dict[str, Tensor] = field(default_factory=dict)
    _images: int = 0

    @property
    def layers(self) -> tuple[str, ...]:
        """The canonical names of the probed layers, in the order asked for."""
        return tuple(target.name for target in self.targets)

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Maps (image, unit, row, column) of each layer."""
        self._runs.clear()
        self._taken, self._images = {}, len(images)
        forward(self.call, images, self.root)
        missing = [layer for layer in self.layers if layer not in self._taken]
        if missing:
            raise ModelFailed(f"layers {', '.join(missing)} did not run for a batch of {len(images)} images")
        return {layer: self._taken[layer] for layer in self.layers}

    def see(self, module: nn.Module, _: Any, output: Any) -> None:
        """The hook: maps are copied, since a later in-place operation may change them, unless the pass ends here."""
        run = self._runs[id(module)]
        self._runs[id(module)] += 1
        mine = [target for target in self.layouts if target.module is module and (target.run or 0) == run]
        last = len(self._taken) + len(mine) == len(self.layouts)
        for target in mine:
            maps = self.layouts[target].maps(choose(output, target))
            if len(maps) != self._images:
                raise UnitsNotFound(f"layer {target.name!r} sees {len(maps)} images of a batch of {self._images}")
            rows_last = torch.contiguous_format
            self._taken[target.name] = maps.contiguous() if last else maps.clone(memory_format=rows_last)
        if mine and last:
            raise Stop


@contextmanager
def open_probe(
    call: Callable[[Tensor], Any], root: nn.Module | None, targets: Sequence[Target], images: Tensor
) -> Iterator[TorchProbe]:
    """Survey the targets on ``images``, then probe them; the model is left as it was found."""
    modules = [target.module for target in targets]
    with at_rest(root):
        seen, call = _first_survey(call, images, modules, root)
        found = {target: seen.layout(target) for target in targets}
        layouts = {target: layout for target, (layout, _) in found.items()}
        geometries = {target.name: geometry for target, (_, geometry) in found.items()}
        probe = TorchProbe(call, root, targets, layouts, geometries)
        with hooked(modules, probe.see):
            yield probe


def _first_survey(
    call: Callable[[Tensor], Any], images: Tensor, modules: Sequence[nn.Module], root: nn.Module | None
) -> tuple[Survey, Callable[[Tensor], Any]]:
    """The survey, and the model as it is called from now on: on the CPU with images whose channels lie together.

    Convolutions are faster so (benchmarks/README.md); a model that takes no such images gets them as usual.
    """
    if images.device.type == "cpu":
        try:
            return survey(channels_last(call), images, modules, root), channels_last(call)
        except ModelFailed:
            pass
    return survey(call, images, modules, root), call


def channels_last(call: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """The same function, of images in another order in memory."""
    return lambda images: call(images.contiguous(memory_format=torch.channels_last))
