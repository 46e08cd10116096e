"""Backend under test: the model that it opens, and the layers and the size that are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from math import prod
from typing import Any, TypeVar

import torch
from torch import Tensor

from nd_plugin.contracts.models import (
    Backend,
    LayerDescription,
    Model,
    ModelOptions,
)
from nd_plugin.preprocess import Preprocess
from nd_plugin.receptive_fields.geometry import Size
from nd_plugin.testing.backend_kit.model_state import (
    ModelState,
    ProcessState,
    modules_of,
)
from nd_plugin.testing.backend_kit.probe_record import ProbeRecord, record_probe
from nd_plugin.testing.conformance import require
from nd_plugin.testing.outcomes import Once

# Sides that differ, so that rows cannot be taken for columns.
PREFERRED_SIZE = (64, 96)
MEMBERS = tuple(name for name in vars(Model) if not name.startswith("_"))
IMAGES = 3
Value = TypeVar("Value")


class BackendCase:
    """A backend, and what its checks share: everything is opened by the first check that asks."""

    def __init__(
        self,
        factory: Callable[[], Backend],
        model: Any,
        layers: Sequence[Any] | None,
        size: Size | None,
    ) -> None:
        self.factory = factory
        self.model = model
        self._layers = layers
        self._size = size
        # in words: of modules that the caller has given, and of settings of this process
        self.changes_by_opening: list[str] = []
        self.changes_of_process: list[str] = []
        self._steps: dict[str, Once[Any]] = {}

    @property
    def text(self) -> str:
        """Text that names the model; "" of an object."""
        return self.model if isinstance(self.model, str) else ""

    @property
    def opened(self) -> Model:
        """The model, opened. Raises AssertionError where it does not open."""
        return self.once("opening the model", self._open_first)

    @property
    def listed(self) -> Sequence[LayerDescription]:
        """Layers that the model lists. Raises AssertionError where it does not."""
        return self.once("layers()", self._list_layers)

    @property
    def record(self) -> ProbeRecord:
        """What a probe on the layers has given. Raises AssertionError where it does not open."""
        return self.once("a probe", self._record_probe)

    def open(self, model: Any = None, options: ModelOptions | None = None) -> Model:
        """Open the model, or another one, by a backend of its own."""
        subject = self.model if model is None else model
        return self.factory().open(subject, options or ModelOptions())

    def once(self, step: str, make: Callable[[], Value]) -> Value:
        """Return what several checks look at, or require what they build upon, made once.

        Raises AssertionError for the first check that asks where it fails, Unchecked for others.
        """
        once: Once[Value] = self._steps.setdefault(step, Once(step, make))
        return once.get()

    def _open_first(self) -> Model:
        modules = modules_of(self.model)
        before = ModelState.of(modules)
        with self._watched("opening the model"):
            opened = self.open()
        difference = before.difference(ModelState.of(modules))
        if difference:
            self.changes_by_opening.append(difference)
        missing = [name for name in MEMBERS if not hasattr(opened, name)]
        require(not missing, f"the model lacks {', '.join(missing)}")
        return opened

    @contextmanager
    def _watched(self, place: str) -> Iterator[None]:
        before = ProcessState.now()
        yield
        difference = before.difference(ProcessState.now())
        if difference:
            self.changes_of_process.append(f"{place} has changed {difference}")

    def modules_of(self, opened: Model) -> dict[str, Any]:
        """Return the modules of PyTorch that can be seen: the caller's, else the opened model's."""
        return modules_of(self.model) or modules_of(opened)

    @property
    def preprocess(self) -> Preprocess:
        """Preprocessing of the model. Raises AssertionError for another type."""
        return self.once("preprocess", self._read_preprocess)

    def _read_preprocess(self) -> Preprocess:
        preprocess = self.opened.preprocess
        require(
            isinstance(preprocess, Preprocess),
            f"preprocess is a Preprocess, not a {type(preprocess).__name__}",
        )
        return preprocess

    @cached_property
    def size(self) -> Size:
        """Height and width of the images: two sides that differ, where the model takes these."""
        if self._size is not None:
            return self._size
        height, width = self.preprocess.size
        candidates = (PREFERRED_SIZE, (height, width + width // 2))
        for size in candidates:
            if self._takes(size):
                return size
        return height, width

    def _takes(self, size: Size) -> bool:
        """Return whether the model has layers with units for images of a size."""
        try:
            return any(has_units(layer) for layer in self.opened.layers(size))
        except Exception:  # of any kind: foreign code
            return False

    @cached_property
    def layers(self) -> Sequence[Any]:
        """Layers that are probed: those asked for, else some of those that the model lists."""
        if self._layers is not None:
            return self._layers
        layers = [layer for layer in self.listed if has_units(layer)]
        with_cells = [layer for layer in layers if has_cells(layer)] or layers
        last = len(with_cells) - 1
        positions = sorted({0, last // 2, last}) if with_cells else []
        names = [with_cells[position].name for position in positions]
        return list(dict.fromkeys(names))

    @cached_property
    def images(self) -> Tensor:
        """Noise (image, channel, row, column), preprocessed as the model asks for."""
        generator = torch.Generator("cpu").manual_seed(1)
        preprocess = self.preprocess
        shape = (IMAGES, preprocess.channels, *self.size)
        pixels = torch.randint(
            0, 256, shape, generator=generator, dtype=torch.uint8
        )
        return preprocess.normalise(pixels).to(self.opened.device)

    def _list_layers(self) -> Sequence[LayerDescription]:
        layers = self.opened.layers(self.size)
        require(
            isinstance(layers, Sequence),
            f"layers() gives a sequence, not a {type(layers).__name__}",
        )
        for layer in layers:
            require(
                isinstance(layer, LayerDescription),
                f"layers() gives LayerDescriptions, not a {type(layer).__name__}",
            )
        return layers

    def _record_probe(self) -> ProbeRecord:
        arguments = (self.opened, self.layers, self.size, self.images)
        with self._watched("a probe"):
            return record_probe(*arguments)


def has_units(layer: LayerDescription) -> bool:
    """Return whether units can be taken at a listed layer."""
    return layer.shape is not None and not layer.reason


def has_cells(layer: LayerDescription) -> bool:
    """Return whether a listed layer has several cells, or tokens."""
    return layer.shape is not None and prod(layer.shape[2:]) > 1
