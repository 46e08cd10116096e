"""Ranks in exact arithmetic."""

from nd_plugin.method.ranks import complement_rank, rank


def test_a_rank_is_that_of_the_decimal_number() -> None:
    assert rank(0.29, 100) == 29 and int(0.29 * 100) == 28
    assert rank(0.005, 200) == 1 and rank(0.005, 199) == 0
    assert rank(0.1, 10**15) == 10**14


def test_a_complement_rank_is_too() -> None:
    assert complement_rank(0.9, 10) == 1 and int((1 - 0.9) * 10) == 0
    assert complement_rank(0.005, 200) == 199 and complement_rank(0.005, 199) == 198
