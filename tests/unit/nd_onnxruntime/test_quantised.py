"""Quantised models, as onnxruntime.quantization writes them: dequantised activations."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_files
import pytest
import torch
from onnx import numpy_helper
from onnxruntime import quantization
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType

from nd_plugin import open_model

SIZE = (32, 32)
AFTER_QDQ = "taken after its QuantizeLinear and DequantizeLinear, as the quantised model uses it"
APPENDED = (
    "integers of a quantised operator, dequantised by an appended DequantizeLinear"
)
ONE_AT_A_TIME = (
    "outputs depend on the rest of the batch; images were run one at a time"
)
VALUES = {
    "QDQ": ("relu1", "pool1", "relu2"),
    "QOperator": ("conv1_quantized", "pool1_quantized", "conv2_quantized"),
}
SCALES = {"relu1": "relu1", "pool1": "relu1", "relu2": "relu2",
          "conv1_quantized": "conv1", "pool1_quantized": "conv1",
          "conv2_quantized": "conv2"}  # fmt: skip


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, path: Path) -> None:
        self.batches: Iterator[dict[str, Any]] = iter(
            {"image": onnx_files.draw_images(path, 1, seed)} for seed in range(8)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self.batches, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hard files' network in single precision and quantised in three ways."""
    folder = tmp_path_factory.mktemp("quantised")
    model, path = onnx.load(onnx_files.dynamic_batch(folder)), folder / "float.onnx"
    # the evaluator knows no earlier DequantizeLinear
    model.opset_import[0].version, model.ir_version = (19, 9)
    path.write_bytes(model.SerializeToString())
    # the quantiser recommends what makes no difference here
    logging.disable(logging.WARNING)
    try:
        for form in (QuantFormat.QDQ, QuantFormat.QOperator):
            quantization.quantize_static(
                str(path), str(folder / f"{form.name}.onnx"), Calibration(path), quant_format=form,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QUInt8,
            )  # fmt: skip
        quantization.quantize_dynamic(
            str(path), str(folder / "dynamic.onnx"), weight_type=QuantType.QUInt8
        )
    finally:
        logging.disable(logging.NOTSET)
    return folder


def probed(
    path: Path, layers: Sequence[str], images: np.ndarray
) -> tuple[list[np.ndarray], list[str]]:
    with open_model(str(path)).probe(layers, SIZE) as probe:
        maps_by_layer = probe(torch.from_numpy(images))
        assert all(maps.dtype == torch.float32 for maps in maps_by_layer.values())
        return [maps_by_layer[layer].numpy() for layer in layers], list(
            getattr(probe, "notes", ())
        )


def images_of(folder: Path) -> np.ndarray:
    return onnx_files.draw_images(folder / "float.onnx", 3, 77)


def numbers(path: Path, value: str) -> tuple[float, float]:
    """Scale and zero point that the file holds for a value."""
    arrays = {
        one.name: numpy_helper.to_array(one)
        for one in onnx.load(path).graph.initializer
    }
    return float(arrays[f"{SCALES[value]}_scale"]), float(
        arrays[f"{SCALES[value]}_zero_point"]
    )


@pytest.mark.parametrize(
    ("form", "note"), [("QDQ", AFTER_QDQ), ("QOperator", APPENDED)]
)
def test_values_are_the_numbers_of_the_quantised_model(
    folder: Path, form: str, note: str
) -> None:
    path, values, images = folder / f"{form}.onnx", VALUES[form], images_of(folder)
    probed_maps, notes = probed(path, values, images)
    assert notes == [f"layer {value!r}: {note}" for value in values]
    for value, maps in zip(values, probed_maps, strict=True):
        scale, zero = numbers(path, value)
        name = f"{value}_DequantizeLinear_Output" if form == "QDQ" else value
        truth = onnx_files.inner_values(path, images, [name])[name].astype(
            np.float32
        )
        expected = truth if form == "QDQ" else (truth - zero) * scale
        steps = maps / scale
        assert np.abs(steps - steps.round()).max() < 1e-3, "multiples of the scale"
        assert len(np.unique(steps.round())) > 50
        assert np.abs(maps - expected).max() <= 1.01 * scale, (
            "the two round apart by one step at most"
        )
        assert np.mean(np.abs(maps - expected) < scale / 2) > 0.99


@pytest.mark.parametrize(
    ("form", "layers"),
    [("QDQ", "relu1 relu2"), ("QOperator", "conv1_quantized conv2_quantized")],
)
def test_they_are_near_those_of_the_float_model_and_look_at_the_same_places(
    folder: Path, form: str, layers: str
) -> None:
    images = images_of(folder)
    quantised, _ = probed(folder / f"{form}.onnx", layers.split(), images)
    floats, _ = probed(folder / "float.onnx", ["relu1", "relu2"], images)
    for one, other in zip(quantised, floats, strict=True):
        assert 0 < np.abs(one - other).max() < 0.05 * other.max()
    size = SIZE
    with (
        open_model(str(folder / f"{form}.onnx")).probe(
            layers.split(), size
        ) as probe,
        open_model(str(folder / "float.onnx")).probe(
            ["relu1", "relu2"], size
        ) as origin,
    ):
        assert list(probe.geometries.values()) == list(origin.geometries.values())


def test_dynamic_quantisation_scales_by_the_batch_so_images_go_one_by_one(
    folder: Path,
) -> None:
    images, path = images_of(folder), folder / "dynamic.onnx"
    images[1] *= 40  # in one batch with it, the others would be rounded away
    (relu1, relu2), notes = probed(path, ["relu1", "relu2"], images)
    assert notes == [ONE_AT_A_TIME]
    truth = onnx_files.inner_values(path, images, ["relu1", "relu2"])
    for maps, expected in ((relu1, truth["relu1"]), (relu2, truth["relu2"])):
        for image in range(3):
            assert (
                np.abs(maps[image] - expected[image]).max()
                < 0.02 * expected[image].max()
            )


def test_a_module_is_the_value_before_its_quantisation(folder: Path) -> None:
    """Quantising nodes carry the module's scope too, but are neither its output nor a run of it."""
    model = onnx.load(folder / "QDQ.onnx")
    for node in model.graph.node:
        if node.output[0].startswith("relu1"):
            node.name = "/block/act" + (
                "/Relu" if node.op_type == "Conv" else f"/Relu_{node.op_type}"
            )
    with open_model(model).probe(["block.act"], SIZE) as probe:
        maps = probe(torch.from_numpy(images_of(folder)))["block.act"].numpy()
        assert getattr(probe, "notes", ()) == (f"layer 'block.act': {AFTER_QDQ}",)
    assert np.array_equal(
        maps, probed(folder / "QDQ.onnx", ["relu1"], images_of(folder))[0][0]
    )
