"""Facts and notes of a run in words, from its provenance and settings."""

from __future__ import annotations

from collections.abc import Sequence

from nd_plugin.contracts.precision import NOT_RECORDED
from nd_plugin.contracts.provenance import Provenance, Settings, Skipped

CONCEPTS_NAMED = 8  # in one note


def facts(
    provenance: Provenance, settings: Settings, images: int, concepts: int
) -> dict[str, str]:
    """Return what was run, by subject: model, concepts, input, settings."""
    model = provenance.model.source
    concept_set = provenance.concept_set.source
    height, width = provenance.preprocess.get("size", ("?", "?"))
    preprocess = provenance.preprocess.get("source", "given")
    geometry = provenance.geometry.get("source")
    precision = provenance.precision or NOT_RECORDED
    verified = ", contents verified" if provenance.contents else ""
    return {
        "model": f"{model} ({provenance.backend}, {provenance.device}, {precision})",
        "concepts": f"{concept_set}: {images} images, {concepts} concepts{verified}",
        "input": f"{height}x{width}, {preprocess}",
        "settings": f"quantile {settings.quantile:g}, IoU > {settings.min_iou:g}, {geometry}",
    }


def skipped_notes(skipped: Sequence[Skipped], images: int) -> list[str]:
    """Return how many of ``images`` images were skipped, and each with its reason."""
    if not skipped:
        return []
    total = f"{len(skipped)} of {images} images skipped or without annotation"
    return [
        total,
        *(
            f"skipped {item.part} of {item.image}: {item.reason}"
            for item in skipped
        ),
    ]


def unseen_concepts_note(unseen: Sequence[str], concepts: int) -> str:
    """Return the note on concepts that label no pixel of the images."""
    names = ", ".join(unseen[:CONCEPTS_NAMED])
    beyond = len(unseen) - CONCEPTS_NAMED
    tail = f" and {beyond} more" if beyond > 0 else ""
    return f"{len(unseen)} of {concepts} concepts label no pixel of these images: {names}{tail}"


def too_few_locations_note(locations: int, quantile: float) -> str:
    """Return the note on a probe data set that is too small for a quantile."""
    return (
        f"{locations} locations are too few for quantile {quantile:g}: the threshold is the "
        "largest activation, and nothing is above it"
    )
