"""Receptive-field geometry against an independent measurement: the support of the gradient of single cells."""

from __future__ import annotations

from collections.abc import Callable

import networks
import pytest
import torch
from torch import Tensor, nn

from nd_plugin import Axis, open_model

Maps = Callable[[Tensor], Tensor]
Output = Callable[[Tensor], Tensor]


def measured(model: nn.Module, layer: str, size: int, to_maps: Output, cell: tuple[int, int]) -> tuple[float, ...]:
    """Centre and extent, rows and columns, of the pixels that a cell's gradient reaches; united over several images."""
    taken: list[Tensor] = []
    target = model.get_submodule(layer) if layer else model
    handle = target.register_forward_hook(lambda _, __, output: taken.append(output))
    reached = torch.zeros(size, size, dtype=torch.bool)
    for seed in range(24 if size < 250 else 6):
        image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(seed)).requires_grad_()
        model(image)
        (gradient,) = torch.autograd.grad(to_maps(taken.pop())[0, :, *cell].sum(), image)
        reached |= (gradient[0] != 0).any(0)
    handle.remove()
    rows, columns = (reached.any(dim).nonzero()[:, 0] for dim in (1, 0))
    assert int(rows[0]) > 0 and int(rows[-1]) < size - 1, "the cell's field is cut by the image's edge"
    return (
        float(rows[0] + rows[-1]) / 2,
        float(rows[-1] - rows[0] + 1),
        float(columns[0] + columns[-1]) / 2,
        float(columns[-1] - columns[0] + 1),
    )


def derived(model: nn.Module, layer: str, size: int) -> tuple[Axis, Axis]:
    with open_model(model).probe([layer], (size, size)) as probe:
        geometry = probe.geometries[layer]
    assert geometry.anchored
    return geometry.rows, geometry.columns


def as_is(output: Tensor) -> Tensor:
    return output


CASES: dict[str, tuple[Callable[[], nn.Module], str, int, int, float]] = {
    # model, layer, input, cell, how far the centre may be off in strides
    "resnet18 layer2": (networks.ResNet18, "layer2", 224, 14, 0),
    "resnet18 layer4": (networks.ResNet18, "layer4", 512, 8, 0),
    "alexnet conv5": (networks.alexnet, "10", 227, 6, 0),
    "dilated": (networks.dilated, "2", 96, 20, 0),
    "same, asymmetric": (networks.same_and_asymmetric, "5", 64, 7, 0),
    "inception": (networks.Inception, "five", 48, 10, 0),
    "inception, joined": (lambda: nn.Sequential(networks.Inception(), nn.Identity()), "1", 48, 10, 0),
    "focus": (networks.Focus, "conv", 48, 10, 0),
    "u-net, nearest": (lambda: networks.UNet("nearest"), "up2", 64, 31, 0.5),
    "u-net, bilinear": (lambda: networks.UNet("bilinear"), "up2", 64, 31, 0.5),
    "u-net, transposed": (lambda: networks.UNet("transpose"), "up2", 64, 31, 0.5),
    "u-net, pixel shuffle": (lambda: networks.UNet("shuffle"), "up1", 64, 15, 0.5),
    "u-net, bottom": (lambda: networks.UNet("nearest"), "bottom", 64, 8, 0),
    "transposed": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 4, 1), nn.ConvTranspose2d(4, 4, 3, 2, 1)),
        "1",
        64,
        14,
        0.5,
    ),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("case", CASES)
def test_centres_are_where_the_gradient_reaches(case: str) -> None:
    make, layer, size, cell, off = CASES[case]
    torch.manual_seed(0)
    model = networks.made_positive(make())
    rows, columns = derived(model, layer, size)
    row, height, column, width = measured(model, layer, size, as_is, (cell, cell))
    assert abs(rows.offset + rows.stride * cell - row) <= off * rows.stride
    assert abs(columns.offset + columns.stride * cell - column) <= off * columns.stride
    if not off:
        assert (rows.size, columns.size) == (height, width)


@pytest.mark.parametrize("embed", ["conv", "unfold", "reshape"])
def test_tokens_lie_where_their_patch_does(embed: str) -> None:
    torch.manual_seed(0)
    model = networks.made_positive(networks.ViT(embed))
    side = 48 // 8

    def maps(output: Tensor) -> Tensor:
        return output if output.dim() == 4 else output.transpose(1, 2).unflatten(2, (side, side))

    row, height, column, width = measured(model, "embed", 48, maps, (2, 3))
    with open_model(model).probe(["embed", "block1", "block2.mlp", "block1.attn"], (48, 48)) as probe:
        found = probe(torch.rand(3, 3, 48, 48))
        geometries = [probe.geometries[layer] for layer in probe.layers]
    for geometry, maps_of_layer in zip(geometries, found.values(), strict=True):
        assert maps_of_layer.shape[0] == 3 and maps_of_layer.shape[2:] == (side, side)
        assert geometry.rows.offset + 2 * geometry.rows.stride == row
        assert geometry.columns.offset + 3 * geometry.columns.stride == column
        assert (geometry.rows.size, geometry.columns.size) == (height, width) == (8, 8)


def test_windows_merge_to_the_middle_of_their_patches() -> None:
    torch.manual_seed(0)
    model = networks.Windows()
    rows, columns = derived(model, "last", 64)
    assert rows == columns == Axis(8, 8, 3.5)


def test_resnet18_of_the_issue() -> None:
    rows, _ = derived(networks.ResNet18().eval(), "layer4", 224)
    assert rows.centres(7) == [0, 32, 64, 96, 128, 160, 192]


def test_alexnet_of_the_issue() -> None:
    rows, columns = derived(networks.alexnet().eval(), "10", 227)
    assert rows == columns == Axis(163, 16, 17)


def test_a_pooled_branch_never_wins() -> None:
    rows, columns = derived(networks.SqueezeExcite().eval(), "after", 63)
    assert rows == columns == Axis(5 + 2 * 3, 3, 0)


@pytest.mark.parametrize("size", [32, 64])
def test_a_single_cell_keeps_its_stride_for_what_follows(size: int) -> None:
    model = nn.Sequential(nn.AvgPool2d(32), nn.Conv2d(3, 4, 3, padding=1), nn.Upsample(scale_factor=4), nn.Identity())
    rows, _ = derived(model, "3", size)
    assert rows.stride == 8 and rows.offset == 3.5


def test_what_no_rule_knows_is_spread_evenly_and_said() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), networks.Call(lambda x: torch.fft.fft2(x).abs()[:, :, ::3, ::3].cos())
    )
    model.append(networks.Call(lambda x: x[:, :, [0, 3, 1], :]))
    with open_model(model).probe(["2"], (48, 48)) as probe:
        geometry = probe.geometries["2"]
    assert not geometry.anchored
    assert geometry.rows == Axis(48, 16, 7.5)
