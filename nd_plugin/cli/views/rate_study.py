"""Study of ``nd rate``: begun once, in the file of votes, and continued afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_plugin.cli import console
from nd_plugin.errors import BadInput
from nd_plugin.rating.phrases import read_descriptions
from nd_plugin.rating.study import Plan, Study, labels_fingerprint, plan_study
from nd_plugin.rating.votes import VoteFile
from nd_plugin.results import run_folder
from nd_plugin.results.dissection import Dissection


@dataclass(frozen=True)
class StudyOptions:
    """Options that say what a study asks; None: not given."""

    units: str | None = None  # a number, or "all"
    images: int | None = None
    seed: int | None = None
    descriptions: Path | None = None
    layers: Sequence[str] = ()

    @property
    def are_given(self) -> bool:
        """Whether any of them is given."""
        values = (self.units, self.images, self.seed, self.descriptions)
        return bool(self.layers) or any(value is not None for value in values)


def load_pictured(run: Path) -> list[Dissection]:
    """Load a run that has pictures. Raises BadInput for one without."""
    dissections = run_folder.load_run(run)
    if all(dissection.pictures is None for dissection in dissections):
        raise BadInput(
            f"{run} has no pictures to rate: it was made with --no-pictures or by an earlier "
            "version; dissect the layer again"
        )
    return dissections


def open_study(
    dissections: Sequence[Dissection], path: Path, options: StudyOptions
) -> VoteFile:
    """Open the study in ``path``, or begin it.

    Raises BadInput where it belongs to another run, or asks other things than ``options`` say.
    """
    if not path.exists():
        study = plan_study(*_plan(dissections, options))
        votes = VoteFile.create(path, study)
        console.say(
            f"{len(study.questions)} questions about {len(study.units)} units; "
            f"votes are kept in {path}"
        )
        return votes
    votes = VoteFile.open(path)
    try:
        _check_same(votes, dissections, options)
    except BaseException:
        votes.close()
        raise
    return votes


def _plan(
    dissections: Sequence[Dissection], options: StudyOptions
) -> tuple[list[Dissection], Plan]:
    """Return the layers to rate, and what to ask about them."""
    chosen = _chosen_layers(dissections, options.layers)
    descriptions = None
    if options.descriptions is not None:
        units = {dissection.layer: dissection.units for dissection in chosen}
        descriptions = read_descriptions(options.descriptions, units)
    default = Plan()
    plan = Plan(
        _unit_count(options.units, default.units),
        default.images if options.images is None else options.images,
        default.seed if options.seed is None else options.seed,
        descriptions,
    )
    return chosen, plan


def _chosen_layers(
    dissections: Sequence[Dissection], layers: Sequence[str]
) -> list[Dissection]:
    names = [dissection.layer for dissection in dissections]
    if len(set(names)) < len(names):
        raise BadInput(
            "the run has a layer at several quantiles; rate the folder of one of them"
        )
    for layer in layers:
        if layer not in names:
            raise BadInput(
                f"no layer {layer!r} in the run; it has {', '.join(names)}"
            )
    return [item for item in dissections if not layers or item.layer in layers]


def _unit_count(text: str | None, default: int | None) -> int | None:
    """Return the number of units that ``--units`` asks for; None for all."""
    if text is None:
        return default
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise BadInput(f"--units {text!r} is neither a number above 0 nor 'all'")
    return int(text)


def _check_same(
    votes: VoteFile, dissections: Sequence[Dissection], options: StudyOptions
) -> None:
    study = votes.study()
    layers = {stratum.layer for stratum in study.strata}
    rated = [item for item in dissections if item.layer in layers]
    if labels_fingerprint(rated) != study.fingerprint:
        raise BadInput(
            f"{votes.path} holds votes on another run, or on labels that have changed since; "
            "begin anew with another --votes FILE"
        )
    if not options.are_given:
        return
    planned = plan_study(*_plan(dissections, options))
    if _asked(planned) != _asked(study):
        raise BadInput(
            f"{votes.path} was begun with other questions; leave out --units, --images, --seed, "
            "--descriptions and --layer to continue it, or begin another with --votes FILE"
        )


def _asked(study: Study) -> tuple[int, list[tuple[str, int, str, bool, bool]]]:
    """Return what a study asks, without its identifiers, which differ each time."""
    questions = sorted(
        (
            item.layer,
            item.unit,
            item.phrase,
            bool(item.is_label),
            bool(item.is_description),
        )
        for item in study.questions
    )
    return study.images, questions
