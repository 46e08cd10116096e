"""Findings on samples: concepts that few images have, and categories that none has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.contracts.plugin_specs import SetFinding

FEWEST_SAMPLES = (
    10  # images; Broden leaves out labels with fewer (paper section 2.1)
)


UNUSED_LABEL = "delete the label, or add images that have it"


def find_rare_concepts(
    concepts: Sequence[Concept],
    image_counts: Sequence[int],
    places: Sequence[str],
    unused_remedy: str = UNUSED_LABEL,
) -> Iterator[SetFinding]:
    """Yield a warning for each concept that no image has, or fewer than ten.

    ``image_counts`` are the images of each concept, ``places`` where the set lists it,
    ``unused_remedy`` what to do about one that no image has.
    """
    for concept, count, place in zip(concepts, image_counts, places, strict=True):
        named = f"{concept.name!r} of category {concept.category!r}"
        if count == 0:
            yield SetFinding(
                "label-without-pixels",
                place,
                f"no pixel and no image is labelled {named}",
                unused_remedy,
                is_error=False,
            )
        elif count < FEWEST_SAMPLES:
            images = "image has" if count == 1 else "images have"
            yield SetFinding(
                "few-samples",
                place,
                f"{count} {images} the label {named}, fewer than {FEWEST_SAMPLES}",
                "add images, or leave the concept out: an IoU over so few says little",
                is_error=False,
            )


def find_unused_categories(
    categories: Sequence[str],
    concepts: Sequence[Concept],
    image_counts: Sequence[int],
    place: str,
) -> Iterator[SetFinding]:
    """Yield a fault for each category of which no image has a concept."""
    used: set[str] = set()
    for concept, count in zip(concepts, image_counts, strict=True):
        if count:
            used.add(concept.category)
    for category in categories:
        if category not in used:
            yield SetFinding(
                "unused-category",
                place,
                f"no image has a label of category {category!r}",
                "add masks or labels of the category, or delete it",
            )
