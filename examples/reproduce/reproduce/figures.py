"""Figures of the experiment, drawn by nd_plugin's plots."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nd_plugin import Dissection
from nd_plugin.experiments.spread import Spread
from nd_plugin.plots import plot_repeats, plot_rotation, plot_units, save_plot
from nd_plugin.plots.experiments.discrimination import plot_discrimination
from nd_plugin.plots.experiments.training import plot_kept, plot_training
from nd_plugin.results.atomic_files import write_file
from reproduce.dissections import ALL_LAYERS, COLOR_QUANTILE, ROTATED
from reproduce.measures import UNTRAINED, MeasuredNetwork, Measures
from reproduce.networks import LAYERS
from reproduce.trainings import CONDITIONS, SUPERVISIONS, TUNED

PICTURE_DOTS = 150  # per inch


def draw_figures(measures: Measures, folder: Path) -> list[Path]:
    """Draw all figures into a folder, and return their files."""
    figures: Mapping[str, Callable[[Measures], Axes | Figure]] = {
        "emergence": draw_emergence,
        "layers": draw_layers,
        "rotation": draw_rotation,
        "conditions": draw_conditions,
        "supervisions": draw_supervisions,
        "colours": draw_colors,
        "tuning": draw_tuning,
        "accuracy": draw_accuracy,
    }
    files = [
        save_plot(draw(measures), folder / f"{name}.png")
        for name, draw in figures.items()
    ]
    return [*files, save_units(measures, folder / "units.jpg")]


def save_units(measures: Measures, file: Path) -> Path:
    """Draw the best detectors of one network of the baseline, with their top scenes.

    Pictures of scenes are smaller as JPEG.
    """
    axes = plot_units(measures.networks[ALL_LAYERS][0].dissection)
    figure = axes.get_figure(root=True)
    assert figure is not None
    content = io.BytesIO()
    figure.savefig(content, dpi=PICTURE_DOTS, format="jpg", bbox_inches="tight")
    write_file(file, content.getvalue())
    plt.close(figure.number)
    return file


def draw_emergence(measures: Measures) -> Figure:
    """Draw unique detectors over the training of the baseline, with its accuracy."""
    networks = measures.networks[ALL_LAYERS]
    stages = zip(*(network.stages for network in networks), strict=True)
    scores = networks[0].record.scores
    means = [
        float(np.mean([network.record.scores[step] for network in networks]))
        for step in scores
    ]
    return plot_training(
        {ALL_LAYERS: [list(group) for group in stages]}, list(scores), means
    )


def draw_layers(measures: Measures) -> Axes:
    """Draw unique detectors of the baseline's layers."""
    return plot_repeats({layer: measures.of_layer(layer) for layer in LAYERS})


def draw_rotation(measures: Measures) -> Axes:
    """Draw unique detectors over α; the band is over seeds and random rotations."""
    results: list[Sequence[Dissection]] = []
    for alpha in measures.alphas:
        of_networks = measures.rotated(ROTATED[0], alpha)
        results.append([item for group in of_networks for item in group])
    return plot_rotation(results, measures.alphas)


def draw_conditions(measures: Measures) -> Axes:
    """Draw the baseline beside networks that differ from it in one thing."""
    return plot_repeats(_groups(measures, CONDITIONS))


def draw_supervisions(measures: Measures) -> Axes:
    """Draw networks of one architecture, trained for different tasks."""
    untrained = {UNTRAINED: list(measures.untrained)}
    return plot_repeats({**untrained, **_groups(measures, SUPERVISIONS)})


def draw_colors(measures: Measures) -> Axes:
    """Draw the same at a larger quantile, at which colours can be detected."""
    groups = {
        name: measures.at_quantile(variant, COLOR_QUANTILE)
        for name, variant in SUPERVISIONS.items()
    }
    return plot_repeats(groups)


def draw_tuning(measures: Measures) -> Axes:
    """Draw what became of detectors when networks were tuned to another task.

    Changed concepts are told apart by what the old and the new one have in common.
    """
    fates: list[dict[str, int]] = []
    names: list[str] = []
    for variant in TUNED:
        for network in measures.networks[variant]:
            transition = network.transition
            fates.append(
                {
                    "kept": len(transition.kept),
                    **transition.kinds,
                    "lost": len(transition.lost),
                    "gained": len(transition.gained),
                }
            )
            names.append(
                f"{variant.replace('-', ' ')}, seed {network.training.seed}"
            )
    return plot_kept(fates, names)


def draw_accuracy(measures: Measures) -> Axes:
    """Draw the linear classifier's accuracy against object detectors, a point for each variant.

    Bars are one standard deviation over the seeds.
    """
    variants = list(measures.networks)
    detectors = [
        measures.spread(variant, _object_detectors) for variant in variants
    ]
    accuracies = [
        measures.spread(variant, lambda network: network.accuracy)
        for variant in variants
    ]
    return plot_discrimination(
        [spread.mean for spread in detectors],
        [spread.mean for spread in accuracies],
        [_one_deviation(spread) for spread in accuracies],
        variants,
        detector_intervals=[_one_deviation(spread) for spread in detectors],
    )


def _object_detectors(network: MeasuredNetwork) -> float:
    return network.summary.unique_detectors_by_category["object"]


def _one_deviation(spread: Spread) -> tuple[float, float]:
    """Return the ends of an error bar: one standard deviation from the mean."""
    deviation = spread.deviation or 0.0
    return spread.mean - deviation, spread.mean + deviation


def _groups(
    measures: Measures, variants: Mapping[str, str]
) -> dict[str, list[Dissection]]:
    return {
        name: [network.dissection for network in measures.networks[variant]]
        for name, variant in variants.items()
    }
