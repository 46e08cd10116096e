"""Level of chance: python benchmarks/chance_level.py DATA [--permutations 100] [--quantiles …]

DATA is a folder in Broden's format. EfficientNet-Lite0 is dissected with its weights and with
random ones, and a small random network; then maps of noise, which know nothing of the images: their
p-values are uniform; and maps that were made from the annotations of the set `shapes`: theirs are
the smallest possible.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nd_plugin import Dissection, LayerDissection, Preprocess, open_concepts

LAYERS = ("_blocks.4", "_blocks.10", "_blocks.15")
NOISE_UNITS = 200
PLANTED = 40  # concepts of the most pixels
PLANTED_SET = "shapes?images=60"
PLANTED_PERMUTATIONS = 20
AS_IT_IS = Preprocess(size=(224, 224), mean=(0, 0, 0), std=(1, 1, 1))
HEADER = (
    "network and layer, quantile, detectors (95 %) of units, expected by chance (95 %), "
    "false-discovery rate, unique: found, by chance; units at the smallest p, units of q < 0.05"
)


class MadeMaps(nn.Module):
    """Maps that are no function of the image; it only says which image it is.

    Cells lie where those of a convolution with this stride do.
    """

    def __init__(self, units: int, stride: int) -> None:
        super().__init__()
        self.places = nn.Conv2d(3, units, stride, stride)
        self.units = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return maps of each image at the places of the convolution's."""
        places = self.places(images)
        maps = [self.make(key_of(image), places.shape[-2:]) for image in images]
        made: Tensor = self.units(0 * places + torch.stack(maps))
        return made

    def make(self, key: int, cells: Any) -> Tensor:
        """Return the maps (unit, row, column) of the image with this key."""
        raise NotImplementedError


def key_of(image: Tensor) -> int:
    """Return a number that tells images of values from 0 to 1 in steps of 1/255 apart."""
    pixels = (image.double() * 255).round().flatten()
    return (
        int((pixels * torch.arange(1, len(pixels) + 1).double()).sum().item())
        % 2**62
    )


class NoiseMaps(MadeMaps):
    """Smooth noise of its own for each image."""

    def make(self, key: int, cells: Any) -> Tensor:
        """Return noise."""
        generator = torch.Generator().manual_seed(key)
        noise = torch.randn((self.places.out_channels, *cells), generator=generator)
        return nn.functional.avg_pool2d(noise, 3, 1, 1)


class PlantedMaps(MadeMaps):
    """Annotation masks of concepts, at half their resolution, with a little noise."""

    def __init__(self, concept_set: Any, concepts: list[int]) -> None:
        super().__init__(len(concepts), 4)
        self.concepts = concepts
        self.masks = {
            key_of(pixels_of(concept_set, index)): concept_set.annotation(index)
            for index in range(len(concept_set))
        }

    def make(self, key: int, cells: Any) -> Tensor:
        """Return a map of each concept, 0 for an image of another set."""
        annotation = self.masks.get(key)
        if annotation is None:
            return torch.zeros((len(self.concepts), *cells))
        planes = [
            torch.from_numpy(np.asarray(plane, np.int64))
            for plane in annotation.planes
        ]
        maps = [self._map(planes, concept, cells) for concept in self.concepts]
        generator = torch.Generator().manual_seed(key)
        return torch.stack(maps) + 0.1 * torch.rand(
            (len(maps), *cells), generator=generator
        )

    def _map(self, planes: list[Tensor], concept: int, cells: Any) -> Tensor:
        masks = [(plane == concept + 1).float() for plane in planes]
        carried = torch.stack(masks).amax(0)
        small = nn.functional.interpolate(
            carried[None, None], size=tuple(cells), mode="area"
        )
        return small[0, 0]


def pixels_of(concept_set: Any, index: int) -> Tensor:
    """Return an image as the network gets it, without normalisation."""
    pixels = np.asarray(concept_set.image(index).convert("RGB"), np.float32) / 255
    return torch.from_numpy(pixels.transpose(2, 0, 1))


