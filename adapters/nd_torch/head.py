"""Linear heads, found by experiment: global average pooling and a linear map behind a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nd_plugin import LinearHead, Rest, axes_of, from_maps

# of the largest output: more than TF32 costs, less than any non-linearity
TOLERANCE = 1e-3
ROWS_PER_PASS = 64  # rows of a head's weights from one backward pass
# of random maps: a soft cap is linear only where values are small
MAGNITUDES = (1.0, 30.0)


def find_head(
    split: Rest, images: Tensor, model: Callable[[Tensor], Any]
) -> LinearHead | None:
    """Return the linear head behind a layer, or None where something else follows it.

    Two properties are tested first, on random maps (image, unit, row, column): the outputs depend
    on the mean of each map alone, and they are affine in it. Weights are then taken by autograd,
    and the head is compared with the model, on its own maps and random ones.
    """
    layer_output = split.layer(images)
    with torch.no_grad():
        zero_outputs = split(torch.zeros_like(layer_output), images)
        if not isinstance(zero_outputs, Tensor) or zero_outputs.dim() != 2:
            return None
        if not _is_affine_in_means(split, layer_output, zero_outputs, images):
            return None
    head = LinearHead(_weights(split, layer_output, images), zero_outputs[0])
    with torch.no_grad():
        if not _predicts(head, split, layer_output, images):
            return None
        predicted = _head_outputs(head, split, layer_output)
        return head if _are_close(predicted, model(images)) else None


def _is_affine_in_means(
    split: Rest, layer_output: Tensor, zero_outputs: Tensor, images: Tensor
) -> bool:
    """Return whether outputs depend on map means alone, and are odd around those of zero maps."""
    for magnitude in MAGNITUDES:
        noise = _noise_like(layer_output, magnitude)
        outputs = split(noise.clone(), images)
        mean_outputs = split(_flattened(split, noise), images)
        if not _are_close(mean_outputs, outputs):
            return False
        change_by_negative = split(-noise, images) - zero_outputs
        if not _are_close(change_by_negative, zero_outputs - outputs):
            return False
    return True


def _predicts(
    head: LinearHead, split: Rest, layer_output: Tensor, images: Tensor
) -> bool:
    """Return whether the head gives what the model gives from the layer on."""
    noise = [_noise_like(layer_output, magnitude) for magnitude in MAGNITUDES]
    for values in [layer_output, *noise]:
        outputs = split(values.clone(), images)
        if not _are_close(_head_outputs(head, split, values), outputs):
            return False
    return True


def _head_outputs(head: LinearHead, split: Rest, values: Tensor) -> Tensor:
    means = split.layout.maps(values).mean((2, 3))
    return means @ head.weight.T + head.bias


def _weights(split: Rest, layer_output: Tensor, images: Tensor) -> Tensor:
    """Return (output, unit), the derivative of each output by a uniform change of a unit's map."""
    image_axis, _ = axes_of(split.layout)
    with torch.enable_grad():
        leaf = torch.zeros_like(
            layer_output.narrow(image_axis, 0, 1)
        ).requires_grad_()
        outputs = split(leaf.clone(), images[:1])[0]
    one_hot = torch.eye(len(outputs), dtype=outputs.dtype, device=outputs.device)
    rows = [
        _weight_rows(split, outputs, leaf, rows)
        for rows in torch.split(one_hot, ROWS_PER_PASS)
    ]
    return torch.cat(rows)


def _weight_rows(
    split: Rest, outputs: Tensor, leaf: Tensor, one_hot: Tensor
) -> Tensor:
    """Return (row, unit), the derivatives of the outputs that the rows of ``one_hot`` select."""
    try:
        gradients = _gradient(outputs, leaf, one_hot, batched=True)
    except RuntimeError:  # an operation that cannot be batched
        row_gradients = [
            _gradient(outputs, leaf, row, batched=False) for row in one_hot
        ]
        gradients = torch.stack(row_gradients)
    rows = [split.layout.maps(gradient)[0].sum((1, 2)) for gradient in gradients]
    return torch.stack(rows)


def _gradient(
    outputs: Tensor, leaf: Tensor, weights: Tensor, *, batched: bool
) -> Tensor:
    (gradient,) = torch.autograd.grad(
        outputs, leaf, weights, retain_graph=True, is_grads_batched=batched
    )
    return gradient


def _noise_like(values: Tensor, magnitude: float) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(1)
    noise = torch.randn(values.shape, generator=generator, device="cpu")
    return magnitude * noise.to(values)


def _flattened(split: Rest, values: Tensor) -> Tensor:
    """Set each cell of a map to the map's mean; elements that are no cells (class tokens) to 0."""
    maps = split.layout.maps(values)
    means = maps.mean((2, 3), keepdim=True)
    return from_maps(split.layout, means.expand(maps.shape), values.shape)


def _are_close(actual: Tensor, expected: Tensor) -> bool:
    if actual.shape != expected.shape:
        return False
    difference = (actual - expected).abs().max()
    return bool(difference <= TOLERANCE * expected.abs().max())
