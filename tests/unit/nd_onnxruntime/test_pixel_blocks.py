"""Space to depth in any form: cells look at the centre of a block of pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from onnx import NodeProto, helper
from small_models import model_of, random_weights

from nd_onnxruntime.pixel_blocks import centred
from nd_plugin import Axis, Geometry, Positions, open_model

SIZE = (32, 48)
CELLS = Axis(size=2, stride=2, offset=0.5)
AFTER_CONVOLUTION = Axis(size=6, stride=2, offset=0.5)
Form = tuple[list[NodeProto], dict[str, Any]]
STARTS = ((0, 0), (1, 0), (0, 1), (1, 1))  # row, column


def by_slices() -> Form:
    """Build the Focus layer of YOLOv5 and YOLOX."""
    weights: dict[str, Any] = {
        "axes": np.array([2, 3]),
        "steps": np.array([2, 2]),
        "ends": np.array([2**31 - 1, 2**31 - 1]),
    }
    nodes = []
    for number, start in enumerate(STARTS):
        weights[f"start{number}"] = np.array(start)
        inputs = ["image", f"start{number}", "ends", "axes", "steps"]
        nodes.append(helper.make_node("Slice", inputs, [f"piece{number}"]))
    pieces = [f"piece{number}" for number in range(4)]
    nodes.append(helper.make_node("Concat", pieces, ["blocks"], axis=1))
    return nodes, weights


def by_slices_of_one_axis() -> Form:
    """Build a Focus layer as TorchScript exports it: rows first, then columns."""
    weights: dict[str, Any] = {
        "row_axis": np.array([2]),
        "column_axis": np.array([3]),
        "steps": np.array([2]),
        "ends": np.array([2**63 - 1]),
        "start0": np.array([0]),
        "start1": np.array([1]),
    }
    nodes = []
    for number, (row, column) in enumerate(STARTS):
        rows = ["image", f"start{row}", "ends", "row_axis", "steps"]
        columns = [
            f"rows{number}",
            f"start{column}",
            "ends",
            "column_axis",
            "steps",
        ]
        nodes.append(helper.make_node("Slice", rows, [f"rows{number}"]))
        nodes.append(helper.make_node("Slice", columns, [f"piece{number}"]))
    pieces = [f"piece{number}" for number in range(4)]
    nodes.append(helper.make_node("Concat", pieces, ["blocks"], axis=1))
    return nodes, weights


def by_gathers() -> Form:
    weights: dict[str, Any] = {
        "rows0": np.arange(0, 32, 2),
        "rows1": np.arange(1, 32, 2),
        "columns0": np.arange(0, 48, 2),
        "columns1": np.arange(1, 48, 2),
    }
    nodes = []
    for number, (row, column) in enumerate(STARTS):
        rows = ["image", f"rows{row}"]
        columns = [f"in_rows{number}", f"columns{column}"]
        nodes.append(helper.make_node("Gather", rows, [f"in_rows{number}"], axis=2))
        nodes.append(
            helper.make_node("Gather", columns, [f"piece{number}"], axis=3)
        )
    pieces = [f"piece{number}" for number in range(4)]
    nodes.append(helper.make_node("Concat", pieces, ["blocks"], axis=1))
    return nodes, weights


def by_reshapes() -> Form:
    """Build a PixelUnshuffle as exporters decompose it, or a Reorg layer."""
    weights = {
        "split": np.array([0, 3, 16, 2, 24, 2]),
        "joined": np.array([0, 12, 16, 24]),
    }
    nodes = [
        helper.make_node("Reshape", ["image", "split"], ["six"]),
        helper.make_node("Transpose", ["six"], ["turned"], perm=(0, 1, 3, 5, 2, 4)),
        helper.make_node("Reshape", ["turned", "joined"], ["blocks"]),
    ]
    return nodes, weights


def by_operator() -> Form:
    node = helper.make_node("SpaceToDepth", ["image"], ["blocks"], blocksize=2)
    return [node], {}


FORMS: list[Callable[[], Form]] = [
    by_slices, by_slices_of_one_axis, by_gathers, by_reshapes, by_operator,
]  # fmt: skip


def geometries(form: Form, *further: NodeProto) -> dict[str, Geometry]:
    nodes, weights = form
    kernels = {"w": random_weights(8, 12, 3, 3)}
    model = open_model(
        model_of([*nodes, *further], kernels | weights, ("N", 3, *SIZE))
    )
    listed = model.layers(SIZE)
    return {layer.name: layer.geometry for layer in listed if layer.geometry}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pool", ["MaxPool", "AveragePool"])
def test_cells_look_at_the_centre_of_their_block(
    form: Callable[[], Form], pool: str
) -> None:
    convolution = helper.make_node(
        "Conv", ["blocks", "w"], ["y"], pads=(1, 1, 1, 1)
    )
    pooling = helper.make_node(
        pool, ["blocks"], ["p"], kernel_shape=(2, 2), strides=(2, 2)
    )
    geometry = geometries(form(), convolution, pooling)
    assert geometry["blocks"] == Geometry(CELLS, CELLS)
    assert geometry["y"] == Geometry(AFTER_CONVOLUTION, AFTER_CONVOLUTION)
    pooled = Axis(size=4, stride=4, offset=1.5)
    assert geometry["p"] == Geometry(pooled, pooled)


def test_depth_to_space_by_reshapes_divides_cells() -> None:
    nodes, weights = by_reshapes()
    weights |= {
        "apart": np.array([0, 3, 2, 2, 16, 24]),
        "whole": np.array([0, 3, 32, 48]),
    }
    further = [
        helper.make_node("Reshape", ["blocks", "apart"], ["a"]),
        helper.make_node("Transpose", ["a"], ["b"], perm=(0, 1, 4, 2, 5, 3)),
        helper.make_node("Reshape", ["b", "whole"], ["pixels"]),
    ]
    geometry = geometries((nodes, weights), *further)["pixels"]
    assert geometry == Geometry(Axis(), Axis())  # every pixel is where it was


def test_channels_last_blocks_have_a_centre_too() -> None:
    """Swin's patch merging, before its linear layer."""
    nodes, weights = by_slices()
    weights |= {"axes": np.array([1, 2])}
    nodes = [
        helper.make_node("Transpose", ["image"], ["last"], perm=(0, 2, 3, 1)),
        *nodes,
    ]
    for node in nodes[1:-1]:
        node.input[0] = "last"
    nodes[-1].attribute[0].i = 3
    with open_model(model_of(nodes, weights, ("N", 3, *SIZE))).probe(
        ["blocks"], SIZE
    ) as probe:
        assert probe.geometries["blocks"] == Geometry(CELLS, CELLS)
        images = torch.rand(1, 3, *SIZE)
        maps = probe(images)["blocks"]
    assert torch.equal(maps[:, :3], images[:, :, ::2, ::2])


def test_units_that_differ_by_a_whole_cell_look_at_no_common_block() -> None:
    shape = torch.Size((1, 2, 3, 4))
    positions = Positions.of_input(shape).moved(
        lambda coordinate: coordinate.clone(), shape
    )
    positions.columns[:, 1] += 1  # units of one cell a stride apart
    assert centred(positions) is positions


def test_reversed_slices_look_where_they_read() -> None:
    weights = {
        "axes": np.array([3]),
        "start": np.array([-1]),
        "ends": np.array([-(2**31)]),
        "steps": np.array([-1]),
    }
    node = helper.make_node(
        "Slice", ["image", "start", "ends", "axes", "steps"], ["y"]
    )
    with open_model(model_of([node], weights)).probe(["y"], (32, 32)) as probe:
        assert probe.geometries["y"].columns == Axis(1, -1, 31)
