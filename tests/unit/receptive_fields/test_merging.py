"""Where branches meet: the most direct one says where cells look."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nd_plugin import Axis, Geometry, UnitsNotFound, open_model
from nd_plugin.receptive_fields.merging import merged
from nd_plugin.receptive_fields.positions import Positions

SHAPE = torch.Size((2, 1, 12, 12))
IMAGES = torch.arange(2, dtype=torch.float64)


def branch(axis: Axis, shape: torch.Size = SHAPE) -> Positions:
    return Positions.of_map(Geometry(axis, axis), IMAGES, shape)


def merged_rows(*branches: Positions) -> Axis:
    positions = merged(branches, SHAPE)
    assert positions is not None
    geometry = positions.map()
    assert geometry is not None
    return geometry.rows


def test_the_smallest_receptive_field_says_where_cells_look() -> None:
    narrow = branch(Axis(3, 4, 1.5))
    wide = branch(Axis(40, 4, 8.0))
    for branches in ((narrow, wide), (wide, narrow)):
        rows = merged_rows(*branches)
        assert (rows.stride, rows.offset) == (4, 1.5)


def test_the_size_is_that_of_the_union() -> None:
    narrow = branch(Axis(3, 4, 1.5))  # cell 0 sees 0 … 3
    wide = branch(Axis(40, 4, 8.0))  # cell 0 sees -12 … 28
    assert merged_rows(narrow, wide).size == 40
    moved = branch(Axis(4, 4, 21.5))  # cell 0 sees 19.5 … 23.5
    assert merged_rows(narrow, moved).size == 23.5


def test_equally_small_fields_give_their_centre() -> None:
    first = branch(Axis(3, 4, 1.0))
    second = branch(Axis(3, 4, 2.0))
    rows = merged_rows(first, second)
    assert rows == Axis(4, 4, 1.5)


def test_an_operand_without_a_regular_grid_has_no_say() -> None:
    regular = branch(Axis(99, 4, 1.5))
    irregular = branch(Axis(1, 4, 1.5))
    rows = irregular.rows.clone()
    rows[0, 0, 5] += 3
    irregular = Positions(
        SHAPE, irregular.images, rows, irregular.columns, (1, 1), (4, 4)
    )
    assert merged_rows(regular, irregular).stride == 4
    assert merged_rows(regular, irregular).offset == 1.5


class Block(nn.Module):
    """Residual block whose side branch goes down and up again, and hardly adds anything."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(4, 4, 3, 2, bias=False)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, x: Tensor) -> Tensor:
        side: Tensor = self.up(self.down(x))
        return x + 0.001 * nn.functional.interpolate(side, x.shape[2:])


@pytest.mark.parametrize("blocks", [1, 4])
def test_a_residual_stream_keeps_its_places(blocks: int) -> None:
    stream = [Block() for _ in range(blocks)]
    model = nn.Sequential(nn.Conv2d(3, 4, 4, 4), *stream).eval()
    with open_model(model).probe([str(blocks)], (96, 128)) as probe:
        geometry = probe.geometries[str(blocks)]
    assert (geometry.rows.stride, geometry.rows.offset) == (4, 1.5)
    assert geometry.rows.size > 4


def test_a_pyramid_looks_where_its_lateral_branch_does() -> None:
    class Pyramid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fine = nn.Conv2d(3, 4, 3, 2, 1)
            self.coarse = nn.Conv2d(4, 4, 3, 4)
            self.sum = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            fine = self.fine(x)
            top = nn.functional.interpolate(self.coarse(fine), fine.shape[2:])
            summed: Tensor = self.sum(fine + top)
            return summed

    with open_model(Pyramid().eval()).probe(["sum"], (64, 64)) as probe:
        geometry = probe.geometries["sum"]
    assert (geometry.rows.stride, geometry.rows.offset) == (2, 0)


class Side(nn.Module):
    """Layer computed from a grid of 8 x 8 cells of 4 pixels, with 64 units."""

    def __init__(self, function: Callable[[Side, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.grid = nn.Conv2d(3, 64, 4, 4)
        self.down = nn.Conv2d(64, 64, 3, 2, 1)
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
        queries = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
        self.queries = nn.Parameter(queries)
        self.layer = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.layer(self.function(self, self.grid(images)))
        return result


def stacked_branches(model: Side, x: Tensor) -> Tensor:
    top = nn.functional.interpolate(model.down(x), x.shape[2:], mode="bilinear")
    return torch.stack([x, top], 1).sum(1)


def mixed_rows(_: Side, x: Tensor) -> Tensor:
    weight = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    return weight @ x


def broadcast_rows(_: Side, x: Tensor) -> Tensor:
    return x.mean(2, keepdim=True).expand_as(x)


def attention_weights(model: Side, x: Tensor) -> Tensor:
    tokens = x.flatten(2).mT
    weights: Tensor = model.attention(tokens, tokens, tokens)[1]
    return weights


def learned_queries(model: Side, x: Tensor) -> Tensor:
    tokens = x.flatten(2).mT.reshape(-1, 64, 4, 16).transpose(1, 2)
    queries = model.queries.expand(len(x), -1, -1)
    queries = queries.reshape(-1, 64, 4, 16).transpose(1, 2)
    attended = nn.functional.scaled_dot_product_attention(queries, tokens, tokens)
    return attended.transpose(1, 2).flatten(2)


def test_branches_that_are_stacked_and_summed() -> None:
    torch.manual_seed(0)
    model = Side(stacked_branches).eval()
    with open_model(model).probe(["layer"], (32, 32)) as probe:
        geometry = probe.geometries["layer"]
    assert not geometry.measured
    assert (geometry.rows.stride, geometry.rows.offset) == (4, 1.5)


NO_CELLS = [mixed_rows, broadcast_rows, attention_weights, learned_queries]


@pytest.mark.parametrize("function", NO_CELLS)
def test_what_has_no_cells_of_its_own_is_neither_listed_nor_taken(
    function: Callable[[Side, Tensor], Tensor],
) -> None:
    torch.manual_seed(0)
    model = open_model(Side(function).eval())
    descriptions = {layer.name: layer for layer in model.layers((32, 32))}
    assert descriptions["layer"].shape is None
    with (
        pytest.raises(UnitsNotFound, match="layer 'layer' returns a tensor"),
        model.probe(["layer"], (32, 32)),
    ):
        pass
