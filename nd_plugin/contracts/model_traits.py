"""Traits of a model beside its weights, by which a run knows its model again.

Two models are the same when they give the same maps. Weights do not say that: an option of the
spec, another class in the place of a module or an edited ``forward`` computes something else with
the same weights. So a run records what its model gives for images of noise that are always the
same: of each layer 64 sums of its values. The sums themselves are stored, and compared within a
tolerance; a hash of rounded values would differ wherever a value lies at the edge of rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from nd_plugin.contracts.noise_run import NoiseRun
from nd_plugin.contracts.provenance import ModelTraits, fingerprint
from nd_plugin.contracts.reproducibility import nearly_equal
from nd_plugin.errors import NDError

if TYPE_CHECKING:
    from torch import Tensor

    from nd_plugin.contracts.models import Model, Probe
    from nd_plugin.preprocess import Preprocess

SUMS = 64  # of a layer
NOISE_IMAGES = 2


def traits_of(model: Model, probe: Probe, preprocess: Preprocess) -> ModelTraits:
    """Return the traits of a model, by an open probe on the layers of a run.

    A backend that has run noise for a purpose of its own says what came of it
    (``Probe.noise_run``); other models run two images of noise here, twice.
    """
    noise_run = getattr(probe, "noise_run", None)
    if noise_run is None:
        noise_run = _run_noise(probe, preprocess, model.device)
    return ModelTraits(
        spec=str(getattr(model, "spec", "")),
        structure=str(getattr(model, "structure", "")),
        noise=_images_fingerprint(noise_run.images),
        sums=dict(_sums_of_layers(noise_run.maps)),
    )


def signed_sums(maps: Tensor) -> tuple[float, ...]:
    """Return 64 sums of a layer's values (image, unit, row, column), each of every 64th value.

    Values count with a sign that is drawn for each, always the same, and sums are divided by the
    square root of the number of values: they are of the order of a value, and a change of any value
    changes one of them. What is not finite counts as 0.
    """
    values = maps.detach().cpu().double().flatten().numpy()
    with np.errstate(invalid="ignore", over="ignore"):
        sums = _sum_columns(values)
    if not np.isfinite(sums).all():
        sums = _sum_columns(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0))
    scaled = sums / np.sqrt(max(len(values), 1))
    # an infinite one is of values near the largest float64
    return tuple(np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0).tolist())


def _sum_columns(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the sums of every 64th of ``values`` (any,), with signs; (64,)."""
    signed = values * _signs(len(values))
    whole_rows = len(signed) - len(signed) % SUMS
    sums = np.zeros(SUMS)
    sums += signed[:whole_rows].reshape(-1, SUMS).sum(0)
    last_row = signed[whole_rows:]
    sums[: len(last_row)] += last_row
    return sums


@lru_cache(maxsize=4)
def _signs(count: int) -> npt.NDArray[np.int8]:
    """Return random signs, 1 or -1, always the same, as RandomState is frozen."""
    drawn = np.frombuffer(np.random.RandomState(0).bytes(count), dtype=np.uint8)
    return (2 * (drawn & 1)).astype(np.int8) - np.int8(1)


def _sums_of_layers(
    maps: Mapping[str, Tensor],
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield the sums of each layer whose maps can be computed.

    What fails for noise is left to the run, which fails for its images and says why.
    """
    for layer in maps:
        try:
            yield layer, signed_sums(maps[layer])
        except (NDError, torch.OutOfMemoryError):
            continue


def _images_fingerprint(images: Tensor) -> str:
    """Return the fingerprint of shape, type and values of images; "" of none."""
    if not images.numel():
        return ""
    shape = f"{tuple(images.shape)}{images.dtype}"
    content = images.detach().cpu().contiguous().flatten().view(torch.uint8)
    return fingerprint([shape.encode(), content.numpy().data])


def _run_noise(
    probe: Probe, preprocess: Preprocess, device: torch.device
) -> NoiseRun:
    """Run noise through a model; layers that give other maps the second time are left out."""
    images = _noise(preprocess).to(device)
    try:
        first = dict(probe(images.clone()))
        second = probe(images.clone())
        maps = {
            layer: first[layer]
            for layer in first
            if nearly_equal(second[layer], first[layer])
        }
    except Exception:  # a foreign model may refuse noise, in any way
        return NoiseRun.none()
    return NoiseRun(images, maps)


def _noise(preprocess: Preprocess) -> Tensor:
    """Return images of random pixels, preprocessed; (image, channel, row, column)."""
    shape = (NOISE_IMAGES, preprocess.channels, *preprocess.size)
    pixels = np.random.RandomState(0).randint(0, 256, shape, dtype=np.uint8)
    return preprocess.normalise(torch.from_numpy(pixels))
