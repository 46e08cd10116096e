"""Model files that the tests open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import numpy as np
import onnx
import pytest
from networks import SIZE
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def branches(folder: Path) -> str:
    """File of the network of branches, for images of any size."""
    network = networks.built(networks.Branches)
    model = networks.convert(network, [-1, 3, -1, -1], SIZE)
    return networks.save(model, folder / "branches.xml")


@pytest.fixture(scope="session")
def attention(folder: Path) -> str:
    """File of the network of tokens."""
    network = networks.built(networks.Attention)
    model = networks.convert(network, [-1, 3, -1, -1], SIZE)
    return networks.save(model, folder / "attention.xml")


@pytest.fixture(scope="session")
def onnx_file(folder: Path) -> str:
    """File of two convolutions in ONNX."""
    random = np.random.default_rng(0)
    weights = []
    nodes = []
    value = "image"
    for number, shape in enumerate([(6, 3, 3, 3), (8, 6, 3, 3)]):
        kernels = random.standard_normal(shape).astype(np.float32)
        weights.append(numpy_helper.from_array(kernels, f"w{number}"))
        nodes.append(
            helper.make_node(
                "Conv",
                [value, f"w{number}"],
                [f"conv{number}"],
                f"conv{number}",
                strides=[2, 2],
                pads=[1, 1, 1, 1],
            )
        )
        nodes.append(
            helper.make_node(
                "Relu", [f"conv{number}"], [f"relu{number}"], f"relu{number}"
            )
        )
        value = f"relu{number}"
    sides = ["N", 3, "H", "W"]
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, None)],
        weights,
    )
    path = folder / "convolutions.onnx"
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return str(path)


@pytest.fixture(scope="session")
def saved(folder: Path) -> Callable[..., str]:
    """Return a function that saves a model under a name."""

    def save(model: Any, name: str, **options: Any) -> str:
        return networks.save(model, folder / f"{name}.xml", **options)

    return save
