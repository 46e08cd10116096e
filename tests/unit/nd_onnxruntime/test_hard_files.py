"""Hard files: each works, with the maps of onnx's reference evaluator, or is refused clearly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_files
import onnxruntime
import pytest
import torch
from onnx_files import HARD_FILES, RESIZED, HardFile

from nd_plugin import Axis, Geometry, ModelOptions, NDError, open_model

SIZE = (32, 32)
ONE_AT_A_TIME = (
    "outputs depend on the rest of the batch; images were run one at a time"
)
EXIT_CODES = {
    "BadInput": 2,
    "ModelNotFound": 2,
    "UnitsNotFound": 2,
    "Unavailable": 3,
}

# by value; the others are maps as they are
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu2_nhwc": lambda value: value.transpose(0, 3, 1, 2),
    "logits": lambda value: value[:, :, None, None],
    "tokens": lambda value: (
        value[:, -16:].transpose(0, 2, 1).reshape(len(value), 12, 4, 4)
    ),
}
MIXING_FILES = {  # a value mixes the images of a batch, or a batch fails or becomes one image
    "fixed batch, the head",
    "fixed batch inside",
    "fixed batch folded",
    "mixing batch",
    "after numbers",
}
UNDERIVED = {  # behind operators without a rule: bodies, sequences, ArgMax
    "If",
    "If, its result",
    "Loop",
    "Loop, its result",
    "after integers",
    "after a sequence",
}


def options(row: HardFile) -> ModelOptions:
    return ModelOptions(
        input=row.image or None,
        feeds={name: str(number) for name, number in row.feed},
    )


@pytest.mark.parametrize(
    "row", [row for row in HARD_FILES if row.works], ids=lambda row: row.name
)
def test_works(row: HardFile, tmp_path: Path) -> None:
    path = row.make(tmp_path)
    images = onnx_files.draw_images(path, 3)
    with open_model(str(path), options(row)).probe([row.layer], SIZE) as probe:
        maps = probe(torch.from_numpy(images))[row.layer]
        geometry, notes = probe.geometries[row.layer], getattr(probe, "notes", ())
    value = row.value or row.layer
    truth = onnx_files.inner_values(
        path, images, [value], onnx_files.filled(path, row.feed)
    )[value]
    half = truth.dtype == np.float16
    expected = LAYOUTS.get(value, np.asarray)(truth).astype(np.float32)
    assert maps.dtype == (torch.float16 if half else torch.float32)
    assert maps.shape == expected.shape
    # two implementations round apart: about 50 units in the last place of float32, 2 of float16
    tolerance = 2e-3 if half else 6e-6
    np.testing.assert_allclose(
        maps.float().numpy(), expected, rtol=0, atol=tolerance * expected.max()
    )
    assert (ONE_AT_A_TIME in notes) == (row.name in MIXING_FILES)
    is_derived = geometry.anchored and not geometry.measured
    assert is_derived == (row.name not in UNDERIVED)


@pytest.mark.parametrize(
    "row", [row for row in HARD_FILES if not row.works], ids=lambda row: row.name
)
def test_is_refused_with_a_clear_error(row: HardFile, tmp_path: Path) -> None:
    kind, _, text = row.error.partition(": ")
    path = row.make(tmp_path)
    with (
        pytest.raises(NDError) as raised,
        open_model(str(path), options(row)).probe([row.layer], SIZE),
    ):
        pass
    message = str(raised.value)
    assert type(raised.value).__name__ == kind and text in message
    assert raised.value.exit_code == EXIT_CODES[kind]
    assert "\n" not in message and "ONNXRuntimeError" not in message


def geometry_of(path: Path, layer: str) -> Geometry:
    with open_model(str(path)).probe([layer], SIZE) as probe:
        return probe.geometries[layer]


def reached(path: Path, value: str, cell: int) -> tuple[Axis, Axis]:
    """Measure the rows and columns of the image that change a diagonal cell: extent and centre."""
    model = onnx.load(path)
    model.graph.output.append(onnx.ValueInfoProto(name=value))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = np.zeros((2, 32), bool)
    for seed in range(6):
        image = onnx_files.draw_images(path, 1, seed)
        changed = image.repeat(65, 0)
        for pixel in range(32):
            changed[1 + pixel, :, pixel, :] = 3 * (1 - image[0, :, pixel, :])
            changed[33 + pixel, :, :, pixel] = 3 * (1 - image[0, :, :, pixel])
        maps = session.run([value], {"image": changed})[0][:, :, cell, cell]
        # well above the rounding of values near 1, which may differ between images of a batch
        found |= (np.abs(maps[1:] - maps[0]) > 1e-5).any(1).reshape(2, 32)
    places = [np.flatnonzero(pixels) for pixels in found]
    assert all(pixels[0] > 0 and pixels[-1] < 31 for pixels in places), (
        "the field is cut by the image's edge"
    )
    rows, columns = (
        Axis(float(p[-1] - p[0] + 1), 0, float(p[0] + p[-1]) / 2) for p in places
    )
    return rows, columns


STEP = 31 / 47  # of align_corners, from 32 to 48 cells
BY_HAND: dict[str, tuple[Axis, Axis]] = {  # rows, columns
    "dilated": (Axis(5, 1, 0),) * 2,
    "same_upper": (Axis(7, 2, 1),) * 2,  # pads nothing before
    "same_lower": (Axis(11, 4, 1),) * 2,  # pads one before
    "nearest": (Axis(11, 2, 0),)
    * 2,  # each cell twice: the two are spread around its centre
    "half_pixel": (Axis(13, 1, -0.5),) * 2,
    "align_corners": (Axis(14, STEP, -0.5),) * 2,
    "asymmetric": (Axis(14 + STEP, 2 * STEP, -0.5),) * 2,
    "transposed": (Axis(14 + 3 * STEP, STEP, -0.5 - STEP / 2),) * 2,
    "transposed_odd": (Axis(14 + 4 * STEP, STEP / 2, -0.5 - STEP / 2),) * 2,
    "padded": (
        Axis(14 + 4 * STEP, STEP / 2, -0.5 - 1.5 * STEP),
        Axis(14 + 4 * STEP, STEP / 2, -0.5 - STEP),
    ),
    "averaged": (
        Axis(14 + 5 * STEP, STEP, -0.5 - STEP),
        Axis(14 + 5 * STEP, STEP, -0.5 - STEP / 2),
    ),
}


class TestGeometry:
    @pytest.mark.parametrize("value", RESIZED)
    def test_of_whatever_moves_cells(self, value: str, tmp_path: Path) -> None:
        path = onnx_files.resize_ops(tmp_path)
        found = geometry_of(path, value)
        for axis, expected in zip(
            (found.rows, found.columns), BY_HAND[value], strict=True
        ):
            assert (axis.size, axis.stride, axis.offset) == pytest.approx(
                (expected.size, expected.stride, expected.offset)
            )
        cell = round((15.5 - found.rows.offset) / found.rows.stride)
        for axis, measured in zip(
            (found.rows, found.columns), reached(path, value, cell), strict=True
        ):
            slack = (
                max(axis.stride, 1)
                if value not in ("dilated", "same_upper", "same_lower")
                else 0
            )
            assert abs(axis.offset + cell * axis.stride - measured.offset) <= slack
            assert abs(axis.size - measured.size) <= 3 * slack, (
                "interpolated cells mix whole numbers of others"
            )

    def test_of_branches_is_that_of_the_widest(self, tmp_path: Path) -> None:
        path = onnx_files.branches(tmp_path)
        found = geometry_of(path, "relu2")
        rows, columns = reached(path, "relu2", 8)
        assert (found.rows.size, found.rows.offset + 8 * found.rows.stride) == (
            rows.size,
            rows.offset,
        )
        assert found.columns == found.rows == Axis(5, 2, 0) and columns == rows
        assert geometry_of(path, "narrow").rows == Axis(3, 2, 0)
        assert geometry_of(path, "gated") == found, (
            "a branch pooled to 1x1 never wins"
        )

    @pytest.mark.parametrize(
        "make", [onnx_files.nhwc, onnx_files.nhwc_cube, onnx_files.uint8_nhwc_input]
    )
    def test_of_channels_last_is_that_of_channels_first(
        self, make: Callable[[Path], Path], tmp_path: Path
    ) -> None:
        path = make(tmp_path)
        expected = geometry_of(onnx_files.dynamic_batch(tmp_path), "relu2")
        assert expected.rows == expected.columns == Axis(8, 4, 0.5)
        assert geometry_of(path, "relu2") == expected
        if make is not onnx_files.uint8_nhwc_input:
            assert geometry_of(path, "relu2_nhwc") == expected

    @pytest.mark.parametrize("make", [onnx_files.tokens, onnx_files.tokens_cls])
    def test_of_tokens_is_that_of_their_patches(
        self, make: Callable[[Path], Path], tmp_path: Path
    ) -> None:
        path = make(tmp_path)
        for layer in ("patches", "sequence", "placed", "tokens"):
            found = geometry_of(path, layer)
            assert found.anchored and found.rows == found.columns == Axis(
                8, 8, 3.5
            ), layer

    def test_of_bodies_is_measured(self, tmp_path: Path) -> None:
        found = geometry_of(onnx_files.with_loop(tmp_path), "relu2")
        derived = geometry_of(onnx_files.dynamic_batch(tmp_path), "relu2")
        assert found.measured and not derived.measured
        assert found.rows.stride == derived.rows.stride
        # few units with random weights may look to one side
        assert abs(found.rows.offset - derived.rows.offset) <= derived.rows.stride


def test_of_any_size(tmp_path: Path) -> None:
    """A file that leaves the size open is probed at the size that is asked for."""
    path = onnx_files.dynamic_size(tmp_path)
    images = np.random.default_rng(1).random((2, 3, 48, 64), np.float32)
    with open_model(str(path)).probe(["relu2"], (48, 64)) as probe:
        found = probe(torch.from_numpy(images))["relu2"].numpy()
    expected = onnx_files.inner_values(path, images, ["relu2"])["relu2"]
    assert found.shape == (2, 12, 12, 16)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_nodes_in_any_order(tmp_path: Path) -> None:
    """Some tools write nodes before those that they need."""
    path = onnx_files.dynamic_batch(tmp_path)
    images = onnx_files.draw_images(path, 2)
    expected = onnx_files.inner_values(path, images, ["relu2"])["relu2"]
    model = onnx.load(path)
    nodes = list(reversed(model.graph.node))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    with open_model(model).probe(["relu2"], SIZE) as probe:
        found = probe(torch.from_numpy(images))["relu2"].numpy()
        assert probe.geometries["relu2"].rows == Axis(8, 4, 0.5)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
