"""How operations carry positions from their operands to their result: what the rules of all backends share.

The backends say which operation is which, and with what arguments; what then happens to receptive fields stands here
and in `geometry` (DESIGN section 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from nd_plugin.receptive_fields.geometry import Axis, Geometry
from nd_plugin.receptive_fields.positions import Positions, merged

Change = Callable[
    [Axis, int, int, int], Axis
]  # axis, cells before, cells after, 0 for rows and 1 for columns


def on_map(
    source: Positions, change: Callable[[Geometry], Geometry | None], shape: torch.Size
) -> Positions | None:
    """An operation on a map (image, unit, row, column): convolution, pooling, resizing."""
    found = source.map() if len(shape) == 4 else None
    return source.through(change(found), shape) if found else None


def per_axis(source: Positions, change: Change, shape: torch.Size) -> Positions | None:
    """An operation on a map that treats rows and columns apart."""

    def both(at: Geometry) -> Geometry:
        rows, columns = (
            change(axis, source.shape[2 + place], shape[2 + place], place)
            for place, axis in enumerate((at.rows, at.columns))
        )
        return Geometry(rows, columns)

    return on_map(source, both, shape)


def elementwise(parts: Sequence[Positions], shape: torch.Size) -> Positions | None:
    """An element-wise operation, whose result has the (broadcast) shape of its operands."""
    fitting = [part for part in parts if fits(part.shape, shape)]
    return merged(fitting, shape) if fitting else None


def fits(shape: torch.Size, target: torch.Size) -> bool:
    """Whether a shape can be broadcast to another."""
    pairs = zip(reversed(shape), reversed(target), strict=False)
    return len(shape) <= len(target) and all(a in (1, b) for a, b in pairs)


def padded(
    source: Positions, amounts: Mapping[int, tuple[int, int]], shape: torch.Size
) -> Positions:
    """Padding, by ``amounts`` before and after along dimensions: the first two cells set the pace."""
    steps = dict(zip((2, 3), source.stride, strict=True)) if len(source.shape) == 4 else {}

    def extended(coordinate: torch.Tensor, own: int | None) -> torch.Tensor:
        for dim, (before, after) in amounts.items():
            n = coordinate.shape[dim]
            if n == 1 < source.shape[dim]:
                continue  # the same all along: broadcast, before and after
            cells = torch.arange(-before, n + after, device="cpu")
            inside = cells.clamp(0, n - 1)
            pace = coordinate.narrow(dim, 1, 1) - coordinate.narrow(dim, 0, 1) if n > 1 else None
            alone = steps.get(dim, 0.0) if dim == own else 0.0
            over = (cells - inside).double().view(-1, *[1] * (coordinate.dim() - 1 - dim))
            coordinate = coordinate.index_select(dim, inside) + over * (
                alone if pace is None else pace
            )
        return coordinate

    images, rows, columns = (
        extended(c, own) for c, own in zip(source.coordinates, (None, 2, 3), strict=True)
    )
    return Positions(shape, images, rows, columns, source.size, source.stride)


def reduction(source: Positions, dims: Sequence[int], shape: torch.Size) -> Positions | None:
    """A sum, mean, maximum over ``dims``."""
    return source.mixed(dims, keep=len(shape) == len(source.shape)) if len(shape) else None


def product(left: Positions | None, right: Positions | None, shape: torch.Size) -> Positions | None:
    """A matrix product keeps the rows of its left operand (queries, tokens), else the columns of its right one."""
    if left is not None:
        found = left.mixed([-1])
    elif right is not None and len(right.shape) >= 2:
        found = right.mixed([-2])
    else:
        return None
    return found.spread(shape) if found and fits(found.shape, shape) else None


def concatenation(
    parts: Sequence[tuple[torch.Size, Positions | None]], dim: int, shape: torch.Size
) -> Positions | None:
    """Channels side by side meet as branches do; tokens or cells side by side keep their own positions.

    ``parts`` are the operands' shapes, with the positions of those that have any.
    """
    dim %= len(shape)
    known = [part for _, part in parts if part is not None]
    if not known:
        return None
    if not any(part.varies_along(dim) or part.images.shape[dim] > 1 for part in known):
        level = [
            part.moved(lambda c: c.narrow(dim, 0, 1), _with(part.shape, dim, 1)) for part in known
        ]
        found = merged(level, _with(shape, dim, 1))
        return found.spread(shape) if found else None
    nowhere = torch.full((), float("nan"), dtype=torch.float64, device="cpu")
    images, rows, columns = (
        torch.cat([nowhere.expand(own) if p is None else p.coordinates[i].expand(own)
                   for own, p in parts if own.numel()], dim)
        for i in range(3)
    )  # fmt: skip
    return Positions(shape, images, rows, columns, known[0].size, known[0].stride)


def _with(shape: torch.Size, dim: int, n: int) -> torch.Size:
    return torch.Size([*shape[:dim], n, *shape[dim + 1 :]])
