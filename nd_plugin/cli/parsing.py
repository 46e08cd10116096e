"""Values of command line options."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from nd_plugin.contracts.models import ModelOptions
from nd_plugin.errors import BadInput
from nd_plugin.preprocess import parse_size


def preprocess_values(
    input_size: str | None,
    mean: str | None = None,
    std: str | None = None,
    scale: float | None = None,
    interpolation: str | None = None,
    channel_order: str | None = None,
) -> dict[str, Any]:
    """The preprocessing options that were given, as values of a Preprocess."""
    values = {
        "size": parse_size(input_size, "input size") if input_size else None,
        "mean": _three(mean, "mean") if mean else None,
        "std": _three(std, "std") if std else None,
        "scale": scale,
        "interpolation": interpolation,
        "channel_order": channel_order,
    }
    return {name: value for name, value in values.items() if value is not None}


def model_options(
    device: str,
    weights: str | None,
    input_name: str | None,
    feeds: Sequence[str] | None,
    custom_ops: Sequence[str] | None,
) -> ModelOptions:
    """What was said about a model beside its text."""
    pairs = [text.partition("=") for text in feeds or ()]
    for name, sign, value in pairs:
        if not (name and value):
            raise BadInput(f"--feed {name + sign!r} is not NAME=VALUE")
    return ModelOptions(
        device,
        weights,
        input_name,
        {name: value for name, _, value in pairs},
        tuple(custom_ops or ()),
    )


def parse_bytes(text: str) -> int:
    """``1GiB``, ``500MB``, ``2e9``: an amount of memory in bytes."""
    found = re.fullmatch(r"\s*([\d.]+(?:e\d+)?)\s*([kmgt]?)(i?)b?\s*", text.lower())
    try:
        amount = float(found[1]) if found else math.nan
    except ValueError:
        amount = math.nan
    if found is None or not math.isfinite(amount):
        raise BadInput(f"memory {text!r} is no amount such as 1GiB, 500MB or 2e9")
    return int(amount * (1024 if found[3] else 1000) ** " kmgt".index(found[2] or " "))


def _three(text: str, what: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise BadInput(
            f"{what} {text!r} is not three numbers with commas between: 0.5,0.5,0.5"
        ) from error
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise BadInput(f"{what} {text!r} is not three numbers with commas between: 0.5,0.5,0.5")
    return values
