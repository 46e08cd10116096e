"""The result: scores, saving whole or not at all, loading without trust."""

from __future__ import annotations

import csv
import errno
import json
import os
import zipfile
from dataclasses import fields, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from nd_plugin import BadInput, Dissection, NotSaved, RunInvalid, Skipped
from nd_plugin.report.terminal import to_text
from nd_plugin.results import npz_format, run_folder
from nd_plugin.storage import folder_swap


def assert_same(one: Dissection, other: Dissection) -> None:
    for field in fields(Dissection):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype and np.array_equal(a, b), field.name
        elif field.name != "provenance":
            assert a == b, field.name
    assert json.dumps(one.to_json()) == json.dumps(other.to_json())


class TestScores:
    def test_labels_detectors_and_both_counts(self, dissection: Dissection) -> None:
        assert dissection.iou[0, 0] == 50 / (100 + 200 - 50)
        assert dissection.labels.tolist() == [0, 2, 0, 0, 0]
        assert [d.unit for d in dissection.detectors()] == [2, 1, 0]
        summary = dissection.summary()
        assert (summary.units, summary.detectors, summary.unique_detectors) == (
            5,
            3,
            2,
        )
        assert summary.unique_detectors_by_category == {"object": 1, "part": 1}
        assert summary.detectors_by_category == {"object": 2, "part": 1}
        # best in category above 0.04: object cat (0, 2); part tail (1) alone: unit 2's has 5/165
        assert summary.unique_detectors_per_category == 2
        assert (summary.dead, summary.sparse, summary.images) == (1, 1, 3)

    def test_an_empty_union_scores_nothing(self, dissection: Dissection) -> None:
        empty = replace(dissection, concept_area=np.zeros(4, np.int64),
                        unit_area=np.zeros((5, 2), np.int64),
                        intersection=np.zeros((5, 4), np.int64))  # fmt: skip
        assert empty.iou.tolist() == np.zeros((5, 4)).tolist()
        assert empty.summary().detectors == 0

    def test_top_images_by_name(self, dissection: Dissection) -> None:
        assert dissection.top(0, 2) == [("b.jpg", 2.0), ("a.jpg", 1.0)]
        with pytest.raises(
            BadInput,
            match=r"no unit 5: layer 'block.1/relu' has 5, numbered from 0",
        ):
            dissection.top(5)

    def test_data_that_are_too_few_are_told(self, dissection: Dissection) -> None:
        area = dissection.concept_area.copy()
        area[[1, 3]] = 0
        notes = replace(dissection, concept_area=area, locations=199).report().notes
        names = f"{dissection.concepts[1].name}, {dissection.concepts[3].name}"
        assert f"2 of 4 concepts label no pixel of these images: {names}" in notes
        assert any(
            note.startswith("199 locations are too few for quantile 0.005")
            for note in notes
        )
        assert not any(
            "too few" in note
            for note in replace(dissection, locations=200).report().notes
        )


