"""Follows positions through a forward pass, operation by operation, whatever the control flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from nd_plugin import Positions
from nd_torch.rules import MOVES, RULES, Arguments, elementwise, keeps_places, moved


class Tracking(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, knows the positions of every tensor that derives from ``images``."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known: Any = WeakTensorKeyDictionary()
        self._known[images] = Positions.of_input(images.shape)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing compiled runs under it; torch's own way of saying so loads the compiler, which takes seconds."""
        return False

    def positions(self, tensor: Tensor) -> Positions | None:
        """Of a tensor; None where they are not known."""
        found: Positions | None = self._known.get(tensor)
        return found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operation, and carry the positions over."""
        result = func(*args, **(kwargs or {}))
        tracked = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor) and leaf in self._known]
        if tracked:
            outputs = [out for out in tree_flatten(result)[0] if isinstance(out, Tensor)]
            try:
                carried = self._carried(func, args, kwargs or {}, outputs)
            except Exception:  # an operation of a form that the rules do not foresee: its result has no positions,
                carried = [None] * len(outputs)  # and a layer behind it is said to have no geometry
            for output, positions in zip(outputs, carried, strict=True):
                self._note(output, positions)
        return result

    def _note(self, output: Tensor, positions: Positions | None) -> None:
        if positions is not None and output.is_floating_point():
            self._known[output] = positions
        elif output in self._known:
            del self._known[output]

    def _carried(
        self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], outputs: Sequence[Tensor]
    ) -> list[Positions | None]:
        name = func.overloadpacket.__name__
        arguments = tree_map(self._standing_in, _by_name(func, args, kwargs))
        if name in MOVES and any(isinstance(value, Positions) for value in arguments.values()):
            return moved(func, name, arguments, outputs)
        rule = RULES.get(name) or (elementwise if keeps_places(func, name) else None)
        return [rule(arguments, output) if rule else None for output in outputs]

    def _standing_in(self, leaf: Any) -> Any:
        return self._known.get(leaf, leaf) if isinstance(leaf, Tensor) else leaf


def _by_name(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
    names = [argument.name for argument in func._schema.arguments]
    return {**dict(zip(names, args, strict=False)), **kwargs}


def probe_input(size: tuple[int, int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Two images of noise, so that the image axis can be told from the others."""
    noise = torch.Generator("cpu").manual_seed(0)
    with torch.inference_mode(False):
        return torch.rand(2, 3, *size, generator=noise, device="cpu").to(device, dtype)
