"""Model behind a Captum ``forward_func``, opened once, with the cuts of its layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from captum._utils.common import (
    _format_additional_forward_args,
    _format_tensor_into_tuples,
)
from torch import Tensor, nn

from nd_plugin.contracts.models import Model
from nd_plugin.explain.cuts import LayerCuts
from nd_plugin.plugins.opening import open_model

LayerName = str | nn.Module
ForwardFunction = Callable[..., Any] | str | Model


class OpenedModel:
    """Model of a forward function, module or spec, and the cuts of its layers."""

    def __init__(self, forward_func: ForwardFunction) -> None:
        self.forward_func = forward_func
        self.model: Model = _opened(forward_func)
        self.cuts: LayerCuts = LayerCuts()

    def refresh(self) -> None:
        """Open a live module or function again: training or moving it changes its fingerprint.

        A model that was opened from a spec belongs to this object and is never opened again.
        """
        if not isinstance(self.forward_func, str):
            self.model = _opened(self.forward_func)


def _opened(forward_func: Any) -> Model:
    model: Model = (
        forward_func if _is_model(forward_func) else open_model(forward_func)
    )
    return model


def _is_model(candidate: Any) -> bool:
    """Return whether a backend has opened this object."""
    # not by ``preprocess``, which a model may have to run for
    members = ("probe", "backend", "identity")
    return all(hasattr(candidate, member) for member in members)


def model_description(forward_func: Any) -> str:
    """Return a forward function's name in few words: its text, class or function."""
    if isinstance(forward_func, str):
        return repr(forward_func)
    if _is_model(forward_func):
        return repr(forward_func.identity.source)
    return getattr(forward_func, "__qualname__", type(forward_func).__name__)


def layer_description(forward_func: Any, layer: LayerName | None) -> str:
    """Return a layer's name; the class of a module that the forward function does not hold."""
    if layer is None:
        return "no layer"
    if isinstance(layer, str):
        return repr(layer)
    if isinstance(forward_func, nn.Module):
        for name, module in forward_func.named_modules():
            if module is layer:
                return repr(name)
    return type(layer).__name__


def forward_arguments(inputs: Any, additional_forward_args: Any) -> tuple[Any, ...]:
    """Return all arguments of the forward function, as Captum passes them."""
    further_arguments = (
        _format_additional_forward_args(additional_forward_args) or ()
    )
    return *_format_tensor_into_tuples(inputs), *further_arguments


def size_of(images: Tensor) -> tuple[int, int]:
    """Return height and width in pixels."""
    return images.shape[-2], images.shape[-1]
