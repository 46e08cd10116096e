"""``nd concepts check`` on Broden's layout: planted faults are found and named, sound sets pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from broden_tables import SMALL, small_set
from planted_faults import FAULTS, BrodenFiles, Place, copied, small_camvid

from nd_broden.checking import check, check_tables
from nd_plugin import SetFinding

Fault = Callable[[BrodenFiles], Place]
# other errors that a fault has as its consequence
CONSEQUENCES = {
    "turned_image": {"mask-aspect"},
    "category_without_a_table": {"category-without-concepts"},
    "category_without_a_column": {"unused-category"},
}


@pytest.fixture(scope="module")
def small(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of CamVid's images with tables of their own."""
    root = tmp_path_factory.mktemp("small") / "camvid"
    return small_camvid(real_data / "broden_camvid", root)


def places(findings: list[SetFinding]) -> set[Place]:
    return {(finding.rule, finding.file) for finding in findings}


def test_there_are_thirty_faults_and_more() -> None:
    assert len(FAULTS) >= 40


def test_the_small_set_is_sound(small: Path) -> None:
    assert list(check(str(small))) == []


@pytest.mark.parametrize("index", ["index.csv", "index_sparse.csv"])
def test_the_original_has_no_faults(real_data: Path, index: str) -> None:
    root = str(real_data / "broden_camvid")
    assert list(check(root, index=index)) == []


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_named(
    small: Path, tmp_path: Path, plant: Fault
) -> None:
    files = copied(small, tmp_path / "set")
    place = plant(files)
    files.save()
    findings = list(check(str(files.root)))
    assert place in places(findings)
    assert all(finding.problem and finding.remedy for finding in findings)
    error_rules = {finding.rule for finding in findings if finding.is_error}
    consequences = CONSEQUENCES.get(plant.__name__, set())
    assert error_rules - {place[0]} <= consequences


def test_all_of_them_at_once_in_a_copy_of_the_original(
    real_data: Path, tmp_path: Path
) -> None:
    files = copied(real_data / "broden_camvid", tmp_path / "set")
    expected = {plant(files) for plant in FAULTS}
    files.save()
    assert expected - places(list(check(str(files.root)))) == set()


@pytest.mark.parametrize(
    ("table", "content", "expected"),
    [
        ("index.csv", None, ("missing-table", "index.csv")),
        ("index.csv", b"image,color,object,scene\n", ("empty-table", "index.csv")),
        (
            "index.csv",
            SMALL["index.csv"].replace(",", ";").encode(),
            ("missing-column", "index.csv:1"),
        ),
        (
            "index.csv",
            SMALL["index.csv"].encode("utf-16"),
            ("unreadable-table", "index.csv"),
        ),
        ("category.csv", None, ("missing-table", "category.csv")),
        ("label.csv", None, ("missing-table", "label.csv")),
        (
            "label.csv",
            SMALL["label.csv"].replace("auto", "aut\xf6").encode("latin-1"),
            ("unreadable-table", "label.csv"),
        ),
    ],
)
def test_a_table_that_is_lost_is_the_only_error(
    tmp_path: Path, table: str, content: bytes | None, expected: Place
) -> None:
    root = small_set(tmp_path)
    if content is None:
        (root / table).unlink()
    else:
        (root / table).write_bytes(content)
    errors = [finding for finding in check(str(root)) if finding.is_error]
    assert places(errors) == {expected}


def test_lines_of_no_utf_8_and_lines_behind_a_fault_are_checked(
    tmp_path: Path,
) -> None:
    root = small_set(tmp_path)
    text = SMALL["label.csv"].replace("sky", "h\xf6he")
    text = text.replace("4,car,object(1)", "four,car,object(1)")
    (root / "label.csv").write_bytes(text.encode("latin-1"))
    errors = [finding for finding in check(str(root)) if finding.is_error]
    assert places(errors) == {
        ("unreadable-table", "label.csv"),
        ("label-number", "label.csv:5"),
        ("unlisted-label", "images/a/o.png"),
    }


def test_label_0_is_no_label_of_the_tables(tmp_path: Path) -> None:
    table = SMALL["label.csv"].replace("\n1,", "\n0,-,color(3),9,9.0,\n1,", 1)
    root = small_set(tmp_path, {"label.csv": table})
    assert not any(finding.is_error for finding in check(str(root)))
    assert not any(rule.findings for rule in check_tables(str(root)))


def test_tables_without_an_index_say_so(tmp_path: Path) -> None:
    root = small_set(tmp_path)
    (root / "index.csv").unlink()
    rules = {rule.rule: rule for rule in check_tables(str(root))}
    assert rules["index-frequency"].reason.startswith("there is no index.csv")


def test_numbers_with_a_decimal_point_are_no_fault(tmp_path: Path) -> None:
    index = SMALL["index.csv"].replace("5;6", "5.0;6.0")
    findings = check(str(small_set(tmp_path, {"index.csv": index})))
    assert not any(finding.is_error for finding in findings)


def many_lines(*splits: str) -> str:
    """Return an index with 100 lines of train and of val, and one of each other split."""
    header, line = SMALL["index.csv"].splitlines()
    all_splits = [*["train"] * 100, *["val"] * 100, *splits]
    lines = [line.replace(",train,", f",{split},") for split in all_splits]
    return "\n".join([header, *lines]) + "\n"


@pytest.mark.parametrize(
    ("split", "likely"),
    [
        ("trian", "train"),
        ("tran", "train"),
        ("Train", "train"),
        ("vla", "val"),
        ("VAL", "val"),
        ("test", ""),
        ("holdout", ""),
    ],
)
def test_a_rare_split_that_is_nearly_a_frequent_one(
    tmp_path: Path, split: str, likely: str
) -> None:
    root = small_set(tmp_path, {"index.csv": many_lines(split)})
    findings = [
        finding for finding in check(str(root)) if finding.rule == "split-name"
    ]
    assert [finding.file for finding in findings] == (
        ["index.csv:202"] if likely else []
    )
    for finding in findings:
        assert finding.problem == (
            f"1 line has the split {split!r}, and 100 have {likely!r}"
        )
        assert not finding.is_error


@pytest.mark.parametrize("count", [2, 3])
def test_a_split_of_one_in_a_hundred_is_a_name(tmp_path: Path, count: int) -> None:
    """2 lines of 202 are under 1 %, 3 of 203 are not."""
    root = small_set(tmp_path, {"index.csv": many_lines(*["train2"] * count)})
    places = [
        finding.file for finding in check(str(root)) if finding.rule == "split-name"
    ]
    assert places == (["index.csv:202", "index.csv:203"] if count == 2 else [])


def test_an_index_without_splits_has_no_fault_in_them(tmp_path: Path) -> None:
    index = SMALL["index.csv"].replace(",train,", ",,")
    findings = check(str(small_set(tmp_path, {"index.csv": index})))
    assert "split-name" not in {finding.rule for finding in findings}
