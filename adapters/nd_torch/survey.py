"""Survey of a model: one forward pass that records shapes and positions of modules' outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nd_plugin import (
    Geometry,
    Layout,
    Positions,
    check_run,
    find_layout,
    geometry_of,
)
from nd_torch.forward import forward, hooked
from nd_torch.naming import Target, find_entries, select_key
from nd_torch.tracking import Tracking

Size = tuple[int, int]


@dataclass(frozen=True)
class ModuleRun:
    """Output of one run of a module, by entry: shapes, and positions where they are known."""

    module: nn.Module
    number: int
    shapes: Mapping[str, torch.Size]
    positions: Mapping[str, Positions | None]


@dataclass(frozen=True)
class Survey:
    """Runs of modules in one forward pass, in the order in which they finished."""

    module_runs: tuple[ModuleRun, ...]
    image_size: Size

    def count_runs(self, module: nn.Module) -> int:
        """Count the runs of a module."""
        return sum(run.module is module for run in self.module_runs)

    def run_of(self, target: Target) -> ModuleRun:
        """Return the run that a target means. Raises LayerNotFound, LayerAmbiguous."""
        count = self.count_runs(target.module)
        check_run(target.module_name, target.run, count)
        runs = [run for run in self.module_runs if run.module is target.module]
        return runs[target.run_number]

    def layout_of(self, target: Target) -> tuple[Layout, Geometry]:
        """Return the axes of a target's output, and the receptive fields of its cells."""
        run = self.run_of(target)
        key = select_key(run.shapes, target)
        shape = run.shapes[key]
        layout = find_layout(shape, run.positions[key], target.name)
        return layout, geometry_of(layout, shape, self.image_size)


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
        module_runs.append(ModuleRun(module, run_counts[module], shapes, positions))
        run_counts[module] += 1

    with hooked(modules, record), torch.inference_mode(False), tracking:
        forward(call, images, root)
    _, _, height, width = images.shape
    return Survey(tuple(module_runs), (height, width))
