"""Cases of device.py: networks, their layers, and a concept set of any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from nd_plugin import Annotation, ConceptSet, Preprocess, open_model

CALIBRATION_IMAGES = 64
# of EfficientNet-Lite0
FOUR_LAYERS = ("_blocks.4", "_blocks.10", "_blocks.15", "_bn1")


class Repeated:
    """Concept set with the images of another, again and again; each is decoded each time."""

    def __init__(self, concepts: ConceptSet, images: int) -> None:
        self.original = concepts
        self.images = images

    def __getattr__(self, name: str) -> Any:
        if name == "original":  # not there yet while it is unpickled
            raise AttributeError(name)
        return getattr(self.original, name)

    def __len__(self) -> int:
        return self.images

    def name(self, index: int) -> str:
        """Return the original's name, and which repetition it is."""
        repetition, original_index = divmod(index, len(self.original))
        return f"{self.original.name(original_index)}#{repetition}"

    def image(self, index: int) -> Image.Image:
        """Decode an image."""
        return self.original.image(index % len(self.original))

    def annotation(self, index: int) -> Annotation:
        """Decode an annotation."""
        return self.original.annotation(index % len(self.original))


@dataclass(frozen=True)
class Case:
    """Layers of a network that are dissected in one run."""

    name: str
    build: Callable[[], nn.Module]
    layers: Sequence[str]
    aim: float  # ratio to the bare loop that is wanted
    is_trained: bool = False
    # in an ONNX export, where they have other names there
    exported_layers: Sequence[str] = ()

    def network(self, concepts: ConceptSet) -> nn.Module:
        """Return the network on the CPU; BatchNorm knows the statistics of some images.

        Without these, random weights let the activations of deep networks grow or vanish.
        """
        torch.manual_seed(0)
        model = self.build().eval()
        if not self.is_trained:
            preprocess = open_model(model).preprocess
            calibrate(model, images_of(concepts, preprocess))
        return model.eval()


def images_of(concepts: ConceptSet, preprocess: Preprocess) -> Tensor:
    """Return some of the images, normalised, (image, channel, row, column)."""
    count = min(CALIBRATION_IMAGES, len(concepts))
    step = len(concepts) // count
    pixels = [
        preprocess.resize(concepts.image(index * step)) for index in range(count)
    ]
    return preprocess.normalise(torch.stack(pixels))


def calibrate(model: nn.Module, images: Tensor) -> None:
    """Set the statistics of BatchNorm layers to those of a batch."""
    norms = [
        module for module in model.modules() if isinstance(module, nn.BatchNorm2d)
    ]
    if not norms:
        return
    for module in norms:
        module.train()
        module.momentum = None  # the average of all batches, of which there is one
    with torch.inference_mode():
        model(images)


def torchvision_case(name: str, layers: Sequence[str], aim: float) -> Case:
    """Return the case of a model of torchvision."""

    def build() -> nn.Module:
        import torchvision

        model: nn.Module = torchvision.models.get_model(name, weights=None)
        return model

    return Case(name, build, layers, aim)


def efficientnet_lite0() -> nn.Module:
    """Return the one network with trained weights, which come in a package."""
    from nd_torch.zoo import efficientnet_lite0 as trained

    model: nn.Module = trained()
    return model


CASES = [
    torchvision_case("resnet18", ["layer4"], 1.25),
    torchvision_case("alexnet", ["features.11"], 1.25),
    torchvision_case("vgg16", ["features.29"], 1.25),
    torchvision_case("vit_b_16", ["encoder.layers.encoder_layer_11"], 1.15),
    Case(
        "efficientnet_lite0",
        efficientnet_lite0,
        FOUR_LAYERS,
        1.15,
        is_trained=True,
        # BatchNorm is folded into the convolution before it
        exported_layers=(*FOUR_LAYERS[:-1], "_conv_head"),
    ),
    torchvision_case("resnet50", ["layer1", "layer2", "layer3", "layer4"], 1.8),
]
