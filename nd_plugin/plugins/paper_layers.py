"""Layers that the paper dissects, in the networks of its table 2 and in their relatives.

A network is recognised by the names and kinds of its layers, which torchvision, timm, our own
AlexNets and their exports share. docs/experiments.md has the table, with the sources of each line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from nd_plugin.contracts.models import LayerDescription
from nd_plugin.errors import LayerNotFound

COMPARED = "compared with other networks (section 3.4)"
BY_DEPTH = "compared by depth (section 3.3)"
SHOWN = "units shown (section 3.4)"
KNOWN_NETWORKS = "AlexNet, GoogLeNet, VGG, ResNet, DenseNet"
FEATURE = re.compile(r"features\.\d+")
# of modules, and of operators in exported files
CONVOLUTIONS = ("conv2d", "conv")
POOLS = ("maxpool2d", "maxpool")
RELU = "relu"
CONV, POOL = "conv", "pool"
# kinds of a VGG's features, without batch normalisation: blocks of convolutions, five pools
VGG_BLOCKS = re.compile(r"((conv relu )+pool ){5}")
VGG_CONVOLUTIONS = range(8, 17)
ALEXNET_FEATURES = (
    "conv relu pool conv relu pool conv relu conv relu conv relu pool "
)


@dataclass(frozen=True)
class PaperLayer:
    """Layer that the paper dissects."""

    name: str  # of the model
    network: str  # of the paper, or the relative
    paper_name: str  # as the paper or the authors' code names the layer
    role: str  # what the paper uses it for


def list_paper_layers(layers: Sequence[LayerDescription]) -> list[PaperLayer]:
    """Return the layers that the paper dissects, the one that it compares networks by first.

    Raises LayerNotFound for a network that is none of the paper's families.
    """
    for find in FINDERS:
        paper_layers = list(find(layers))
        if paper_layers:
            return paper_layers
    raise LayerNotFound(
        "the layers' names are not those of a network that the paper dissects, or of its family "
        f"({KNOWN_NETWORKS}, as torchvision, timm and nd_torch.zoo name their layers): choose a "
        "layer by name, usually the last convolutional one (nd layers MODEL lists them)"
    )


def describe_paper_layer(layer: PaperLayer) -> str:
    """Return a layer's name, and what the paper calls it."""
    return f"{layer.name}, the paper's {layer.paper_name} of {layer.network}"


def _find_resnet(layers: Sequence[LayerDescription]) -> Iterator[PaperLayer]:
    names = {layer.name for layer in layers}
    stages = {f"layer{stage}" for stage in range(1, 5)}
    blocks = {
        "layer1.0",
        "layer4.0",
        "layer4.1",
        "layer4.0.conv1",
        "layer4.0.conv2",
    }
    if names >= stages | blocks | {"conv1"}:
        yield PaperLayer("layer4", "ResNet", "res5c", COMPARED)


def _find_googlenet(layers: Sequence[LayerDescription]) -> Iterator[PaperLayer]:
    names = {layer.name for layer in layers}
    if {"inception3a", "inception4e", "inception5b"} <= names:
        yield PaperLayer(
            "inception5b", "GoogLeNet", "inception_5b/output", COMPARED
        )
        yield PaperLayer("inception4e", "GoogLeNet", "inception_4e/output", SHOWN)


def _find_densenet(layers: Sequence[LayerDescription]) -> Iterator[PaperLayer]:
    names = {layer.name for layer in layers}
    if not {"features.conv0", "features.denseblock4"} <= names:
        return
    # an export whose container has no name of its own still has the normalisation that ends it
    for name in ("features", "features.norm5"):
        if name in names:
            yield PaperLayer(name, "DenseNet", "features", COMPARED)
            return


def _find_caffe_alexnet(layers: Sequence[LayerDescription]) -> Iterator[PaperLayer]:
    names = {layer.name for layer in layers}
    relus = [f"relu{number}" for number in range(1, 6)]
    if names >= {*relus, "conv1", "conv5", "fc8"} and "conv6" not in names:
        yield from _alexnet_layers(relus)


def _find_alexnet(layers: Sequence[LayerDescription]) -> Iterator[PaperLayer]:
    """Find torchvision's AlexNet: a sequence of five convolutions and three pools."""
    features = _features(layers)
    if _kinds(features) == ALEXNET_FEATURES:
        yield from _alexnet_layers(_names_of(RELU, features))


def _alexnet_layers(relus: Sequence[str]) -> Iterator[PaperLayer]:
    yield PaperLayer(relus[4], "AlexNet", "conv5", COMPARED)
    for number, name in enumerate(relus[:4], 1):
        yield PaperLayer(name, "AlexNet", f"conv{number}", BY_DEPTH)


def _find_vgg(layers: Sequence[LayerDescription]) -> Iterator[PaperLayer]:
    features = _features(layers)
    kinds = _kinds(features)
    convolution_count = kinds.split().count(CONV)
    if VGG_BLOCKS.fullmatch(kinds) and convolution_count in VGG_CONVOLUTIONS:
        block_length = (
            kinds.removesuffix("pool ").rpartition("pool ")[2].count(CONV)
        )
        name = _names_of(RELU, features)[-1]
        network = f"VGG-{convolution_count + 3}"
        yield PaperLayer(name, network, f"conv5_{block_length}", COMPARED)


# a network that two of them recognise is the first's
FINDERS: tuple[
    Callable[[Sequence[LayerDescription]], Iterable[PaperLayer]], ...
] = (
    _find_resnet,
    _find_googlenet,
    _find_densenet,
    _find_caffe_alexnet,
    _find_alexnet,
    _find_vgg,
)


def _features(layers: Sequence[LayerDescription]) -> list[tuple[str, str]]:
    """Return names and kinds of the layers in ``features``, as they run, without normalisations.

    Empty where ``features`` holds blocks. A normalisation that an export has folded into its
    convolution is listed as a second convolution, and left out, too.
    """
    features: list[tuple[str, str]] = []
    previous_kind = ""
    for layer in layers:
        if not layer.name.startswith("features."):
            continue
        if not FEATURE.fullmatch(layer.name):
            return []
        is_folded = layer.kind == previous_kind == "Conv"
        if not is_folded and "norm" not in layer.kind.lower():
            features.append((layer.name, _plain_kind(layer.kind)))
        previous_kind = layer.kind
    return features


def _plain_kind(kind: str) -> str:
    kind = kind.lower()
    if kind in CONVOLUTIONS:
        return CONV
    return POOL if kind in POOLS else kind


def _kinds(features: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{kind} " for _, kind in features)


def _names_of(kind: str, features: Sequence[tuple[str, str]]) -> list[str]:
    return [name for name, feature_kind in features if feature_kind == kind]
