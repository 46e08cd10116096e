"""Which of a model's outputs is meant: Captum's targets, and keys of dicts and tuples before them."""

from __future__ import annotations

from typing import Any

from captum._utils.common import _select_targets
from torch import Tensor

from nd_plugin.errors import BadInput

Target = Any  # captum's TargetType; a key of the output's, or (key, …), where the model gives a dict or tuple


def select(output: Any, target: Target) -> Tensor:
    """(image,): each image's output of the target, in every form that Captum takes.

    Raises BadInput for an output of several tensors none of which is chosen, AssertionError as Captum does.
    """
    tensor, rest = chosen_output(output, target)
    selected: Tensor = _select_targets(tensor, rest)
    if selected.shape[1:].numel() != 1:  # an AssertionError is what Captum's users know
        raise AssertionError(
            f"Target not provided when necessary: the output is {tuple(tensor.shape)}, of which target {target!r} "
            f"leaves {tuple(selected.shape)}"
        )
    return selected.reshape(len(selected), -1)[:, 0] if selected.dim() > 1 else selected


def chosen_output(output: Any, target: Target) -> tuple[Tensor, Target]:
    """The tensor that a target means in what the model gives, and what is left of the target."""
    if isinstance(output, Tensor):
        return output, target
    named = list(output.items() if isinstance(output, dict) else enumerate(output))
    tensors = {key: value for key, value in named if isinstance(value, Tensor)}
    first = target[0] if isinstance(target, tuple) and target else target
    if first in tensors and (isinstance(first, str) or len(tensors) > 1):
        left = target[1:] if isinstance(target, tuple) else ()
        return tensors[first], left or None
    if len(tensors) == 1:
        return next(iter(tensors.values())), target
    keys = ", ".join(map(repr, tensors)) or "none"
    raise BadInput(
        f"the model gives a {type(output).__name__} of tensors {keys}: begin the target with one of them"
    )


def target_of(target: Target, image: int) -> Target:
    """The target of one image, in a form that holds for a batch of one."""
    several = isinstance(target, list) or (isinstance(target, Tensor) and target.numel() > 1)
    return target[image : image + 1] if several else target
