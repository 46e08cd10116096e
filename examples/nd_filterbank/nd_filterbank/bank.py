"""Filter banks as models: what a backend has to provide, written out by hand.

Unit ``scale * orientations + orientation`` of the layer ``gabor`` is the energy of bars at ``180 * orientation /
orientations`` degrees, counter-clockwise from the horizontal, with ``6 * 2**scale`` pixels a cycle.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nd_plugin import (
    Axis,
    BadInput,
    Geometry,
    Identity,
    LayerDescription,
    LayerNotFound,
    ModelNotFound,
    ModelOptions,
    Preprocess,
    SpecText,
    Unavailable,
    call_with_options,
    geometry,
    nearest,
)

VERSION = "1"  # a new one whenever any filter changes
LAYERS = {"gabor": "energy", "opponent": "difference", "pooled": "mean"}  # in the order in which they run
STRIDE = 4  # pixels between two cells
FINEST = 6  # pixels a cycle
PIXELS_AS_THEY_ARE = Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), source="the filter bank's own")


class FilterBankBackend:
    """The backend ``filterbank``."""

    def open(self, model: Any, options: ModelOptions) -> FilterBank:
        """Open ``filterbank:gabor``. Raises ModelNotFound, BadInput, Unavailable."""
        text = SpecText.parse(model)
        if text.argument != "gabor":
            raise ModelNotFound(f"no filter bank {text.argument!r}; there is one: filterbank:gabor")
        if options.weights is not None:
            raise BadInput(f"{model} has no weights to load {options.weights!r} into")
        opened: FilterBank = call_with_options(gabor_bank, device_of(options.device), text.options, "filterbank:gabor")
        return opened


def gabor_bank(device: torch.device, *, orientations: str = "8", scales: str = "2") -> FilterBank:
    """A bank on a device; the options come as they stand in the text."""
    source = f"filterbank:gabor?orientations={orientations}&scales={scales}"
    angles, octaves = whole("orientations", orientations, 64), whole("scales", scales, 5)
    kernels = tuple(gabor_pairs(FINEST * 2**scale, angles).to(device) for scale in range(octaves))
    fingerprint = hashlib.sha256(f"{VERSION} {angles} {octaves}".encode()).hexdigest()[:16]
    return FilterBank(Identity("gabor", source, VERSION, fingerprint), device, kernels)


def whole(option: str, value: str, most: int) -> int:
    """An option's value as a number. Raises BadInput."""
    if not value.isdecimal() or not 1 <= int(value) <= most:
        raise BadInput(f"filterbank:gabor: {option}={value} is not a whole number from 1 to {most}")
    return int(value)


def device_of(wanted: str) -> torch.device:
    """The device that was asked for, ``auto`` being the fastest. Raises Unavailable, never falls back."""
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted)
    except RuntimeError as error:
        raise BadInput(f"no device {wanted!r}: auto, cpu, cuda, cuda:1 … are") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise Unavailable(f"device {wanted!r} was asked for, and torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def gabor_pairs(wavelength: int, orientations: int) -> Tensor:
    """Filters in cosine phase, then in sine phase, (2 * orientation, 1, row, column); a plain area gives 0."""
    reach, spread = math.ceil(1.25 * wavelength), 0.5 * wavelength
    side = torch.arange(-reach, reach + 1, dtype=torch.float64)
    rows, columns = torch.meshgrid(side, side, indexing="ij")
    angles = torch.arange(orientations, dtype=torch.float64).view(-1, 1, 1) * math.pi / orientations
    phase = (columns * angles.sin() + rows * angles.cos()) * 2 * math.pi / wavelength  # across the bars
    window = torch.exp(-(rows**2 + columns**2) / (2 * spread**2))
    window /= window.sum()
    even = window * phase.cos()
    even -= window * even.sum((1, 2), keepdim=True)
    return torch.cat([even, window * phase.sin()]).unsqueeze(1).float()


@dataclass(frozen=True)
class FilterBank:
    """A model in the sense of nd_plugin, though no network: it has layers, units and receptive fields."""

    identity: Identity
    device: torch.device
    kernels: tuple[Tensor, ...]  # per scale (2 * orientation, 1, row, column)
    preprocess: Preprocess = PIXELS_AS_THEY_ARE
    backend: str = "filterbank"
    notes: tuple[str, ...] = ()

    def layers(self, size: tuple[int, int]) -> Sequence[LayerDescription]:
        """Every layer, in the order in which they run."""
        maps, where = self.maps(torch.zeros(1, 3, *size)), self.geometries()
        return [LayerDescription(name, kind, tuple(maps[name].shape), where[name]) for name, kind in LAYERS.items()]

    @contextmanager
    def probe(self, layers: Sequence[Any], size: tuple[int, int]) -> Iterator[FilterProbe]:
        """Open a probe; nothing is put into the bank, so nothing is to be taken out of it."""
        for layer in layers:
            if layer not in LAYERS:
                close = nearest(str(layer), LAYERS) or list(LAYERS)
                raise LayerNotFound(f"no layer {layer!r} in {self.identity.source}; the nearest are {', '.join(close)}")
        yield FilterProbe(self, tuple(dict.fromkeys(layers)))

    def geometries(self) -> dict[str, Geometry]:
        """Where the cells of each layer look; they differ in extent alone, so that ``pooled`` can join them."""
        fields = [geometry.convolve(Axis(), n, STRIDE, n // 2) for n in (k.shape[-1] for k in self.kernels)]
        gabor = max(fields, key=lambda axis: axis.size)
        opponent, pooled = geometry.convolve(Axis(), 5, STRIDE, 2), geometry.convolve(gabor, 3, 2, 1)
        return {name: Geometry(axis, axis) for name, axis in zip(LAYERS, (gabor, opponent, pooled), strict=True)}

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """The activation maps (image, unit, row, column) of every layer for images (image, 3, row, column)."""
        images = images.to(self.device)
        gabor = torch.cat([energy(images, kernels) for kernels in self.kernels], dim=1)
        opponent = F.avg_pool2d(opponents(images), 5, STRIDE, 2, count_include_pad=False)
        pooled = F.avg_pool2d(torch.cat([gabor, opponent], dim=1), 3, 2, 1, count_include_pad=False)
        return {"gabor": gabor, "opponent": opponent, "pooled": pooled}


@dataclass(frozen=True)
class FilterProbe:
    """An open look into layers of a bank."""

    bank: FilterBank
    layers: tuple[str, ...]

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        """The receptive-field geometry of each layer."""
        return {layer: self.bank.geometries()[layer] for layer in self.layers}

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Activation maps (image, unit, row, column) of each layer."""
        maps = self.bank.maps(images)
        return {layer: maps[layer] for layer in self.layers}


def energy(images: Tensor, kernels: Tensor) -> Tensor:
    """How much of each orientation there is, whatever its phase; edges are repeated, since zeros are edges too."""
    luminance = (images * images.new_tensor([0.299, 0.587, 0.114]).view(-1, 1, 1)).sum(1, keepdim=True)
    reach = kernels.shape[-1] // 2
    found = F.conv2d(F.pad(luminance, [reach] * 4, mode="replicate"), kernels, stride=STRIDE)
    cosine, sine = found.chunk(2, dim=1)
    return torch.hypot(cosine, sine)


def opponents(images: Tensor) -> Tensor:
    """Red, green, blue and yellow, each as what it exceeds its opponent by."""
    red, green, blue = images.unbind(1)
    redness, blueness = red - green, blue - (red + green) / 2
    return torch.stack([redness, -redness, blueness, -blueness], dim=1).relu()
