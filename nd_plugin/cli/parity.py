"""What ``nd parity`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.listings import new_table, print_json
from nd_plugin.contracts.models import ModelOptions
from nd_plugin.contracts.provenance import Settings
from nd_plugin.errors import BadInput, RunFailed
from nd_plugin.experiments.parity import LayerParity, Names, parity
from nd_plugin.plugins.opening import open_concepts, open_model
from nd_plugin.probe_data.batches import Feed

FEW = 8  # units named one by one


def pair_of(text: str) -> Names:
    """``NAME``, or ``FIRST=SECOND`` where a layer goes by two names."""
    one, sign, other = text.partition("=")
    if not one or (sign and not other):
        raise BadInput(f"layer {text!r} is neither NAME nor FIRST=SECOND")
    return one, other if sign else one


def compare_models(
    first: str,
    second: str,
    layers: Sequence[str],
    concepts: str,
    *,
    options: tuple[ModelOptions, ModelOptions],
    settings: Settings,
    given: Mapping[str, Any],
    batch_size: int | None,
    workers: int | None,
    tolerance: float | None,
    as_json: bool,
) -> None:
    """Compare layers of two models and print it. Raises RunFailed where they differ by more than the tolerance."""
    pairs = [pair_of(text) for text in layers]
    with console.results_only():
        probe_set = open_concepts(concepts)
        models = [open_model(text, how) for text, how in zip((first, second), options, strict=True)]
        how = models[1].preprocess.changed(given)
        feed = Feed.of(probe_set, how, settings, models[0].device, batch_size, workers)
        with console.StageProgress() as progress:
            found = parity(
                models[0], models[1], pairs, feed, progress, own=not given.keys() - {"size"}
            )
    if as_json:
        print_json([{**asdict(one), "relative": one.relative} for one in found])
    else:
        print_parity(found)
    far = [one for one in found if tolerance is not None and one.relative > tolerance]
    if far:
        names = ", ".join(one.layers[0] for one in far)
        raise RunFailed(f"activations differ by more than {tolerance:g} of the largest in {names}")


def print_parity(found: Sequence[LayerParity]) -> None:
    """A line for each layer, and the units that changed."""
    table = new_table(
        "layer", "units", "activations", "thresholds", "IoU", "labels", "detectors", "centres"
    )
    for one in found:
        table.add_row(
            Text(" = ".join(dict.fromkeys(one.layers))),
            str(one.units),
            f"{one.relative:.1e}",
            f"{one.threshold_difference:.1e}",
            f"{one.iou_difference:.1e}",
            f"{len(one.labels)} differ" if one.labels else "same",
            _detectors(one),
            "same" if one.geometry else "differ",
        )
    console.show(table)
    for one in found:
        for what, units in (("label", one.labels), ("detector state", one.detectors)):
            if units:
                more = f" and {len(units) - FEW} more" if len(units) > FEW else ""
                console.show(
                    Text(
                        f"{one.layers[0]}: another {what}: units {', '.join(map(str, units[:FEW]))}{more}"
                    ),
                    whole=True,
                )
    for note in dict.fromkeys(note for one in found for note in one.notes):
        console.show(Text(f"! {note}", style="yellow"), whole=True)
    console.say(
        "activations: the largest difference, relative to the largest activation; thresholds, IoU: absolute"
    )


def _detectors(one: LayerParity) -> str:
    return (
        f"{one.counts[0]}"
        if one.counts[0] == one.counts[1]
        else f"{one.counts[0]}, {one.counts[1]}"
    )
