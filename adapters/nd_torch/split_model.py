"""Models split at a layer: its values under autograd, and the model run from the layer on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nd_plugin import (
    Geometry,
    Layout,
    LinearHead,
    ModelFailed,
    NDError,
    Trace,
    axes_of,
    describe_error,
    is_failure,
    place,
)
from nd_torch.computing import Computing, widened
from nd_torch.devices import device_of
from nd_torch.exported import fixed_batch_size
from nd_torch.forward import at_rest
from nd_torch.head import find_head
from nd_torch.layer_hook import LayerHook, Tensors
from nd_torch.naming import Target, find_leaves
from nd_torch.rows import expand_rows, row_count
from nd_torch.survey import survey_and_place

# axes of layers whose inputs are no images, on which nothing can be derived
CONVENTIONAL_AXES = {4: "NCHW", 3: "NTC"}


class Splittable(Computing):
    """Methods by which `TorchModel` is a `SplitModel` and a `TracedModel`."""

    call: Callable[..., Any]
    root: nn.Module | None
    is_from_text: bool

    @abstractmethod
    def resolve_layer(self, layer: Any, number: int) -> Target:
        """Return the target of the requested layer ``number``. Raises BadInput, LayerNotFound."""

    def outputs(self, *inputs: Any) -> Any:
        """Return the model's outputs in evaluation mode, differentiable where gradients are on."""
        with at_rest(self.root):
            return self._call_model(inputs)

    def trace(
        self,
        layer: Any,
        inputs: Sequence[Any],
        *,
        at_input: bool = False,
        gradients: bool = False,
        device_ids: Sequence[int] | None = None,
    ) -> Trace:
        """Run one forward pass and return the values of a layer with the model's output."""
        target = self.resolve_layer(layer, 0)
        capture = Capture(gradients=gradients, at_input=at_input)
        hook = LayerHook(target, capture.take, at_input=at_input)
        with torch.inference_mode(False), torch.set_grad_enabled(gradients):
            private_inputs = [_private(value) for value in inputs]
            output = self.call_hooked(hook, private_inputs)
        devices = _in_batch_order(list(capture.values), device_ids)
        values = tuple(capture.values[device] for device in devices)
        return Trace(target.name, output, values, hook.returns_several)

    def call_hooked(self, hook: LayerHook, inputs: Sequence[Any]) -> Any:
        """Call the model with a hook on a layer. Raises LayerNotFound, LayerAmbiguous."""
        with at_rest(self.root), hook.attached():
            output = self._call_model(inputs)
        hook.check_run_count()
        return output

    def _call_model(self, inputs: Sequence[Any]) -> Any:
        """Call the model on its device; exceptions of the user's own model pass unchanged.

        An autocast that is live around the call stays: inputs may have been cast for it.
        """
        device = None if self.root is None else device_of(self.root)
        if device is not None:
            inputs = [_moved_to(device, value) for value in inputs]
        arithmetic = self.arithmetic
        with arithmetic.active(sets_autocast_aside=False):
            output = self._call_users_model(inputs)
        return widened(output, arithmetic)

    def _call_users_model(self, inputs: Sequence[Any]) -> Any:
        """Call the model. Raises ModelFailed where it asks the process to end (SystemExit).

        So does any exception of a model that a text named.
        """
        try:
            return self.call(*inputs)
        except BaseException as error:
            passes = isinstance(error, Exception) and not self.is_from_text
            if passes or isinstance(error, NDError) or not is_failure(error):
                raise
            raise ModelFailed(
                f"the model failed in its forward pass: {describe_error(error)}"
            ) from error

    @contextmanager
    def rest(self, layer: Any, inputs: Sequence[Any]) -> Iterator[TorchSplit]:
        """Split the model at a layer."""
        target = self.resolve_layer(layer, 0)
        layout, geometry = self._layout_of(layer, target, inputs)
        yield TorchSplit(target.name, layout, geometry, self, layer, target)

    def _layout_of(
        self, layer: Any, target: Target, inputs: Sequence[Any]
    ) -> tuple[Layout, Geometry]:
        """Return a layer's layout: from a survey where the input is images, else from the shape."""
        if not are_images(inputs):
            shape = self.trace(layer, inputs).values[0][0].shape
            axes = target.axes or CONVENTIONAL_AXES.get(len(shape))
            placement = place(shape, None, target.name, (1, 1), None, axes)
            return placement.layout, placement.geometry

        def call_on_images(images: Tensor) -> Any:
            return self._call_model([images])

        noise = self._noise_like(inputs[0])
        with at_rest(self.root):
            placement = survey_and_place(
                call_on_images, noise, [target], self.root
            )[target]
        return placement.layout, placement.geometry

    def _noise_like(self, images: Tensor) -> Tensor:
        """Return as many random images as the model takes, two if it takes any number."""
        return noise_like(images, fixed_batch_size(self.root) or 2)

    def linear_head(self, layer: Any, inputs: Sequence[Any]) -> LinearHead | None:
        """Return the linear head behind a layer, verified on random images; None: there is none."""
        if not are_images(inputs):
            return None
        with self.rest(layer, inputs) as split, torch.inference_mode(False):
            try:
                return find_head(split, self._noise_like(inputs[0]), self.outputs)
            except Exception as error:  # a user's model may raise any
                raise ModelFailed(
                    "the model failed on random images, which its linear head is verified on: "
                    f"{type(error).__name__}: {error}"
                ) from error


