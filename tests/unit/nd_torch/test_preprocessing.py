"""Preprocessing of torch models: what they do to their images first, and how many channels."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import networks
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nd_plugin import (
    BadInput,
    Dissection,
    LayerDissection,
    ModelFailed,
    Preprocess,
    open_concepts,
    open_model,
)
from nd_plugin.testing import check_backend
from nd_torch.backend import TorchBackend
from nd_torch.preprocessing import preprocess_of_torchvision

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
CAFFE = torch.tensor([103.939, 116.779, 123.68])[:, None, None]
SHAPES = "shapes?images=6&size=64"

PIXELS = ((0, 0, 0), (1, 1, 1), 1)
UNIT = ((0, 0, 0), (1, 1, 1), 1 / 255)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 1 / 255)


def with_first(function: Callable[[Tensor], Any], network: Any = None) -> nn.Module:
    return nn.Sequential(networks.Call(function), network or networks.ResNet18())


def with_channels(channels: int) -> nn.Module:
    network = networks.ResNet18()
    network.conv1 = nn.Conv2d(channels, 4, 7, 2, 3)
    return network.eval()


def values(preprocess: Preprocess) -> tuple[Any, ...]:
    return preprocess.mean, preprocess.std, preprocess.scale


def detector(images: Tensor) -> Tensor:
    """Normalise, resize and collate as torchvision's GeneralizedRCNNTransform does."""
    resized = []
    for image in images:
        mean = torch.as_tensor([0.485, 0.456, 0.406], dtype=image.dtype)
        std = torch.as_tensor([0.229, 0.224, 0.225], dtype=image.dtype)
        normalised = (image - mean[:, None, None]) / std[:, None, None]
        larger = F.interpolate(normalised[None], size=(96, 96), mode="bilinear")[0]
        resized.append(larger)
    batch = resized[0].new_full((len(resized), 3, 96, 96), 0)
    for index, image in enumerate(resized):
        batch[index, :, :96, :96].copy_(image)
    return batch


def in_place(images: Tensor) -> Tensor:
    """Normalise as torchvision's functional.normalize does."""
    return images.clone().sub_(MEAN).div_(STD)


def flattened(images: Tensor) -> Tensor:
    """Normalise as kornia's enhance.normalize does."""
    shape = images.shape
    pixels = images.view(shape[0], shape[1], -1)
    return ((pixels - MEAN.view(1, 3, 1)) / STD.view(1, 3, 1)).view(shape)


def range_checked(images: Tensor) -> Tensor:
    if images.max() > 2 or torch.isnan(images).any():
        raise ValueError("images in 0 ... 1, please")
    return torch.zeros_like(images) + (images - 0.5) / 0.5


def channels_last(images: Tensor) -> Tensor:
    pixels = images.permute(0, 2, 3, 1) / 255
    return pixels.permute(0, 3, 1, 2).contiguous()


