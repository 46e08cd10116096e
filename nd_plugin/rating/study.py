"""Study: the units that raters see, and the phrases that they judge."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nd_plugin.borders.printable import utf8
from nd_plugin.contracts.provenance import fingerprint
from nd_plugin.errors import BadInput
from nd_plugin.rating.phrases import Descriptions, label_phrase
from nd_plugin.rating.sampling import (
    Indices,
    draw,
    importance,
    inclusion_probabilities,
    label_guesses,
)
from nd_plugin.report.layer_report import UnitScore
from nd_plugin.results.dissection import Dissection

IDENTIFIER_DIGITS = 16
NO_LABEL = "no label"  # category of a unit that overlaps no concept


@dataclass(frozen=True)
class Stratum:
    """Units of a layer whose labels are of one category."""

    layer: str
    category: str
    units: int
    guess_sum: float  # of the guesses of all its units


@dataclass(frozen=True)
class ChosenUnit:
    """Unit that is rated."""

    layer: str
    unit: int
    category: str
    guess: float  # that raters accept its label
    probability: float  # of having been chosen


@dataclass(frozen=True)
class Question:
    """Phrase to be judged beside the top images of a unit. Raters see nothing else of this."""

    identifier: str  # tells nothing about the rest
    pictures: str  # identifier of the unit's pictures
    layer: str
    unit: int
    phrase: str
    is_label: (
        bool  # Network Dissection's; where both agree, the phrase is asked once
    )
    is_description: bool  # written by people


@dataclass(frozen=True)
class Study:
    """Questions of a run, and the numbers by which answers become shares of all units."""

    fingerprint: str  # of the run's labels
    images: int  # per question
    strata: tuple[Stratum, ...]
    units: tuple[ChosenUnit, ...]
    questions: tuple[Question, ...]
    notes: tuple[str, ...] = ()

    @property
    def has_descriptions(self) -> bool:
        """Whether people's descriptions are among the phrases."""
        return any(question.is_description for question in self.questions)


@dataclass(frozen=True)
class Plan:
    """What a study is made of, beside the run."""

    units: int | None = 100  # to choose, in all layers together; None: all
    images: int = 15  # top images per question, as in the paper
    seed: int = 0
    descriptions: Descriptions | None = None


def labels_fingerprint(dissections: Sequence[Dissection]) -> str:
    """Return a fingerprint of what a study depends on: layers, labels and their IoU."""
    chunks: list[bytes] = []
    for dissection in dissections:
        chunks.append(utf8(f"{dissection.layer}\0{dissection.units}\0"))
        chunks.append(dissection.intersection.tobytes())
        chunks.append(dissection.top_images.tobytes())
    return fingerprint(chunks)


def plan_study(dissections: Sequence[Dissection], plan: Plan) -> Study:
    """Choose units, and write down what is asked about them.

    Candidates are the units with pictures and a label, or, where descriptions are given, those
    described. Raises BadInput where there is none.
    """
    candidates = _candidates(dissections, plan.descriptions)
    if not candidates:
        raise BadInput("no unit of the run has both a phrase and pictures to rate")
    units = _choose(candidates, plan)
    questions: list[Question] = []
    secret = secrets.token_bytes(IDENTIFIER_DIGITS)
    scores = {(layer, score.unit): score for layer, score, _ in candidates}
    for chosen in units:
        score = scores[chosen.layer, chosen.unit]
        questions += _questions(
            chosen.layer, score, plan.descriptions or {}, secret
        )
    # Sorted by identifier: an order that tells nothing.
    questions.sort(key=lambda question: question.identifier)
    layers = {layer for layer, _, _ in candidates}
    return Study(
        labels_fingerprint([item for item in dissections if item.layer in layers]),
        plan.images,
        _strata(candidates),
        units,
        tuple(questions),
        _notes(dissections, candidates, plan.descriptions),
    )


Candidate = tuple[str, UnitScore, float]  # layer, label, guess


def _candidates(
    dissections: Sequence[Dissection], descriptions: Descriptions | None
) -> list[Candidate]:
    candidates: list[Candidate] = []
    for dissection in dissections:
        scores = list(dissection.unit_scores())
        iou = np.array([score.iou for score in scores])
        guesses = label_guesses(iou, dissection.settings.min_iou).tolist()
        for score, guess in zip(scores, guesses, strict=True):
            if _is_candidate(dissection, score, descriptions):
                candidates.append((dissection.layer, score, guess))
    return candidates


