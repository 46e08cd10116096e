"""Comparisons as pages: a folder with a page for each concept and each run's report, or one file.

The comparison is ``index.html``; ``concepts/N.html`` shows the best units of a concept in all
layers, as the paper's figure 11 does; ``run-N/`` is the report of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nd_plugin.borders.printable import utf8
from nd_plugin.comparison.compared_layers import FEWEST_LAYERS, ComparedLayer
from nd_plugin.comparison.concept_views import (
    Amounts,
    CellMaker,
    ConceptView,
    SourceOf,
    group_of,
)
from nd_plugin.comparison.terminal import category_texts, count_rows
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.results.displayed_layers import is_page_name, write_pages
from nd_plugin.results.folder_names import REPORT_PAGE
from nd_plugin.site import pages
from nd_plugin.site.image_columns import PictureFiles
from nd_plugin.site.report_pages import folder_files
from nd_plugin.site.summary_charts import Bar, stacked_bars
from nd_plugin.site.top_images import TopImage

if TYPE_CHECKING:
    from nd_plugin.comparison.layer_comparison import LayerComparison

IN_A_FOLDER = Amounts(units=3, pictures=5)
IN_A_FILE = Amounts(units=1, pictures=3)
PICTURES_IN_A_FILE = 1000  # about 10 kB each
IMAGES = "images"
SUBJECTS = ("model", "concepts", "input", "settings", "source")


@dataclass(frozen=True)
class LayerView:
    """Layer as a row of the table of layers."""

    layer: ComparedLayer
    href: str  # its report; "" for none
    bars: tuple[Bar, ...]


def write_comparison(comparison: LayerComparison, path: Path) -> None:
    """Write a comparison as a folder, or as one file where ``path`` ends in ``.html``.

    Raises BadInput for a folder of other things, NotSaved.
    """
    if is_page_name(path):
        write_pages({REPORT_PAGE: utf8(file_page(comparison))}, path)
    else:
        write_pages(folder_pages(comparison), path)


def folder_pages(comparison: LayerComparison) -> dict[str, bytes]:
    """Return the files of a folder by name; no name comes from a text of the runs."""
    runs = _runs(comparison.layers)
    files: dict[str, bytes] = {}
    for folder, reports in runs.items():
        for name, content in folder_files(reports).items():
            files[f"{folder}/{name}"] = content
    pictures = PictureFiles()

    def source_of(image: TopImage) -> str:
        name = pictures.add(image.encoded, image.suffix)
        return f"../{IMAGES}/{name}"

    hrefs = _layer_hrefs(comparison.layers)
    views = concept_views(
        comparison, [f"../{href}" for href in hrefs], IN_A_FOLDER, source_of
    )
    for view, text in zip(views, _concept_pages(comparison, views), strict=True):
        files[view.href] = utf8(text)
    files[REPORT_PAGE] = utf8(_index_page(comparison, views, hrefs))
    for encoded, name in pictures.names.items():
        files[f"{IMAGES}/{name}"] = encoded
    return files


def file_page(comparison: LayerComparison) -> str:
    """Return a comparison as one page, with fewer pictures and without the runs' own reports."""
    pictures = min(
        IN_A_FILE.pictures, PICTURES_IN_A_FILE // _pictured_cells(comparison)
    )
    amounts = replace(IN_A_FILE, pictures=pictures)
    hrefs = [""] * len(comparison)
    views = concept_views(comparison, hrefs, amounts, lambda image: image.source)
    return _index_page(comparison, views, hrefs, is_file=True)


def _pictured_cells(comparison: LayerComparison) -> int:
    """Count the concepts of each layer that has pictures; at least 1."""
    cells = 0
    for index, layer in enumerate(comparison.layers):
        dissection = layer.dissection
        if dissection is not None and dissection.pictures is not None:
            matches = [concept.matches[index] for concept in comparison.concepts]
            cells += sum(match.best is not None for match in matches)
    return max(cells, 1)


def _runs(layers: Sequence[ComparedLayer]) -> Mapping[str, list[LayerReport]]:
    """Return the reports of each run, by the name of its folder."""
    runs: dict[str, list[LayerReport]] = {}
    for layer, number in zip(layers, _run_numbers(layers), strict=True):
        runs.setdefault(f"run-{number}", []).append(layer.report)
    return runs


