"""Models split at a layer: one session up to the layer, another from the layer to the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nd_onnxruntime.probed_layer import ProbedLayer
from nd_onnxruntime.runner import Runner
from nd_plugin import BadInput, Geometry, Layout


@dataclass(frozen=True)
class SplitAtLayer:
    """Model split at a layer, as the protocol `nd_plugin.Rest` asks for."""

    probed: ProbedLayer
    to_layer: Runner  # from the images to the layer
    from_layer: Runner  # from the layer, and the images where they are used again, to the outputs
    singly: bool  # images are run one at a time

    @property
    def name(self) -> str:
        """Canonical name of the layer."""
        return self.probed.name

    @property
    def layout(self) -> Layout:
        """Axes of images, units, rows and columns in the layer's output."""
        return self.probed.layout

    @property
    def geometry(self) -> Geometry:
        """Receptive-field geometry of the layer's cells."""
        return self.probed.geometry

    def layer(self, *inputs: Any) -> Tensor:
        """Return the layer's output for images, in its own shape."""
        batches = split_batch(only_images(inputs), self.singly)
        outputs = [self.to_layer(batch)[0] for batch in batches]
        return torch.cat(outputs, self.probed.image_axis)

    def __call__(self, output: Tensor, *inputs: Any) -> Any:
        """Return the model's outputs with ``output`` in place of the layer's.

        A single image stands for all images of ``output``.
        """
        images = only_images(inputs)
        image_axis = self.probed.image_axis
        if len(images) == 1:
            images = images.expand(output.shape[image_axis], *images.shape[1:])
        layer_batches = split_batch(output, self.singly, image_axis)
        image_batches = split_batch(images, self.singly)
        outputs = []
        for layer_output, batch in zip(layer_batches, image_batches, strict=True):
            outputs.append(
                self.from_layer(batch, {self.probed.exposed.name: layer_output})
            )
        return join_outputs(outputs)


def only_images(inputs: Sequence[Any]) -> Tensor:
    """Return the one tensor of images among the inputs of a model. Raises BadInput."""
    if (
        len(inputs) != 1
        or not isinstance(inputs[0], Tensor)
        or inputs[0].dim() != 4
    ):
        raise BadInput(
            "an ONNX model takes one tensor of images (N, C, H, W); give values for its other "
            "inputs as feeds when opening it"
        )
    return inputs[0].detach()


def split_batch(batch: Tensor, singly: bool, axis: int = 0) -> tuple[Tensor, ...]:
    """Split a batch into single images if they are run one at a time."""
    return torch.split(batch, 1, axis) if singly else (batch,)


def join_outputs(batches: Sequence[Sequence[Tensor]]) -> Any:
    """Concatenate the outputs of several batches: a tensor for a single output, else a tuple."""
    pieces_by_output = zip(*batches, strict=True)
    outputs = tuple(torch.cat(pieces) for pieces in pieces_by_output)
    return outputs[0] if len(outputs) == 1 else outputs
