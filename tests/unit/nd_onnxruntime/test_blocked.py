"""Files that ONNX Runtime optimised and saved: blocks of channels are put in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from small_models import model_of, random_weights

from nd_onnxruntime.blocked import block_size
from nd_onnxruntime.operators import BLOCKED
from nd_plugin import nearly_equal, open_model

SIZE = (64, 48)
# by name of a node of the optimised file, the value of the plain file that it computes
BLOCKED_VALUES = {
    "stem_act_nchwc": "stem_act",  # 24 units, in blocks of 8 or 16
    "expand_act_nchwc": "expand_act",  # 40 units, counted by filters
    "depth_act_nchwc": "depth_act",
    "project_nchwc": "residual",  # the sum is fused into the convolution
    "left_nchwc": "left",
    "joined": "joined",  # a Concat of blocked values
    "up_nchwc": "up",
    "six_act_nchwc": "six_act",  # 6 units
    "seven_act_nchwc": "seven_act",
    "averages_nchwc": "averages",
}
ORDER_NOTE = "kept by ONNX Runtime in blocks of channels"


def conv(
    source: str, name: str, weights: dict[str, Any], *shape: int, **attributes: Any
) -> list[onnx.NodeProto]:
    weights[f"{name}_w"] = random_weights(*shape, seed=len(weights))
    inputs = [source, f"{name}_w"]
    node = helper.make_node(
        "Conv", inputs, [name], name=name, kernel_shape=shape[2:], **attributes
    )
    return [node]


def activated(kind: str, name: str, **attributes: Any) -> list[onnx.NodeProto]:
    value = f"{name}_act"
    return [helper.make_node(kind, [name], [value], name=value, **attributes)]


def plain_model(image: Sequence[int | str]) -> onnx.ModelProto:
    """Build an inverted bottleneck with a residual, a join, and nearest upsampling."""
    weights: dict[str, Any] = {"scales": np.array([1, 1, 2, 2], np.float32)}
    same = {"pads": (1, 1, 1, 1)}
    nodes = [
        *conv("image", "stem", weights, 24, 3, 3, 3, strides=(2, 2), **same),
        *activated("Relu", "stem"),
        *conv("stem_act", "expand", weights, 40, 24, 1, 1),
        *activated("LeakyRelu", "expand", alpha=0.1),
        *conv("expand_act", "depth", weights, 40, 1, 3, 3, group=40, **same),
        *activated("HardSigmoid", "depth"),
        *conv("depth_act", "project", weights, 24, 40, 1, 1),
        helper.make_node("Add", ["stem_act", "project"], ["residual"]),
        *conv("residual", "left", weights, 32, 24, 3, 3, **same),
        *conv("residual", "right", weights, 32, 24, 1, 1),
        helper.make_node("Concat", ["left", "right"], ["joined"], "joined", axis=1),
        *conv("joined", "six", weights, 6, 64, 3, 3, **same),
        *activated("Relu", "six"),
        helper.make_node(
            "Resize",
            ["joined", "", "scales"],
            ["up"],
            "up",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        *conv("up", "seven", weights, 16, 64, 3, 3, **same),
        *activated("Relu", "seven"),
        helper.make_node(
            "GlobalAveragePool", ["seven_act"], ["averages"], "averages"
        ),
    ]
    model = model_of(nodes, weights, image)
    model.graph.output.append(onnx.ValueInfoProto(name="six_act"))
    return model


def saved(folder: Path, image: Sequence[int | str]) -> tuple[str, str]:
    """Write a plain file, and the one that ONNX Runtime saves of it."""
    plain, optimised = folder / "plain.onnx", folder / "optimised.onnx"
    onnx.save(plain_model(image), plain)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(optimised)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(
        str(plain), options, providers=["CPUExecutionProvider"]
    )
    domains = {node.domain for node in onnx.load(optimised).graph.node}
    if BLOCKED not in domains:
        pytest.skip("this processor has no blocked convolutions")
    return str(plain), str(optimised)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return saved(tmp_path_factory.mktemp("blocked"), ("N", 3, *SIZE))


def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 3, *SIZE, generator=generator)


def probed(source: str, layers: list[str]) -> tuple[Any, Any, Any]:
    with open_model(source).probe(layers, SIZE) as probe:
        return dict(probe(images())), dict(probe.geometries), probe.notes  # type: ignore[attr-defined]


def listed(source: str) -> list[str]:
    layers = open_model(source).layers(SIZE)
    return [layer.name for layer in layers if layer.shape is not None]


@pytest.mark.parametrize(("node", "value"), BLOCKED_VALUES.items())
def test_values_are_those_of_the_plain_file(
    files: tuple[str, str], node: str, value: str
) -> None:
    plain, optimised = files
    expected, expected_geometry, _ = probed(plain, [value])
    maps, geometry, notes = probed(optimised, [node])
    assert maps[node].shape == expected[value].shape
    # sums of up to 576 products in another order, of values of this magnitude
    tolerance = 1e-5 * float(expected[value].abs().amax())
    torch.testing.assert_close(maps[node], expected[value], rtol=0, atol=tolerance)
    assert geometry[node] == expected_geometry[value]
    assert any(ORDER_NOTE in note for note in notes)


@pytest.mark.parametrize("image", [("N", 3, *SIZE), ("N", 3, "H", "W")])
def test_every_listed_value_is_one_of_the_plain_file(
    image: Sequence[int | str], tmp_path: Path
) -> None:
    plain, optimised = saved(tmp_path, image)
    plain_maps, plain_geometries, _ = probed(plain, listed(plain))
    maps, geometries, _ = probed(optimised, listed(optimised))
    assert len(maps) > len(BLOCKED_VALUES)
    for layer, layer_maps in maps.items():
        same = [
            value
            for value, expected in plain_maps.items()
            if nearly_equal(layer_maps, expected)
        ]
        assert same, layer
        assert geometries[layer] in [plain_geometries[value] for value in same]


@pytest.mark.parametrize("node", ["expand_act_nchwc", "joined", "six_act_nchwc"])
def test_outputs_follow_from_a_value_in_order(
    files: tuple[str, str], node: str
) -> None:
    model: Any = open_model(files[1])
    outputs = model.outputs(images())
    with model.rest(node, [images()]) as rest:
        followed = rest(rest.layer(images()), images())
        zeroed = rest(torch.zeros_like(rest.layer(images())), images())
    for output, repeated in zip(outputs, followed, strict=True):
        torch.testing.assert_close(output, repeated)
    pairs = zip(outputs, zeroed, strict=True)
    assert not all(torch.equal(output, changed) for output, changed in pairs)


def test_a_channels_last_output_is_put_in_order(
    files: tuple[str, str], tmp_path: Path
) -> None:
    model = onnx.load(files[1])
    source = next(
        n.output[0] for n in model.graph.node if n.name == "six_act_nchwc"
    )
    node = helper.make_node(
        "ReorderOutput",
        [source],
        ["last"],
        domain=BLOCKED,
        channels=6,
        channels_last=1,
    )
    model.graph.node.append(node)
    onnx.save(model, tmp_path / "last.onnx")
    expected, expected_geometry, _ = probed(files[0], ["six_act"])
    maps, geometry, _ = probed(str(tmp_path / "last.onnx"), ["last"])
    torch.testing.assert_close(maps["last"], expected["six_act"])
    assert geometry["last"] == expected_geometry["six_act"]


def test_a_sum_with_an_axis_for_blocks_is_put_in_order(
    files: tuple[str, str], tmp_path: Path
) -> None:
    """ONNX Runtime writes such sums where it cannot tell that two shapes are equal."""
    model = onnx.load(files[1])
    source = next(
        node.output[0] for node in model.graph.node if node.name == "project_nchwc"
    )
    apart = numpy_helper.from_array(np.array([0, -1, 0, 0, block_size()]), "apart")
    whole = numpy_helper.from_array(np.array([0, -1, 0, 0]), "whole")
    model.graph.initializer.extend([apart, whole])
    model.graph.node.extend(
        [
            helper.make_node("Reshape", [source, "apart"], ["blocks"]),
            helper.make_node("Add", ["blocks", "blocks"], ["doubled_blocks"]),
            helper.make_node("Reshape", ["doubled_blocks", "whole"], ["doubled"]),
        ]
    )
    path = tmp_path / "sum.onnx"
    onnx.save(model, path)
    expected, expected_geometry, _ = probed(files[0], ["residual"])
    maps, geometry, notes = probed(str(path), ["doubled"])
    torch.testing.assert_close(maps["doubled"], 2 * expected["residual"])
    assert geometry["doubled"] == expected_geometry["residual"]
    assert any(ORDER_NOTE in note for note in notes)
    layers = {layer.name: layer for layer in open_model(str(path)).layers(SIZE)}
    assert layers["blocks"].shape is None and layers["doubled_blocks"].shape is None
