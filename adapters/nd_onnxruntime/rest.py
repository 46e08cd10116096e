"""An ONNX model cut at a layer: the graph before it, the graph behind it, and the linear head where that is all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from onnx import NodeProto, helper
from torch import Tensor

from nd_onnxruntime.document import Document
from nd_onnxruntime.feeding import ImageInput
from nd_onnxruntime.graph import Graph
from nd_onnxruntime.head import read_head
from nd_onnxruntime.probe import Taken, close
from nd_onnxruntime.sessions import Place, Runner
from nd_onnxruntime.survey import noise
from nd_plugin import BadInput, Geometry, Layout, LinearHead, ModelFailed, NDError, axes_of

Size = tuple[int, int]
MAGNITUDES = (1.0, 30.0)  # of the noise in place of a layer's maps: a soft cap is linear only where it is small


@dataclass(frozen=True)
class OnnxRest:
    """A model cut at a layer."""

    taken: Taken
    before: Runner
    after: Runner
    singly: bool

    @property
    def name(self) -> str:
        """The layer's canonical name."""
        return self.taken.layer.name

    @property
    def layout(self) -> Layout:
        """Where images, units, rows and columns are."""
        return self.taken.layout

    @property
    def geometry(self) -> Geometry:
        """Where the layer's cells look."""
        return self.taken.geometry

    def layer(self, *inputs: Any) -> Tensor:
        """The layer's output, in its own shape."""
        axis = axes_of(self.layout)[0]
        return torch.cat([self.before(batch)[0] for batch in batches(only_images(inputs), self.singly)], axis)

    def __call__(self, output: Tensor, *inputs: Any) -> Any:
        """The model's outputs when the layer's is replaced; one image stands for all."""
        axis, images = axes_of(self.layout)[0], only_images(inputs)
        if len(images) == 1:
            images = images.expand(output.shape[axis], *images.shape[1:])
        pairs = zip(batches(output, self.singly, axis), batches(images, self.singly), strict=True)
        return together([self.after(batch, {self.taken.exposed.value: maps}) for maps, batch in pairs])


def only_images(inputs: Sequence[Any]) -> Tensor:
    """The one tensor of images that an ONNX model is given. Raises BadInput."""
    if len(inputs) != 1 or not isinstance(inputs[0], Tensor) or inputs[0].dim() != 4:
        raise BadInput("an ONNX model is given one tensor of images (N, 3, H, W); its other inputs are given as feeds")
    return inputs[0].detach()


def batches(tensor: Tensor, singly: bool, axis: int = 0) -> tuple[Tensor, ...]:
    """A tensor as one batch, or image by image."""
    return torch.split(tensor, 1, axis) if singly else (tensor,)


def together(parts: Sequence[Sequence[Tensor]]) -> Any:
    """The outputs of some batches: a tensor where the model has one, else a tuple."""
    joined = tuple(torch.cat(same) for same in map(list, zip(*parts, strict=True)))
    return joined[0] if len(joined) == 1 else joined


