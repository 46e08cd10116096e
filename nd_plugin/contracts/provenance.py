"""Records of a run: identities, settings, skipped images, provenance."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nd_plugin.errors import BadInput


@dataclass(frozen=True)
class Identity:
    """Identity of a concept set or model, for provenance."""

    name: str  # "broden"
    source: str  # origin: a folder, a spec, a class
    version: str  # of the data if they have one, else of the reader
    fingerprint: str  # of the names and descriptions of the content; "" for none


@dataclass(frozen=True)
class Skipped:
    """Image or annotation that could not be read, and the reason."""

    image: str
    part: str  # "image" | "annotation"
    reason: str


@dataclass(frozen=True)
class Settings:
    """Settings that determine the results of a dissection."""

    quantile: float = 0.005  # τ
    min_iou: float = 0.04
    anchor: str = "rf"  # "rf": receptive-field centres | "cell": cells spread evenly
    mask_size: str = "auto"  # "auto" | "native" | "N" | "HxW"
    limit: int | None = None  # number of images, from the first on; None for all
    strict: bool = False  # stop at the first image that cannot be read
    top_images: int = 50

    def __post_init__(self) -> None:
        """Convert numbers of any type (NumPy, Decimal) to plain Python numbers."""
        for name in ("quantile", "min_iou"):
            number = _to_float(name, getattr(self, name))
            object.__setattr__(self, name, number)
        for name in ("limit", "top_images"):
            number = _to_int(name, getattr(self, name))
            object.__setattr__(self, name, number)


def _to_float(name: str, value: Any) -> float | None:
    """Convert by way of the decimal text, so that float32's 0.005 becomes float64's 0.005."""
    if value is None:
        return None
    try:
        return float(str(value))
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} {value!r} is no number") from error


def _to_int(name: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        return operator.index(value)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} {value!r} is no whole number") from error


@dataclass(frozen=True)
class Provenance:
    """Provenance of a run; all fields are written to run.json."""

    model: Identity
    concept_set: Identity
    backend: str
    device: str
    preprocess: Mapping[str, Any]
    geometry: Mapping[str, Any]
    versions: Mapping[str, str]
    started: str  # ISO 8601, UTC
    seconds: float
    notes: tuple[str, ...] = ()  # all fallbacks that were used
    extra: Mapping[str, Any] = field(default_factory=dict)
