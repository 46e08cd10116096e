"""Stand-ins for networks that documents name: the layers of the originals, few random channels."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from networks import ResNet18
from torch import nn

from nd_torch import zoo

SIDE = 64  # pixels of an input
VGG16 = (1, 1, "M", 2, 2, "M", 4, 4, 4, "M", 8, 8, 8, "M", 8, 8, 8, "M")
ALEXNET_KERNELS = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))
POOLED = (0, 1, 4)  # AlexNet's convolutions that a pooling follows
CLASSES = 12
UNITS = 256  # of the last layer of ResNet-18


class Weights(Enum):
    """Stand-in of the weights of a model of torchvision."""

    DEFAULT = "default"

    def transforms(self) -> Any:
        """Return what says how images are prepared."""
        return SimpleNamespace(
            crop_size=[SIDE],
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            interpolation=SimpleNamespace(value="bilinear"),
        )


class Features(nn.Module):
    """Network of ``features``, ``avgpool`` and a ``classifier``, as VGG and AlexNet are."""

    def __init__(self, features: nn.Sequential, channels: int) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(channels, CLASSES))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (image, class)."""
        return self.classifier(self.avgpool(self.features(images)))


def vgg16() -> nn.Module:
    """Return VGG-16 with a few channels."""
    layers: list[nn.Module] = []
    inputs = 3
    for width in VGG16:
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
            continue
        outputs = 4 * int(width)
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
        inputs = outputs
    return Features(nn.Sequential(*layers), inputs)


def alexnet() -> nn.Module:
    """Return AlexNet with a few channels."""
    layers: list[nn.Module] = []
    inputs = 3
    for number, (kernel, stride, padding) in enumerate(ALEXNET_KERNELS):
        layers += [nn.Conv2d(inputs, 8, kernel, stride, padding), nn.ReLU(True)]
        inputs = 8
        if number in POOLED:
            layers.append(nn.MaxPool2d(3, 2))
    return Features(nn.Sequential(*layers), inputs)


def resnet18() -> nn.Module:
    """Return ResNet-18 with a few channels."""
    return ResNet18(width=UNITS // 8, classes=CLASSES)


MODELS = {"alexnet": alexnet, "resnet18": resnet18, "vgg16": vgg16}


def build(name: str) -> nn.Module:
    """Return a network with the same random weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return MODELS[name]().eval()


def torchvision_stand_in() -> ModuleType:
    """Return a module ``torchvision`` whose models are small."""
    library = ModuleType("torchvision")
    models = ModuleType("torchvision.models")
    models.__dict__.update(
        list_models=lambda: list(MODELS),
        get_model=lambda name, weights=None: build(name),
        get_model_weights=lambda name: Weights,
        **{name: (lambda weights=None, name=name: build(name)) for name in MODELS},
    )
    for module in (library, models):
        module.__spec__ = ModuleSpec(module.__name__, loader=None)
    library.__dict__.update(models=models, __version__="0.29")
    return library


@contextmanager
def small_networks() -> Iterator[None]:
    """Give ``torchvision`` small models, and our own small images, inside of the block."""
    build_zoo = zoo._efficientnet_lite
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            zoo,
            "_efficientnet_lite",
            lambda number, size, extra: build_zoo(number, SIDE, extra),
        )
        with small_torchvision():
            yield


@contextmanager
def small_torchvision() -> Iterator[None]:
    """Give ``torchvision`` small models inside of the block."""
    before = {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "torchvision"
    }
    library = torchvision_stand_in()
    for name in before:
        del sys.modules[name]
    sys.modules["torchvision"] = library
    sys.modules["torchvision.models"] = library.models
    try:
        yield
    finally:
        del sys.modules["torchvision"], sys.modules["torchvision.models"]
        sys.modules.update(before)


def write_package(root: Path) -> None:
    """Write ``package/module.py`` with a ``factory`` that documents name."""
    package = root / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "module.py").write_text(
        '"""Model of a user."""\n\n'
        "from document_models import build\n\n\n"
        "def factory():\n"
        '    """Return the network."""\n'
        '    return build("resnet18")\n'
    )
