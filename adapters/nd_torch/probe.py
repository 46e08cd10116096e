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
    ModelFailed,
    NoiseRun,
    Placement,
    Reproducibility,
    UnitsNotFound,
    examine_reproducibility,
)
from nd_torch.arithmetic import PLAIN, Arithmetic
from nd_torch.float32_settings import EXACT, float32_as
from nd_torch.forward import (
    Stop,
    at_rest,
    forward,
    hooked,
    private_random_numbers,
)
from nd_torch.naming import Target, as_floats, select_tensor
from nd_torch.survey import survey_and_place


@dataclass
class TorchProbe:
    """Open look into layers of a model; each forward pass ends after the last of them."""

    call: Callable[[Tensor], Any]
    root: nn.Module | None
    # as requested: a layer requested twice is in it twice
    targets: Sequence[Target]
    placements: Mapping[Target, Placement]
    # number of images that each forward pass has to have; None: any
    batch_size: int | None = None
    arithmetic: Arithmetic = PLAIN
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
    def geometries(self) -> Mapping[str, Geometry]:
        """Geometry of each layer's cells, by name."""
        return {
            target.name: placement.geometry
            for target, placement in self.placements.items()
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on how cells were placed and images were run."""
        notes: list[str] = []
        for placement in self.placements.values():
            notes += placement.notes
        if self.reproducibility.needs_single_images:
            notes.append(ONE_AT_A_TIME)
        return tuple(notes)

    @property
    def unreliable(self) -> tuple[str, ...]:
        """Reasons why the same image may give other maps."""
        return self.reproducibility.unreliable

    @property
    def noise_run(self) -> NoiseRun | None:
        """Noise that was run to find what is not reproducible, and its maps."""
        return self.reproducibility.noise_run

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
        with self.arithmetic.active():
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
            target
            for target in self.placements
            if _means(target, module, run_number)
        ]
        if not targets:
            return
        pass_ends = len(self._maps) + len(targets) == len(self.placements)
        for target in targets:
            maps = self._maps_of(target, output)
            wide_maps = self.arithmetic.widened(maps)
            if pass_ends or wide_maps is not maps:
                maps = wide_maps.contiguous()
            else:  # a copy, since a later in-place operation may change the layer's output
                maps = maps.clone(memory_format=torch.contiguous_format)
            self._maps[target.name] = maps
        if pass_ends:
            raise Stop

    def _maps_of(self, target: Target, output: Any) -> Tensor:
        tensor = as_floats(select_tensor(output, target))
        maps = self.placements[target].layout.maps(tensor)
        check_image_count(maps, self._image_count, target.name)
        return maps


def check_image_count(maps: Tensor, image_count: int, layer: str) -> None:
    """Check that ``maps`` (image, unit, row, column) are one per image. Raises UnitsNotFound."""
    if len(maps) != image_count:
        raise UnitsNotFound(
            f"layer {layer!r} returns maps of {len(maps)} images for a batch of {image_count}; "
            "choose a layer with one map per image"
        )


def _means(target: Target, module: nn.Module, run_number: int) -> bool:
    return target.module is module and target.run_number == run_number


@contextmanager
def open_probe(
    call: Callable[[Tensor], Any],
    root: nn.Module | None,
    targets: Sequence[Target],
    images: Tensor,
    batch_size: int | None = None,
    arithmetic: Arithmetic = PLAIN,
) -> Iterator[TorchProbe]:
    """Survey the targets on ``images``, then probe them; restore the model on leaving.

    ``batch_size``: number of images that each pass has to have; None: any. The survey is in full
    float32, whatever ``arithmetic`` the passes of the probe have. It leaves the generators of
    random numbers as they were.
    """
    with at_rest(root):
        with private_random_numbers(images.device), float32_as(EXACT):
            placements, call = _place_fast(call, images, targets, root)
        probe = TorchProbe(call, root, targets, placements, batch_size, arithmetic)
        modules = [target.module for target in targets]
        with hooked(modules, probe.take):
            with private_random_numbers(images.device):
                probe.reproducibility = examine_reproducibility(
                    probe, images, arithmetic.tolerance_type
                )
            yield probe


def _place_fast(
    call: Callable[[Tensor], Any],
    images: Tensor,
    targets: Sequence[Target],
    root: nn.Module | None,
) -> tuple[dict[Target, Placement], Callable[[Tensor], Any]]:
    """Return placements, and the model as a function of images in the fastest memory format.

    On the CPU convolutions are faster on channels-last images (benchmarks/README.md). A model that
    fails on these, by a ``view`` for instance, gets contiguous ones.
    """
    if images.device.type == "cpu":
        fast_call = channels_last(call)
        try:
            return survey_and_place(fast_call, images, targets, root), fast_call
        except ModelFailed:
            pass
    return survey_and_place(call, images, targets, root), call


def channels_last(call: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Return a function that calls ``call`` with its images in channels-last memory format."""
    return lambda images: call(images.contiguous(memory_format=torch.channels_last))
