"""Tracking of positions through a forward pass, one ATen operation at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from nd_plugin import Positions
from nd_torch.dispatch_mode import ObservingMode
from nd_torch.operations import takes_values
from nd_torch.rules import Arguments, infer_positions


class Tracking(ObservingMode):  # type: ignore[no-untyped-call]
    """Dispatch mode that knows the positions of every tensor computed from ``images``.

    Control flow does not matter, since the operations are observed as they run.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self._positions: Any = WeakTensorKeyDictionary()
        self._positions[images] = Positions.of_input(images.shape)
        # memory of values computed from the images; views share it
        self._dependent_memory = {_memory_of(images)}

    def positions(self, tensor: Tensor) -> Positions | None:
        """Return the positions of a tensor's elements; None where they are unknown."""
        positions: Positions | None = self._positions.get(tensor)
        return positions

    def depends_on_images(self, tensor: Tensor) -> bool:
        """Return whether a tensor was computed from the images, in any way that torch has seen."""
        memory = _memory_of(tensor)
        return memory is None or memory in self._dependent_memory

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
        inputs = _tensors_in((args, kwargs))
        outputs = _tensors_in(result)
        if takes_values(func) and any(map(self.depends_on_images, inputs)):
            self._dependent_memory.update(map(_memory_of, outputs))
        if any(tensor in self._positions for tensor in inputs):
            output_positions = self._infer(func, args, kwargs, outputs)
            for output, positions in zip(outputs, output_positions, strict=True):
                self._record(output, positions)
        return result

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


def _tensors_in(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def _memory_of(tensor: Tensor) -> StorageWeakRef | None:
    """Return a key of the memory that holds a tensor's values; None where it has no such.

    The reference is weak: the memory is freed as always, and the key is not used again.
    """
    try:
        return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
    except (NotImplementedError, RuntimeError):  # sparse tensors, for one
        return None


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
    *,
    image_count: int = 2,
    channels: int = 3,
) -> Tensor:
    """Return random images (image, channel, row, column), two so that the image axis shows."""
    generator = torch.Generator("cpu").manual_seed(0)
    shape = (image_count, channels, *size)
    with torch.inference_mode(False):
        noise = torch.rand(shape, generator=generator, device="cpu")
        return noise.to(device, dtype)
