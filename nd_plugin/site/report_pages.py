"""Reports of layers as HTML: a folder that opens from disk, or one file where that is small."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nd_plugin.borders.printable import utf8
from nd_plugin.errors import BadInput
from nd_plugin.report.error_bars.records import CountInterval
from nd_plugin.report.error_bars.texts import (
    detectors_interval,
    error_bar_lines,
    mean_count_text,
    per_cent,
    unique_interval,
)
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.report.thresholds.sweep import quantile_sweeps
from nd_plugin.site import pages
from nd_plugin.site.image_columns import PictureFiles
from nd_plugin.site.layer_blocks import LayerBlocks
from nd_plugin.site.run_facts import provenance_facts
from nd_plugin.site.summary_charts import (
    Bar,
    ConceptBars,
    category_bars,
    concept_bars,
    stacked_bars,
)

TITLE = "Network Dissection"
INDEX = "index.html"
DATA = "data"
IMAGES = "images"
# of one file, bytes: what mail servers usually let through
LARGEST_PAGE = 25_000_000
SCRIPTS = (
    "elements.js",
    "data.js",
    "pictures.js",
    "grid.js",
    "unit_page.js",
    "concept_page.js",
    "report.js",
)


@dataclass(frozen=True)
class ChanceFigures:
    """Figures of the level of chance, in words."""

    detectors: str
    rate: str


@dataclass(frozen=True)
class LayerSection:
    """What the template shows of a layer without a script."""

    id: str
    title: str
    report: LayerReport
    bars: list[Bar]
    stacked: list[Bar]
    concepts: list[ConceptBars]
    provenance: list[tuple[str, str]]
    has_pictures: bool
    # what intervals and chance level are; empty where there are none
    error_bars: list[str]
    unique_interval: CountInterval | None
    detectors_interval: CountInterval | None
    chance: ChanceFigures | None


def folder_files(reports: Sequence[LayerReport]) -> dict[str, bytes]:
    """Return the files of a report's folder by name: ``index.html``, data and images.

    No name comes from a text of the reports.
    """
    layers = _layers(reports)
    files = {INDEX: utf8(_page(layers, {}, {}))}
    pictures = PictureFiles()
    for layer in layers:
        for name, content in _blocks(layer, pictures):
            code = f'ndReceive("{name}",{pages.json_text(content)});\n'
            files[f"{DATA}/{name}.js"] = utf8(code)
    for encoded, name in pictures.names.items():
        files[f"{IMAGES}/{name}"] = encoded
    return files


def to_html(reports: Sequence[LayerReport]) -> str:
    """Return a report as one page that holds all its data and pictures.

    Raises BadInput where that page would be larger than `LARGEST_PAGE`.
    """
    layers = _layers(reports)
    pictures = PictureFiles()
    blocks: dict[str, str] = {}
    for layer in layers:
        for name, content in _blocks(layer, pictures):
            blocks[name] = pages.json_text(content)
    images = {
        name: base64.b64encode(encoded).decode()
        for encoded, name in pictures.names.items()
    }
    text = _page(layers, blocks, images)
    if len(text) > LARGEST_PAGE:
        raise BadInput(
            f"the report would be one file of {len(text) / 1e6:.0f} MB, and one file holds up to "
            f"{LARGEST_PAGE / 1e6:.0f} MB: write a folder (nd report RUN --html FOLDER), or report "
            "the folder of one layer inside the run"
        )
    return text


def _layers(reports: Sequence[LayerReport]) -> list[LayerBlocks]:
    occurrences = Counter(report.layer for report in reports)
    layers = []
    for number, report in enumerate(reports, start=1):
        title = report.layer
        if occurrences[title] > 1 and report.summary.quantile is not None:
            title = f"{title}, quantile {report.summary.quantile:g}"
        layers.append(LayerBlocks.of(number, report, title))
    return layers


def _blocks(
    layer: LayerBlocks, pictures: PictureFiles
) -> Iterator[tuple[str, dict[str, Any]]]:
    yield layer.images_block(pictures)
    yield from layer.unit_blocks()
    yield from layer.label_blocks()


def _page(
    layers: Sequence[LayerBlocks], blocks: dict[str, str], images: dict[str, str]
) -> str:
    """Return the page; without blocks and images, it reads them from files."""
    categories = _categories(layers)
    longest = max(
        (layer.report.summary.unique_detectors for layer in layers), default=0
    )
    sections = [_section(layer, categories, longest) for layer in layers]
    content = [layer.layer_block(categories) for layer in layers]
    return pages.page(
        "report.html",
        TITLE,
        script=pages.script(*SCRIPTS),
        categories=categories,
        loads_files=not blocks,
        sections=sections,
        sweeps=quantile_sweeps(layer.report for layer in layers),
        categories_of_page=categories,
        layers_json=pages.json_text(content),
        data=blocks,
        images=images,
    )


def _categories(layers: Sequence[LayerBlocks]) -> tuple[str, ...]:
    """Return the categories of all layers, each once."""
    names: dict[str, None] = {}
    for layer in layers:
        names.update(dict.fromkeys(layer.report.categories))
    return tuple(names)


def _section(
    layer: LayerBlocks, categories: Sequence[str], longest: int
) -> LayerSection:
    report = layer.report
    return LayerSection(
        id=layer.name,
        title=layer.title,
        report=report,
        bars=category_bars(report, categories),
        stacked=stacked_bars(report, categories, longest),
        concepts=concept_bars(report, layer.scores, categories),
        provenance=provenance_facts(report),
        has_pictures=layer.pictures is not None,
        error_bars=error_bar_lines(report),
        unique_interval=unique_interval(report),
        detectors_interval=detectors_interval(report),
        chance=_chance_figures(report),
    )


def _chance_figures(report: LayerReport) -> ChanceFigures | None:
    chance = report.chance_level
    if chance is None:
        return None
    rate = per_cent(chance.false_discovery_rate)
    return ChanceFigures(mean_count_text(chance.detectors.mean), rate)
