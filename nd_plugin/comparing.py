"""What ``nd parity`` and ``nd doctor`` do and print."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

from rich.text import Text

from nd_plugin import console
from nd_plugin.errors import BadInput, RunFailed
from nd_plugin.feed import Feed
from nd_plugin.listings import new_table, print_json
from nd_plugin.opening import open_concepts, open_model
from nd_plugin.parity import LayerParity, Names, parity
from nd_plugin.plugins import described, host, load_factory
from nd_plugin.types import BackendSpec, Finding, ModelOptions, Settings

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
            found = parity(models[0], models[1], pairs, feed, progress, own=not given.keys() - {"size"})
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
    table = new_table("layer", "units", "activations", "thresholds", "IoU", "labels", "detectors", "centres")
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
                    Text(f"{one.layers[0]}: another {what}: units {', '.join(map(str, units[:FEW]))}{more}"), whole=True
                )
    for note in dict.fromkeys(note for one in found for note in one.notes):
        console.show(Text(f"! {note}", style="yellow"), whole=True)
    console.say("activations: the largest difference, relative to the largest activation; thresholds, IoU: absolute")


def _detectors(one: LayerParity) -> str:
    return f"{one.counts[0]}" if one.counts[0] == one.counts[1] else f"{one.counts[0]}, {one.counts[1]}"


def doctor(*, as_json: bool) -> None:
    """Print what this machine offers to each backend, and what to do where something is not well."""
    with console.results_only():
        found = list(findings())
    if as_json:
        print_json([asdict(one) for one in found])
        return
    table = new_table("", "found", "what to do")
    for one in found:
        table.add_row(Text(one.subject), Text(one.found), Text(one.remedy, style="yellow"))
    console.show(table)


def findings() -> list[Finding]:
    """Of Python and of all backends; one that fails to look is a finding itself."""
    found = [
        Finding("Python", f"{platform.python_version()}, {platform.platform()}"),
        Finding("nd_plugin", metadata.version("nd_plugin")),
    ]
    for offer in host().specs(BackendSpec):
        if offer.spec.doctor:
            try:
                found += load_factory(offer, offer.spec.doctor)()
            except Exception as error:  # whatever a broken installation raises
                found.append(Finding(offer.spec.name, f"cannot be used: {described(error)}", "install it anew"))
    return found
