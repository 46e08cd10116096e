"""Weights of Caffe: files of both formats, in models that have Caffe's layers, and in VGGs."""

from __future__ import annotations

import random
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import weight_writers as writers
from torch import Tensor, nn

from nd_plugin import ModelNotFound, ModelOptions, open_model
from nd_torch.weight_files.caffe_files import read_caffe_layers
from nd_torch.weight_files.fitting import fit_weights
from nd_torch.weight_files.protobuf import BadMessage
from nd_torch.weight_files.reading import read_weights_file

CONVOLUTION, INNER_PRODUCT = 4, 14  # of V1LayerParameter.LayerType


class SmallCaffeNet(nn.Sequential):
    """Two convolutions and two hidden layers with Caffe's names."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(3, 4, 3),
                relu1=nn.ReLU(),
                conv2=nn.Conv2d(4, 6, 3, groups=2),
                flatten=nn.Flatten(),
                fc6=nn.Linear(6 * 4 * 4, 5),
                fc8=nn.Linear(5, classes),
            )
        )


def small_vgg(widths: tuple[int, ...] = (2, 3, 4, 4, 4)) -> nn.Module:
    """Build a VGG-16 in the names of torchvision, of few channels."""
    layers: list[nn.Module] = []
    for block, (inputs, outputs) in enumerate(pairwise((3, *widths))):
        for number in range(2 if block < 2 else 3):
            channels = outputs if number else inputs
            layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    hidden = [nn.Linear(widths[-1] * 49, 8), nn.ReLU(), nn.Dropout()]
    hidden += [nn.Linear(8, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 5)]
    parts = {
        "features": nn.Sequential(*layers),
        "avgpool": nn.AdaptiveAvgPool2d(7),
        "flatten": nn.Flatten(),
        "classifier": nn.Sequential(*hidden),
    }
    return nn.Sequential(OrderedDict(parts))


VGG_LAYERS = {
    "conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10, "conv3_2": 12,
    "conv3_3": 14, "conv4_1": 17, "conv4_2": 19, "conv4_3": 21, "conv5_1": 24, "conv5_2": 26,
    "conv5_3": 28,
}  # fmt: skip


def load(path: Path, module: nn.Module) -> tuple[str, ...]:
    return fit_weights(read_weights_file(str(path), module), module)


def assert_same(module: nn.Module, state: dict[str, Tensor]) -> None:
    loaded = module.state_dict()
    for name, values in state.items():
        assert torch.equal(loaded[name], values), name


def caffe_file(state: dict[str, Tensor], form: str = "shape") -> bytes:
    layers = [writers.layer("data", "Data", [])]
    for name in ("conv1", "conv2", "fc6", "fc8"):
        blobs = writers.affine_blobs(state, name, form)
        kind = "Convolution" if name.startswith("conv") else "InnerProduct"
        if form == "legacy":
            number = CONVOLUTION if kind == "Convolution" else INNER_PRODUCT
            layers.append(writers.v1_layer(name, number, blobs))
        else:
            layers.append(writers.layer(name, kind, blobs))
    return writers.caffe_file(layers)


@pytest.mark.parametrize("form", ["shape", "legacy", "single", "double"])
def test_both_formats(tmp_path: Path, form: str) -> None:
    state = writers.random_state(SmallCaffeNet(), 1)
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffe_file(state, form))
    module = SmallCaffeNet()
    assert load(path, module) == ()
    assert_same(module, state)


def test_the_last_layer_may_have_a_name_and_classes_of_its_own(
    tmp_path: Path,
) -> None:
    """As Places' VGG-16: fc8a, 365 classes."""
    state = writers.random_state(SmallCaffeNet(classes=7), 1)
    names = {"conv1": "conv1", "conv2": "conv2", "fc6": "fc6", "fc8": "fc8a"}
    layers = [
        writers.layer(file_name, "InnerProduct", writers.affine_blobs(state, name))
        for name, file_name in names.items()
    ]
    path = tmp_path / "net.caffemodel"
    path.write_bytes(writers.caffe_file(layers))
    module = SmallCaffeNet()
    (note,) = load(path, module)
    assert note.startswith("the weights are of 7 classes, the model of 3: fc8")
    assert_same(module, state)
    assert module(torch.zeros(1, 3, 8, 8)).shape == (1, 7)


