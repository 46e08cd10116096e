"""Probes: activation maps of layers, taken by forward hooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nd_plugin import (
    ONE_AT_A_TIME,
    Geometry,
    Layout,
    ModelFailed,
    Reproducibility,
    UnitsNotFound,
    examine_reproducibility,
)
from nd_torch.forward import (
    Stop,
    at_rest,
    forward,
    hooked,
    private_random_numbers,
)
from nd_torch.naming import Target, select_tensor
from nd_torch.survey import Survey, survey


@dataclass
class TorchProbe:
    """Open look into layers of a model; each forward pass ends after the last of them."""

    call: Callable[[Tensor], Any]
    root: nn.Module | None
    # as requested: a layer requested twice is in it twice
    targets: Sequence[Target]
    layouts: Mapping[Target, Layout]
    geometries: Mapping[str, Geometry]
    # number of images that each forward pass has to have; None: any
    batch_size: int | None = None
    reproducibility: Reproducibility = field(default_factory=Reproducibility)
    _run_counts: Counter[nn.Module] = field(default_factory=Counter)
    # of the current pass, by layer name
    _maps: dict[str, Tensor] = field(default_factory=dict)
    _image_count: int = 0

    @property
    def layers(self) -> tuple[str, ...]:
        """Canonical names of the probed layers, in the order requested."""
        return tuple(target.name for target in self.targets)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the reader of the results."""
        runs_singly = self.reproducibility.needs_single_images
        return (ONE_AT_A_TIME,) if runs_singly else ()

    @property
    def unreliable(self) -> tuple[str, ...]:
        """Reasons why the same image may give other maps."""
        return self.reproducibility.unreliable

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return maps (image, unit, row, column) of each layer.

        Raises ModelFailed, UnitsNotFound.
        """
        size = self.batch_size or len(images)
        if self.reproducibility.needs_single_images:
            size = 1
        batches = images.split(size)  # type: ignore[no-untyped-call]
        maps_of_batches = [self._run_filled(batch) for batch in batches]
        if len(maps_of_batches) == 1:
            return maps_of_batches[0]
        joined: dict[str, Tensor] = {}
        for layer in self.layers:
            joined[layer] = torch.cat([maps[layer] for maps in maps_of_batches])
        return joined

    def _run_filled(self, images: Tensor) -> Mapping[str, Tensor]:
        """Run a batch filled up to the required size with copies of its last image."""
        missing = (self.batch_size or 0) - len(images)
        if missing <= 0:
            return self._run(images)
        copies = images[-1:].expand(missing, *images.shape[1:])
        maps = self._run(torch.cat([images, copies]))
        return {layer: maps[layer][: len(images)] for layer in maps}

    def _run(self, images: Tensor) -> Mapping[str, Tensor]:
        self._run_counts.clear()
        self._maps = {}
        self._image_count = len(images)
        forward(self.call, images, self.root)
        missing = [layer for layer in self.layers if layer not in self._maps]
        if missing:
            raise ModelFailed(
                f"layers {', '.join(missing)} ran when the probe was opened, but not for this "
                f"batch of {len(images)} images"
            )
        return {layer: self._maps[layer] for layer in self.layers}

    def take(self, module: nn.Module, _: Any, output: Any) -> None:
        """Take the maps of this run of a module (a forward hook); end the pass after the last."""
        run_number = self._run_counts[module]
        self._run_counts[module] += 1
        targets = [
            target for target in self.layouts if _means(target, module, run_number)
        ]
        if not targets:
            return
        pass_ends = len(self._maps) + len(targets) == len(self.layouts)
        for target in targets:
            maps = self._maps_of(target, output)
            if pass_ends:
                maps = maps.contiguous()
            else:  # a copy, since a later in-place operation may change the layer's output
                maps = maps.clone(memory_format=torch.contiguous_format)
            self._maps[target.name] = maps
        if pass_ends:
            raise Stop

    def _maps_of(self, target: Target, output: Any) -> Tensor:
        maps = self.layouts[target].maps(select_tensor(output, target))
        if len(maps) != self._image_count:
            raise UnitsNotFound(
                f"layer {target.name!r} returns maps of {len(maps)} images for a batch of "
                f"{self._image_count}"
            )
        return maps


def _means(target: Target, module: nn.Module, run_number: int) -> bool:
    return target.module is module and target.run_number == run_number


@contextmanager
def open_probe(
    call: Callable[[Tensor], Any],
    root: nn.Module | None,
    targets: Sequence[Target],
    images: Tensor,
) -> Iterator[TorchProbe]:
    """Survey the targets on ``images``, then probe them; restore the model on leaving.

    The survey leaves the generators of random numbers as they were.
    """
    modules = [target.module for target in targets]
    with at_rest(root):
        with private_random_numbers(images.device):
            first_pass, call = _first_survey(call, images, modules, root)
        layouts: dict[Target, Layout] = {}
        geometries: dict[str, Geometry] = {}
        for target in targets:
            layouts[target], geometries[target.name] = first_pass.layout_of(target)
        probe = TorchProbe(call, root, targets, layouts, geometries)
        with hooked(modules, probe.take):
            with private_random_numbers(images.device):
                probe.reproducibility = examine_reproducibility(probe, images)
            yield probe


def _first_survey(
    call: Callable[[Tensor], Any],
    images: Tensor,
    modules: Sequence[nn.Module],
    root: nn.Module | None,
) -> tuple[Survey, Callable[[Tensor], Any]]:
    """Return a survey, and the model as a function of images in the fastest memory format.

    On the CPU convolutions are faster on channels-last images (benchmarks/README.md). A model that
    fails on these, by a ``view`` for instance, gets contiguous ones.
    """
    if images.device.type == "cpu":
        fast_call = channels_last(call)
        try:
            return survey(fast_call, images, modules, root), fast_call
        except ModelFailed:
            pass
    return survey(call, images, modules, root), call


def channels_last(call: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Return a function that calls ``call`` with its images in channels-last memory format."""
    return lambda images: call(images.contiguous(memory_format=torch.channels_last))
