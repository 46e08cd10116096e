"""Results side by side, each under the name that tells it from the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from nd_plugin.errors import BadInput
from nd_plugin.report.layer_report import LayerReport


class Reported(Protocol):
    """Whatever has a report of a layer, such as a `Dissection`."""

    def report(self) -> LayerReport:
        """Return what a report shows of this layer."""


Result = LayerReport | Reported
Results = Result | Sequence[Result] | Mapping[str, Result]


def report_of(result: Any) -> LayerReport:
    """Return the report of a result. Raises BadInput for what has none."""
    if isinstance(result, LayerReport):
        return result
    report = result.report() if hasattr(result, "report") else None
    if not isinstance(report, LayerReport):
        raise BadInput(
            f"a result is of type {type(result).__name__}; expected a Dissection, a LayerReport, "
            "or several in a list or, with names, in a dict"
        )
    return report


def named_reports(results: Results) -> dict[str, LayerReport]:
    """Return the reports of one or several results by name, in their order.

    The names are those of a dict's keys; else what differs of run (or model), layer and quantile.
    Lists in a list are flattened, such as those of `LayerDissection.dissect` for several
    quantiles. Raises BadInput for no result.
    """
    if isinstance(results, Mapping):
        reports = {str(name): report_of(result) for name, result in results.items()}
    else:
        reports_in_order = [report_of(result) for result in flattened(results)]
        names = distinct_names(reports_in_order)
        reports = dict(zip(names, reports_in_order, strict=True))
    if not reports:
        raise BadInput("no result to show: the list is empty")
    return reports


def counted_alike(
    reports: Mapping[str, LayerReport],
) -> tuple[dict[str, LayerReport], bool]:
    """Return reports whose summaries count in one way, and whether that is per category.

    That is so where a network has counts without units. Raises BadInput for labels without IoU.
    """
    for name, report in reports.items():
        if report.recorded == "labels":
            raise BadInput(
                f"{name} has labels without IoU, and no detectors that could be drawn; leave it out"
            )
    per_category = any(report.recorded == "counts" for report in reports.values())
    if not per_category:
        return dict(reports), False
    counted = {
        name: report.counted_per_category() for name, report in reports.items()
    }
    return counted, True


def unique_label(*, per_category: bool) -> str:
    """Return what an axis of unique detectors is called, by the way of counting."""
    return "unique detectors, per category" if per_category else "unique detectors"


def reports_of_units(results: Results) -> dict[str, LayerReport]:
    """Return `named_reports` of results whose units have an IoU. Raises BadInput for others."""
    reports = named_reports(results)
    for name, report in reports.items():
        if report.recorded != "units":
            raise BadInput(
                f"{name} has no units with IoU, which this kind of plot shows; leave it out"
            )
    return reports


def flattened(results: Any) -> list[Any]:
    """Return the results in lists of any depth; a result alone as a list of one."""
    if not isinstance(results, list | tuple):
        return [results]
    flat: list[Any] = []
    for result in results:
        flat += flattened(result)
    return flat


def distinct_names(reports: Sequence[LayerReport]) -> list[str]:
    """Return a name for each report: what differs of run, layer and quantile; numbers at last."""
    words = differing_words([_subjects(report) for report in reports])
    names = [
        name or report.title for name, report in zip(words, reports, strict=True)
    ]
    return _numbered(names)


def differing_words(subjects: Sequence[Sequence[str]]) -> list[str]:
    """Return what differs of subjects, rows of as many words each; "" where nothing does."""
    columns = list(zip(*subjects, strict=True))
    # what a file does not record differs from nothing
    differing = [column for column in columns if len({*column} - {""}) > 1]
    words = list(zip(*differing, strict=True)) or [()] * len(subjects)
    return [" ".join(dict.fromkeys(filter(None, row))) for row in words]


def layer_names(layers: Sequence[tuple[str, str]]) -> list[str]:
    """Return a name for each layer, given with the origin of its model; numbers at last."""
    subjects = [(short_model_name(source), layer) for source, layer in layers]
    words = differing_words(subjects)
    names = [word or layer for word, (_, layer) in zip(words, layers, strict=True)]
    return _numbered(names)


def _subjects(report: LayerReport) -> tuple[str, str, str]:
    quantile = report.summary.quantile
    tau = "" if quantile is None else f"τ={quantile:g}"
    return report.run or _model_name(report), report.layer, tau


def _model_name(report: LayerReport) -> str:
    """Return a short name of the model, such as ``resnet18`` of ``torchvision:resnet18 (…)``."""
    return short_model_name(report.facts.get("model", "").partition(" (")[0])


def short_model_name(source: str) -> str:
    """Return the end of a model's origin, such as ``resnet18`` of ``torchvision:resnet18``."""
    return re.split(r"[:/\\]", source.partition("?")[0])[-1]


def _numbered(names: Sequence[str]) -> list[str]:
    """Number names that are equal."""
    counts = Counter(names)
    numbers: Counter[str] = Counter()
    numbered = []
    for name in names:
        numbers[name] += 1
        is_unique = counts[name] == 1
        numbered.append(name if is_unique else f"{name} ({numbers[name]})")
    return numbered