def test_a_vgg(tmp_path: Path) -> None:
    module = small_vgg()
    state = writers.random_state(module, 2)
    layers = []
    for name, index in VGG_LAYERS.items():
        blobs = writers.affine_blobs(state, f"features.{index}", "legacy")
        layers.append(writers.v1_layer(name, CONVOLUTION, blobs))
    for name, index in {"fc6": 0, "fc7": 3, "fc8a": 6}.items():
        blobs = writers.affine_blobs(state, f"classifier.{index}", "legacy")
        layers.append(writers.v1_layer(name, INNER_PRODUCT, blobs))
    path = tmp_path / "vgg16_places365.caffemodel"
    path.write_bytes(writers.caffe_file(layers))
    assert load(path, module) == ()
    assert_same(module, state)


def test_batch_normalisation(tmp_path: Path) -> None:
    """BatchNorm keeps sums and the factor to divide them by; Scale the weight and bias."""
    module = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 4, 3), bn1=nn.BatchNorm2d(4), relu1=nn.ReLU()
        )
    )
    state = writers.random_state(module, 3)
    factor = torch.tensor([8.0])
    sums = [state["bn1.running_mean"] * 8, state["bn1.running_var"] * 8, factor]
    layers = [
        writers.layer("conv1", "Convolution", writers.affine_blobs(state, "conv1")),
        writers.layer(
            "bn1", "BatchNorm", [writers.blob(values) for values in sums]
        ),
        writers.layer("scale1", "Scale", writers.affine_blobs(state, "bn1")),
    ]
    path = tmp_path / "net.caffemodel"
    path.write_bytes(writers.caffe_file(layers))
    assert load(path, module) == ()
    assert_same(module, state)


def test_caffes_alexnet(tmp_path: Path) -> None:
    """The whole way: the network of the zoo, whose activations are those of the weights."""
    from nd_torch import zoo

    source = zoo.alexnet_gap(num_classes=4, seed=5)
    state = dict(source.state_dict())
    names = [f"conv{number}" for number in range(1, 6)]
    layers = [
        writers.layer(name, "Convolution", writers.affine_blobs(state, name))
        for name in names
    ]
    layers.append(
        writers.layer("fc8", "InnerProduct", writers.affine_blobs(state, "fc8"))
    )
    path = tmp_path / "alexnet_gap.caffemodel"
    path.write_bytes(writers.caffe_file(layers))
    text = "nd_torch.zoo:alexnet_gap?num_classes=4"
    model: Any = open_model(text, ModelOptions(weights=str(path)))
    assert model.notes == ()
    assert model.preprocess.source == "the model's pretrained_cfg"
    assert_same(model.root, state)


def test_a_library_model_takes_caffes_preprocessing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of Caffe expect BGR pixels less a mean, whatever the library's own weights do."""
    import sys
    from types import SimpleNamespace

    module = small_vgg()
    state = writers.random_state(module, 2)
    transform = SimpleNamespace(crop_size=[224], mean=[0.5] * 3, std=[0.5] * 3)
    models = SimpleNamespace(
        list_models=lambda: ["vgg16"],
        get_model=lambda name, weights: small_vgg(),
        get_model_weights=lambda name: SimpleNamespace(
            DEFAULT=SimpleNamespace(transforms=lambda: transform)
        ),
    )
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(models=models))
    names = {name: f"features.{index}" for name, index in VGG_LAYERS.items()}
    names |= {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}
    layers = [
        writers.layer(name, "Convolution", writers.affine_blobs(state, path))
        for name, path in names.items()
    ]
    path = tmp_path / "vgg16.caffemodel"
    path.write_bytes(writers.caffe_file(layers))
    model = open_model("torchvision:vgg16", ModelOptions(weights=str(path)))
    preprocess = model.preprocess
    assert preprocess.channel_order == "bgr" and preprocess.scale == 1
    assert preprocess.mean == (103.939, 116.779, 123.68)
    assert preprocess.std == (1, 1, 1) and preprocess.size == (224, 224)
    assert not preprocess.assumed and preprocess.source.startswith("Caffe's")
    (note,) = model.notes
    assert "--mean B,G,R" in note


def test_layers_of_another_network(tmp_path: Path) -> None:
    state = writers.random_state(SmallCaffeNet(), 1)
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffe_file(state))
    message = r"layers \(conv1, conv2, fc6, fc8 …\) are none of Sequential: .*caffe_alexnet"
    with pytest.raises(ModelNotFound, match=message):
        load(path, nn.Sequential(nn.Linear(2, 2)))


