"""Folders of labelled images: splits, classes, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from nd_plugin.errors import BadInput
from nd_plugin.experiments.probing.labelled_images import (
    LabelledImages,
    find_labelled_images,
    is_test_name,
)


def touch(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def of_split(images: LabelledImages, is_test: bool) -> list[tuple[str, str]]:
    rows = zip(images.paths, images.labels, images.for_test, strict=True)
    return [
        (path, images.classes[label])
        for path, label, for_test in rows
        if for_test == is_test
    ]


class TestSplits:
    def test_folders_of_train_and_test(self, tmp_path: Path) -> None:
        names = ["train/cat/1.jpg", "train/cat/more/2.PNG", "train/dog/1.jpeg"]
        tests = ["test/cat/1.jpg", "test/dog/9.webp"]
        others = [
            "train/cat/notes.txt",
            "train/.cache/1.jpg",
            "train/dog/.2.jpg",
            "a.jpg",
        ]
        images = find_labelled_images(touch(tmp_path, [*names, *tests, *others]))
        assert images.classes == ("cat", "dog") and images.notes == ()
        assert of_split(images, False) == [
            ("train/cat/1.jpg", "cat"),
            ("train/cat/more/2.PNG", "cat"),
            ("train/dog/1.jpeg", "dog"),
        ]
        assert of_split(images, True) == [
            ("test/cat/1.jpg", "cat"),
            ("test/dog/9.webp", "dog"),
        ]

    @pytest.mark.parametrize("name", ["val", "valid", "Validation"])
    def test_validation_images_serve_as_tests(
        self, tmp_path: Path, name: str
    ) -> None:
        folders = [
            f"{split}/{pet}/1.jpg" for split in ("Train", name) for pet in "ab"
        ]
        images = find_labelled_images(touch(tmp_path, folders))
        assert len(of_split(images, True)) == 2
        assert images.notes == (f"tested on {name}/: {tmp_path} has no test/",)

    def test_a_folder_that_is_not_used_is_said(self, tmp_path: Path) -> None:
        splits = ("train", "test", "val")
        names = [f"{split}/{pet}/1.jpg" for split in splits for pet in "ab"]
        images = find_labelled_images(touch(tmp_path, names))
        assert len(images) == 4
        assert images.notes == ("tested on test/; not used: val",)

    def test_without_splits_the_path_decides(self, tmp_path: Path) -> None:
        names = [
            f"{pet}/{index}.jpg" for pet in ("cat", "dog") for index in range(100)
        ]
        images = find_labelled_images(touch(tmp_path / "one", names))
        tests = [path for path, _ in of_split(images, True)]
        assert tests == [name for name in sorted(names) if is_test_name(name)]
        assert 20 <= len(tests) <= 60, "one in five of 200"
        assert "has no splits: one image in 5 is for tests" in images.notes[0]
        fewer = find_labelled_images(touch(tmp_path / "two", names[::2]))
        assert {path for path, _ in of_split(fewer, True)} <= set(tests)

    def test_identity_follows_the_content(self, tmp_path: Path) -> None:
        names = [
            f"{split}/{pet}/1.jpg" for split in ("train", "test") for pet in "ab"
        ]
        first = find_labelled_images(touch(tmp_path / "one", names)).identity
        second = find_labelled_images(touch(tmp_path / "two", names)).identity
        assert first.fingerprint == second.fingerprint != ""
        (tmp_path / "two" / names[0]).write_bytes(b"longer")
        third = find_labelled_images(tmp_path / "two").identity
        assert third.fingerprint != first.fingerprint


class TestRefused:
    @pytest.mark.parametrize(
        ("names", "message"),
        [
            ([], "no images in"),
            (["1.jpg", "2.jpg"], "no images in"),
            (["train/a/1.jpg", "train/b/1.jpg"], "has train/ but no test or val/"),
            (["test/a/1.jpg"], "has test/ but no train/"),
            (["train/a/1.jpg", "test/a/1.jpg"], "has one class, 'a'"),
            (
                ["train/a/1.jpg", "train/b/1.jpg", "test/a/1.jpg", "test/b/1.txt"],
                "no test image of 'b'; add some, or leave the class out",
            ),
            (
                ["train/a/1.jpg", "test/a/1.jpg", "test/b/1.jpg"],
                "no training image of 'b'",
            ),
        ],
    )
    def test_folders(self, tmp_path: Path, names: list[str], message: str) -> None:
        with pytest.raises(BadInput, match=message):
            find_labelled_images(touch(tmp_path, names))

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(
            BadInput, match=r"no folder '.*none' of labelled images"
        ):
            find_labelled_images(tmp_path / "none")
