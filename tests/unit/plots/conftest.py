"""Figures are closed behind each test; a second dissection; a report like that of a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot

from nd_plugin import Dissection, LayerReport


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """Close all figures after a test."""
    pyplot.close("all")  # of other tests
    yield
    pyplot.close("all")


@pytest.fixture
def later(dissection: Dissection) -> Dissection:
    """Layer whose units detect dog, ear and ear; the first two best at IoU 0.5 and 0.25."""
    return replace(
        dissection,
        layer="block.2",
        intersection=np.array(
            [
                [0, 100, 0, 0],
                [0, 0, 0, 34],
                [0, 0, 0, 20],
                [0, 0, 0, 0],
                [0, 0, 0, 0],
            ]
        ),
        unit_area=np.array([[200, 90], [40, 90], [80, 80], [0, 0], [5, 5]]),
    )


@pytest.fixture
def file_report(dissection: Dissection) -> LayerReport:
    """Report without facts, quantile and dissection, as a CSV file gives it."""
    report = dissection.report()
    summary = replace(report.summary, quantile=None)
    return replace(
        report, layer="conv5", summary=summary, facts={}, dissection=None
    )
