"""Reproducibility of activation maps: a batch against its images, and against a second run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nd_plugin.contracts.noise_run import NoiseRun
from nd_plugin.errors import NDError

Maps = Mapping[str, Tensor]

# of the largest absolute value: kernels add up in another order for another batch size
TOLERANCE = 1e-4
HALF_PRECISION_TOLERANCES = {
    # five units in the last place
    torch.float16: 5e-3,
    torch.bfloat16: 4e-2,
}
ONE_AT_A_TIME = (
    "outputs depend on the rest of the batch; images were run one at a time"
)


@dataclass(frozen=True)
class Reproducibility:
    """Layers whose maps of an image differ from run to run, or by the other images of the batch."""

    random: tuple[str, ...] = ()
    batch_dependent: tuple[str, ...] = ()
    takes_single_images: bool = True
    # the batch, and its maps of layers that are not random
    noise_run: NoiseRun | None = field(default=None, compare=False, repr=False)

    @property
    def needs_single_images(self) -> bool:
        """Return whether images have to be run one at a time to have maps of their own."""
        return bool(self.batch_dependent) and self.takes_single_images

    @property
    def unreliable(self) -> tuple[str, ...]:
        """Reasons why the same image may give other maps, each with the layers and the remedy."""
        reasons = []
        if self.random:
            reasons.append(
                f"{_named(self.random)}: two runs of the same images give different activations; "
                "the model draws random numbers (dropout or noise at test time) or changes its "
                "own state: turn this off, where the model is defined or exported, or choose a "
                "layer in front of it"
            )
        if self.batch_dependent and not self.takes_single_images:
            reasons.append(
                f"{_named(self.batch_dependent)}: activations of an image depend on the rest of "
                "its batch (statistics of the batch at test time), and the model fails on single "
                "images: use running statistics, or choose a layer in front of them"
            )
        return tuple(reasons)


def examine_reproducibility(
    run: Callable[[Tensor], Maps],
    images: Tensor,
    computed_in: torch.dtype | None = None,
) -> Reproducibility:
    """Compare the maps of a batch with those of its images alone; repeat the batch on suspicion.

    ``run`` returns the maps (image, unit, row, column) of images by layer, and may change the
    images that it gets. ``computed_in`` is the type whose rounding errors the maps have; None:
    their own. Raises what ``run`` raises on the batch as a whole.
    """
    maps = run(images.clone())
    single_maps = _maps_of_single_images(run, images)
    expected = single_maps
    if expected is None:
        expected = _maps_in_another_batch(run, images)
    suspects = [
        layer
        for layer in maps
        if not nearly_equal(expected[layer], maps[layer], computed_in)
    ]
    if not suspects:
        return Reproducibility(noise_run=NoiseRun(images, maps))
    repeated = run(images.clone())
    random = [
        layer
        for layer in suspects
        if not nearly_equal(repeated[layer], maps[layer], computed_in)
    ]
    batch_dependent = [layer for layer in suspects if layer not in random]
    reproducible = {layer: maps[layer] for layer in maps if layer not in random}
    return Reproducibility(
        tuple(random),
        tuple(batch_dependent),
        single_maps is not None,
        NoiseRun(images, reproducible),
    )


def _maps_of_single_images(
    run: Callable[[Tensor], Maps], images: Tensor
) -> dict[str, Tensor] | None:
    """Run images one at a time and join their maps; None where the model fails on one image."""
    try:
        runs = [run(image[None].clone()) for image in images]
    except (NDError, RuntimeError):
        return None
    return {layer: torch.cat([maps[layer] for maps in runs]) for layer in runs[0]}


def _maps_in_another_batch(
    run: Callable[[Tensor], Maps], images: Tensor
) -> dict[str, Tensor]:
    """Return the maps of each image in a batch of copies of itself."""
    maps_of_images = []
    for image in images:
        copies = image.expand_as(images).clone()
        maps_of_images.append(run(copies))
    layers = maps_of_images[0]
    return {
        layer: torch.cat([maps[layer][:1] for maps in maps_of_images])
        for layer in layers
    }


def nearly_equal(
    actual: Tensor, expected: Tensor, computed_in: torch.dtype | None = None
) -> bool:
    """Return whether two tensors have the same shape and the same values up to rounding.

    NaN equals NaN, and an infinity itself. ``computed_in`` is the type whose rounding errors the
    values have; None: their own.
    """
    if actual.shape != expected.shape:
        return False
    is_same = (actual == expected) | (actual.isnan() & expected.isnan())
    difference = (actual - expected).abs().masked_fill(is_same, 0)
    largest = expected.abs().masked_fill(~expected.isfinite(), 0)
    if not expected.numel():
        return True
    dtype = computed_in or expected.dtype
    relative_tolerance = HALF_PRECISION_TOLERANCES.get(dtype, TOLERANCE)
    tolerance = relative_tolerance * float(largest.amax())
    return float(difference.amax()) <= tolerance


def equals_single_images(
    outputs: Sequence[Tensor],
    run: Callable[[Tensor], Sequence[Tensor]],
    images: Tensor,
) -> bool:
    """Return whether the ``outputs`` for a batch are those that ``run`` returns image by image."""
    single_runs = [run(images[index : index + 1]) for index in range(len(images))]
    for position, output in enumerate(outputs):
        joined = torch.cat(
            [single_outputs[position] for single_outputs in single_runs]
        )
        if not nearly_equal(output, joined):
            return False
    return True


def _named(layers: Sequence[str]) -> str:
    noun = "layer" if len(layers) == 1 else "layers"
    return f"{noun} {', '.join(map(repr, layers))}"
