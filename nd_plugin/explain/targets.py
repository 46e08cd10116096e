"""Selection of outputs by Captum's targets, preceded by a key into a model's dict or tuple."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from captum._utils.common import _select_targets
from torch import Tensor

from nd_plugin.errors import BadInput

Target = Any  # captum's TargetType; a key, or (key, …), where the model returns a dict or tuple


def select(output: Any, target: Target) -> Tensor:
    """Return each image's output of the target, (image,), for every form of target in Captum.

    Raises BadInput for an output of several tensors if no key selects one, AssertionError as
    Captum does.
    """
    tensor, index = chosen_output(output, target)
    selected: Tensor = _select_targets(tensor, index)
    if selected.shape[1:].numel() != 1:  # Captum's users expect an AssertionError
        raise AssertionError(
            f"Target not provided when necessary: the output has shape {tuple(tensor.shape)}, "
            f"and target {target!r} selects {tuple(selected.shape)} of it"
        )
    if selected.dim() > 1:
        return selected.reshape(len(selected), -1)[:, 0]
    return selected


def chosen_output(output: Any, target: Target) -> tuple[Tensor, Target]:
    """Split a target into the tensor that its key selects and the target within that tensor.

    Raises BadInput if the model returns several tensors and the target starts with none of their
    keys.
    """
    if isinstance(output, Tensor):
        return output, target
    tensors = _tensors_by_key(output)
    key, index = _key_and_index(target)
    if key in tensors and (isinstance(key, str) or len(tensors) > 1):
        return tensors[key], index
    if len(tensors) == 1:
        (tensor,) = tensors.values()
        return tensor, target
    keys = ", ".join(map(repr, tensors)) or "none"
    raise BadInput(
        f"the model returns a {type(output).__name__} of tensors {keys}: "
        f"the target must start with one of these keys"
    )


def find_predicted_classes(model_outputs: Any, target: Target) -> Tensor | None:
    """Return the class with the largest output, (image,); None for outputs without classes.

    These are a tensor (image, class) of at least two classes. Of several tensors none is taken,
    and a target beside a dict or tuple of one tensor may be a key into it.
    """
    if not isinstance(model_outputs, Tensor) and (
        len(_values_by_key(model_outputs)) != 1 or target is not None
    ):
        return None
    logits, _ = chosen_output(model_outputs, None)
    if logits.dim() != 2 or logits.shape[1] < 2:
        return None
    return logits.argmax(1)


def _key_and_index(target: Target) -> tuple[Any, Target]:
    """Split ``(key, …)`` or ``key``; None stands for no index."""
    if isinstance(target, tuple) and target:
        return target[0], target[1:] or None
    return target, None


def _tensors_by_key(output: Any) -> dict[Any, Tensor]:
    values = _values_by_key(output)
    return {
        key: value for key, value in values.items() if isinstance(value, Tensor)
    }


def _values_by_key(output: Any) -> Mapping[Any, Any]:
    """Return the values of a mapping, dataclass, tuple or list by key, name or index.

    Raises BadInput for an output of another type.
    """
    if isinstance(output, Mapping):
        return output
    if is_dataclass(output) and not isinstance(output, type):
        return {field.name: getattr(output, field.name) for field in fields(output)}
    if isinstance(output, Sequence):
        return dict(enumerate(output))
    raise BadInput(
        f"the model returns a {type(output).__name__}, in which no tensor is found: it has to "
        "return a tensor, or a dict, dataclass, tuple or list of tensors"
    )


def target_of(target: Target, image_index: int) -> Target:
    """Return the target of one image, in a form that is valid for a batch of one."""
    has_target_per_image = isinstance(target, list)
    if isinstance(target, Tensor):
        has_target_per_image = target.numel() > 1
    return target[image_index : image_index + 1] if has_target_per_image else target


def plain_target(target: Target) -> Any:
    """Return the target of a batch of one as a plain value."""
    if isinstance(target, Tensor):
        return int(target.flatten()[0])
    return target[0] if isinstance(target, list) else target
