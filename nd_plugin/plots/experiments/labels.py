"""Labels of points, beside them where they lie on no other label and on no other point."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

SIDES = (1, -1)  # right and left of a point, above and below it
STEP = 1.0  # points, that a label is moved at a time
FARTHEST = 60  # steps
RADIUS = 3.0  # points, that are kept free around a labelled point
POINTS_PER_INCH = 72


def spread_labels(ax: Axes) -> None:
    """Put each label beside its point, at the first of four corners that has room.

    Where none has, it is moved upwards, by 60 points at most. The figure is laid out first: sizes
    of texts are known only then.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    labels = [text for text in ax.texts if isinstance(text, Annotation)]
    labels.sort(key=lambda label: label.get_window_extent().y0)
    radius = RADIUS * figure.dpi / POINTS_PER_INCH
    occupied = [_box_of_point(ax, label, radius) for label in labels]
    for label in labels:
        if not _find_corner(label, occupied):
            _move_upwards(label, occupied)
        occupied.append(label.get_window_extent())


def _box_of_point(ax: Axes, label: Annotation, radius: float) -> Bbox:
    """Return the box around a labelled point, in pixels."""
    x, y = ax.transData.transform(label.xy)
    return Bbox.from_extents(x - radius, y - radius, x + radius, y + radius)


def _has_room(label: Annotation, occupied: Sequence[Bbox]) -> bool:
    box = label.get_window_extent()
    return not any(box.overlaps(other) for other in occupied)


def _find_corner(label: Annotation, occupied: Sequence[Bbox]) -> bool:
    """Move a label to a corner that has room; leave it and return False where none has."""
    x, y = label.xyann
    for across in SIDES:
        for up in SIDES:
            label.xyann = (across * x, up * y)
            label.set_horizontalalignment("left" if across > 0 else "right")
            label.set_verticalalignment("baseline" if up > 0 else "top")
            if _has_room(label, occupied):
                return True
    label.xyann = (x, y)
    label.set_horizontalalignment("left")
    label.set_verticalalignment("baseline")
    return False


def _move_upwards(label: Annotation, occupied: Sequence[Bbox]) -> None:
    x, y = label.xyann
    for steps in range(FARTHEST):
        label.xyann = (x, y + steps * STEP)
        if _has_room(label, occupied):
            return
