"""Stages of a training, dissected and compared: ``nd evolve``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nd_plugin.cli import console, parsing
from nd_plugin.cli.views.plot_files import PlotFile
from nd_plugin.contracts.provenance import Settings
from nd_plugin.errors import BadInput, LayerNotFound, RunFailed
from nd_plugin.experiments.evolution.change_kinds import NONE
from nd_plugin.experiments.evolution.evolution import (
    Evolution,
    evolve,
    is_stage,
)
from nd_plugin.experiments.evolution.evolution_files import (
    check_folder,
    load_evolution,
    save_evolution,
)
from nd_plugin.experiments.evolution.evolution_text import render
from nd_plugin.experiments.evolution.histories import LayerEvolution, Transition
from nd_plugin.experiments.evolution.training_spread import (
    check_same_stages,
    mean_accuracies,
    spread_table,
    trainings_content,
)
from nd_plugin.machine.termination import Terminated
from nd_plugin.plugins.layer_patterns import LayerNames

EMERGENCE = "emergence"
HISTORIES = "histories"
CHANGES = "changes"
KINDS = (EMERGENCE, HISTORIES, CHANGES)


def plot_file(path: Path | None, kind: str | None) -> PlotFile:
    """Return the file to draw an evolution into, checked. Raises BadInput, Unavailable."""
    file = PlotFile(path, kind)
    file.check_kind(KINDS)
    file.check()
    return file


def run_stages(
    texts: Sequence[str],
    layers: Sequence[str],
    concepts: str | None,
    *,
    output: Path | None,
    steps: str | None,
    dissecting: Mapping[str, Any],
    plot: PlotFile,
    as_json: bool,
) -> None:
    """Dissect the stages that are not dissected yet, save the evolution, report it.

    ``texts`` are the model and the checkpoints, or checkpoints that are models; ``dissecting`` are
    arguments of `evolve`, on how stages are dissected. Raises RunFailed where some stages could
    not be dissected, after the others are reported.
    """
    model, checkpoints = _split_texts(texts)
    if not layers or concepts is None:
        option = "--layer (-l)" if not layers else "--concepts (-c)"
        raise BadInput(
            f"{option} is missing: stages are dissected at a layer on concepts"
        )
    folder = output or _default_folder(model or checkpoints[0], concepts)
    check_folder(folder)
    with (
        _progress_kept(folder),
        console.results_only(),
        console.progress() as progress,
    ):
        evolution = evolve(
            model,
            checkpoints,
            layers,
            concepts,
            folder,
            steps=_parse_steps(steps),
            progress=progress,
            say=console.say,
            command=["nd", *sys.argv[1:]],
            **dissecting,
        )
    save_evolution(folder, evolution)
    show([evolution], as_json=as_json)
    console.say(f"saved in {folder} (nd evolve --from {folder})")
    _draw([evolution], plot)
    _check_complete(evolution)


def _check_complete(evolution: Evolution) -> None:
    """Raise RunFailed where stages could not be dissected."""
    if evolution.failed:
        names = ", ".join(stage.stage.name for stage in evolution.failed)
        raise RunFailed(f"not all stages could be dissected: {names}")


def _split_texts(texts: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """Return the model, None where each checkpoint is one, and the checkpoints. Raises BadInput."""
    if is_stage(texts[0]):
        return None, texts
    if len(texts) == 1:
        raise BadInput(
            f"no checkpoint beside the model {texts[0]!r}: name files of weights or a folder"
        )
    return texts[0], texts[1:]


def show_saved(
    folders: Sequence[Path],
    layers: Sequence[str],
    *,
    min_iou: float | None,
    accuracy: Path | None,
    plot: PlotFile,
    as_json: bool,
) -> None:
    """Report saved evolutions, one or several of the same stages, without model and data."""
    if min_iou is not None:
        Settings(min_iou=min_iou)  # checks its range
    evolutions = [load_evolution(folder, min_iou) for folder in folders]
    if accuracy is not None:
        evolutions = [item.with_accuracies(accuracy) for item in evolutions]
    evolutions = [_only_layers(item, layers) for item in evolutions]
    check_same_stages(evolutions)
    show(evolutions, as_json=as_json)
    _draw(evolutions, plot)


def show(evolutions: Sequence[Evolution], *, as_json: bool) -> None:
    """Print evolutions, to the terminal or as JSON; several with the spread between them."""
    if as_json:
        console.print_json(trainings_content(evolutions))
        return
    for evolution in evolutions:
        console.show(render(evolution))
    if len(evolutions) > 1:
        console.show(spread_table(evolutions))


def _draw(evolutions: Sequence[Evolution], plot: PlotFile) -> None:
    plot.write(lambda: draw(evolutions, plot.kind or EMERGENCE))


def draw(evolutions: Sequence[Evolution], kind: str) -> Any:
    """Draw evolutions; return a figure or axes. Raises BadInput for more than are shown."""
    # matplotlib takes a second to import
    from nd_plugin.plots.experiments.histories import plot_histories
    from nd_plugin.plots.experiments.training import plot_kept, plot_training

    first = evolutions[0]
    if kind == EMERGENCE:
        results = {
            layer.layer: _repeats(evolutions, index)
            for index, layer in enumerate(first.layers)
        }
        accuracies = mean_accuracies(evolutions)
        return plot_training(results, first.steps, accuracies, xlabel=first.unit)
    layer = _only_layer(evolutions, kind)
    if kind == HISTORIES:
        return plot_histories(layer.reports, first.steps, xlabel=first.unit)
    transitions = list(layer.transitions)
    if len(transitions) != 1:
        transitions.append(layer.overall)
    names = [_transition_name(first, transition) for transition in transitions]
    return plot_kept([fates(transition) for transition in transitions], names)


def fates(transition: Transition) -> dict[str, int]:
    """Return the numbers of units kept, changed by kind, lost and gained."""
    kinds = {
        f"changed: {'nothing common' if kind == NONE else kind}": count
        for kind, count in transition.kinds.items()
    }
    return {
        "kept": len(transition.kept),
        **kinds,
        "lost": len(transition.lost),
        "gained": len(transition.gained),
    }


def _repeats(evolutions: Sequence[Evolution], layer: int) -> list[Any]:
    """Return the reports of each stage: one, or those of all trainings."""
    reports = [evolution.layers[layer].reports for evolution in evolutions]
    return [list(of_stage) for of_stage in zip(*reports, strict=True)]


def _only_layer(evolutions: Sequence[Evolution], kind: str) -> LayerEvolution:
    if len(evolutions) > 1:
        raise BadInput(
            f"--plot-kind {kind} shows one training, and these are {len(evolutions)}"
        )
    layers = evolutions[0].layers
    if len(layers) > 1:
        names = ", ".join(layer.layer for layer in layers)
        raise BadInput(
            f"--plot-kind {kind} shows one layer, and these are {names}; draw one of them from "
            "the saved evolution (nd evolve --from FOLDER -l LAYER)"
        )
    return layers[0]


def _transition_name(evolution: Evolution, transition: Transition) -> str:
    first, last = (evolution.steps[index] for index in transition.stages)
    return f"{first:g} to {last:g}"


def _only_layers(evolution: Evolution, texts: Sequence[str]) -> Evolution:
    """Return the evolution of some layers; all where none is named. Raises LayerNotFound."""
    if not texts:
        return evolution
    by_name = {layer.layer: layer for layer in evolution.layers}
    names = LayerNames(tuple(by_name))
    chosen: dict[str, None] = {}
    for text in texts:
        chosen.update(dict.fromkeys(names.expand(text)))
    for name in chosen:
        if name not in by_name:
            raise LayerNotFound(
                f"the evolution has no layer {name!r}; it has {', '.join(by_name)}"
            )
    return replace(evolution, layers=tuple(by_name[name] for name in chosen))


def _parse_steps(text: str | None) -> list[float] | None:
    if text is None:
        return None
    return parsing.parse_numbers(text, "--steps")


def _default_folder(model: str, concepts: str) -> Path:
    return Path("runs") / f"{parsing.run_name(model, concepts)}-evolution"


@contextmanager
def _progress_kept(folder: Path) -> Iterator[None]:
    """Say how to continue where the run is interrupted."""
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        console.say(
            f"nd: stages that are dissected are kept in {folder}; the same command continues",
            "yellow",
        )
        raise
