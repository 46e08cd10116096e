"""Models of other frameworks against the slow twin: PP-OCRv4's detector (Paddle), and Keras 3.

The twin counts twice: with the maps of the run, recorded while it computes them, where every
integer has to be the same; and with activations of onnx's reference evaluator, which differ from
those of ONNX Runtime in their last bits, and so may IoUs a little.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx_files
import pytest
import recording
import reference
import torch
from command_here import run_nd

from nd_plugin import Dissection, open_concepts, open_model

BATCH = 4
PATIENCE = 1200.0  # seconds for Keras to start, train and export on a busy machine
QUANTILE, MIN_IOU = 0.02, 0.04
# Two implementations of some dozen layers round apart: a share of the largest activation.
ACTIVATION_TOLERANCE = 1e-4
# It moves a pixel of a mask across its threshold here and there: three of some 400.
IOU_TOLERANCE = 1e-2
Axes = tuple[reference.Axis, reference.Axis]


@dataclass(frozen=True)
class Case:
    """A model, what it was dissected on, and how images come to it, for the twin."""

    path: Path
    run: Path
    layers: Sequence[str]
    # stride and offset of rows and columns, worked out by hand
    axes: Mapping[str, Axes]
    channels_last: frozenset[str]  # layers that are (N, h, w, C)
    size: tuple[int, int]
    images: np.ndarray  # (image, 3, row, column), prepared by the twin
    annotations: Sequence[reference.Annotation]
    concepts: Sequence[tuple[str, str]]  # name, category
    recorder: recording.Recorder = field(repr=False)  # of the run
    report: str = field(repr=False)

    @property
    def dissections(self) -> dict[str, Dissection]:
        """The saved results of the run, by layer."""
        saved = [
            Dissection.load(folder)
            for folder in self.run.iterdir()
            if folder.is_dir()
        ]
        return {dissection.layer: dissection for dissection in saved}


def recorded_run(
    path: Path,
    layers: Sequence[str],
    size: tuple[int, int],
    images: np.ndarray,
    arguments: Sequence[str | Path],
) -> tuple[recording.Recorder, str]:
    """Dissect layers of a file on the command line: the maps of the run, and its report."""
    recorder = recording.Recorder(images)
    guarded: Any
    with open_model(str(path)).probe(layers, size) as guarded:
        # the plugin's own class, behind the host's guard
        kind: Any = type(guarded._target)
    chosen = [argument for layer in layers for argument in ("-l", layer)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            kind, "__call__", recording.recording_call(recorder, kind.__call__)
        )
        code, report, _ = run_nd("dissect", path, *chosen, *arguments)
    assert code == 0
    return recorder, report


def evaluators_maps(case: Case) -> dict[str, list[np.ndarray]]:
    """Maps (unit, row, column) of each image, by onnx's reference evaluator."""
    values = onnx_files.inner_values(case.path, case.images, case.layers)
    return {
        layer: list(
            value.transpose(0, 3, 1, 2) if layer in case.channels_last else value
        )
        for layer, value in values.items()
    }


