"""Table 3: the paper's own numbers, groups of raters, categories that add up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_ratings import complete_study, unit_questions, vote

from nd_plugin.rating.study import ChosenUnit, Stratum, Study
from nd_plugin.rating.table import (
    ALL,
    RatingRow,
    RatingTable,
    is_accepted,
    rating_table,
)
from nd_plugin.rating.votes import Vote

# Human evaluation of AlexNet on Places205, as published by Bau, Zhou, Khosla, Oliva and Torralba
# (CVPR 2017, arXiv 1704.05796, sec. 3.1). Layer: units, interpretable units, human consistency and
# Network Dissection in per cent.
PUBLISHED = {
    "conv1": (96, 57, 82, 37),
    "conv2": (256, 126, 76, 56),
    "conv3": (384, 247, 83, 54),
    "conv4": (384, 258, 82, 59),
    "conv5": (256, 194, 91, 71),
}
# How these units fall into categories is made up here, as it was not at hand. What is tested of
# categories is that they add up to the published row.
CATEGORIES = ("object", "part", "texture", "object", "color")


def counts_of(percent: int, whole: int) -> list[int]:
    """Return the counts that are printed as a percentage of ``whole``."""
    return [k for k in range(whole + 1) if f"{100 * k / whole:.0f}" == str(percent)]


def votes_of(
    units: int, interpretable: int, confirmed: int, labelled: int
) -> list[Vote]:
    """Return the votes of two raters that give these counts."""
    votes: list[Vote] = []
    for unit in range(units):
        is_interpretable = unit < interpretable
        # The second group accepts descriptions of other units, too: these do not count.
        is_confirmed = unit < confirmed or not is_interpretable
        is_labelled = interpretable - labelled <= unit
        votes.append(vote("first", f"conv/{unit}/d", is_interpretable))
        votes.append(vote("second", f"conv/{unit}/d", is_confirmed))
        votes.append(vote("first", f"conv/{unit}/l", is_labelled))
        votes.append(vote("second", f"conv/{unit}/l", is_labelled))
    return votes


def total_of(table: RatingTable) -> RatingRow:
    (row,) = [row for row in table.rows if row.category == ALL]
    return row


@pytest.mark.parametrize("layer", PUBLISHED)
def test_the_published_numbers_come_out_of_votes_that_give_them(layer: str) -> None:
    units, interpretable, human, network = PUBLISHED[layer]
    study = complete_study([CATEGORIES[unit % 5] for unit in range(units)])
    possible_human = counts_of(human, interpretable)
    possible_network = counts_of(network, interpretable)
    assert possible_human and possible_network
    for confirmed, labelled in (
        (possible_human[0], possible_network[-1]),
        (possible_human[-1], possible_network[0]),
    ):
        table = rating_table(
            study, votes_of(units, interpretable, confirmed, labelled)
        )
        row = total_of(table)
        assert (
            row.interpretable and row.human_consistency and row.network_dissection
        )
        assert row.units == row.rated == units
        assert (row.interpretable.accepted, row.interpretable.units) == (
            interpretable,
            units,
        )
        assert round(100 * row.human_consistency.value) == human
        assert round(100 * row.network_dissection.value) == network
        assert row.human_consistency.accepted == confirmed
        assert row.network_dissection.accepted == labelled
        assert_rows_sum(table)


def assert_rows_sum(table: RatingTable) -> None:
    """Check that a layer's categories add up to its row of sums."""
    total = total_of(table)
    categories = [row for row in table.rows if row.category != ALL]
    assert len(categories) > 1
    assert sum(row.units for row in categories) == total.units
    assert sum(row.rated for row in categories) == total.rated
    for name in ("interpretable", "human_consistency", "network_dissection"):
        shares = [getattr(row, name) for row in categories]
        whole = getattr(total, name)
        counted = [share for share in shares if share is not None]
        assert sum(share.accepted for share in counted) == whole.accepted
        assert sum(share.units for share in counted) == whole.units


def test_the_rows_of_the_paper_are_those_of_several_layers() -> None:
    first = complete_study(["object"] * 2, "conv1")
    second = complete_study(["object", "part"], "conv2")
    study = replace(
        first,
        strata=first.strata + second.strata,
        units=first.units + second.units,
        questions=first.questions + second.questions,
    )
    votes = [vote("a", "conv1/0/d", True), vote("a", "conv2/1/d", False)]
    rows = rating_table(study, votes).rows
    assert [(row.layer, row.category) for row in rows] == [
        ("conv1", "object"),
        ("conv1", ALL),
        ("conv2", "object"),
        ("conv2", "part"),
        ("conv2", ALL),
    ]
    assert rows[1].interpretable and rows[1].interpretable.value == 1
    assert rows[4].interpretable and rows[4].interpretable.value == 0


