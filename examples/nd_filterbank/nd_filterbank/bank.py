"""Filter banks as models: an example of everything that a backend provides.

Unit ``scale * orientations + orientation`` of the layer ``gabor`` is the energy of bars at
``180 * orientation / orientations`` degrees, counter-clockwise from the horizontal, with
``6 * 2**scale`` pixels a cycle.
"""

from __future__ import annotations

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
    fingerprint,
    geometry,
    nearest,
)

VERSION = "1"  # to be raised whenever any filter changes
# in order of running
LAYER_KINDS = {"gabor": "energy", "opponent": "difference", "pooled": "mean"}
STRIDE = 4  # pixels between neighbouring cells
OPPONENT_SIZE = 5  # pixels, side of the windows of ``opponent``
POOLED_SIZE = 3  # cells, side of the windows of ``pooled``
POOLED_STRIDE = 2
FINEST_WAVELENGTH = 6  # pixels a cycle
MAX_ORIENTATIONS = 64
MAX_SCALES = 5
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
UNCHANGED_PIXELS = Preprocess(
    mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), source="the filter bank's own"
)


class FilterBankBackend:
    """Backend ``filterbank``."""

    def open(self, model: Any, options: ModelOptions) -> FilterBank:
        """Open ``filterbank:gabor``. Raises ModelNotFound, BadInput, Unavailable."""
        text = SpecText.parse(model)
        if text.argument != "gabor":
            raise ModelNotFound(
                f"no filter bank {text.argument!r}; there is one: filterbank:gabor"
            )
        if options.weights is not None:
            raise BadInput(
                f"{model} has no weights to load {options.weights!r} into"
            )
        if options.input is not None or options.feeds or options.custom_ops:
            raise BadInput(
                f"{model} takes one tensor of images: leave out --input, --feed and "
                "--custom-op-library"
            )
        device = choose_device(options.device)
        bank: FilterBank = call_with_options(
            gabor_bank, device, text.options, "filterbank:gabor"
        )
        return bank


def gabor_bank(
    device: torch.device, *, orientations: str = "8", scales: str = "2"
) -> FilterBank:
    """Build a bank on a device; options are texts, as in ``filterbank:gabor?scales=3``."""
    source = f"filterbank:gabor?orientations={orientations}&scales={scales}"
    orientation_count = parse_count("orientations", orientations, MAX_ORIENTATIONS)
    scale_count = parse_count("scales", scales, MAX_SCALES)
    kernels = []
    for scale in range(scale_count):
        pairs = gabor_pairs(FINEST_WAVELENGTH * 2**scale, orientation_count)
        kernels.append(pairs.to(device))
    content = f"{VERSION} {orientation_count} {scale_count}"
    identity = Identity("gabor", source, VERSION, fingerprint([content.encode()]))
    return FilterBank(identity, device, tuple(kernels))


def parse_count(option: str, value: str, maximum: int) -> int:
    """Return an option's value as a number from 1 to ``maximum``. Raises BadInput."""
    if not value.isdecimal() or not 1 <= int(value) <= maximum:
        raise BadInput(
            f"filterbank:gabor: {option}={value} is not a whole number from 1 to {maximum}"
        )
    return int(value)


def choose_device(requested: str) -> torch.device:
    """Return the requested device; ``auto`` is CUDA if available, else the CPU.

    Raises BadInput for a text that names no device, and Unavailable; never falls back to another.
    """
    if requested == "auto":
        requested = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(requested)
    except RuntimeError as error:
        raise BadInput(
            f"no device {requested!r}; devices are auto, cpu, cuda, cuda:1 …"
        ) from error
    gpu_count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= gpu_count:
        raise Unavailable(
            f"device {requested!r} was asked for, but torch sees {gpu_count} CUDA devices; "
            "use --device cpu"
        )
    return device


def gabor_pairs(wavelength: int, orientations: int) -> Tensor:
    """Return filters (2 * orientation, 1, row, column): cosine phase, then sine phase.

    A filter's response to a uniform area is 0.
    """
    radius = math.ceil(1.25 * wavelength)
    deviation = 0.5 * wavelength  # of the Gaussian window
    side = torch.arange(-radius, radius + 1, dtype=torch.float64)
    rows, columns = torch.meshgrid(side, side, indexing="ij")
    steps = torch.arange(orientations, dtype=torch.float64).view(-1, 1, 1)
    angles = steps * math.pi / orientations
    across_bars = columns * angles.sin() + rows * angles.cos()
    phase = across_bars * 2 * math.pi / wavelength
    window = torch.exp(-(rows**2 + columns**2) / (2 * deviation**2))
    window /= window.sum()
    cosine = window * phase.cos()
    cosine -= window * cosine.sum((1, 2), keepdim=True)
    sine = window * phase.sin()
    return torch.cat([cosine, sine]).unsqueeze(1).float()


