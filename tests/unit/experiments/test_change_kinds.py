"""What the concepts of a unit have in common, and units of several stages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nd_plugin import Concept, Dissection
from nd_plugin.errors import BadInput
from nd_plugin.experiments.evolution.change_kinds import (
    change_kind,
    common_category,
    notes_of_kinds,
    profile_similarity,
)
from nd_plugin.experiments.evolution.histories import LayerEvolution

CONCEPTS = (
    Concept("red", "color"),
    Concept("blue", "color"),
    Concept("dotted", "texture"),
    Concept("wood", "material"),
    Concept("cat", "object"),
    Concept("tail", "part"),
    Concept("street", "scene"),
)
CATEGORIES = ("color", "texture", "material", "object", "part", "scene")
AREA = 100  # pixels of each unit, and of each concept


@pytest.fixture
def stage(dissection: Dissection) -> Dissection:
    """Dissection of one unit that overlaps nothing."""
    return replace(
        dissection,
        categories=CATEGORIES,
        concepts=CONCEPTS,
        thresholds=np.zeros(1),
        intersection=np.zeros((1, len(CONCEPTS)), np.int64),
        unit_area=np.full((1, len(CATEGORIES)), AREA),
        concept_area=np.full(len(CONCEPTS), AREA),
        category_images=np.full(len(CATEGORIES), 4),
        category_pixels=np.full(len(CATEGORIES), 4 * 10 * AREA),
        dead=np.zeros(1, bool),
        sparse=np.zeros(1, bool),
        top_images=np.zeros((1, 1), np.int64),
        top_activations=np.zeros((1, 1)),
    )


def overlapping(stage: Dissection, **pixels: int) -> Dissection:
    """Let the unit overlap concepts by so many pixels."""
    names = [concept.name for concept in CONCEPTS]
    intersection = np.zeros((1, len(names)), np.int64)
    for name, count in pixels.items():
        intersection[0, names.index(name)] = count
    return replace(stage, intersection=intersection)


class TestKinds:
    @pytest.mark.parametrize(
        ("before", "after", "kind"),
        [
            # a dog's detector becomes a waterfall's: both are white
            ({"cat": 60, "red": 30}, {"street": 50, "red": 20}, "colour"),
            ({"cat": 60, "dotted": 30}, {"tail": 50, "dotted": 20}, "texture"),
            # the colour is not the same
            ({"cat": 60, "red": 30}, {"street": 50, "blue": 20}, "none"),
            # the colour is no detector's at the second stage: IoU 5 / 195
            ({"cat": 60, "red": 30}, {"street": 50, "red": 5}, "none"),
            ({"cat": 60}, {"tail": 50}, "object type"),
            ({"red": 60}, {"blue": 50}, "colour"),
            ({"dotted": 60}, {"wood": 50}, "texture"),
            ({"red": 60}, {"cat": 50}, "none"),
            ({"red": 60}, {"cat": 50, "red": 40}, "colour"),
            # of two in common, the stronger
            (
                {"cat": 60, "red": 20, "wood": 40},
                {"tail": 60, "red": 50, "wood": 30},
                "texture",
            ),
        ],
    )
    def test_the_unit_tells(
        self,
        stage: Dissection,
        before: dict[str, int],
        after: dict[str, int],
        kind: str,
    ) -> None:
        first = overlapping(stage, **before)
        last = overlapping(stage, **after)
        (change,) = LayerEvolution((first, last)).overall.changed
        assert change.kind == kind

    def test_categories_alone(self) -> None:
        assert common_category("object", "part") == "object type"
        assert common_category("texture", "material") == "texture"
        assert common_category("scene", "scene") == "scene"
        assert common_category("crop", "crop") == "crop"
        assert common_category("scene", "object") == "none"

    def test_similarity_is_the_cosine_of_profiles(self, stage: Dissection) -> None:
        first = overlapping(stage, cat=60, red=30)
        assert profile_similarity(first, first, 0) == pytest.approx(1)
        assert profile_similarity(first, overlapping(stage, tail=60), 0) == 0
        assert profile_similarity(first, stage, 0) == 0, "no overlap at all"
        other = overlapping(stage, cat=60)
        # IoU 60/140 and 30/170
        expected = (60 / 140) / np.hypot(60 / 140, 30 / 170)
        assert profile_similarity(first, other, 0) == pytest.approx(expected)

    def test_an_attribute_at_the_limit_is_not_shared(
        self, stage: Dissection
    ) -> None:
        first = overlapping(stage, cat=60, red=30)
        last = overlapping(stage, street=60, red=30)
        labels = ("object", "scene")
        assert change_kind(first, last, 0, labels) == "colour"
        limit = replace(first.settings, min_iou=30 / 170)
        at_limit = replace(first, settings=limit)
        assert change_kind(at_limit, last, 0, labels) == "none"

    def test_missing_categories_are_named(self, stage: Dissection) -> None:
        (note,) = notes_of_kinds(stage)
        assert "changes that keep shape cannot be told" in note


class TestStages:
    def test_lost_gained_and_kept(self, stage: Dissection) -> None:
        cat = overlapping(stage, cat=60)
        evolution = LayerEvolution((stage, cat, cat, stage))
        first, second, third = evolution.transitions
        assert (first.gained, second.kept, third.lost) == ((0,), (0,), (0,))
        assert first.share_kept is None, "no detector of both"
        assert evolution.always_kept == ()
        assert LayerEvolution((cat, cat)).always_kept == (0,)

    def test_other_concepts_or_units_are_refused(self, stage: Dissection) -> None:
        fewer = replace(stage, concepts=CONCEPTS[:-1])
        with pytest.raises(
            BadInput, match="concepts differ between stage 1 and stage 2"
        ):
            LayerEvolution((stage, fewer))
        wider = replace(stage, thresholds=np.zeros(2))
        with pytest.raises(BadInput, match=r"units differ .* \(1 and 2\)"):
            LayerEvolution((stage, wider))
        with pytest.raises(BadInput, match="no stage"):
            LayerEvolution(())
