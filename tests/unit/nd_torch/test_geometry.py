"""Receptive-field geometry against a measurement: the support of the gradient of single cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import networks
import pytest
import torch
from torch import Tensor, nn

from nd_plugin import Axis, UnitsNotFound, open_model

ToMaps = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Extent:
    """Pixels that a cell sees along one axis."""

    centre: float
    size: int

    @classmethod
    def of(cls, is_reached: Tensor) -> Extent:
        """Extent of the True pixels of a line (pixel,)."""
        pixels = is_reached.nonzero()[:, 0]
        first, last = int(pixels[0]), int(pixels[-1])
        is_inside = first > 0 and last < len(is_reached) - 1
        assert is_inside, "the cell's field is cut by the image's edge"
        return cls((first + last) / 2, last - first + 1)


def measure(
    model: nn.Module, layer: str, size: int, to_maps: ToMaps, cell: tuple[int, int]
) -> tuple[Extent, Extent]:
    """Rows and columns that a cell's gradient reaches in any of several random images.

    Several, since max-pooling passes a gradient to one pixel of its window at a time.
    """
    outputs: list[Tensor] = []
    target = model.get_submodule(layer) if layer else model
    handle = target.register_forward_hook(
        lambda _, __, output: outputs.append(output)
    )
    is_reached = torch.zeros(size, size, dtype=torch.bool)
    for seed in range(24 if size < 250 else 6):
        generator = torch.Generator().manual_seed(seed)
        image = torch.rand(1, 3, size, size, generator=generator).requires_grad_()
        model(image)
        activation = to_maps(outputs.pop())[0, :, *cell].sum()
        (gradient,) = torch.autograd.grad(activation, image)
        is_reached |= (gradient[0] != 0).any(0)
    handle.remove()
    return Extent.of(is_reached.any(1)), Extent.of(is_reached.any(0))


def derive(model: nn.Module, layer: str, size: int) -> tuple[Axis, Axis]:
    with open_model(model).probe([layer], (size, size)) as probe:
        geometry = probe.geometries[layer]
    assert geometry.anchored
    return geometry.rows, geometry.columns


def centre_of(axis: Axis, cell: int) -> float:
    return axis.offset + axis.stride * cell


def unchanged(output: Tensor) -> Tensor:
    return output


@dataclass(frozen=True)
class Case:
    make: Callable[[], nn.Module]
    layer: str
    size: int  # of the input
    cell: int
    slack: float = (
        0  # of the centre, in strides: nearest neighbours are spread evenly
    )


CASES = {
    "resnet18 layer2": Case(networks.ResNet18, "layer2", 224, 14),
    "resnet18 layer4": Case(networks.ResNet18, "layer4", 512, 8),
    "alexnet conv5": Case(networks.alexnet, "10", 227, 6),
    "dilated": Case(networks.dilated, "2", 96, 20),
    "same, asymmetric": Case(networks.same_and_asymmetric, "5", 64, 7),
    "inception": Case(networks.Inception, "five", 48, 10),
    "inception, joined": Case(
        lambda: nn.Sequential(networks.Inception(), nn.Identity()), "1", 48, 10
    ),
    "focus": Case(networks.Focus, "conv", 48, 10),
    "u-net, nearest": Case(lambda: networks.UNet("nearest"), "up2", 64, 31, 0.5),
    "u-net, bilinear": Case(lambda: networks.UNet("bilinear"), "up2", 64, 31, 0.5),
    "u-net, transposed": Case(
        lambda: networks.UNet("transpose"), "up2", 64, 31, 0.5
    ),
    "u-net, pixel shuffle": Case(
        lambda: networks.UNet("shuffle"), "up1", 64, 15, 0.5
    ),
    "u-net, bottom": Case(lambda: networks.UNet("nearest"), "bottom", 64, 8),
    "transposed": Case(
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, 4, 1), nn.ConvTranspose2d(4, 4, 3, 2, 1)
        ),
        "1",
        64,
        14,
        0.5,
    ),
}


@pytest.mark.filterwarnings(
    "ignore:Using padding='same' with even kernel:UserWarning"
)
@pytest.mark.parametrize("name", CASES)
def test_centres_are_where_the_gradient_reaches(name: str) -> None:
    case = CASES[name]
    torch.manual_seed(0)
    model = networks.made_positive(case.make())
    axes = derive(model, case.layer, case.size)
    extents = measure(
        model, case.layer, case.size, unchanged, (case.cell, case.cell)
    )
    for axis, extent in zip(axes, extents, strict=True):
        deviation = abs(centre_of(axis, case.cell) - extent.centre)
        assert deviation <= case.slack * axis.stride
        if case.slack == 0:
            assert axis.size == extent.size


@pytest.mark.parametrize("embed", ["conv", "unfold", "reshape"])
def test_tokens_lie_where_their_patch_does(embed: str) -> None:
    torch.manual_seed(0)
    model = networks.made_positive(networks.ViT(embed))
    side = 48 // 8

    def to_maps(output: Tensor) -> Tensor:
        if output.dim() == 4:
            return output
        return output.transpose(1, 2).unflatten(2, (side, side))

    rows, columns = measure(model, "embed", 48, to_maps, (2, 3))
    assert rows.size == columns.size == 8
    layers = ["embed", "block1", "block2.mlp", "block1.attn"]
    with open_model(model).probe(layers, (48, 48)) as probe:
        maps = probe(torch.rand(3, 3, 48, 48))
        geometries = [probe.geometries[layer] for layer in probe.layers]
    for geometry, layer_maps in zip(geometries, maps.values(), strict=True):
        assert layer_maps.shape[0] == 3
        assert layer_maps.shape[2:] == (side, side)
        assert centre_of(geometry.rows, 2) == rows.centre
        assert centre_of(geometry.columns, 3) == columns.centre
        assert geometry.rows.size == geometry.columns.size == 8


def test_windows_merge_to_the_middle_of_their_patches() -> None:
    torch.manual_seed(0)
    model = networks.Windows()
    rows, columns = derive(model, "last", 64)
    assert rows == columns == Axis(8, 8, 3.5)


def test_resnet18_of_the_issue() -> None:
    rows, _ = derive(networks.ResNet18().eval(), "layer4", 224)
    assert rows.centres(7) == [0, 32, 64, 96, 128, 160, 192]


def test_alexnet_of_the_issue() -> None:
    rows, columns = derive(networks.alexnet().eval(), "10", 227)
    assert rows == columns == Axis(163, 16, 17)


def test_a_pooled_branch_never_wins() -> None:
    rows, columns = derive(networks.SqueezeExcite().eval(), "after", 63)
    assert rows == columns == Axis(5 + 2 * 3, 3, 0)


@pytest.mark.parametrize("size", [32, 64])
def test_a_single_cell_keeps_its_stride_for_what_follows(size: int) -> None:
    model = nn.Sequential(
        nn.AvgPool2d(32),
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Upsample(scale_factor=4),
        nn.Identity(),
    )
    rows, _ = derive(model, "3", size)
    assert rows.stride == 8
    assert rows.offset == 3.5


def test_what_no_rule_knows_and_does_not_follow_the_image_is_spread_evenly() -> (
    None
):
    def spectrum(x: Tensor) -> Tensor:
        return torch.fft.fft2(x).abs()[:, :, ::3, ::3].cos()

    def select_rows(x: Tensor) -> Tensor:
        return x[:, :, [0, 3, 1], :]

    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1),
        networks.Call(spectrum),
        networks.Call(select_rows),
    )
    refused = pytest.raises(UnitsNotFound, match="axes are unknown")
    with refused, open_model(model).probe(["2"], (48, 48)):
        pass
    with open_model(model).probe(["2@nchw"], (48, 48)) as probe:
        geometry = probe.geometries["2@nchw"]
    assert not geometry.anchored
    assert geometry.rows == Axis(48, 16, 7.5)
