"""Encoder: directions in the space of a layer's units, with the bias and nonlinearity they have.

A matrix alone is a linear encoder. A sparse autoencoder's encoder computes, cell by cell,
activation(W · (normalise(x) - pre_bias) + bias).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from nd_plugin.contracts.provenance import fingerprint
from nd_plugin.errors import BadInput

LINEAR = "linear"
RELU = "relu"
TOP_K = "topk"
JUMP_RELU = "jumprelu"
ACTIVATIONS = (LINEAR, RELU, TOP_K, JUMP_RELU)

UNCHANGED = "none"
LAYER_NORM = "layer_norm"  # mean 0 and deviation 1 over the units of each cell
CONSTANT_NORM = "constant_norm_rescale"  # √units
NORMALISATIONS = (UNCHANGED, LAYER_NORM, CONSTANT_NORM)
EPSILON = 1e-5  # of the layer norm, as in SAELens


@dataclass(frozen=True, eq=False)
class Encoder:
    """Encoder of a dictionary: maps (image, unit, row, column) to (image, latent, row, column)."""

    weight: Tensor  # (latent, unit)
    bias: Tensor | None = None  # (latent,)
    pre_bias: Tensor | None = None  # (unit,), subtracted from the maps
    activation: str = LINEAR
    k: int | None = None  # of `TOP_K`: latents of each cell that stay
    threshold: Tensor | None = None  # (latent,) of `JUMP_RELU`: 0 up to it
    normalisation: str = UNCHANGED
    # the tensors on other devices and in other types
    _copies: dict[tuple[torch.device, torch.dtype], dict[str, Tensor]] = field(
        default_factory=dict, repr=False
    )

    def __post_init__(self) -> None:
        """Check shapes and values. Raises BadInput."""
        if self.weight.dim() != 2 or not self.weight.numel():
            raise BadInput(
                f"an encoder's weight has shape {tuple(self.weight.shape)}; expected "
                "(latent, unit): a row for each direction"
            )
        latents, units = self.weight.shape
        sizes = {"bias": latents, "threshold": latents, "pre_bias": units}
        for name, tensor in self.tensors():
            _check_tensor(name, tensor, sizes.get(name), tuple(self.weight.shape))
        self._check_activation()

    def _check_activation(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise BadInput(
                f"activation {self.activation!r} is none of {', '.join(ACTIVATIONS)}"
            )
        if self.normalisation not in NORMALISATIONS:
            raise BadInput(
                f"normalisation {self.normalisation!r} is none of {', '.join(NORMALISATIONS)}"
            )
        if self.activation == JUMP_RELU and self.threshold is None:
            raise BadInput("a JumpReLU needs a threshold for each latent")
        if self.activation != TOP_K:
            return
        if self.k is None or not 1 <= self.k <= self.latents:
            raise BadInput(
                f"top-k needs k between 1 and the number of latents, {self.latents}; it is {self.k}"
            )

    @property
    def latents(self) -> int:
        """Number of directions."""
        return self.weight.shape[0]

    @property
    def units(self) -> int:
        """Number of units that a layer must have."""
        return self.weight.shape[1]

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the tensors by name."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Tensor):
                yield entry.name, value

    @property
    def fingerprint(self) -> str:
        """Fingerprint of all tensors and of what is computed with them."""
        return fingerprint(self._content())

    def _content(self) -> Iterator[bytes | memoryview]:
        yield f"{self.activation} {self.k} {self.normalisation}".encode()
        for name, tensor in self.tensors():
            yield f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode()
            flat = tensor.detach().cpu().contiguous().flatten()
            yield flat.view(torch.uint8).numpy().data

    def __call__(self, maps: Tensor) -> Tensor:
        """Encode each cell of float32 or float64 maps, on their device and in their type."""
        tensors = self._like(maps)
        cells = _normalised(maps.flatten(2), self.normalisation)
        if "pre_bias" in tensors:
            cells = cells - tensors["pre_bias"][:, None]
        weight = tensors["weight"].expand(len(maps), -1, -1)
        # image by image: a product is the same in whatever batch its image comes
        latents = torch.bmm(weight, cells)
        if "bias" in tensors:
            latents += tensors["bias"][:, None]
        latents = self._activated(latents, tensors)
        rows, columns = maps.shape[2:]
        return latents.view(len(maps), self.latents, rows, columns)

    def _activated(self, latents: Tensor, tensors: dict[str, Tensor]) -> Tensor:
        """Apply the activation to ``latents`` (image, latent, cell), which it may change."""
        if self.activation == LINEAR:
            return latents
        if self.activation == TOP_K:
            assert self.k is not None
            top = latents.topk(self.k, dim=1, sorted=False)
            return latents.zero_().scatter_(1, top.indices, top.values.relu_())
        latents.relu_()
        if self.activation == JUMP_RELU:
            latents *= latents > tensors["threshold"][:, None]
        return latents

    def _like(self, maps: Tensor) -> dict[str, Tensor]:
        """Return the tensors on the device and in the type of maps."""
        key = (maps.device, maps.dtype)
        if key not in self._copies:
            self._copies[key] = {
                name: tensor.to(device=maps.device, dtype=maps.dtype)
                for name, tensor in self.tensors()
            }
        return self._copies[key]


def _check_tensor(
    name: str, tensor: Tensor, size: int | None, weight_shape: tuple[int, ...]
) -> None:
    if size is not None and tuple(tensor.shape) != (size,):
        raise BadInput(
            f"an encoder's {name} has shape {tuple(tensor.shape)}; expected ({size},), since its "
            f"weight has shape {weight_shape}: (latent, unit), a row for each direction"
        )
    if not bool(tensor.isfinite().all()):
        raise BadInput(f"an encoder's {name} has values that are not finite")


def _normalised(cells: Tensor, normalisation: str) -> Tensor:
    """Normalise ``cells`` (image, unit, cell) over their units, as SAELens does."""
    if normalisation == LAYER_NORM:
        centred = cells - cells.mean(1, keepdim=True)
        standardised: Tensor = centred / (centred.std(1, keepdim=True) + EPSILON)
        return standardised
    if normalisation == CONSTANT_NORM:
        norm = torch.linalg.vector_norm(cells, dim=1, keepdim=True)
        # a cell of zeros has no direction, and stays 0
        rescaled: Tensor = (
            math.sqrt(cells.shape[1]) * cells / norm.clamp(min=EPSILON)
        )
        return rescaled
    return cells