class TestSaving:
    def test_what_is_saved_is_loaded(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        folder = dissection.save(tmp_path / "run" / "layer")
        assert_same(Dissection.load(folder), dissection)
        assert sorted(path.name for path in folder.iterdir()) == [
            "dissection.npz",
            "units.csv",
        ]
        dissection.save(folder)  # again, over it
        assert [path.name for path in folder.parent.iterdir()] == ["layer"]

    def test_units_csv(self, dissection: Dissection, tmp_path: Path) -> None:
        dissection.to_csv(tmp_path / "u.csv")
        text = (tmp_path / "u.csv").read_text()
        head = "unit,concept,category,iou,threshold,intersection,unit_area,concept_area,detector"
        scores = "precision,recall,f1,correlation"
        assert text.splitlines()[0] == f"{head},{scores}"
        rows = list(csv.DictReader(text.splitlines()))
        assert (
            float(rows[1]["threshold"]) == 0.1 + 0.2
            and rows[1]["concept"] == "tail"
        )
        assert [row["detector"] for row in rows] == ["1", "1", "1", "0", "0"]

    def test_json_and_pandas(self, dissection: Dissection, tmp_path: Path) -> None:
        content = json.loads(dissection.to_json(tmp_path / "d.json"))
        assert json.loads((tmp_path / "d.json").read_text()) == content
        assert (
            content["summary"]["unique_detectors"] == 2
            and len(content["units"]) == 5
        )
        frame = pytest.importorskip("pandas") and dissection.to_pandas()
        assert frame.loc[2, "concept"] == "cat" and frame.loc[3, "state"] == "dead"

    def test_a_full_disk_leaves_what_was_there(
        self,
        dissection: Dissection,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        folder = dissection.save(tmp_path / "layer")
        before = {path.name: path.read_bytes() for path in folder.iterdir()}

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        for save in (
            lambda: dissection.save(folder),
            lambda: dissection.to_csv(folder / "units.csv"),
        ):
            with pytest.raises(
                NotSaved,
                match=r"cannot be written: No space left on device; choose another place",
            ):
                save()
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert [path.name for path in tmp_path.iterdir()] == ["layer"]

    def test_ctrl_c_while_writing_leaves_nothing(
        self,
        dissection: Dissection,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def interrupted(_: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            dissection.save(tmp_path / "layer")
        assert list(tmp_path.iterdir()) == []

    def test_other_peoples_folders_are_not_replaced(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        (tmp_path / "thesis.tex").write_text("x")
        with pytest.raises(
            NotSaved, match="it holds something other than such a result"
        ):
            dissection.save(tmp_path)
        assert (tmp_path / "thesis.tex").read_text() == "x"

    def test_a_layer_does_not_replace_a_run(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        dissection.save(tmp_path / "run" / "one")
        with pytest.raises(
            NotSaved, match="it holds something other than such a result"
        ):
            dissection.save(tmp_path / "run")
        assert_same(Dissection.load(tmp_path / "run" / "one"), dissection)

    def test_a_swap_that_fails_is_taken_back(
        self,
        dissection: Dissection,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        folder = dissection.save(tmp_path / "layer")
        rename = Path.rename

        def failing(self: Path, target: Path) -> Path:
            if self.name.endswith(".nd_draft") and target == folder:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", failing)
        # as on a file system that cannot exchange folders
        monkeypatch.setattr(folder_swap, "exchange", lambda first, second: False)
        with pytest.raises(NotSaved):
            dissection.save(folder)
        assert_same(Dissection.load(folder), dissection)
        assert [path.name for path in tmp_path.iterdir()] == ["layer"]

    def test_through_a_link(self, dissection: Dissection, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        dissection.save(tmp_path / "link")
        assert (tmp_path / "link").is_symlink() and (
            tmp_path / "real" / "dissection.npz"
        ).is_file()


class TestLoading:
    def test_bits_flipped_anywhere(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        path = dissection.save(tmp_path / "d") / "dissection.npz"
        content = path.read_bytes()
        refused = 0
        for place in range(0, len(content), 7):
            spoiled = bytearray(content)
            spoiled[place] ^= 0x24
            path.write_bytes(spoiled)
            try:
                Dissection.load(tmp_path / "d")
            except RunInvalid:
                refused += 1
        assert refused > len(content) / 7 * 0.5

    def damaged(self, dissection: Dissection, folder: Path, **changes: Any) -> Path:
        """A saved dissection with some members replaced; None leaves one out."""
        path = dissection.save(folder) / "dissection.npz"
        with np.load(path) as stored:
            members = {name: stored[name] for name in stored.files}
        members.update(changes)
        np.savez(
            path,
            **{name: value for name, value in members.items() if value is not None},
        )
        return folder

    def metadata(self, dissection: Dissection, **changes: Any) -> np.ndarray:
        with np.load(BytesIO(dissection.files()["dissection.npz"])) as stored:
            text = {**json.loads(stored["metadata"].tobytes()), **changes}
        return np.frombuffer(json.dumps(text).encode(), np.uint8)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(
            RunInvalid, match=r"holds no dissection: dissection.npz is missing"
        ):
            Dissection.load(tmp_path)

    @pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
    def test_truncated(
        self, dissection: Dissection, tmp_path: Path, keep: float
    ) -> None:
        path = dissection.save(tmp_path / "d") / "dissection.npz"
        content = path.read_bytes()
        path.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
        with pytest.raises(RunInvalid, match=r"dissection.npz is damaged"):
            Dissection.load(tmp_path / "d")

    def test_a_flipped_bit(self, dissection: Dissection, tmp_path: Path) -> None:
        path = dissection.save(tmp_path / "d") / "dissection.npz"
        with zipfile.ZipFile(path) as file:
            member = file.getinfo("intersection.npy")
        content = bytearray(path.read_bytes())
        start = member.header_offset
        start += 30 + int.from_bytes(content[start + 26 : start + 28], "little")
        start += int.from_bytes(
            content[member.header_offset + 28 : member.header_offset + 30], "little"
        )
        content[start + 12] ^= 4
        path.write_bytes(content)
        with pytest.raises(RunInvalid, match="is damaged"):
            Dissection.load(tmp_path / "d")

    def test_a_newer_format(self, dissection: Dissection, tmp_path: Path) -> None:
        self.damaged(
            dissection,
            tmp_path / "d",
            metadata=self.metadata(dissection, format=99),
        )
        with pytest.raises(
            RunInvalid,
            match="is of format 99, and this nd_plugin reads up to 2: upgrade nd_plugin",
        ):
            Dissection.load(tmp_path / "d")

    @pytest.mark.parametrize(
        "changes",
        [
            {"intersection": None},
            {"intersection": np.zeros((5, 3), np.int64)},
            {"thresholds": np.zeros(5, np.float32)},
            {"top_images": np.zeros((4, 3), np.int64)},
            {"metadata": np.frombuffer(b"{", np.uint8)},
            {"metadata": np.frombuffer(b"[]", np.uint8)},
            {"sparse": np.array([object()] * 5)},
        ],
    )
    def test_members_that_do_not_fit(
        self, dissection: Dissection, tmp_path: Path, changes: dict[str, Any]
    ) -> None:
        self.damaged(dissection, tmp_path / "d", **changes)
        with pytest.raises(RunInvalid):
            Dissection.load(tmp_path / "d")

    def test_a_wrong_vocabulary(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        self.damaged(
            dissection,
            tmp_path / "d",
            metadata=self.metadata(dissection, categories=["object"]),
        )
        with pytest.raises(RunInvalid, match="is damaged"):
            Dissection.load(tmp_path / "d")


class TestRuns:
    def test_layers_of_any_name(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        names = ["features.3", "a/b", "../../up", "relu#1", "..", "x[y]", "a_b"]
        run = [replace(dissection, layer=name) for name in names]
        folder = run_folder.save_run(tmp_path / "run", run, ["nd", "dissect"])
        assert [loaded.layer for loaded in run_folder.load_run(folder)] == names
        assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]
        folders = [
            layer["folder"]
            for layer in json.loads((folder / "run.json").read_text())["layers"]
        ]
        assert folders == [
            "features.3",
            "a_b",
            ".._.._up",
            "relu#1",
            "_..",
            "x[y]",
            "a_b-2",
        ]
        for loaded, made in zip(run_folder.load_run(folder), run, strict=True):
            assert_same(loaded, made)

    def test_the_only_layer_of_a_run_is_loaded_as_it_is(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        run_folder.save_run(tmp_path / "one", [dissection])
        assert_same(Dissection.load(tmp_path / "one"), dissection)
        run_folder.save_run(
            tmp_path / "two", [dissection, replace(dissection, layer="b")]
        )
        with pytest.raises(
            RunInvalid,
            match=r"two holds several layers; load one of .*two/b, .*two/block\.1_relu",
        ):
            Dissection.load(tmp_path / "two")

    def test_run_json_says_what_was_run(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        folder = run_folder.save_run(tmp_path / "run", [dissection])
        run = json.loads((folder / "run.json").read_text())
        assert run["format"] == npz_format.FORMAT and run["notes"] == [
            "it was slow"
        ]
        assert (
            run["model"]["fingerprint"] == "abc"
            and run["concept_set"]["fingerprint"] == "def"
        )
        assert run["skipped"] == [
            {"image": "bad.jpg", "part": "image", "reason": "truncated"}
        ]
        assert (
            run["preprocess"]["source"] == "given"
            and run["layers"][0]["detectors"] == 3
        )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "run.json is damaged"),
            ('{"format": 99, "layers": []}', "is of format 99"),
            (
                '{"format": 1, "layers": [{"folder": "../x"}]}',
                "is no folder of the run",
            ),
            (
                f'{{"format": 1, "layers": [{{"folder": "{"x" * 5000}"}}]}}',
                r"run.json is damaged: .* has 5000 bytes",
            ),
        ],
    )
    def test_a_damaged_run(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(RunInvalid, match=message):
            run_folder.load_run(tmp_path)

    @pytest.mark.parametrize("length", [300, 5000])
    def test_a_name_that_no_folder_can_have(self, length: int) -> None:
        with pytest.raises(RunInvalid, match="cannot be read: File name too long"):
            Dissection.load("x" * length)

    def test_targets_are_refused_before_the_run(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        folder = run_folder.save_run(tmp_path / "run", [dissection])
        with pytest.raises(
            BadInput,
            match="exists already; choose another folder, or replace it with --overwrite",
        ):
            run_folder.check_target(folder, overwrite=False)
        run_folder.check_target(folder, overwrite=True)
        (folder / "mine.txt").write_text("x")
        with pytest.raises(BadInput, match="holds other things than a run"):
            run_folder.check_target(folder, overwrite=True)
        with pytest.raises(BadInput, match="is a file"):
            run_folder.check_target(folder / "mine.txt", overwrite=True)
        assert run_folder.free_name(folder) == tmp_path / "run-2"


class TestReports:
    @pytest.mark.parametrize("width", [50, 60, 80, 200])
    def test_nothing_is_cut_at_any_width(
        self, dissection: Dissection, width: int
    ) -> None:
        console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
        console.print(dissection)
        lines = console.export_text().splitlines()
        console.file.close()
        assert all(len(line) <= width for line in lines)
        together = "".join("".join(line.split()) for line in lines)
        for text in (
            "pkg:Net(torch,cpu,float32)",
            "2uniquedetectors",
            "tail0.2500",
            "1dead",
            "1sparse",
            "bad.jpg:truncated",
        ):
            assert text in together
        assert "…" not in together

    @pytest.mark.parametrize("width", [26, 34, 100])
    def test_bars_give_way_to_numbers(
        self, dissection: Dissection, width: int
    ) -> None:
        text = to_text([dissection.report()], width)
        for line in ("object 1", "part   1"):
            (shown,) = [
                found for found in text.splitlines() if found.startswith(line)
            ]
            assert (
                "…" not in shown and "unit" in shown and 0 < shown.count("█") <= 30
            )

    def test_html_is_escaped(self, dissection: Dissection) -> None:
        html = replace(dissection, layer="<script>alert(1)</script>")._repr_html_()
        assert (
            "<script>" not in html and "&lt;script&gt;" in html and "tail" in html
        )

    def test_names_are_no_markup(self, dissection: Dissection) -> None:
        named = replace(dissection, categories=("veg[ripe]", "[/x]"), concepts=tuple(
            replace(c, category={"object": "veg[ripe]", "part": "[/x]"}[c.category])
            for c in dissection.concepts
        ))  # fmt: skip
        console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
        console.print(named)
        console.file.close()
        assert "veg[ripe]" in (text := console.export_text()) and "[/x]" in text

    def test_many_notes_are_counted(self, dissection: Dissection) -> None:
        many = tuple(
            Skipped(f"{place}.jpg", "image", "truncated") for place in range(3000)
        )
        report = replace(
            dissection,
            skipped=many,
            image_names=tuple(f"{n}.jpg" for n in range(3001)),
        ).report()
        text = to_text([report])
        assert len(text.splitlines()) < 50 and "and 2990 more" in text

    def test_repr(self, dissection: Dissection) -> None:
        assert repr(dissection) == (
            "Dissection('block.1/relu': 3 detectors of 2 concepts among 5 units, 3 images)"
        )  # fmt: skip
