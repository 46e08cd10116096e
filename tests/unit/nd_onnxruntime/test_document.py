"""Reading files: external data, fingerprints, local functions, and what is no model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_files
import pytest
import torch
from onnx import TensorProto, numpy_helper

from nd_onnxruntime.document import Document, model_bytes, parse
from nd_plugin import BadInput, ModelNotFound, open_model


def read(path: Path) -> Document:
    return parse(path, model_bytes(path))


def fingerprint(path: Path) -> str:
    return open_model(str(path)).identity.fingerprint


@pytest.mark.parametrize(
    "make", [onnx_files.external_data, onnx_files.symlinked_external_data]
)
def test_external_data_are_read_tensor_by_tensor(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    inside = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in onnx.load(
            onnx_files.dynamic_batch(tmp_path)
        ).graph.initializer
    }
    document = read(make(tmp_path))
    tensors = document.model.graph.initializer
    assert all(
        tensor.data_location == TensorProto.EXTERNAL for tensor in tensors
    ), "they stay where they are"
    assert {tensor.name for tensor in tensors} == set(inside)
    for tensor in tensors:
        assert np.array_equal(document.array(tensor), inside[tensor.name])


def test_external_data_without_offset_and_length_are_the_whole_file(
    tmp_path: Path,
) -> None:
    path = onnx_files.external_data(tmp_path)
    model = onnx.load(path, load_external_data=False)
    (bias,) = (
        tensor for tensor in model.graph.initializer if tensor.name == "conv1.bias"
    )
    np.arange(8, dtype="<f4").tofile(tmp_path / "bias.bin")
    del bias.external_data[:]
    bias.external_data.add(key="location", value="./bias.bin")
    path.write_bytes(model.SerializeToString())
    document = read(path)
    (bias,) = (
        tensor
        for tensor in document.model.graph.initializer
        if tensor.name == "conv1.bias"
    )
    assert document.array(bias).tolist() == list(range(8))
    images = onnx_files.draw_images(path, 1)
    with open_model(str(path)).probe(["conv1"], (32, 32)) as probe:
        maps = probe(torch.from_numpy(images))["conv1"].numpy()
    np.testing.assert_allclose(
        maps,
        onnx_files.inner_values(path, images, ["conv1"])["conv1"],
        rtol=0,
        atol=1e-5,
    )


def test_data_beside_a_linked_model_are_looked_for_beside_the_link(
    tmp_path: Path,
) -> None:
    """A hub's cache: the name that the user gives counts, and not where the link leads."""
    path = onnx_files.symlinked_external_data(tmp_path)
    assert read(path).external == {
        "model.onnx.data": path.parent / "model.onnx.data"
    }
    with pytest.raises(ModelNotFound, match=r"blobs/model.onnx.data is missing"):
        read(path.resolve())


def test_a_fingerprint_is_of_the_weights_wherever_they_lie(tmp_path: Path) -> None:
    path = onnx_files.external_data(tmp_path / "one")
    original = fingerprint(path)
    assert fingerprint(onnx_files.external_data(tmp_path / "two")) == original, (
        "and of no name"
    )
    weights = path.parent / "model.onnx.data"
    content = bytearray(weights.read_bytes())
    content[100] ^= 1
    weights.write_bytes(content)
    assert fingerprint(path) != original


def test_a_loaded_model_has_the_fingerprint_of_its_content(tmp_path: Path) -> None:
    path = onnx_files.dynamic_batch(tmp_path)
    model = onnx.load(path)
    opened = open_model(model)
    assert opened.identity.name == opened.identity.source == "hard"
    original = opened.identity.fingerprint
    model.graph.initializer[1].raw_data = b"\0" * len(
        model.graph.initializer[1].raw_data
    )
    assert open_model(model).identity.fingerprint != original


def test_a_model_loaded_without_its_data_is_refused(tmp_path: Path) -> None:
    path = onnx_files.external_data(tmp_path)
    assert open_model(onnx.load(path)).layers((32, 32))
    with pytest.raises(
        BadInput, match="was loaded without its external data: give the file's path"
    ):
        open_model(onnx.load(path, load_external_data=False))


def test_names_a_model_by_its_file(tmp_path: Path) -> None:
    path = onnx_files.dynamic_batch(tmp_path)
    identity = open_model(path).identity
    assert (identity.name, identity.source) == ("dynamic_batch", str(path))


def test_local_functions_are_inlined(tmp_path: Path) -> None:
    path = onnx_files.with_local_function(tmp_path)
    assert onnx.load(path).functions and not read(path).model.functions
    kinds = [layer.kind for layer in open_model(str(path)).layers((32, 32))]
    assert kinds == [
        "Conv",
        "Relu",
        "MaxPool",
        "Conv",
        "Relu",
        "GlobalAveragePool",
        "Flatten",
        "Gemm",
    ]


@pytest.mark.parametrize(
    ("name", "says"),
    [("nowhere.onnx", "no model file"), ("folder.onnx", "is a folder")],
)
def test_what_is_no_file_is_refused(name: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ModelNotFound, match=says):
        open_model(str(tmp_path / name))


def test_a_valid_message_without_a_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "graphless.onnx"
    path.write_bytes(onnx.ModelProto(ir_version=8).SerializeToString())
    with pytest.raises(
        ModelNotFound, match="is not an ONNX model: it contains no graph"
    ):
        open_model(str(path))


def test_an_ort_file_is_known_whatever_its_name(tmp_path: Path) -> None:
    path = onnx_files.ort_format(tmp_path).rename(tmp_path / "renamed.onnx")
    with pytest.raises(BadInput, match=r"is in ONNX Runtime's own .ort format"):
        open_model(str(path))


def test_a_weight_of_a_body_may_be_external_as_well(tmp_path: Path) -> None:
    """What lies outside the folder is refused there, too."""
    model = onnx.load(onnx_files.with_if(tmp_path))
    (node,) = (node for node in model.graph.node if node.op_type == "If")
    tensor = TensorProto(
        name="hidden",
        data_type=TensorProto.FLOAT,
        dims=[1],
        data_location=TensorProto.EXTERNAL,
    )
    tensor.external_data.add(key="location", value="../secret.bin")
    node.attribute[0].g.initializer.append(tensor)
    path = tmp_path / "hidden.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(
        BadInput,
        match=r"the tensor 'hidden' names '../secret.bin' as its file, outside",
    ):
        open_model(str(path))


@pytest.mark.parametrize(
    "location", ["", "/etc/hostname", "..", "a/../../x", "C:\\x", "..\\x"]
)
def test_data_outside_the_folder_are_not_read(
    location: str, tmp_path: Path
) -> None:
    model = onnx.load(onnx_files.external_data(tmp_path), load_external_data=False)
    entry = model.graph.initializer[0].external_data[0]
    assert entry.key == "location"
    entry.value = location
    path = tmp_path / "outside.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BadInput, match="outside the model's folder"):
        open_model(str(path))