@dataclass(frozen=True)
class FilterBank:
    """Model in the sense of nd_plugin: it has layers, units and receptive fields."""

    identity: Identity
    device: torch.device
    kernels: tuple[Tensor, ...]  # per scale (2 * orientation, 1, row, column)
    preprocess: Preprocess = UNCHANGED_PIXELS
    backend: str = "filterbank"
    notes: tuple[str, ...] = ()

    def layers(self, size: tuple[int, int]) -> Sequence[LayerDescription]:
        """List all layers in the order in which they run."""
        maps = self.maps(torch.zeros(1, 3, *size))
        geometries = self.geometries()
        return [
            LayerDescription(name, kind, tuple(maps[name].shape), geometries[name])
            for name, kind in LAYER_KINDS.items()
        ]

    @contextmanager
    def probe(
        self, layers: Sequence[Any], size: tuple[int, int]
    ) -> Iterator[FilterProbe]:
        """Open a probe; the bank is not changed by it, so there is nothing to restore."""
        for layer in layers:
            if layer not in LAYER_KINDS:
                suggestions = ", ".join(
                    nearest(str(layer), LAYER_KINDS) or LAYER_KINDS
                )
                raise LayerNotFound(
                    f"no layer {layer!r} in {self.identity.source}; the nearest are {suggestions}"
                )
        distinct_layers = tuple(dict.fromkeys(layers))
        yield FilterProbe(self, distinct_layers)

    def geometries(self) -> dict[str, Geometry]:
        """Return the receptive fields of each layer's cells.

        Those of different scales have the same centres, so the largest can stand for all.
        """
        scale_axes = []
        for kernels in self.kernels:
            size = kernels.shape[-1]
            scale_axes.append(geometry.convolve(Axis(), size, STRIDE, size // 2))
        gabor = max(scale_axes, key=lambda axis: axis.size)
        opponent = geometry.convolve(
            Axis(), OPPONENT_SIZE, STRIDE, OPPONENT_SIZE // 2
        )
        pooled = geometry.convolve(
            gabor, POOLED_SIZE, POOLED_STRIDE, POOLED_SIZE // 2
        )
        return {
            "gabor": Geometry(gabor, gabor),
            "opponent": Geometry(opponent, opponent),
            "pooled": Geometry(pooled, pooled),
        }

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """Return each layer's maps (image, unit, row, column) of images (image, 3, row, column)."""
        images = images.to(self.device)
        gabor = torch.cat(
            [energy(images, kernels) for kernels in self.kernels], dim=1
        )
        opponent = pool(opponents(images), OPPONENT_SIZE, STRIDE)
        pooled = pool(
            torch.cat([gabor, opponent], dim=1), POOLED_SIZE, POOLED_STRIDE
        )
        return {"gabor": gabor, "opponent": opponent, "pooled": pooled}


@dataclass(frozen=True)
class FilterProbe:
    """Open look into layers of a bank."""

    bank: FilterBank
    layers: tuple[str, ...]

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        """Receptive fields of each layer's cells."""
        geometries = self.bank.geometries()
        return {layer: geometries[layer] for layer in self.layers}

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return activation maps (image, unit, row, column) of each layer."""
        maps = self.bank.maps(images)
        return {layer: maps[layer] for layer in self.layers}


def energy(images: Tensor, kernels: Tensor) -> Tensor:
    """Return the strength of each orientation, whatever its phase.

    Images are padded by their edge pixels: a border of zeros would be an edge itself.
    """
    weights = images.new_tensor(LUMINANCE).view(-1, 1, 1)
    luminance = (images * weights).sum(1, keepdim=True)
    radius = kernels.shape[-1] // 2
    padded = F.pad(luminance, [radius] * 4, mode="replicate")
    cosine, sine = F.conv2d(padded, kernels, stride=STRIDE).chunk(2, dim=1)
    return torch.hypot(cosine, sine)


def opponents(images: Tensor) -> Tensor:
    """Return red, green, blue and yellow, each as its excess over the opponent colour."""
    red, green, blue = images.unbind(1)
    red_green = red - green
    blue_yellow = blue - (red + green) / 2
    return torch.stack(
        [red_green, -red_green, blue_yellow, -blue_yellow], dim=1
    ).relu()


def pool(maps: Tensor, size: int, stride: int) -> Tensor:
    """Average maps over square windows, of which the pixels outside do not count."""
    return F.avg_pool2d(maps, size, stride, size // 2, count_include_pad=False)
