"""Tables of Broden's layout that scripts have rewritten, and the index at its full size."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from broden_tables import SMALL, copy_tables, full_size_tables, small_set

from nd_broden.reader import Broden
from nd_plugin import ConceptSetInvalid


def test_a_whole_number_with_a_decimal_point_is_one(tmp_path: Path) -> None:
    row = "a/one.png,train,8.0,12.0,4.00,6.,a/c.png,3.0;04.00,5.0\n"
    header = SMALL["index.csv"].partition("\n")[0]
    root = small_set(tmp_path, {"index.csv": f"{header}\n{row}"})
    concepts = Broden(str(root))
    annotation = concepts.annotation(0)
    names = [concepts.concepts[value - 1].name for value in annotation.labels]
    assert names == ["sky", "car", "street-s"]
    assert annotation.size == (4, 6)
    assert [plane.shape for plane in annotation.planes] == [(4, 6)]
    assert concepts.notes == (
        "7 whole numbers in index.csv are written with a decimal point and were read without, "
        f"for example '3.0' in {tmp_path}/index.csv, line 2, column 'object'",
    )


@pytest.mark.parametrize(
    ("table", "old"), [("label.csv", "\n2,red"), ("c_color.csv", ",2,red")]
)
def test_label_numbers_of_other_tables(
    tmp_path: Path, table: str, old: str
) -> None:
    text = SMALL[table].replace(old, old.replace("2,red", "2.0,red"))
    assert text != SMALL[table]
    concepts = Broden(str(small_set(tmp_path, {table: text})))
    assert concepts.concepts == Broden(str(small_set(tmp_path / "b"))).concepts
    assert len(concepts.notes) == 1
    assert f"1 whole numbers in {table}" in concepts.notes[0]


def test_plain_tables_have_no_notes(tmp_path: Path) -> None:
    assert Broden(str(small_set(tmp_path))).notes == ()


def test_a_real_index_rewritten_by_pandas(real_data: Path, tmp_path: Path) -> None:
    """It has columns of its own, and scenes as 134.0 and 0.0."""
    tables = copy_tables(real_data / "broden_tables", tmp_path)
    concepts = Broden(str(tables), index="index_rewritten_by_pandas.csv")
    assert len(concepts) == 300
    rows = concepts._rows
    assert sum(len(row.planes) for row in rows) == 866
    labelled = [row for row in rows if row.numbers]
    assert len(labelled) == 49
    assert "49 whole numbers" in concepts.notes[0]
    labels = Counter(row.numbers for row in labelled)
    assert labels[(0,)] == 16


def test_an_entry_that_is_neither_names_file_line_column_and_value(
    real_data: Path, tmp_path: Path
) -> None:
    tables = copy_tables(real_data / "broden_tables", tmp_path)
    text = (tables / "index_rewritten_by_pandas.csv").read_text()
    (tables / "index.csv").write_text(text.replace(",0.0,", ",0.5,", 1))
    with pytest.raises(
        ConceptSetInvalid,
        match=r"index\.csv, line \d+: '0\.5' in the column 'scene' is neither a label number",
    ):
        Broden(str(tables))


def test_the_index_at_full_size(real_data: Path, tmp_path: Path) -> None:
    """The real rows of ADE20K and generated ones of the other sources, as many as in Broden."""
    concepts = Broden(str(full_size_tables(real_data / "broden_tables", tmp_path)))
    assert len(concepts) == 63_305
    assert len(concepts.concepts) == 1197
    assert concepts.notes == ()
    rows = concepts._rows
    sources = Counter(row.image.partition("/")[0] for row in rows)
    assert sources == {
        "ade20k": 22_210,
        "pascal": 10_103,
        "opensurfaces": 25_352,
        "dtd": 5_640,
    }
    assert sum(len(row.planes) for row in rows) == 223_116
    # what many rows share is stored once: it is what keeps the index small
    assert len({id(row.size) for row in rows}) == 1
    assert len({id(row.numbers) for row in rows}) == len(
        {row.numbers for row in rows}
    )
    assert len({id(row.split) for row in rows}) == 2
    assert not hasattr(rows[0], "__dict__")
    assert sys.getsizeof(rows[0]) < 100
