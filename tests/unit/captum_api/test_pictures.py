"""Pictures as inputs: files, images, arrays, uint8 tensors; tensors that are not normalised."""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from torch import Tensor, nn

from nd_plugin import (
    BadInput,
    Dissection,
    Explanations,
    LayerDissection,
    Preprocess,
    Unreadable,
)
from nd_plugin.captum_api.pictures import list_pictures, to_image
from nd_plugin.preprocess import IMAGENET_MEAN, IMAGENET_STD

RECORDED = Preprocess(
    size=(24, 16), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), source="recorded"
)
PIXELS = Preprocess((24, 16), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 1.0)


class Net(nn.Module):
    """Five units, three classes; remembers its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, 2)
        self.later = nn.Conv2d(5, 5, 1)
        self.head = nn.Linear(5, 3)
        self.inputs: list[Tensor] = []

    def forward(self, images: Tensor, factor: float = 1.0) -> Tensor:
        self.inputs.append(images.detach().clone())
        maps = self.later(self.conv(images)).relu()
        return self.head(maps.mean((2, 3))) * factor


def dissected(
    dissection: Dissection, preprocess: Preprocess | None, layer: str = "conv"
) -> Dissection:
    recorded = {} if preprocess is None else asdict(preprocess)
    provenance = replace(dissection.provenance, preprocess=recorded)
    return replace(dissection, layer=layer, provenance=provenance)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture
def units(net: Net, dissection: Dissection) -> LayerDissection:
    layer = LayerDissection(net, net.conv)
    layer.dissection = dissected(dissection, RECORDED)
    return layer


@pytest.fixture
def photo() -> Image.Image:
    generator = np.random.default_rng(0)
    return Image.fromarray(generator.integers(0, 256, (40, 60, 3), np.uint8))


@pytest.fixture
def file(photo: Image.Image, tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    photo.save(path)
    return path


def normalised(photo: Image.Image, preprocess: Preprocess = RECORDED) -> Tensor:
    return preprocess.normalise(preprocess.resize(photo)[None])


def answers(explanations: Explanations) -> list[dict[str, Any]]:
    """All that was explained, without notes."""
    return [{**entry.to_dict(), "notes": None} for entry in explanations]


class TestForms:
    @pytest.mark.parametrize(
        "form",
        ["str", "Path", "PIL", "array", "tensor", "batch array", "batch tensor"],
    )
    def test_all_are_preprocessed_like_the_dissected_images(
        self,
        units: LayerDissection,
        photo: Image.Image,
        file: Path,
        form: str,
    ) -> None:
        pixels = np.array(photo)
        channels_first = torch.from_numpy(pixels).permute(2, 0, 1)
        picture = {
            "str": str(file),
            "Path": file,
            "PIL": photo,
            "array": pixels,
            "tensor": channels_first,
            "batch array": pixels[None],
            "batch tensor": channels_first[None],
        }[form]
        expected = units.explain(normalised(photo))
        explanations = units.explain(picture)
        assert answers(explanations) == answers(expected)
        assert np.array_equal(explanations[0].image, expected[0].image)
        if not form.startswith("batch"):
            batch = torch.cat([normalised(photo), normalised(photo)])
            several = units.explain([picture, photo])
            assert answers(several) == answers(units.explain(batch))

    def test_a_mixed_list_of_all_sizes(
        self, units: LayerDissection, photo: Image.Image, file: Path
    ) -> None:
        small = photo.resize((9, 7))
        pictures = [file, small, np.array(photo.convert("L"))]
        explanations = units.explain(pictures, [0, 1, 2])
        images = [photo, small, photo.convert("L")]
        tensor = torch.cat([normalised(image) for image in images])
        assert answers(explanations) == answers(units.explain(tensor, [0, 1, 2]))

    def test_a_tuple_of_files_is_a_batch(
        self, units: LayerDissection, file: Path
    ) -> None:
        assert len(units.explain((file, str(file)))) == 2

    @pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16"])
    def test_images_of_every_mode_as_the_command_line_reads_them(
        self, units: LayerDissection, photo: Image.Image, tmp_path: Path, mode: str
    ) -> None:
        if mode == "I;16":
            grey = np.asarray(photo.convert("L")).astype(np.uint16) * 257
            picture = Image.fromarray(grey)
        else:
            picture = photo.convert(mode)
        path = tmp_path / "picture.png"
        picture.save(path)
        expected = answers(units.explain(normalised(Image.open(path))))
        assert answers(units.explain(picture)) == expected
        assert answers(units.explain(path)) == expected

    def test_further_arguments_of_the_model(
        self, units: LayerDissection, photo: Image.Image, file: Path
    ) -> None:
        arguments: dict[str, Any] = {"additional_forward_args": 3.0}
        explanations = units.explain(file, 1, **arguments)
        expected = units.explain(normalised(photo), 1, **arguments)
        assert answers(explanations) == answers(expected)
        assert explanations[0].output != units.explain(file, 1)[0].output

    def test_masks_of_pictures(
        self, units: LayerDissection, photo: Image.Image, file: Path
    ) -> None:
        masks = units.segment(file, [0, 1], mask="image")
        expected = units.segment(normalised(photo), [0, 1], mask="image")
        assert torch.equal(masks, expected) and masks.any()
        with pytest.warns(
            UserWarning, match="uint8 values were taken as RGB pixels"
        ):
            masks = units.segment(np.array(photo), [0, 1], mask="image")
        assert torch.equal(masks, expected)


class TestPreprocessing:
    def test_that_of_the_layers_dissection(
        self, net: Net, dissection: Dissection, photo: Image.Image
    ) -> None:
        units = LayerDissection(net, net.later)
        units.dissection = [
            dissected(dissection, PIXELS, "conv"),
            dissected(dissection, RECORDED, "later"),
        ]
        expected = units.explain(normalised(photo))
        assert answers(units.explain(photo)) == answers(expected)

    def test_the_models_own_where_none_is_recorded(
        self, net: Net, dissection: Dissection, photo: Image.Image
    ) -> None:
        units = LayerDissection(net, "conv")
        units.dissection = dissected(dissection, None)
        (explanation,) = units.explain(photo)
        images = net.inputs[-1]
        assert images.shape[2:] == (224, 224)
        own = Preprocess((224, 224), IMAGENET_MEAN, IMAGENET_STD)
        (expected,) = units.explain(normalised(photo, own))
        assert explanation.output == expected.output
        assert explanation.notes[0].startswith(
            "the preprocessing is assumed: ImageNet's (the model names none)"
        )
        assert not any("assumed" in note for note in expected.notes)

    def test_a_chosen_one(self, units: LayerDissection, photo: Image.Image) -> None:
        explanations = units.explain(photo, preprocess=PIXELS)
        expected = units.explain(normalised(photo, PIXELS), preprocess=PIXELS)
        assert answers(explanations) == answers(expected)

    def test_uint8_tensors_are_noted(
        self, units: LayerDissection, photo: Image.Image
    ) -> None:
        note = (
            "uint8 values were taken as RGB pixels, resized to 24x16 and normalised: "
            "recorded"
        )
        pixels = torch.from_numpy(np.array(photo)).permute(2, 0, 1)
        for form in (pixels, pixels[None], np.array(photo)):
            assert note in units.explain(form)[0].notes
        assert note not in units.explain(photo)[0].notes

    def test_notes_are_on_the_picture_that_they_are_about(
        self, units: LayerDissection, photo: Image.Image, tmp_path: Path
    ) -> None:
        turned = tmp_path / "turned.png"
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        photo.save(turned, exif=exif)
        transparent = photo.convert("RGBA")
        transparent.putalpha(99)
        upright, rotated, composited = units.explain([photo, turned, transparent])
        other_weights = upright.notes
        assert not any(note.startswith("image:") for note in other_weights)
        assert rotated.notes == (
            "image: turned upright as the EXIF orientation says",
            *other_weights,
        )
        assert composited.notes == (
            "image: transparent pixels composited on white",
            *other_weights,
        )

    def test_an_assumed_preprocessing_is_noted_once(
        self, net: Net, dissection: Dissection, photo: Image.Image
    ) -> None:
        units = LayerDissection(net, "conv")
        assumed = replace(RECORDED, assumed=True)
        units.dissection = dissected(dissection, assumed)
        (explanation,) = units.explain(photo)
        (note,) = assumed.notes
        assert explanation.notes.count(note) == 1


class TestNotPictures:
    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            (None, "NoneType is no picture: pass a path"),
            ([3], "int is no picture: pass a path"),
            ([], "no pictures: the batch is empty"),
            ((), "no pictures: the batch is empty"),
            (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), "the batch is empty"),
            ([torch.zeros(3, 8, 8)], r"a tensor of torch.float32: stack"),
            (torch.zeros(8, 8, dtype=torch.uint8), r"shape \(8, 8\) is no picture"),
            (np.zeros((8, 8, 3)), "array of float64 and shape"),
            (np.zeros((3, 8, 8), np.uint8), r"shape \(3, 8, 8\) is no picture"),
            ("missing.jpg", "no image missing.jpg"),
        ],
    )
    def test_they_are_refused(
        self, units: LayerDissection, inputs: Any, message: str
    ) -> None:
        with pytest.raises(BadInput, match=message):
            units.explain(inputs)

    def test_damaged_files(self, units: LayerDissection, tmp_path: Path) -> None:
        path = tmp_path / "broken.jpg"
        path.write_bytes(b"\xff\xd8")
        with pytest.raises(Unreadable, match=r"broken\.jpg cannot be read"):
            units.explain(path)

    def test_a_picture_needs_a_dissection_too(self, net: Net, file: Path) -> None:
        with pytest.raises(BadInput, match="no dissection: run dissect"):
            LayerDissection(net, "conv").explain(file)

    def test_tensors_and_tuples_of_tensors_are_the_models_inputs(self) -> None:
        image = torch.zeros(1, 3, 8, 8)
        assert list_pictures(image) is None
        assert list_pictures((image, image)) is None
        assert list_pictures((image.byte(), image)) is None

    def test_arrays_of_one_and_four_channels(self) -> None:
        grey = np.full((4, 5, 1), 9, np.uint8)
        assert to_image(grey).mode == "L"
        assert to_image(np.zeros((4, 5, 4), np.uint8)).mode == "RGBA"
        assert to_image(torch.zeros(1, 4, 5, dtype=torch.uint8)).size == (5, 4)


class TestPixelValues:
    @pytest.fixture
    def pixels(self, photo: Image.Image) -> Tensor:
        return RECORDED.resize(photo)[None].float()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
    def test_floats_of_0_to_255_are_refused(
        self, units: LayerDissection, pixels: Tensor, dtype: torch.dtype
    ) -> None:
        with pytest.raises(
            BadInput,
            match=r"values lie in \d+ … \d+, as pixels do, and normalised images in "
            r"-2\.5 … 2\.5 \(recorded\): pass files, PIL images or uint8 tensors",
        ):
            units.explain(pixels.to(dtype))
        with pytest.raises(BadInput, match="as pixels do"):
            units.segment(pixels.to(dtype), 0, mask="image")
        masks = units.segment(pixels, 0, mask="image", preprocess=PIXELS)
        assert masks.any()

    def test_uint8_beside_further_inputs_is_refused(
        self, units: LayerDissection, pixels: Tensor
    ) -> None:
        with pytest.raises(BadInput, match="as pixels do"):
            units.explain((pixels.byte(), torch.ones(1)))

    def test_the_layers_dissection_decides(
        self, net: Net, dissection: Dissection, pixels: Tensor
    ) -> None:
        both = [
            dissected(dissection, RECORDED, "conv"),
            dissected(dissection, PIXELS, "later"),
        ]
        units = LayerDissection(net, "later")
        units.dissection = both
        assert len(units.explain(pixels)) == 1
        units.layer = "conv"
        with pytest.raises(BadInput, match="as pixels do"):
            units.explain(pixels)

    def test_a_model_that_takes_pixels(
        self, net: Net, dissection: Dissection, pixels: Tensor
    ) -> None:
        units = LayerDissection(net, "conv")
        units.dissection = dissected(dissection, PIXELS)
        (explanation,) = units.explain(pixels)
        assert not any("values" in note for note in explanation.notes)
        units.dissection = dissected(dissection, RECORDED)
        assert units.explain(pixels, preprocess=PIXELS)[0].output == (
            explanation.output
        )

    def test_fractions_are_noted(
        self, units: LayerDissection, pixels: Tensor
    ) -> None:
        (explanation,) = units.explain(pixels / 255)
        (note,) = (note for note in explanation.notes if "values" in note)
        assert (
            "as pixels / 255 do" in note and "check that it is normalised" in note
        )

    def test_fractions_are_right_for_a_model_that_takes_them(
        self, net: Net, dissection: Dissection, pixels: Tensor
    ) -> None:
        units = LayerDissection(net, "conv")
        units.dissection = dissected(dissection, replace(PIXELS, scale=1 / 255))
        (explanation,) = units.explain(pixels / 255)
        assert not any("values" in note for note in explanation.notes)

    def test_other_normalisations_are_noted(
        self, units: LayerDissection, pixels: Tensor
    ) -> None:
        (explanation,) = units.explain(pixels - 120)
        (note,) = (note for note in explanation.notes if "values" in note)
        assert "it is shown stretched to black and white" in note

    def test_normalised_images_and_a_little_noise_are_fine(
        self, units: LayerDissection, photo: Image.Image
    ) -> None:
        images = normalised(photo)
        noise = torch.rand_like(images) * 0.02
        flat = torch.zeros_like(images)
        for inputs in (images, images + noise, flat):
            (explanation,) = units.explain(inputs)
            assert not any("values" in note for note in explanation.notes)

    def test_attribute_warns(
        self, units: LayerDissection, pixels: Tensor, photo: Image.Image
    ) -> None:
        with pytest.warns(UserWarning, match="as pixels do") as record:
            units.attribute(pixels, 0)
        assert record[0].filename == os.path.realpath(__file__)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            units.attribute(normalised(photo), 0)

    def test_attribute_without_a_dissection(self, net: Net, pixels: Tensor) -> None:
        with pytest.warns(
            UserWarning, match=r"ImageNet's \(the model names none\)"
        ):
            LayerDissection(net, "conv").attribute(pixels, 0)


class TestDescription:
    def test_of_the_layer(self, net: Net, units: LayerDissection) -> None:
        assert repr(units).startswith(
            "LayerDissection(Net, 'conv', Dissection('conv': "
        )
        assert repr(LayerDissection(net, ["conv", net.head])) == (
            "LayerDissection(Net, ['conv', 'head'], not dissected)"
        )
        elsewhere = LayerDissection(lambda images: net(images), net.conv)
        assert "<lambda>, Conv2d, not dissected" in repr(elsewhere)
        text = LayerDissection("torchvision:resnet18", None)
        assert repr(text) == (
            "LayerDissection('torchvision:resnet18', no layer, not dissected)"
        )
