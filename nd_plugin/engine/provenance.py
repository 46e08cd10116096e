"""Provenance of a run, and checks of its settings."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from platform import python_version

from nd_plugin.contracts.models import Model
from nd_plugin.contracts.provenance import Provenance, Settings
from nd_plugin.errors import BadInput
from nd_plugin.probe_data.batches import Feed


def check(settings: Settings, quantiles: Sequence[float]) -> None:
    """Check settings. Raises BadInput for values out of range."""
    for quantile in quantiles:
        if not 0 < quantile < 1:
            raise BadInput(
                f"quantile {quantile} is not between 0 and 1 (the paper's is 0.005)"
            )
    if not 0 <= settings.min_iou < 1:
        raise BadInput(
            f"min_iou {settings.min_iou} is not between 0 and 1 (the paper's is 0.04)"
        )
    if settings.anchor not in ("rf", "cell"):
        raise BadInput(
            f"anchor {settings.anchor!r} is neither 'rf' (receptive fields) nor 'cell' "
            "(spread evenly)"
        )
    if settings.top_images < 1:
        raise BadInput(f"top_images {settings.top_images} is not a positive number")
    if settings.limit is not None and settings.limit < 1:
        raise BadInput(f"limit {settings.limit} leaves no image")


def provenance(model: Model, feed: Feed, started: str) -> Provenance:
    """Return the provenance of a run that began at ``started``; geometry and seconds follow."""
    concept_set_notes = getattr(feed.concepts, "notes", ())
    return Provenance(
        model=model.identity,
        concept_set=feed.concepts.identity,
        backend=model.backend,
        device=str(model.device),
        preprocess=feed.preprocess.describe(),
        geometry={},
        versions=versions(),
        started=started,
        seconds=0.0,
        notes=(*model.notes, *concept_set_notes),
        extra={"batch_size": feed.batch_size, "workers": feed.workers},
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide the numbers."""
    packages = ("nd_plugin", "torch", "numpy", "pillow")
    return {
        "python": python_version(),
        **{package: metadata.version(package) for package in packages},
    }
