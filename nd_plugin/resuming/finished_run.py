"""Comparison of a finished run with the run that ``--resume`` asks for."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from nd_plugin.contracts.models import Model
from nd_plugin.contracts.precision import computed_precision
from nd_plugin.contracts.provenance import Identity, Settings
from nd_plugin.errors import BadInput
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results import run_folder
from nd_plugin.results.atomic_files import recovered
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.folder_names import RUN
from nd_plugin.resuming.run_description import (
    PICTURE_SETTINGS,
    check_same,
    plain_settings,
)


def load_finished_run(folder: Path) -> list[Dissection] | None:
    """Return the dissections of the run in ``folder``; None where no run is finished there.

    Raises RunInvalid for a run that is damaged.
    """
    run_folder.check_place(folder)
    if not (recovered(folder) / RUN).is_file():
        return None
    return run_folder.load_run(folder)


def check_same_run(
    folder: Path,
    dissections: Sequence[Dissection],
    model: Model,
    layers: Sequence[str],
    feed: Feed,
) -> None:
    """Check that a finished run answers what is asked for: what decides the numbers is the same.

    Layers and quantiles may come in any order. Device, batch size, workers, memory and versions of
    software are not compared: unlike a checkpoint, a finished run is not mixed with new numbers.

    Raises BadInput that names the first difference.
    """
    finished = _describe_finished(dissections)
    requested = _describe_requested(model, feed)
    try:
        _check(folder, finished, requested)
        finished_layers = {dissection.layer for dissection in dissections}
        requested_layers = _canonical_names(model, layers, feed, finished_layers)
        _check(
            folder,
            {"layers": sorted(finished_layers)},
            {"layers": sorted(set(requested_layers))},
        )
    except BadInput as error:
        remedy = "choose another folder, or replace the run with --overwrite"
        raise BadInput(f"{error}; {remedy}") from error


def _check(
    folder: Path, finished: dict[str, Any], requested: dict[str, Any]
) -> None:
    """Raise BadInput that names the first difference, other than where values come from."""
    plain = json.loads(json.dumps(finished))
    check_same(
        plain,
        requested,
        f"{folder} exists already: it",
        ignored=["source", "assumed", *PICTURE_SETTINGS],
    )


def _describe_finished(dissections: Sequence[Dissection]) -> dict[str, Any]:
    first = dissections[0]
    quantiles = {dissection.settings.quantile for dissection in dissections}
    return {
        "model": _describe_identity(first.provenance.model),
        "concept set": _describe_identity(first.provenance.concept_set),
        "settings": _describe_settings(first.settings, quantiles),
        "preprocessing": dict(first.provenance.preprocess),
        "images": len(first.image_names),
        "precision": first.provenance.precision,
    }


def _describe_requested(model: Model, feed: Feed) -> dict[str, Any]:
    return {
        "model": _describe_identity(model.identity),
        "concept set": _describe_identity(feed.concepts.identity),
        "settings": _describe_settings(feed.settings, feed.settings.all_quantiles),
        "preprocessing": feed.preprocess.describe(),
        "images": feed.images,
        "precision": computed_precision(model),
    }


def _describe_settings(
    settings: Settings, quantiles: Collection[float]
) -> dict[str, Any]:
    """Describe settings; the order of the quantiles does not matter."""
    described = plain_settings(settings)
    del described["quantile"]
    described["quantiles"] = sorted(quantiles)
    return described


def _describe_identity(identity: Identity) -> dict[str, str]:
    """Return name and fingerprint; the source instead where there is no fingerprint."""
    if identity.fingerprint:
        return {"name": identity.name, "fingerprint": identity.fingerprint}
    return {"name": identity.name, "address": identity.source}


def _canonical_names(
    model: Model, layers: Sequence[str], feed: Feed, finished_layers: set[str]
) -> tuple[str, ...]:
    """Return the layers' canonical names; names that the run lacks are looked up in the model."""
    if finished_layers.issuperset(layers):
        return tuple(layers)
    with model.probe(layers, feed.preprocess.size) as probe:
        return probe.layers