@pytest.mark.parametrize(
    ("answers", "accepted"),
    [
        ("", None),
        ("y", True),
        ("n", False),
        ("yn", False),
        ("yyn", True),
        ("ynn", False),
    ],
)
def test_more_than_half_must_say_yes(answers: str, accepted: bool | None) -> None:
    assert is_accepted([answer == "y" for answer in answers]) is accepted


@pytest.mark.parametrize(
    ("answers", "interpretable", "confirmed"),
    [
        # the first half decides, and the middle one of an odd number
        ("yn", 1, 0),
        ("ny", 0, None),
        ("yyn", 1, 0),
        ("yny", 0, None),
        ("yyyn", 1, 0),
        ("yyyyn", 1, 0),
        ("yynyy", 1, 1),
    ],
)
def test_groups_are_in_the_order_in_which_raters_joined(
    answers: str, interpretable: int, confirmed: int | None
) -> None:
    study = complete_study(["object"])
    votes = [
        vote(f"rater {number}", "conv/0/d", answer == "y")
        for number, answer in enumerate(answers)
    ]
    row = total_of(rating_table(study, votes))
    assert row.interpretable and row.interpretable.accepted == interpretable
    consistency = row.human_consistency
    assert (consistency and consistency.accepted) == confirmed


def test_a_single_rater_leaves_human_consistency_open() -> None:
    table = rating_table(complete_study(["object"]), [vote("a", "conv/0/d", True)])
    row = total_of(table)
    assert row.interpretable and row.human_consistency is None
    assert "human consistency needs a second rater" in table.notes
    assert "1 of 2 questions have an answer so far" in table.notes
    assert table.agreement is None


def test_without_descriptions_labels_are_judged_among_all_units() -> None:
    study = complete_study(["object", "object", "part"], kinds="l")
    votes = [
        vote("a", "conv/0/l", True),
        vote("a", "conv/1/l", False),
        vote("a", "conv/2/l", True),
    ]
    table = rating_table(study, votes)
    row = total_of(table)
    assert row.interpretable is None and row.human_consistency is None
    assert row.network_dissection and row.network_dissection.accepted == 2
    assert row.network_dissection.value == pytest.approx(2 / 3)
    assert any("no descriptions were given" in note for note in table.notes)


def test_a_unit_without_a_label_has_none_that_could_be_accepted() -> None:
    study = complete_study(["object", "no label"])
    questions = tuple(
        item for item in study.questions if item.identifier != "conv/1/l"
    )
    votes = [vote("a", item.identifier, True) for item in questions]
    row = total_of(rating_table(replace(study, questions=questions), votes))
    assert row.network_dissection
    assert (row.network_dissection.accepted, row.network_dissection.units) == (1, 2)


def test_a_phrase_of_both_origins_counts_for_both() -> None:
    study = complete_study(["object"])
    both = replace(study.questions[0], is_label=True, is_description=True)
    votes = [vote("a", both.identifier, True), vote("b", both.identifier, False)]
    row = total_of(rating_table(replace(study, questions=(both,)), votes))
    assert row.interpretable and row.interpretable.accepted == 1
    assert row.human_consistency and row.human_consistency.accepted == 0
    assert row.network_dissection and row.network_dissection.accepted == 0


def test_agreement_is_that_of_pairs_of_raters() -> None:
    study = complete_study(["object", "object"], kinds="l")
    votes = [vote(name, "conv/0/l", name != "c") for name in "abc"]
    votes += [vote(name, "conv/1/l", True) for name in "ab"]
    # pairs: one of three agrees, and one of one
    assert rating_table(study, votes).agreement == pytest.approx(2 / 4)


def test_without_votes_nothing_is_known() -> None:
    table = rating_table(complete_study(["object"]), [])
    row = total_of(table)
    assert (row.interpretable, row.human_consistency, row.network_dissection) == (
        None,
        None,
        None,
    )
    assert (row.units, row.rated, table.votes, table.raters) == (1, 0, 0, 0)


def test_chosen_units_stand_for_those_left_out() -> None:
    # Two units of 100: a certain one, and one that stands for 99.
    study = Study(
        "fingerprint",
        15,
        (Stratum("conv", "object", 100, 10.0),),
        (
            ChosenUnit("conv", 0, "object", 0.1, 1.0),
            ChosenUnit("conv", 1, "object", 0.1, 1 / 99),
        ),
        tuple(unit_questions("conv", 0) + unit_questions("conv", 1)),
    )
    votes = [vote("a", "conv/0/d", False), vote("a", "conv/1/d", True)]
    table = rating_table(study, votes)
    share = total_of(table).interpretable
    assert share and share.value == pytest.approx(0.99)
    assert not share.is_complete and share.low < 0.6
    assert "shares of all 100 units are estimated from the 2 chosen" in table.notes


def test_units_answered_so_far_stand_for_all_chosen() -> None:
    study = complete_study(["object"] * 4, kinds="l")
    votes = [vote("a", "conv/0/l", True), vote("a", "conv/3/l", True)]
    share = total_of(rating_table(study, votes)).network_dissection
    assert share and share.value == 1 and share.units == 2 and not share.is_complete
