"""Description of a part's run: what has to be equal to continue it, or to merge it with others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nd_plugin.contracts.provenance import (
    Identity,
    ModelTraits,
    Provenance,
    Settings,
)
from nd_plugin.errors import BadInput
from nd_plugin.probe_data.batches import Feed

SIGNIFICANCE_SETTINGS = ("folds", "permutations", "seed")
# they change no number, and are followed after the last image
PICTURE_SETTINGS = ("pictures", "picture_budget")


def describe(
    feed: Feed,
    layers: Sequence[str],
    run_provenance: Provenance,
) -> dict[str, Any]:
    """Describe everything that decides the numbers of a part, as plain values."""
    return {
        **describe_model(run_provenance.model, run_provenance.traits),
        "concept set": asdict(run_provenance.concept_set),
        "contents": run_provenance.contents,
        "layers": list(layers),
        "settings": {
            **plain_settings(feed.settings),
            "quantiles": list(feed.settings.all_quantiles),
        },
        "preprocessing": feed.preprocess.describe(),
        "batch size": feed.batch_size,
        "images": feed.images,
        "shard": str(feed.part),
        "backend": run_provenance.backend,
        "device": run_provenance.device.partition(":")[0],
        "precision": run_provenance.precision,
        "versions": dict(run_provenance.versions),
    }


def describe_model(identity: Identity, traits: ModelTraits) -> dict[str, Any]:
    """Describe a model: its weights, its traits, and what it gives for images of noise."""
    return {
        "model": {
            **asdict(identity),
            "spec": traits.spec,
            "structure": traits.structure,
        },
        "noise": {"images": traits.noise, "sums": dict(traits.sums)},
    }


def plain_settings(settings: Settings) -> dict[str, Any]:
    """Return settings as plain values, without ``verify_data``, whose outcome is compared.

    Those of folds and permutations are left out of a run without these: earlier versions have not
    described them, and a seed alone decides nothing.
    """
    described = asdict(settings)
    del described["verify_data"]
    if not settings.is_by_image:
        for name in SIGNIFICANCE_SETTINGS:
            del described[name]
    return described


def check_same(
    stored: Mapping[str, Any],
    requested: Mapping[str, Any],
    subject: str,
    *,
    ignored: Sequence[str] = (),
) -> None:
    """Check that two descriptions are equal, but for keys in ``ignored`` at any depth.

    Raises BadInput that names ``subject`` and the first difference.
    """
    for path, stored_value, requested_value in _differences(
        stored, as_stored(requested)
    ):
        if not set(path) & set(ignored):
            name = ".".join(path)
            raise BadInput(
                f"{subject} differs in {name}: {stored_value!r}, not {requested_value!r}"
            )


def as_stored(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description as JSON holds it, which has lists where Python has tuples."""
    stored: dict[str, Any] = json.loads(json.dumps(description))
    return stored


def _differences(
    stored: Any, requested: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Iterate over keys whose values differ: their path, and both values (None where missing)."""
    if isinstance(stored, dict) and isinstance(requested, dict):
        for key in dict.fromkeys([*stored, *requested]):
            yield from _differences(
                stored.get(key), requested.get(key), (*path, key)
            )
    elif stored != requested:
        yield path, stored, requested
