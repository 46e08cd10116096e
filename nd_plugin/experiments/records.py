"""Files of experiments: records in JSON with the version of their format, and tables in CSV."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nd_plugin.borders.damage import damage_refused
from nd_plugin.borders.json_values import object_of, parse_json, read_value
from nd_plugin.errors import RunInvalid
from nd_plugin.report.json_text import document_text
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.folder_names import is_run_folder


def record_bytes(content: Mapping[str, Any], version: int) -> bytes:
    """Return the bytes of a record, which states the version of its format."""
    return (document_text({"format": version, **content}) + "\n").encode()


def read_record(path: Path, newest: int) -> dict[str, Any]:
    """Read a record. Raises RunInvalid for a damaged one, and for a format beyond the newest."""
    with damage_refused(path):
        content = parse_json(path.read_text(encoding="utf-8"))
        record = object_of(content, "it")
        version = read_value(int, record["format"], "format")
    if version > newest:
        raise RunInvalid(
            f"{path} is of format {version}, and this nd_plugin reads up to {newest}: "
            "upgrade nd_plugin"
        )
    return record


def is_folder_of_runs(folder: Path, record: str, runs: Collection[str]) -> bool:
    """Return whether a folder is empty, or holds a record, runs of these names and nothing else.

    The current folder is none.
    """
    if not folder.is_dir() or folder.resolve() == Path.cwd():
        return False
    children = list(folder.iterdir())
    if children and not (folder / record).is_file():
        return False
    return all(
        child.name == record
        or (child.name in runs and child.is_dir() and is_run_folder(child))
        for child in children
    )


def at_min_iou(dissection: Dissection, min_iou: float) -> Dissection:
    """Return a dissection with another limit for detectors."""
    settings = replace(dissection.settings, min_iou=min_iou)
    return replace(dissection, settings=settings)
