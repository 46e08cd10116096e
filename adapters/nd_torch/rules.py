"""How each kind of ATen operation carries positions from its operands to its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from nd_plugin import Axis, Geometry, Positions, composition, geometry

Arguments = dict[str, Any]  # by the names of the operation's schema; positions stand in for tracked tensors
Rule = Callable[[Arguments, Tensor], Positions | None]

MOVES = frozenset(
    ("_unsafe_view", "diagonal", "expand", "flip", "gather", "im2col", "index", "index_select", "movedim", "narrow")
    + ("permute", "repeat", "reshape", "roll", "select", "slice", "split", "split_with_sizes", "squeeze", "t")
    + ("transpose", "unbind", "unfold", "unsqueeze", "view")
)
REDUCTIONS = ("mean", "sum", "amax", "amin", "max", "min", "var", "std", "prod", "logsumexp", "linalg_vector_norm")
IN_PLACE = frozenset(  # beside what ATen itself calls pointwise: normalisations, copies, attention
    ("native_layer_norm", "native_group_norm", "native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm")
    + ("_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "_batch_norm_with_update")
    + ("batch_norm_with_update", "_fused_rms_norm", "rms_norm", "_softmax", "_log_softmax", "_safe_softmax", "glu")
    + ("_weight_norm_interface", "native_dropout", "dropout", "alpha_dropout", "feature_dropout", "bernoulli")
    + ("clone", "contiguous", "detach", "alias", "_to_copy", "lift", "lift_fresh", "copy", "_conj", "fill")
    + ("masked_fill", "where", "hardtanh", "hardswish", "relu6", "rrelu", "rrelu_with_noise", "_prelu_kernel", "celu")
    + ("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention")
    + ("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention")
    + ("_scaled_dot_product_fused_attention_overrideable", "_scaled_dot_product_attention_math")
    + ("_native_multi_head_attention", "_transformer_encoder_layer_fwd")
)
RESHAPES = frozenset(("view", "_unsafe_view", "reshape"))


def moved(operation: Any, name: str, arguments: Arguments, outputs: Sequence[Tensor]) -> list[Positions | None]:
    """An operation that only moves values: the same one, on the coordinates."""
    source = next(value for value in arguments.values() if isinstance(value, Positions))
    if name in RESHAPES:
        return [source.moved(lambda c: c.reshape(outputs[0].shape), outputs[0].shape)]

    def apply(place: int) -> Callable[[Tensor], Tensor]:
        def move(coordinate: Tensor) -> Tensor:
            given = {key: coordinate if value is source else _indices(value) for key, value in arguments.items()}
            result = operation(**given)
            return result if isinstance(result, Tensor) else result[place]

        return move

    return [source.moved(apply(place), output.shape) for place, output in enumerate(outputs)]


def _indices(value: Any) -> Any:
    """Index tensors, wherever they are, on the coordinates' device."""
    return tree_map(lambda leaf: leaf.cpu() if isinstance(leaf, Tensor) else leaf, value)


def keeps_places(operation: Any, name: str) -> bool:
    """Whether each element of the result comes from the elements at its own place (and from attention)."""
    bare = name.rstrip("_")
    packet = getattr(torch.ops.aten, bare, None)
    overloads = [operation] + ([getattr(packet, each) for each in packet.overloads()] if packet else [])
    return bare in IN_PLACE or any(torch.Tag.pointwise in overload.tags for overload in overloads)


def elementwise(arguments: Arguments, output: Tensor) -> Positions | None:
    """An element-wise operation, whose result has the (broadcast) shape of its operands."""
    return composition.elementwise([part for value in arguments.values() for part in _tracked(value)], output.shape)


def _tracked(value: Any) -> list[Positions]:
    values = value if isinstance(value, list | tuple) else [value]
    return [part for part in values if isinstance(part, Positions)]


def _on_map(change: Callable[[Arguments, Geometry], Geometry]) -> Rule:
    def rule(given: Arguments, output: Tensor) -> Positions | None:
        source = given.get("input", given.get("self"))
        if not isinstance(source, Positions):
            return None
        return composition.on_map(source, lambda at: change(given, at), output.shape)

    return rule


def _per_axis(change: Callable[[Arguments], composition.Change]) -> Rule:
    def rule(given: Arguments, output: Tensor) -> Positions | None:
        source = given.get("self")
        return composition.per_axis(source, change(given), output.shape) if isinstance(source, Positions) else None

    return rule


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[-1])) if isinstance(value, Sequence) else (int(value), int(value))


