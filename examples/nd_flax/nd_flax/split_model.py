"""Models split at a layer: the value there, the model from there on, and linear heads behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nd_flax.passes import Passes
from nd_flax.recording import Entry
from nd_plugin import Geometry, Layout, LinearHead, axes_of, from_maps

UNITS_PER_PASS = 64
# of the largest output: more than rounding costs, less than any non-linearity
TOLERANCE = 1e-3
# of random maps: a soft cap is linear only where values are small
MAGNITUDES = (1.0, 30.0)


@dataclass(frozen=True, eq=False)
class FlaxSplit:
    """Model split at a layer."""

    name: str
    layout: Layout
    geometry: Geometry
    entry: Entry
    passes: Passes

    def layer(self, *inputs: Any) -> Tensor:
        """Return the layer's output for images, in the layer's own shape."""
        (images,) = inputs
        return self.passes.layer(self.entry, images)

    def __call__(self, output: Tensor, *inputs: Any) -> Any:
        """Return the model's output with the layer's output replaced by ``output``."""
        (images,) = inputs
        image_axis, _ = axes_of(self.layout)
        count = output.shape[image_axis]
        if len(images) == 1:
            images = images.expand(count, *images.shape[1:])
        return self.passes.outputs_with(self.entry, output, images)


def find_head(split: FlaxSplit, images: Tensor) -> LinearHead | None:
    """Return the linear head behind a layer, or None where something else follows it.

    Its weights are the outputs for maps in which one unit is 1 everywhere, less those for maps of
    0. It is then compared with the model, on the layer's own maps and on random ones. A model whose
    outputs depend on more than the mean of each map is found out first, in two passes.
    """
    with torch.no_grad():
        output = split.layer(images)
        if not _depends_on_means(split, output, images):
            return None
        zero_outputs = split(torch.zeros_like(output), images)
        if not isinstance(zero_outputs, Tensor) or zero_outputs.dim() != 2:
            return None
        bias = zero_outputs[0]
        columns = list(_weight_columns(split, output, images, bias))
        head = LinearHead(torch.cat(columns).T.contiguous(), bias)
        random = _random_like(output)
        values = [output, *(magnitude * random for magnitude in MAGNITUDES)]
        is_head = all(_predicts(head, split, value, images) for value in values)
        return head if is_head else None


def _depends_on_means(split: FlaxSplit, output: Tensor, images: Tensor) -> bool:
    """Return whether the outputs stay the same when each cell gets the mean of its map."""
    random = _random_like(output)
    maps = split.layout.maps(random)
    means = maps.mean((2, 3), keepdim=True).expand(maps.shape)
    flat = from_maps(split.layout, means, output.shape)
    outputs = split(random, images)
    return isinstance(outputs, Tensor) and _are_close(split(flat, images), outputs)


def _random_like(output: Tensor) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(1)
    return torch.randn(output.shape, generator=generator).to(output)


def _weight_columns(
    split: FlaxSplit, output: Tensor, images: Tensor, bias: Tensor
) -> Iterator[Tensor]:
    """Yield the weights (unit, output) of some units after the others."""
    image_axis, unit_axis = axes_of(split.layout)
    unit_count = output.shape[unit_axis]
    cells = split.layout.maps(output).shape[2:]
    one_hot = torch.eye(unit_count, device=output.device, dtype=output.dtype)
    for units in one_hot.split(UNITS_PER_PASS):  # type: ignore[no-untyped-call]
        maps = units[:, :, None, None].expand(*units.shape, *cells)
        shape = list(output.shape)
        shape[image_axis] = len(units)
        value = from_maps(split.layout, maps, shape)
        yield split(value, images[:1]) - bias


def _predicts(
    head: LinearHead, split: FlaxSplit, value: Tensor, images: Tensor
) -> bool:
    """Return whether the head gives what the model gives from the layer on."""
    expected = split(value, images)
    means = split.layout.maps(value).mean((2, 3))
    return _are_close(means @ head.weight.T + head.bias, expected)


def _are_close(actual: Tensor, expected: Tensor) -> bool:
    if actual.shape != expected.shape:
        return False
    difference = (actual - expected).abs().max()
    return bool(difference <= TOLERANCE * expected.abs().max())
