"""A model cut at a layer, by a forward hook that takes the layer's output or puts another in its place."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from nd_plugin import (
    Geometry,
    LayerAmbiguous,
    LayerNotFound,
    Layout,
    LinearHead,
    ModelFailed,
    Trace,
    axes_of,
    find_layout,
    geometry_of,
)
from nd_torch.forward import at_rest
from nd_torch.head import find_head
from nd_torch.naming import Target, choose
from nd_torch.probe import survey

Swap = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]


@dataclass
class Watch:
    """The hook: at the run that is meant, gives the layer's tensors to ``swap`` and the model what comes back."""

    target: Target
    swap: Swap
    at_input: bool = False
    several: bool = False
    runs: Counter[torch.device] = field(default_factory=Counter)  # DataParallel runs a copy on each device
    _lock: Any = field(default_factory=Lock)

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """On the layer's module; removed on leaving."""
        module = self.target.module
        handle = (
            module.register_forward_pre_hook(lambda _, given: self(given))
            if self.at_input
            else module.register_forward_hook(lambda _, given, result: self(result))
        )
        try:
            yield
        finally:
            handle.remove()

    def __call__(self, result: Any) -> Any:
        """See one run of the module."""
        found, self.several = tensors_of(result, self.target)
        with self._lock:
            run = self.runs[found[0].device]
            self.runs[found[0].device] += 1
        if run != (self.target.run or 0):
            return None
        return replaced(result, dict(zip(map(id, found), self.swap(found), strict=True)))

    def check(self) -> None:
        """After the pass: that the layer ran, and as often as its name says."""
        name, count = self.target.name, max(self.runs.values(), default=0)
        if count == 0:
            raise LayerNotFound(f"layer {name!r} does not run in the model's forward pass")
        if self.target.run is None and count > 1:
            choices = ", ".join(f"{name}#{run}" for run in range(count))
            raise LayerAmbiguous(f"layer {name!r} runs {count} times in one forward pass; choose one: {choices}")
        if (self.target.run or 0) >= count:
            raise LayerNotFound(f"layer {name!r}: it runs {count} times, the last being #{count - 1}")


def tensors_of(result: Any, target: Target) -> tuple[tuple[Tensor, ...], bool]:
    """The tensors that a target means in what its module gave, and whether they came as a tuple or list."""
    if target.entry is not None or isinstance(result, dict):
        return (choose(result, target),), False
    several = isinstance(result, tuple | list) and len(result) > 1
    given = result if isinstance(result, tuple | list) else (result,)
    found = tuple(item for item in given if isinstance(item, Tensor) and item.is_floating_point())
    return (found, several) if found else ((choose(result, target),), False)


