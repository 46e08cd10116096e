"""Entries of a provenance that any backend may add, and that reports and comparisons rely on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nd_plugin.borders.json_values import read_value
from nd_plugin.contracts.provenance import Provenance
from nd_plugin.pictures.grey_values import WHITES
from nd_plugin.receptive_fields.geometry import Axis

Channels = tuple[float, ...] | float | None
PREPROCESS: Mapping[str, Any] = {
    "size": tuple[int, ...],
    "mean": Channels,
    "std": Channels,
    "scale": Channels,
}
GEOMETRY: Mapping[str, Any] = {"rows": Axis, "columns": Axis, "anchored": bool}
EXTRA: Mapping[str, Any] = {WHITES: Mapping[str, int]}


def check_open_entries(provenance: Provenance) -> None:
    """Check the entries that are used, if they are there. Raises ValueError."""
    for place, entries, kinds in (
        ("preprocess", provenance.preprocess, PREPROCESS),
        ("geometry", provenance.geometry, GEOMETRY),
        ("extra", provenance.extra, EXTRA),
    ):
        for name, kind in kinds.items():
            if name in entries:
                read_value(kind, entries[name], f"{place}.{name}")
    size = provenance.preprocess.get("size", (0, 0))
    if len(size) != 2:
        raise ValueError(f"preprocess.size is {size}, where two integers belong")
