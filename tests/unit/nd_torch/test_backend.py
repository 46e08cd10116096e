"""Models, devices and layers of every form that the torch backend opens."""

from __future__ import annotations

import warnings

import networks
import pytest
import torch
from torch import Tensor, nn
from torch_maps import DISTINCT, assert_same_maps, maps_of

from nd_plugin import (
    BadInput,
    ModelFailed,
    ModelOptions,
    Unavailable,
    UnitsNotFound,
    open_model,
)
from nd_plugin.receptive_fields import geometry


class TestMaps:
    def test_a_later_in_place_operation_does_not_change_them(
        self, images: Tensor
    ) -> None:
        torch.manual_seed(0)
        model = networks.alexnet().eval()
        images = images[:, :, :63, :63]
        with torch.no_grad():
            expected = model[3](model[:3](images))
        with open_model(model).probe(["3", "10"], (63, 63)) as probe:
            maps = probe(images)["3"]
        assert_same_maps(maps, expected)
        assert maps.min() < -DISTINCT, (
            "the ReLU behind the layer would have removed negative values"
        )

    def test_tokens_come_without_class_and_register_tokens_on_their_grid(
        self, images: Tensor
    ) -> None:
        torch.manual_seed(0)
        model = networks.ViT(registers=3).eval()
        outputs: list[Tensor] = []
        model.block1.register_forward_hook(
            lambda _, __, output: outputs.append(output)
        )
        with torch.no_grad():
            model(images)
        expected = outputs[0][:, 4:].transpose(1, 2).unflatten(2, (8, 8))
        assert_same_maps(maps_of(model, "block1", images), expected)

    def test_tokens_first(self, images: Tensor) -> None:
        torch.manual_seed(0)
        model = networks.ViT(batch_first=False).eval()
        outputs: list[Tensor] = []
        model.block2.register_forward_hook(
            lambda _, __, output: outputs.append(output)
        )
        with torch.no_grad():
            model(images)
        expected = outputs[0][5:].permute(1, 2, 0).unflatten(2, (8, 8))
        assert_same_maps(maps_of(model, "block2", images), expected)

    def test_channels_last(self, images: Tensor) -> None:
        torch.manual_seed(0)
        model = networks.Windows().eval()
        with torch.no_grad():
            expected = model(images).permute(0, 3, 1, 2)
        assert_same_maps(maps_of(model, "last", images), expected)

    def test_features_are_maps_of_one_cell(self, images: Tensor) -> None:
        model = networks.ResNet18().eval()
        with torch.no_grad():
            expected = model(images.contiguous(memory_format=torch.channels_last))
        assert torch.equal(maps_of(model, "fc", images)[:, :, 0, 0], expected)

    def test_images_and_places_on_one_axis_are_refused(
        self, images: Tensor
    ) -> None:
        with pytest.raises(
            UnitsNotFound,
            match=r"'inside'.*share an axis.*choose a neighbouring layer",
        ):
            maps_of(networks.Windows(), "inside", images)

    @pytest.mark.parametrize(
        "mix", [lambda x: x.flip(0), lambda x: torch.cat([x, x])]
    )
    def test_images_that_do_not_come_out_as_they_went_in_are_refused(
        self, mix: object
    ) -> None:
        model = nn.Sequential(networks.Call(mix))
        with pytest.raises(UnitsNotFound, match="share an axis or are mixed"):
            maps_of(model, "0", torch.rand(2, 3, 16, 16))

    def test_half_precision_models_get_half_precision_images(
        self, images: Tensor
    ) -> None:
        assert (
            maps_of(networks.dilated().bfloat16(), "0", images).dtype
            == torch.bfloat16
        )

    def test_a_default_device_and_inference_mode(self, images: Tensor) -> None:
        model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3))
        expected = maps_of(model, "1", images.clone())
        with torch.device("meta"):
            assert torch.equal(maps_of(model, "1", images.clone()), expected)
        with torch.inference_mode():
            assert torch.equal(maps_of(model, "1", images.clone()), expected)


