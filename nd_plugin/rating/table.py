"""Table 3 of the paper: interpretable units, human consistency, Network Dissection.

The paper's raters were asked whether a phrase describes most of the highlighted patches (sec. 3.1).
Interpretable are the units whose description by people a first group of raters accepts; human
consistency is the share of these whose description a second group accepts, too; Network Dissection
the share of these whose label is accepted. A phrase is accepted where more than half of its raters
say yes. Here the raters of a description are divided in the order in which they joined: the first
half, and the middle one of an odd number, are the first group.

Without descriptions no unit is known to be interpretable; the share of accepted labels is then one
of all units that have a label.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nd_plugin.rating.sampling import (
    Share,
    difference_estimate,
    ratio_estimate,
    share_of,
)
from nd_plugin.rating.study import ChosenUnit, Question, Stratum, Study
from nd_plugin.rating.votes import Vote
from nd_plugin.report.categories import in_paper_order

ALL = "all"  # the row of a layer's sums


@dataclass(frozen=True)
class RatingRow:
    """Shares of a layer, or of its units whose labels are of one category."""

    layer: str
    category: str  # `ALL` for the whole layer
    units: int  # that could have been chosen
    rated: int  # with an answer to any of their phrases
    interpretable: Share | None  # of all units
    human_consistency: Share | None  # of interpretable units
    network_dissection: (
        Share | None
    )  # of interpretable units; of all without descriptions


@dataclass(frozen=True)
class RatingTable:
    """Table 3 of a study."""

    rows: tuple[RatingRow, ...]  # of each layer its categories, then `ALL`
    votes: int
    raters: int
    agreement: float | None  # of pairs of raters that judged the same phrase
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Answers:
    """What the raters of a unit's phrases say; None where nobody was asked."""

    described: bool | None = None  # first group of its description
    confirmed: bool | None = None  # second group
    labelled: bool | None = None  # all raters of its label
    is_rated: bool = False


Key = tuple[str, int]  # layer and unit
Floats = npt.NDArray[np.float64]


def rating_table(study: Study, votes: Sequence[Vote]) -> RatingTable:
    """Compute table 3 from votes, given in the order in which their raters joined."""
    by_question: dict[str, list[bool]] = defaultdict(list)
    for vote in votes:
        by_question[vote.question].append(vote.is_yes)
    answers = _answers(study.questions, by_question)
    rows: list[RatingRow] = []
    for layer in dict.fromkeys(stratum.layer for stratum in study.strata):
        rows += _layer_rows(study, layer, answers)
    return RatingTable(
        tuple(rows),
        len(votes),
        len({vote.rater for vote in votes}),
        _agreement(by_question),
        (*study.notes, *_notes(study, by_question)),
    )


def is_accepted(answers: Sequence[bool]) -> bool | None:
    """Return whether more than half of the answers are yes; None without any."""
    return sum(answers) * 2 > len(answers) if answers else None


def _answers(
    questions: Sequence[Question], by_question: Mapping[str, Sequence[bool]]
) -> dict[Key, _Answers]:
    answers: dict[Key, _Answers] = {}
    has_label = {(item.layer, item.unit) for item in questions if item.is_label}
    for question in questions:
        key = (question.layer, question.unit)
        given = by_question.get(question.identifier, [])
        # A unit without a label has none that could be accepted.
        answers.setdefault(
            key, _Answers(labelled=None if key in has_label else False)
        )
        if question.is_label:
            answers[key] = replace(answers[key], labelled=is_accepted(given))
        if question.is_description:
            first_group = (len(given) + 1) // 2
            answers[key] = replace(
                answers[key],
                described=is_accepted(given[:first_group]),
                confirmed=is_accepted(given[first_group:]),
            )
        if given:
            answers[key] = replace(answers[key], is_rated=True)
    return answers


def _layer_rows(
    study: Study, layer: str, answers: Mapping[Key, _Answers]
) -> list[RatingRow]:
    stratum_of = {
        stratum.category: stratum
        for stratum in study.strata
        if stratum.layer == layer
    }
    strata = [stratum_of[category] for category in in_paper_order(stratum_of)]
    chosen = [unit for unit in study.units if unit.layer == layer]
    rows = []
    for stratum in strata:
        row = _row([stratum], chosen, answers, study.has_descriptions)
        rows.append(row)
    total = _row(strata, chosen, answers, study.has_descriptions)
    return [*rows, replace(total, category=ALL)]