def small_network() -> nn.Module:
    """Return four random convolutions."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 128), (128, 128)):
        layers += [
            nn.Conv2d(inputs, outputs, 3, 2, 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers).eval()


def randomised(model: nn.Module) -> nn.Module:
    """Draw all weights anew, as layers do when they are made."""
    torch.manual_seed(0)
    for module in model.modules():
        reset = getattr(module, "reset_parameters", None)
        if reset is not None:
            reset()
    return model.eval()


def show(name: str, dissection: Dissection) -> None:
    """Print a line on a layer."""
    counts = dissection.intervals().counts
    level = dissection.chance_level
    summary = dissection.summary()
    smallest = level.p_values.min()
    fields = (
        f"{name} {dissection.layer}",
        f"{dissection.settings.quantile:g}",
        f"{summary.detectors} ({counts.detectors.low}-{counts.detectors.high}) of {summary.units}",
        f"{level.detectors.mean:.1f} ({level.detectors.low:.0f}-{level.detectors.high:.0f})",
        f"{100 * level.false_discovery_rate:.0f} %",
        f"{summary.unique_detectors}, {level.unique_detectors.mean:.1f}",
        f"{(level.p_values == smallest).sum()} at {smallest:.3g}, {(level.q_values < 0.05).sum()}",
    )
    print(" | ".join(fields), flush=True)
    by_category = [
        f"{category} {count}, {level.detectors_by_category[category].mean:.1f}"
        for category, count in summary.detectors_by_category.items()
    ]
    print(f"  by category: found, by chance: {'; '.join(by_category)}")


def main() -> None:
    """Dissect the networks, the noise and the planted detectors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--permutations", type=int, default=100)
    parser.add_argument("--quantiles", nargs="+", type=float, default=[0.005, 0.04])
    parser.add_argument("--min-iou", type=float, default=0.04)
    options = parser.parse_args()

    from nd_torch.zoo import efficientnet_lite0

    camvid = open_concepts(f"broden:{options.data}")

    def dissect(
        model: nn.Module,
        layers: Any,
        concept_set: Any = camvid,
        preprocess: Preprocess | None = None,
        permutations: int = options.permutations,
    ) -> list[Dissection]:
        results = LayerDissection(model, list(layers)).dissect(
            concept_set,
            quantile=options.quantiles,
            folds=20,
            permutations=permutations,
            min_iou=options.min_iou,
            pictures=False,
            preprocess=preprocess,
        )
        return [
            dissection
            for layer in results
            for dissection in (layer if isinstance(layer, list) else [layer])
        ]

    print(HEADER)
    small_layers = ("2", "5", "8", "11")
    networks = {
        "EfficientNet-Lite0, trained": (efficientnet_lite0().eval(), LAYERS),
        "EfficientNet-Lite0, random": (randomised(efficientnet_lite0()), LAYERS),
        "four convolutions, random": (small_network(), small_layers),
    }
    for name, (model, layers) in networks.items():
        for dissection in dissect(model, layers):
            show(name, dissection)
    noise = NoiseMaps(NOISE_UNITS, 16).eval()
    for dissection in dissect(noise, ["units"], preprocess=AS_IT_IS):
        show("noise", dissection)
        counts, _ = np.histogram(dissection.p_values, np.linspace(0, 1, 11))
        print(
            f"  p-values of {dissection.units} units in tenths: {counts.tolist()}"
        )
    shapes = open_concepts(PLANTED_SET)
    planted = PlantedMaps(shapes, concepts_with_most_pixels(shapes)).eval()
    for dissection in dissect(
        planted, ["units"], shapes, AS_IT_IS, PLANTED_PERMUTATIONS
    ):
        show("shapes, planted", dissection)
        named = sum(
            int(label) == concept
            for label, concept in zip(
                dissection.labels, planted.concepts, strict=True
            )
        )
        print(f"  {named} of {dissection.units} units are named as planted")


def concepts_with_most_pixels(concept_set: Any) -> list[int]:
    """Return the `PLANTED` concepts that label most pixels of planes."""
    pixels = np.zeros(len(concept_set.concepts) + 1, np.int64)
    for index in range(len(concept_set)):
        for plane in concept_set.annotation(index).planes:
            pixels += np.bincount(np.ravel(plane), minlength=len(pixels))
    order = np.argsort(-pixels[1:], kind="stable")
    return sorted(order[:PLANTED].tolist())


if __name__ == "__main__":
    main()
