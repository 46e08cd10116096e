"""Preprocessing of ONNX models: their first operations, grey images, and inputs of integers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import networks
import numpy as np
import onnx
import onnx_files
import pytest
import torch
from onnx import TensorProto, helper
from opened_checks import check_opened_model
from torch import Tensor

from nd_plugin import (
    BadInput,
    LayerDissection,
    Preprocess,
    open_concepts,
    open_model,
)

SIZE = (32, 32)
MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)
CAFFE = np.array([103.939, 116.779, 123.68], np.float32)  # blue, green, red

PIXELS = ((0, 0, 0), (1, 1, 1), 1)
UNIT = ((0, 0, 0), (1, 1, 1), 1 / 255)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 1 / 255)

Step = tuple[Any, ...]  # operator, constant inputs, attributes


def values(preprocess: Preprocess) -> tuple[Any, ...]:
    return preprocess.mean, preprocess.std, preprocess.scale


def network_behind(*steps: Step) -> onnx_files.Network:
    """Network whose image passes through some operators first."""
    network = onnx_files.Network()
    value = "image"
    for number, (operator, *constants) in enumerate(steps):
        attributes = {}
        if constants and isinstance(constants[-1], dict):
            attributes = constants.pop()
        inputs = [value]
        for index, constant in enumerate(constants):
            inputs.append(network.weight(f"constant{number}.{index}", constant))
        value = network.node(operator, inputs, f"first{number}", **attributes)
    network.whole(value)
    return network


def model_behind(*steps: Step, image: Sequence[Any] = onnx_files.IMAGE) -> Any:
    return network_behind(*steps).model({"image": image})


def number(value: float) -> Any:
    return np.float32(value)


def integers(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


TO_NCHW: Step = ("Transpose", {"perm": [0, 3, 1, 2]})


class TestFirstOperations:
    @pytest.mark.parametrize(
        ("steps", "expected"),
        [
            ([("Div", number(255))], PIXELS),
            ([("Mul", number(1 / 255)), ("Sub", MEAN), ("Div", STD)], PIXELS),
            ([("Mul", number(2 / 255)), ("Sub", number(1))], PIXELS),
            ([("Identity",), ("Div", number(255)), ("Sub", number(0.5))], PIXELS),
            (
                [("Cast", {"to": 11}), ("Cast", {"to": 1}), ("Div", number(255))],
                PIXELS,
            ),
            ([("Clip", number(0), number(255)), ("Div", number(255))], PIXELS),
            (
                [
                    ("Gather", integers(2, 1, 0), {"axis": 1}),
                    ("Sub", CAFFE.reshape(1, 3, 1, 1)),
                ],
                PIXELS,
            ),
            (
                [
                    (
                        "Slice",
                        integers(-1),
                        integers(-99),
                        integers(1),
                        integers(-1),
                    ),
                    ("Sub", CAFFE.reshape(1, 3, 1, 1)),
                ],
                PIXELS,
            ),
            ([("Sub", MEAN), ("Div", STD)], UNIT),
            ([("Add", -MEAN), ("Mul", 1 / STD)], UNIT),
            # a constant that was expanded to the size of the image
            ([("Sub", np.broadcast_to(MEAN, (3, 32, 32))), ("Div", STD)], UNIT),
            ([("Mul", number(2)), ("Sub", number(1))], UNIT),
            (
                [
                    ("Sub", MEAN),
                    ("Div", STD),
                    ("Pad", integers(0, 0, 2, 1, 0, 0, 2, 1)),
                ],
                UNIT,
            ),
        ],
    )
    def test_tell_the_range_of_the_images(self, steps: Any, expected: Any) -> None:
        preprocess = open_model(model_behind(*steps)).preprocess
        assert values(preprocess) == expected
        assert preprocess.size == SIZE and preprocess.channel_order == "rgb"
        assert not preprocess.assumed
        assert preprocess.source.startswith("the graph's first operations (")

    def test_with_channels_last(self) -> None:
        image = ("N", 32, 32, 3)
        flat_mean = MEAN.reshape(3)
        before = [("Div", number(255)), ("Sub", flat_mean), TO_NCHW, ("Div", STD)]
        preprocess = open_model(model_behind(*before, image=image)).preprocess
        assert values(preprocess) == PIXELS
        assert preprocess.source == (
            "the graph's first operations (div 255, sub 0.485 0.456 0.406, "
            "div 0.229 0.224 0.225) take pixels 0 to 255"
        )
        preprocess = open_model(
            model_behind(("Sub", CAFFE), TO_NCHW, image=image)
        ).preprocess
        assert values(preprocess) == PIXELS and preprocess.channel_order == "bgr"

    def test_with_constants_that_nodes_compute(self) -> None:
        """Exporters leave the square root of the variance in the graph."""
        network = onnx_files.Network()
        variance = network.weight("variance", STD**2)
        network.node("Sqrt", variance, "std")
        white = helper.make_tensor("white", TensorProto.FLOAT, [], [255.0])
        network.nodes.append(
            helper.make_node("Constant", [], ["white"], value=white)
        )
        mean = network.weight("mean", MEAN)
        scaled = network.node("Div", ["image", "white"], "scaled")
        centred = network.node("Sub", [scaled, mean], "centred")
        network.whole(network.node("Div", [centred, "std"], "normalised"))
        source = open_model(network.model()).preprocess.source
        assert "(div 255, sub 0.485 0.456 0.406, div 0.229 0.224 0.225)" in source

    def test_while_the_shape_is_used_elsewhere(self) -> None:
        network = network_behind(("Div", number(255)))
        network.node("Shape", "image", "shape")
        model = network.model(
            outputs={"logits": ("N", 5), "shape": (4,)},
            types={"shape": TensorProto.INT64},
        )
        assert values(open_model(model).preprocess) == PIXELS

    @pytest.mark.parametrize(
        "steps",
        [
            [],
            [("Identity",)],
            [("Sub", np.random.default_rng(0).random((3, 32, 32), np.float32))],
            [("Relu",), ("Div", number(255))],
            [("Pad", integers(0, 0, 0, 0, 0, 1, 0, 0)), ("Div", number(255))],
            [("Cast", {"to": 3}), ("Cast", {"to": 1}), ("Div", number(255))],
        ],
    )
    def test_that_tell_nothing(self, steps: Any) -> None:
        preprocess = open_model(model_behind(*steps)).preprocess
        assert values(preprocess) == IMAGENET and preprocess.assumed
        assert preprocess.source == "ImageNet's (the file names none)"

    def test_of_an_image_that_is_used_twice(self) -> None:
        network = onnx_files.Network()
        white = network.weight("white", number(255))
        scaled = network.node("Div", ["image", white], "scaled")
        network.whole(network.node("Add", ["image", scaled], "sum"))
        assert open_model(network.model()).preprocess.assumed

    def test_of_a_batch_normalization_are_a_hint(self) -> None:
        ones = np.ones(3, np.float32)
        step = ("BatchNormalization", ones, 0 * ones, 110 * ones, 3600 * ones)
        preprocess = open_model(model_behind(step)).preprocess
        assert values(preprocess) == IMAGENET and preprocess.assumed
        hint = "its first operations (a BatchNorm) suggest pixels 0 to 255"
        assert hint in preprocess.notes[0]

    def test_of_an_exported_module(self, tmp_path: Any) -> None:
        """What the module does itself, the file says."""
        mean, std = torch.from_numpy(MEAN), torch.from_numpy(STD)
        network = networks.ResNet18().eval()
        module = torch.nn.Sequential(
            networks.Call(lambda x: (x / 255 - mean) / std), network
        ).eval()
        path = tmp_path / "own.onnx"
        export(module, path)
        from_file = open_model(str(path)).preprocess
        from_module = open_model(module).preprocess
        assert values(from_file) == values(from_module) == PIXELS
        assert not from_file.assumed

    def test_give_the_network_what_it_was_trained_on(self) -> None:
        """A network behind its own normalisation sees the same numbers as without."""
        behind = LayerDissection(
            open_model(model_behind(("Sub", MEAN), ("Div", STD))), "relu2"
        )
        plain = LayerDissection(open_model(model_behind()), "relu2")
        outer, inner = (
            units.dissect("shapes?images=6&size=32", workers=0, quantile=0.1)
            for units in (behind, plain)
        )
        assert outer.intersection.sum() > 0  # type: ignore[union-attr]
        assert np.array_equal(outer.intersection, inner.intersection)  # type: ignore[union-attr]
        assert outer.provenance.notes == ()  # type: ignore[union-attr]
        (note,) = inner.provenance.notes  # type: ignore[union-attr]
        assert (
            "the preprocessing is assumed: ImageNet's (the file names none)" in note
        )


def export(module: torch.nn.Module, path: Any) -> None:
    with warnings.catch_warnings():
        # the exporter's own
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.rand(1, 3, 32, 32),),
            str(path),
            input_names=["image"],
            dynamo=False,
        )


def grey_model(
    image: Sequence[Any], kind: int = TensorProto.FLOAT, channels: int = 1
) -> onnx.ModelProto:
    """Network of a convolution ``conv`` whose single unit is the grey level, or their sum."""
    network = onnx_files.Network()
    value = "image"
    if kind != TensorProto.FLOAT:
        value = network.node("Cast", value, "cast", to=TensorProto.FLOAT)
    if image[-1] == channels and image[1] != channels:
        value = network.node("Transpose", value, "nchw", perm=[0, 3, 1, 2])
    weight = network.weight("weight", np.ones((1, channels, 1, 1), np.float32))
    network.node("Conv", [value, weight], "conv")
    return network.model(
        {"image": image}, {"conv": ("N", 1, "H", "W")}, types={"image": kind}
    )


class TestGrey:
    @pytest.mark.parametrize(
        "image",
        [("N", 1, 32, 32), ("N", 32, 32, 1), (1, 1, 32, 32), (None, "C", 32, 32)],
    )
    def test_images_of_one_channel(self, image: Any) -> None:
        opened = open_model(grey_model(image))
        assert (opened.preprocess.mean, opened.preprocess.size) == ((0.449,), SIZE)
        assert opened.preprocess.assumed
        check_opened_model(opened, ["conv"], SIZE)
        images = torch.rand(2, 1, *SIZE)
        with opened.probe(["conv"], SIZE) as probe:
            maps = probe(images)["conv"]
            assert torch.equal(maps, images)
            with pytest.raises(BadInput, match="images of 1 channels, not 3"):
                probe(torch.rand(2, 3, *SIZE))

    def test_with_an_own_normalisation(self) -> None:
        network = onnx_files.Network()
        white = network.weight("white", number(255))
        scaled = network.node("Div", ["image", white], "scaled")
        weight = network.weight("weight", np.ones((1, 1, 1, 1), np.float32))
        network.node("Conv", [scaled, weight], "conv")
        model = network.model(
            {"image": ("N", 1, 32, 32)}, {"conv": ("N", 1, 32, 32)}
        )
        preprocess = open_model(model).preprocess
        assert values(preprocess) == ((0,), (1,), 1)

    def test_pictures_reach_the_model_as_pillow_converts_them(self) -> None:
        concepts = open_concepts("shapes?images=3&size=32")
        opened = open_model(grey_model(("N", 1, 32, 32), TensorProto.UINT8))
        dissection = LayerDissection(opened, "conv").dissect(concepts, workers=0)
        greys = [
            np.asarray(concepts.image(index).convert("L")) for index in range(3)
        ]
        brightest = sorted((int(grey.max()) for grey in greys), reverse=True)
        assert dissection.top_activations[0].tolist() == brightest  # type: ignore[union-attr]

    @pytest.mark.parametrize("channels", [2, 4])
    def test_other_numbers_of_channels(self, channels: int) -> None:
        with pytest.raises(
            BadInput, match=r"no input takes images .*3 channels \(RGB"
        ):
            open_model(grey_model(("N", channels, 32, 32), channels=channels))
        message = f"the first convolution takes {channels} channels: images have 3"
        with pytest.raises(BadInput, match=message):
            open_model(grey_model(("N", "C", 32, 32), channels=channels))

    def test_a_mask_beside_the_image_is_not_the_image(self) -> None:
        """RGB wins over one channel, and floats over integers of four axes."""
        network = network_behind()
        mask = ("N", 1, 32, 32)
        network.node("Identity", "mask", "same")
        network.node("Identity", "boxes", "same_boxes")
        model = network.model(
            {"mask": mask, "boxes": onnx_files.IMAGE, "image": onnx_files.IMAGE},
            {"logits": ("N", 5), "same": mask, "same_boxes": onnx_files.IMAGE},
            types={"boxes": TensorProto.INT64, "same_boxes": TensorProto.INT64},
        )
        opened = open_model(model)
        assert opened.preprocess.channels == 3
        with opened.probe(["relu2"], SIZE) as probe:
            assert probe(torch.rand(1, 3, *SIZE))["relu2"].shape == (1, 12, 8, 8)


class TestIntegers:
    @pytest.mark.parametrize("kind", ["UINT8", "INT32", "INT64"])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_take_pixels_as_they_are(self, kind: str, channels: int) -> None:
        image = ("N", channels, 32, 32)
        opened = open_model(grey_model(image, getattr(TensorProto, kind), channels))
        preprocess = opened.preprocess
        assert values(preprocess) == ((0,) * channels, (1,) * channels, 1)
        article = "a" if kind == "UINT8" else "an"
        source = f"{article} {kind.lower()} input: pixels as they are"
        assert preprocess.source == source and not preprocess.assumed
        levels = torch.tensor([0.0, 7.4, 7.6, 255.0, 260.0, -3.0])
        assert sums_of(opened, levels, channels) == [
            level * channels for level in [0, 7, 8, 255, 255, 0]
        ]

    def test_int8_takes_pixels_less_128(self) -> None:
        opened = open_model(grey_model(("N", 3, 32, 32), TensorProto.INT8, 3))
        preprocess = opened.preprocess
        assert values(preprocess) == ((128,) * 3, (1,) * 3, 1)
        (note,) = preprocess.notes
        assert "assumed: an int8 input: pixels - 128; " in note
        pixels = torch.tensor([0, 128, 255], dtype=torch.uint8).view(3, 1, 1, 1)
        batch = preprocess.normalise(pixels.expand(3, 3, *SIZE))
        levels = batch[:, 0, 0, 0]
        assert sums_of(opened, levels, 3) == [-384, 0, 381]


def sums_of(opened: Any, levels: Tensor, channels: int) -> list[float]:
    """Return the sums over channels that a model computes for images of one level each."""
    images = levels.view(-1, 1, 1, 1).expand(-1, channels, *SIZE).contiguous()
    with opened.probe(["conv"], SIZE) as probe:
        maps = probe(images)["conv"]
    assert maps.shape == (len(levels), 1, *SIZE)
    sums: list[float] = maps[:, 0, 5, 7].tolist()
    return sums