class Splittable:
    """What `SplitModel` asks for, of an OnnxModel: sessions are kept, for the rest is run again and again."""

    document: Document
    image: ImageInput
    place: Place
    kept: dict[Any, Any]
    taken_at: Callable[[Sequence[Any], Size], tuple[list[Taken], int]]
    runner: Callable[..., Runner]

    @property
    def graph(self) -> Graph:
        """Of the model."""
        raise NotImplementedError

    def outputs(self, *inputs: Any) -> Any:
        """What the model gives for preprocessed images (image, 3, row, column)."""
        images = only_images(inputs)
        runner, singly = self._whole(self.image.checked(_size(images)))
        return together([runner(batch) for batch in batches(images, singly)])

    @contextmanager
    def rest(self, layer: Any, inputs: Sequence[Any]) -> Iterator[OnnxRest]:
        """Cut the model at a layer."""
        yield self._rest(layer, self.image.checked(_size(only_images(inputs))))

    def linear_head(self, layer: Any, inputs: Sequence[Any]) -> LinearHead | None:
        """The linear head behind a layer, from the graph's weights, verified on noise."""
        size = self.image.checked(_size(only_images(inputs)))
        rest = self._rest(layer, size)
        read = read_head(self.document, self.graph, rest.taken.exposed.value)
        if read is None:
            return None
        images = noise(2, self.image, size).to(self.place.maps)
        value = rest.layer(images)
        head = LinearHead(*(torch.from_numpy(part).to(value) for part in (read.matrix, read.bias)))
        return head if _holds(head, rest, value, images, self.outputs(images)) else None

    def _names(self) -> list[str]:
        return [output.name for output in self.graph.proto.output]

    def _whole(self, size: Size) -> tuple[Runner, bool]:
        if ("whole", size) not in self.kept:
            self.kept["whole", size] = self._tried(lambda batch: self.runner(self._names(), size, batch), size)
        found: tuple[Runner, bool] = self.kept["whole", size]
        return found

    def _tried(self, make: Callable[[int], Runner], size: Size) -> tuple[Runner, bool]:
        """A runner for any batch, or, where two images are not treated as each by itself, for one."""
        pair = noise(2, self.image, size).to(self.place.maps)
        try:
            runner = make(2)
            single = [runner(pair[place : place + 1]) for place in range(2)]
            apart = all(map(close, runner(pair), [torch.cat(same) for same in map(list, zip(*single, strict=True))]))
        except NDError:
            apart = False
        return (runner, False) if apart else (make(1), True)

    def _rest(self, layer: Any, size: Size) -> OnnxRest:
        key = (layer if isinstance(layer, str) else id(layer), size)
        if key not in self.kept:
            self.kept[key] = self._cut(layer, size)
        found: OnnxRest = self.kept[key]
        return found

    def _cut(self, layer: Any, size: Size) -> OnnxRest:
        (taken,), images = self.taken_at([layer], size)
        singly = images == 1 or self._whole(size)[1]
        batch = 1 if singly else 2
        before = self.runner([taken.exposed.value], size, batch, extra=taken.exposed.extra)
        value = before(noise(1, self.image, size).to(self.place.maps))[0]
        shape: list[int | str] = list(value.shape)
        shape[axes_of(taken.layout)[0]] = 1 if singly else "N"
        kind = helper.np_dtype_to_tensor_dtype(torch.empty(0, dtype=value.dtype).numpy().dtype)
        declared = helper.make_tensor_value_info(taken.exposed.value, kind, shape)
        after = self.runner(self._names(), size, batch, given=[declared], lead=_requantised(taken))
        return OnnxRest(taken, before, after, singly)


def _requantised(taken: Taken) -> tuple[NodeProto, ...]:
    """Numbers back to the integers that a quantised operator gave."""
    return tuple(
        helper.make_node("QuantizeLinear", [node.output[0], *node.input[1:]], [node.input[0]], name=f"{node.name}_back")
        for node in taken.exposed.extra
    )


def _size(images: Tensor) -> Size:
    return int(images.shape[2]), int(images.shape[3])


def _holds(head: LinearHead, rest: OnnxRest, value: Tensor, images: Tensor, outputs: Any) -> bool:
    """Whether the head says what the model does: on images of noise, and on noise in place of the layer's maps."""
    drawn = torch.randn(value.shape, generator=torch.Generator("cpu").manual_seed(1), device="cpu").to(value)
    try:
        pairs = [(value, outputs), *((m * drawn, rest(m * drawn, images)) for m in MAGNITUDES)]
    except ModelFailed:
        return False
    return all(
        isinstance(found, Tensor)
        and close((rest.layout.maps(maps).mean((2, 3)) @ head.weight.T + head.bias).to(found.dtype), found)
        for maps, found in pairs
    )
