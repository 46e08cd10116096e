"""Axes and centres measured on perturbed images, against what is known of plain operations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nd_plugin import Axis, Geometry, UnitsNotFound, place, split_axes
from nd_plugin.receptive_fields.layout import (
    FeatureLayout,
    MapLayout,
    TokenLayout,
)
from nd_plugin.receptive_fields.measured_centres import (
    Deviation,
    GridResponse,
    measure_deviation,
    measured_geometry,
)
from nd_plugin.receptive_fields.measured_layout import measured_layout
from nd_plugin.receptive_fields.perturbation import (
    IMAGES,
    Response,
    perturb,
)
from nd_plugin.receptive_fields.placement import Measurement
from nd_plugin.receptive_fields.positions import Positions

SIZE = (96, 128)
Operation = Callable[[Tensor], Tensor]


def noise(size: tuple[int, int] = SIZE, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(channels, *size, generator=generator)


def convolve(
    kernel: int, stride: int, padding: int = 0, units: int = 16
) -> Operation:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(units, 3, kernel, kernel, generator=generator)
    return lambda x: functional.conv2d(x, weight, stride=stride, padding=padding)


def measurement_of(
    operation: Operation, size: tuple[int, int] = SIZE
) -> Measurement:
    images = perturb(noise(size))
    output = operation(images.images)
    image_axis = list(output.shape).index(IMAGES)
    return Measurement(Response.of_output(output, image_axis), images)


def test_bands_cover_the_image_and_weigh_the_same() -> None:
    image = noise((50, 61))
    perturbed = perturb(image)
    assert torch.equal(perturbed.images[0], image)
    changes = (perturbed.images[1:] - image).abs()
    bands = len(perturbed.row_edges) - 1
    changed = changes > 0
    for direction in (changed[:bands], changed[bands:]):
        assert int(direction.sum(0).max()) == 1
        # half of all values, 4 standard deviations of the binomial distribution
        assert abs(float(direction.sum(0).float().mean()) - 0.5) < 4 * 0.5 / 95
    height = changes[changed]
    torch.testing.assert_close(
        height, height[:1].expand_as(height), rtol=1e-4, atol=0
    )


LAYOUTS: dict[str, tuple[Operation, tuple[int, ...]]] = {
    "NCHW": (convolve(3, 2), (0, 1, 2, 3)),
    "NHWC": (lambda x: convolve(3, 2)(x).permute(0, 2, 3, 1), (0, 3, 1, 2)),
    "columns first": (lambda x: convolve(3, 2)(x).mT, (0, 1, 3, 2)),
    "images last": (lambda x: convolve(8, 8)(x).permute(1, 2, 3, 0), (3, 0, 1, 2)),
    "wide field": (lambda x: convolve(31, 8, 15)(x).relu(), (0, 1, 2, 3)),
    "one unit": (convolve(3, 2, units=1), (0, 1, 2, 3)),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_axes_of_maps(name: str) -> None:
    operation, axes = LAYOUTS[name]
    layout = measured_layout(measurement_of(operation).response, SIZE)
    assert isinstance(layout, MapLayout)
    assert layout.axes == axes


def with_class_tokens(x: Tensor, count: int) -> Tensor:
    tokens = convolve(8, 8)(x).flatten(2).mT
    return torch.cat([torch.ones(len(x), count, tokens.shape[2]), tokens], 1)


TOKENS: dict[str, tuple[Operation, tuple[int, ...], int]] = {
    "NTC": (lambda x: with_class_tokens(x, 0), (0, 1, 2), 0),
    "NCT": (lambda x: with_class_tokens(x, 0).mT, (0, 2, 1), 0),
    "TNC": (lambda x: with_class_tokens(x, 1).transpose(0, 1), (1, 0, 2), 1),
    "Conv1d over tokens": (
        lambda x: functional.conv1d(
            with_class_tokens(x, 0).mT, torch.eye(16)[:, :, None]
        ),
        (0, 2, 1),
        0,
    ),
    "a class token": (lambda x: with_class_tokens(x, 1), (0, 1, 2), 1),
    "registers": (lambda x: with_class_tokens(x, 5), (0, 1, 2), 5),
}


@pytest.mark.parametrize("name", TOKENS)
def test_axes_and_grid_of_tokens(name: str) -> None:
    operation, axes, prefix = TOKENS[name]
    layout = measured_layout(measurement_of(operation).response, SIZE)
    assert isinstance(layout, TokenLayout)
    assert layout.axes == axes
    assert layout.grid == (12, 16)
    assert layout.tokens.tolist() == list(range(prefix, prefix + 12 * 16))


@pytest.mark.parametrize("cells", [7, 14])
def test_a_grid_keeps_its_first_row(cells: int) -> None:
    # 50 tokens are a class token and 7 x 7, or 8 others and 6 x 7
    size = (8 * cells, 8 * cells)
    operation, _, _ = TOKENS["a class token"]
    layout = measured_layout(measurement_of(operation, size).response, size)
    assert isinstance(layout, TokenLayout)
    assert layout.grid == (cells, cells)


@pytest.mark.parametrize("cells", [7, 8])
def test_register_tokens_are_no_row_of_a_grid(cells: int) -> None:
    # 8 register tokens and 8 x 8 are as many as 9 x 8
    size = (8 * cells, 8 * cells)

    def with_registers(x: Tensor) -> Tensor:
        return with_class_tokens(x, 8)

    layout = measured_layout(measurement_of(with_registers, size).response, size)
    assert isinstance(layout, TokenLayout)
    assert layout.grid == (cells, cells)
    assert int(layout.tokens[0]) == 8


def attention(x: Tensor) -> Tensor:
    tokens = convolve(8, 8)(x).flatten(2).mT
    heads = tokens.view(len(x), -1, 4, 4).transpose(1, 2)
    return (heads @ heads.mT).softmax(-1)


def mean_attention(x: Tensor) -> Tensor:
    return attention(x).mean(1)


def attention_along_rows(x: Tensor) -> Tensor:
    maps = convolve(8, 8)(x)
    return torch.einsum("bchw,bchv->bhwv", maps, maps)


def queries(x: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    asked = torch.randn(192, 16, generator=generator)
    tokens = convolve(8, 8)(x).flatten(2).mT
    weights = (asked @ tokens.mT / 4).softmax(-1)
    return weights @ tokens


def mixed_tokens(x: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(72, 192, generator=generator)
    return functional.linear(convolve(8, 8)(x).flatten(2), weight)


def sorted_pixels(x: Tensor) -> Tensor:
    return x.flatten(2).sort(2).values.view_as(x)


def distribution_of_distances(x: Tensor) -> Tensor:
    """Return what YOLO's distribution focal loss is computed of: 16 bins of four distances."""
    tokens = convolve(8, 8, units=64)(x).flatten(2)
    return tokens.view(len(x), 4, 16, -1).transpose(1, 2).softmax(1)