@dataclass(frozen=True)
class Twin:
    """What the slow twin counts."""

    thresholds: np.ndarray
    counts: tuple[np.ndarray, np.ndarray, np.ndarray]
    iou: np.ndarray

    @classmethod
    def of(cls, case: Case, layer: str, maps: Sequence[np.ndarray]) -> Twin:
        """From the maps of a layer."""
        values = np.stack(maps, axis=1).reshape(maps[0].shape[0], -1)
        thresholds = np.array(
            [reference.threshold(unit, QUANTILE) for unit in values]
        )
        categories = list(dict.fromkeys(category for _, category in case.concepts))
        category_of = [categories.index(category) for _, category in case.concepts]
        mask = (case.size[0] // 2, case.size[1] // 2)
        counts = reference.counts(
            maps,
            case.annotations,
            category_of,
            len(categories),
            thresholds.astype(np.float32),
            case.axes[layer],
            case.size,
            mask,
        )
        return cls(thresholds, counts, reference.iou(*counts, category_of))


def assert_same_integers(dissection: Dissection, twin: Twin) -> None:
    """A dissection is, to the last integer and bit, what the twin counts with the same maps."""
    assert np.array_equal(dissection.thresholds, twin.thresholds)
    counts = (
        dissection.intersection,
        dissection.unit_area,
        dissection.concept_area,
    )
    for count, expected in zip(counts, twin.counts, strict=True):
        assert np.array_equal(count, expected)
    assert np.array_equal(dissection.iou, twin.iou)
    assert np.array_equal(dissection.labels, reference.labels(twin.iou))
    detectors = reference.detectors(twin.iou, MIN_IOU)
    assert dissection.summary().detectors == int(detectors.sum())


def assert_near(dissection: Dissection, twin: Twin) -> int:
    """A dissection is what the twin counts with maps that differ in their last bits.

    Gives the number of detectors that are so by more than the tolerance, with labels that are so.
    """
    assert float(np.abs(dissection.iou - twin.iou).max()) <= IOU_TOLERANCE
    best = twin.iou.max(axis=1)
    surely = np.abs(best - MIN_IOU) > IOU_TOLERANCE
    detectors = reference.detectors(twin.iou, MIN_IOU)
    assert np.array_equal(
        (dissection.iou.max(axis=1) > MIN_IOU)[surely], detectors[surely]
    )
    undecided = int((~surely).sum())
    assert abs(dissection.summary().detectors - int(detectors.sum())) <= undecided
    named = detectors & surely & recording.clear_winners(twin.iou, IOU_TOLERANCE)
    assert np.array_equal(
        dissection.labels[named], reference.labels(twin.iou)[named]
    )
    return int(named.sum())


def assert_equals_the_twin(case: Case) -> None:
    maps_of_evaluator = evaluators_maps(case)
    named = 0
    for layer in case.layers:
        dissection = case.dissections[layer]
        maps, expected = case.recorder.maps(layer), maps_of_evaluator[layer]
        recording.assert_near(maps, expected, ACTIVATION_TOLERANCE)
        assert dissection.units == len(maps[0])
        assert_same_integers(dissection, Twin.of(case, layer, maps))
        named += assert_near(dissection, Twin.of(case, layer, expected))
    assert named > 0


def same_axes(stride: float, offset: float) -> Axes:
    return (stride, offset), (stride, offset)


# A neck that adds resized deep maps looks where its finest branch does; the head doubles it twice.
PADDLE = {
    "depthwise_conv2d_8.tmp_0": same_axes(16, 0),
    "p2o.Concat.1": same_axes(4, 0),
    "batch_norm_0.tmp_4": same_axes(4, 0),
    # before the last Sigmoid, which is 0 but for rounding where there is no text
    "p2o.Add.281": same_axes(1, -1.5),
}


@pytest.fixture(scope="module")
def detector() -> Path:
    # found, not imported: it wants OpenCV
    package = importlib.util.find_spec("rapidocr_onnxruntime")
    if package is None or package.origin is None:
        pytest.skip(
            "no package rapidocr_onnxruntime: pip install --no-deps rapidocr-onnxruntime"
        )
    return Path(package.origin).parent / "models" / "ch_PP-OCRv4_det_infer.onnx"


@pytest.fixture(scope="module")
def paddle(
    detector: Path, real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Case:
    size, count, run = (64, 96), 12, tmp_path_factory.mktemp("paddle") / "run"
    twin = reference.read_masks(real_data / "camvid")
    # blue first, as the channels then are
    mean, std = ((0.406, 0.456, 0.485), (0.225, 0.224, 0.229))
    paths = twin.images[:count]
    images = np.stack(
        [reference.preprocess(path, size, mean, std)[::-1] for path in paths]
    )
    recorder, report = recorded_run(
        detector,
        list(PADDLE),
        size,
        images,
        [
            *("-c", f"masks:{real_data}/camvid", "-o", run, "--limit", str(count)),
            *("--input-size", f"{size[0]}x{size[1]}", "--channel-order", "bgr"),
            *("--quantile", str(QUANTILE), "--batch-size", str(BATCH)),
            *("--workers", "0", "--device", "cpu"),
        ],
    )
    return Case(
        detector,
        run,
        list(PADDLE),
        axes=PADDLE,
        channels_last=frozenset(),
        size=size,
        images=images,
        annotations=[twin.annotation(image) for image in range(count)],
        concepts=twin.concepts,
        recorder=recorder,
        report=report,
    )


class TestPaddle:
    """The text detector of PP-OCRv4, as the package rapidocr-onnxruntime ships it."""

    def test_its_layers_are_listed(self, detector: Path) -> None:
        code, out, _ = run_nd("layers", detector, "--input-size", "64x96", "--json")
        listed = {layer["name"]: layer for layer in json.loads(out)["layers"]}
        assert code == 0 and len(listed) > 300
        shapes = {name: listed[name]["shape"][1:] for name in PADDLE}
        assert shapes == {
            "depthwise_conv2d_8.tmp_0": [192, 4, 6],
            "p2o.Concat.1": [96, 16, 24],
            "batch_norm_0.tmp_4": [24, 16, 24],
            "p2o.Add.281": [1, 64, 96],
        }
        assert (
            listed["sigmoid_0.tmp_0"]["geometry"]
            == listed["p2o.Add.281"]["geometry"]
        )
        for name, (rows, columns) in PADDLE.items():
            geometry = listed[name]["geometry"]
            assert geometry["anchored"]
            assert (geometry["rows"]["stride"], geometry["rows"]["offset"]) == rows
            assert (
                geometry["columns"]["stride"],
                geometry["columns"]["offset"],
            ) == columns

    def test_equals_the_slow_twin(self, paddle: Case) -> None:
        assert_equals_the_twin(paddle)

    def test_its_report_names_its_layers(self, paddle: Case) -> None:
        code, out, _ = run_nd("report", paddle.run)
        assert code == 0 and out == paddle.report
        assert all(layer in out for layer in PADDLE)
        description = json.loads((paddle.run / "run.json").read_text())
        model, preprocess = description["model"], description["preprocess"]
        assert description["backend"] == "onnxruntime"
        assert (
            model["name"] == "ch_PP-OCRv4_det_infer"
            and len(model["fingerprint"]) == 16
        )
        assert preprocess["channel_order"] == "bgr" and preprocess["size"] == [
            64,
            96,
        ]


KERAS = """
import sys
import keras, numpy as np, torch
from keras import layers
from nd_plugin import open_concepts

torch.manual_seed(0)
keras.utils.set_random_seed(0)
drawn = open_concepts("shapes?images=64&size=48&seed=3")
pixels = [np.asarray(drawn.image(index).convert("RGB")) for index in range(64)]
images = np.stack(pixels).astype("float32") / 255
colour = images.mean((1, 2)).argmax(1)
model = keras.Sequential([
    layers.Input((48, 48, 3), name="image"),
    layers.Conv2D(8, 3, padding="same", name="near"),
    layers.ReLU(name="near_relu"),
    layers.MaxPooling2D(2, name="pool"),
    layers.Conv2D(12, 3, strides=2, padding="same", name="far"),
    layers.BatchNormalization(name="norm", momentum=0.5),
    layers.ReLU(name="far_relu"),
    layers.GlobalAveragePooling2D(name="average"),
    layers.Dense(3, name="colour"),
])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(images, colour, epochs=4, batch_size=16, verbose=0)
model.export(sys.argv[1], format="onnx", verbose=False)
outputs = [model.get_layer(name).output for name in ("near_relu", "pool", "far_relu")]
near, pool, far = keras.Model(model.inputs, outputs).predict(images[:3], verbose=0)
np.savez(sys.argv[2], images=images[:3], near=near, pool=pool, far=far)
"""


KERAS_SIZE, KERAS_COUNT = (48, 48), 16


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("keras") is None:
        pytest.skip("no package keras")
    folder = tmp_path_factory.mktemp("keras")
    environment = {
        **os.environ,
        "KERAS_BACKEND": "torch",
        "KERAS_HOME": str(folder),
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [
        sys.executable,
        "-c",
        KERAS,
        str(folder / "colours.onnx"),
        str(folder / "inner.npz"),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "colours.onnx"


def layers_of(exported: Path) -> list[str]:
    """Keras' names are lost on the way: the two ReLUs and the pooling, by what they are."""
    listed = open_model(str(exported)).layers(KERAS_SIZE)
    names = [layer.name for layer in listed if layer.kind in ("Relu", "MaxPool")]
    assert len(names) == 3
    return names


@pytest.fixture(scope="module")
def trained(exported: Path) -> Case:
    run, text = exported.parent / "run", f"shapes?images={KERAS_COUNT}&size=96"
    layers, drawn = layers_of(exported), open_concepts(text)
    images, annotations = [], []
    for index in range(KERAS_COUNT):
        path = exported.parent / f"{index}.png"
        drawn.image(index).save(path)
        images.append(reference.preprocess(path, KERAS_SIZE, (0, 0, 0), (1, 1, 1)))
        annotation = drawn.annotation(index)
        planes = [np.asarray(plane).astype(np.int32) for plane in annotation.planes]
        annotations.append((planes, list(annotation.labels)))
    recorder, report = recorded_run(
        exported,
        layers,
        KERAS_SIZE,
        np.stack(images),
        [
            *("-c", text, "-o", run, "--mean", "0,0,0", "--std", "1,1,1"),
            *("--quantile", str(QUANTILE), "--batch-size", str(BATCH)),
            *("--workers", "0", "--device", "cpu"),
        ],
    )
    concepts = [(concept.name, concept.category) for concept in drawn.concepts]
    assert list(dict.fromkeys(category for _, category in concepts)) == list(
        drawn.categories
    )
    axes = [same_axes(1, 0), same_axes(2, 0.5), same_axes(4, 2.5)]
    return Case(
        exported,
        run,
        layers,
        axes=dict(zip(layers, axes, strict=True)),
        channels_last=frozenset((layers[0], layers[2])),
        size=KERAS_SIZE,
        images=np.stack(images),
        annotations=annotations,
        concepts=concepts,
        recorder=recorder,
        report=report,
    )


class TestKeras:
    """A small network of Keras 3 on torch, channels last, trained to name the dominant colour."""

    def test_activations_are_those_of_keras(self, exported: Path) -> None:
        inner = np.load(exported.parent / "inner.npz")
        images = torch.from_numpy(inner["images"].transpose(0, 3, 1, 2).copy())
        layers = layers_of(exported)
        with open_model(str(exported)).probe(layers, KERAS_SIZE) as probe:
            maps_by_layer = probe(images)
            assert getattr(probe, "notes", ()) == (), "and nothing was folded"
        for layer, name in zip(layers, ("near", "pool", "far"), strict=True):
            expected = inner[name].transpose(0, 3, 1, 2)
            recording.assert_near(
                maps_by_layer[layer].numpy(), expected, ACTIVATION_TOLERANCE
            )

    def test_its_layers_are_listed_as_maps(self, trained: Case) -> None:
        code, out, _ = run_nd("layers", trained.path, "--json")
        listed = {layer["name"]: layer for layer in json.loads(out)["layers"]}
        assert code == 0
        assert [listed[name]["shape"][1:] for name in trained.layers] == [
            [8, 48, 48],
            [8, 24, 24],
            [12, 12, 12],
        ]
        for name in trained.layers:
            rows, columns = (
                listed[name]["geometry"][axis] for axis in ("rows", "columns")
            )
            assert (
                (rows["stride"], rows["offset"]),
                (columns["stride"], columns["offset"]),
            ) == trained.axes[name]

    def test_equals_the_slow_twin(self, trained: Case) -> None:
        assert_equals_the_twin(trained)

    def test_a_convolution_behind_which_nothing_was_folded_does_not_say_so(
        self, exported: Path
    ) -> None:
        model: Any = open_model(str(exported))
        (first, *_) = (
            layer.name for layer in model.layers(KERAS_SIZE) if layer.kind == "Conv"
        )
        with model.probe([first], KERAS_SIZE) as probe:
            assert getattr(probe, "notes", ()) == ()

    def test_its_report_is_that_of_the_run(self, trained: Case) -> None:
        assert run_nd("report", trained.run)[:2] == (0, trained.report)
        assert all(layer in trained.report for layer in trained.layers)
