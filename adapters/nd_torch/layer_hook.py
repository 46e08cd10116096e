"""Forward hook that reads a layer's tensors, or replaces them, at one run of its module."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from nd_plugin import BadInput, check_run
from nd_torch.forward import attach_hook, attach_pre_hook
from nd_torch.naming import Target, keyed_items, select_tensor

Tensors = tuple[Tensor, ...]
Swap = Callable[[Tensors], Tensors]


class LayerHook:
    """Hook that passes a layer's tensors to ``swap``, and its results on to the model.

    Under DataParallel copies of the module run on several devices, in threads; runs are counted
    by device.
    """

    def __init__(
        self, target: Target, swap: Swap, *, at_input: bool = False
    ) -> None:
        self.target = target
        self.swap = swap
        self.at_input = at_input
        self.returns_several = (
            False  # whether the layer's output is a tuple or list of several items
        )
        self._run_counts: Counter[torch.device] = Counter()
        self._lock = Lock()

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Put the hook on the layer's module; remove it on leaving."""
        module = self.target.module

        def before_module(_: nn.Module, inputs: Any) -> Any:
            return self._swapped(inputs)

        def after_module(_: nn.Module, __: Any, output: Any) -> Any:
            return self._swapped(output)

        if self.at_input:
            handle = attach_pre_hook(module, before_module)
        else:
            handle = attach_hook(module, after_module)
        try:
            yield
        finally:
            handle.remove()

    def check_run_count(self) -> None:
        """Check after a pass that the layer ran as its name says. Raises as `Target` does."""
        count = max(self._run_counts.values(), default=0)
        check_run(self.target.module_name, self.target.run, count)

    def _swapped(self, value: Any) -> Any:
        """Return a module's input or output with the layer's tensors replaced; None: unchanged."""
        tensors, self.returns_several = find_tensors(value, self.target)
        device = tensors[0].device
        with self._lock:
            run_number = self._run_counts[device]
            self._run_counts[device] += 1
        if run_number != self.target.run_number:
            return None
        pairs = zip(tensors, self.swap(tensors), strict=True)
        return replace_tensors(
            value, {id(tensor): new_tensor for tensor, new_tensor in pairs}
        )


def find_tensors(value: Any, target: Target) -> tuple[Tensors, bool]:
    """Return a target's tensors in its module's input or output, and if that has several items.

    All floating-point tensors of a tuple or list are meant, unless the target names an entry.
    Raises BadInput for quantised tensors, which can be neither replaced nor differentiated.
    """
    is_sequence = isinstance(value, tuple | list)
    if target.entry is not None or (keyed_items(value) and not is_sequence):
        return (_select_differentiable(value, target),), False
    items = value if is_sequence else (value,)
    tensors = tuple(item for item in items if _is_floating_point(item))
    if not tensors:
        return (_select_differentiable(value, target),), False
    return tensors, len(items) > 1


def _select_differentiable(value: Any, target: Target) -> Tensor:
    tensor = select_tensor(value, target)
    if tensor.is_quantized:
        raise BadInput(
            f"layer {target.name!r} returns quantised values ({tensor.dtype}), through which "
            "contributions cannot be computed; choose a floating-point layer, or the model from "
            "before its quantisation"
        )
    return tensor


def _is_floating_point(item: Any) -> bool:
    return isinstance(item, Tensor) and item.is_floating_point()


def replace_tensors(value: Any, replacements: Mapping[int, Tensor]) -> Any:
    """Return a nested value with some of its tensors replaced, by their ``id``."""
    if id(value) in replacements:
        return replacements[id(value)]
    if isinstance(value, Mapping):
        return _replace_values(value, replacements)
    if isinstance(value, tuple | list):
        items = [replace_tensors(item, replacements) for item in value]
        is_named_tuple = hasattr(value, "_fields")
        return type(value)(*items) if is_named_tuple else type(value)(items)
    if is_dataclass(value) and not isinstance(value, type):
        return _replace_fields(value, replacements)
    return value


def _replace_values(
    value: Mapping[Any, Any], replacements: Mapping[int, Tensor]
) -> Mapping[Any, Any]:
    """Return a copy of a mapping with tensors replaced, of an immutable one too."""
    values = {
        key: replace_tensors(item, replacements) for key, item in value.items()
    }
    if not isinstance(value, MutableMapping):
        return type(value)(values)  # type: ignore[call-arg]
    # other attributes than its items are copied, too
    replaced = copy.copy(value)
    for key, item in values.items():
        replaced[key] = item
    return replaced


def _replace_fields(value: Any, replacements: Mapping[int, Tensor]) -> Any:
    """Return a copy of a dataclass with tensors replaced, of a frozen one too.

    Fields are set without its constructor, which may take other arguments than the fields.
    """
    replaced = copy.copy(value)
    for field in fields(value):
        if hasattr(value, field.name):
            item = replace_tensors(getattr(value, field.name), replacements)
            object.__setattr__(replaced, field.name, item)
    return replaced
