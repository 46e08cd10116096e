"""Comparison of two models, layer by layer: ``nd parity``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.console import new_table, print_json, print_notes
from nd_plugin.contracts.models import Model, ModelOptions
from nd_plugin.contracts.provenance import Settings
from nd_plugin.errors import BadInput, RunFailed
from nd_plugin.experiments.parity import LayerParity, Names, parity
from nd_plugin.plugins.layer_patterns import choose_common_layers
from nd_plugin.plugins.opening import open_concepts, open_model
from nd_plugin.probe_data.batches import Feed
from nd_plugin.receptive_fields.geometry import Size

UNITS_NAMED = 8  # in the line about a layer's units that differ


def parse_layer_pair(text: str) -> Names:
    """Return the two names in ``NAME`` or ``NAME=NAME_IN_ORIGIN``."""
    first_name, sign, second_name = text.partition("=")
    if not first_name or (sign and not second_name):
        raise BadInput(f"layer {text!r} is neither NAME nor NAME=NAME_IN_ORIGIN")
    return first_name, second_name if sign else first_name


def choose_layer_pairs(
    first_model: Model,
    second_model: Model,
    named_pairs: Sequence[Names],
    size: Size,
) -> list[Names]:
    """Replace each pattern that has no name in the origin beside it by the common layers."""
    pairs: dict[Names, None] = {}
    for first_name, second_name in named_pairs:
        if first_name != second_name:
            pairs[first_name, second_name] = None
            continue
        names = choose_common_layers(
            first_model, second_model, first_name, size, console.say
        )
        pairs.update(dict.fromkeys(zip(names, names, strict=True)))
    return list(pairs)


def compare_models(
    first: str,
    second: str,
    layers: Sequence[str],
    concepts: str,
    *,
    options: tuple[ModelOptions, ModelOptions],
    settings: Settings,
    preprocess_values: Mapping[str, Any],
    batch_size: int | None,
    workers: int | None,
    tolerance: float | None,
    as_json: bool,
) -> None:
    """Compare layers of two models and print the differences.

    Raises RunFailed where activations differ by more than ``tolerance``, relative to the largest.
    """
    named_pairs = [parse_layer_pair(text) for text in layers]
    # Each model is fed as its own metadata says, unless the command line says how to normalise.
    as_each_model_says = not preprocess_values.keys() - {"size"}
    with console.results_only():
        concept_set = open_concepts(concepts)
        first_model = open_model(first, options[0])
        second_model = open_model(second, options[1])
        preprocess = second_model.preprocess.changed(preprocess_values)
        pairs = choose_layer_pairs(
            first_model, second_model, named_pairs, preprocess.size
        )
        device = first_model.device
        feed = Feed.of(
            concept_set, preprocess, settings, device, batch_size, workers
        )
        with console.progress() as progress:
            parities = parity(
                first_model,
                second_model,
                pairs,
                feed,
                progress,
                own=as_each_model_says,
            )
    if as_json:
        print_json([_to_json(layer_parity) for layer_parity in parities])
    else:
        print_parity(parities)
    if tolerance is not None:
        _check_tolerance(parities, tolerance)


def _to_json(layer_parity: LayerParity) -> dict[str, Any]:
    return {**asdict(layer_parity), "relative": layer_parity.relative}


def _check_tolerance(parities: Sequence[LayerParity], tolerance: float) -> None:
    failed_layers = [
        layer_parity.layers[0]
        for layer_parity in parities
        if layer_parity.relative > tolerance
    ]
    if failed_layers:
        raise RunFailed(
            f"activations differ by more than {tolerance:g} of the largest activation "
            f"in {', '.join(failed_layers)}"
        )


def print_parity(parities: Sequence[LayerParity]) -> None:
    """Print a row for each layer, then the units that differ, then the notes."""
    table = new_table(
        "layer",
        "units",
        "activations",
        "thresholds",
        "IoU",
        "labels",
        "detectors",
        "centres",
    )
    for layer_parity in parities:
        table.add_row(*_row(layer_parity))
    console.show(table)
    for layer_parity in parities:
        _print_units(
            "label differs in", layer_parity.layers[0], layer_parity.labels
        )
        _print_units(
            "detector in one model only:",
            layer_parity.layers[0],
            layer_parity.detectors,
        )
    print_notes(note for layer_parity in parities for note in layer_parity.notes)
    console.say(
        "activations: largest difference, relative to the largest activation; "
        "thresholds, IoU: largest difference"
    )


def _row(layer_parity: LayerParity) -> list[Text | str]:
    names = dict.fromkeys(layer_parity.layers)
    first_count, second_count = layer_parity.counts
    same_count = first_count == second_count
    return [
        Text(" = ".join(names)),
        str(layer_parity.units),
        f"{layer_parity.relative:.1e}",
        f"{layer_parity.threshold_difference:.1e}",
        f"{layer_parity.iou_difference:.1e}",
        f"{len(layer_parity.labels)} differ" if layer_parity.labels else "same",
        str(first_count) if same_count else f"{first_count}, {second_count}",
        "same" if layer_parity.geometry else "differ",
    ]


def _print_units(difference: str, layer: str, units: Sequence[int]) -> None:
    """Print which units of a layer differ, such as ``conv1: label differs in units 3, 5``."""
    if not units:
        return
    numbers = ", ".join(map(str, units[:UNITS_NAMED]))
    rest = len(units) - UNITS_NAMED
    more = f" and {rest} more" if rest > 0 else ""
    console.show(
        Text(f"{layer}: {difference} units {numbers}{more}"), wrap_words=False
    )