class TestGeometry:
    def test_the_chosen_entry_gives_the_geometry(self) -> None:
        def pair(x: Tensor) -> tuple[Tensor, Tensor]:
            return x[:, :, ::2, ::2], x[:, :, 1::4, 1::4].clone()

        model = nn.Sequential(networks.Call(pair))
        with open_model(model).probe(["0[1]"], (32, 32)) as probe:
            assert probe.geometries["0[1]"].rows == geometry.Axis(1, 4, 1)

    def test_operations_that_move_values_unseen_are_measured(self) -> None:
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1), networks.Call(sample_flipped)
        )
        with open_model(model).probe(["1"], (48, 32)) as probe:
            geometry_ = probe.geometries["1"]
            *_, note = probe.notes
        assert geometry_.measured
        # within half a cell of 2 pixels: the convolution is random
        assert geometry_.rows.stride == -2
        assert geometry_.rows.offset == pytest.approx(46, abs=1)
        assert geometry_.columns.stride == 2
        assert geometry_.columns.offset == pytest.approx(0, abs=1)
        assert "measured on perturbed images" in note

    def test_cells_that_do_not_follow_the_image_are_none(self) -> None:
        sort = networks.Call(lambda x: x.flatten(2).sort(2).values.view_as(x))
        model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), sort)
        refused = pytest.raises(UnitsNotFound, match=r"axes are unknown.*1@nhwc")
        with refused, open_model(model).probe(["1"], (32, 32)):
            pass
        with open_model(model).probe(["1@nchw"], (32, 32)) as probe:
            assert not probe.geometries["1@nchw"].anchored
            assert probe.notes == (
                "layer '1@nchw': its axes are NCHW, as requested",
            )


def sample_flipped(x: Tensor) -> Tensor:
    """Turn maps upside down."""
    matrices = torch.tensor([[1.0, 0, 0], [0, -1, 0]]).repeat(len(x), 1, 1)
    grid = nn.functional.affine_grid(matrices, list(x.shape), False)
    return nn.functional.grid_sample(x, grid, align_corners=False)


class TestOpening:
    def test_where_a_model_fails(self) -> None:
        tail = nn.Sequential(nn.Flatten(), nn.Linear(10, 2))
        model = nn.Sequential(nn.Conv2d(3, 4, 3), tail)
        message = r"in 1\.1 \(Linear\), on images of shape \(2, 3, 32, 32\): RuntimeError: mat1"
        with pytest.raises(ModelFailed, match=message):
            maps_of(model, "1", torch.rand(2, 3, 32, 32))

    def test_torchscript_is_refused_by_name(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(networks.dilated(), torch.rand(1, 3, 32, 32))
        with pytest.raises(BadInput, match="inner layers of a TorchScript module"):
            open_model(traced)

    def test_a_device_that_is_not_there(self) -> None:
        if torch.cuda.is_available():
            pytest.skip("this machine has CUDA")
        with pytest.raises(Unavailable, match="'cuda' was asked for"):
            open_model(networks.dilated(), ModelOptions(device="cuda"))
        with pytest.raises(BadInput, match="no device 'gpu'"):
            open_model(networks.dilated(), ModelOptions(device="gpu"))

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_cuda_gives_what_the_cpu_gives(
        self, images: Tensor
    ) -> None:  # pragma: no cover
        model = networks.ResNet18().eval()
        expected = maps_of(model, "layer4", images)
        maps = maps_of(model.cuda(), "layer4", images.cuda())
        assert maps.is_cuda
        # TF32
        torch.testing.assert_close(maps.cpu(), expected, rtol=1e-3, atol=1e-3)


class TestForwardFunctions:
    """Captum's idiom: a callable and a module."""

    def test_layers_are_given_as_modules(self, images: Tensor) -> None:
        model = networks.ResNet18().eval()
        expected = maps_of(model, "layer1", images)
        assert torch.equal(maps_of(model.forward, "layer1", images), expected)  # type: ignore[arg-type]
        opened = open_model(lambda x: model(x))
        with opened.probe([model.layer1], (64, 64)) as probe:
            (maps,) = probe(images).values()
        assert torch.equal(maps, expected)
        message = "layers of a forward function have no names"
        with (
            pytest.raises(BadInput, match=message),
            opened.probe(["layer1"], (64, 64)),
        ):
            pass

    def test_the_layers_device_and_number_type(self) -> None:
        model = networks.dilated().double()
        with open_model(lambda x: model(x)).probe([model[1]], (32, 32)) as probe:
            (maps,) = probe(torch.rand(2, 3, 32, 32)).values()
        assert maps.dtype == torch.float64

    def test_modules_that_run_are_in_evaluation_mode(self) -> None:
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.ReLU()
        )
        model.train()
        running_mean = model[1].running_mean.clone()
        images = torch.rand(2, 3, 16, 16)
        with open_model(lambda x: model(x)).probe([model[3]], (16, 16)) as probe:
            (maps,) = probe(images).values()
            (repeated_maps,) = probe(images).values()
        assert torch.equal(maps, repeated_maps)
        assert torch.equal(model[1].running_mean, running_mean)
        assert all(module.training for module in model.modules())
        model(torch.rand(2, 3, 16, 16))
        assert not torch.equal(model[1].running_mean, running_mean), (
            "no hook is left behind"
        )
