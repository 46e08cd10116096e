"""Records of a run: identities, settings, skipped images, provenance."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nd_plugin.errors import BadInput


@dataclass(frozen=True)
class Identity:
    """Which concept set (or model) this is, for provenance."""

    name: str  # "broden"
    source: str  # where it came from: a folder, a spec, a class
    version: str  # of the data, where it has one, else of the reader
    fingerprint: str  # of what names and describes the content; "" where there is none


@dataclass(frozen=True)
class Skipped:
    """An image or an annotation that could not be read, and why."""

    image: str
    part: str  # "image" | "annotation"
    reason: str


@dataclass(frozen=True)
class Settings:
    """What decides the numbers of a dissection."""

    quantile: float = 0.005  # τ
    min_iou: float = 0.04
    anchor: str = "rf"  # "rf": receptive-field centres | "cell": cells spread evenly
    mask_size: str = "auto"  # "auto" | "native" | "N" | "HxW"
    limit: int | None = None  # only the first images
    strict: bool = False  # stop at the first image that cannot be read
    top_images: int = 50

    def __post_init__(self) -> None:
        """Plain numbers, whatever kind of number was given."""
        for name, kind in (
            ("quantile", float),
            ("min_iou", float),
            ("limit", int),
            ("top_images", int),
        ):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _plain(name, value, kind))


def _plain(name: str, value: Any, kind: type) -> Any:
    try:
        return kind(str(value)) if kind is float else operator.index(value)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"{name} {value!r} is no {'number' if kind is float else 'whole number'}"
        ) from error


@dataclass(frozen=True)
class Provenance:
    """What was run, to be read by people and machines; everything here goes into run.json."""

    model: Identity
    concept_set: Identity
    backend: str
    device: str
    preprocess: Mapping[str, Any]
    geometry: Mapping[str, Any]
    versions: Mapping[str, str]
    started: str  # ISO 8601, UTC
    seconds: float
    notes: tuple[str, ...] = ()  # every fallback that was taken
    extra: Mapping[str, Any] = field(default_factory=dict)
