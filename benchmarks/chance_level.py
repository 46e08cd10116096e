"""Level of chance: python benchmarks/chance_level.py DATA [--permutations 100] [--quantiles …]

DATA is a folder in Broden's format. EfficientNet-Lite0 is dissected with its weights and with random
ones, and a small random network; then maps of noise, which know nothing of the images: their p-values
are uniform; and detectors of the shapes set's own concepts, planted: theirs are the smallest possible.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nd_plugin import Dissection, LayerDissection, open_concepts

LAYERS = ("_blocks.4", "_blocks.10", "_blocks.15")
NOISE_UNITS = 400
NOISE_CELLS = 14
HEADER = (
    "network and layer, quantile, detectors (95 %) of units, expected by chance (95 %), "
    "false-discovery rate, unique: found, by chance; units at the smallest p, units of q < 0.05"
)


class NoiseMaps(nn.Module):
    """Smooth noise of its own for each image, from the image's bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, NOISE_UNITS, 16, stride=16)

    def forward(self, images: Tensor) -> Tensor:
        """Return noise where the convolution has its cells."""
        maps: Tensor = self.maps(images)
        noise = [self._noise(image, maps.shape[-2:]) for image in images]
        # the values are those of the noise, the places those of the convolution
        return 0 * maps + torch.stack(noise)

    def _noise(self, image: Tensor, cells: Any) -> Tensor:
        seed = int(image.double().abs().sum().item() * 1e6) % 2**31
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn((NOISE_UNITS, *cells), generator=generator)
        return nn.functional.avg_pool2d(noise, 3, 1, 1)


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


def main() -> None:
    """Dissect the networks, the noise and the planted detectors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--permutations", type=int, default=100)
    parser.add_argument("--quantiles", nargs="+", type=float, default=[0.005, 0.04])
    options = parser.parse_args()

    from nd_torch.zoo import efficientnet_lite0

    concept_set = open_concepts(f"broden:{options.data}")

    def dissect(model: nn.Module, layers: Any) -> list[Dissection]:
        results = LayerDissection(model, list(layers)).dissect(
            concept_set,
            quantile=options.quantiles,
            folds=20,
            permutations=options.permutations,
            pictures=False,
        )
        return [dissection for layer in results for dissection in layer]

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
    for dissection in dissect(NoiseMaps().eval(), [""]):
        show("noise", dissection)
        counts, _ = np.histogram(dissection.p_values, np.linspace(0, 1, 11))
        print(
            f"  p-values of {dissection.units} units in tenths: {counts.tolist()}"
        )


if __name__ == "__main__":
    main()