class TestFirstOperations:
    @pytest.mark.parametrize(
        ("function", "expected"),
        [
            (lambda x: x / 255, PIXELS),
            (lambda x: x.float().div(255.0).sub(MEAN).div(STD), PIXELS),
            (lambda x: F.pad(x * (1 / 127.5) - 1, (1, 1, 1, 1)), PIXELS),
            (lambda x: torch.add(x, CAFFE.flip(0), alpha=-1), PIXELS),
            (lambda x: x.flip(1) - CAFFE, PIXELS),
            (lambda x: x[:, [2, 1, 0]] - CAFFE, PIXELS),
            (channels_last, PIXELS),
            (lambda x: (x - MEAN) / STD, UNIT),
            (lambda x: 2 * x - 1, UNIT),
            (detector, UNIT),
            (in_place, UNIT),
            (flattened, UNIT),
            (range_checked, UNIT),
        ],
    )
    def test_tell_the_range_of_the_images(
        self, function: Any, expected: Any
    ) -> None:
        preprocess = open_model(with_first(function)).preprocess
        assert values(preprocess) == expected
        assert preprocess.channel_order == "rgb" and not preprocess.assumed
        assert preprocess.source.startswith("the model's first operations (")

    def test_of_a_model_that_subtracts_caffes_means(self) -> None:
        preprocess = open_model(with_first(lambda x: x - CAFFE)).preprocess
        assert values(preprocess) == PIXELS and preprocess.channel_order == "bgr"

    @pytest.mark.parametrize(
        "function",
        [
            lambda x: x,
            lambda x: 1 - x,
            lambda x: x - x.mean((2, 3), keepdim=True),
            # of torchvision's Inception and GoogLeNet: from ImageNet's to -1 … 1
            lambda x: torch.cat([x[:, :1] * 0.458 - 0.03, x[:, 1:]], 1),
            lambda x: torch.cat([x[:, :2] / 255, x[:, 2:] / 255], 1),
            lambda x: x - torch.rand(3, 64, 64),
            lambda x: F.conv2d(x, torch.ones(3, 3, 1, 1)) / 255,
            lambda x: x + x / 255,
            lambda x: torch.div(x, 255, rounding_mode="floor"),
            lambda x: x.undefined / 255,
        ],
    )
    def test_that_tell_nothing(self, function: Any) -> None:
        preprocess = open_model(with_first(function)).preprocess
        assert values(preprocess) == IMAGENET and preprocess.assumed
        assert preprocess.source == "ImageNet's (the model names none)"

    def test_of_a_batch_norm_are_a_hint(self) -> None:
        norm = nn.BatchNorm2d(3)
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.fill_(110)
        norm.running_var.fill_(3600)
        opened = open_model(nn.Sequential(norm, networks.ResNet18()))
        assert values(opened.preprocess) == IMAGENET and opened.preprocess.assumed
        hint = "its first operations (a BatchNorm) suggest pixels 0 to 255"
        assert hint in opened.preprocess.notes[0]

    def test_are_read_once_and_leave_the_model_as_it_was(self) -> None:
        passes: list[int] = []
        model = with_first(lambda x: passes.append(1) or x / 255).train()
        opened = open_model(model)
        assert passes == [], "not before it is asked for"
        assert opened.preprocess is opened.preprocess
        assert passes == [1]
        assert all(module.training for module in model.modules())

    def test_of_a_forward_function(self) -> None:
        model = with_first(lambda x: x / 255)
        preprocess = open_model(lambda images: model(images)).preprocess
        assert values(preprocess) == PIXELS

    def test_that_contradict_what_is_stated(self) -> None:
        model = with_first(lambda x: (x - MEAN) / STD)
        model.__dict__["pretrained_cfg"] = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
        preprocess = open_model(model).preprocess
        assert preprocess.mean == (0.5, 0.5, 0.5)
        (note,) = preprocess.notes
        assert (
            "the model's pretrained_cfg, although the model's first operations"
            in note
        )
        model.__dict__["pretrained_cfg"] = {"mean": (0,) * 3, "std": (1,) * 3}
        assert open_model(model).preprocess.notes == ()

    def test_give_the_network_what_it_was_trained_on(self) -> None:
        """A network behind its own normalisation sees the same numbers as without."""
        torch.manual_seed(0)
        network = networks.ResNet18().eval()
        wrapped = with_first(lambda x: (x - MEAN) / STD, network).eval()
        inner = dissected(network, "layer2", Preprocess((64, 64)))
        outer = dissected(wrapped, "1.layer2", None)
        assert outer.provenance.preprocess["mean"] == (0, 0, 0)
        assert outer.intersection.sum() > 0
        assert np.array_equal(outer.intersection, inner.intersection)
        assert np.array_equal(outer.thresholds, inner.thresholds)


def dissected(
    model: nn.Module, layer: str, preprocess: Preprocess | None
) -> Dissection:
    if preprocess is None:
        preprocess = open_model(model).preprocess.changed({"size": (64, 64)})
    dissection = LayerDissection(model, layer).dissect(
        SHAPES, preprocess=preprocess, workers=0, quantile=0.1
    )
    assert isinstance(dissection, Dissection)
    return dissection


class TestTorchvision:
    def test_a_detectors_transform_does_not_normalise(self) -> None:
        """ObjectDetection has no mean: the detector normalises inside."""
        weights = SimpleNamespace(transforms=lambda: SimpleNamespace())
        preprocess = preprocess_of_torchvision(weights, "fasterrcnn")
        assert values(preprocess) == UNIT
        assert preprocess.source == "torchvision's fasterrcnn weights"


class TestNotes:
    def test_an_assumed_preprocessing_is_in_the_result(self) -> None:
        dissection = LayerDissection(networks.ResNet18().eval(), "layer4").dissect(
            SHAPES, limit=2, workers=0
        )
        assert isinstance(dissection, Dissection)
        expected = (
            "the preprocessing is assumed: ImageNet's (the model names none); if the model was "
            "trained with another, give its mean, std and scale (--mean, --std, --scale; "
            "preprocess= in Python)"
        )
        assert dissection.provenance.notes[0] == expected
        assert expected in dissection.notes
        assert dissection.notes == dissection.report().notes
        assert expected in dissection.to_json()

    def test_a_preprocessing_that_is_given_is_not(self) -> None:
        dissection = dissected(networks.ResNet18(), "layer4", Preprocess((64, 64)))
        assert not any("assumed" in note for note in dissection.report().notes)