NO_GRIDS: dict[str, Operation] = {
    "distribution of distances": distribution_of_distances,
    "attention": attention,
    "attention, mean of heads": mean_attention,
    "attention along rows": attention_along_rows,
    "queries": queries,
    "mixed tokens": mixed_tokens,
    "spectrum": lambda x: torch.fft.fft2(convolve(3, 1)(x)).abs(),
    "sorted": sorted_pixels,
    "cells of three scales": lambda x: torch.cat(
        [convolve(size, size)(x).flatten(2) for size in (4, 8, 16)], 2
    )[:, None].repeat(1, 4, 1, 1),
}


@pytest.mark.parametrize("name", NO_GRIDS)
def test_what_is_no_grid_over_the_image_is_not_laid_out(name: str) -> None:
    measurement = measurement_of(NO_GRIDS[name])
    assert measured_layout(measurement.response, SIZE) is None
    shape = torch.Size((2, *measurement.response.shape[1:]))
    with pytest.raises(UnitsNotFound, match="axes are unknown"):
        place(shape, None, "layer", SIZE, measurement)


KERNELS = [(1, 1, 0), (3, 2, 1), (7, 2, 3), (4, 4, 0), (16, 16, 0), (11, 4, 2)]


@pytest.mark.parametrize(("kernel", "stride", "padding"), KERNELS)
def test_measured_centres_are_those_of_convolutions(
    kernel: int, stride: int, padding: int
) -> None:
    offset = (kernel - 1) / 2 - padding
    axis = Axis(kernel, stride, offset)
    measurement = measurement_of(convolve(kernel, stride, padding, units=64))
    grid = grid_response(measurement)
    deviation = measure_deviation(grid, measurement.images, Geometry(axis, axis))
    # bands are cut between cells, and the weights of a random kernel are not symmetric
    assert deviation.largest < 0.35
    geometry = measured_geometry(grid, measurement.images, SIZE)
    assert geometry is not None
    assert geometry.measured
    for measured in (geometry.rows, geometry.columns):
        assert measured.stride == stride
        assert abs(measured.offset - offset) <= 0.5 * stride


