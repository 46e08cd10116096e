"""Files: which are claimed, what is wrong with others, and the identity of models."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np
import openvino
import pytest
from networks import SIZE, Graph

from nd_openvino import match
from nd_openvino.backend import OpenVinoBackend
from nd_plugin import (
    BadInput,
    LayerNotFound,
    Model,
    ModelNotFound,
    ModelOptions,
    NDError,
    Unavailable,
    open_model,
)

ANNOTATION = "<?xml version='1.0'?>\n<annotation><object/></annotation>\n"


def opened(model: str, **options: object) -> Model:
    return OpenVinoBackend().open(model, ModelOptions(**options))  # type: ignore[arg-type]


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys, nd_openvino; nd_openvino.nd_backends(); "
        "print({'openvino', 'torch', 'numpy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True).strip() == "set()"


SIGNALS = """
import faulthandler, gc, signal, subprocess, sys
from nd_openvino.backend import OpenVinoBackend
from nd_plugin import ModelOptions

faulthandler.enable()
signal.signal(signal.SIGCHLD, lambda number, frame: print("a child ended"))
models = []
for _ in range(3):
    model = OpenVinoBackend().open(sys.argv[1], ModelOptions())
    model.layers((32, 32))
    models.append(model)
while models:
    del models[0], model
    gc.collect()
    model = None
subprocess.run([sys.executable, "-c", ""], check=True)
"""


def test_signals_are_received_after_models_are_dropped(branches: str) -> None:
    command = [sys.executable, "-c", SIGNALS, branches]
    assert subprocess.check_output(command, text=True) == "a child ended\n"


def test_files_of_other_kinds_are_not_claimed(
    branches: str, onnx_file: str, tmp_path: Path
) -> None:
    other = tmp_path / "image.xml"
    other.write_text(ANNOTATION)
    assert match(branches) and match(Path(branches)) and match("missing.xml")
    assert match(f"openvino:{onnx_file}")
    assert not match(onnx_file) and not match(str(other)) and not match(object())
    assert open_model(onnx_file).backend == "onnxruntime"
    assert open_model(branches).backend == "openvino"


def test_errors_of_files_say_what_is_wrong(branches: str, tmp_path: Path) -> None:
    source = Path(branches)
    for name in ("alone", "cut", "short"):
        shutil.copy(source, tmp_path / f"{name}.xml")
    text = source.read_text()
    (tmp_path / "cut.xml").write_text(text[: len(text) // 2])
    weights = source.with_suffix(".bin").read_bytes()
    (tmp_path / "cut.bin").write_bytes(weights)
    (tmp_path / "short.bin").write_bytes(weights[: len(weights) // 2])
    (tmp_path / "image.xml").write_text(ANNOTATION)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    messages = {
        "missing.xml": "no file",
        "alone.xml": "there is no alone.bin beside it",
        "cut.xml": "cannot read",
        "short.xml": "Incorrect weights in bin file",
        "image.xml": "is no OpenVINO IR",
        "model.onnx": "cannot read",
    }
    for name, message in messages.items():
        with pytest.raises(ModelNotFound, match=message) as caught:
            opened(f"openvino:{tmp_path / name}")
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"device": "cuda"},
            Unavailable,
            "'cuda' was asked for, but OpenVINO has CPU",
        ),
        ({"weights": "w.bin"}, BadInput, "leave out --weights"),
        ({"feeds": {"mask": "1"}}, BadInput, "leave out --feed"),
        ({"input": "image"}, BadInput, "no input 'image'; the model has images"),
        (
            {"custom_ops": ("none.so",)},
            BadInput,
            "no library of operations 'none.so'",
        ),
    ],
)
def test_options_that_make_no_sense(
    branches: str, options: dict[str, object], error: type[NDError], message: str
) -> None:
    with pytest.raises(error, match=message):
        opened(branches, **options)


def test_an_unknown_layer_is_told_the_nearest(onnx_file: str) -> None:
    model = opened(f"openvino:{onnx_file}")
    with (
        pytest.raises(LayerNotFound, match=r"'relu7'.*nearest are relu"),
        model.probe(["relu7"], SIZE),
    ):
        pass


def test_a_size_that_the_model_does_not_take(saved: Callable[..., str]) -> None:
    model = opened(saved(networks.fixed_size(), "fixed-size"))
    with pytest.raises(BadInput, match="--input-size 32x32"):
        model.layers((64, 64))


def test_inputs_beside_the_image_are_refused(saved: Callable[..., str]) -> None:
    graph = Graph([-1, 3, 32, 32])
    scale = openvino.opset13.parameter([1, 3, 1, 1], np.float32, name="scale")
    graph.end(openvino.opset13.multiply(graph.image, scale))
    model = openvino.Model(graph.ends, [graph.image, scale], "two")
    with pytest.raises(BadInput, match="the inputs image, scale"):
        opened(saved(model, "two"))


def test_the_fingerprint_is_of_both_files(branches: str, tmp_path: Path) -> None:
    for ending in (".xml", ".bin"):
        shutil.copy(Path(branches).with_suffix(ending), tmp_path / f"copy{ending}")
    copy = tmp_path / "copy.xml"
    first = opened(branches).identity.fingerprint
    assert opened(str(copy)).identity.fingerprint == first
    weights = bytearray(copy.with_suffix(".bin").read_bytes())
    weights[5] ^= 1
    copy.with_suffix(".bin").write_bytes(weights)
    assert opened(str(copy)).identity.fingerprint != first


def test_operations_of_one_name_are_told_apart(saved: Callable[..., str]) -> None:
    graph = Graph([-1, 3, -1, -1])
    first = graph.convolution(graph.image, 4, "conv")
    graph.end(graph.convolution(first, 5, "other"))
    model = graph.build()
    for operation in model.get_ops():
        if operation.get_type_name() == "Convolution":
            operation.set_friendly_name("same")
    names = [layer.name for layer in opened(saved(model, "same")).layers(SIZE)]
    assert len(set(names)) == 2
