"""Tracking of positions through a forward pass, one ATen operation at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from nd_plugin import Positions
from nd_torch.rules import Arguments, infer_positions


class Tracking(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Dispatch mode that knows the positions of every tensor computed from ``images``.

    Control flow does not matter, since the operations are observed as they run.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._positions: Any = WeakTensorKeyDictionary()
        self._positions[images] = Positions.of_input(images.shape)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: nothing compiled runs here, and torch's own method loads the compiler."""
        return False

    def positions(self, tensor: Tensor) -> Positions | None:
        """Return the positions of a tensor's elements; None where they are unknown."""
        positions: Positions | None = self._positions.get(tensor)
        return positions

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation and infer the positions of its results."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self._is_tracked(args) or self._is_tracked(kwargs):
            outputs = [
                leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)
            ]
            output_positions = self._infer(func, args, kwargs, outputs)
            for output, positions in zip(outputs, output_positions, strict=True):
                self._record(output, positions)
        return result

    def _is_tracked(self, arguments: Any) -> bool:
        leaves = tree_leaves(arguments)
        return any(
            isinstance(leaf, Tensor) and leaf in self._positions for leaf in leaves
        )

    def _infer(
        self,
        func: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        outputs: Sequence[Tensor],
    ) -> list[Positions | None]:
        try:
            arguments = tree_map(
                self._stand_in, _arguments_by_name(func, args, kwargs)
            )
            return infer_positions(func, arguments, outputs)
        except Exception:
            # a form of the operation that its rule does not foresee: the result
            # has no positions, and layers behind it no geometry
            return [None] * len(outputs)

    def _record(self, output: Tensor, positions: Positions | None) -> None:
        if positions is not None and output.is_floating_point():
            self._positions[output] = positions
        elif output in self._positions:
            # an in-place operation has made them invalid
            del self._positions[output]

    def _stand_in(self, leaf: Any) -> Any:
        """Replace a tracked tensor by its positions."""
        return self._positions.get(leaf, leaf) if isinstance(leaf, Tensor) else leaf


def _arguments_by_name(
    func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Arguments:
    names = [argument.name for argument in func._schema.arguments]
    # trailing arguments with defaults are absent
    positional = zip(names, args, strict=False)
    return {**dict(positional), **kwargs}


def probe_input(
    size: tuple[int, int],
    device: torch.device,
    dtype: torch.dtype,
    channels: int = 3,
) -> Tensor:
    """Return two random images (image, channel, row, column), two so that the image axis shows."""
    generator = torch.Generator("cpu").manual_seed(0)
    with torch.inference_mode(False):
        noise = torch.rand(2, channels, *size, generator=generator, device="cpu")
        return noise.to(device, dtype)
