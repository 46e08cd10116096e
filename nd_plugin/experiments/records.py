"""Files of experiments: records in JSON with the version of their format, and tables in CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nd_plugin.errors import RunInvalid
from nd_plugin.report.json_text import document_text
from nd_plugin.results.dissection import Dissection


def record_bytes(content: Mapping[str, Any], version: int) -> bytes:
    """Return the bytes of a record, which states the version of its format."""
    return (document_text({"format": version, **content}) + "\n").encode()


def read_record(path: Path, newest: int) -> dict[str, Any]:
    """Read a record. Raises RunInvalid for a damaged one, and for a format beyond the newest."""
    with damage_refused(path):
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = int(record["format"])
    if version > newest:
        raise RunInvalid(
            f"{path} is of format {version}, and this nd_plugin reads up to {newest}: "
            "upgrade nd_plugin"
        )
    return record


@contextmanager
def damage_refused(path: Path) -> Iterator[None]:
    """Raise RunInvalid where a record lacks a value, or has one of another kind."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunInvalid(
            f"{path} is damaged: {type(error).__name__}: {error}"
        ) from error


def at_min_iou(dissection: Dissection, min_iou: float) -> Dissection:
    """Return a dissection with another limit for detectors."""
    settings = replace(dissection.settings, min_iou=min_iou)
    return replace(dissection, settings=settings)


def csv_text(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table with a line for each row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows(rows)
    return text.getvalue()