def test_an_alexnet_in_a_model_of_numbered_features(tmp_path: Path) -> None:
    """As torchvision's AlexNet, which is another network than Caffe's."""
    state = writers.random_state(SmallCaffeNet(), 1)
    path = tmp_path / "alexnet.caffemodel"
    path.write_bytes(caffe_file(state))
    with pytest.raises(
        ModelNotFound, match=r"AlexNet is nd_torch\.zoo:caffe_alexnet"
    ):
        load(path, small_vgg())


def test_layers_that_the_model_lacks_and_shapes_that_differ(tmp_path: Path) -> None:
    state = writers.random_state(SmallCaffeNet(), 1)
    further = writers.layer("conv9", "Convolution", [writers.blob(torch.ones(2))])
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffe_file(state) + further)
    with pytest.raises(ModelNotFound, match=r"not in the model: conv9\.blobs\[0\]"):
        load(path, SmallCaffeNet())
    path.write_bytes(caffe_file({**state, "conv1.weight": torch.ones(4, 3, 5, 5)}))
    message = r"size mismatch for conv1\.weight: \(4, 3, 5, 5\) in the file, \(4, 3, 3, 3\)"
    with pytest.raises(ModelNotFound, match=message):
        load(path, SmallCaffeNet())


BROKEN = {
    "empty": (b"", "it is empty"),
    "a text": (b"layer { name: 'conv1' }", "cannot be read"),
    "no layers": (writers.field(1, b"net"), "no layers with numbers"),
    "no end": (b"\xff" * 20, "does not end"),
    "beyond": (b"\xa2\x06\xff\xff\xff\x7f", "beyond the end"),
    "group": (b"\x0b", "unknown type 3"),
    "v0": (writers.field(2, writers.field(1, b"x")), "upgrade_net_proto_binary"),
    "numbers": (
        writers.layer("conv1", "Convolution", [writers.field(5, b"\0" * 12)]),
        r"a blob of shape \(1, 1, 1, 1\) has 3 numbers",
    ),
    "half a number": (
        writers.layer("conv1", "Convolution", [writers.field(5, b"\0" * 3)]),
        "has 0 numbers",
    ),
    "huge": (
        writers.layer(
            "conv1",
            "Convolution",
            [writers.field(7, writers.field(1, writers.varint(2**62) * 2))],
        ),
        "has 0 numbers",
    ),
    "dimensions": (
        writers.layer(
            "conv1", "Convolution", [writers.field(7, writers.field(1, b"\1" * 33))]
        ),
        "more than 32 dimensions",
    ),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_what_is_no_caffe_file(tmp_path: Path, name: str) -> None:
    content, message = BROKEN[name]
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    with pytest.raises(ModelNotFound, match=message):
        load(path, SmallCaffeNet())


@pytest.mark.parametrize("form", ["shape", "legacy", "single", "double"])
def test_damaged_files_give_our_errors(tmp_path: Path, form: str) -> None:
    intact = caffe_file(writers.random_state(SmallCaffeNet(), 1), form)
    path = tmp_path / "net.caffemodel"
    # the last two bytes are a field that no one reads
    for length in range(0, len(intact) - 2, 41):
        path.write_bytes(intact[:length])
        with pytest.raises(ModelNotFound):
            load(path, SmallCaffeNet())
    generator = random.Random(form)
    for _ in range(300):
        damaged = bytearray(intact)
        for _ in range(generator.choice([1, 1, 4])):
            damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(
                8
            )
        path.write_bytes(damaged)
        try:
            load(path, SmallCaffeNet())
        except ModelNotFound:
            continue


def test_layers_are_listed_with_their_kinds(tmp_path: Path) -> None:
    state = writers.random_state(SmallCaffeNet(), 1)
    kinds = {}
    for form in ("shape", "legacy"):
        path = tmp_path / f"{form}.caffemodel"
        path.write_bytes(caffe_file(state, form))
        kinds[form] = [
            (layer.name, layer.kind) for layer in read_caffe_layers(path)
        ]
    assert kinds["shape"] == kinds["legacy"]
    assert kinds["shape"][-1] == ("fc8", "InnerProduct")
    with pytest.raises(BadMessage):
        read_caffe_layers(_written(tmp_path / "none", b"\x08\x01"))


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
