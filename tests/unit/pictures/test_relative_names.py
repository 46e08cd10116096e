"""Names in tables of a set stay inside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nd_plugin import ConceptSetInvalid, NamedFiles, check_relative


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../x.jpg",
        "a/../../x.jpg",
        "a/../b/../../x.jpg",
        "/etc/passwd",
        "//host/x.jpg",
        "..\\x.jpg",
        "a\\..\\..\\x.jpg",
        "\\x.jpg",
        "C:\\x.jpg",
        "c:/x.jpg",
    ],
)
def test_names_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConceptSetInvalid) as raised:
        check_relative(name, tmp_path, "index.csv, line 3")
    assert str(raised.value).startswith(
        f"index.csv, line 3: {name!r} is outside {tmp_path}, which is not read"
    )


@pytest.mark.parametrize(
    "name",
    [
        "x.jpg",
        "a/x..jpg",
        "a/../x.jpg",
        "..x.jpg",
        "a:b.jpg",
        "~/x.jpg",
        "a\\b.jpg",
    ],
)
def test_names_that_stay_inside(name: str, tmp_path: Path) -> None:
    check_relative(name, tmp_path, "index.csv, line 3")
    (tmp_path / "a").mkdir()
    NamedFiles(tmp_path, tmp_path).check(name, "index.csv, line 3")


def linked_set(tmp_path: Path) -> Path:
    """A set whose images/ is a link, with links inside it."""
    root = tmp_path / "set"
    for folder in ("set/pool", "elsewhere/a", "secret"):
        (tmp_path / folder).mkdir(parents=True)
    (root / "images").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "elsewhere" / "file.jpg").symlink_to(tmp_path / "secret" / "x.jpg")
    (tmp_path / "elsewhere" / "in").symlink_to(root / "pool")
    (tmp_path / "elsewhere" / "link.jpg").symlink_to("a/x.jpg")
    return root


def test_the_sets_own_folder_may_be_a_link_and_those_below_it_stay_inside(
    tmp_path: Path,
) -> None:
    root = linked_set(tmp_path)
    files = NamedFiles(root, root / "images", remedy=", or allow it")
    for name in ("a/x.jpg", "in/x.jpg", "link.jpg", "a/../x.jpg"):
        files.check(name, "line 2")
        assert files.path(name) == root / "images" / name
    for name in ("out/x.jpg", "out/../x.jpg"):
        with pytest.raises(
            ConceptSetInvalid,
            match=rf"line 2: '{name}' leads through a link to /.*, or allow it",
        ):
            files.check(name, "line 2")
    files.check("file.jpg", "line 2")
    with pytest.raises(
        ConceptSetInvalid, match=r"'file\.jpg' of .* leads through a link"
    ):
        files.path("file.jpg")


def test_links_may_be_allowed_but_names_that_lead_out_are_not(
    tmp_path: Path,
) -> None:
    root = linked_set(tmp_path)
    files = NamedFiles(root, root / "images", follows_links=True)
    files.check("out/x.jpg", "line 2")
    assert files.path("file.jpg") == root / "images/file.jpg"
    with pytest.raises(ConceptSetInvalid, match="outside"):
        files.check("../x.jpg", "line 2")
