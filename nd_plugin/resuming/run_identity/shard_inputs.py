"""Inputs of a merge: whether shards, data and model are those of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.model_traits import traits_of
from nd_plugin.contracts.models import Model, Probe
from nd_plugin.contracts.precision import computed_precision
from nd_plugin.contracts.provenance import ModelTraits
from nd_plugin.engine.part_run import silent
from nd_plugin.probe_data.batches import Feed
from nd_plugin.resuming.run_identity.run_description import (
    check_same,
    describe_model,
)
from nd_plugin.resuming.run_identity.same_run import (
    check_same_contents,
    check_same_maps,
    check_same_model,
    check_same_run,
)


class DescribedShard(NamedTuple):
    """Folder of a shard, and what is recorded of its run (see `run_description.describe`)."""

    folder: Path
    description: Mapping[str, Any]


def check_same_shards(shards: Sequence[DescribedShard]) -> list[str]:
    """Check that shards are of one run; return remarks on what could not be compared.

    Raises BadInput that names two shards that are not.
    """
    first, *others = shards
    remarks: list[str] = []
    for shard in others:
        remarks += check_same_run(
            shard.description,
            first.description,
            f"{shard.folder} does not belong to {first.folder}: it",
            ignored=["shard"],
        )
    return [*dict.fromkeys(remarks), *_compare_contents(shards)]


def _compare_contents(shards: Sequence[DescribedShard]) -> list[str]:
    """Compare the contents of images and masks, as far as shards have verified them."""
    verified = [shard for shard in shards if shard.description["contents"]]
    for shard in verified:
        check_same_contents(
            shard.description["contents"],
            verified[0].description["contents"],
            f"{shard.folder} does not belong to {verified[0].folder}: it",
        )
    if len(verified) in (0, len(shards)):
        return []
    return [
        f"contents of images and masks were verified in {len(verified)} of {len(shards)} shards "
        "only (--verify-data): those of the others are not known"
    ]


def verified_contents(shards: Sequence[DescribedShard]) -> str:
    """Return the contents that all shards have verified; "" where one has not."""
    contents = {str(shard.description["contents"]) for shard in shards}
    return contents.pop() if len(contents) == 1 else ""


def check_concepts(description: Mapping[str, Any], concepts: ConceptSet) -> None:
    """Check that a concept set is that of the shards. Raises BadInput."""
    check_same(
        description["concept set"],
        asdict(concepts.identity),
        "the concept set",
        ignored=["source"],
    )


def check_contents(contents: str, feed: Feed) -> list[str]:
    """Verify the data that are merged with, where the shards' were; return remarks.

    Raises BadInput for other contents.
    """
    verified = feed.hash_contents(silent)
    check_same_contents(contents, verified.fingerprint, "the concept set")
    return list(verified.notes)


def check_model(description: Mapping[str, Any], model: Model) -> None:
    """Check that weights and precision of a model are those of the shards. Raises BadInput."""
    opened = describe_model(model.identity, ModelTraits())
    check_same_model(description, opened, "the model")
    check_same(
        {"precision": description["precision"]},
        {"precision": computed_precision(model)},
        "the model",
    )


def check_computation(
    description: Mapping[str, Any], model: Model, probe: Probe, feed: Feed
) -> list[str]:
    """Check that a model computes what that of the shards did; return remarks. Raises BadInput."""
    traits = traits_of(model, probe, feed.preprocess)
    opened = {
        **describe_model(model.identity, traits),
        "layers": description["layers"],
        "precision": description["precision"],
    }
    check_same_model(description, opened, "the model")
    return check_same_maps(description, opened, "the model")
