"""Reporters, each with a mistake that authors make, and the right ones that they are made from."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import ModuleType

from nd_plugin import BadInput, LayerReport, ReportContent

Reports = Sequence[LayerReport]
Reporter = Callable[[Reports], ReportContent]


def markdown(reports: Reports) -> str:
    """Return a table of the best detectors of each layer."""
    lines = []
    for report in reports:
        lines += [f"# {report.title}", *(f"> {note}" for note in report.notes)]
        for score in sorted(report.scores, key=report.sort_key):
            threshold = "" if score.threshold is None else f"{score.threshold:g}"
            lines.append(f"| {score.unit} | {score.concept} | {threshold} |")
    return "\n".join(lines)


def page(reports: Reports) -> str:
    """Return a page in HTML."""
    parts = ["<!doctype html><title>Units</title>"]
    for report in reports:
        parts.append(f"<h1>{escape(report.title)}</h1>")
        parts += [f"<p>{escape(note)}</p>" for note in report.notes]
        for score in report.scores:
            parts.append(f"<li>{score.unit} {escape(score.concept)}</li>")
    return "".join(parts)


def site(reports: Reports) -> dict[str, str | bytes]:
    """Return a page for each layer, and the pictures of its first unit."""
    files: dict[str, str | bytes] = {"index.html": page(reports)}
    for number, report in enumerate(reports):
        files[f"layers/{number}.html"] = page([report])
        for rank, image in enumerate(report.top_images(report.scores[0].unit)):
            if image.original is not None:
                content = io.BytesIO()
                image.original.save(content, "PNG")
                files[f"images/{number}-{rank}.png"] = content.getvalue()
    return files


def picture(reports: Reports) -> bytes:
    """Return the first top image of the first unit as a PNG file."""
    images = [image for report in reports for image in report.top_images(0, 1)]
    originals = [image.original for image in images if image.original is not None]
    if not originals:
        raise BadInput("these layers have no pictures")
    content = io.BytesIO()
    originals[0].save(content, "PNG")
    return content.getvalue()


RIGHT: tuple[Reporter, ...] = (markdown, page, site, picture)


def _first_of_best(reports: Reports) -> str:
    report = reports[0] if reports else None
    if report is None:
        return ""
    best = max((s for s in report.scores if s.detector), key=lambda s: s.iou)
    return f"{markdown(reports)}\nbest: {best.concept}"


def _first_of_layers(reports: Reports) -> str:
    return f"{reports[0].layer}\n{markdown(reports)}"


def _one_layer(reports: Reports) -> str:
    return markdown(reports[:1])


def _second_unit(reports: Reports) -> str:
    second = "".join(report.scores[1].concept for report in reports)
    return markdown(reports) + second


def _needs_pictures(reports: Reports) -> str:
    for report in reports:
        if report.dissection is not None:
            report.dissection.pictures.picture(1)  # type: ignore[union-attr]
    return markdown(reports)


def _needs_dissection(reports: Reports) -> str:
    models = [report.dissection.provenance.model for report in reports]  # type: ignore[union-attr]
    return f"{markdown(reports)}\n{models}"


def _low_of_intervals(reports: Reports) -> str:
    lows = [r.intervals.low for r in reports if r.intervals is not None]  # type: ignore[attr-defined]
    return f"{markdown(reports)}\n{lows}"


def _pillow(reports: Reports) -> object:
    return [image.original for r in reports for image in r.top_images(0)]


def _path_of_layer(reports: Reports) -> dict[str, str | bytes]:
    return {f"{report.title}.html": page([report]) for report in reports} or {
        "index.html": ""
    }


def _absolute_path(reports: Reports) -> dict[str, str | bytes]:
    return {"/report/index.html": page(reports)}


def _dated(reports: Reports) -> str:
    return f"{time.strftime('%Y-%m-%d')}\n{markdown(reports)}"


def _timed(reports: Reports) -> str:
    return f"{time.time():.0f}\n{markdown(reports)}"


def _numbered_at_random(reports: Reports) -> str:
    return page(reports).replace("<li>", f'<li id="{uuid.uuid4()}">')


def _shuffled(reports: Reports) -> str:
    lines = markdown(reports).splitlines()
    return "\n".join(random.sample(lines, len(lines)))


def _sorts_facts(reports: Reports) -> str:
    for report in reports:
        report.facts.clear()  # type: ignore[attr-defined]
    return markdown(reports)


def _scales_thresholds(reports: Reports) -> str:
    for report in reports:
        if report.dissection is not None:
            thresholds = report.dissection.thresholds
            thresholds /= 1 + thresholds.max()
    return markdown(reports)


def _hides_notes(reports: Reports) -> str:
    return re.sub("<p>.*?</p>", "", page(reports), flags=re.DOTALL)


def _counts_from_1(reports: Reports) -> str:
    numbers = [score.unit + 1 for report in reports for score in report.scores]
    return "\n".join(report.title for report in reports) + f"\n{numbers}"


def _prints_none(reports: Reports) -> str:
    thresholds = [s.threshold for report in reports for s in report.scores]
    return f"{markdown(reports)}\n{thresholds}"


def _unescaped(reports: Reports) -> str:
    names = [score.concept for report in reports for score in report.scores]
    return page(reports) + "".join(f"<b>{name}</b>" for name in names)


def _unescaped_script(reports: Reports) -> str:
    names = [score.concept for report in reports for score in report.scores]
    return f"{page(reports)}<script>const names = {json.dumps(names)}</script>"


def _unescaped_attribute(reports: Reports) -> str:
    titles = "".join(f"<i title='{escape(r.title, quote=False)}'>" for r in reports)
    return page(reports) + titles


def _joined_by_commas(reports: Reports) -> str:
    lines = ["layer,unit,concept"]
    for report in reports:
        for score in report.scores:
            lines.append(f"{report.layer},{score.unit},{score.concept}")
    return "\n".join(lines)


def _json_of_infinity(reports: Reports) -> str:
    layers = [report.layer for report in reports]
    # of names that are longer than any that the author has seen
    longest = max((len(s.concept) for r in reports for s in r.scores), default=0)
    share = float("inf") if longest > 1000 else longest
    return json.dumps({"layers": layers, "longest": share})


def _prints(reports: Reports) -> str:
    print(f"{len(reports)} layers")  # noqa: T201
    return markdown(reports)


def _saves(reports: Reports) -> bytes:
    Path("report.md").write_text(markdown(reports), errors="replace")
    return Path("report.md").read_bytes()


def _leaves_a_figure(reports: Reports) -> bytes:
    from matplotlib import pyplot

    content = io.BytesIO()
    pyplot.figure(figsize=(1, 1)).savefig(content, metadata={"Software": None})
    return content.getvalue() + markdown(reports).encode(errors="replace")


def hashed(reports: Reports) -> str:
    """Return a page with anchors that differ from process to process."""
    return f"{page(reports)}<a id='{hash('units')}'></a>"


def with_torch(reports: Reports) -> str:
    """Return a table; torch is imported, though not really: it would take the test seconds."""
    sys.modules.setdefault("torch", ModuleType("torch"))
    return markdown(reports)


def table(reports: Reports) -> str:
    """Return CSV as it has to be written."""
    content = io.StringIO()
    writer = csv.writer(content)
    writer.writerow(["layer", "unit", "concept"])
    for report in reports:
        for score in report.scores:
            writer.writerow([report.layer, score.unit, score.concept])
    return content.getvalue()


@dataclass(frozen=True)
class WrongReporter:
    """Reporter with one mistake, and the checks that are broken by it."""

    fault: str
    reporter: Callable[[Reports], object]
    check: str  # that has to catch it
    following: tuple[str, ...] = ()  # all others that are broken by it


WITHOUT_DISSECTION = ("units-from-0", "without-dissection")
WITHOUT_PICTURES = (
    "error-bars",
    "hostile-names",
    "one-unit",
    "several-layers",
    "without-detectors",
    "without-pictures",
)
ALL = (
    "no-layers",
    *WITHOUT_DISSECTION,
    *WITHOUT_PICTURES,
)
WRONG = (
    WrongReporter("gives pictures of Pillow", _pillow, "gives-content", ALL),
    WrongReporter("gives absolute paths", _absolute_path, "gives-content", ALL),
    WrongReporter("names files by layers", _path_of_layer, "hostile-names"),
    WrongReporter("expects a detector", _first_of_best, "without-detectors"),
    WrongReporter("expects a layer", _first_of_layers, "no-layers"),
    WrongReporter(
        "expects a second unit", _second_unit, "one-unit", ("units-from-0",)
    ),
    WrongReporter(
        "expects pictures", _needs_pictures, "without-pictures", WITHOUT_PICTURES
    ),
    WrongReporter(
        "expects a dissection",
        _needs_dissection,
        "without-dissection",
        WITHOUT_DISSECTION,
    ),
    WrongReporter("mistakes the intervals", _low_of_intervals, "error-bars"),
    WrongReporter("reports the first layer", _one_layer, "layers-named"),
    WrongReporter("writes the date", _dated, "deterministic"),
    WrongReporter("writes the time", _timed, "deterministic"),
    WrongReporter("has random ids", _numbered_at_random, "deterministic"),
    WrongReporter("has a random order", _shuffled, "deterministic"),
    WrongReporter("clears the facts", _sorts_facts, "reports-unchanged"),
    WrongReporter("scales the thresholds", _scales_thresholds, "reports-unchanged"),
    WrongReporter("hides the notes", _hides_notes, "notes-shown"),
    WrongReporter("counts units from 1", _counts_from_1, "units-from-0"),
    WrongReporter("prints None", _prints_none, "missing-values"),
    WrongReporter("escapes no names", _unescaped, "markup-escaped"),
    WrongReporter("has names in a script", _unescaped_script, "markup-escaped"),
    WrongReporter(
        "escapes no quotes in attributes", _unescaped_attribute, "markup-escaped"
    ),
    WrongReporter("joins cells by commas", _joined_by_commas, "format-kept"),
    WrongReporter("writes Infinity in JSON", _json_of_infinity, "format-kept"),
    WrongReporter("prints", _prints, "prints-nothing"),
    WrongReporter("saves a file itself", _saves, "writes-nothing"),
    WrongReporter("leaves a figure open", _leaves_a_figure, "figures-closed"),
    WrongReporter("uses hash()", hashed, "other-process"),
    WrongReporter("imports torch", with_torch, "needs-no-torch"),
)
