"""Accuracy of a linear classifier on layers, beside their detectors: ``nd probe``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nd_plugin.cli import console, parsing
from nd_plugin.cli.options.groups import Loading
from nd_plugin.cli.views.plot_files import PlotFile
from nd_plugin.contracts.models import ModelOptions
from nd_plugin.contracts.provenance import Settings
from nd_plugin.errors import BadInput, LayerNotFound
from nd_plugin.experiments.probing.discrimination import (
    Discrimination,
    Rotations,
    discriminate,
)
from nd_plugin.experiments.probing.discrimination_files import (
    discrimination_content,
    is_discrimination_folder,
    load_discrimination,
    save_discrimination,
)
from nd_plugin.experiments.probing.discrimination_text import (
    correlation_text,
    render,
    render_points,
)
from nd_plugin.experiments.probing.labelled_images import find_labelled_images
from nd_plugin.experiments.probing.linear_svm import SvmSettings, load_classifier
from nd_plugin.experiments.probing.object_detectors import (
    NetworkPoints,
    check_category,
    match_networks,
)
from nd_plugin.plots.named_results import layer_names
from nd_plugin.plugins.layer_patterns import LayerNames
from nd_plugin.plugins.opening import open_model
from nd_plugin.results import run_folder
from nd_plugin.results.dissection import Dissection

ACCURACY = "accuracy"
DETECTORS = "detectors"
KINDS = (ACCURACY, DETECTORS)


@dataclass(frozen=True)
class ProbeView:
    """What is shown of accuracies: runs beside them, a figure, JSON."""

    runs: Sequence[Path]
    category: str
    plot: PlotFile
    as_json: bool

    def check(self) -> None:
        """Check the options before a run. Raises BadInput, Unavailable."""
        self.plot.check_kind(KINDS)
        if self.plot.kind == DETECTORS and not self.runs:
            raise BadInput(
                "--plot-kind detectors needs the runs of the networks: --run RUN"
            )
        self.plot.check()
        check_category(self.dissections, self.category)

    @cached_property
    def dissections(self) -> list[Dissection]:
        """Layers of the runs."""
        return [layer for run in self.runs for layer in run_folder.load_run(run)]

    @property
    def kind(self) -> str:
        """Kind of figure; with runs, accuracy against detectors."""
        return self.plot.kind or (DETECTORS if self.runs else ACCURACY)


def parse_rotations(alphas: str | None, repeats: int) -> Rotations:
    """Return the rotations that ``--rotate`` asks for. Raises BadInput."""
    numbers = parsing.parse_numbers(alphas, "--rotate") if alphas else ()
    return Rotations(tuple(numbers), tuple(range(repeats)))


def probe(
    model: str,
    folder: Path,
    layers: Sequence[str],
    *,
    output: Path | None,
    overwrite: bool,
    svm: SvmSettings,
    rotations: Rotations,
    options: ModelOptions,
    settings: Settings,
    preprocess_values: Mapping[str, Any],
    loading: Loading,
    view: ProbeView,
) -> None:
    """Train and test a classifier on layers of a model; save and report its accuracies."""
    if not layers:
        raise BadInput(
            "--layer (-l) is missing: the classifier needs a layer's units"
        )
    target = output or run_folder.free_name(_default_folder(model, folder))
    _check_target(target, overwrite=overwrite)
    load_classifier()
    images = find_labelled_images(folder)
    with console.results_only(), console.progress() as progress:
        opened = open_model(model, options)
        result = discriminate(
            opened,
            layers,
            images,
            svm=svm,
            rotations=rotations,
            preprocess=opened.preprocess.changed(preprocess_values),
            settings=settings,
            batch_size=loading.batch_size,
            workers=loading.workers,
            progress=progress,
        )
    save_discrimination(target, result)
    console.say(f"saved in {target} (nd probe --from {target})")
    show([result], view)


def show_saved(
    sources: Sequence[Path], layers: Sequence[str], view: ProbeView
) -> None:
    """Report saved accuracies, without model and images."""
    results = [load_discrimination(source) for source in sources]
    show([_only_layers(result, layers) for result in results], view)


def show(results: Sequence[Discrimination], view: ProbeView) -> None:
    """Print accuracies, beside detectors where there are runs; draw the figure asked for."""
    points = _points(results, view)
    if view.as_json:
        console.print_json(_content(results, points))
    else:
        for result in results:
            console.show(render(result))
        if points is not None:
            console.show(render_points(points))
    view.plot.write(lambda: _draw(results, points, view))


def _points(
    results: Sequence[Discrimination], view: ProbeView
) -> NetworkPoints | None:
    if not view.runs:
        return None
    return match_networks(results, view.dissections, view.category)


def _content(
    results: Sequence[Discrimination], points: NetworkPoints | None
) -> dict[str, Any]:
    content: dict[str, Any] = {
        "results": [discrimination_content(result) for result in results]
    }
    if points is not None:
        content["networks"] = {
            "category": points.category,
            "points": [asdict(point) for point in points.points],
            "pearson": points.pearson,
            "spearman": points.spearman,
            "notes": list(points.notes),
        }
    return content


def _draw(
    results: Sequence[Discrimination],
    points: NetworkPoints | None,
    view: ProbeView,
) -> Any:
    # matplotlib takes a second to import
    from nd_plugin.plots.experiments.discrimination import (
        plot_accuracies,
        plot_discrimination,
    )

    if view.kind == DETECTORS and points is not None:
        subjects = [(point.network, point.layer) for point in points.points]
        return plot_discrimination(
            [point.detectors for point in points.points],
            [point.accuracy for point in points.points],
            [point.interval for point in points.points],
            layer_names(subjects),
            category=points.category,
            title=correlation_text(points),
            detector_intervals=[
                point.detectors_interval for point in points.points
            ],
        )
    layers = [(result, layer) for result in results for layer in result.layers]
    names = layer_names(
        [(result.model.source, layer.layer) for result, layer in layers]
    )
    accuracies = {}
    rotated = {}
    for name, (_, layer) in zip(names, layers, strict=True):
        accuracies[name] = (layer.accuracy.mean, layer.accuracy.interval)
        rotated[name] = [item.accuracy.mean for item in layer.rotated]
    chances = {result.chance for result in results}
    chance = chances.pop() if len(chances) == 1 else None
    return plot_accuracies(accuracies, rotated, chance=chance)


def _only_layers(result: Discrimination, layers: Sequence[str]) -> Discrimination:
    """Return the accuracies of some layers; all where none is named. Raises LayerNotFound."""
    if not layers:
        return result
    by_name = {layer.layer: layer for layer in result.layers}
    names = LayerNames(tuple(by_name))
    chosen: dict[str, None] = {}
    for text in layers:
        chosen.update(dict.fromkeys(names.expand(text)))
    for name in chosen:
        if name not in by_name:
            raise LayerNotFound(
                f"there is no accuracy of layer {name!r}; there are {', '.join(by_name)}"
            )
    return replace(result, layers=tuple(by_name[name] for name in chosen))


def _check_target(folder: Path, *, overwrite: bool) -> None:
    run_folder.check_place(folder)
    if overwrite and folder.is_dir() and is_discrimination_folder(folder):
        return
    run_folder.check_target(folder, overwrite=overwrite)


def _default_folder(model: str, images: Path) -> Path:
    name = parsing.run_name(model, f"images:{images}")
    return Path("runs") / f"{name.replace('-images-', '-')}-probe"
