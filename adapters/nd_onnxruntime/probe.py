"""Looking into layers of an ONNX model: the part of the graph that they need, with their values as outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nd_onnxruntime.naming import Layer
from nd_onnxruntime.quantised import Exposed
from nd_onnxruntime.sessions import Runner
from nd_onnxruntime.survey import Survey, noise
from nd_plugin import Geometry, Layout, ModelFailed, UnitsNotFound, find_layout, geometry_of

Size = tuple[int, int]
SINGLY = "the model does not treat the images of a batch apart: they go through it one by one"
CLOSE = 1e-4  # of the largest value: how far a batch of two may be from two single images (fp16: 50 times that)


@dataclass(frozen=True)
class Taken:
    """A layer, how its value is taken from the graph, how that is laid out and where its cells look."""

    layer: Layer
    exposed: Exposed
    layout: Layout
    geometry: Geometry

    @classmethod
    def of(cls, layer: Layer, exposed: Exposed, seen: Survey, size: Size) -> Taken:
        """From what a survey has shown. Raises UnitsNotFound for what has no units laid out over the image."""
        shape = seen.shapes.get(layer.value)
        if shape is None:
            raise UnitsNotFound(f"layer {layer.name!r} is no tensor (a sequence, say); choose a layer around it")
        if exposed.value == layer.value and not seen.numbers.get(layer.value, False):
            raise UnitsNotFound(f"layer {layer.name!r} holds integers or truth values; choose a layer around it")
        layout = find_layout(shape, seen.positions.get(layer.value), layer.name)
        return cls(layer, exposed, layout, geometry_of(layout, shape, size))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the result has to know."""
        told = (self.layer.note, self.exposed.note)
        return tuple(f"layer {self.layer.name!r}: {note}" for note in told if note)


@dataclass(frozen=True)
class OnnxProbe:
    """Runs a part of a model and gives its outputs as maps."""

    runner: Runner
    taken: Sequence[Taken]
    singly: bool
    more_notes: tuple[str, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """The canonical names of the probed layers, in the order asked for."""
        return tuple(taken.layer.name for taken in self.taken)

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        """The receptive-field geometry of each layer."""
        return {taken.layer.name: taken.geometry for taken in self.taken}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the result has to know."""
        own = [note for taken in self.taken for note in taken.notes]
        return (*dict.fromkeys(own), *((SINGLY,) if self.singly else ()), *self.more_notes)

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Maps (image, unit, row, column) of each layer."""
        batches = images.split(1) if self.singly else (images,)  # type: ignore[no-untyped-call]
        parts = [self._maps(batch) for batch in batches]
        return {
            name: torch.cat([part[name] for part in parts]) if len(parts) > 1 else parts[0][name]
            for name in self.layers
        }

    def _maps(self, images: Tensor) -> dict[str, Tensor]:
        names = [output.name for output in self.runner.session.get_outputs()]
        values = dict(zip(names, self.runner(images), strict=True))
        found = {}
        for taken in self.taken:
            maps = taken.layout.maps(values[taken.exposed.value])
            if len(maps) != len(images):
                name = taken.layer.name
                raise UnitsNotFound(f"layer {name!r} gives {len(maps)} maps for a batch of {len(images)} images")
            found[taken.layer.name] = maps.contiguous()
        return found


def treats_images_apart(probe: OnnxProbe, size: Size) -> bool:
    """Whether a batch of two gives what two single images give."""
    device = probe.runner.place.maps
    pair = noise(2, probe.runner.image, size).to(device)
    try:
        together = probe(pair)
    except (ModelFailed, UnitsNotFound, RuntimeError):
        return False
    single = [probe(pair[place : place + 1]) for place in range(2)]
    return all(close(together[name], torch.cat([one[name] for one in single])) for name in probe.layers)


def close(one: Tensor, other: Tensor) -> bool:
    """Whether two results are the same but for rounding."""
    most = float(other.abs().amax()) if other.numel() else 0.0
    slack = CLOSE * (50 if other.dtype == torch.float16 else 1) * most
    return one.shape == other.shape and (not one.numel() or float((one - other).abs().amax()) <= slack)
