"""Files below a folder are listed once, whatever links lead to them."""

from __future__ import annotations

import os
import socket
from pathlib import Path, PurePosixPath

import pytest

from nd_plugin import list_files
from nd_plugin.pictures import folder_listing


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def paths(root: Path, *folders_by_name: str) -> list[str]:
    return list(list_files(root, [".jpg"], folders_by_name).paths)


def test_files_with_an_ending_sorted_and_without_hidden_ones(
    tmp_path: Path,
) -> None:
    touch(tmp_path, "b.JPG", "a/x.jpg", "a/.x.jpg", ".c/x.jpg", "a.png", "a-b.jpg")
    listing = list_files(tmp_path, [".jpg"])
    assert listing.paths == ("a-b.jpg", "a/x.jpg", "b.JPG")
    assert listing.notes("images") == []


@pytest.mark.parametrize("target", [".", "..", "a", "../images"])
def test_a_link_to_a_folder_above_or_beside_adds_nothing(
    target: str, tmp_path: Path
) -> None:
    root = touch(tmp_path / "images", "a/x.jpg", "b/y.jpg")
    (root / "b" / "loop").symlink_to((root / target).resolve())
    (root / "0").symlink_to(root / "a")
    listing = list_files(root, [".jpg"])
    # the real places, although a link's name comes first
    assert [path for path in listing.paths if "loop" not in path] == [
        "a/x.jpg",
        "b/y.jpg",
    ]
    assert len(listing.paths) == 2
    assert listing.repeated["0"] == "a"
    assert listing.notes("images/")[0].startswith(
        f"{len(listing.repeated)} left out of images/, the same as others: for example 0 is the"
    )


def test_a_folder_of_links_to_each_other_ends(tmp_path: Path) -> None:
    names = [f"{number}" for number in range(12)]
    touch(tmp_path, *(f"{name}/{name}.jpg" for name in names))
    for name in names:
        for other in names:
            (tmp_path / name / f"to{other}").symlink_to(tmp_path / other)
    assert len(paths(tmp_path)) == 12


def test_links_to_elsewhere_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path / "there", "x.jpg", "deep/y.jpg")
    root = touch(tmp_path / "here", "z.jpg")
    (root / "linked").symlink_to(tmp_path / "there")
    (root / "again").symlink_to(tmp_path / "there")
    (root / "file.jpg").symlink_to(tmp_path / "there" / "x.jpg")
    listing = list_files(root, [".jpg"])
    assert listing.paths == ("again/deep/y.jpg", "again/x.jpg", "z.jpg")
    assert listing.repeated == {"file.jpg": "again/x.jpg", "linked": "again"}


def test_a_file_with_two_names_is_listed_once(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "c.jpg").hardlink_to(tmp_path / "a.jpg")
    (tmp_path / "0.jpg").symlink_to("b.jpg")
    listing = list_files(tmp_path, [".jpg"])
    assert listing.paths == ("a.jpg", "b.jpg")
    assert listing.repeated == {"0.jpg": "b.jpg", "c.jpg": "a.jpg"}


def test_in_folders_by_name_every_name_counts(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.jpg")
    (tmp_path / "a" / "y.jpg").symlink_to("x.jpg")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").symlink_to("a")
    assert paths(tmp_path) == ["a/x.jpg"]
    assert paths(tmp_path, "a", "b") == [
        "a/x.jpg",
        "a/y.jpg",
        "b/x.jpg",
        "b/y.jpg",
    ]


def test_a_link_to_nowhere_is_listed_and_one_to_itself_too(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "b.jpg").symlink_to("b.jpg")
    (tmp_path / "c").symlink_to("c")
    assert paths(tmp_path) == ["a.jpg", "b.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_what_is_no_regular_file_is_left_out_and_said(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "b.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.bind(str(tmp_path / "s.jpg"))
        except OSError:
            (tmp_path / "s.jpg").unlink(missing_ok=True)
            os.mkfifo(tmp_path / "s.jpg")
    listing = list_files(tmp_path, [".jpg"])
    assert listing.paths == ("a.jpg",)
    assert listing.irregular["zero.jpg"] == "a device"
    assert listing.notes("images") == [
        "3 left out of images, no regular files: for example b.jpg is a FIFO"
    ]


def test_a_folder_that_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/x.jpg", "b/y.jpg")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("nd_plugin.pictures.folder_listing.os.scandir", refuse)
    listing = list_files(tmp_path, [".jpg"])
    assert listing.paths == ("b/y.jpg",)
    assert listing.notes("images") == [
        "1 left out of images, folders that cannot be read: for example a (Permission denied)"
    ]


def test_folders_that_have_the_name_of_a_file_beside_them(tmp_path: Path) -> None:
    """Such as ADE20K's of the instances of one image."""
    for name in (
        "a.jpg",
        "a/instance_1.png",
        "b/c.png",
        "b/a.b.png",
        "b/a.b/d.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    paths = list_files(tmp_path, (".jpg", ".png"), skips_namesakes=True).paths
    assert paths == ("a.jpg", "b/a.b.png", "b/c.png")
    assert len(list_files(tmp_path, (".jpg", ".png")).paths) == 5
    # a folder is a namesake of listed files only
    assert list_files(tmp_path, (".png",), skips_namesakes=True).paths == (
        "a/instance_1.png",
        "b/a.b.png",
        "b/c.png",
    )


@pytest.mark.parametrize(
    "path", ["a.jpg", "b/a.tar.gz", "b.c/a", ".x", "a.", "..", "a..jpg", "", "b/.x.y"]
)
def test_endings_are_those_of_paths(path: str) -> None:
    assert folder_listing._suffix(path) == PurePosixPath(path).suffix
