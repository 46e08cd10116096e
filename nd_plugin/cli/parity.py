"""Comparison of two models, layer by layer: ``nd parity``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nd_plugin.borders.printable import utf8
from nd_plugin.cli import console
from nd_plugin.cli.options.groups import Loading
from nd_plugin.cli.views.plot_files import PlotRequest
from nd_plugin.contracts.models import Model, ModelOptions
from nd_plugin.contracts.provenance import Settings
from nd_plugin.errors import BadInput, RunFailed
from nd_plugin.experiments.layer_choice import LayerChooser
from nd_plugin.experiments.pair_preprocess import (
    MODEL,
    ORIGIN,
    PairPreprocess,
    pair_preprocess,
)
from nd_plugin.experiments.parity import Comparison, parity
from nd_plugin.experiments.parity_text import LEGEND, render, to_json
from nd_plugin.experiments.records import is_folder_of_runs
from nd_plugin.plugins.opening import open_concepts, open_model
from nd_plugin.probe_data.batches import Feed
from nd_plugin.receptive_fields.geometry import Size
from nd_plugin.report.json_text import document_text
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.results import run_folder
from nd_plugin.results.atomic_files import write_file, write_folder
from nd_plugin.storage.names import check_path
from nd_plugin.storage.targets import check_file

SUMMARY = "parity.json"  # in the folder of a comparison
RUNS = ("model", "origin")  # folders of both dissections beside it
JSON_ENDING = ".json"


@dataclass(frozen=True)
class Gates:
    """Bounds that a comparison has to keep within; None for no bound."""

    tolerance: float | None = None  # of activations, relative to the largest
    max_lost: int | None = None  # detectors, of all layers
    max_renamed: int | None = None
    fail_under: float | None = None  # share of detectors kept, of all layers

    def check(self, comparison: Comparison) -> None:
        """Raise RunFailed, naming all bounds that are missed."""
        failures = [
            *self._activation_failures(comparison),
            *self._detector_failures(comparison),
        ]
        if failures:
            raise RunFailed("; ".join(failures))

    def _activation_failures(self, comparison: Comparison) -> Iterator[str]:
        if self.tolerance is None:
            return
        layers = [
            layer.layers[0]
            for layer in comparison.layers
            if not layer.relative <= self.tolerance
        ]
        if layers:
            yield (
                f"activations differ by more than {self.tolerance:g} of the largest activation "
                f"in {', '.join(layers)}"
            )

    def _detector_failures(self, comparison: Comparison) -> Iterator[str]:
        bounds = (self.max_lost, self.max_renamed, self.fail_under)
        if bounds == (None, None, None):
            return
        counts = comparison.counted
        share = counts.share_kept
        if share is None:
            yield (
                f"{ORIGIN} has no detectors in these layers, and bounds on detectors say nothing; "
                "choose other layers or concepts, more images, or a lower --min-iou"
            )
            return
        if self.max_lost is not None and counts.lost > self.max_lost:
            yield (
                f"{counts.lost} of {counts.origin} detectors are lost, "
                f"more than --max-lost {self.max_lost}"
            )
        if self.max_renamed is not None and counts.renamed > self.max_renamed:
            yield (
                f"{counts.renamed} of {counts.origin} detectors are renamed, "
                f"more than --max-renamed {self.max_renamed}"
            )
        if self.fail_under is not None and share < self.fail_under:
            yield (
                f"{counts.kept} of {counts.origin} detectors are kept ({share:.4g}), "
                f"less than --fail-under {self.fail_under:g}"
            )


def compare_models(
    first: str,
    second: str,
    layers: Sequence[str],
    concepts: str,
    *,
    options: tuple[ModelOptions, ModelOptions],
    settings: Settings,
    preprocess_values: Mapping[str, Any],
    loading: Loading,
    gates: Gates,
    output: Path | None,
    overwrite: bool,
    plot: PlotRequest,
    as_json: bool,
) -> None:
    """Compare layers of two models; print the comparison, and save it to ``output``.

    Raises RunFailed where a bound of ``gates`` is missed, after the comparison is printed.
    """
    if output is not None:
        check_output(output, overwrite=overwrite)
    plot.check_run(len(RUNS), settings)
    with console.results_only():
        concept_set = open_concepts(concepts)
        models = (open_model(first, options[0]), open_model(second, options[1]))
        feed = Feed.of(
            concept_set,
            choose_preprocess(*models, preprocess_values),
            settings,
            models[0].device,
            loading.batch_size,
            loading.workers,
        )
        comparison = _compare(
            models, layers, feed, fits_batch=loading.batch_size is None
        )
    content = to_json(comparison)
    if as_json:
        console.print_json(content)
    else:
        console.show(render(comparison))
        console.say(LEGEND)
    if output is not None:
        save_comparison(output, comparison, content)
    plot.write(_named_reports(comparison))
    gates.check(comparison)


def _compare(
    models: tuple[Model, Model],
    layers: Sequence[str],
    feed: Feed,
    *,
    fits_batch: bool,
) -> Comparison:
    """Compare the layers that texts name; ``fits_batch``: in batches that fit their memory."""
    chooser = LayerChooser(*models, feed)
    choice = chooser.choose(layers)
    if fits_batch:
        feed = replace(feed, batch_size=chooser.batch_size(choice))
    with console.progress() as progress:
        return parity(*models, choice.matches, feed, progress, choice.notes)


def _named_reports(comparison: Comparison) -> list[LayerReport]:
    """Return the reports of both models, layer by layer beside each other."""
    pairs = zip(
        comparison.model_dissections, comparison.origin_dissections, strict=True
    )
    reports: list[LayerReport] = []
    for model, origin in pairs:
        reports.append(replace(model.report(), run=MODEL))
        reports.append(replace(origin.report(), run=ORIGIN))
    return reports


def choose_preprocess(
    first: Model, second: Model, values: Mapping[str, Any]
) -> PairPreprocess:
    """Return the preprocessing of both models; ``values`` are those of the command line.

    Both get images of one size: the one that is given, else the origin's, else the model's if it
    takes no other.
    """
    size: Size = values.get("size") or second.preprocess.size
    if "size" not in values and not _takes(first, size):
        size = first.preprocess.size
    return pair_preprocess(first.preprocess, second.preprocess, values, size)


def _takes(model: Model, size: Size) -> bool:
    if model.preprocess.size == size:
        return True
    try:
        return bool(model.layers(size))
    except (BadInput, RunFailed):
        return False


def check_output(output: Path, *, overwrite: bool) -> None:
    """Refuse, before the run, what a comparison cannot be saved to: a JSON file, or a folder."""
    check_path(output)
    if output.suffix == JSON_ENDING and not output.is_dir():
        check_file(output)
        return
    if output.suffix and not output.is_dir():
        raise BadInput(
            f"--output {output}: a comparison is written as JSON (FILE.json), or with both "
            f"dissections into a folder (a name without an ending); {output.suffix} is neither"
        )
    run_folder.check_place(output)
    if not (overwrite and _is_comparison(output)):
        run_folder.check_target(output, overwrite=overwrite)


def _is_comparison(folder: Path) -> bool:
    """Return whether a folder is empty, or holds a comparison and nothing else."""
    return is_folder_of_runs(folder, SUMMARY, RUNS)


def save_comparison(
    output: Path, comparison: Comparison, content: Mapping[str, Any]
) -> None:
    """Write the comparison as JSON, and both dissections beside it if ``output`` is a folder.

    Raises NotSaved.
    """
    text = document_text(content) + "\n"
    if output.suffix == JSON_ENDING and not output.is_dir():
        write_file(output, utf8(text))
        console.say(f"written to {output}")
        return
    command = ["nd", *sys.argv[1:]]
    model_run, origin_run = (output / name for name in RUNS)
    both = (comparison.model_dissections, comparison.origin_dissections)
    files = {SUMMARY: utf8(text)}
    for name, dissections in zip(RUNS, both, strict=True):
        run = run_folder.run_files(dissections, command)
        files.update({f"{name}/{file}": data for file, data in run.items()})
    write_folder(output, files, may_replace=_is_comparison)
    console.say(
        f"saved in {output} (nd report {model_run} of {MODEL}, {origin_run} of {ORIGIN})"
    )
