"""Layers that the paper dissects, found by names and kinds, and chosen by ``-l paper``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import networks
import pytest
import torch
from torch import nn

from nd_plugin import BadInput, LayerDescription, LayerNotFound, open_model
from nd_plugin.plugins.layer_patterns import LayerNames, choose_layers
from nd_plugin.plugins.paper_layers import list_paper_layers

SIZE = (64, 64)
# convolutions in each of the five blocks, as in torchvision
VGG_BLOCKS = {
    "VGG-11": (1, 1, 2, 2, 2),
    "VGG-16": (2, 2, 3, 3, 3),
    "VGG-19": (2, 2, 4, 4, 4),
}
ALEXNET = "Conv2d ReLU MaxPool2d Conv2d ReLU MaxPool2d " + (
    "Conv2d ReLU Conv2d ReLU Conv2d ReLU MaxPool2d"
)


def described(names_and_kinds: Sequence[tuple[str, str]]) -> list[LayerDescription]:
    return [
        LayerDescription(name, kind, (1, 4, 8, 8)) for name, kind in names_and_kinds
    ]


def features(kinds: Sequence[str]) -> list[LayerDescription]:
    return described(
        [(f"features.{number}", kind) for number, kind in enumerate(kinds)]
    )


def vgg_kinds(network: str, convolution: Sequence[str]) -> list[str]:
    blocks = [
        [*convolution] * count + ["MaxPool2d"] for count in VGG_BLOCKS[network]
    ]
    return list(chain.from_iterable(blocks))


PLAIN = ("Conv2d", "ReLU")
NORMALISED = ("Conv2d", "BatchNorm2d", "ReLU")


@pytest.mark.parametrize(
    ("network", "convolution", "name", "paper_name"),
    [
        ("VGG-11", PLAIN, "features.19", "conv5_2"),
        ("VGG-16", PLAIN, "features.29", "conv5_3"),
        ("VGG-16", NORMALISED, "features.42", "conv5_3"),
        ("VGG-19", PLAIN, "features.35", "conv5_4"),
    ],
)
def test_vgg(
    network: str, convolution: Sequence[str], name: str, paper_name: str
) -> None:
    (layer,) = list_paper_layers(features(vgg_kinds(network, convolution)))
    assert (layer.name, layer.network) == (name, network)
    assert layer.paper_name == paper_name


def test_vgg_whose_export_has_folded_its_normalisations() -> None:
    kinds = vgg_kinds("VGG-16", ("Conv", "Conv", "Relu"))
    (layer,) = list_paper_layers(features(kinds))
    assert (layer.name, layer.paper_name) == ("features.42", "conv5_3")


def test_alexnet_has_all_its_convolutions_the_compared_one_first() -> None:
    layers = list_paper_layers(features(ALEXNET.split()))
    names = [(layer.name, layer.paper_name) for layer in layers]
    assert names == [
        ("features.11", "conv5"),
        ("features.1", "conv1"),
        ("features.4", "conv2"),
        ("features.7", "conv3"),
        ("features.9", "conv4"),
    ]
    assert "3.4" in layers[0].role and "3.3" in layers[1].role


def test_googlenet_and_densenet() -> None:
    inception = described(
        [(f"inception{block}", "Inception") for block in ("3a", "4e", "5b")]
    )
    names = [layer.name for layer in list_paper_layers(inception)]
    assert names == ["inception5b", "inception4e"]
    dense = described(
        [
            ("features.conv0", "Conv2d"),
            ("features.denseblock4", "_DenseBlock"),
            ("features.norm5", "BatchNorm2d"),
            ("features", "Sequential"),
        ]
    )
    (layer,) = list_paper_layers(dense)
    assert (layer.name, layer.network) == ("features", "DenseNet")
    # an exported file without the container
    (layer,) = list_paper_layers(dense[:-1])
    assert layer.name == "features.norm5"


@pytest.mark.parametrize(
    "kinds",
    [
        [],
        ["Conv2d", "ReLU", "MaxPool2d"],
        ["Conv2dNormActivation", "InvertedResidual", "Conv2dNormActivation"],
        # a pool too few
        vgg_kinds("VGG-16", PLAIN)[:-1],
        # no ReLU before the last pool
        [*vgg_kinds("VGG-16", PLAIN)[:-2], "MaxPool2d"],
        # more convolutions than any VGG
        list(PLAIN) * 20 + vgg_kinds("VGG-16", PLAIN),
    ],
)
def test_another_network_is_refused_with_the_remedy(kinds: list[str]) -> None:
    message = r"AlexNet, GoogLeNet, VGG.*nd layers MODEL lists them"
    with pytest.raises(LayerNotFound, match=message):
        list_paper_layers(features(kinds))


def test_stages_alone_are_no_resnet() -> None:
    stages = [("conv1", "Conv2d")]
    stages += [(f"layer{number}", "Sequential") for number in range(1, 5)]
    with pytest.raises(LayerNotFound):
        list_paper_layers(described(stages))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_live_resnet_and_its_exports(tmp_path: Path) -> None:
    model = networks.ResNet18().eval()
    images = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    file = str(tmp_path / "net.onnx")
    torch.onnx.export(model, (images,), file, dynamo=False)
    program = torch.export.export(model, (images,))
    for subject in (model, file, program):
        opened = open_model(subject)
        messages: list[str] = []
        names = choose_layers(opened, ["paper"], SIZE, messages.append)
        assert names == ["layer4"]
        assert messages == ["-l paper: layer4, the paper's res5c of ResNet"]
        layers = choose_layers(opened, ["paper,layer1"], SIZE)
        assert layers == ["layer4", "layer1"]


def test_a_small_network_is_refused_where_it_is_chosen() -> None:
    opened = open_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    with pytest.raises(LayerNotFound, match="choose a layer by name"):
        choose_layers(opened, ["paper"], SIZE)


class NamedPaper:
    """Model with a layer that is called paper."""

    def layers(self, size: tuple[int, int]) -> Sequence[LayerDescription]:
        return described([("paper", "Conv2d")])

    @contextmanager
    def probe(self, layers: Sequence[str], size: Any) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace()


def test_a_layer_of_that_name_wins() -> None:
    model: Any = NamedPaper()
    assert choose_layers(model, ["paper"], SIZE) == ["paper"]
    assert LayerNames.of(model.layers(SIZE)).expand("paper,paper") == ["paper"]


def test_the_layers_of_a_run_do_not_tell() -> None:
    with pytest.raises(BadInput, match="name one of layer3, layer4"):
        LayerNames(("layer3", "layer4")).expand("paper")