def _run_numbers(layers: Sequence[ComparedLayer]) -> list[int]:
    """Return the number of each layer's run, counted from 1."""
    names = list(dict.fromkeys(layer.run for layer in layers))
    return [names.index(layer.run) + 1 for layer in layers]


def _layer_hrefs(layers: Sequence[ComparedLayer]) -> list[str]:
    """Return the address of each layer in the report of its run."""
    hrefs = []
    layers_of_run: dict[int, int] = {}
    for number in _run_numbers(layers):
        layers_of_run[number] = layers_of_run.get(number, 0) + 1
        hrefs.append(f"run-{number}/{REPORT_PAGE}#layer-{layers_of_run[number]}")
    return hrefs


def concept_views(
    comparison: LayerComparison,
    hrefs: Sequence[str],
    amounts: Amounts,
    source_of: SourceOf,
) -> list[ConceptView]:
    """Return each concept with what a page shows of it; ``hrefs`` are those of the layers."""
    longest = max(
        (concept.highest_iou for concept in comparison.concepts), default=0
    )
    makers = [
        CellMaker(layer, href, longest, amounts, source_of)
        for layer, href in zip(comparison.layers, hrefs, strict=True)
    ]
    views = []
    for number, concept in enumerate(comparison.concepts, start=1):
        cells = [
            maker.cell(concept, match)
            for maker, match in zip(makers, concept.matches, strict=True)
        ]
        category = comparison.categories.index(concept.category)
        views.append(
            ConceptView(number, concept, category, group_of(concept), tuple(cells))
        )
    return views


def _concept_pages(
    comparison: LayerComparison, views: Sequence[ConceptView]
) -> list[str]:
    """Return the page of each concept, with links to its neighbours."""
    texts = []
    for index, view in enumerate(views):
        before = views[index - 1] if index else None
        behind = views[index + 1] if index + 1 < len(views) else None
        text = pages.page(
            "compared_concept.html",
            f"{view.concept.concept}: side by side",
            categories=comparison.categories,
            loads_files=True,
            view=view,
            before=before,
            behind=behind,
        )
        texts.append(text)
    return texts


def _index_page(
    comparison: LayerComparison,
    views: Sequence[ConceptView],
    hrefs: Sequence[str],
    *,
    is_file: bool = False,
) -> str:
    summaries = [layer.report.summary for layer in comparison.layers]
    longest = max(summary.unique_detectors for summary in summaries)
    layers = [
        LayerView(
            layer,
            href,
            tuple(stacked_bars(layer.report, comparison.categories, longest)),
        )
        for layer, href in zip(comparison.layers, hrefs, strict=True)
    ]
    return pages.page(
        "comparison.html",
        "Side by side",
        script=pages.script("comparison.js"),
        categories=comparison.categories,
        loads_files=not is_file,
        comparison=comparison,
        layers=layers,
        counts=_count_table(comparison),
        facts=_fact_table(comparison),
        views=views,
        groups=_groups(comparison, views),
        is_file=is_file,
        all_categories=comparison.categories,
    )


def _count_table(
    comparison: LayerComparison,
) -> list[tuple[str, int | None, list[str]]]:
    """Return the counts of all layers: name, index of the category if it is one, texts."""
    rows: list[tuple[str, int | None, list[str]]] = [
        (name, None, texts) for name, texts in count_rows(comparison)
    ]
    for number, category in enumerate(comparison.categories):
        texts = category_texts(comparison, category)
        rows.append((category, number, texts))
    return rows


def _fact_table(comparison: LayerComparison) -> list[tuple[str, list[str]]]:
    """Return what was run, by subject: a text for each layer, "" where it is not known."""
    rows = []
    for subject in SUBJECTS:
        texts = [layer.report.facts.get(subject, "") for layer in comparison.layers]
        if any(texts):
            rows.append((subject, texts))
    return rows


def _groups(
    comparison: LayerComparison, views: Sequence[ConceptView]
) -> list[tuple[str, str, int]]:
    """Return the groups of concepts by the layers that detect them: id, name, number."""
    titles = {"all": "in every layer"}
    if len(comparison) > FEWEST_LAYERS:
        titles["several"] = "in several, not in all"
    for index, name in enumerate(comparison.names):
        titles[f"only-{index}"] = f"only in {name}"
    return [
        (group, title, sum(view.group == group for view in views))
        for group, title in titles.items()
    ]
