"""Provenance of a result as names and texts, every field of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from nd_plugin.report.layer_report import LayerReport


def provenance_facts(report: LayerReport) -> list[tuple[str, str]]:
    """Return what was run, in full; () for a report of a CSV file."""
    dissection = report.dissection
    if dissection is None:
        return []
    content = asdict(dissection.provenance)
    del content["notes"]  # shown apart
    del content["traits"]["sums"]  # for comparisons by the program
    content["settings"] = asdict(dissection.settings)
    content["locations of a unit"] = dissection.locations
    return list(_flat(content))


def _flat(
    content: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield the values of nested mappings, behind the names that lead to them."""
    for name, value in content.items():
        path = f"{prefix}{str(name).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}, ")
        elif isinstance(value, list | tuple):
            yield path, ", ".join(str(item) for item in value)
        elif value is not None:
            yield path, str(value)
