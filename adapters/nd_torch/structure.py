"""Structure of a model and the text that names it: what its weights do not say of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from nd_plugin import SpecText, fingerprint

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
TORCH = "torch."
PLAIN = (str, int, float, bool, type(None), tuple)


def structure_fingerprint(root: nn.Module | None) -> str:
    """Return the fingerprint of names, classes and settings of all modules; "" without a module."""
    if root is None:
        return ""
    return fingerprint(f"{line}\n".encode() for line in _structure(root))


def _structure(root: nn.Module) -> Iterator[str]:
    """Yield a line for each module."""
    for name, module in root.named_modules():
        yield f"{name} {type(module).__qualname__} {_settings(module)}"


def _settings(module: nn.Module) -> str:
    """Return the settings that a module of torch shows, without addresses in memory.

    What other modules show may differ from run to run, and is left out; their class is named.
    """
    if not type(module).__module__.startswith(TORCH):
        return ""
    return ADDRESS.sub("", module.extra_repr())


def complete_text(
    spec: SpecText, options: Mapping[str, Any], factory: Any = None
) -> str:
    """Return the text that names a model with all its options, those left to defaults included.

    ``net:small`` and ``net:small?seed=0`` are one text where the factory's seed is 0 by default.
    """
    values = {**_defaults(factory), **options}
    listing = "&".join(f"{name}={_plain(values[name])}" for name in sorted(values))
    text = f"{spec.name}:{spec.argument}"
    return f"{text}?{listing}" if listing else text


def _defaults(factory: Any) -> dict[str, Any]:
    """Return the plain defaults of a factory's parameters; none where they cannot be seen."""
    if factory is None or isinstance(factory, nn.Module):
        return {}
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if isinstance(parameter.default, PLAIN)
    }


def _plain(value: Any) -> str:
    """Return a value as a text; numbers alike, whether they are written 1, 1.0 or "1"."""
    if isinstance(value, bool):
        return str(value)
    try:
        return repr(float(value))
    except (TypeError, ValueError):
        return str(value)
