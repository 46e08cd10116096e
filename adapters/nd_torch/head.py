"""Whether all that follows a layer is global average pooling and a linear map: found out by experiment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nd_plugin import LinearHead, Rest, axes_of, from_maps

TOLERANCE = 1e-3  # of the largest output: what TF32 costs is less, and no non-linearity is
AT_ONCE = 64  # rows of a head's weights that one backward pass gives
MAGNITUDES = (1.0, 30.0)  # of the noise in place of a layer's maps: a soft cap is linear only where it is small


def find_head(rest: Rest, images: Tensor, model: Callable[[Tensor], Any]) -> LinearHead | None:
    """The linear head of a rest, if it is one: its weights by autograd, then checked against what rest and model do."""
    value = rest.layer(images)
    with torch.no_grad():
        zero = rest(torch.zeros_like(value), images)
        if not isinstance(zero, Tensor) or zero.dim() != 2 or not _is_affine_in_means(rest, value, zero, images):
            return None
    head = LinearHead(_weights(rest, value, images), zero[0])
    with torch.no_grad():
        seen = [value, *(_noise_maps(value, magnitude) for magnitude in MAGNITUDES)]
        results = [rest(maps.clone(), images) for maps in seen] + [model(images)]
        said = [_means(rest, maps) @ head.weight.T + head.bias for maps in [*seen, value]]
    return head if all(map(_close, said, results)) else None


def _is_affine_in_means(rest: Rest, value: Tensor, zero: Tensor, images: Tensor) -> bool:
    """Whether the rest sees each map's mean alone, and is odd around what it gives for nothing."""
    for magnitude in MAGNITUDES:
        maps = _noise_maps(value, magnitude)
        found = rest(maps.clone(), images)
        if not _close(rest(_flattened(rest, maps), images), found) or not _close(
            rest(-maps, images) - zero, zero - found
        ):
            return False
    return True


def _weights(rest: Rest, value: Tensor, images: Tensor) -> Tensor:
    """(output, unit), the derivative of each output by a unit's whole map."""
    with torch.enable_grad():
        leaf = torch.zeros_like(value.narrow(axes_of(rest.layout)[0], 0, 1)).requires_grad_()
        outputs = rest(leaf.clone(), images[:1])[0]
    chosen = torch.split(torch.eye(len(outputs), dtype=outputs.dtype, device=outputs.device), AT_ONCE)
    return torch.cat([_rows(rest, outputs, leaf, part) for part in chosen])


def _rows(rest: Rest, outputs: Tensor, leaf: Tensor, chosen: Tensor) -> Tensor:
    """The derivatives of the outputs that are chosen, one by each row of ``chosen``."""

    def derivative(row: Tensor, several: bool) -> Tensor:
        return torch.autograd.grad(outputs, leaf, row, retain_graph=True, is_grads_batched=several)[0]

    try:
        found = derivative(chosen, True)
    except RuntimeError:  # an operation that cannot be batched
        found = torch.stack([derivative(row, False) for row in chosen])
    return torch.stack([rest.layout.maps(row)[0].sum((1, 2)) for row in found])


def _noise_maps(value: Tensor, magnitude: float) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(1)
    return magnitude * torch.randn(value.shape, generator=generator, device="cpu").to(value)


def _means(rest: Rest, output: Tensor) -> Tensor:
    return rest.layout.maps(output).mean((2, 3))


def _flattened(rest: Rest, output: Tensor) -> Tensor:
    """Every cell of a map at the map's mean; what is no cell (a class token) at 0."""
    maps = rest.layout.maps(output)
    return from_maps(rest.layout, maps.mean((2, 3), keepdim=True).expand(maps.shape), output.shape)


def _close(said: Tensor, found: Tensor) -> bool:
    return said.shape == found.shape and bool((said - found).abs().max() <= TOLERANCE * found.abs().max())
