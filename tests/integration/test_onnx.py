"""EfficientNet-Lite0, exported by both of torch's exporters, quantised and halved: the same inside?

An export and its origin run on two libraries: their activations differ in the last bits, and a
pixel that lies at its threshold may be in one mask and not in the other.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from command_here import run_nd
from onnxruntime import quantization
from onnxruntime.quantization import CalibrationDataReader, QuantFormat
from recording import clear_winners

from nd_plugin import (
    LayerAmbiguous,
    LayerDissection,
    LayerNotFound,
    Settings,
    open_concepts,
    open_model,
)
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.models import Model
from nd_plugin.experiments.parity import LayerParity, parity
from nd_plugin.probe_data.batches import Feed

ORIGIN = "nd_torch.zoo:efficientnet_lite0"
SIZE = (224, 224)
SHAPES = "shapes?images=16"
LIMIT, BATCH = 10, 8
EXPORTERS: dict[str, dict[str, Any]] = {
    "TorchScript": {"dynamo": False, "dynamic_axes": {"image": {0: "N"}}},
    "dynamo": {"dynamo": True, "dynamic_shapes": ({0: "N"},), "verbose": False},
}
# one name in all three
SAME = ["_blocks.4", "_blocks.10", "_blocks.15", "_swish#1"]
# the one exporter knows of no BatchNorm any more
HEAD = {"TorchScript": "_conv_head=_bn1", "dynamo": "_bn1"}
FOLDED = (
    "the exporter folded the BatchNorm that follows into this convolution: the value is the one "
    "after the BatchNorm"
)


MIN_IOU = Settings().min_iou
# Of the largest activation: two libraries' sums over up to 1280 channels, block after block.
ACTIVATION_TOLERANCE = 1e-4
# Three pixels of the some 630 that a unit lights in ten images.
IOU_TOLERANCE = 5e-3


@pytest.fixture(scope="module")
def origin() -> Model:
    pytest.importorskip(
        "efficientnet_lite_pytorch", reason="the extra 'demo' is not installed"
    )
    return open_model(ORIGIN)


@dataclass(frozen=True)
class Exports:
    """The files that exporters and converters made of it."""

    folder: Path
    made: Mapping[str, Path]


@pytest.fixture(scope="module")
def exports(origin: Model, tmp_path_factory: pytest.TempPathFactory) -> Exports:
    pytest.importorskip(
        "onnxscript", reason="torch's dynamo exporter needs onnxscript"
    )
    zoo = pytest.importorskip("nd_torch.zoo")
    module, folder = (
        zoo.efficientnet_lite0().eval(),
        tmp_path_factory.mktemp("exports"),
    )
    made = {name: folder / name / "lite.onnx" for name in EXPORTERS}
    for name, path in made.items():
        path.parent.mkdir()
        with warnings.catch_warnings():
            # the exporters' own: deprecations, and what they do not know
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (torch.rand(2, 3, *SIZE),),
                str(path),
                input_names=["image"],
                **EXPORTERS[name],
            )
    return Exports(folder, made)


@pytest.fixture(scope="module")
def models(exports: Exports) -> dict[str, Model]:
    """The exports, opened once for all tests."""
    return {name: open_model(str(path)) for name, path in exports.made.items()}


@pytest.fixture(params=EXPORTERS)
def exporter(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=[SHAPES, "masks:{}/camvid"])
def concepts(request: pytest.FixtureRequest) -> ConceptSet:
    text: str = request.param
    if "{}" in text:
        text = text.format(request.getfixturevalue("real_data"))
    return open_concepts(text)


@pytest.fixture(scope="module")
def ious(origin: Model, concepts: ConceptSet) -> dict[str, Any]:
    """IoU (unit, concept) of each layer of the origin."""
    layers = [*SAME, "_bn1"]
    dissections = LayerDissection(origin, layers).dissect(
        concepts, limit=LIMIT, batch_size=BATCH, workers=0
    )
    assert isinstance(dissections, list)
    return {dissection.layer: dissection.iou for dissection in dissections}


def compared(
    first: Model, second: Model, layers: Sequence[str], concepts: ConceptSet
) -> list[LayerParity]:
    settings = Settings(limit=LIMIT)
    feed = Feed.of(concepts, second.preprocess, settings, first.device, BATCH, 0)
    pairs = []
    for layer in layers:
        name, _, other = layer.partition("=")
        pairs.append((name, other or name))
    return list(parity(first, second, pairs, feed).layers)


def test_exports_are_the_same_inside(
    origin: Model,
    models: Mapping[str, Model],
    exporter: str,
    concepts: ConceptSet,
    ious: Mapping[str, Any],
) -> None:
    layers = compared(models[exporter], origin, [*SAME, HEAD[exporter]], concepts)
    assert [layer.units for layer in layers] == [40, 112, 320, 1280, 1280]
    for layer in layers:
        assert layer.relative <= ACTIVATION_TOLERANCE, layer.layers
        assert layer.threshold_difference <= ACTIVATION_TOLERANCE * layer.largest
        assert layer.iou_difference <= IOU_TOLERANCE
        assert layer.geometry, "centres are to the last bit"
        iou = ious[layer.layers[1]]
        named = clear_winners(iou, IOU_TOLERANCE)
        assert not named[list(layer.labels)].any(), (
            "labels with a margin are the same"
        )
        assert set(layer.detector_labels) <= set(layer.labels)
        margins = np.abs(iou.max(axis=1) - MIN_IOU)
        assert (margins[list(layer.detectors)] <= IOU_TOLERANCE).all()
        assert abs(layer.counts[0] - layer.counts[1]) <= len(layer.detectors)
        assert named.any()
    assert sum(layer.counts[0] for layer in layers) > 10


def test_exports_list_the_layers_of_the_origin(
    origin: Model, models: Mapping[str, Model], exporter: str
) -> None:
    theirs = {layer.name: layer for layer in origin.layers(SIZE)}
    ours = {layer.name: layer for layer in models[exporter].layers(SIZE)}
    common = [name for name in theirs if name in ours]
    assert len(common) == (117 if exporter == "TorchScript" else 149)
    for name in common:
        assert ours[name].shape == theirs[name].shape, name
        assert ours[name].geometry == theirs[name].geometry, name
    lost = {name.rpartition(".")[2] for name in theirs if name not in ours}
    folded = {"_bn0", "_bn1", "_bn2"} if exporter == "TorchScript" else set()
    assert lost == folded | {"static_padding", "_dropout"}, (
        "an Identity leaves no trace"
    )


def test_names_that_an_export_has_not(models: Mapping[str, Model]) -> None:
    for model in models.values():
        with (
            pytest.raises(LayerAmbiguous, match="choose one: _swish#0, _swish#1"),
            model.probe(["_swish"], SIZE),
        ):
            pass
        with model.probe(["_conv_head"], SIZE) as probe:
            (note,) = getattr(probe, "notes", ())
            assert note == f"layer '_conv_head': {FOLDED}"
    with (
        pytest.raises(
            LayerNotFound, match="a BatchNorm that the exporter folded into"
        ),
        models["TorchScript"].probe(["_bn1"], SIZE),
    ):
        pass


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """A few of the images, as the model takes them."""

    def __init__(self, origin: Model) -> None:
        drawn, how = open_concepts(SHAPES), origin.preprocess
        self.batches: Iterator[dict[str, Any]] = iter(
            {"image": how.normalise(how.resize(drawn.image(index))[None]).numpy()}
            for index in range(6)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self.batches, None)


@pytest.fixture(scope="module")
def converted(origin: Model, exports: Exports) -> dict[str, Path]:
    """The TorchScript export quantised in two ways, and in half precision."""
    float16 = pytest.importorskip("onnxruntime.transformers.float16")
    source, made = exports.made["TorchScript"], {}
    # the quantiser recommends what makes no difference here
    logging.disable(logging.WARNING)
    try:
        for form in (QuantFormat.QDQ, QuantFormat.QOperator):
            made[form.name] = exports.folder / f"{form.name}.onnx"
            quantization.quantize_static(
                str(source),
                str(made[form.name]),
                Calibration(origin),
                quant_format=form,
                per_channel=True,
            )
    finally:
        logging.disable(logging.NOTSET)
    made["fp16"] = exports.folder / "fp16.onnx"
    with warnings.catch_warnings():
        # it tells of weights too small for half precision
        warnings.simplefilter("ignore")
        halved = float16.convert_float_to_float16(
            onnx.load(source), keep_io_types=False
        )
    onnx.save(halved, made["fp16"])
    return made


@pytest.mark.parametrize(
    ("form", "layers", "least", "most", "note"),
    [
        (
            "QDQ",
            ["_blocks.10", "_swish#1"],
            1e-2,
            0.9,
            "taken after its QuantizeLinear and DequantizeLinear, as the quantised model uses it",
        ),
        (
            "QOperator",
            ["_blocks.10", "_conv_head=_swish#1"],
            1e-2,
            0.9,
            "dequantised by an appended DequantizeLinear",
        ),
        ("fp16", ["_blocks.10", "_swish#1", "_conv_head=_bn1"], 1e-4, 5e-2, ""),
    ],
)
def test_parity_tells_what_a_conversion_changed(
    converted: dict[str, Path],
    form: str,
    layers: list[str],
    least: float,
    most: float,
    note: str,
) -> None:
    chosen = [argument for layer in layers for argument in ("-l", layer)]
    run = (
        "parity",
        converted[form],
        ORIGIN,
        *chosen,
        "-c",
        SHAPES,
        "--limit",
        "10",
        "--workers",
        "0",
    )
    code, out, _ = run_nd(*run, "--json", "--tolerance", "1e-4")
    found = json.loads(out)["layers"]
    assert code == 1 and [one["layers"][0] for one in found] == [
        layer.partition("=")[0] for layer in layers
    ]
    for one in found:
        assert least < one["relative"] < most, one["layers"]
        assert one["geometry"], "conversions leave every centre where it was"
        assert abs(one["counts"][0] - one["counts"][1]) <= len(one["detectors"])
        assert any(note in told for told in one["notes"]) or not note
    if form == "fp16":
        assert all(len(one["labels"]) < one["units"] / 2 for one in found)
    else:
        # How many labels change depends on the processor: int8 kernels round differently, and
        # saturate where there is no VNNI. What holds on each: parity and two separate dissections
        # agree on which labels change.
        assert any(one["labels"] for one in found), (
            "8-bit integers change what some units detect"
        )
        names = [one["layers"] for one in found]
        exported = labels_of(str(converted[form]), [first for first, _ in names])
        original = labels_of(ORIGIN, [second for _, second in names])
        for one, first, second in zip(found, exported, original, strict=True):
            assert one["labels"] == np.flatnonzero(first != second).tolist()
            assert len(one["labels"]) < one["units"], (
                "other numbers, and yet the same network"
            )


def labels_of(model: str, layers: list[str]) -> list[np.ndarray[Any, Any]]:
    """Return the units' labels of layers in a dissection of this model alone; (unit,) each."""
    dissections = LayerDissection(model, layers).dissect(
        SHAPES, limit=10, workers=0, preprocess=open_model(ORIGIN).preprocess
    )
    assert isinstance(dissections, list)
    return [dissection.labels for dissection in dissections]  # type: ignore[union-attr]
