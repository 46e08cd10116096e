"""Names of outputs: a class's name for a target that selects a class."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from nd_plugin.errors import BadInput
from nd_plugin.explain.targets import Target, chosen_output, plain_target, target_of

Classes = Sequence[str] | Mapping[int, str]


def class_numbers(target: Any, classes: Classes | None) -> Any:
    """Replace a class's name by its number, in a target or a list of one for each image.

    Any other target is returned as it is: a text that names no class may be a key of the outputs.
    """
    if classes is None:
        return target
    if isinstance(target, list):
        return [class_numbers(item, classes) for item in target]
    if not isinstance(target, str):
        return target
    numbered = (
        classes.items() if isinstance(classes, Mapping) else enumerate(classes)
    )
    return next((number for number, name in numbered if name == target), target)


def name_predictions(
    predicted_classes: Tensor | None, classes: Classes | None, image_count: int
) -> list[str]:
    """Return the name of each image's predicted class; "" for outputs without classes."""
    if predicted_classes is None:
        return [""] * image_count
    return [predicted_name(index, classes) for index in predicted_classes.tolist()]


def name_targets(
    targets: Target, model_outputs: Any, classes: Classes | None, image_count: int
) -> list[str]:
    """Return the name of each image's target. Raises BadInput for a class without a name."""
    names = []
    for image_index in range(image_count):
        target = plain_target(target_of(targets, image_index))
        names.append(target_name(model_outputs, target, classes))
    return names


def target_name(model_outputs: Any, target: Target, classes: Classes | None) -> str:
    """Return the name of one image's target: its class's, if it selects a class.

    Raises BadInput for a class without a name in ``classes``.
    """
    if target is None:
        return "output"
    # without a key such as "logits"
    _, index = chosen_output(model_outputs, target)
    class_index = _class_index(index)
    if class_index is None:
        return str(target)
    name = _name_of(class_index, classes)
    if name is None:
        assert classes is not None
        raise BadInput(
            f"class {class_index} has no name: {len(classes)} names were given"
        )
    return name


def predicted_name(class_index: int, classes: Classes | None) -> str:
    """Return the name of a predicted class; its number if it is not among ``classes``.

    Users name the classes that they ask about, and cannot know which others a model predicts.
    """
    return _name_of(class_index, classes) or f"class {class_index}"


def _name_of(class_index: int, classes: Classes | None) -> str | None:
    """Return a class's name; None if it is not among ``classes``."""
    if classes is None:
        return f"class {class_index}"
    try:
        return str(classes[class_index])
    except (KeyError, IndexError):
        return None


def _class_index(index: Target) -> int | None:
    """Return the class that an index within a tensor (image, class) selects, else None."""
    if isinstance(index, tuple) and len(index) == 1:
        (index,) = index
    if isinstance(index, bool):  # an integer to Python
        return None
    try:
        return operator.index(index)  # NumPy's integers too
    except TypeError:
        return None
