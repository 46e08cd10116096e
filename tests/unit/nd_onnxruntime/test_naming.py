"""Layers of ONNX models by the names that they had in PyTorch, and by those of values and nodes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import networks
import onnx
import onnx_files
import pytest
import torch
from onnx import helper
from torch import Tensor, nn

from nd_plugin import (
    LayerAmbiguous,
    LayerNotFound,
    ModelOptions,
    UnitsNotFound,
    open_model,
)

SIZE = (64, 64)
FOLDED = (
    "the exporter folded the BatchNorm that follows into this convolution: the value is the one "
    "after the BatchNorm"
)


def probed(
    model: Any, layers: Sequence[str], size: tuple[int, int] = SIZE
) -> tuple[Mapping[str, Tensor], list[str]]:
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(3))
    with open_model(model).probe(layers, size) as probe:
        notes = getattr(probe, "notes", ())
        # few units with random weights may look to one side
        return probe(images), [
            note for note in notes if "measured centres" not in note
        ]


def assert_same(one: Tensor, other: Tensor) -> None:
    assert one.shape == other.shape
    assert float((one - other).abs().max()) <= 1e-4 * float(other.abs().max())


class TestModules:
    def test_go_by_their_own_names(self, exported: Any) -> None:
        layers = ["relu", "maxpool", "layer1.0.relu#0", "layer1.0.relu#1", "layer2.0.downsample",
                  "layer2.1",
                  "layer3.0.relu#0", "layer4.1.relu#1", "layer4", "avgpool", "fc"]  # fmt: skip
        maps_by_layer, notes = probed(str(exported.path), layers)
        expected, _ = probed(exported.module, layers)
        assert list(maps_by_layer) == layers and not notes
        for layer in layers:
            assert_same(maps_by_layer[layer], expected[layer])

    def test_are_listed_in_the_order_in_which_they_run(self, exported: Any) -> None:
        theirs = {
            layer.name: layer for layer in open_model(exported.module).layers(SIZE)
        }
        ours = {
            layer.name: layer
            for layer in open_model(str(exported.path)).layers(SIZE)
        }
        lost = [name for name in theirs if name not in ours]
        folded = [
            name for name in theirs if name.endswith(("bn1", "bn2", "downsample.1"))
        ]
        assert lost == (folded if exported.exporter == "TorchScript" else [])
        common = [name for name in theirs if name in ours]
        own = [name for name in common if name not in folded]
        assert [name for name in ours if name in own] == own
        for name in common:
            assert (ours[name].shape, ours[name].geometry) == (
                theirs[name].shape,
                theirs[name].geometry,
            ), name

    def test_that_run_twice_have_to_be_chosen(self, exported: Any) -> None:
        with pytest.raises(LayerAmbiguous) as raised:
            probed(str(exported.path), ["layer4.1.relu"])
        assert str(raised.value) == (
            "layer 'layer4.1.relu' runs 2 times in one forward pass; choose one: layer4.1.relu#0, "
            "layer4.1.relu#1"
        )
        with pytest.raises(
            LayerNotFound,
            match=r"^layer 'layer4.1.relu' runs 2 times in .*; its last run is layer4.1.relu#1$",
        ):
            probed(str(exported.path), ["layer4.1.relu#2"])

    @pytest.mark.parametrize("layer", ["layer1.0.conv1", "conv1"])
    def test_whose_batchnorm_was_folded_into_them_say_so(
        self, exported: Any, layer: str
    ) -> None:
        maps_by_layer, notes = probed(str(exported.path), [layer])
        behind, _ = probed(exported.module, [layer.replace("conv", "bn")])
        assert notes == [f"layer {layer!r}: {FOLDED}"]
        assert_same(maps_by_layer[layer], behind[layer.replace("conv", "bn")])

    def test_a_folded_batchnorm_is_the_convolution(self, exported: Any) -> None:
        if exported.exporter == "dynamo":  # its metadata still name both
            assert_same(
                probed(str(exported.path), ["bn1"])[0]["bn1"],
                probed(exported.module, ["bn1"])[0]["bn1"],
            )
            return
        with pytest.raises(LayerNotFound) as raised:
            probed(str(exported.path), ["layer4.1.bn2"])
        assert "the nearest are layer4.1.conv2" in str(raised.value)
        assert (
            "a BatchNorm that the exporter folded into a convolution has the name of the "
            "convolution" in str(raised.value)
        )

    def test_that_do_not_exist_are_refused_with_the_nearest(
        self, exported: Any
    ) -> None:
        with pytest.raises(LayerNotFound) as raised:
            probed(str(exported.path), ["layer5"])
        assert str(raised.value).startswith(
            "no layer 'layer5' in this model; the nearest are layer4, layer3"
        )
        assert "(nd layers MODEL lists them)" in str(raised.value)


def test_one_run_of_a_module_keeps_the_note_of_a_folded_batchnorm(
    exported: Any,
) -> None:
    assert probed(str(exported.path), ["conv1#0"])[1] == [
        f"layer 'conv1#0': {FOLDED}"
    ]


def test_a_child_of_a_sequential_in_a_list_has_its_whole_path(
    tmp_path: Path,
) -> None:
    """TorchScript's exporter writes ``/stages.1/stages.1.0/…``.

    A module named ``a_1`` is not a second run of ``a``.
    """

    class Stages(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages = nn.ModuleList(
                nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU()) for _ in range(2)
            )
            self.mix, self.mix_1 = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            for stage in self.stages:
                x = stage(x)
            x = self.mix(x)
            return torch.flatten(self.mix_1(x).sigmoid(), 1)

    module = networks.made_positive(Stages())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            module,
            (torch.rand(1, 3, 64, 64),),
            str(tmp_path / "stages.onnx"),
            dynamo=False,
        )
    layers = ["stages.0", "stages.0.1", "stages.1.0", "mix", "mix_1"]
    maps_by_layer, _ = probed(str(tmp_path / "stages.onnx"), layers)
    expected, _ = probed(module, layers)
    for layer in layers:
        assert_same(maps_by_layer[layer], expected[layer])


def scoped(folder: Path, scopes: Mapping[str, Sequence[str]]) -> Path:
    """Write the hard files' network with the dynamo exporter's metadata, given by value."""
    model = onnx.load(onnx_files.dynamic_batch(folder))
    for node in model.graph.node:
        scope_names = [*scopes.get(node.output[0], ()), node.output[0]]
        node.metadata_props.add(
            key="pkg.torch.onnx.name_scopes", value=repr(["", *scope_names])
        )
    path = folder / "scoped.onnx"
    path.write_bytes(model.SerializeToString())
    return path


class TestValues:
    def test_that_are_called_like_a_module_are_chosen_by_a_prefix(
        self, tmp_path: Path
    ) -> None:
        path = scoped(
            tmp_path, {"conv1": ["near"], "conv2": ["relu1"], "relu2": ["relu1"]}
        )
        names = [layer.name for layer in open_model(str(path)).layers((32, 32))]
        assert "relu1" in names and "value:relu1" in names
        maps_by_layer, _ = probed(
            str(path), ["relu1", "value:relu1", "near"], (32, 32)
        )
        assert list(maps_by_layer) == ["relu1", "value:relu1", "near"]
        assert maps_by_layer["relu1"].shape == (2, 12, 8, 8), (
            "the module, whose last value relu2 is"
        )
        assert maps_by_layer["value:relu1"].shape == (2, 8, 32, 32)
        assert torch.equal(
            maps_by_layer["near"].relu(), maps_by_layer["value:relu1"]
        )

    def test_and_nodes_go_by_their_names(self, tmp_path: Path) -> None:
        path = str(onnx_files.dynamic_batch(tmp_path))
        maps_by_layer, _ = probed(
            path, ["relu2", "Relu_1", "value:conv1", "Conv_0"], (32, 32)
        )
        assert torch.equal(maps_by_layer["relu2"], maps_by_layer["Relu_1"])
        assert torch.equal(
            maps_by_layer["Conv_0"],
            next(
                maps
                for name, maps in maps_by_layer.items()
                if name.endswith("conv1")
            ),
        )

    def test_of_weights_and_the_image_are_no_layers(self, tmp_path: Path) -> None:
        path = str(onnx_files.dynamic_batch(tmp_path))
        with pytest.raises(
            LayerNotFound,
            match=r"no layer 'conv1.weight' in this model; the nearest are conv1, ",
        ):
            probed(path, ["conv1.weight"], (32, 32))
        with pytest.raises(
            UnitsNotFound, match="'image' is the model's input, the image itself"
        ):
            probed(path, ["image"], (32, 32))

    def test_that_do_not_depend_on_the_image_are_refused(
        self, tmp_path: Path
    ) -> None:
        path = onnx_files.two_inputs_batched(tmp_path)
        model, size = (
            open_model(str(path), ModelOptions(feeds={"scale": "1"})),
            (32, 32),
        )
        message = "the value 'factor' does not depend on the image 'image'"
        with (
            pytest.raises(UnitsNotFound, match=message),
            model.probe(["factor"], size),
        ):
            pass

    def test_are_given_by_name_only(self, tmp_path: Path) -> None:
        path = str(onnx_files.dynamic_batch(tmp_path))
        with pytest.raises(ValueError, match="is given by its name, not as ReLU"):
            probed(path, [nn.ReLU()], (32, 32))  # type: ignore[list-item]

    def test_of_bodies_name_what_can_be_taken(self, tmp_path: Path) -> None:
        for make, inner, output in ((onnx_files.with_if, "else_out", "chosen"),
                                   (onnx_files.with_loop, "body_conv", "looped")):  # fmt: skip
            path = str(make(tmp_path))
            with pytest.raises(
                UnitsNotFound,
                match=f"{inner}.*inside the body.*choose an output of that node: {output}",
            ):
                probed(path, [inner], (32, 32))
            assert probed(path, [output], (32, 32))[0][output].shape == (
                2,
                8,
                32,
                32,
            )


def test_metadata_that_cannot_be_read_name_no_module(tmp_path: Path) -> None:
    model = onnx.load(scoped(tmp_path, {"conv1": ["near"]}))
    model.graph.node[0].metadata_props[0].value = "[not a list"
    model.graph.node[2].CopyFrom(
        helper.make_node(
            "MaxPool", ["relu1"], ["pool1"], kernel_shape=[2, 2], strides=[2, 2]
        )
    )
    names = [layer.name for layer in open_model(model).layers((32, 32))]
    assert names[:2] == ["conv1", "relu1"] and "near" not in names
