"""Values of command line options."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nd_plugin.contracts.models import ModelOptions
from nd_plugin.errors import BadInput
from nd_plugin.preprocess import parse_size
from nd_plugin.results import folder_names

MEMORY = re.compile(r"\s*([\d.]+(?:e\d+)?)\s*([kmgt]?)(i?)b?\s*")
# of 1000, or of 1024 for KiB, MiB …
POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def preprocess_values(
    input_size: str | None,
    mean: str | None = None,
    std: str | None = None,
    scale: float | None = None,
    interpolation: str | None = None,
    channel_order: str | None = None,
) -> dict[str, Any]:
    """Return the preprocessing options that are set, as values of a Preprocess."""
    values = {
        "size": parse_size(input_size, "input size") if input_size else None,
        "mean": _parse_statistics(mean, "mean") if mean else None,
        "std": _parse_statistics(std, "std") if std else None,
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
    precision: str | None = None,
) -> ModelOptions:
    """Return the options that a backend takes beside the model's name."""
    feed_values: dict[str, str] = {}
    for text in feeds or ():
        name, sign, value = text.partition("=")
        if not (name and value):
            raise BadInput(f"--feed {name + sign!r} is not NAME=VALUE")
        feed_values[name] = value
    return ModelOptions(
        device, weights, input_name, feed_values, tuple(custom_ops or ()), precision
    )


def parse_quantiles(texts: Sequence[str]) -> tuple[float, ...]:
    """Return the quantiles τ of ``--quantile``, each once, in the order given.

    Raises BadInput for what is no number; `Settings` checks the range.
    """
    numbers = [number for text in texts for number in text.split(",")]
    return tuple(dict.fromkeys(map(_parse_quantile, numbers)))


def _parse_quantile(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadInput(
            f"--quantile {text!r} is no number (several with commas: 0.0025,0.005,0.01)"
        ) from error


def picture_settings(
    top_images: int | None, no_pictures: bool, budget: str | None
) -> dict[str, int]:
    """Return the settings of top images and their pictures, as far as they are set.

    A number of top images is also the number of pictures.
    """
    values: dict[str, int] = {}
    if top_images is not None:
        values["top_images"] = top_images
        values["pictures"] = top_images
    if no_pictures:
        values["pictures"] = 0
    if budget is not None:
        values["picture_budget"] = parse_bytes(budget, "--picture-budget")
    return values


def significance_settings(
    folds: int, permutations: int, seed: int
) -> dict[str, Any]:
    """Return the settings of folds and permutations. Raises BadInput for a seed of neither."""
    if seed and not folds and not permutations:
        raise BadInput(
            f"--seed {seed} is the seed of --folds and --permutations: give one of them, too"
        )
    return {"folds": folds, "permutations": permutations, "seed": seed}


def parse_bytes(text: str, option: str = "--memory") -> int:
    """Return an amount of memory such as ``1GiB``, ``500MB`` or ``2e9`` in bytes."""
    match = MEMORY.fullmatch(text.lower())
    try:
        amount = float(match[1]) if match else math.nan
    except ValueError:
        amount = math.nan
    if match is None or not math.isfinite(amount):
        raise BadInput(
            f"{option} {text!r} is not an amount such as 1GiB, 500MB or 2e9"
        )
    base = 1024 if match[3] else 1000
    return int(amount * base ** POWERS[match[2]])


def parse_numbers(text: str, option: str) -> list[float]:
    """Return numbers separated by commas. Raises BadInput."""
    try:
        numbers = [float(piece) for piece in text.split(",")]
    except ValueError as error:
        raise BadInput(
            f"{option} {text!r} is not numbers separated by commas"
        ) from error
    if not all(map(math.isfinite, numbers)):
        raise BadInput(f"{option} {text!r} holds a number that is not finite")
    return numbers


def _parse_statistics(text: str, option: str) -> tuple[float, ...]:
    """Parse three numbers, one for each channel, or a single number for all."""
    message = (
        f"--{option} {text!r} is not three numbers separated by commas, such as 0.5,0.5,0.5, "
        "nor a single one"
    )
    try:
        values = tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise BadInput(message) from error
    if len(values) not in (1, 3) or not all(map(math.isfinite, values)):
        raise BadInput(message)
    return values


def run_name(model: str, concepts: str) -> str:
    """Return a folder's name from what is run, such as ``efficientnet_lite0-shapes``."""
    model_path = model.partition("?")[0]
    model_name = re.split(r"[:/]", model_path)[-1].removesuffix(".onnx")
    kind, _, root = concepts.partition("?")[0].partition(":")
    words = (model_name, kind, Path(root).name)
    return folder_names.folder_of("-".join(word for word in words if word))
