"""Names and places of results: refused before a run, or shortened where they are ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nd_plugin import BadInput, NotSaved
from nd_plugin.results.folder_names import folder_of
from nd_plugin.storage.names import check_path, shortened, unused_name
from nd_plugin.storage.targets import check_file, check_folder

WIDE = "層"  # three bytes in UTF-8


@pytest.mark.parametrize("letter", ["a", "é", WIDE, "🙂"])
@pytest.mark.parametrize("length", [10, 60, 255, 1000])
def test_folders_of_layers_fit_whatever_their_names(
    letter: str, length: int, tmp_path: Path
) -> None:
    layer = letter * length
    name = folder_of(layer)
    assert len(name.encode()) <= 130
    (tmp_path / name).mkdir()
    assert folder_of(layer) == name
    assert folder_of(f"{layer}{letter}") != name


def test_a_name_that_fits_is_left_as_it_is() -> None:
    assert folder_of("features.0/relu[1]") == "features.0_relu[1]"
    assert shortened("a" * 120) == "a" * 120
    assert shortened("a" * 121).startswith("a" * 100)


@pytest.mark.parametrize(
    "layer",
    ["run.json", "RUN.JSON", "..", "con", "NUL.0", "com1", "layer.", "a\0b"],
)
def test_reserved_names_get_others(layer: str) -> None:
    name = folder_of(layer)
    assert name.casefold() != layer.casefold()
    assert name.startswith("_") or "\0" in layer


def test_names_that_some_file_system_takes_for_one_differ() -> None:
    taken = ["conv1", "caf\u00e9"]
    assert unused_name("Conv1", taken) == "Conv1-2"
    assert unused_name("cafe\u0301", taken) == "cafe\u0301-2"
    assert unused_name("conv1", [*taken, "CONV1-2"]) == "conv1-3"
    assert unused_name("conv2", taken) == "conv2"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 256, "has 256 bytes; the file system takes 255"),
        (WIDE * 86, "has 258 bytes"),
        ("a" * 256 + "/b", "has 256 bytes"),
        ("a\0b", "NUL"),
        ("/".join(["a" * 200] * 21), "is a path of"),
        ("a\ud800b", "cannot be encoded"),
    ],
)
def test_names_that_no_file_can_have(
    tmp_path: Path, name: str, message: str
) -> None:
    for check in (check_file, lambda path: check_folder(path, "a run")):
        with pytest.raises(BadInput, match=message):
            check(tmp_path / name)


def test_what_is_added_to_a_name_counts(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 250)
    check_path(path)
    with pytest.raises(BadInput, match=r"250 bytes, and 8 more for \.partial"):
        check_path(path, ".partial")


@pytest.mark.parametrize("name", ["a" * 256, "a\0b", "loop", "/"])
def test_writing_without_a_check_before_is_refused_too(
    tmp_path: Path, name: str
) -> None:
    """As from Python: `Dissection.save`, `to_csv`."""
    from nd_plugin.results.atomic_files import recovered, write_file, write_folder

    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    place = tmp_path / name
    with pytest.raises((BadInput, NotSaved)):
        write_folder(place, {"x": b""}, may_replace=lambda folder: True)
    assert recovered(place) == place
    if name != "loop":  # which a file replaces
        with pytest.raises((BadInput, NotSaved)):
            write_file(place, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["loop"]


class TestPlaces:
    def test_a_link_to_nothing(self, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(tmp_path / "nothing")
        for check in (check_file, lambda path: check_folder(path, "a run")):
            with pytest.raises(
                BadInput, match=r"is a link to .*nothing, which does"
            ):
                check(link)

    def test_a_loop_of_links(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to(tmp_path / "b")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        for check in (check_file, lambda path: check_folder(path, "a run")):
            with pytest.raises(NotSaved, match="cannot be written"):
                check(tmp_path / "a")

    def test_a_file_where_a_folder_is_needed(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(BadInput, match="is a file; a run is a folder"):
            check_folder(tmp_path / "file", "a run")
        for check in (check_file, lambda path: check_folder(path, "a run")):
            with pytest.raises(NotSaved, match="file is a file, not a folder"):
                check(tmp_path / "file/below/it")
        (tmp_path / "run.partial").touch()
        with pytest.raises(
            BadInput, match=r"run\.partial is a file, where the check"
        ):
            check_folder(tmp_path / "run", "a run", ".partial")
        with pytest.raises(BadInput, match="is a folder; name a file"):
            check_file(tmp_path)

    def test_a_folder_that_nobody_writes_to(self) -> None:
        if not Path("/proc/self").exists():
            pytest.skip("no /proc")
        for check in (check_file, lambda path: check_folder(path, "a run")):
            with pytest.raises(NotSaved, match="cannot be written"):
                check(Path("/proc/nothing-of-ours"))

    @pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() == 0,
        reason="root writes everywhere",
    )
    def test_a_folder_without_permission(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(NotSaved, match="Permission denied"):
                check_file(tmp_path / "file")
        finally:
            tmp_path.chmod(0o700)

    def test_a_disk_that_can_only_be_read(self, tmp_path: Path) -> None:
        mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path)]
        if (
            shutil.which("mount") is None
            or subprocess.run(mount, check=False, capture_output=True).returncode
        ):
            pytest.skip("no disk can be mounted here")
        try:
            for check in (check_file, lambda path: check_folder(path, "a run")):
                with pytest.raises(NotSaved, match="Read-only file system"):
                    check(tmp_path / "result")
        finally:
            subprocess.run(["umount", str(tmp_path)], check=False)

    @pytest.mark.skipif(sys.platform == "win32", reason="devices of Unix")
    def test_a_device_is_written_to_and_stays_one(self) -> None:
        from nd_plugin.results.atomic_files import write_file

        check_file(Path("/dev/null"))
        write_file(Path("/dev/null"), b"anything")
        assert Path("/dev/null").is_char_device()
