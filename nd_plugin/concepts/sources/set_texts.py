"""Texts that name concept sets, with all of their options."""

from __future__ import annotations

from collections.abc import Mapping


def set_text(name: str, argument: str, options: Mapping[str, str]) -> str:
    """Return ``name:argument?key=value&key=value``, without empty options."""
    texts = [f"{key}={value}" for key, value in options.items() if value]
    query = f"?{'&'.join(texts)}" if texts else ""
    return f"{name}:{argument}{query}"
