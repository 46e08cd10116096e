"""Splits by a hash of the file name, as Broden's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from broden_tables import read_rows

from nd_plugin.concepts.union.splits import Splits
from nd_plugin.errors import BadInput


def test_splits_and_order_are_those_of_brodens_index(real_data: Path) -> None:
    """All 22,210 real rows: each split, and the order of the rows."""
    path = real_data / "broden_tables" / "index_ade20k.csv"
    rows = [(row["image"], row["split"]) for row in read_rows(path)]
    splits = Splits.parse()
    assert [splits.split(image) for image, _ in rows] == [
        split for _, split in rows
    ]
    positions = [splits.position(image) for image, _ in rows]
    assert positions == sorted(positions)
    assert len(rows) == 22210


def test_a_known_hash() -> None:
    """MD5 of the name: 16 hexadecimal digits as a fraction."""
    assert Splits.parse().position("a") == 0x0CC175B9C0F1B6A8 / 2**64


def test_shares_hold_for_many_names() -> None:
    splits = Splits.parse("train=0.6,val=0.3,test=0.1", seed=3)
    counts = Counter(splits.split(f"street/{number}.jpg") for number in range(4000))
    assert list(splits.shares) == [("train", 0.6), ("val", 0.3), ("test", 0.1)]
    for name, share in splits.shares:
        # four standard deviations of a share of 4000
        assert abs(counts[name] / 4000 - share) < 4 * 0.5 / 4000**0.5


def test_a_seed_gives_other_splits_and_no_seed_brodens() -> None:
    names = [f"{number}.jpg" for number in range(50)]
    by_seed = {
        seed: [Splits.parse(seed=seed).split(name) for name in names]
        for seed in (0, 1, 2)
    }
    assert by_seed[0] == [Splits.parse().split(name) for name in names]
    assert by_seed[0] != by_seed[1] != by_seed[2]


def test_all_in_one_split() -> None:
    assert Splits.parse("all=1").split("anything") == "all"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "train",
        "train=x",
        "train=0.7",
        "train=0.7,train=0.3",
        "a=-1,b=2",
        "a=nan",
    ],
)
def test_what_makes_no_splits(text: str) -> None:
    with pytest.raises(BadInput, match="--split"):
        Splits.parse(text)
