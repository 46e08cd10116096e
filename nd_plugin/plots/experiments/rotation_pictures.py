"""Best units and best rotated directions by their top images: figure 7 of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from nd_plugin.plots.style import (
    COLUMN_WIDTH,
    SMALL,
    say_nothing_to_show,
    styled_axes,
)
from nd_plugin.plots.units import unit_strip
from nd_plugin.results.dissection import Dissection

CONCEPTS_PICTURED = 5  # as many as the paper's figure 7
IMAGES = 4  # of a unit or direction
TITLE_HEIGHT = 0.2  # inches, above a row of pictures
ROW_GAP = 0.08  # inches


def plot_best_pictures(study: Any, ax: Axes | None = None) -> Axes:
    """Draw top images of best units (left) and best rotated directions (right): figure 7.

    Of the concepts with the best units. Raises BadInput for a study without pictures.
    """
    pairs: list[tuple[str, Dissection, int]] = []
    for comparison in study.best[:CONCEPTS_PICTURED]:
        best = comparison.best
        rotated = study.rotated[study.alphas[-1], best.seed]
        unit_title = f"{comparison.concept}: unit {comparison.unit}, IoU {comparison.iou:.3f}"
        direction_title = (
            f"direction {best.direction} of seed {best.seed}, IoU {best.iou:.3f}"
        )
        pairs.append((unit_title, study.own, comparison.unit))
        pairs.append((direction_title, rotated, best.direction))
    return _draw_pairs(pairs, ax)


def _draw_pairs(
    pairs: Sequence[tuple[str, Dissection, int]], ax: Axes | None
) -> Axes:
    """Draw units in two columns, each with a title."""
    strips = [
        unit_strip(dissection.show(unit, images=IMAGES))
        for _, dissection, unit in pairs
    ]
    share = max((strip.shape[0] / strip.shape[1] for strip in strips), default=0.3)
    height = COLUMN_WIDTH * share + TITLE_HEIGHT + ROW_GAP
    rows = max(1, len(pairs) // 2)
    picture_share = COLUMN_WIDTH * share / height
    with styled_axes(ax, rows * height, 2 * COLUMN_WIDTH) as axes:
        axes.set_axis_off()
        if not pairs:
            say_nothing_to_show(axes, "no detectors in either basis")
        for index, ((title, _, _), strip) in enumerate(
            zip(pairs, strips, strict=True)
        ):
            row, column = divmod(index, 2)
            bottom = 1 - (row + 1) / rows
            box = (column / 2, bottom, 0.49, picture_share / rows)
            inset = axes.inset_axes(box)
            inset.imshow(strip, interpolation="none")
            inset.set_axis_off()
            inset.set_title(
                title, loc="left", fontsize=SMALL, parse_math=False, pad=3
            )
    return axes
