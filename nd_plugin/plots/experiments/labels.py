"""Labels of points, moved apart where they would lie on each other."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

STEP = 1.0  # points, that a label is moved at a time
FARTHEST = 60  # steps


def spread_labels(ax: Axes) -> None:
    """Move the labels of points upwards until none lies on one below it.

    Labels that still overlap after 60 points stay where they are then. The figure is laid out
    first: sizes of texts are known only then.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    labels = [text for text in ax.texts if isinstance(text, Annotation)]
    labels.sort(key=lambda label: label.get_window_extent().y0)
    placed: list[Bbox] = []
    for label in labels:
        for _ in range(FARTHEST):
            box = label.get_window_extent()
            if not any(box.overlaps(other) for other in placed):
                break
            x, y = label.xyann
            label.xyann = (x, y + STEP)
        placed.append(label.get_window_extent())
