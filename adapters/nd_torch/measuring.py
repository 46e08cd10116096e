"""Measuring: responses of modules' outputs to perturbed images, taken by forward hooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nd_plugin import (
    BadInput,
    Measurement,
    ModelFailed,
    PerturbedImages,
    Response,
    perturb,
)
from nd_torch.forward import Stop, forward, hooked
from nd_torch.naming import as_floats, find_entries


@dataclass(frozen=True)
class Entry:
    """Tensor in the output of one run of a module."""

    module: nn.Module
    run: int
    key: str


class ResponseRecorder:
    """Forward hook that records the responses of some entries, and then ends the pass."""

    def __init__(
        self, images: PerturbedImages, shapes: Mapping[Entry, torch.Size]
    ) -> None:
        self.images = images
        self.shapes = shapes  # for a batch of two images
        self.measurements: dict[Entry, Measurement | None] = {}
        self._run_counts: Counter[nn.Module] = Counter()

    def record(self, module: nn.Module, _: Any, output: Any) -> None:
        """Record the responses of this run of a module."""
        run_number = self._run_counts[module]
        self._run_counts[module] += 1
        for key, tensor in find_entries(output).items():
            entry = Entry(module, run_number, key)
            if entry in self.shapes:
                self.measurements[entry] = self._measure(tensor, entry)
        if len(self.measurements) == len(self.shapes):
            raise Stop

    def _measure(self, tensor: Tensor, entry: Entry) -> Measurement | None:
        response = Response.of_pair(as_floats(tensor), self.shapes[entry])
        if response is None or response.is_zero:
            return None
        return Measurement(response, self.images)


def measure(
    call: Callable[[Tensor], Any],
    root: nn.Module | None,
    image: Tensor,
    shapes: Mapping[Entry, torch.Size],
) -> Mapping[Entry, Measurement | None]:
    """Measure entries of modules' outputs, given their shapes for two images.

    ``image`` (channel, row, column) is perturbed. None, or no entry in the result, where nothing
    can be measured: the model takes no such batch, or an output does not change with it.
    """
    if not shapes:
        return {}
    recorder = ResponseRecorder(perturb(image), shapes)
    modules = [entry.module for entry in shapes]
    try:
        with hooked(modules, recorder.record), torch.inference_mode(False):
            forward(call, recorder.images.images, root)
    except (ModelFailed, BadInput):
        # a model for batches of two, say: what is derived is then not verified
        pass
    return recorder.measurements
