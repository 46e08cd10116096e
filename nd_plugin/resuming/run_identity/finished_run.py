"""Comparison of a finished run with the run that ``--resume`` asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nd_plugin.contracts.concept_sets import Concept, ConceptSet
from nd_plugin.contracts.models import Model
from nd_plugin.contracts.provenance import (
    Identity,
    Provenance,
    Settings,
)
from nd_plugin.engine.part_run import Progress, silent
from nd_plugin.engine.run import starting_provenance
from nd_plugin.errors import BadInput
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results import run_folder
from nd_plugin.results.atomic_files import recovered
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.folder_names import RUN
from nd_plugin.resuming.run_identity.run_description import (
    as_stored,
    check_same,
    describe,
    plain_settings,
)
from nd_plugin.resuming.run_identity.same_run import (
    check_same_contents,
    check_same_run,
)

REMEDY = "choose another folder, or replace the run with --overwrite"
NOT_VERIFIED = (
    "contents of images and masks were verified when the run was made, and are not now "
    "(--verify-data)"
)


class RequestedRun(NamedTuple):
    """Run that is asked for, before any image: its layers, and where its numbers come from."""

    layers: tuple[str, ...]
    provenance: Provenance
    feed: Feed

    @classmethod
    def of(
        cls,
        model: Model,
        layers: Sequence[Any],
        feed: Feed,
        progress: Progress = silent,
    ) -> RequestedRun:
        """Open a probe on the layers, and verify the data where the settings ask for it."""
        contents = feed.hash_contents(progress)
        with torch.no_grad(), model.probe(layers, feed.preprocess.size) as probe:
            provenance = starting_provenance(model, feed, probe, contents)
            return cls(probe.layers, provenance, feed)

    @property
    def description(self) -> dict[str, Any]:
        """Description of the run, as a checkpoint of it holds it."""
        return as_stored(describe(self.feed, self.layers, self.provenance))


def load_finished_run(folder: Path) -> list[Dissection] | None:
    """Return the dissections of the run in ``folder``; None where no run is finished there.

    Raises RunInvalid for a run that is damaged.
    """
    run_folder.check_place(folder)
    if not (recovered(folder) / RUN).is_file():
        return None
    return run_folder.load_run(folder)


def check_finished_run(
    folder: Path, dissections: Sequence[Dissection], requested: RequestedRun
) -> list[str]:
    """Check that a finished run answers what is asked for: what decides the numbers is the same.

    What a checkpoint compares is compared: model, what it computes, concept set, its images and
    concepts, settings, preprocessing. Layers and quantiles may come in any order. Device, batch
    size, workers, memory and versions of software are not compared: unlike a checkpoint, a
    finished run is not mixed with new numbers.

    Returns remarks on what could not be compared. Raises BadInput that names the first difference.
    """
    subject = f"{folder} exists already: it"
    feed = requested.feed
    first = dissections[0]
    try:
        remarks = check_same_run(
            _describe_finished(dissections, requested.provenance),
            _describe_requested(requested, first.provenance),
            subject,
            ignored=["assumed"],
        )
        _check_names(first, feed, subject)
        return [
            *_on_reader(first.provenance, requested.provenance),
            *remarks,
            *_compare_contents(first.provenance, requested.provenance, subject),
        ]
    except BadInput as error:
        raise BadInput(f"{error}; {REMEDY}") from error


def _describe_finished(
    dissections: Sequence[Dissection], requested: Provenance
) -> dict[str, Any]:
    first = dissections[0]
    quantiles = {dissection.settings.quantile for dissection in dissections}
    sums: dict[str, tuple[float, ...]] = {}
    for dissection in dissections:
        sums.update(dissection.provenance.traits.sums)
    layers = {dissection.layer for dissection in dissections}
    return as_stored(
        {
            **_describe_run(first.provenance, sums, requested),
            "settings": _describe_settings(first.settings, quantiles),
            "images": len(first.image_names),
            "layers": sorted(layers),
        }
    )


def _describe_requested(
    requested: RequestedRun, finished: Provenance
) -> dict[str, Any]:
    feed = requested.feed
    provenance = requested.provenance
    return {
        **_describe_run(provenance, provenance.traits.sums, finished),
        "settings": _describe_settings(feed.settings, feed.settings.all_quantiles),
        "images": feed.images,
        "layers": sorted(set(requested.layers)),
    }


def _describe_run(
    provenance: Provenance,
    sums: Mapping[str, Sequence[float]],
    counterpart: Provenance,
) -> dict[str, Any]:
    """Describe what provenance says; what cannot be compared with the counterpart is left out."""
    traits = provenance.traits
    has_same_reader = _is_of_same_reader(provenance, counterpart)
    concept_set = _describe_identity(provenance.concept_set)
    if not has_same_reader:
        concept_set = {"name": provenance.concept_set.name}
    return {
        "model": {
            **_describe_identity(provenance.model),
            "spec": traits.spec,
            "structure": traits.structure,
        },
        "noise": {"images": traits.noise, "sums": dict(sums)},
        "concept set": concept_set,
        "preprocessing": dict(provenance.preprocess),
        "backend": provenance.backend,
        "precision": provenance.precision,
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


def _is_of_same_reader(first: Provenance, second: Provenance) -> bool:
    return first.concept_set.version == second.concept_set.version


def _on_reader(finished: Provenance, requested: Provenance) -> list[str]:
    """Return a remark on a concept set whose fingerprint is of another version's making."""
    if _is_of_same_reader(finished, requested):
        return []
    return [
        f"the concept set is of version {finished.concept_set.version!r} in the run, and of "
        f"{requested.concept_set.version!r} now: fingerprints of data were not compared; names of "
        "images and concepts are the same"
    ]


def _check_names(dissection: Dissection, feed: Feed, subject: str) -> None:
    """Check the names of images and concepts, which a set without fingerprint has, too."""
    concepts: ConceptSet = feed.concepts
    for image, stored in enumerate(dissection.image_names):
        name = concepts.name(image)
        if name != stored:
            raise BadInput(
                f"{subject} differs in image {image} of the concept set: {stored!r}, not {name!r}"
            )
    check_same(
        {"concepts": _concept_names(dissection.concepts)},
        {"concepts": _concept_names(concepts.concepts)},
        subject,
    )


def _concept_names(concepts: Sequence[Concept]) -> dict[str, str]:
    """Return the category and name of each concept, by its number."""
    return {
        str(number): f"{concept.category}/{concept.name}"
        for number, concept in enumerate(concepts)
    }


def _compare_contents(
    finished: Provenance, requested: Provenance, subject: str
) -> list[str]:
    """Compare the contents of images and masks; return a remark where only the run's are known.

    Raises BadInput for others, and for a run whose contents are not known.
    """
    if finished.contents and not requested.contents:
        return [NOT_VERIFIED]
    check_same_contents(finished.contents, requested.contents, subject)
    return []