def _row(
    strata: Sequence[Stratum],
    chosen: Sequence[ChosenUnit],
    answers: Mapping[Key, _Answers],
    has_descriptions: bool,
) -> RatingRow:
    """Compute the row of some categories of a layer; ``chosen`` are the layer's units."""
    categories = {stratum.category for stratum in strata}
    members = [unit for unit in chosen if unit.category in categories]
    row = RatingRow(
        strata[0].layer,
        strata[0].category,
        units=sum(stratum.units for stratum in strata),
        rated=sum(answers[unit.layer, unit.unit].is_rated for unit in members),
        interpretable=None,
        human_consistency=None,
        network_dissection=None,
    )
    if not has_descriptions:
        labelled = _observe(chosen, answers, categories, "labelled")
        return replace(row, network_dissection=_label_share(labelled, strata))
    described = _observe(chosen, answers, categories, "described")
    confirmed = _observe(chosen, answers, categories, "described", "confirmed")
    labelled = _observe(chosen, answers, categories, "described", "labelled")
    return replace(
        row,
        interpretable=_interpretable_share(described, row.units),
        human_consistency=_consistency(confirmed),
        network_dissection=_consistency(labelled),
    )


@dataclass(frozen=True)
class _Observed:
    """Units of some categories whose answers of one or two kinds are known."""

    answers: tuple[Floats, ...]  # 0 or 1 for each unit, of each kind
    guesses: Floats
    probabilities: Floats  # of being chosen and answered

    def __len__(self) -> int:
        return len(self.guesses)


def _observe(
    chosen: Sequence[ChosenUnit],
    answers: Mapping[Key, _Answers],
    categories: Collection[str],
    *kinds: str,
) -> _Observed:
    """Collect the units of ``categories`` whose answers of all ``kinds`` are known.

    Raters see the layer's questions in random order: those answered so far are a random choice,
    whatever the answers are.
    """
    known: list[ChosenUnit] = []
    for unit in chosen:
        answer = answers[unit.layer, unit.unit]
        if all(getattr(answer, kind) is not None for kind in kinds):
            known.append(unit)
    answered = len(known) / max(len(chosen), 1)
    units = [unit for unit in known if unit.category in categories]
    values = []
    for kind in kinds:
        column = [getattr(answers[unit.layer, unit.unit], kind) for unit in units]
        values.append(np.array(column, np.float64))
    probabilities = [unit.probability * answered for unit in units]
    return _Observed(
        tuple(values),
        np.array([unit.guess for unit in units]),
        np.array(probabilities, np.float64),
    )


def _interpretable_share(described: _Observed, population: int) -> Share | None:
    """Estimate the share of all units whose description is accepted."""
    if not len(described):
        return None
    (accepted,) = described.answers
    every = np.ones(len(described))
    value, variance = ratio_estimate(accepted, every, described.probabilities)
    weights = 1 / described.probabilities
    return share_of(value, variance, population, accepted, weights)


def _consistency(observed: _Observed) -> Share | None:
    """Estimate the share of interpretable units whose other answer is accepted, too."""
    described, other = observed.answers
    if not described.any():
        return None
    probabilities = observed.probabilities
    value, variance = ratio_estimate(other, described, probabilities)
    interpretable = described == 1
    weights = 1 / probabilities[interpretable]
    population = float(weights.sum())
    return share_of(value, variance, population, other[interpretable], weights)


def _label_share(labelled: _Observed, strata: Sequence[Stratum]) -> Share | None:
    """Estimate the share of all units whose label is accepted."""
    if not len(labelled):
        return None
    (accepted,) = labelled.answers
    population = sum(stratum.units for stratum in strata)
    guess_sum = sum(stratum.guess_sum for stratum in strata)
    total, variance = difference_estimate(
        accepted, labelled.guesses, labelled.probabilities, guess_sum
    )
    weights = 1 / labelled.probabilities
    return share_of(
        total / population, variance / population**2, population, accepted, weights
    )


def _agreement(by_question: Mapping[str, Sequence[bool]]) -> float | None:
    """Return the share of pairs of raters of the same phrase who give the same answer."""
    equal = 0
    pairs = 0
    for given in by_question.values():
        yes = sum(given)
        no = len(given) - yes
        equal += math.comb(yes, 2) + math.comb(no, 2)
        pairs += math.comb(len(given), 2)
    return equal / pairs if pairs else None


def _notes(study: Study, by_question: Mapping[str, Sequence[bool]]) -> list[str]:
    notes: list[str] = []
    asked = len(study.questions)
    answered = len(by_question)
    if answered < asked:
        notes.append(f"{answered} of {asked} questions have an answer so far")
    population = sum(stratum.units for stratum in study.strata)
    if len(study.units) < population:
        notes.append(
            f"shares of all {population} units are estimated from the {len(study.units)} chosen"
        )
    most_raters = max(map(len, by_question.values()), default=0)
    if not study.has_descriptions:
        notes.append(
            "no descriptions were given, so that no unit is known to be interpretable: "
            "Network Dissection's share is one of all units with a label"
        )
    elif most_raters < 2:
        notes.append("human consistency needs a second rater")
    return notes