def _convolution(given: Arguments, at: Geometry) -> Geometry:
    compose = geometry.transpose_convolve if given["transposed"] else geometry.convolve
    kernel, stride, padding, dilation = (
        _pair(value) for value in (given["weight"].shape[2:], given["stride"], given["padding"], given["dilation"])
    )
    rows, columns = (
        compose(axis, kernel[i], stride[i], padding[i], dilation[i]) for i, axis in enumerate((at.rows, at.columns))
    )
    return Geometry(rows, columns)


def _pool(given: Arguments, at: Geometry) -> Geometry:
    kernel = _pair(given["kernel_size"])
    stride = _pair(given["stride"]) if given.get("stride") else kernel
    padding, dilation = _pair(given.get("padding", 0)), _pair(given.get("dilation", 1))
    rows, columns = (
        geometry.convolve(axis, kernel[i], stride[i], padding[i], dilation[i])
        for i, axis in enumerate((at.rows, at.columns))
    )
    return Geometry(rows, columns)


def _adaptive_pool(given: Arguments, output: Tensor) -> Positions | None:
    source = given["self"]
    if not isinstance(source, Positions) or output.shape[2:].numel() == 1 < source.shape[2:].numel():
        return None
    return composition.per_axis(source, lambda axis, n, m, _: geometry.adaptive_pool(axis, n, m), output.shape)


def _resize(taps: int) -> Rule:
    def change(given: Arguments) -> composition.Change:
        corners = bool(given.get("align_corners", False))
        factors = given.get("scale_factors") or (given.get("scales_h"), given.get("scales_w"))

        def axis(before: Axis, cells: int, target: int, place: int) -> Axis:
            return geometry.resize(before, cells, target, align_corners=corners, scale=factors[place], taps=taps)

        return axis

    return _per_axis(change)


def _pixel_shuffle(given: Arguments) -> composition.Change:
    return lambda axis, n, m, _: geometry.resize(axis, n, m, taps=1)


def _pixel_unshuffle(given: Arguments) -> composition.Change:
    factor = int(given["downscale_factor"])
    return lambda axis, *_: geometry.convolve(axis, factor, factor)


def _pad(given: Arguments, output: Tensor) -> Positions | None:
    amounts: Sequence[int] = given["pad"] if "pad" in given else given["padding"]
    last = output.dim() - 1
    by_dim = {last - place: (amounts[2 * place], amounts[2 * place + 1]) for place in range(len(amounts) // 2)}
    return composition.padded(given["self"], by_dim, output.shape)


def _reduction(given: Arguments, output: Tensor) -> Positions | None:
    source = given.get("self")
    if not isinstance(source, Positions):
        return None
    dims = given.get("dim")
    dims = range(len(source.shape)) if dims in (None, [], ()) else [dims] if isinstance(dims, int) else dims
    return composition.reduction(source, dims, output.shape)


def _product(given: Arguments, output: Tensor) -> Positions | None:
    left = given.get("mat1", given.get("batch1", given.get("input", given.get("self"))))
    right = given.get("mat2", given.get("batch2", given.get("other")))
    known = [part if isinstance(part, Positions) else None for part in (left, right)]
    return composition.product(known[0], known[1], output.shape)


def _concatenation(given: Arguments, output: Tensor) -> Positions | None:
    parts = [(part.shape, part if isinstance(part, Positions) else None) for part in given["tensors"]]
    return composition.concatenation(parts, int(given.get("dim", 0)), output.shape)


RULES: dict[str, Rule] = {
    "convolution": _on_map(_convolution),
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d", "max_pool2d"), _on_map(_pool)),
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_max_pool2d"), _adaptive_pool),
    **dict.fromkeys(("upsample_nearest2d", "_upsample_nearest_exact2d"), _resize(1)),
    **dict.fromkeys(("upsample_bilinear2d", "_upsample_bilinear2d_aa"), _resize(2)),
    **dict.fromkeys(("upsample_bicubic2d", "_upsample_bicubic2d_aa"), _resize(4)),
    "pixel_shuffle": _per_axis(_pixel_shuffle),
    "pixel_unshuffle": _per_axis(_pixel_unshuffle),
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), _pad),
    **dict.fromkeys(REDUCTIONS, _reduction),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "matmul", "linear"), _product),
    "cat": _concatenation,
}