def _is_candidate(
    dissection: Dissection, score: UnitScore, descriptions: Descriptions | None
) -> bool:
    if not has_pictures(dissection, score.unit):
        return False
    if descriptions is None:
        return score.overlaps
    return (dissection.layer, score.unit) in descriptions


def has_pictures(dissection: Dissection, unit: int) -> bool:
    """Return whether a unit can be shown: it is alive, and some top image has picture and mask."""
    if dissection.pictures is None or dissection.dead[unit]:
        return False
    return bool(shown_ranks(dissection, unit, most=1))


def shown_ranks(dissection: Dissection, unit: int, most: int) -> list[int]:
    """Return the ranks of a unit's first ``most`` top images that have a picture and lit pixels."""
    pictures = dissection.pictures
    if pictures is None:
        return []
    known = [
        rank
        for rank in range(pictures.units_top)
        # Not where the map is unknown (below 0), or lights nothing.
        if pictures.maps.counts[unit, rank] > 0
        and int(pictures.top_images[unit, rank]) in pictures
    ]
    return known[:most]


def _category(score: UnitScore) -> str:
    return score.category if score.overlaps else NO_LABEL


def _stratum_numbers(
    candidates: Sequence[Candidate],
) -> tuple[list[tuple[str, str]], Indices]:
    """Return the strata (layer, category) in order of appearance, and each candidate's number."""
    names = [(layer, _category(score)) for layer, score, _ in candidates]
    distinct = list(dict.fromkeys(names))
    numbers = [distinct.index(name) for name in names]
    return distinct, np.array(numbers, np.int64)


def _strata(candidates: Sequence[Candidate]) -> tuple[Stratum, ...]:
    names, numbers = _stratum_numbers(candidates)
    guesses = np.array([guess for _, _, guess in candidates])
    counts = np.bincount(numbers).tolist()
    sums = np.bincount(numbers, guesses).tolist()
    rows = zip(names, counts, sums, strict=True)
    return tuple(
        Stratum(layer, category, count, guess_sum)
        for (layer, category), count, guess_sum in rows
    )


def _choose(candidates: Sequence[Candidate], plan: Plan) -> tuple[ChosenUnit, ...]:
    """Draw the units to rate; all where there are no more than planned."""
    _, numbers = _stratum_numbers(candidates)
    guesses = np.array([guess for _, _, guess in candidates])
    count = len(candidates) if plan.units is None else plan.units
    probabilities = inclusion_probabilities(importance(guesses, numbers), count)
    chosen = draw(probabilities, np.random.default_rng(plan.seed))
    units: list[ChosenUnit] = []
    for index in chosen.tolist():
        layer, score, guess = candidates[index]
        probability = float(probabilities[index])
        units.append(
            ChosenUnit(layer, score.unit, _category(score), guess, probability)
        )
    return tuple(units)


def _questions(
    layer: str, score: UnitScore, descriptions: Descriptions, secret: bytes
) -> list[Question]:
    """Return the questions about a unit: its label, its description, or one if they agree."""
    label = label_phrase(score.concept, score.category) if score.overlaps else ""
    description = descriptions.get((layer, score.unit), "")
    phrases = dict.fromkeys(filter(None, [label, description]))
    pictures = _identifier(secret, layer, score.unit)
    return [
        Question(
            _identifier(secret, layer, score.unit, phrase),
            pictures,
            layer,
            score.unit,
            phrase,
            is_label=phrase == label,
            is_description=phrase == description,
        )
        for phrase in phrases
    ]


def _identifier(secret: bytes, *parts: str | int) -> str:
    """Return a name that nobody can compute, or compare with a guess, without the secret."""
    message = utf8("\0".join(map(str, parts)))
    digest = hmac.new(secret, message, hashlib.sha256).hexdigest()
    return digest[:IDENTIFIER_DIGITS]


def _notes(
    dissections: Sequence[Dissection],
    candidates: Sequence[Candidate],
    descriptions: Descriptions | None,
) -> tuple[str, ...]:
    """Say of each layer how many of its units cannot be chosen."""
    reason = (
        "without a description or pictures"
        if descriptions is not None
        else "without a label or pictures"
    )
    notes: list[str] = []
    for dissection in dissections:
        count = sum(layer == dissection.layer for layer, _, _ in candidates)
        missing = dissection.units - count
        if missing:
            notes.append(
                f"layer {dissection.layer}: {missing} of {dissection.units} units {reason} "
                "are not asked about, and not counted"
            )
    return tuple(notes)