class TestGrey:
    def test_is_read_from_the_first_convolution(self) -> None:
        preprocess = open_model(with_channels(1)).preprocess
        assert preprocess.channels == 1 and preprocess.assumed
        assert (preprocess.mean, preprocess.std) == ((0.449,), (0.226,))
        assert (
            "averaged over the channels (the model names none)" in preprocess.source
        )

    @pytest.mark.parametrize(
        "model",
        [
            with_first(lambda x: (x - 0.1307) / 0.3081, with_channels(1)),
            nn.Sequential(nn.BatchNorm2d(1), with_channels(1)),
            with_first(lambda x: x.repeat(1, 3, 1, 1)),
            with_first(lambda x: torch.cat([x, x, x], 1)),
            nn.Sequential(nn.ConvTranspose2d(1, 3, 2), networks.ResNet18()),
        ],
    )
    def test_behind_other_operations(self, model: nn.Module) -> None:
        opened = open_model(model.eval())
        assert opened.preprocess.channels == 1
        assert len(opened.layers((64, 64))) > 20

    def test_where_the_metadata_have_three_means(self) -> None:
        """A timm model that was made with in_chans=1 keeps the means of its colours."""
        model = with_channels(1)
        model.__dict__["pretrained_cfg"] = {
            "mean": (0.3, 0.5, 0.7),
            "std": (0.1, 0.2, 0.3),
        }
        preprocess = open_model(model).preprocess
        assert preprocess.mean == pytest.approx((0.5,))
        assert preprocess.std == pytest.approx((0.2,))
        assert "averaged over the channels" in preprocess.notes[0]

    def test_holds_the_contract(self) -> None:
        check_backend(
            TorchBackend,
            with_channels(1),
            layers=["conv1", "layer2"],
            size=(64, 64),
        )

    def test_pictures_reach_the_model_as_pillow_converts_them(self) -> None:
        """A 1x1 convolution returns the grey level and its negative."""
        model = nn.Sequential(nn.Conv2d(1, 2, 1))
        model[0].weight.data.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        model[0].bias.data.zero_()
        concepts = open_concepts("shapes?images=3&size=32")
        preprocess = Preprocess((32, 32), (0.25,), (0.5,))
        dissection = LayerDissection(model, "0").dissect(
            concepts, workers=0, preprocess=preprocess
        )
        assert isinstance(dissection, Dissection)
        greys = [
            np.asarray(concepts.image(index).convert("L")) for index in range(3)
        ]
        brightest = sorted((grey.max() / 255 - 0.25) / 0.5 for grey in greys)
        darkest = sorted(-(grey.min() / 255 - 0.25) / 0.5 for grey in greys)
        # float32 against float64
        assert np.allclose(
            dissection.top_activations[0], brightest[::-1], atol=1e-6
        )
        assert np.allclose(dissection.top_activations[1], darkest[::-1], atol=1e-6)

    def test_is_explained_and_displayed_in_grey(self) -> None:
        torch.manual_seed(0)
        units = LayerDissection(with_channels(1), "layer4")
        units.dissect(SHAPES, limit=3, workers=0)
        preprocess = units.dissection.provenance.preprocess  # type: ignore[union-attr]
        assert preprocess["mean"] == (0.449,)
        picture = open_concepts(SHAPES).image(0)
        model_preprocess = open_model(with_channels(1)).preprocess
        pixels = model_preprocess.resize(picture)
        (explanation,) = units.explain(model_preprocess.normalise(pixels[None]))
        assert explanation.image.shape == (224, 224, 3)
        assert np.array_equal(explanation.image[:, :, 1], pixels[0].numpy())
        assert "the preprocessing is assumed" in explanation.notes[0]
        assert explanation.check is not None

    @pytest.mark.parametrize("channels", [2, 4])
    def test_other_numbers_of_channels(self, channels: int) -> None:
        opened = open_model(with_channels(channels))
        message = f"the first convolution takes {channels} channels: images have 3"
        with pytest.raises(BadInput, match=message):
            opened.layers((64, 64))
        with pytest.raises(BadInput, match=message):
            LayerDissection(with_channels(channels), "layer1").dissect(SHAPES)

    def test_copied_to_colours(self) -> None:
        model = with_first(lambda x: (x.repeat(1, 3, 1, 1) - MEAN) / STD)
        preprocess = open_model(model).preprocess
        assert values(preprocess) == ((0,), (1,), 1 / 255)
        assert "(3 equal channels, sub 0.485 0.456 0.406, div" in preprocess.source

    def test_copies_of_colours_are_not_grey(self) -> None:
        model = with_first(lambda x: torch.cat([x, x, x], 1), with_channels(9))
        assert open_model(model.eval()).preprocess.channels == 3

    def test_padded_channels_are_no_channels_of_images(self) -> None:
        model = with_first(lambda x: F.pad(x, (0, 0, 0, 0, 0, 1)), with_channels(4))
        assert open_model(model.eval()).preprocess.channels == 3

    def test_a_given_preprocessing_for_colours(self) -> None:
        units = LayerDissection(with_channels(1), "layer1")
        with pytest.raises(
            ModelFailed, match="images have 3 channels, as the prep"
        ):
            units.dissect(SHAPES, workers=0, preprocess=Preprocess((64, 64)))
