"""Statistics of a concept set as tables for terminals and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nd_plugin.concepts.info.set_statistics import (
    CategoryStatistics,
    ConceptStatistics,
    SetStatistics,
)
from nd_plugin.report.error_bars.texts import per_cent
from nd_plugin.report.terminal import plural

SOURCES_LISTED = 4
CONCEPTS_LISTED = 5
NAMES_LISTED = 6


def category_row(category: CategoryStatistics, images: int) -> list[str]:
    """Return a row of table 1 as texts: category, classes, sources, samples, images, pixels.

    ``images`` are those that shares are of.
    """
    return [
        category.name,
        str(len(category.concepts)),
        _sources_text(category),
        f"{category.average_samples:.1f}",
        _share_text(category.images, images),
        _share_text(category.coverage, images),
    ]


def frequency_row(category: CategoryStatistics) -> list[str]:
    """Return the most frequent and the rarest concepts of a category with their samples."""
    ranked = category.by_frequency
    most_frequent = ranked[:CONCEPTS_LISTED]
    behind = ranked[CONCEPTS_LISTED:]
    rarest = behind[::-1][:CONCEPTS_LISTED]
    return [category.name, _listed(most_frequent), _listed(rarest)]


def _listed(concepts: list[ConceptStatistics]) -> str:
    return ", ".join(f"{item.concept.name} {item.samples}" for item in concepts)


def _sources_text(category: CategoryStatistics) -> str:
    names = [name for name, _ in category.sources]
    listed = ", ".join(names[:SOURCES_LISTED])
    beyond = len(names) - SOURCES_LISTED
    return f"{listed} and {beyond} more" if beyond > 0 else listed


def _share_text(amount: float, images: int) -> str:
    return per_cent(amount / images) if images else ""


def statistics_notes(statistics: SetStatistics) -> list[str]:
    """Return notes on what is missing: images not looked at, unreadable ones, concepts."""
    notes = []
    if statistics.images < statistics.images_of_set:
        notes.append(
            f"only the first {statistics.images} of {statistics.images_of_set} images were read"
        )
    if statistics.skipped:
        count = len(statistics.skipped)
        first = statistics.skipped[0]
        notes.append(
            f"{count} {plural(count, 'annotation')} cannot be read, for example that of "
            f"{first.image}: {first.reason}"
        )
    for category in statistics.categories:
        names = category.without_samples
        if names:
            beyond = " …" if len(names) > NAMES_LISTED else ""
            notes.append(
                f"{len(names)} of {len(category.concepts)} concepts of category {category.name} "
                f"are in no image: {', '.join(names[:NAMES_LISTED])}{beyond}"
            )
    return [*notes, *statistics.remarks.notes()]


def statistics_content(statistics: SetStatistics) -> dict[str, Any]:
    """Return the statistics as JSON has them."""
    images = statistics.images_read
    categories = [
        _category_content(category, images) for category in statistics.categories
    ]
    return {
        "images": statistics.images_of_set,
        "images_read": images,
        "categories": categories,
        "skipped": [asdict(skipped) for skipped in statistics.skipped],
    }


def _category_content(category: CategoryStatistics, images: int) -> dict[str, Any]:
    concepts = [
        {
            "name": item.concept.name,
            "samples": item.samples,
            "coverage": item.coverage,
        }
        for item in category.concepts
    ]
    return {
        "category": category.name,
        "classes": len(category.concepts),
        "sources": dict(category.sources),
        "average_samples": category.average_samples,
        "images": category.images,
        "image_share": category.images / images if images else None,
        "coverage": category.coverage,
        "pixel_share": category.coverage / images if images else None,
        "concepts": concepts,
    }
