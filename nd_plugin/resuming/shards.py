"""Shards: parts of one dissection, run apart from each other and merged into its results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nd_plugin.borders.json_values import read_record
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.models import Model, Probe
from nd_plugin.contracts.precision import PRECISIONS, in_precision
from nd_plugin.contracts.provenance import Provenance, Settings
from nd_plugin.engine.combine import combine
from nd_plugin.engine.dissections import dissections
from nd_plugin.engine.host_strategy import HostStrategy
from nd_plugin.engine.part_run import PartRun, Progress, silent
from nd_plugin.engine.state import State
from nd_plugin.errors import BadInput, RunInvalid
from nd_plugin.machine.allocator import retain_memory
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import Part, parse_part
from nd_plugin.results.atomic_files import recovered
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.folder_names import STATE
from nd_plugin.resuming import saved_state
from nd_plugin.resuming.count_checks import check_vocabulary
from nd_plugin.resuming.run_identity.shard_inputs import (
    DescribedShard,
    check_computation,
    check_concepts,
    check_contents,
    check_model,
    check_same_shards,
    verified_contents,
)


class Shard(NamedTuple):
    """State of a part whose forward pass is done."""

    folder: Path
    run_description: dict[str, Any]  # see `run_description.describe`
    run_provenance: dict[str, Any]
    state: State

    @property
    def part(self) -> Part:
        """Part of the probe data set."""
        return parse_part(self.run_description["shard"])

    @property
    def described(self) -> DescribedShard:
        """Folder, and what is recorded of the run."""
        return DescribedShard(self.folder, self.run_description)

    @property
    def total_batches(self) -> int:
        """Number of batches of the whole probe data set."""
        images: int = self.run_description["images"]
        batch_size: int = self.run_description["batch size"]
        return math.ceil(images / batch_size)

    @property
    def batch_numbers(self) -> range:
        """Numbers of the shard's batches."""
        return self.part.batch_numbers(self.total_batches)


def load(folders: Sequence[Path]) -> list[Shard]:
    """Load shards; a folder may hold several, of processes that ran together.

    Raises RunInvalid for a folder that is not a readable shard. Raises BadInput for shards of
    different runs, unfinished ones, overlapping ones, and if some are missing.
    """
    cpu = torch.device("cpu")
    shards: list[Shard] = []
    try:
        for run_folder in folders:
            for folder in within(recovered(run_folder)):
                _check_is_shard(folder, len(folders))
                saved = saved_state.load(folder, cpu, append=False)
                shards.append(Shard(folder, *saved))
        _check_complete(shards)
    except BaseException:
        close(shards)
        raise
    return shards


def _check_is_shard(folder: Path, shard_count: int) -> None:
    if not saved_state.has_state(folder):
        raise RunInvalid(
            f"{folder} is not a shard: it has no {STATE}; "
            f"nd dissect --shard 1/{shard_count} writes one"
        )


def within(folder: Path) -> list[Path]:
    """Return the shards that several processes wrote into a folder; else the folder itself."""
    subfolders = sorted(folder.glob("*"))
    return saved_state.folders_with_state(subfolders) or [folder]


def close(shards: Sequence[Shard]) -> None:
    """Close the files of shards."""
    for shard in shards:
        shard.state.close()


def _check_complete(shards: Sequence[Shard]) -> None:
    """Check that each batch of one run is in exactly one shard. Raises BadInput."""
    check_same_shards([shard.described for shard in shards])
    owner_of_batch: dict[int, Shard] = {}
    for shard in shards:
        _check_finished(shard)
        for batch_number in shard.batch_numbers:
            owner = owner_of_batch.setdefault(batch_number, shard)
            if owner is not shard:
                raise BadInput(
                    f"{shard.folder} (shard {shard.part}) overlaps with {owner.folder} "
                    f"(shard {owner.part}); merge each part once"
                )
    _check_none_missing(shards, owner_of_batch)


def _check_finished(shard: Shard) -> None:
    done = shard.state.batches
    total = len(shard.batch_numbers)
    if done < total:
        raise BadInput(
            f"{shard.folder} is not finished: {done} of {total} batches; run it with --resume"
        )


