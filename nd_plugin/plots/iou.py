"""IoU of units: its distribution, and its mean beside the number of detectors of each concept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from nd_plugin.errors import BadInput
from nd_plugin.plots.named_results import Results, named_reports
from nd_plugin.plots.style import (
    AXIS_HEIGHT,
    TINY,
    folded,
    legend_above,
    legend_height,
    say_nothing_to_show,
    styled_axes,
    swatches,
)
from nd_plugin.report.categories import all_categories
from nd_plugin.report.colours import FAINT, category_colours
from nd_plugin.report.layer_report import LayerReport

PLOT_HEIGHT = 1.7  # inches, between the axes
BINS = 40
ROOM_FOR_LEVELS = 1.2  # height of the axis, relative to the highest bar
LINE_STYLES = ["-", "--", "-.", ":"]  # of several results
# where results of several have their colours: colour-blind readers order this scale as others do
COLOUR_SCALE = "cividis"
SCALE_ENDS = (0.35, 0.8)  # neither lost on black nor on white
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]  # of several results
NAMES_SHOWN = 12  # of concepts in a scatter plot, at most
NAME_MARGIN = 4  # pixels


def plot_iou(
    results: Results, ax: Axes | None = None, *, chance: float | None = None
) -> Axes:
    """Draw how the IoU of units with their best concepts is distributed.

    A single result is a histogram stacked by category; several are outlines, in shares of their
    units. A line marks the IoU
    above which a unit is a detector.

    Args:
        results: A dissection or report, a list of them, or a dict with their names.
        ax: Axes to draw into; None: of a new pyplot figure.
        chance: IoU that is expected by chance, to be marked, too; None: the mean best IoU of the
            units over the permutations of a single result's run, where it has any.

    Returns:
        The axes.

    Raises:
        BadInput: No result, or what is none; a chance level that is no IoU.
    """
    if chance is not None and not 0 <= chance <= 1:
        raise BadInput(f"chance is {chance!r}; an IoU is between 0 and 1")
    reports = named_reports(results)
    highest = max(_highest_iou(report) for report in reports.values())
    edges = np.linspace(0, max(highest, 2 * _limits(reports)[-1]), BINS + 1)
    are_several = len(reports) > 1
    report, *_ = reports.values()
    if chance is None and not are_several:
        chance = _chance_iou(report)
    entries = list(reports) if are_several else all_categories([report])
    height = AXIS_HEIGHT + PLOT_HEIGHT + legend_height(entries)
    with styled_axes(ax, height) as axes:
        if are_several:
            handles = _draw_outlines(axes, reports, edges)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        else:
            handles = _draw_histogram(axes, report, edges)
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(0, ROOM_FOR_LEVELS * axes.get_ylim()[1])
        _mark_levels(axes, _limits(reports), chance)
        axes.set_xlim(0, float(edges[-1]))
        axes.set_xlabel("IoU with the best concept")
        axes.set_ylabel("share of units" if are_several else "units")
        legend_above(axes, handles)
    return axes


def _chance_iou(report: LayerReport) -> float | None:
    """Return the mean best IoU where annotations are permuted; None without permutations."""
    level = report.chance_level
    return None if level is None else float(level.iou.mean())


def _highest_iou(report: LayerReport) -> float:
    return max((score.iou for score in report.scores), default=0.0)


def _limits(reports: Mapping[str, LayerReport]) -> list[float]:
    """Return the different limits of detectors, ascending."""
    return sorted({report.min_iou for report in reports.values()})


def _draw_histogram(ax: Axes, report: LayerReport, edges: Any) -> list[Any]:
    """Draw one result by category; return the entries of its legend."""
    colours = category_colours(all_categories([report]))
    by_category = {
        category: [
            score.iou for score in report.scores if score.category == category
        ]
        for category in colours
    }
    shown = [category for category, values in by_category.items() if values]
    if not shown:
        say_nothing_to_show(ax, "no units")
        return []
    ax.hist(
        [by_category[category] for category in shown],
        bins=edges,
        stacked=True,
        color=[colours[category] for category in shown],
        label=shown,
    )
    return list(swatches({category: colours[category] for category in shown}))


def _draw_outlines(
    ax: Axes, reports: Mapping[str, LayerReport], edges: Any
) -> list[Any]:
    """Draw several results as outlines; return the entries of their legend."""
    colours = plt.get_cmap(COLOUR_SCALE)(np.linspace(*SCALE_ENDS, len(reports)))
    handles = []
    for index, (name, report) in enumerate(reports.items()):
        counts, _ = np.histogram([score.iou for score in report.scores], edges)
        shares = counts / max(len(report.scores), 1)
        line_style = LINE_STYLES[index % len(LINE_STYLES)]
        look = {"color": colours[index], "linestyle": line_style, "linewidth": 1.2}
        ax.stairs(shares, edges, label=name, **look)
        handles.append(Line2D([], [], label=name, **look))
    return handles


def _mark_levels(ax: Axes, limits: list[float], chance: float | None) -> None:
    """Draw lines at the limits of detectors and at the chance level, with their values."""
    for limit in limits:
        _mark(ax, limit, f"detectors: IoU > {limit:g}", "--", 0.99)
    if chance is not None:
        _mark(ax, chance, f"chance: {chance:.3g}", ":", 0.91)


def _mark(ax: Axes, iou: float, text: str, line_style: str, height: float) -> None:
    ax.axvline(iou, color=FAINT, linestyle=line_style, linewidth=1.0)
    ax.annotate(
        text,
        (iou, height),
        xycoords=("data", "axes fraction"),
        xytext=(3, 0),
        textcoords="offset points",
        va="top",
        fontsize=TINY,
        bbox={"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 0.8},
    )


@dataclass(frozen=True)
class DetectedConcept:
    """Concept with the units that detect it, in one result."""

    name: str
    category: str
    detectors: int
    mean_iou: float


def plot_mean_iou(results: Results, ax: Axes | None = None) -> Axes:
    """Draw each detected concept: mean IoU of its detectors against their number.

    Figure 10 of the paper. Results differ by their markers, categories by their colours. The
    concepts furthest out are named, as far as there is room. Arguments, return and errors:
    `plot_detectors`.
    """
    reports = named_reports(results)
    colours = category_colours(all_categories(list(reports.values())))
    concepts = {name: detected_concepts(report) for name, report in reports.items()}
    every_concept = [
        concept for detected in concepts.values() for concept in detected
    ]
    categories = {concept.category for concept in every_concept}
    shown = {name: colours[name] for name in colours if name in categories}
    height = AXIS_HEIGHT + 1.3 * PLOT_HEIGHT + legend_height(shown)
    with styled_axes(ax, height) as axes:
        for index, detected in enumerate(concepts.values()):
            axes.scatter(
                [concept.detectors for concept in detected],
                [concept.mean_iou for concept in detected],
                s=14,
                c=[colours[concept.category] for concept in detected],
                marker=MARKERS[index % len(MARKERS)],
                linewidths=0,
                alpha=0.85,
            )
        axes.set_xlabel("number of detectors")
        axes.set_ylabel("mean IoU of the detectors")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(0.1)
        markers = _legend_of_markers(axes, list(reports))
        legend_above(axes, swatches(shown))
        if len(reports) > 1:
            axes.add_artist(markers)
        if every_concept:
            _name_concepts(axes, every_concept)
        else:
            say_nothing_to_show(axes, "no detectors")
    return axes


def _legend_of_markers(ax: Axes, names: list[str]) -> Legend:
    """Name results by their markers inside of axes, beside the legend of categories."""
    handles = []
    for index, name in enumerate(names):
        marker = MARKERS[index % len(MARKERS)]
        look = {"marker": marker, "linestyle": "", "color": FAINT}
        handles.append(Line2D([], [], label=folded(name), **look))  # type: ignore[arg-type]
    legend = ax.legend(handles=handles, loc="upper right")
    for text in legend.get_texts():
        text.set_parse_math(False)
    return legend


def detected_concepts(report: LayerReport) -> list[DetectedConcept]:
    """Return the concepts that a layer detects, in the order of its units."""
    values: dict[tuple[str, str], list[float]] = {}
    for score in report.scores:
        if score.detector:
            values.setdefault((score.category, score.concept), []).append(score.iou)
    return [
        DetectedConcept(concept, category, len(iou), float(np.mean(iou)))
        for (category, concept), iou in values.items()
    ]


def _name_concepts(ax: Axes, concepts: list[DetectedConcept]) -> None:
    """Name the concepts that are furthest from the origin, as far as there is room."""
    points = np.array(
        [(concept.detectors, concept.mean_iou) for concept in concepts]
    )
    distances = (points / points.max(axis=0)).max(axis=1)
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    boxes: list[Any] = []
    for index in np.argsort(-distances, kind="stable")[:NAMES_SHOWN].tolist():
        position = float(points[index, 0]), float(points[index, 1])
        box = _write_name(ax, concepts[index].name, position, boxes)
        if box is not None:
            boxes.append(box)


def _write_name(
    ax: Axes, name: str, position: tuple[float, float], boxes: list[Any]
) -> Any:
    """Write a name beside its point, on the side where it fits; return its box, or None."""
    for side, offset in (("left", 3), ("right", -3)):
        text = ax.annotate(
            folded(name),
            position,
            xytext=(offset, 3),
            textcoords="offset points",
            ha=side,
            fontsize=TINY,
            parse_math=False,
        )
        text.set_in_layout(False)  # the plot keeps its size
        box = text.get_window_extent().padded(NAME_MARGIN)
        is_inside = box.x0 >= ax.bbox.x0 and box.x1 <= ax.bbox.x1 + NAME_MARGIN
        is_free = not any(box.overlaps(taken) for taken in boxes)
        if is_inside and is_free:
            return box
        text.remove()
    return None