def replaced(result: Any, by: dict[int, Tensor]) -> Any:
    """What a module gave, with some of its tensors (by their id) replaced."""
    if id(result) in by:
        return by[id(result)]
    if isinstance(result, dict):
        changed = copy.copy(result)
        for key, value in result.items():
            changed[key] = replaced(value, by)
        return changed
    if isinstance(result, tuple | list):
        items = [replaced(item, by) for item in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    return result


class Splittable:
    """What `SplitModel` and `TracedModel` ask for, of a TorchModel."""

    call: Callable[..., Any]
    root: nn.Module | None
    dtype: torch.dtype
    _target: Callable[[Any, int], Target]

    def outputs(self, *inputs: Any) -> Any:
        """What the model gives, at rest; differentiable where gradients are enabled."""
        with at_rest(self.root):
            return self._called(inputs)

    def trace(
        self,
        layer: Any,
        inputs: Sequence[Any],
        *,
        at_input: bool = False,
        gradients: bool = False,
        device_ids: Sequence[int] | None = None,
    ) -> Trace:
        """One forward pass, seen at a layer."""
        target, taken = self._target(layer, 0), dict[torch.device, tuple[Tensor, ...]]()

        def take(found: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            if not gradients:
                taken[found[0].device] = tuple(tensor.clone() for tensor in found)  # before it is changed in place
                return found
            kept = tuple((tensor if at_input else tensor.detach()).requires_grad_() for tensor in found)
            taken[found[0].device] = kept
            return tuple(tensor.clone() for tensor in kept)

        watch = Watch(target, take, at_input)
        with torch.inference_mode(False), torch.set_grad_enabled(gradients):
            output = self._watched(watch, [_own(item) for item in inputs])
        return Trace(target.name, output, tuple(taken[key] for key in _order(taken, device_ids)), watch.several)

    def _watched(self, watch: Watch, inputs: Sequence[Any]) -> Any:
        with at_rest(self.root), watch.hooked():
            output = self._called(inputs)
        watch.check()
        return output

    def _called(self, inputs: Sequence[Any]) -> Any:
        """As the user calls it: an exception of the model's is the user's own, and stays what it is."""
        device = None if self.root is None else _device_of(self.root)
        return self.call(*(item.to(device) if device and isinstance(item, Tensor) else item for item in inputs))

    @contextmanager
    def rest(self, layer: Any, inputs: Sequence[Any]) -> Iterator[TorchRest]:
        """Cut the model at a layer."""
        target = self._target(layer, 0)
        layout, geometry = self._laid_out(layer, target, inputs)
        yield TorchRest(target.name, layout, geometry, self, layer, target)

    def _laid_out(self, layer: Any, target: Target, inputs: Sequence[Any]) -> tuple[Layout, Geometry]:
        """By positions followed through a pass on noise where the input is a batch of images, else by shape alone."""
        if not are_images(inputs):
            shape = self.trace(layer, inputs).values[0][0].shape
            layout = find_layout(shape, None, target.name)
            return layout, geometry_of(layout, shape, (1, 1))
        noise = noise_like(inputs[0])
        with at_rest(self.root):
            return survey(lambda images: self._called([images]), noise, [target.module], self.root).layout(target)

    def linear_head(self, layer: Any, inputs: Sequence[Any]) -> LinearHead | None:
        """The linear head behind a layer, verified on noise."""
        if not are_images(inputs):
            return None
        with self.rest(layer, inputs) as rest, torch.inference_mode(False):
            try:
                return find_head(rest, noise_like(inputs[0]), self.outputs)
            except Exception as error:  # whatever a model raises on noise
                raise ModelFailed(f"the model failed on noise: {type(error).__name__}: {error}") from error


def are_images(inputs: Sequence[Any]) -> bool:
    """Whether the model's inputs are one batch of images (image, channel, row, column)."""
    return len(inputs) == 1 and isinstance(inputs[0], Tensor) and inputs[0].dim() == 4 and inputs[0].is_floating_point()


def _own(item: Any) -> Any:
    """An input whose requires_grad may be set without the user's own being touched."""
    if not isinstance(item, Tensor):
        return item
    return item.clone() if item.is_inference() else item.detach()


def noise_like(images: Tensor) -> Tensor:
    """Two images of noise."""
    generator = torch.Generator("cpu").manual_seed(0)
    with torch.inference_mode(False):
        return torch.rand(2, *images.shape[1:], generator=generator, device="cpu").to(images.device, images.dtype)


def _device_of(module: nn.Module) -> torch.device | None:
    return next((tensor.device for tensor in chain(module.parameters(), module.buffers())), None)


def _order(found: dict[torch.device, Any], device_ids: Sequence[int] | None) -> list[torch.device]:
    """The devices in the order in which they got their parts of the batch."""
    order = {device: place for place, device in enumerate(device_ids or ())}
    return sorted(found, key=lambda key: (order.get(key.index or 0, len(order)), key.index or 0))


@dataclass
class TorchRest:
    """A model cut at a layer."""

    name: str
    layout: Layout
    geometry: Geometry
    _model: Splittable
    _layer: Any
    _target: Target
    _one_for_all: bool | None = None  # whether the rest takes many rows where the model got one image

    def layer(self, *inputs: Any) -> Tensor:
        """The layer's output, in its own shape."""
        values = self._model.trace(self._layer, inputs).values
        return torch.cat([part[0] for part in values], axes_of(self.layout)[0])

    def __call__(self, output: Tensor, *inputs: Any) -> Any:
        """The model's output when the layer's is replaced."""
        rows = output.shape[axes_of(self.layout)[0]]
        if rows == 1 or any(isinstance(item, Tensor) and item.dim() and len(item) == rows for item in inputs):
            return self._replaced(output, inputs)
        if self._one_for_all is None:
            self._one_for_all = self._agrees(output, inputs)
        return self._replaced(output, inputs if self._one_for_all else _repeated(inputs, rows))

    def _replaced(self, output: Tensor, inputs: Sequence[Any]) -> Any:
        return self._model._watched(Watch(self._target, lambda _: (output,)), inputs)

    def _agrees(self, output: Tensor, inputs: Sequence[Any]) -> bool:
        """Whether one image before the layer and many rows behind it give what as many images would."""
        two = output.narrow(axes_of(self.layout)[0], 0, 2)
        expected = self._replaced(two.clone(), _repeated(inputs, 2))
        try:
            found = self._replaced(two.clone(), inputs)
        except Exception:  # of whatever kind: the model has remembered a shape from before the layer
            return False
        return tree_map(_shape, found) == tree_map(_shape, expected) and all(
            torch.allclose(a, b, rtol=1e-4, atol=1e-5)
            for a, b in zip(tree_leaves(found), tree_leaves(expected), strict=True)
            if isinstance(a, Tensor)
        )


def _shape(leaf: Any) -> Any:
    return tuple(leaf.shape) if isinstance(leaf, Tensor) else leaf


def _repeated(inputs: Sequence[Any], rows: int) -> list[Any]:
    """A single image, and what goes with it, as often as there are rows."""
    one = [isinstance(item, Tensor) and item.dim() > 0 and len(item) == 1 for item in inputs]
    return [item.expand(rows, *item.shape[1:]) if alone else item for item, alone in zip(inputs, one, strict=True)]
