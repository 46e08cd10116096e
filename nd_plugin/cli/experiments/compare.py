"""Comparison of results: ``nd compare``. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nd_plugin.borders.printable import utf8
from nd_plugin.cli import console
from nd_plugin.cli.views.plot_files import PlotFile
from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.comparison.layer_comparison import LayerComparison
from nd_plugin.errors import BadInput, RunFailed
from nd_plugin.experiments.comparing.best_detectors import (
    BestDetectors,
    find_best_detectors,
)
from nd_plugin.experiments.comparing.gate import Gate, check_gate
from nd_plugin.experiments.comparing.junit import junit_xml
from nd_plugin.experiments.comparing.results import read_results
from nd_plugin.experiments.comparing.tables import concepts_csv, layers_csv
from nd_plugin.plots.kinds import plot_kind
from nd_plugin.report.json_text import document_text
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.results.atomic_files import recovered, write_file, write_folder
from nd_plugin.storage.names import check_path
from nd_plugin.storage.targets import check_file, check_folder

DEFAULT_KIND = "networks"
JSON = "comparison.json"  # in a folder
LAYERS = "layers.csv"
CONCEPTS = "concepts.csv"
FILE_ENDINGS = (".json", ".csv")


@dataclass(frozen=True)
class CompareOptions:
    """Options of ``nd compare``."""

    concepts: tuple[str, ...]
    min_iou: float | None
    fail_under: float | None
    junit: Path | None
    output: Path | None
    overwrite: bool
    plot: PlotFile
    as_json: bool

    def check(self) -> None:
        """Raise BadInput for options that do not go together, and files that cannot be written."""
        if self.junit is not None and self.fail_under is None:
            raise BadInput(
                "--junit has verdicts to write with --fail-under SHARE alone"
            )
        if self.junit is not None:
            check_file(self.junit)
        if self.output is not None:
            check_output(self.output, overwrite=self.overwrite)
        self._check_plot()

    def _check_plot(self) -> None:
        if self.plot.kind is not None:
            kind = plot_kind(self.plot.kind)
            self.plot.check(has_pictures=kind.has_pictures)
            return
        if self.plot.path is not None and len(self.concepts) > 1:
            raise BadInput(
                f"a figure shows one concept, and --concept names {len(self.concepts)}; draw them "
                "one at a time, or another --plot-kind"
            )
        self.plot.check()


def compare(texts: Sequence[str], options: CompareOptions) -> None:
    """Compare results; print, save and draw the comparison, then check the gate.

    Raises RunFailed where the gate is missed, after everything is written.
    """
    options.check()
    results = read_results(texts, options.min_iou)
    gate = None
    if options.fail_under is not None:
        gate = check_gate(results, options.fail_under)
    layers = [layer for result in results for layer in result]
    comparison = LayerComparison(layers)
    concepts = [
        best
        for name in options.concepts
        for best in find_best_detectors(comparison, name)
    ]
    content = _content(comparison, concepts, gate)
    if options.as_json:
        console.print_json(content)
    else:
        _show(comparison, concepts, gate)
    _write_files(comparison, content, gate, options)
    _draw(layers, concepts, options)
    if gate is not None and gate.failures:
        raise RunFailed("; ".join(gate.failures))


def _content(
    comparison: LayerComparison,
    concepts: Sequence[BestDetectors],
    gate: Gate | None,
) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    content: dict[str, Any] = {"comparison": comparison.to_dict()}
    if concepts:
        content["best_detectors"] = [best.to_dict() for best in concepts]
    if gate is not None:
        content["gate"] = gate.to_dict()
    return content


def _show(
    comparison: LayerComparison,
    concepts: Sequence[BestDetectors],
    gate: Gate | None,
) -> None:
    console.show(comparison)
    for best in concepts:
        console.write("")
        console.show(best)
    if gate is not None:
        _say_verdicts(gate)


def _say_verdicts(gate: Gate) -> None:
    """Say which layers pass, and what the verdict rests on; failures are the command's error."""
    for case in gate.cases:
        if case.failure:
            continue
        remark = f"; {case.remark}" if case.remark else ""
        console.say(
            f"{case.new} {case.layer}: {case.new_count} of {case.base_count} {case.counted} "
            f"({case.share:.4g}), passes --fail-under {gate.fail_under:g}{remark}"
        )
    remarks = {
        case.remark: None for case in gate.cases if case.failure and case.remark
    }
    console.warn(remarks)


def check_output(output: Path, *, overwrite: bool) -> None:
    """Refuse what a comparison cannot be saved to. Raises BadInput."""
    check_path(output)
    recovered(output)
    if output.is_dir():
        names = {child.name for child in output.iterdir()}
        if names and not (overwrite and _is_comparison(output)):
            remedy = (
                "replace it with --overwrite"
                if _is_comparison(output)
                else "it is kept"
            )
            raise BadInput(
                f"{output} holds {', '.join(sorted(names)[:3])}; choose another folder, or {remedy}"
            )
    elif output.suffix and output.suffix.lower() not in FILE_ENDINGS:
        raise BadInput(
            f"--output {output}: a comparison is written as FILE.json, as FILE.csv, or into a "
            f"folder (a name without an ending); {output.suffix} is none of these"
        )
    elif output.suffix:
        check_file(output)
    else:
        check_folder(output, "a comparison without an ending")


def _is_comparison(folder: Path) -> bool:
    """Return whether a folder holds a comparison and nothing else."""
    names = {child.name for child in folder.iterdir()}
    return not names or names == {JSON, LAYERS, CONCEPTS}


def _write_files(
    comparison: LayerComparison,
    content: dict[str, Any],
    gate: Gate | None,
    options: CompareOptions,
) -> None:
    if options.junit is not None and gate is not None:
        write_file(options.junit, junit_xml(gate))
        console.say(f"written to {options.junit}")
    output = options.output
    if output is None:
        return
    text = document_text(content) + "\n"
    ending = "" if output.is_dir() else output.suffix.lower()
    if ending == ".json":
        write_file(output, utf8(text))
    elif ending == ".csv":
        write_file(output, utf8(layers_csv(comparison)))
    else:
        files = {
            JSON: utf8(text),
            LAYERS: utf8(layers_csv(comparison)),
            CONCEPTS: utf8(concepts_csv(comparison)),
        }
        write_folder(output, files, may_replace=_is_comparison)
    console.say(f"written to {output}")


def _draw(
    layers: Sequence[ComparedLayer],
    concepts: Sequence[BestDetectors],
    options: CompareOptions,
) -> None:
    """Draw a plot of all results, or of the units of a concept, if a file is named."""
    reports: list[LayerReport] = [layer.report for layer in layers]
    options.plot.write(lambda: _figure(reports, concepts, options.plot.kind))


def _figure(
    reports: Sequence[LayerReport],
    concepts: Sequence[BestDetectors],
    kind: str | None,
) -> Any:
    if kind is None and concepts:
        # matplotlib takes a second to import
        from nd_plugin.plots.experiments.concept_units import plot_concept_units

        return plot_concept_units(reports, concepts[0].concept.key)
    return plot_kind(kind or DEFAULT_KIND).draw(reports)
