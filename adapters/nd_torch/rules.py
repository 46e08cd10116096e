"""Rules by which ATen operations carry positions from their operands to their results.

A rule gets the operation's arguments by the names of its schema, with `Positions` in the place of
tracked tensors, and one output tensor; it returns the positions of this output, or None where they
are unknown. `nd_plugin.composition` and `nd_plugin.geometry` compute the receptive fields; a rule
reads an operation's arguments for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map

from nd_plugin import Axis, Geometry, Positions, composition, geometry
from nd_torch.operations import ATTENTION, MOVES, RESHAPES, is_elementwise

Arguments = dict[str, Any]
Rule = Callable[[Arguments, Tensor], Positions | None]


def infer_positions(
    operation: Any, arguments: Arguments, outputs: Sequence[Tensor]
) -> list[Positions | None]:
    """Return the positions of each output of an operation (an overload of ``torch.ops.aten``)."""
    name = operation.overloadpacket.__name__
    sources = [
        value for value in arguments.values() if isinstance(value, Positions)
    ]
    if name in MOVES and sources:
        return _move(operation, arguments, sources[0], outputs)
    rule = RULES.get(name)
    if rule is None and is_elementwise(operation, name):
        rule = _elementwise
    if rule is None:
        return [None] * len(outputs)
    return [rule(arguments, output) for output in outputs]


def _move(
    operation: Any,
    arguments: Arguments,
    source: Positions,
    outputs: Sequence[Tensor],
) -> list[Positions | None]:
    """Apply an operation that only moves values to the coordinates themselves."""
    if operation.overloadpacket.__name__ in RESHAPES:
        shape = outputs[0].shape
        return [source.moved(lambda coordinate: coordinate.reshape(shape), shape)]

    def move_to(output_index: int) -> Callable[[Tensor], Tensor]:
        def move(coordinate: Tensor) -> Tensor:
            operands = {
                key: coordinate if value is source else _on_cpu(value)
                for key, value in arguments.items()
            }
            result = operation(**operands)
            return result if isinstance(result, Tensor) else result[output_index]

        return move

    return [
        source.moved(move_to(index), output.shape)
        for index, output in enumerate(outputs)
    ]


def _on_cpu(value: Any) -> Any:
    """Copy index tensors to the coordinates' device, wherever they are in an argument."""
    return tree_map(
        lambda leaf: leaf.cpu() if isinstance(leaf, Tensor) else leaf, value
    )


def _elementwise(arguments: Arguments, output: Tensor) -> Positions | None:
    """Merge the positions of operands that are broadcast to the result's shape."""
    operands: list[Positions] = []
    for value in arguments.values():
        items = value if isinstance(value, list | tuple) else [value]
        operands += [item for item in items if isinstance(item, Positions)]
    return composition.elementwise(operands, output.shape)


def _on_map(compose: Callable[[Arguments, Geometry], Geometry]) -> Rule:
    """Make a rule of a function from the geometry of the operand, a map, to that of the result."""

    def rule(arguments: Arguments, output: Tensor) -> Positions | None:
        source = arguments.get("input", arguments.get("self"))
        if not isinstance(source, Positions):
            return None
        return composition.on_map(
            source, lambda field: compose(arguments, field), output.shape
        )

    return rule


def _per_axis(make_change: Callable[[Arguments], composition.Change]) -> Rule:
    """Make a rule of a function that returns, for arguments, the change of rows and columns."""

    def rule(arguments: Arguments, output: Tensor) -> Positions | None:
        source = arguments.get("self")
        if not isinstance(source, Positions):
            return None
        return composition.per_axis(source, make_change(arguments), output.shape)

    return rule


def _pair(value: Any) -> tuple[int, int]:
    """Return a value for rows and one for columns, of one value or a sequence of one or two."""
    if isinstance(value, Sequence):
        return int(value[0]), int(value[-1])
    return int(value), int(value)


@_on_map
def _convolution(arguments: Arguments, field: Geometry) -> Geometry:
    compose = (
        geometry.transpose_convolve
        if arguments["transposed"]
        else geometry.convolve
    )
    kernel = _pair(arguments["weight"].shape[2:])
    stride = _pair(arguments["stride"])
    padding = _pair(arguments["padding"])
    dilation = _pair(arguments["dilation"])
    rows = compose(field.rows, kernel[0], stride[0], padding[0], dilation[0])
    columns = compose(field.columns, kernel[1], stride[1], padding[1], dilation[1])
    return Geometry(rows, columns)


@_on_map
def _pool(arguments: Arguments, field: Geometry) -> Geometry:
    kernel = _pair(arguments["kernel_size"])
    stride = _pair(arguments["stride"]) if arguments.get("stride") else kernel
    padding = _pair(arguments.get("padding", 0))
    dilation = _pair(arguments.get("dilation", 1))
    rows = geometry.convolve(
        field.rows, kernel[0], stride[0], padding[0], dilation[0]
    )
    columns = geometry.convolve(
        field.columns, kernel[1], stride[1], padding[1], dilation[1]
    )
    return Geometry(rows, columns)


