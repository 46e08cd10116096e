"""OpenSurfaces, as its release's script renders it."""

from __future__ import annotations

from pathlib import Path

import made_sources_a as made
import pytest

from nd_plugin import ConceptSet, ConceptSetInvalid, open_concepts
from nd_plugin.reading import LabelledFiles


def opened(text: str) -> LabelledFiles:
    concepts = open_concepts(text)
    return concepts  # type: ignore[return-value]


def value(concepts: ConceptSet, name: str) -> int:
    names = [concept.name for concept in concepts.concepts]
    return names.index(name) + 1


def test_materials_objects_and_scenes(tmp_path: Path) -> None:
    concepts = opened(made.write_opensurfaces(tmp_path))
    assert concepts.categories == ("material", "object", "scene")
    annotation = concepts.annotation(0)
    glass, mixed = value(concepts, "glass"), value(concepts, "granite/marble")
    window, wall = value(concepts, "window"), value(concepts, "wall")
    materials, objects = annotation.planes
    assert materials.tolist() == made.halves(glass, mixed).tolist()
    assert objects.tolist() == made.halves(window, wall).tolist()
    assert annotation.labels == (value(concepts, "kitchen"),)
    materials, objects = concepts.annotation(1).planes
    assert materials.tolist() == made.halves(value(concepts, "carpet"), 0).tolist()
    assert objects.tolist() == made.halves(0, wall).tolist()
    assert concepts.annotation(1).remarks == ()


def test_names_as_broden_has_them(tmp_path: Path) -> None:
    concepts = opened(made.write_opensurfaces(tmp_path))
    names = {concept.name: concept.synonyms for concept in concepts.concepts}
    assert names["carpet"] == ("rug",)
    assert "plastic-clear" in names
    # two materials of the data set, and neither is taken for the other
    assert names["granite"] == () and names["granite/marble"] == ()


def test_photos_that_are_gone_and_photos_without_labels(tmp_path: Path) -> None:
    concepts = opened(made.write_opensurfaces(tmp_path))
    names = [concepts.name(index) for index in range(len(concepts))]
    assert names == ["122.jpg", "123.jpg", "450.jpg", "451.jpg"]
    assert concepts.notes == (
        "1 of photos.csv are not in photos/, for example 460.jpg",
        "1 of photos.csv are not in photos-labels/, for example 451.png",
    )
    # no scene, and "~unlabeled"
    assert concepts.annotation(2).labels == ()
    assert concepts.annotation(3).labels == () and not concepts.annotation(3).planes


def test_the_folder_above(tmp_path: Path) -> None:
    made.write_opensurfaces(tmp_path)
    concepts = opened(f"opensurfaces:{tmp_path}")
    assert concepts.notes[0] == f"read from opensurfaces in {tmp_path}"


def test_colours_that_are_not_listed(tmp_path: Path) -> None:
    concepts = opened(made.write_opensurfaces(tmp_path))
    mask = made.halves(0, 0)
    channels = [made.halves(99, 14), made.halves(0, 7), mask]
    made.save_colours(concepts.files(0)[1], channels)
    assert concepts.annotation(0).remarks == (
        "99 occurs in red_color of photos-labels/, and label-substance-colors.csv does not list "
        "it",
        "7 occurs in green_color of photos-labels/, and label-name-colors.csv does not list it",
    )
    made.save_grey(concepts.files(0)[1], mask)
    with pytest.raises(ValueError, match="mode L; expected RGB"):
        concepts.annotation(0)


@pytest.mark.parametrize(
    ("table", "line", "message"),
    [
        ("label-substance-colors.csv", "9,Sky,14", "red_color 14 is listed twice"),
        ("label-substance-colors.csv", "9,Sky,0", "'0' is no colour from 1 to 255"),
        ("label-name-colors.csv", "9,Sink,256", "'256' is no colour"),
        ("photos.csv", "122,kitchen,,", "'122' is no number, or is listed twice"),
        ("photos.csv", "../x,kitchen,,", "'../x' is no number"),
    ],
)
def test_malformed_tables(
    tmp_path: Path, table: str, line: str, message: str
) -> None:
    text = made.write_opensurfaces(tmp_path)
    with (tmp_path / "opensurfaces" / table).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(ConceptSetInvalid, match=message) as caught:
        open_concepts(text)
    assert f"{table}, line " in str(caught.value)


def test_a_wrong_folder(tmp_path: Path) -> None:
    """The release as it is downloaded: JSON, before its script has run."""
    (tmp_path / "photos.photo.json").write_text("[]")
    with pytest.raises(
        ConceptSetInvalid,
        match=r"no photos and no photos-labels.*process_opensurfaces_release_0\.py has run",
    ):
        open_concepts(f"opensurfaces:{tmp_path}")
