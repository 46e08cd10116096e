"""Several trainings of one network: the spread of their curves, stage by stage."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nd_plugin.errors import BadInput
from nd_plugin.experiments.evolution.evolution import Evolution
from nd_plugin.report.categories import all_categories
from nd_plugin.report.elements import AdaptiveTable, Heading

LINE_ABOVE = (1, 0, 0, 0)  # padding


def check_same_stages(evolutions: Sequence[Evolution]) -> None:
    """Raise BadInput where trainings differ in their steps or layers."""
    first = evolutions[0]
    layers = [layer.layer for layer in first.layers]
    for number, evolution in enumerate(evolutions[1:], start=2):
        if evolution.steps != first.steps:
            raise BadInput(
                f"trainings 1 and {number} have other steps ({_listed(first.steps)} and "
                f"{_listed(evolution.steps)}): their curves have no common points"
            )
        other_layers = [layer.layer for layer in evolution.layers]
        if other_layers != layers:
            raise BadInput(
                f"trainings 1 and {number} have other layers ({', '.join(layers)} and "
                f"{', '.join(other_layers)}); choose common ones with -l"
            )


def _listed(steps: Sequence[float]) -> str:
    return ", ".join(f"{step:g}" for step in steps)


def mean_accuracies(evolutions: Sequence[Evolution]) -> list[float]:
    """Return the accuracy of each stage, averaged over the trainings; NaN where one lacks it."""
    rows = np.array([evolution.accuracies for evolution in evolutions])
    return [float(value) for value in rows.mean(axis=0)]


def spread_table(evolutions: Sequence[Evolution]) -> RenderableType:
    """Return unique detectors at each stage: mean and standard deviation (n - 1) over trainings."""
    first = evolutions[0]
    blocks: list[RenderableType] = []
    for index, layer in enumerate(first.layers):
        title = Text(f"{layer.layer}, {len(evolutions)} trainings", style="bold")
        blocks.append(Padding(Heading(title), LINE_ABOVE))
        blocks.append(_layer_table(evolutions, index))
    return Group(*blocks)


def _layer_table(evolutions: Sequence[Evolution], index: int) -> AdaptiveTable:
    first = evolutions[0]
    layers = [evolution.layers[index] for evolution in evolutions]
    categories = all_categories(
        [report for item in layers for report in item.reports]
    )
    headers = (first.unit, "unique", *categories)
    rows = []
    for stage, step in enumerate(first.steps):
        summaries = [layer.reports[stage].summary for layer in layers]
        counts = [[summary.unique_detectors for summary in summaries]]
        for category in categories:
            counts.append(
                [
                    summary.unique_detectors_by_category.get(category, 0)
                    for summary in summaries
                ]
            )
        cells = [f"{step:g}", *(spread_text(values) for values in counts)]
        rows.append(tuple(Text(cell) for cell in cells))
    right = tuple(range(len(headers)))
    return AdaptiveTable(headers, tuple(rows), lead=0, right=right)


def spread_text(values: Sequence[float]) -> str:
    """Return the mean of repeats and their standard deviation (n - 1)."""
    mean = float(np.mean(values))
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return f"{mean:.3g} ± {deviation:.2g}"
