"""Values of a preprocessing: replaced, assumed, and for grey images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nd_plugin import BadInput, Preprocess
from nd_plugin.cli.options.groups import Preprocessing

IMAGENET = Preprocess.imagenet("the model names none", (20, 30))
GREY = Preprocess((20, 30), (0.25,), (0.5,))


@pytest.fixture
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


class TestAssumed:
    def test_is_a_note(self) -> None:
        assert IMAGENET.assumed
        (note,) = IMAGENET.notes
        assert note.startswith(
            "the preprocessing is assumed: ImageNet's (the model names none); "
        )
        assert "--mean, --std, --scale; preprocess= in Python" in note
        assert Preprocess().notes == ()

    @pytest.mark.parametrize(
        ("values", "assumed", "source"),
        [
            (
                {"size": (8, 8)},
                True,
                "ImageNet's (the model names none); given: size",
            ),
            (
                {"mean": (0, 0, 0)},
                True,
                "ImageNet's (the model names none); given: mean",
            ),
            ({"mean": (0, 0, 0), "std": (1, 1, 1)}, False, "given: mean, std"),
            (
                {"mean": (0, 0, 0), "std": (1, 1, 1), "scale": 1.0, "size": (8, 8)},
                False,
                "given: mean, std, scale, size",
            ),
        ],
    )
    def test_until_mean_and_std_are_given(
        self, values: Any, assumed: bool, source: str
    ) -> None:
        preprocess = IMAGENET.changed(values)
        assert (preprocess.assumed, preprocess.source) == (assumed, source)
        assert preprocess.mean == values.get("mean", IMAGENET.mean)

    def test_stated_values_stay_the_models(self) -> None:
        stated = Preprocess(source="the model's pretrained_cfg")
        changed = stated.changed({"mean": (0, 0, 0), "std": (1, 1, 1)})
        assert changed.source == "the model's pretrained_cfg; given: mean, std"
        assert stated.changed({}) is stated


class TestGivenValues:
    def test_a_single_number_is_for_all_channels(self) -> None:
        changed = IMAGENET.changed(Preprocessing(mean="0.5", std="0.25").values())
        assert (changed.mean, changed.std) == ((0.5,) * 3, (0.25,) * 3)
        changed = GREY.changed(Preprocessing(mean="0.5", std="0.25").values())
        assert (changed.mean, changed.std) == ((0.5,), (0.25,))

    def test_of_another_number_of_channels(self) -> None:
        message = r"mean \(0.1, 0.2, 0.3\) has 3 values, but the model takes images of 1 channel$"
        with pytest.raises(BadInput, match=message):
            GREY.changed({"mean": (0.1, 0.2, 0.3)})
        for text in ("1,2", "a", "1,2,nan", "1,2,3,4"):
            with pytest.raises(
                BadInput, match=r"is not three numbers .* nor a single one"
            ):
                Preprocessing(mean=text).values()

    def test_without_the_models_own_scale(self) -> None:
        """Mean 0.5 would be half a grey level for a model that divides by 255 itself."""
        pixels = Preprocess(
            mean=(0, 0, 0), std=(1, 1, 1), scale=1.0, source="a graph"
        )
        statistics = {"mean": (0.5,), "std": (0.5,)}
        with pytest.raises(
            BadInput, match=r"own scale is 1 \(a graph\): give scale 1 "
        ):
            pixels.changed(statistics)
        assert pixels.changed({**statistics, "scale": 1 / 255}).scale == 1 / 255
        assert pixels.changed({"size": (8, 8)}).scale == 1

    @pytest.mark.parametrize(
        ("mean", "std"),
        [((0.5,), (0.5,) * 3), ((0.5,) * 2, (0.5,) * 2), ((0.5,) * 4, (0.5,) * 4)],
    )
    def test_counts_that_no_image_has(self, mean: Any, std: Any) -> None:
        with pytest.raises(BadInput, match=r"three values each.* or one each"):
            Preprocess(mean=mean, std=std)


class TestGrey:
    def test_pictures_are_converted_as_pillow_does(
        self, picture: Image.Image
    ) -> None:
        pixels = GREY.resize(picture)
        assert pixels.shape == (1, 20, 30) and pixels.dtype == torch.uint8
        assert np.array_equal(pixels[0].numpy(), np.asarray(picture.convert("L")))

    def test_grey_pictures_stay_as_they_are(self, picture: Image.Image) -> None:
        grey = picture.convert("L")
        assert np.array_equal(GREY.resize(grey)[0].numpy(), np.asarray(grey))

    def test_normalised_and_back(self, picture: Image.Image) -> None:
        pixels = GREY.resize(picture)
        batch = GREY.normalise(pixels[None])
        expected = (np.asarray(picture.convert("L")) / 255 - 0.25) / 0.5
        assert batch.shape == (1, 1, 20, 30)
        # float32 against float64
        assert np.allclose(batch[0, 0].numpy(), expected, atol=1e-6)
        assert torch.equal(GREY.denormalise(batch)[0], pixels)

    def test_from_a_batch_in_colour(self, picture: Image.Image) -> None:
        """Two models that are compared on the same images may differ in their channels."""
        for channel_order in ("rgb", "bgr"):
            colour = Preprocess((20, 30), channel_order=channel_order)
            batch = colour.normalise(colour.resize(picture)[None])
            grey = GREY.normalise(GREY.resize(picture)[None])
            assert torch.equal(GREY.renormalised(batch, colour), grey)
            coloured = colour.renormalised(grey, GREY)
            as_picture = colour.resize(picture.convert("L"))
            assert torch.equal(coloured, colour.normalise(as_picture[None]))

    def test_what_is_assumed_is_imagenets_average(self) -> None:
        grey = Preprocess.imagenet("the file names none", channels=1)
        assert grey.mean == pytest.approx((np.mean(IMAGENET.mean),), abs=1e-3)
        assert grey.std == pytest.approx((np.mean(IMAGENET.std),), abs=1e-3)
        assert grey.assumed and grey.channels == 1