def _adaptive_pool(arguments: Arguments, output: Tensor) -> Positions | None:
    source = arguments["self"]
    if not isinstance(source, Positions):
        return None
    is_global = output.shape[2:].numel() == 1 < source.shape[2:].numel()
    if is_global:  # a single cell that sees everything has no geometry
        return None

    def pool(axis: Axis, cells: int, target: int, _: int) -> Axis:
        return geometry.adaptive_pool(axis, cells, target)

    return composition.per_axis(source, pool, output.shape)


def _resize(taps: int) -> Rule:
    """Make the rule of a resizing that mixes ``taps`` source cells along an axis."""

    def make_change(arguments: Arguments) -> composition.Change:
        align_corners = bool(arguments.get("align_corners", False))
        scales = (arguments.get("scales_h"), arguments.get("scales_w"))
        scales = arguments.get("scale_factors") or scales

        def resize(axis: Axis, cells: int, target: int, axis_index: int) -> Axis:
            return geometry.resize(
                axis,
                cells,
                target,
                align_corners=align_corners,
                scale=scales[axis_index],
                taps=taps,
            )

        return resize

    return _per_axis(make_change)


@_per_axis
def _pixel_shuffle(arguments: Arguments) -> composition.Change:
    def spread(axis: Axis, cells: int, target: int, _: int) -> Axis:
        return geometry.resize(axis, cells, target, taps=1)

    return spread


@_per_axis
def _pixel_unshuffle(arguments: Arguments) -> composition.Change:
    factor = int(arguments["downscale_factor"])

    def gather(axis: Axis, *_: int) -> Axis:
        return geometry.convolve(axis, factor, factor)

    return gather


def _pad(arguments: Arguments, output: Tensor) -> Positions | None:
    """Pad dimensions from the last on, by pairs of amounts (before, after)."""
    amounts: Sequence[int] = (
        arguments["pad"] if "pad" in arguments else arguments["padding"]
    )
    last_dim = output.dim() - 1
    amounts_by_dim = {
        last_dim - index: (amounts[2 * index], amounts[2 * index + 1])
        for index in range(len(amounts) // 2)
    }
    return composition.padded(arguments["self"], amounts_by_dim, output.shape)


def _reduction(arguments: Arguments, output: Tensor) -> Positions | None:
    source = arguments.get("self")
    if not isinstance(source, Positions):
        return None
    dims = arguments.get("dim")
    if isinstance(dims, int):
        dims = [dims]
    elif dims in (None, [], ()):
        dims = range(len(source.shape))
    return composition.reduction(source, dims, output.shape)


def _product(arguments: Arguments, output: Tensor) -> Positions | None:
    """Multiply matrices; their names differ between mm, addmm, bmm, baddbmm, matmul and linear."""
    left = _first_of(arguments, "mat1", "batch1", "input", "self")
    right = _first_of(arguments, "mat2", "batch2", "other")
    return composition.product(_tracked(left), _tracked(right), output.shape)


def _attention(arguments: Arguments, output: Tensor) -> Positions | None:
    """Attend: a token keeps the position of its query; learned queries have none."""
    query = _tracked(_first_of(arguments, "query", "src"))
    return composition.elementwise([query] if query else [], output.shape)


def _first_of(arguments: Arguments, *names: str) -> Any:
    for name in names:
        if name in arguments:
            return arguments[name]
    return None


def _tracked(value: Any) -> Positions | None:
    return value if isinstance(value, Positions) else None


def _concatenation(arguments: Arguments, output: Tensor) -> Positions | None:
    operands = [
        (operand.shape, _tracked(operand)) for operand in arguments["tensors"]
    ]
    return composition.concatenation(
        operands, int(arguments.get("dim", 0)), output.shape
    )


def _stack(arguments: Arguments, output: Tensor) -> Positions | None:
    operands = [
        (operand.shape, _tracked(operand)) for operand in arguments["tensors"]
    ]
    return composition.stack(operands, int(arguments.get("dim", 0)), output.shape)


RULES: dict[str, Rule] = {
    **dict.fromkeys(("convolution", "_convolution"), _convolution),
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d", "max_pool2d"), _pool),
    **dict.fromkeys(
        ("_adaptive_avg_pool2d", "adaptive_max_pool2d"), _adaptive_pool
    ),
    **dict.fromkeys(
        ("upsample_nearest2d", "_upsample_nearest_exact2d"), _resize(taps=1)
    ),
    **dict.fromkeys(
        ("upsample_bilinear2d", "_upsample_bilinear2d_aa"), _resize(taps=2)
    ),
    **dict.fromkeys(
        ("upsample_bicubic2d", "_upsample_bicubic2d_aa"), _resize(taps=4)
    ),
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    **dict.fromkeys(
        ("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), _pad
    ),
    **dict.fromkeys(
        ("mean", "sum", "amax", "amin", "max", "min", "var", "std"), _reduction
    ),
    **dict.fromkeys(("prod", "logsumexp", "linalg_vector_norm"), _reduction),
    **dict.fromkeys(
        ("mm", "addmm", "bmm", "baddbmm", "matmul", "linear"), _product
    ),
    "cat": _concatenation,
    "stack": _stack,
    **dict.fromkeys(ATTENTION, _attention),
}
