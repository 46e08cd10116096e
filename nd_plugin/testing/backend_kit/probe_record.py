"""Record of a probe: what it states of its layers, and its maps for several batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nd_plugin.contracts.models import Model, Probe
from nd_plugin.receptive_fields.geometry import Size
from nd_plugin.receptive_fields.perturbation import PerturbedImages
from nd_plugin.testing.outcomes import Outcome
from nd_plugin.testing.places import perturbed_noise

Maps = dict[str, Tensor]
FILLING = 7.0  # what maps that were given are overwritten with


@dataclass(frozen=True)
class Ownership:
    """Maps and images that were changed by others, beside copies from before."""

    images: Tensor  # that the probe was given
    images_before: Tensor
    first: Maps  # of the first pass, after later passes
    first_before: Maps
    after_change_of_images: Maps  # of a pass whose images were changed afterwards
    before_change_of_images: Maps
    after_change_of_maps: (
        Maps  # of the same images again, after maps were overwritten
    )


@dataclass(frozen=True)
class ProbeRecord:
    """What a probe has given while it was open; a step that failed says so when it is asked for."""

    probe: Probe
    requested: Sequence[Any]
    given: Outcome[Any]  # what a call returns, as it is
    maps: Outcome[Maps]  # copies, of the images
    repeated: Outcome[Maps]  # of the same images again
    single: Outcome[Maps]  # of the images one by one, joined
    reversed: Outcome[Maps]  # of the images in the other order, put back in order
    pair: Outcome[Maps]  # of the first two images
    ownership: Outcome[Ownership]
    perturbed_images: PerturbedImages
    perturbed: Outcome[Maps]  # of the perturbed images
    unreliable: bool  # the probe says that maps may vary


def record_probe(
    model: Model, layers: Sequence[Any], size: Size, images: Tensor
) -> ProbeRecord:
    """Open a probe, and run it on batches of images (image, channel, row, column)."""
    perturbed_images = perturbed_noise(model, size)

    def run(batch: Tensor) -> Maps:
        return copies_of(probe(batch.clone()))

    def run_singly() -> Maps:
        runs = [run(images[index : index + 1]) for index in range(len(images))]
        return {
            layer: torch.cat([maps[layer] for maps in runs]) for layer in runs[0]
        }

    def run_reversed() -> Maps:
        maps = run(images.flip(0))
        return {layer: maps[layer].flip(0) for layer in maps}

    with model.probe(layers, size) as probe:
        return ProbeRecord(
            probe,
            layers,
            given=Outcome("a call of the probe", lambda: probe(images.clone())),
            maps=Outcome("a call of the probe", lambda: run(images)),
            repeated=Outcome("a second call", lambda: run(images)),
            single=Outcome("a call with a single image", run_singly),
            reversed=Outcome(
                "a call with the images in another order", run_reversed
            ),
            pair=Outcome("a call with two images", lambda: run(images[:2])),
            ownership=Outcome("a call", lambda: _change_everything(probe, images)),
            perturbed_images=perturbed_images,
            perturbed=Outcome(
                "a call with perturbed images", lambda: run(perturbed_images.images)
            ),
            unreliable=bool(getattr(probe, "unreliable", ())),
        )


def copies_of(maps: Mapping[str, Tensor]) -> Maps:
    """Return copies of maps, which nothing changes any more."""
    return {layer: maps[layer].detach().clone() for layer in maps}


def _change_everything(probe: Probe, images: Tensor) -> Ownership:
    """Run passes, and change their images and maps between them as a caller may."""
    own_images = images.clone()
    first = dict(probe(own_images))
    first_before = copies_of(first)
    images_after = own_images.clone()
    others = images.flip(0).contiguous()
    second = probe(others)
    before_change = copies_of(second)
    others.fill_(FILLING)
    after_change = copies_of(second)
    overwritten = copies_of(first)
    later = probe(images.clone())
    for maps in later.values():
        maps.fill_(FILLING)
    after_change_of_maps = copies_of(probe(images.clone()))
    return Ownership(
        images_after,
        images,
        overwritten,
        first_before,
        after_change,
        before_change,
        after_change_of_maps,
    )
