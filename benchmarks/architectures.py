"""Places of cells in many architectures: derived from operations, and measured on perturbed images.

    python benchmarks/architectures.py [NAME …]

Random weights, so nothing is downloaded; timm and torchvision have to be installed. Of each
network, ten layers evenly spaced over its depth are probed. Prints a Markdown table.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from nd_plugin import LayerDescription, NDError, open_model
from nd_plugin.testing.places import VerifiedPlace, verify_places

LAYERS = 10  # probed of each network
VERDICTS = ("agrees", "differs", "not measurable")
ARCHITECTURES = """
torchvision:alexnet torchvision:vgg16 torchvision:resnet18 torchvision:resnet50
torchvision:googlenet torchvision:inception_v3 torchvision:densenet121
torchvision:mobilenet_v2 torchvision:mobilenet_v3_small torchvision:shufflenet_v2_x1_0
torchvision:squeezenet1_1 torchvision:mnasnet1_0 torchvision:regnet_y_400mf
torchvision:efficientnet_b0 torchvision:convnext_tiny torchvision:swin_t
torchvision:swin_v2_t torchvision:vit_b_16 torchvision:maxvit_t
timm:vit_tiny_patch16_224 timm:deit_tiny_distilled_patch16_224 timm:beit_base_patch16_224
timm:convit_tiny timm:cait_xxs24_224 timm:crossvit_tiny_240 timm:coat_tiny timm:pit_ti_224
timm:levit_128s timm:gcvit_xxtiny timm:sequencer2d_s timm:volo_d1_224 timm:hieradet_small
timm:hrnet_w18_small timm:efficientformerv2_s0 timm:efficientvit_b0 timm:efficientvit_m0
timm:mobilevit_s timm:mobilevitv2_050 timm:mixer_s16_224 timm:resmlp_12_224 timm:gmlp_ti16_224
timm:poolformer_s12 timm:xcit_tiny_12_p16_224 timm:twins_pcpvt_small timm:pvt_v2_b0
timm:edgenext_xx_small timm:repvgg_a0 timm:dla34 timm:dpn68 timm:res2net50_26w_4s
timm:resnest14d timm:selecsls42 timm:vovnet39a timm:nfnet_l0 timm:ghostnet_100
""".split()


@dataclass(frozen=True)
class Row:
    """Line of the table."""

    architecture: str
    listed: int
    without_units: int
    places: Sequence[VerifiedPlace]

    @property
    def largest_deviation(self) -> float:
        """Largest distance of measured from derived centres, in cells."""
        derived = [place for place in self.places if not place.stated.measured]
        return max((place.deviation.largest for place in derived), default=0.0)

    @property
    def verdicts(self) -> Counter[str]:
        """Number of layers by verdict; results say so of those that differ."""
        return Counter(place.verdict for place in self.places)

    def cells(self) -> Iterator[str]:
        """Yield the texts of the line's cells."""
        deepest = self.places[-1]
        measured = sum(place.stated.measured for place in self.places)
        spread = sum(not place.stated.anchored for place in self.places)
        yield self.architecture
        yield f"{self.listed - self.without_units} of {self.listed}"
        yield f"{len(self.places) - measured - spread} / {measured} / {spread}"
        yield f"`{deepest.layer}`"
        yield _axis_text(deepest, "stated")
        yield _axis_text(deepest, "measured")
        yield f"{self.largest_deviation:.2f}"
        verdicts = self.verdicts
        yield " / ".join(str(verdicts[verdict]) for verdict in VERDICTS)


def main(names: Sequence[str]) -> None:
    """Print the table."""
    print(
        "| architecture | layers with units | derived / measured / spread | deepest | "
        "stated | measured | largest difference | agree / differ, said / not measurable |"
    )
    print("|" + "---|" * 8)
    for name in names or ARCHITECTURES:
        try:
            row = examine(name)
        except NDError as error:
            print(f"| {name} | {error} |", flush=True)
            continue
        print("| " + " | ".join(row.cells()) + " |", flush=True)


def examine(name: str) -> Row:
    """Return the line of a network with random weights."""
    torch.manual_seed(0)
    model = open_model(build(name))
    size = model.preprocess.size
    layers = model.layers(size)
    places = list(verify_places(model, choose_layers(layers), size))
    without_units = sum(layer.shape is None for layer in layers)
    return Row(name.partition(":")[2], len(layers), without_units, places)


def build(name: str) -> nn.Module:
    """Return a network with random weights, in evaluation mode."""
    library, _, network = name.partition(":")
    if library == "timm":
        module = importlib.import_module("timm").create_model(network)
    else:
        models = importlib.import_module("torchvision").models
        module = models.get_model(network, weights=None)
    return module.eval()


def choose_layers(layers: Sequence[LayerDescription]) -> list[LayerDescription]:
    """Return layers of several cells, evenly spaced, the deepest one among them."""
    with_cells = [
        layer for layer in layers if layer.shape and prod(layer.shape[2:]) > 1
    ]
    step = max((len(with_cells) - 1) / (LAYERS - 1), 1)
    indices = {
        round(len(with_cells) - 1 - step * number) for number in range(LAYERS)
    }
    return [with_cells[index] for index in sorted(indices) if index >= 0]


def _axis_text(place: VerifiedPlace, kind: str) -> str:
    geometry = place.stated if kind == "stated" else place.measured
    if geometry is None:
        return "–"
    rows = geometry.rows
    return f"{rows.offset:g} + {rows.stride:g}·u"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
