"""Labels of units."""

import numpy as np

from nd_plugin.method import iou


def test_ties_go_to_the_lower_concept() -> None:
    assert iou.labels(np.array([[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]])).tolist() == [
        1,
        0,
    ]