def _check_none_missing(
    shards: Sequence[Shard], owner_of_batch: dict[int, Shard]
) -> None:
    """Raise BadInput that names the missing shards, in terms of the finest division."""
    divisor = max(shard.part.of for shard in shards)
    missing = {
        batch_number % divisor + 1
        for batch_number in range(shards[0].total_batches)
        if batch_number not in owner_of_batch
    }
    if missing:
        texts = [f"{index}/{divisor}" for index in sorted(missing)]
        raise BadInput(f"shards are missing: {', '.join(texts)}")


def merge(
    shards: Sequence[Shard],
    concepts: ConceptSet,
    *,
    model: Model | None = None,
    workers: int | None = None,
    memory: int | None = None,
    progress: Progress = silent,
) -> list[Dissection]:
    """Merge shards into the dissections that one run would have returned.

    ``model`` is needed for layers that need a second forward pass; without it they raise RunFailed.
    Raises BadInput for another concept set or model than that of the shards.
    """
    description = shards[0].run_description
    model = _in_recorded_precision(description, model)
    check_concepts(description, concepts)
    if model is not None:
        check_model(description, model)
    for shard in shards:
        check_vocabulary(shard.state, concepts, shard.folder)
    feed = _whole_feed(shards, concepts, model, workers, memory)
    layers = tuple(description["layers"])
    remarks = check_contents(_contents(shards), feed)
    opened_probe: AbstractContextManager[Probe | None] = nullcontext()
    if model is not None:
        opened_probe = model.probe(layers, feed.preprocess.size)
    with torch.no_grad(), retain_memory(), opened_probe as probe:
        if model is not None and probe is not None:
            remarks += check_computation(description, model, probe, feed)
        part_runs = [
            PartRun(
                feed=replace(feed, part=shard.part),
                layers=layers,
                device=_device(model),
                state=shard.state,
                strategy=HostStrategy(feed.memory),
                probe=probe,
                progress=progress,
            )
            for shard in shards
        ]
        try:
            combined = combine(part_runs, SingleProcess())
        finally:
            for part_run in part_runs:
                part_run.close()
    run_provenance = _merged_provenance(shards, remarks)
    return dissections(part_runs[0], combined, run_provenance)


def _in_recorded_precision(
    run_description: dict[str, Any], model: Model | None
) -> Model | None:
    """Return the model in the precision of the shards, where the backend has a choice."""
    precision = run_description["precision"]
    if model is None or precision not in PRECISIONS:
        return model
    return in_precision(model, precision)


def _device(model: Model | None) -> torch.device:
    return torch.device("cpu") if model is None else model.device


def _contents(shards: Sequence[Shard]) -> str:
    """Return the contents of images and masks that all shards have verified; "" for none."""
    return verified_contents([shard.described for shard in shards])


def _whole_feed(
    shards: Sequence[Shard],
    concepts: ConceptSet,
    model: Model | None,
    workers: int | None,
    memory: int | None,
) -> Feed:
    """Create the feed of the whole probe data set, with the settings of the shards."""
    run_description = shards[0].run_description
    settings = Settings(**run_description["settings"])
    return Feed.of(
        concepts,
        Preprocess(**run_description["preprocessing"]),
        replace(settings, verify_data=bool(_contents(shards))),
        _device(model),
        batch_size=run_description["batch size"],
        workers=workers,
        memory=memory,
    )


def _merged_provenance(
    shards: Sequence[Shard], remarks: Sequence[str]
) -> Provenance:
    """Return the first shard's provenance, with the seconds of all shards."""
    provenance = read_record(Provenance, shards[0].run_provenance, "made")
    seconds = sum(shard.state.seconds for shard in shards)
    notes = [
        *provenance.notes,
        *check_same_shards([shard.described for shard in shards]),
        *remarks,
        f"merged from {len(shards)} shards",
    ]
    return replace(
        provenance,
        seconds=round(seconds, 3),
        notes=tuple(dict.fromkeys(notes)),
        contents=_contents(shards),
    )
