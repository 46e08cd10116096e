"""Keys of dissections: fingerprints of everything that decides their numbers, of no file's name."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from nd_plugin.contracts.models import Model
from nd_plugin.contracts.precision import computed_precision
from nd_plugin.contracts.provenance import Identity, Settings, fingerprint
from nd_plugin.errors import ModelNotFound
from nd_plugin.experiments.evolution.stages import Stage
from nd_plugin.probe_data.batches import Feed

# they change no number of a dissection; detectors are counted when it is shown
SHOWN_LATER = (
    "min_iou",
    "top_images",
    "pictures",
    "picture_budget",
    "verify_data",
)
# where preprocessing values come from
ORIGINS = ("source", "assumed")
BLOCK = 2**20  # bytes


def content_key(
    model_text: str, stage: Stage, model: Model, feed: Feed, layer: str
) -> str:
    """Return 16 hexadecimal digits that identify the dissection of one layer of a stage.

    The same weights under another name have the same key. ``model_text`` is what the weights were
    loaded into; a file that is a model of its own needs none. Settings of their default value are
    left out, so that keys outlive new settings.
    """
    identity = model.identity
    description = {
        "model": "" if stage.is_model else model_text,
        "weights": identity.fingerprint or file_fingerprint(stage.path),
        "concept set": _concept_set(feed.concepts.identity),
        "settings": _changed_settings(feed.settings),
        "preprocessing": _preprocessing(feed),
        "images": feed.images,
        "precision": computed_precision(model),
        "layer": layer,
    }
    text = json.dumps(description, sort_keys=True)
    return fingerprint([text.encode()])


def file_fingerprint(path: Path) -> str:
    """Return the fingerprint of a file's bytes. Raises ModelNotFound."""
    try:
        with path.open("rb") as file:
            return fingerprint(iter(lambda: file.read(BLOCK), b""))
    except OSError as error:
        raise ModelNotFound(
            f"{path} cannot be read: {error.strerror or error}"
        ) from error


def _concept_set(identity: Identity) -> list[str]:
    return [identity.name, identity.fingerprint or identity.source]


def _changed_settings(settings: Settings) -> dict[str, Any]:
    values = asdict(settings)
    return {
        item.name: values[item.name]
        for item in fields(settings)
        if item.name not in SHOWN_LATER and values[item.name] != item.default
    }


def _preprocessing(feed: Feed) -> dict[str, Any]:
    values = feed.preprocess.describe()
    return {name: value for name, value in values.items() if name not in ORIGINS}
