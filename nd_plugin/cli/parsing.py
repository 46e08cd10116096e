"""Values of command line options."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from nd_plugin.errors import BadInput
from nd_plugin.results import folder_names

MEMORY = re.compile(r"\s*([\d.]+(?:e\d+)?)\s*([kmgt]?)(i?)b?\s*")
# of 1000, or of 1024 for KiB, MiB …
POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_feeds(texts: Sequence[str]) -> dict[str, str]:
    """Return the values of ``--feed NAME=VALUE``, by name. Raises BadInput."""
    values: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and value):
            raise BadInput(f"--feed {name + sign!r} is not NAME=VALUE")
        values[name] = value
    return values


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


def parse_memory(text: str | None, option: str = "--memory") -> int | None:
    """Return an amount of memory in bytes, None where none is given. Raises BadInput."""
    return parse_bytes(text, option) if text else None


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


def parse_statistics(text: str, option: str) -> tuple[float, ...]:
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
