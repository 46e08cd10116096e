"""What a model is fed: the image as it wants it, and the values of its other inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_files
import pytest
import torch
from onnx import TensorProto

from nd_onnxruntime.graph import Graph
from nd_onnxruntime.image_input import ImageInput, find_image_input
from nd_plugin import BadInput, ModelOptions, open_model

SIZE = (32, 32)


def probed(
    path: Path,
    layer: str = "relu2",
    *,
    images: np.ndarray | None = None,
    **options: Any,
) -> np.ndarray:
    given = onnx_files.draw_images(path, 3) if images is None else images
    with open_model(str(path), ModelOptions(**options)).probe(
        [layer], SIZE
    ) as probe:
        found: np.ndarray = probe(torch.from_numpy(given))[layer].numpy()
        return found


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(BadInput) as raised:
        probed(path, **options)
    assert raised.value.exit_code == 2
    return str(raised.value)


def saved(folder: Path, array: Any) -> dict[str, str]:
    np.save(folder / "scale.npy", np.asarray(array))
    return {"scale": str(folder / "scale.npy")}


class TestFeeds:
    def test_of_a_number_and_of_a_file_are_the_same(self, tmp_path: Path) -> None:
        path = onnx_files.two_inputs(tmp_path)
        number = probed(path, feeds={"scale": "2.5"})
        assert np.array_equal(probed(path, feeds=saved(tmp_path, [2.5])), number)
        assert not np.array_equal(probed(path, feeds={"scale": "1"}), number)
        fed = {"scale": np.array([2.5], np.float32)}
        expected = onnx_files.inner_values(
            path, onnx_files.draw_images(path, 3), ["relu2"], fed
        )["relu2"]
        np.testing.assert_allclose(number, expected, rtol=0, atol=1e-5)

    def test_follow_the_images_of_a_batch(self, tmp_path: Path) -> None:
        path = onnx_files.two_inputs_batched(tmp_path)
        images = onnx_files.draw_images(path, 3)
        number = probed(path, feeds={"scale": "2.5"})
        assert np.array_equal(probed(path, feeds=saved(tmp_path, [[2.5]])), number)
        single = probed(path, feeds={"scale": "2.5"}, images=images[:1])
        # processors may run other kernels for one image than for three: equal up to rounding
        np.testing.assert_allclose(single, number[:1], rtol=0, atol=1e-5)

    @pytest.mark.parametrize(
        "array", [np.ones((3, 4)), np.ones(2), np.ones((3, 1))]
    )
    def test_of_another_shape_are_refused(
        self, array: np.ndarray, tmp_path: Path
    ) -> None:
        message = refusal(
            onnx_files.two_inputs(tmp_path), feeds=saved(tmp_path, array)
        )
        assert (
            f"the array has shape {array.shape}, but the input takes (1) float"
            in message
        )

    def test_that_differ_between_images_are_refused(self, tmp_path: Path) -> None:
        message = refusal(
            onnx_files.two_inputs_batched(tmp_path),
            feeds=saved(tmp_path, np.ones((3, 1))),
        )
        assert (
            "the array has shape (3, 1), but the input takes (N, 1) float, with the same values "
            "for every image"
        ) in message

    @pytest.mark.parametrize("text", ["half", "nowhere.npy", ""])
    def test_that_are_no_numbers_are_refused(
        self, text: str, tmp_path: Path
    ) -> None:
        message = refusal(onnx_files.two_inputs(tmp_path), feeds={"scale": text})
        assert (
            message
            == f"--feed scale={text}: neither a number nor a readable .npy file"
        )

    def test_with_pickles_are_refused(self, tmp_path: Path) -> None:
        given = saved(tmp_path, np.array([{}], dtype=object))
        assert "neither a number nor a readable .npy file" in refusal(
            onnx_files.two_inputs(tmp_path), feeds=given
        )

    @pytest.mark.parametrize(
        ("make", "feeds", "says"),
        [
            (
                onnx_files.two_inputs,
                {"scael": "1"},
                "no input 'scael' to feed; beside the image 'image' the model has scale",
            ),
            (
                onnx_files.dynamic_batch,
                {"scale": "1"},
                "no input 'scale' to feed; the model has no input beside the image",
            ),
            (onnx_files.two_inputs, {"image": "1"}, "no input 'image' to feed"),
            (
                onnx_files.two_inputs,
                {},
                "beside the image 'image' the layers need scale (1) float: give a value with "
                "--feed scale=VALUE",
            ),
        ],
    )
    def test_name_an_input(
        self, make: Any, feeds: Mapping[str, str], says: str, tmp_path: Path
    ) -> None:
        assert says in refusal(make(tmp_path), feeds=feeds)


class TestTheImage:
    def test_is_the_input_that_is_named(self, tmp_path: Path) -> None:
        path = onnx_files.two_image_inputs(tmp_path)
        images = onnx_files.draw_images(path, 3)
        left = probed(
            path, "difference", images=images, input="left", feeds={"right": "0.25"}
        )
        right = probed(
            path, "difference", images=images, input="right", feeds={"left": "0.25"}
        )
        np.testing.assert_allclose(left, images - np.float32(0.25))
        np.testing.assert_allclose(right, np.float32(0.25) - images)

    def test_is_not_guessed(self, tmp_path: Path) -> None:
        message = refusal(onnx_files.two_image_inputs(tmp_path))
        assert message.startswith(
            "several inputs can take the images: left (N, 3, 32, 32) float; right (N, 3, 32, 32)"
        )
        assert "choose one (--input NAME)" in message

    def test_has_to_exist_and_be_one(self, tmp_path: Path) -> None:
        path = onnx_files.two_inputs(tmp_path)
        assert refusal(path, input="imag") == "no input 'imag'; the model has image"
        assert "no input takes images" in refusal(path, input="scale")
        assert "scale (1) float" in refusal(path, input="scale")

    def test_is_of_the_size_that_the_model_takes(self, tmp_path: Path) -> None:
        model = open_model(str(onnx_files.dynamic_batch(tmp_path)))
        says = "the model takes images of 32x32 pixels only, not 64x48"
        with pytest.raises(BadInput, match=says), model.probe(["relu2"], (64, 48)):
            pass
        with pytest.raises(BadInput, match=says):
            model.layers((64, 48))

    def test_of_bytes_is_rounded_to_pixels(self, tmp_path: Path) -> None:
        path = onnx_files.uint8_nhwc_input(tmp_path)
        images = np.array([0.0, 7.4, 7.6, 255.0, 260.0, -3.0], np.float32)[
            :, None, None, None
        ]
        cast = probed(
            path, "cast", images=np.broadcast_to(images, (6, 3, *SIZE)).copy()
        )
        assert cast.shape == (6, 3, 32, 32)
        assert cast[:, 0, 0, 0].tolist() == [0, 7, 8, 255, 255, 0]
        how = open_model(str(path)).preprocess
        assert (how.size, how.mean, how.std, how.scale) == (
            SIZE,
            (0, 0, 0),
            (1, 1, 1),
            1,
        )
        assert how.source == "a uint8 input: pixels as they are"

    @pytest.mark.parametrize(
        ("shape", "channels_last", "size"),
        [
            (("N", 3, 224, 192), False, (224, 192)),
            (("N", 224, 192, 3), True, (224, 192)),
            ((None, None, None, None), False, (None, None)),
            ((1, 3, "H", "W"), False, ("H", "W")),
            ((1, "H", "W", 3), True, ("H", "W")),
            ((1, 3, 32, 3), False, (32, 3)),
            (("N", "C", 48, 48), False, (48, 48)),
        ],
    )
    def test_says_where_its_channels_are(
        self, shape: Any, channels_last: bool, size: Any
    ) -> None:
        found = image_of(shape)
        assert (found.channels_last, found.size, found.dtype) == (
            channels_last,
            size,
            torch.float32,
        )

    @pytest.mark.parametrize(
        "shape",
        [
            ("N", 2, 28, 28),
            ("N", 28, 28, 4),
            ("N", 3, 224),
            ("N", 16, 3, 32, 32),
        ],
    )
    def test_has_three_channels_or_one(self, shape: Any) -> None:
        with pytest.raises(BadInput, match=r"no input takes images.*\(grey\)"):
            image_of(shape)

    @pytest.mark.parametrize(
        ("shape", "channels_last", "size"),
        [
            (("N", 1, 28, 20), False, (28, 20)),
            (("N", 28, 20, 1), True, (28, 20)),
            ((1, 1, "H", "W"), False, ("H", "W")),
            ((1, 1, 28, 1), False, (28, 1)),
        ],
    )
    def test_may_be_grey(self, shape: Any, channels_last: bool, size: Any) -> None:
        image = image_of(shape)
        assert (image.channels_last, image.size, image.channels) == (
            channels_last,
            size,
            1,
        )

    def test_of_another_type_is_none(self) -> None:
        with pytest.raises(BadInput, match=r"no input takes images.*bool"):
            image_of(("N", 3, 32, 32), TensorProto.BOOL)


def image_of(shape: Any, kind: int = TensorProto.FLOAT) -> ImageInput:
    network = onnx_files.Network()
    network.node("Identity", "image", "same")
    model = network.model(
        {"image": shape}, {"same": shape}, types={"image": kind, "same": kind}
    )
    return find_image_input(Graph(model), None)


class TestPreprocessing:
    def test_of_ultralytics_is_in_its_metadata(self, tmp_path: Path) -> None:
        model = onnx.load(onnx_files.dynamic_size(tmp_path))
        for key, value in (("author", "Ultralytics"), ("imgsz", "[480, 640]")):
            model.metadata_props.add(key=key, value=value)
        how = open_model(model).preprocess
        assert (how.size, how.mean, how.std) == (
            (480, 640),
            (0, 0, 0),
            (1, 1, 1),
        ) and how.scale == 1 / 255
        assert how.source == "the file's Ultralytics metadata"

    @pytest.mark.parametrize(
        "told", ["", "640", "__import__('os')", "[]", "['a', 'b']"]
    )
    def test_of_ultralytics_may_be_damaged(self, told: str, tmp_path: Path) -> None:
        model = onnx.load(onnx_files.dynamic_size(tmp_path))
        for key, value in (("author", "Ultralytics"), ("imgsz", told)):
            model.metadata_props.add(key=key, value=value)
        assert open_model(model).preprocess.size == (224, 224)

    def test_is_imagenets_where_the_file_says_nothing(self, tmp_path: Path) -> None:
        how = open_model(str(onnx_files.dynamic_batch(tmp_path))).preprocess
        assert how.size == SIZE and how.source == "ImageNet's (the file names none)"
        assert how.mean == pytest.approx((0.485, 0.456, 0.406))


def test_what_is_fed_is_part_of_what_was_run(tmp_path: Path) -> None:
    path = str(onnx_files.two_inputs(tmp_path))
    one, same, other = (
        open_model(path, ModelOptions(feeds={"scale": text}))
        for text in ("0.5", "0.50", "2")
    )
    assert (
        one.identity.fingerprint
        == same.identity.fingerprint
        != other.identity.fingerprint
    )
    assert (
        other.notes == ("fed beside the image 'image': scale=2",)
        and open_model(path).notes == ()
    )
