"""Intervals, chance level and stability of a dissection, in small cases counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_folds import folds_from, with_error_bars

from nd_plugin import BadInput, Concept, Dissection, Unavailable
from nd_plugin.report.error_bars.records import CountInterval
from nd_plugin.significance.chance_counts import ChanceCounts
from nd_plugin.significance.differences import difference_interval, have_same_folds
from nd_plugin.significance.statistics.label_counts import count_labels
from nd_plugin.significance.statistics.resampling import draw_weights


def with_folds(dissection: Dissection, intersection: np.ndarray) -> Dissection:
    """Return a dissection with these (fold, unit, concept) intersections.

    Masks have 10 pixels in each fold, concepts 20.
    """
    folds, units, concepts = intersection.shape
    unit_area = np.full((folds, units, 2), 10)
    concept_area = np.full((folds, concepts), 20)
    return replace(
        dissection,
        folds=folds_from(intersection, unit_area, concept_area),
        intersection=intersection.sum(axis=0),
        unit_area=unit_area.sum(axis=0),
        concept_area=concept_area.sum(axis=0),
    )


@pytest.fixture
def four_folds(dissection: Dissection) -> Dissection:
    """Five units in four folds.

    0 is the same in all folds; 1 is cat in three of them, dog in the last; 2 is a detector because
    of one fold; 3 overlaps nothing; 4 is a tail.
    """
    intersection = np.zeros((4, 5, 4), np.int64)
    intersection[:, 0, 0] = 6
    intersection[:3, 1, 0] = 3
    intersection[3, 1, 1] = 8
    intersection[2, 2, 0] = 5
    intersection[:, 4, 2] = 2
    return with_folds(dissection, intersection)


class TestIntervals:
    def test_a_unit_that_is_alike_in_all_folds(
        self, four_folds: Dissection
    ) -> None:
        intervals = four_folds.intervals()
        assert intervals.iou(0).to_list() == [6 / 24, 6 / 24]
        assert intervals.stability[0] == 1.0
        assert intervals.margins[0] == 6 / 24
        assert intervals.folds == 4
        assert intervals.resamples == 1000

    def test_stability_by_hand(self, four_folds: Dissection) -> None:
        """Unit 1 is a dog where its fold is drawn twice or more of four times.

        Three cats against one dog (9 to 8 pixels, the same union) is a cat, as in all images. The
        share of draws with the last fold at most once is 0.75^4 + 4 · 0.25 · 0.75^3 = 0.738.
        """
        exact = 0.75**4 + 4 * 0.25 * 0.75**3
        stability = four_folds.intervals(resamples=4000).stability
        # standard deviation 0.7 %
        assert stability[1] == pytest.approx(exact, abs=0.03)
        assert (
            four_folds.stability.tolist()
            == four_folds.intervals().stability.tolist()
        )
        weights = draw_weights(4, 1000, 0)
        assert four_folds.stability[1] == (weights[:, 3] < 2).mean()

    def test_margin_and_second_concept(self, four_folds: Dissection) -> None:
        intervals = four_folds.intervals()
        label_iou, second_iou = 9 / 111, 8 / 112
        assert intervals.margins[1] == label_iou - second_iou
        assert four_folds.concepts[intervals.seconds[1]].name == "dog"
        assert np.array_equal(four_folds.margins, intervals.margins)

    def test_interval_of_an_iou_by_hand(self, four_folds: Dissection) -> None:
        """Unit 2 overlaps in one fold, drawn n of four times: IoU 5 n / (4 · 30 - 5 n).

        No draw has a probability of 32 %, more than the lower tail; all four times 0.4 %, less than
        the upper tail even of so few folds (0.01 %) of 1,000 resamples: at most their maximum.
        """
        low, high = four_folds.intervals().iou(2).to_list()
        most = draw_weights(4, 1000, 0)[:, 2].max()
        assert low == 0
        assert high == pytest.approx(5 * most / (120 - 5 * most), rel=0.1)

    def test_counts(self, four_folds: Dissection) -> None:
        """Detectors are 0, 1, 2 and 4, and in most resamples they all are; tail is sure."""
        counts = four_folds.intervals().counts
        assert four_folds.summary().detectors == 4
        assert counts.detectors.low <= 3
        assert counts.detectors.high == 5  # 5 units, however wide the interval
        assert counts.unique_detectors_by_category["part"] == CountInterval(1, 1)
        assert counts.unique_detectors_by_category["object"].high == 2

    def test_intervals_contain_the_count(self, dissection: Dissection) -> None:
        result = with_error_bars(dissection)
        intervals = result.intervals()
        summary = result.summary()
        counts = intervals.counts
        assert counts.detectors.low <= summary.detectors <= counts.detectors.high
        assert np.all(intervals.iou_low <= result.iou.max(axis=1))
        for category, count in summary.detectors_by_category.items():
            interval = counts.detectors_by_category[category]
            assert interval.low <= count <= interval.high

    def test_a_higher_level_is_wider(self, dissection: Dissection) -> None:
        result = with_error_bars(dissection)
        narrow, wide = result.intervals(0.5), result.intervals(0.99)
        assert (wide.iou_low <= narrow.iou_low).all()
        assert (wide.iou_high >= narrow.iou_high).all()
        assert wide.iou_high[0] > narrow.iou_high[0]

    def test_the_same_numbers_again(self, dissection: Dissection) -> None:
        result = with_error_bars(dissection)
        assert result.intervals() is result.intervals()
        copy = replace(result)
        assert (
            copy.intervals().iou_low.tolist() == result.intervals().iou_low.tolist()
        )
        other_seed = result.intervals(seed=7)
        assert other_seed.iou_low.tolist() != result.intervals().iou_low.tolist()

    def test_one_concept_alone(self, four_folds: Dissection) -> None:
        """The second concept is then the label itself, at no distance."""
        folds = four_folds.folds
        assert folds is not None
        intersection = four_folds.intersection[:, :1]
        shares = np.full((2, 1, 1), 2)
        single = replace(
            four_folds,
            concepts=(Concept("cat", "object"),),
            intersection=2 * intersection,
            concept_area=np.array([80]),
            folds=folds_from(
                shares * intersection // 2,
                np.full((2, 5, 2), 40),
                np.full((2, 1), 40),
            ),
        )
        assert single.intervals().stability.tolist() == [1.0] * 5
        assert single.margins.tolist() == [0.0] * 5

    def test_without_folds(self, dissection: Dissection) -> None:
        with pytest.raises(Unavailable, match=r"no counts by fold.* --folds 20"):
            dissection.intervals()
        with pytest.raises(Unavailable, match=r"--folds 20"):
            _ = dissection.stability
        assert dissection.margins[0] == dissection.iou[0, 0] - dissection.iou[0, 2]

    def test_bad_arguments(self, dissection: Dissection) -> None:
        result = with_error_bars(dissection)
        with pytest.raises(BadInput, match=r"resamples is 10; expected 40 or more"):
            result.intervals(resamples=10)
        with pytest.raises(BadInput, match=r"level 1.5 is not between 0 and 1"):
            result.intervals(1.5)


def independent_units(
    random: np.random.Generator, true_iou: np.ndarray, dissection: Dissection
) -> Dissection:
    """Return units with images of their own, 400 in 20 folds, and one concept.

    Intersection and the rest of the union are independent, each the sum of 20 skewed images in a
    fold: the true IoU is the ratio of their means.
    """
    shape = (20, len(true_iou))
    intersection = (true_iou * random.gamma(10, 1e4, shape)).astype(np.int64)
    others = ((1 - true_iou) * random.gamma(10, 1e4, shape)).astype(np.int64)
    # IoU is intersection / (unit_area + concept_area - intersection)
    folds = folds_from(
        intersection[:, :, None],
        (2 * intersection + others)[:, :, None],
        np.zeros((20, 1), np.int64),
    )
    return replace(
        dissection,
        categories=("object",),
        concepts=(Concept("cat", "object"),),
        thresholds=np.zeros(len(true_iou)),
        intersection=intersection.sum(axis=0)[:, None],
        unit_area=folds.unit_area.sum(axis=0),
        concept_area=np.zeros(1, np.int64),
        folds=folds,
    )


def test_coverage_of_iou(dissection: Dissection) -> None:
    """Of 1,000 units the share that is covered has a standard deviation of 0.7 %."""
    random = np.random.default_rng(12)
    true_iou = random.uniform(0.01, 0.2, 1000)
    intervals = independent_units(random, true_iou, dissection).intervals()
    is_covered = (intervals.iou_low <= true_iou) & (true_iou <= intervals.iou_high)
    assert 0.925 < is_covered.mean() < 0.975


def test_coverage_of_detectors(dissection: Dissection) -> None:
    """Of 60 layers of 80 units, at least 85 %: 95 % have a standard deviation of 2.8 %.

    Most units are near the limit, on either side, more of them below it: noise adds detectors.
    """
    random = np.random.default_rng(13)
    true_iou = 0.03 + random.exponential(0.01, 80)
    true_count = int((true_iou > 0.04).sum())
    covered = 0
    for _ in range(60):
        layer = independent_units(random, true_iou, dissection)
        interval = layer.intervals(resamples=200).counts.detectors
        covered += interval.low <= true_count <= interval.high
    assert covered >= 51


class TestChanceLevel:
    @pytest.fixture
    def result(self, dissection: Dissection) -> Dissection:
        """Four permutations; detectors of the dissection are 0, 1 and 2."""
        chance = ChanceCounts(
            iou=np.array(
                [
                    [0.05, 0.01, 0.06, 0.0, 0.01],
                    [0.01, 0.30, 0.06, 0.0, 0.00],
                    [0.01, 0.01, 0.01, 0.0, 0.00],
                    [0.04, 0.01, 0.01, 0.0, 0.00],
                ]
            ),
            labels=np.array(
                [[0, 0, 0, 0, 0], [1, 2, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
            ),
            fixed_images=1,
        )
        return replace(dissection, chance=chance)

    def test_counts_by_hand(self, result: Dissection) -> None:
        """Two detectors of one concept, two of two, none, none: 0.04 is not above the limit."""
        level = result.chance_level
        assert level.permutations == 4
        assert level.fixed_images == 1
        assert level.detectors.to_dict() == {"mean": 1.0, "low": 0.0, "high": 2.0}
        assert level.unique_detectors.mean == 0.75
        assert level.detectors_by_category["object"].mean == 0.75
        assert level.detectors_by_category["part"].mean == 0.25
        assert level.unique_detectors_by_category["object"].mean == 0.5
        assert level.iou.tolist() == pytest.approx(
            [0.0275, 0.0825, 0.035, 0.0, 0.0025]
        )

    def test_rates_by_hand(self, result: Dissection) -> None:
        """One of three detectors is to be expected; units 0 and 2 are above all permutations."""
        assert result.false_discovery_rate == 1 / 3
        assert result.p_values.tolist() == [0.2, 0.4, 0.2, 1.0, 0.4]
        # unit 4's IoU of 1/204 is below one permutation: 0.4 · 5 / 4 for both
        assert result.q_values.tolist() == pytest.approx([0.5, 0.5, 0.5, 1.0, 0.5])

    def test_no_detector_at_all(self, result: Dissection) -> None:
        strict = replace(result, settings=replace(result.settings, min_iou=0.9))
        assert strict.summary().detectors == 0
        assert strict.false_discovery_rate == 0.0

    def test_more_by_chance_than_found(self, result: Dissection) -> None:
        loose = replace(result, settings=replace(result.settings, min_iou=0.26))
        assert loose.summary().detectors == 1
        assert loose.chance_level.detectors.mean == 0.25
        looser = replace(result, settings=replace(result.settings, min_iou=0.29))
        assert looser.summary().detectors == 0

    def test_without_permutations(self, dissection: Dissection) -> None:
        for name in (
            "chance_level",
            "p_values",
            "q_values",
            "false_discovery_rate",
        ):
            with pytest.raises(Unavailable, match=r"--permutations 100"):
                getattr(dissection, name)


def test_count_labels_by_hand() -> None:
    labels = np.array([[0, 0, 1, 2], [2, 2, 2, 2]])
    scores = np.array([[0.5, 0.3, 0.1, 0.05], [0.5, 0.04, 0.0, 0.05]])
    counts = count_labels(labels, scores, np.array([0, 0, 1]), 2, 0.04)
    assert counts.detectors_by_category.tolist() == [[3, 1], [0, 2]]
    assert counts.unique_by_category.tolist() == [[2, 1], [0, 1]]
    assert counts.detectors.tolist() == [4, 2]
    assert counts.unique_detectors.tolist() == [3, 1]


class TestDifferences:
    def test_a_run_and_itself(self, dissection: Dissection) -> None:
        """Paired resamples of the same counts cancel: no width at all."""
        result = with_error_bars(dissection)
        difference = difference_interval(result, replace(result))
        assert difference.is_paired
        assert difference.estimate == 0
        assert difference.interval.to_list() == [0.0, 0.0]
        assert not difference.is_below_zero
        assert not difference.is_above_zero

    def test_a_share_of_the_base(self, four_folds: Dissection) -> None:
        """Both have 2 unique detectors in 4 units, tail in every resample."""
        unique = four_folds.summary().unique_detectors
        difference = difference_interval(
            four_folds, replace(four_folds), share=0.25
        )
        assert difference.estimate == 0.75 * unique
        assert difference.is_above_zero
        gain = difference_interval(
            four_folds, replace(four_folds), "detectors", share=3.0
        )
        assert gain.estimate == -2 * four_folds.summary().detectors
        assert gain.is_below_zero

    def test_loss_of_a_sure_detector(self, four_folds: Dissection) -> None:
        intersection = np.zeros((4, 5, 4), np.int64)
        worse = with_folds(four_folds, intersection)
        difference = difference_interval(four_folds, worse, "detectors")
        assert difference.is_paired
        assert difference.estimate == -4
        assert difference.is_below_zero
        assert difference_interval(worse, four_folds, "detectors").is_above_zero

    def test_other_images_are_not_paired(self, four_folds: Dissection) -> None:
        """Unit 2 is a detector in two of three resamples, not in the same ones in both runs."""
        base = four_folds
        names = (*base.image_names[:-1], "other.jpg")
        new = replace(base, image_names=names)
        assert not have_same_folds(base, new)
        difference = difference_interval(base, new, "detectors")
        assert not difference.is_paired
        assert difference.interval.low < 0 < difference.interval.high

    def test_other_seeds_are_not_paired(self, dissection: Dissection) -> None:
        base = with_error_bars(dissection)
        new = replace(base, settings=replace(base.settings, seed=1))
        assert not have_same_folds(base, new)

    def test_bad_arguments(self, dissection: Dissection) -> None:
        result = with_error_bars(dissection)
        with pytest.raises(
            BadInput, match=r"'units' is none of unique_detectors, det"
        ):
            difference_interval(result, result, "units")
        with pytest.raises(Unavailable, match=r"--folds 20"):
            difference_interval(result, dissection)
        assert not have_same_folds(result, dissection)