def grid_response(measurement: Measurement) -> GridResponse:
    layout = measured_layout(measurement.response, SIZE)
    assert layout is not None
    grid = GridResponse.of_layout(measurement.response, layout)
    assert grid is not None
    return grid


def test_a_wrong_offset_is_noticed() -> None:
    measurement = measurement_of(convolve(8, 8, units=64))
    shifted = Axis(8, 8, 3.5 + 8)
    deviation = measure_deviation(
        grid_response(measurement),
        measurement.images,
        Geometry(shifted, Axis(8, 8, 3.5)),
    )
    assert deviation.rows == pytest.approx(1, abs=0.35)
    assert deviation.columns == pytest.approx(0, abs=0.35)


def test_a_wide_field_is_not_drawn_towards_the_middle() -> None:
    average = nn.Sequential(*(nn.AvgPool2d(9, 1, 4) for _ in range(6)))

    def blur(x: Tensor) -> Tensor:
        maps: Tensor = average(convolve(8, 8, units=64)(x))
        return maps

    measurement = measurement_of(blur, (192, 256))
    axis = Axis(8, 8, 3.5)
    layout = MapLayout((0, 1, 2, 3), None)
    grid = GridResponse.of_layout(measurement.response, layout)
    assert grid is not None
    deviation = measure_deviation(grid, measurement.images, Geometry(axis, axis))
    assert deviation.largest < 0.5


@pytest.mark.parametrize(("cells", "stride"), [(2, 32), (3, 48), (7, 8), (7, 32)])
def test_measured_centres_of_few_cells(cells: int, stride: int) -> None:
    size = (cells * stride, cells * stride)
    measurement = measurement_of(convolve(stride, stride), size)
    layout = MapLayout((0, 1, 2, 3), None)
    grid = GridResponse.of_layout(measurement.response, layout)
    assert grid is not None
    geometry = measured_geometry(grid, measurement.images, size)
    assert geometry is not None
    for axis in (geometry.rows, geometry.columns):
        assert axis.stride == stride
        assert axis.offset == pytest.approx((stride - 1) / 2, abs=stride / 4)


# the squares of 1e-25 and 1e25 are beyond single precision
@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_values_of_any_scale(scale: float) -> None:
    measurement = measurement_of(lambda x: convolve(4, 4)(x) * scale)
    geometry = measured_geometry(
        grid_response(measurement), measurement.images, SIZE
    )
    assert geometry is not None
    assert (geometry.rows.stride, geometry.columns.stride) == (4, 4)


def test_weights_of_one_side_are_no_difference_unless_there_are_many_units() -> (
    None
):
    deviation = Deviation(-1.2, 0.9)
    wide = Geometry(Axis(25, 1, 0), Axis(25, 1, 0))
    assert deviation.beyond_chance(wide, 8).largest == 0
    assert deviation.beyond_chance(wide, 80) == Deviation(-1.2, 0.0)
    assert deviation.beyond_chance(wide, 512) == deviation
    assert Deviation(None, None).beyond_chance(wide, 8) == Deviation(None, None)


def test_an_image_that_is_turned_upside_down() -> None:
    measurement = measurement_of(lambda x: convolve(4, 4, units=64)(x.flip(2)))
    geometry = measured_geometry(
        grid_response(measurement), measurement.images, SIZE
    )
    assert geometry is not None
    assert geometry.rows.stride == -4
    assert geometry.rows.offset == pytest.approx(95 - 1.5, abs=1)
    assert geometry.columns.stride == 4


def test_derived_and_measured_centres_that_differ_are_noted() -> None:
    from nd_plugin import Positions

    shape = torch.Size((2, 64, 12, 16))
    axis = Axis(8, 8, 3.5)
    wrong = Geometry(Axis(8, 8, 3.5 + 6), axis)
    images = torch.arange(2, dtype=torch.float64)
    measurement = measurement_of(convolve(8, 8, units=64))
    for geometry, is_noted in ((Geometry(axis, axis), False), (wrong, True)):
        positions = Positions.of_map(geometry, images, shape)
        placement = place(shape, positions, "deep", SIZE, measurement)
        assert placement.geometry == geometry
        noted = [note for note in placement.notes if "differ by 0.75 cells" in note]
        assert bool(noted) == is_noted


