"""Texts that name concept sets, with their options."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NO_DEFAULTS: Mapping[str, str] = MappingProxyType({})


def set_text(
    name: str,
    argument: str,
    options: Mapping[str, str],
    defaults: Mapping[str, str] = NO_DEFAULTS,
) -> str:
    """Return ``name:argument?key=value&key=value``, without empty options and defaults."""
    texts = [
        f"{key}={value}"
        for key, value in options.items()
        if value and value != defaults.get(key)
    ]
    query = f"?{'&'.join(texts)}" if texts else ""
    return f"{name}:{argument}{query}"
