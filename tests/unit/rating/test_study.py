"""Studies: what is asked, about which units, and that nothing tells where a phrase is from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_ratings import large_dissection

from nd_plugin import BadInput, Dissection
from nd_plugin.rating.study import (
    Plan,
    Question,
    labels_fingerprint,
    plan_study,
    shown_ranks,
)
from nd_plugin.results.top_maps import UNKNOWN


def asked(questions: tuple[Question, ...]) -> set[tuple[int, str]]:
    return {(question.unit, question.phrase) for question in questions}


def test_every_label_is_asked_in_plain_words(large: Dissection) -> None:
    study = plan_study([large], Plan(units=None))
    phrases = ["ski resort", "blue", "door frame", "<b>'\"&"]
    expected = {(unit, phrases[label]) for unit, label in enumerate(large.labels)}
    assert asked(study.questions) == expected
    assert all(
        item.is_label and not item.is_description for item in study.questions
    )
    assert [unit.probability for unit in study.units] == [1.0] * 12
    assert sum(stratum.units for stratum in study.strata) == 12
    assert study.notes == ()


def test_descriptions_are_mixed_in_and_the_others_left_out(
    large: Dissection,
) -> None:
    name = ["ski resort", "blue", "door frame", "<b>'\"&"][large.labels[3]]
    descriptions = {(large.layer, 1): "a thing", (large.layer, 3): name}
    study = plan_study([large], Plan(descriptions=descriptions))
    of_unit_1 = [item for item in study.questions if item.unit == 1]
    assert [sorted((item.is_label, item.is_description)) for item in of_unit_1] == [
        [False, True]
    ] * 2
    assert len({item.pictures for item in of_unit_1}) == 1
    # Where people and Network Dissection say the same, it is asked once, for both.
    (of_unit_3,) = [item for item in study.questions if item.unit == 3]
    assert of_unit_3.is_label and of_unit_3.is_description
    assert {item.unit for item in study.questions} == {1, 3}
    (note,) = study.notes
    assert "10 of 12 units without a description or pictures are not asked" in note


def test_identifiers_tell_nothing_and_differ_from_study_to_study(
    large: Dissection,
) -> None:
    descriptions = {(large.layer, unit): f"thing {unit}" for unit in range(12)}
    studies = [
        plan_study([large], Plan(None, descriptions=descriptions)) for _ in "ab"
    ]
    identifiers = [
        {item.identifier for item in study.questions} for study in studies
    ]
    assert len(identifiers[0]) == 24 and not identifiers[0] & identifiers[1]
    for study in studies:
        names = [item.identifier for item in study.questions]
        assert names == sorted(names)
        assert all(len(name) == 16 and int(name, 16) >= 0 for name in names)


def test_the_choice_follows_the_seed(large: Dissection) -> None:
    plans = [Plan(units=4, seed=seed) for seed in (0, 0, 1, 2, 3)]
    choices = [
        [unit.unit for unit in plan_study([large], plan).units] for plan in plans
    ]
    assert choices[0] == choices[1]
    assert len(set(map(tuple, choices))) > 1
    assert all(len(set(choice)) == 4 for choice in choices)


def test_uncertain_labels_are_chosen_more_often(large: Dissection) -> None:
    study = plan_study([large], Plan(units=4))
    by_unit = {unit.unit: unit for unit in study.units}
    assert all(0 < unit.probability <= 1 for unit in by_unit.values())
    pairs = [
        (first, second)
        for first in study.units
        for second in study.units
        if first.category == second.category
        and abs(first.guess - 0.5) < abs(second.guess - 0.5)
    ]
    assert all(first.probability >= second.probability for first, second in pairs)


def test_dead_units_and_those_without_overlap_are_not_asked_about(
    large: Dissection,
) -> None:
    intersection = large.intersection.copy()
    intersection[2] = 0
    dead = np.arange(12) == 5
    study = plan_study(
        [replace(large, intersection=intersection, dead=dead)], Plan(units=None)
    )
    assert {item.unit for item in study.questions} == set(range(12)) - {2, 5}
    assert "2 of 12 units without a label or pictures" in study.notes[0]


def test_a_described_unit_without_a_label_is_asked_about(large: Dissection) -> None:
    intersection = large.intersection.copy()
    intersection[2] = 0
    plan = Plan(descriptions={(large.layer, 2): "a thing"})
    study = plan_study([replace(large, intersection=intersection)], plan)
    (question,) = study.questions
    assert question.is_description and not question.is_label
    assert study.strata[0].category == "no label"


def test_a_run_without_pictures_has_nothing_to_rate(large: Dissection) -> None:
    with pytest.raises(BadInput, match="no unit of the run has both"):
        plan_study([replace(large, stored_pictures=None)], Plan())


def test_top_images_without_picture_or_map_are_passed_over(
    large: Dissection,
) -> None:
    pictures = large.pictures
    assert pictures is not None
    kept = pictures.images != large.top_images[0, 1]
    fewer = replace(
        pictures,
        images=pictures.images[kept],
        encoded=tuple(np.array(pictures.encoded, object)[kept]),
    )
    assert shown_ranks(large, 0, 15) == [0, 1, 2]
    assert shown_ranks(replace(large, stored_pictures=fewer), 0, 15) == [0, 2]
    assert shown_ranks(large, 0, 2) == [0, 1]


@pytest.mark.parametrize("count", [0, UNKNOWN])
def test_top_images_without_lit_pixels_are_passed_over(
    large: Dissection, count: int
) -> None:
    pictures = large.pictures
    assert pictures is not None
    counts = pictures.maps.counts.copy()
    counts[0, 0] = count
    counts[3] = count
    darker = replace(pictures, maps=replace(pictures.maps, counts=counts))
    dark = replace(large, stored_pictures=darker)
    assert shown_ranks(dark, 0, 15) == [1, 2]
    study = plan_study([dark], Plan(units=None))
    assert {item.unit for item in study.questions} == set(range(12)) - {3}


def test_layers_are_told_apart(large: Dissection, dissection: Dissection) -> None:
    second = replace(large_dissection(dissection, 6, seed=1), layer="second")
    study = plan_study([large, second], Plan(units=None))
    assert {stratum.layer for stratum in study.strata} == {large.layer, "second"}
    assert len(study.units) == 18
    assert len({item.pictures for item in study.questions}) == 18


def test_the_fingerprint_is_that_of_labels_and_top_images(
    large: Dissection,
) -> None:
    same = replace(large, provenance=replace(large.provenance, seconds=9.0))
    assert labels_fingerprint([same]) == labels_fingerprint([large])
    other = replace(large, intersection=large.intersection + 1)
    assert labels_fingerprint([other]) != labels_fingerprint([large])
    assert labels_fingerprint([replace(large, layer="x")]) != labels_fingerprint(
        [large]
    )