def test_axes_that_a_user_names() -> None:
    assert split_axes("a.b@nhwc") == ("a.b", "NHWC")
    assert split_axes("a@b") == ("a@b", None)
    assert split_axes("x@NTC#1") == ("x@NTC#1", None)
    shape = torch.Size((2, 12, 16, 5))
    placement = place(shape, None, "x", SIZE, None, "NHWC")
    assert placement.layout == MapLayout((0, 3, 1, 2), None)
    assert placement.notes == ("layer 'x': its axes are NHWC, as requested",)
    tokens = place(torch.Size((2, 193, 5)), None, "x", SIZE, None, "NTC")
    assert isinstance(tokens.layout, TokenLayout)
    assert tokens.layout.grid == (12, 16)
    with pytest.raises(UnitsNotFound, match="NTC does not fit"):
        place(shape, None, "x", SIZE, None, "NTC")
    with pytest.raises(UnitsNotFound, match="no grid of the image's proportions"):
        place(torch.Size((2, 3, 5)), None, "x", SIZE, None, "NTC")


def test_axes_that_contradict_the_derived_ones_are_noted() -> None:
    from nd_plugin import Positions

    shape = torch.Size((2, 64, 12, 16))
    axis = Axis(8, 8, 3.5)
    images = torch.arange(2, dtype=torch.float64)
    positions = Positions.of_map(Geometry(axis, axis), images, shape)
    wrong = place(shape, positions, "deep", SIZE, None, "NHWC")
    assert wrong.layout == MapLayout((0, 3, 1, 2), None)
    requested, contradiction = wrong.notes
    assert requested == "layer 'deep': its axes are NHWC, as requested"
    assert "by them it has 64 units, on axis 1 of 4" in contradiction
    right = place(shape, positions, "deep", SIZE, None, "NCHW")
    assert right.geometry.anchored
    assert right.notes == ("layer 'deep': its axes are NCHW, as requested",)


def test_images_are_found_by_their_number() -> None:
    images = perturb(noise())
    output = convolve(8, 8)(images.images)
    pair = torch.Size((2, *output.shape[1:]))
    assert Response.of_pair(output, pair) is not None
    assert Response.of_pair(output, output.shape) is None
    windows = output.reshape(IMAGES * 4, -1, 6, 8)
    assert Response.of_pair(windows, torch.Size((8, *windows.shape[1:]))) is None


def attention_of_tokens(temperature: float) -> Operation:
    def compare(x: Tensor) -> Tensor:
        tokens = convolve(8, 8)(x).flatten(2).mT
        return (tokens @ tokens.mT / temperature).softmax(-1)

    return compare


@pytest.mark.parametrize("temperature", [100, 1000])
def test_tokens_compared_with_tokens_are_no_units(temperature: float) -> None:
    measurement = measurement_of(attention_of_tokens(temperature))
    assert measured_layout(measurement.response, SIZE) is None
    shape = torch.Size((2, 192, 192))
    # of a matrix product, the positions of the left operand are derived
    tokens = Positions.of_map(
        Geometry(Axis(8, 8, 3.5), Axis(8, 8, 3.5)),
        torch.arange(2.0),
        torch.Size((2, 1, 12, 16)),
    ).moved(lambda x: x.flatten(2).mT, torch.Size((2, 192, 1)))
    with pytest.raises(UnitsNotFound, match="units would be places"):
        place(shape, tokens.spread(shape), "layer", SIZE, measurement)


def test_rows_and_columns_are_no_features() -> None:
    images = torch.arange(2.0)
    geometry = Geometry(Axis(8, 8, 3.5), Axis(8, 8, 3.5))
    maps = Positions.of_map(geometry, images, torch.Size((2, 96, 12, 16)))
    columns = maps.mixed([1], keep=False)
    assert columns is not None
    columns = columns.mixed([1], keep=False)
    assert columns is not None
    with pytest.raises(UnitsNotFound, match="units would be places"):
        place(columns.shape, columns, "layer", SIZE, None)


def test_flattened_maps_are_features() -> None:
    images = torch.arange(2.0)
    geometry = Geometry(Axis(8, 8, 3.5), Axis(8, 8, 3.5))
    maps = Positions.of_map(geometry, images, torch.Size((2, 96, 12, 16)))
    shape = torch.Size((2, 96 * 12 * 16))
    features = maps.moved(lambda x: x.flatten(1), shape)
    assert place(shape, features, "layer", SIZE, None).layout == FeatureLayout()
