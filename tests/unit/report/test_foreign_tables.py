"""Results of others: recognised by content, read in their true layouts, refused when damaged."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published_files import (
    CATEGORIES,
    DESCRIPTIONS,
    DETECTORS,
    LAYERS,
    LITE,
    NETWORKS,
    UNIQUE,
    UNITS,
    cells,
    write_summary,
    write_text,
)
from scipy.io import savemat

from nd_plugin import BadInput, LayerReport, RunInvalid
from nd_plugin.borders import matlab_check
from nd_plugin.report.foreign_tables.recognition import read_foreign_result

HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"


def element(kind: int, content: bytes) -> bytes:
    """Return a data element of a MATLAB 5 file."""
    return (
        struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)
    )


def array(array_class: int, dimensions: tuple[int, ...], *parts: bytes) -> bytes:
    """Return a matrix element with the name ``stat``."""
    flags = element(6, struct.pack("<II", array_class, 0))
    sizes = element(5, struct.pack(f"<{len(dimensions)}i", *dimensions))
    return element(14, flags + sizes + element(1, b"stat") + b"".join(parts))


def write_matlab(path: Path, *elements: bytes) -> Path:
    path.write_bytes(HEADER + b"".join(elements))
    return path


class TestSummary:
    def test_every_network_has_the_files_numbers(self, tmp_path: Path) -> None:
        reports = read_foreign_result(write_summary(tmp_path / "any.name"))
        assert [report.run for report in reports] == list(NETWORKS)
        assert [report.layer for report in reports] == list(LAYERS)
        for report, unique, detectors, units in zip(
            reports, UNIQUE, DETECTORS, UNITS, strict=True
        ):
            counts = report.category_counts()
            assert counts.unique == dict(zip(CATEGORIES, unique[1:], strict=True))
            assert counts.units == dict(zip(CATEGORIES, detectors[1:], strict=True))
            assert counts.total == unique[0]
            assert report.summary.detectors == detectors[0]
            assert report.summary.units == units
            assert report.summary.unique_detectors_per_category == unique[0]
            assert (report.recorded, report.scores) == ("counts", ())
            assert report.min_iou == 0.04

    def test_categories_stand_in_the_papers_order(self, tmp_path: Path) -> None:
        order = [5, 6, 0, 4, 1, 3, 2]  # texture, color, all, …
        columns = np.array(["all", *CATEGORIES])[order]
        detectors = np.array(DETECTORS)[:, order]
        path = write_summary(
            tmp_path / "s.mat",
            concepts=cells(*columns.tolist()),
            num_uniquedetectors=np.array(UNIQUE)[:, order],
            num_detectors=detectors,
            ratio_detectors=detectors / np.array(UNITS)[:, None],
        )
        report = read_foreign_result(path)[1]
        assert report.categories == CATEGORIES
        assert list(report.category_counts().unique.values()) == list(UNIQUE[1][1:])

    def test_a_total_that_is_no_sum_is_said(self, tmp_path: Path) -> None:
        unique = np.array(UNIQUE)
        unique[1, 0] = 2448  # as in the authors' semantics_samples.mat
        path = write_summary(tmp_path / "s.mat", num_uniquedetectors=unique)
        first, second, _ = read_foreign_result(path)
        assert second.summary.unique_detectors_per_category == 9
        assert (
            "the file's own total is 2448; the sum over its categories, 9, is used"
            in second.notes
        )
        assert len(first.notes) == 1

    def test_the_older_name_of_the_limit(self, tmp_path: Path) -> None:
        path = write_summary(
            tmp_path / "s.mat", thresh_concepts=None, thresh=np.array([[0.05]])
        )
        assert read_foreign_result(path)[0].min_iou == 0.05

    def test_units_without_detectors_are_unknown(self, tmp_path: Path) -> None:
        detectors = np.array(DETECTORS)
        detectors[0] = 0
        path = write_summary(
            tmp_path / "s.mat",
            num_detectors=detectors,
            ratio_detectors=detectors / np.array(UNITS)[:, None],
        )
        assert read_foreign_result(path)[0].summary.units == 0

    def test_counts_cannot_be_counted_again(self, tmp_path: Path) -> None:
        path = write_summary(tmp_path / "s.mat")
        assert len(read_foreign_result(path, 0.04)) == 3
        with pytest.raises(
            BadInput, match=r"IoU > 0\.04 .* counted at 0\.05; leave"
        ):
            read_foreign_result(path, 0.05)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"num_detectors": None}, "no field 'num_detectors' among"),
            (
                {"num_detectors": np.full((3, 7), np.nan)},
                "holds NaN, infinity or a",
            ),
            (
                {"ratio_detectors": np.full((3, 7), np.inf)},
                "holds NaN, infinity or a",
            ),
            ({"ratio_detectors": np.full((3, 7), 1.5)}, "holds more than 1"),
            ({"num_uniquedetectors": -np.ones((3, 7))}, "or a negative number"),
            ({"num_uniquedetectors": np.full((3, 7), 0.5)}, "holds fractions"),
            ({"num_detectors": np.ones((2, 7))}, r"\(2, 7\); expected \(3, 7\)"),
            ({"num_detectors": "many"}, "num_detectors is a table of"),
            ({"networks_name": cells("a", "b")}, "2 networks and 3 layers"),
            ({"networks_name": np.ones(3)}, "no cell array of texts"),
            ({"concepts": cells(*"abcdefg")}, "expected 'all' and categories"),
            (
                {"num_detectors": np.full((3, 7), 1e300)},
                "holds 1e\\+300, no number of",
            ),
            (
                {"num_uniquedetectors": np.full((3, 7), 2.0**40)},
                "no number of units",
            ),
            (
                {"ratio_detectors": np.full((3, 7), 5e-324)},
                "the ratio of detectors of",
            ),
            ({"thresh_concepts": np.nan}, "holds NaN, infinity or a"),
            ({"thresh_concepts": -0.5}, "or a negative number"),
            ({"thresh_concepts": None}, "no field 'thresh_concepts'"),
            ({"thresh_concepts": 7.0}, "no limit of an IoU"),
            (
                {"num_detectors": np.ones((3, 7))},
                "not those of one number of units",
            ),
        ],
    )
    def test_fields_that_make_no_sense(
        self, tmp_path: Path, changes: dict[str, Any], message: str
    ) -> None:
        path = write_summary(tmp_path / "s.mat", **changes)
        with pytest.raises(RunInvalid, match=message) as caught:
            read_foreign_result(path)
        assert str(path) in str(caught.value)

    def test_another_matlab_file(self, tmp_path: Path) -> None:
        path = tmp_path / "s.mat"
        savemat(path, {"weights": np.ones(3)})
        with pytest.raises(RunInvalid, match="it has no variable 'stat'"):
            read_foreign_result(path)
        savemat(path, {"stat": np.ones(3)})
        with pytest.raises(RunInvalid, match="'stat' is no struct"):
            read_foreign_result(path)


class TestUntrustedMatlab:
    def test_a_file_that_unpacks_to_more_than_the_limit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(matlab_check, "MOST_BYTES", 2**16)
        packed = zlib.compress(array(6, (1, 2**20), element(9, bytes(2**23))))
        path = write_matlab(tmp_path / "s.mat", element(15, packed))
        with pytest.raises(RunInvalid, match="unpacks to more than 65536 bytes"):
            read_foreign_result(path)

    @pytest.mark.parametrize("array_class", [1, 2, 4, 6])
    def test_an_array_that_claims_more_than_it_has(
        self, tmp_path: Path, array_class: int
    ) -> None:
        path = write_matlab(tmp_path / "s.mat", array(array_class, (2**20, 2**20)))
        with pytest.raises(RunInvalid, match="claims an array of 1048576x1048576"):
            read_foreign_result(path)

    def test_a_struct_of_more_fields_than_it_has(self, tmp_path: Path) -> None:
        """Its cells and its names are there; the values, a cell for each name, are not."""
        names = element(5, struct.pack("<i", 8)) + element(1, bytes(8 * 2**12))
        path = write_matlab(tmp_path / "s.mat", array(2, (1, 2**14), names))
        with pytest.raises(RunInvalid, match="claims an array of 1x16384 in"):
            read_foreign_result(path)

    def test_a_file_that_is_too_large(self, tmp_path: Path) -> None:
        path = write_summary(tmp_path / "s.mat")
        os.truncate(path, matlab_check.MOST_BYTES + 1)
        with pytest.raises(RunInvalid, match="has more than 67108864 bytes"):
            read_foreign_result(path)

    @pytest.mark.parametrize("array_class", [3, 5, 16, 17])
    def test_objects_functions_and_sparse_arrays(
        self, tmp_path: Path, array_class: int
    ) -> None:
        path = write_matlab(tmp_path / "s.mat", array(array_class, (1, 1)))
        with pytest.raises(RunInvalid, match=f"sparse array .class {array_class}."):
            read_foreign_result(path)

    @pytest.mark.parametrize("flags", [0x800, 0x100, 0xFF00])
    def test_complex_numbers_and_unknown_flags(
        self, tmp_path: Path, flags: int
    ) -> None:
        path = write_matlab(tmp_path / "s.mat", array(6 | flags, (1, 1)))
        with pytest.raises(RunInvalid, match=r"complex numbers, or an array with"):
            read_foreign_result(path)

    @pytest.mark.parametrize("count", [0, 1])
    def test_an_array_of_too_few_dimensions(
        self, tmp_path: Path, count: int
    ) -> None:
        path = write_matlab(tmp_path / "s.mat", array(6, (1,) * count))
        with pytest.raises(RunInvalid, match=f"has an array of {count} dimensions"):
            read_foreign_result(path)

    def test_an_array_of_too_many_dimensions(self, tmp_path: Path) -> None:
        path = write_matlab(tmp_path / "s.mat", array(6, (1,) * 1000))
        with pytest.raises(RunInvalid, match="has an array of 1000 dimensions"):
            read_foreign_result(path)

    def test_cells_in_cells(self, tmp_path: Path) -> None:
        nested = array(6, (0, 0))
        for _ in range(20):
            nested = array(1, (1, 1), nested)
        path = write_matlab(tmp_path / "s.mat", nested)
        with pytest.raises(RunInvalid, match="nested more than 8 deep"):
            read_foreign_result(path)

    def test_every_cut_of_a_file_is_our_error(self, tmp_path: Path) -> None:
        whole = write_summary(tmp_path / "whole.mat").read_bytes()
        path = tmp_path / "cut.mat"
        for length in range(19, len(whole), 37):
            path.write_bytes(whole[:length])
            with pytest.raises(RunInvalid):
                read_foreign_result(path)

    def test_changed_bytes_are_read_or_refused(self, tmp_path: Path) -> None:
        whole = write_summary(tmp_path / "whole.mat").read_bytes()
        path = tmp_path / "changed.mat"
        refused = 0
        for position in range(120, len(whole), 23):
            changed = bytearray(whole)
            changed[position] ^= 0x55
            path.write_bytes(changed)
            try:
                reports = read_foreign_result(path)
            except RunInvalid:
                refused += 1
            else:
                assert all(isinstance(report, LayerReport) for report in reports)
        assert refused > 0

    def test_an_element_of_an_unknown_type(self, tmp_path: Path) -> None:
        path = write_matlab(tmp_path / "s.mat", element(99, b"12345678"))
        with pytest.raises(RunInvalid, match="unknown type 99"):
            read_foreign_result(path)

    def test_a_big_endian_file_is_read_as_such(self, tmp_path: Path) -> None:
        header = HEADER[:124] + struct.pack(">H", 0x0100) + b"MI"
        flags = struct.pack(">IIII", 6, 8, 6, 0)
        sizes = struct.pack(">IIii", 5, 8, 2**20, 2**20)
        name = struct.pack(">II", 1, 4) + b"stat" + bytes(4)
        content = flags + sizes + name
        path = tmp_path / "s.mat"
        path.write_bytes(header + struct.pack(">II", 14, len(content)) + content)
        with pytest.raises(RunInvalid, match="claims an array of 1048576x1048576"):
            read_foreign_result(path)


class TestDescriptions:
    def test_layers_in_the_order_of_the_file(self, tmp_path: Path) -> None:
        first, second = read_foreign_result(
            write_text(tmp_path / "table", DESCRIPTIONS)
        )
        assert (first.layer, second.layer) == ("layer1", "layer2")
        assert [score.concept for score in second.scores] == [
            "dog",
            "Cats, and dogs",
            "highway",
        ]
        assert [score.unit for score in second.scores] == [0, 1, 2]
        assert first.recorded == "labels"
        assert first.summary.units == 2 and first.summary.detectors == 0
        assert "labels without IoU" in first.notes[0]

    def test_a_table_without_scores(self, tmp_path: Path) -> None:
        text = "layer,unit,description\nconv1,1,Edges\nconv1,0,\n"
        (report,) = read_foreign_result(write_text(tmp_path / "milan.csv", text))
        assert [score.concept for score in report.scores] == ["", "Edges"]

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ("a,0,x\na,0,y", "line 3: unit 0 of layer 'a' is there twice"),
            ("a,-1,x", "line 2: the unit is '-1'; expected a number from 0"),
            ("a,nan,x", "the unit is 'nan'"),
            ("a,1.5,x", "the unit is '1.5'"),
            ("a,0", "line 2: the line is cut short or too long"),
            ("a,0,x,y", "line 2: the line is cut short or too long"),
            ("", "has no units"),
        ],
    )
    def test_rows_that_make_no_sense(
        self, tmp_path: Path, rows: str, message: str
    ) -> None:
        path = write_text(tmp_path / "t.csv", f"layer,unit,description\n{rows}\n")
        with pytest.raises(RunInvalid, match=message):
            read_foreign_result(path)


class TestNetDissectTables:
    def test_a_concept_without_a_name_is_left_out_and_said(
        self, tmp_path: Path
    ) -> None:
        (report,) = read_foreign_result(write_text(tmp_path / "tally", LITE))
        labels = [(score.concept, score.category) for score in report.scores]
        # the third unit's best concept has no name: its best named one is cat
        assert labels == [("cat", "object"), ("dog", "object"), ("cat", "object")]
        assert report.scores[2].iou == 0.090909
        assert report.summary.detectors == 3
        assert report.summary.unique_detectors == 2
        assert report.category_counts().unique == {"object": 2, "texture": 0}
        assert report.summary.unique_detectors_per_category == 2
        assert any(
            "label 0, is the best of texture (2 units); it is left out" in note
            for note in report.notes
        )

    def test_the_limit_of_detectors(self, tmp_path: Path) -> None:
        path = write_text(tmp_path / "tally.csv", LITE)
        assert read_foreign_result(path)[0].min_iou == 0.04
        (report,) = read_foreign_result(path, 0.2)
        assert report.summary.detectors == 1

    @pytest.mark.parametrize(
        ("cell", "message"),
        [
            ("0.25,nan", "unit 2 has the IoU nan, not between 0 and 1"),
            ("0.25,inf", "unit 2 has the IoU inf, not between"),
            ("0.25,1.5", "unit 2 has the IoU 1.5, not between"),
            ("0.25,-0.1", "unit 2 has the IoU -0.1, not between"),
            ("0.25,x", "could not convert string to float: 'x'"),
        ],
    )
    def test_numbers_that_make_no_sense(
        self, tmp_path: Path, cell: str, message: str
    ) -> None:
        wrong = LITE.replace("0.25,,900", f"{cell.partition(',')[2]},,900")
        with pytest.raises(RunInvalid, match=message):
            read_foreign_result(write_text(tmp_path / "t.csv", wrong))

    @pytest.mark.parametrize("count", ["nan", "inf", "-4"])
    def test_counts_that_make_no_sense(self, tmp_path: Path, count: str) -> None:
        wrong = LITE.replace("dog,100,100,40", f"dog,{count},100,40")
        with pytest.raises(RunInvalid, match=f"unit 2 has {count} in object-truth"):
            read_foreign_result(write_text(tmp_path / "t.csv", wrong))

    def test_a_unit_that_is_there_twice(self, tmp_path: Path) -> None:
        path = write_text(tmp_path / "t.csv", LITE.replace("\n3,", "\n2,"))
        with pytest.raises(RunInvalid, match="has unit 2 2 times"):
            read_foreign_result(path)


class TestOtherFiles:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty; accepted are"),
            (
                b"\x89HDF\r\n\x1a\n",
                "MATLAB 7.3 or HDF5; save it from MATLAB with -v7",
            ),
            (b"MATLAB 7.3 MAT-file, ", "MATLAB 7.3 or HDF5"),
            (
                b"PK\x03\x04abc",
                "is a ZIP file, such as dissection.npz; give the folder",
            ),
            (b"\x80\x04\x00\x95", r"a binary file that begins with b'\\x80"),
            (b"\xff\xfeunit", "is no text in UTF-8"),
            (
                b"unit,label\n0,cat\n",
                "text that begins with 'unit,label'; accepted are",
            ),
            (b"# notes\n", "text that begins with '# notes'"),
            (b"MATLAB 5.0 MAT-file", "its byte order is not recorded"),
        ],
    )
    def test_what_was_found_and_what_is_accepted(
        self, tmp_path: Path, content: bytes, message: str
    ) -> None:
        path = tmp_path / "units.csv"
        path.write_bytes(content)
        with pytest.raises(RunInvalid, match=message) as caught:
            read_foreign_result(path)
        assert str(path) in str(caught.value)

    def test_our_own_table_of_units(self, tmp_path: Path) -> None:
        text = "unit,concept,category,iou,threshold\n0,cat,object,0.1,1\n"
        with pytest.raises(RunInvalid, match="give the folder of its run"):
            read_foreign_result(write_text(tmp_path / "units.csv", text))

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(RunInvalid, match="no run or file"):
            read_foreign_result(tmp_path / "absent.csv")


class TestImpossibleNumbers:
    """Tables of NetDissect that are tables, and hold what no dissection gives."""

    COLUMNS = (
        "unit,category,label,score,object-label,object-truth,object-activation,"
        "object-intersect,object-iou"
    )

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            (
                "1,object,dog,0.25,dog,100,100,101,0.25",
                "101 in object-intersect, more",
            ),
            (
                "1,object,dog,0.25,dog,100,30,40,0.25",
                "more than the 30 in object-act",
            ),
            ("1,object,dog,0.25,dog,inf,100,40,0.25", "inf in object-truth"),
            ("1,object,dog,0.25,dog,100,nan,40,0.25", "nan in object-activation"),
            ("1,object,dog,0.25,dog,100,100,-1,0.25", "-1 in object-intersect"),
            ("1,object,dog,0.25,dog,1e300,100,40,0.25", "1e300 in object-truth"),
            ("1,object,dog,0.25,dog,1e400,100,40,0.25", "1e400 in object-truth"),
            ("1,object,dog,inf,dog,100,100,40,0.25", "the IoU inf, not between"),
            ("1,object,dog,0.25,dog,100,100,40,nan", "the IoU nan, not between"),
            (
                "99999999999,object,dog,0.25,dog,100,100,40,0.25",
                "has unit 99999999999",
            ),
            (
                "9" * 5000 + ",object,dog,0.25,dog,100,100,40,0.25",
                "Exceeds the limit",
            ),
        ],
    )
    def test_one_line(self, tmp_path: Path, row: str, message: str) -> None:
        path = write_text(tmp_path / "tally.csv", f"{self.COLUMNS}\n{row}\n")
        with pytest.raises(RunInvalid, match=message) as error:
            read_foreign_result(path)
        assert str(path) in str(error.value)

    def test_counts_that_are_left_out_are_not_compared(
        self, tmp_path: Path
    ) -> None:
        rows = ["1,object,dog,0.25,dog,,,40,0.25", "2,object,,0.25,,100,0,40,0.25"]
        path = write_text(
            tmp_path / "tally.csv", "\n".join([self.COLUMNS, *rows]) + "\n"
        )
        (report,) = read_foreign_result(path)
        assert [score.intersection for score in report.scores] == [40, 40]

    @pytest.mark.parametrize("unit", ["9" * 5000, str(2**40), "inf", "-1", "1.5"])
    def test_a_unit_of_a_description(self, tmp_path: Path, unit: str) -> None:
        path = write_text(
            tmp_path / "d.csv", f"layer,unit,description\nlayer1,{unit},dog\n"
        )
        with pytest.raises(RunInvalid, match=r"d\.csv, line 2: the unit is"):
            read_foreign_result(path)