class Capture:
    """Values of a layer, by device: copies, or leaves of autograd's graph (``gradients``)."""

    def __init__(self, *, gradients: bool, at_input: bool) -> None:
        self.values: dict[torch.device, Tensors] = {}
        self._gradients = gradients
        self._at_input = at_input

    def take(self, tensors: Tensors) -> Tensors:
        """Store a layer's tensors; return those with which the pass goes on."""
        device = tensors[0].device
        if not self._gradients:
            # copies, since a later in-place operation may change the tensors
            self.values[device] = tuple(tensor.clone() for tensor in tensors)
            return tensors
        self.values[device] = tuple(self._as_leaf(tensor) for tensor in tensors)
        return tuple(leaf.clone() for leaf in self.values[device])

    def _as_leaf(self, tensor: Tensor) -> Tensor:
        # an input is not detached: the model's later uses of the same tensor count as well
        leaf = tensor if self._at_input else tensor.detach()
        return leaf.requires_grad_()


def are_images(inputs: Sequence[Any]) -> bool:
    """Return whether inputs are a single batch of images (image, channel, row, column)."""
    if len(inputs) != 1 or not isinstance(inputs[0], Tensor):
        return False
    return inputs[0].dim() == 4 and inputs[0].is_floating_point()


def noise_like(images: Tensor, count: int = 2) -> Tensor:
    """Return random images of the shape, device and number type of these."""
    generator = torch.Generator("cpu").manual_seed(0)
    with torch.inference_mode(False):
        noise = torch.rand(
            count, *images.shape[1:], generator=generator, device="cpu"
        )
        return noise.to(images.device, images.dtype)


def _private(value: Any) -> Any:
    """Return an input whose ``requires_grad`` can be set without a change of the user's tensor."""
    if not isinstance(value, Tensor):
        return value
    return value.clone() if value.is_inference() else value.detach()


def _moved_to(device: torch.device, value: Any) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


def _in_batch_order(
    devices: Sequence[torch.device], device_ids: Sequence[int] | None
) -> list[torch.device]:
    """Sort devices as DataParallel splits a batch over ``device_ids``; unlisted ones come last."""
    rank_by_id = {
        device_id: rank for rank, device_id in enumerate(device_ids or ())
    }

    def rank(device: torch.device) -> tuple[int, int]:
        device_id = device.index or 0
        return rank_by_id.get(device_id, len(rank_by_id)), device_id

    return sorted(devices, key=rank)


@dataclass
class TorchSplit:
    """A model split at a layer."""

    name: str
    layout: Layout
    geometry: Geometry
    _model: Splittable
    _layer: Any
    _target: Target
    # with several rows at the layer; None: not tried yet
    _takes_single_image: bool | None = None

    @property
    def image_axis(self) -> int:
        """Axis of images in the layer's own output."""
        return axes_of(self.layout)[0]

    def layer(self, *inputs: Any) -> Tensor:
        """Return the layer's output in its own shape, joined from all devices."""
        values = self._model.trace(self._layer, inputs).values
        outputs = [device_values[0] for device_values in values]
        return torch.cat(outputs, self.image_axis)

    def __call__(self, output: Tensor, *inputs: Any) -> Any:
        """Return the model's output with the layer's replaced by ``output``."""
        rows = output.shape[self.image_axis]
        if rows == 1 or any(row_count(value) == rows for value in inputs):
            return self._run_replaced(output, inputs)
        if self._takes_single_image is None:
            self._takes_single_image = self._try_single_image(output, inputs)
        if self._takes_single_image:
            return self._run_replaced(output, inputs)
        return self._run_replaced(output, expand_rows(inputs, rows))

    def _run_replaced(self, output: Tensor, inputs: Sequence[Any]) -> Any:
        hook = LayerHook(self._target, lambda _: (output,))
        return self._model.call_hooked(hook, inputs)

    def _try_single_image(self, output: Tensor, inputs: Sequence[Any]) -> bool:
        """Return whether two rows at the layer give the same with one input image as with two."""
        two_rows = output.narrow(self.image_axis, 0, 2)
        expected = self._run_replaced(two_rows.clone(), expand_rows(inputs, 2))
        try:
            actual = self._run_replaced(two_rows.clone(), inputs)
        except Exception:
            # of any kind: the model remembers a shape from before the layer
            return False
        return _are_close(actual, expected)


def _are_close(actual: Any, expected: Any) -> bool:
    """Compare nested outputs: equal structure and shapes, tensors within float32 tolerance."""
    leaves = find_leaves(actual)
    expected_leaves = find_leaves(expected)
    if _shapes_or_leaves(leaves) != _shapes_or_leaves(expected_leaves):
        return False
    for key, leaf in leaves.items():
        expected_leaf = expected_leaves[key]
        if not isinstance(leaf, Tensor) or not isinstance(expected_leaf, Tensor):
            continue
        if not torch.allclose(leaf, expected_leaf, rtol=1e-4, atol=1e-5):
            return False
    return True


def _shapes_or_leaves(leaves: Mapping[str, object]) -> dict[str, object]:
    return {key: _shape_or_leaf(leaf) for key, leaf in leaves.items()}


def _shape_or_leaf(leaf: Any) -> Any:
    return tuple(leaf.shape) if isinstance(leaf, Tensor) else leaf
