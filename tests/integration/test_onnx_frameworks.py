"""Models of other frameworks, dissected and compared with the slow twin: PP-OCRv4's detector (Paddle), and Keras 3.

The twin is fed twice: with the maps of our own probe, where every integer has to be the same, and with activations that
onnx's reference evaluator computed, which differ from those of ONNX Runtime in their last bits.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx_files
import pytest
import reference
import torch

from nd_plugin import Dissection, open_concepts, open_model
from nd_plugin.cli.app import main

BATCH = 4
QUANTILE, MIN_IOU = 0.02, 0.04
Axes = tuple[reference.Axis, reference.Axis]


def nd(*arguments: str | Path) -> tuple[int, str]:
    """Run the command line in this process: exit code and stdout."""
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(StringIO()) as written,
        redirect_stderr(StringIO()),
    ):
        patch.setattr(sys, "argv", ["nd", *map(str, arguments)])
        patch.setenv("NO_COLOR", "1")
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0), written.getvalue()


@dataclass(frozen=True)
class Case:
    """A model, what it was dissected on, and how images come to it, for the twin."""

    path: Path
    run: Path
    layers: Sequence[str]
    axes: Mapping[str, Axes]  # stride and offset of rows and columns, worked out by hand
    channels_last: frozenset[str]  # layers that are (N, h, w, C)
    size: tuple[int, int]
    images: np.ndarray  # (image, 3, row, column), prepared by the twin
    annotations: Sequence[reference.Annotation]
    concepts: Sequence[tuple[str, str]]  # name, category
    report: str = field(default="", repr=False)

    @property
    def found(self) -> dict[str, Dissection]:
        """Our own results, by layer."""
        saved = [Dissection.load(folder) for folder in self.run.iterdir() if folder.is_dir()]
        return {dissection.layer: dissection for dissection in saved}


def own_maps(case: Case) -> dict[str, list[np.ndarray]]:
    """Maps (unit, row, column) of each image, by our probe."""
    taken: dict[str, list[np.ndarray]] = {layer: [] for layer in case.layers}
    with open_model(str(case.path)).probe(case.layers, case.size) as probe:
        for start in range(0, len(case.images), BATCH):
            batch = torch.from_numpy(case.images[start : start + BATCH])
            for layer, maps in probe(batch).items():
                taken[layer].extend(maps.numpy())
    return taken


def evaluators_maps(case: Case) -> dict[str, list[np.ndarray]]:
    """The same by onnx's reference evaluator."""
    values = onnx_files.inner_values(case.path, case.images, case.layers)
    return {
        layer: list(value.transpose(0, 3, 1, 2) if layer in case.channels_last else value)
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
        thresholds = np.array([reference.threshold(unit, QUANTILE) for unit in values])
        categories = list(dict.fromkeys(category for _, category in case.concepts))
        category_of = [categories.index(category) for _, category in case.concepts]
        mask = (case.size[0] // 2, case.size[1] // 2)
        counts = reference.counts(
            maps, case.annotations, category_of, len(categories), thresholds.astype(np.float32), case.axes[layer],
            case.size, mask,
        )  # fmt: skip
        return cls(thresholds, counts, reference.iou(*counts, category_of))


def assert_equals_the_twin(case: Case) -> None:
    own, theirs = own_maps(case), evaluators_maps(case)
    some = 0
    for layer in case.layers:
        found = case.found[layer]
        for ours, truth in zip(own[layer], theirs[layer], strict=True):
            assert ours.shape == truth.shape == (found.units, *ours.shape[1:])
        largest = max(float(np.abs(truth).max()) for truth in theirs[layer])
        assert (
            max(float(np.abs(a - b).max()) for a, b in zip(own[layer], theirs[layer], strict=True))
            <= 1e-4 * largest
        )
        same, other = (Twin.of(case, layer, maps[layer]) for maps in (own, theirs))
        assert np.array_equal(found.thresholds, same.thresholds)
        for ours, its in zip(
            (found.intersection, found.unit_area, found.concept_area), same.counts, strict=True
        ):
            assert np.array_equal(ours, its)
        assert np.array_equal(found.iou, same.iou) and np.array_equal(
            found.labels, reference.labels(same.iou)
        )
        assert float(np.abs(found.iou - other.iou).max()) <= 1e-3
        detectors = reference.detectors(other.iou, MIN_IOU)
        assert np.array_equal(found.labels[detectors], reference.labels(other.iou)[detectors])
        assert found.summary().detectors == int(detectors.sum())
        some += int(detectors.sum())
    assert some > 0


def same_axes(stride: float, offset: float) -> Axes:
    return (stride, offset), (stride, offset)


PADDLE = {  # the offsets of nearest-neighbour resizing by 8 are the middle of its 8 equal cells
    "depthwise_conv2d_8.tmp_0": same_axes(16, 0),
    "p2o.Concat.1": same_axes(4, -14),
    "batch_norm_0.tmp_4": same_axes(4, -14),
    "p2o.Add.281": same_axes(
        1, -15.5
    ),  # before the last Sigmoid, which is 0 but for rounding where there is no text
}


@pytest.fixture(scope="module")
def detector() -> Path:
    package = importlib.util.find_spec(
        "rapidocr_onnxruntime"
    )  # found, not imported: it wants OpenCV
    if package is None or package.origin is None:
        pytest.skip("no package rapidocr_onnxruntime: pip install --no-deps rapidocr-onnxruntime")
    return Path(package.origin).parent / "models" / "ch_PP-OCRv4_det_infer.onnx"


@pytest.fixture(scope="module")
def paddle(detector: Path, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    size, count, run = (64, 96), 12, tmp_path_factory.mktemp("paddle") / "run"
    chosen = [argument for layer in PADDLE for argument in ("-l", layer)]
    code, report = nd(
        "dissect", detector, *chosen, "-c", f"masks:{real_data}/camvid", "-o", run, "--limit", str(count),
        "--input-size", f"{size[0]}x{size[1]}", "--channel-order", "bgr", "--quantile", str(QUANTILE),
        "--batch-size", str(BATCH), "--workers", "0", "--device", "cpu",
    )  # fmt: skip
    assert code == 0
    twin = reference.read_masks(real_data / "camvid")
    mean, std = (
        (0.406, 0.456, 0.485),
        (0.225, 0.224, 0.229),
    )  # turned round, as the channels are afterwards
    images = [reference.preprocess(path, size, mean, std)[::-1] for path in twin.images[:count]]
    annotations = [twin.annotation(image) for image in range(count)]
    return Case(detector, run, list(PADDLE), PADDLE, frozenset(), size, np.stack(images), annotations,
                twin.concepts, report)  # fmt: skip


class TestPaddle:
    """The text detector of PP-OCRv4, as the package rapidocr-onnxruntime ships it."""

    def test_its_layers_are_listed(self, detector: Path) -> None:
        code, out = nd("layers", detector, "--input-size", "64x96", "--json")
        listed = {layer["name"]: layer for layer in json.loads(out)}
        assert code == 0 and len(listed) > 300
        shapes = {name: listed[name]["shape"][1:] for name in PADDLE}
        assert shapes == {
            "depthwise_conv2d_8.tmp_0": [192, 4, 6],
            "p2o.Concat.1": [96, 16, 24],
            "batch_norm_0.tmp_4": [24, 16, 24],
            "p2o.Add.281": [1, 64, 96],
        }
        assert listed["sigmoid_0.tmp_0"]["geometry"] == listed["p2o.Add.281"]["geometry"]
        for name, (rows, columns) in PADDLE.items():
            at = listed[name]["geometry"]
            assert at["anchored"]
            assert (at["rows"]["stride"], at["rows"]["offset"]) == rows
            assert (at["columns"]["stride"], at["columns"]["offset"]) == columns

    def test_equals_the_slow_twin(self, paddle: Case) -> None:
        assert_equals_the_twin(paddle)

    def test_its_report_names_its_layers(self, paddle: Case) -> None:
        code, out = nd("report", paddle.run)
        assert code == 0 and out == paddle.report
        assert all(layer in out for layer in PADDLE)
        made = json.loads((paddle.run / "run.json").read_text())
        assert made["backend"] == "onnxruntime" and made["model"]["name"] == "ch_PP-OCRv4_det_infer"
        assert made["preprocess"]["channel_order"] == "bgr" and made["preprocess"]["size"] == [
            64,
            96,
        ]
        assert len(made["model"]["fingerprint"]) == 16


KERAS = """
import sys
import keras, numpy as np, torch
from keras import layers
from nd_plugin import open_concepts

torch.manual_seed(0)
keras.utils.set_random_seed(0)
drawn = open_concepts("shapes?images=64&size=48&seed=3")
images = np.stack([np.asarray(drawn.image(i).convert("RGB")) for i in range(64)]).astype("float32") / 255
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
inner = keras.Model(model.inputs, [model.get_layer(name).output for name in ("near_relu", "pool", "far_relu")])
np.savez(sys.argv[2], images=images[:3], **dict(zip(("near", "pool", "far"), inner.predict(images[:3], verbose=0))))
"""


KERAS_SIZE, KERAS_COUNT = (48, 48), 16


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("keras") is None:
        pytest.skip("no package keras")
    folder = tmp_path_factory.mktemp("keras")
    surroundings = {
        **os.environ,
        "KERAS_BACKEND": "torch",
        "KERAS_HOME": str(folder),
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, "-c", KERAS, str(folder / "colours.onnx"), str(folder / "inner.npz")]
    done = subprocess.run(
        command, capture_output=True, text=True, env=surroundings, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "colours.onnx"


def layers_of(exported: Path) -> list[str]:
    """Keras' names are lost on the way: the two ReLUs and the pooling, by what they are."""
    listed = open_model(str(exported)).layers(KERAS_SIZE)
    found = [layer.name for layer in listed if layer.kind in ("Relu", "MaxPool")]
    assert len(found) == 3
    return found


@pytest.fixture(scope="module")
def trained(exported: Path) -> Case:
    run, text = exported.parent / "run", f"shapes?images={KERAS_COUNT}&size=96"
    layers = layers_of(exported)
    chosen = [argument for layer in layers for argument in ("-l", layer)]
    code, report = nd(
        "dissect", exported, *chosen, "-c", text, "-o", run, "--mean", "0,0,0", "--std", "1,1,1", "--quantile",
        str(QUANTILE), "--batch-size", str(BATCH), "--workers", "0", "--device", "cpu",
    )  # fmt: skip
    assert code == 0
    drawn = open_concepts(text)
    images, annotations = [], []
    for index in range(KERAS_COUNT):
        drawn.image(index).save(exported.parent / f"{index}.png")
        prepared = reference.preprocess(
            exported.parent / f"{index}.png", KERAS_SIZE, (0, 0, 0), (1, 1, 1)
        )
        planes = [np.asarray(plane).astype(np.int32) for plane in drawn.annotation(index).planes]
        images.append(prepared)
        annotations.append((planes, list(drawn.annotation(index).labels)))
    axes = dict(zip(layers, (same_axes(1, 0), same_axes(2, 0.5), same_axes(4, 2.5)), strict=True))
    last = frozenset((layers[0], layers[2]))
    concepts = [(concept.name, concept.category) for concept in drawn.concepts]
    assert list(dict.fromkeys(category for _, category in concepts)) == list(drawn.categories)
    return Case(
        exported,
        run,
        layers,
        axes,
        last,
        KERAS_SIZE,
        np.stack(images),
        annotations,
        concepts,
        report,
    )


class TestKeras:
    """A small network of Keras 3 on its torch backend, channels last, that was trained to name the dominant colour."""

    def test_activations_are_those_of_keras(self, exported: Path) -> None:
        kept = np.load(exported.parent / "inner.npz")
        images = torch.from_numpy(kept["images"].transpose(0, 3, 1, 2).copy())
        layers = layers_of(exported)
        with open_model(str(exported)).probe(layers, KERAS_SIZE) as probe:
            found = probe(images)
            assert getattr(probe, "notes", ()) == (), "and nothing was folded"
        for layer, name in zip(layers, ("near", "pool", "far"), strict=True):
            expected = kept[name].transpose(0, 3, 1, 2)
            assert found[layer].shape == expected.shape
            assert float(np.abs(found[layer].numpy() - expected).max()) <= 1e-4 * float(
                np.abs(expected).max()
            )

    def test_its_layers_are_listed_as_maps(self, trained: Case) -> None:
        code, out = nd("layers", trained.path, "--json")
        listed = {layer["name"]: layer for layer in json.loads(out)}
        assert code == 0
        assert [listed[name]["shape"][1:] for name in trained.layers] == [
            [8, 48, 48],
            [8, 24, 24],
            [12, 12, 12],
        ]
        for name in trained.layers:
            rows, columns = (listed[name]["geometry"][axis] for axis in ("rows", "columns"))
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
        (first, *_) = (layer.name for layer in model.layers(KERAS_SIZE) if layer.kind == "Conv")
        with model.probe([first], KERAS_SIZE) as probe:
            assert getattr(probe, "notes", ()) == ()

    def test_its_report_is_that_of_the_run(self, trained: Case) -> None:
        assert nd("report", trained.run) == (0, trained.report)
        assert all(layer in trained.report for layer in trained.layers)
