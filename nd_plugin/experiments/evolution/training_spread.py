"""Several trainings of one network: the spread of their curves, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nd_plugin.errors import BadInput
from nd_plugin.experiments.evolution.evolution import Evolution
from nd_plugin.experiments.evolution.evolution_tables import evolution_content
from nd_plugin.experiments.evolution.evolution_text import detected_categories
from nd_plugin.experiments.evolution.histories import LayerEvolution
from nd_plugin.experiments.spread import Spread, unique_spread
from nd_plugin.report.elements import AdaptiveTable, Heading
from nd_plugin.report.layer_report import LayerReport, Summary

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


@dataclass(frozen=True)
class LayerSpread:
    """One layer of several trainings: unique detectors at each stage, and the share kept."""

    layer: str
    steps: tuple[float, ...]
    unique_detectors: tuple[Spread, ...]  # (stage,)
    by_category: Mapping[str, tuple[Spread, ...]]
    # from the first stage to the last; None where a training has no detectors of both
    share_kept: Spread | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        kept = self.share_kept
        return {
            "layer": self.layer,
            "steps": list(self.steps),
            "unique_detectors": [item.to_dict() for item in self.unique_detectors],
            "by_category": {
                category: [item.to_dict() for item in spreads]
                for category, spreads in self.by_category.items()
            },
            "share_kept": None if kept is None else kept.to_dict(),
        }


def layer_spreads(evolutions: Sequence[Evolution]) -> list[LayerSpread]:
    """Return the spread of each layer over trainings of the same stages."""
    layers = [evolution.layers for evolution in evolutions]
    steps = evolutions[0].steps
    return [_layer_spread(of_all, steps) for of_all in zip(*layers, strict=True)]


def _layer_spread(
    layers: Sequence[LayerEvolution], steps: tuple[float, ...]
) -> LayerSpread:
    reports = [layer.reports for layer in layers]
    by_stage = [_summaries(stage) for stage in zip(*reports, strict=True)]
    all_reports = [report for of_layer in reports for report in of_layer]
    by_category = {
        category: _category_spreads(by_stage, category)
        for category in detected_categories(all_reports)
    }
    shares = [layer.overall.share_kept for layer in layers]
    known_shares = [share for share in shares if share is not None]
    is_known = len(known_shares) == len(shares)
    return LayerSpread(
        layer=layers[0].layer,
        steps=steps,
        unique_detectors=tuple(map(unique_spread, by_stage)),
        by_category=by_category,
        share_kept=Spread.of(known_shares) if is_known else None,
    )


def _summaries(reports: Sequence[LayerReport]) -> list[Summary]:
    return [report.summary for report in reports]


def _category_spreads(
    by_stage: Sequence[Sequence[Summary]], category: str
) -> tuple[Spread, ...]:
    return tuple(unique_spread(summaries, category) for summaries in by_stage)


def trainings_content(evolutions: Sequence[Evolution]) -> dict[str, Any]:
    """Return one evolution as plain values; several under ``trainings``, and their ``spread``."""
    if len(evolutions) == 1:
        return evolution_content(evolutions[0])
    return {
        "trainings": [evolution_content(evolution) for evolution in evolutions],
        "spread": [spread.to_dict() for spread in layer_spreads(evolutions)],
    }


def spread_table(evolutions: Sequence[Evolution]) -> RenderableType:
    """Return unique detectors at each stage: mean, deviation and interval over trainings."""
    blocks: list[RenderableType] = []
    for spread in layer_spreads(evolutions):
        title = Text(f"{spread.layer}, {len(evolutions)} trainings", style="bold")
        blocks.append(Padding(Heading(title), LINE_ABOVE))
        blocks.append(_layer_table(spread, evolutions[0].unit))
        if spread.share_kept is not None:
            kept = spread.share_kept.text(3)
            text = f"kept from the first stage to the last: {kept} of the detectors of both"
            blocks.append(Text(text))
    return Group(*blocks)


def _layer_table(spread: LayerSpread, unit: str) -> AdaptiveTable:
    rows = []
    for stage, step in enumerate(spread.steps):
        unique = spread.unique_detectors[stage]
        cells = [f"{step:g}", unique.text(), unique.interval_text]
        cells += [spreads[stage].text() for spreads in spread.by_category.values()]
        rows.append(tuple(Text(cell) for cell in cells))
    headers = (unit, "unique", "95 %", *spread.by_category)
    right = tuple(range(len(headers)))
    return AdaptiveTable(headers, tuple(rows), lead=0, right=right)
