"""Categories of concepts, in one order everywhere: that of the paper's figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nd_plugin.report.layer_report import LayerReport

PAPER_ORDER = ("object", "part", "scene", "material", "texture", "color")


def in_paper_order(categories: Iterable[str]) -> tuple[str, ...]:
    """Return categories in the order of the paper's figures; others follow as they come."""

    def rank(name: str) -> int:
        return PAPER_ORDER.index(name) if name in PAPER_ORDER else len(PAPER_ORDER)

    return tuple(sorted(categories, key=rank))


def all_categories(reports: Sequence[LayerReport]) -> list[str]:
    """Return the categories of all reports, and those of detectors alone, in the paper's order."""
    categories: dict[str, None] = {}
    for report in reports:
        categories.update(dict.fromkeys(report.categories))
    for report in reports:
        detectors = [score for score in report.scores if score.detector]
        categories.update(dict.fromkeys(score.category for score in detectors))
    return list(in_paper_order(categories))
