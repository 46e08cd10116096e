"""Survey of a model: one forward pass that records shapes and positions of modules' outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nd_plugin import (
    Measurement,
    Placement,
    Positions,
    UnitsNotFound,
    check_run,
    place,
)
from nd_torch.forward import forward, hooked
from nd_torch.measuring import Entry, measure
from nd_torch.naming import Target, find_entries, select_key, why_no_entries
from nd_torch.tracking import Tracking

Size = tuple[int, int]


@dataclass(frozen=True)
class ModuleRun:
    """Output of one run of a module, by entry: shapes, and positions where they are known."""

    module: nn.Module
    number: int
    shapes: Mapping[str, torch.Size]
    positions: Mapping[str, Positions | None]
    # keys of entries that are the same for every image
    constants: frozenset[str] = frozenset()
    # why the output has no entries; empty where it has
    misfit: str = ""

    def check_dependence(self, key: str, name: str) -> None:
        """Check that an entry depends on the images; ``name`` is for the error.

        Raises UnitsNotFound.
        """
        if key in self.constants:
            raise UnitsNotFound(
                f"layer {name!r} returns a tensor of shape {tuple(self.shapes[key])} that does not "
                "depend on the image (a table, a parameter or a buffer); choose a layer that the "
                "image passes through"
            )

    def check_entries(self, name: str) -> None:
        """Check that units can be found in the output at all. Raises UnitsNotFound."""
        if self.misfit:
            raise UnitsNotFound(
                f"layer {name!r} {self.misfit}; choose a neighbouring layer"
            )


@dataclass(frozen=True)
class Survey:
    """Runs of modules in one forward pass, in the order in which they finished."""

    module_runs: tuple[ModuleRun, ...]
    image_size: Size
    image_count: int

    def count_runs(self, module: nn.Module) -> int:
        """Count the runs of a module."""
        return sum(run.module is module for run in self.module_runs)

    def run_of(self, target: Target) -> ModuleRun:
        """Return the run that a target means. Raises LayerNotFound, LayerAmbiguous."""
        count = self.count_runs(target.module)
        check_run(target.module_name, target.run, count)
        runs = [run for run in self.module_runs if run.module is target.module]
        return runs[target.run_number]

    def unplaced(self) -> dict[Entry, torch.Size]:
        """Return the entries, and their shapes, whose cells have no derived geometry."""
        shapes: dict[Entry, torch.Size] = {}
        for run in self.module_runs:
            for key, shape in run.shapes.items():
                if not _has_geometry(shape, run.positions[key], self.image_size):
                    shapes[Entry(run.module, run.number, key)] = shape
        return shapes

    def entry_of(self, target: Target) -> Entry:
        """Return the entry that a target means. Raises as `run_of`, and UnitsNotFound."""
        run = self.run_of(target)
        run.check_entries(target.name)
        key = select_key(run.shapes, target)
        run.check_dependence(key, target.name)
        return Entry(target.module, run.number, key)

    def place(
        self, target: Target, measurements: Mapping[Entry, Measurement | None]
    ) -> Placement:
        """Place the cells of a target's output over the image. Raises UnitsNotFound."""
        entry = self.entry_of(target)
        run = self.run_of(target)
        return place(
            run.shapes[entry.key],
            run.positions[entry.key],
            target.name,
            self.image_size,
            measurements.get(entry),
            target.axes,
        )


def survey_and_place(
    call: Callable[[Tensor], Any],
    images: Tensor,
    targets: Sequence[Target],
    root: nn.Module | None,
) -> dict[Target, Placement]:
    """Survey targets on two images, and measure them on the first, perturbed.

    Raises ModelFailed, LayerNotFound, LayerAmbiguous, UnitsNotFound.
    """
    modules = [target.module for target in targets]
    first_pass = survey(call, images, modules, root)
    shapes: dict[Entry, torch.Size] = {}
    for target in targets:
        entry = first_pass.entry_of(target)
        shapes[entry] = first_pass.run_of(target).shapes[entry.key]
    measurements = measure(call, root, images[0], shapes)
    return {target: first_pass.place(target, measurements) for target in targets}


def survey(
    call: Callable[[Tensor], Any],
    images: Tensor,
    modules: Sequence[nn.Module],
    root: nn.Module | None,
) -> Survey:
    """Run the model once and record the outputs of ``modules``. Raises ModelFailed."""
    tracking = Tracking(images)
    run_counts: Counter[nn.Module] = Counter()
    module_runs: list[ModuleRun] = []

    def record(module: nn.Module, _: Any, output: Any) -> None:
        entries = find_entries(output)
        shapes = {key: tensor.shape for key, tensor in entries.items()}
        positions = {
            key: tracking.positions(tensor) for key, tensor in entries.items()
        }
        constants = frozenset(
            key
            for key, tensor in entries.items()
            if _is_constant(tensor, tracking, len(images))
        )
        misfit = "" if entries else why_no_entries(output)
        module_runs.append(
            ModuleRun(
                module, run_counts[module], shapes, positions, constants, misfit
            )
        )
        run_counts[module] += 1

    with hooked(modules, record), torch.inference_mode(False), tracking:
        forward(call, images, root)
    image_count, _, height, width = images.shape
    return Survey(tuple(module_runs), (height, width), image_count)


def _is_constant(tensor: Tensor, tracking: Tracking, image_count: int) -> bool:
    """Return whether a tensor was not computed from the images, and is the same for all of them.

    The values decide where a model computes outside of torch, which cannot be observed.
    """
    if tracking.depends_on_images(tensor):
        return False
    if len(tensor) != image_count:
        return True
    return all(torch.equal(part, tensor[0]) for part in tensor)


def _has_geometry(
    shape: torch.Size, positions: Positions | None, image_size: Size
) -> bool:
    try:
        placement = place(shape, positions, "", image_size, None)
    except UnitsNotFound:
        return False
    return not placement.needs_measuring
