"""Category color of any concept set: planes, sizes, identity, and how images are seen."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from opened_checks import check_opened_set
from PIL import Image
from written_sets import write_broden, write_masks

from nd_plugin import (
    Annotation,
    Concept,
    ConceptSet,
    Identity,
    open_concepts,
    with_colours,
)
from nd_plugin.concepts.colours.colour_table import ColourTable
from nd_plugin.concepts.colours.coloured_set import sampled
from nd_plugin.errors import ConceptSetInvalid

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@dataclass
class OneImage:
    """Concept set of one image."""

    picture: Image.Image
    planes: list[tuple[int, int]] = field(default_factory=list)  # their sizes
    size: tuple[int, int] | None = None
    native_masks: bool = False
    content: str = "abc"
    identity: Identity = field(init=False)
    categories = ("object",)
    concepts = (Concept("left", "object"), Concept("right", "object"))

    def __post_init__(self) -> None:
        self.identity = Identity("one", "one:image", "3", self.content)

    def __len__(self) -> int:
        return 1

    def name(self, index: int) -> str:
        return "only.png"

    def image(self, index: int) -> Image.Image:
        return self.picture

    def annotation(self, index: int) -> Annotation:
        planes = [np.ones(size, np.uint8) for size in self.planes]
        return Annotation(planes, (2,), self.size, ("a remark",))


def picture_of(rows: list[list[tuple[int, ...]]], mode: str = "RGB") -> Image.Image:
    pixels = np.array(rows, np.uint8)
    channels = {"RGB": 3, "RGBA": 4}[mode]
    assert pixels.shape[2] == channels
    return Image.fromarray(pixels)


def colour_names(concepts: ConceptSet) -> list[list[str]]:
    """Return the names in the last plane of the first image."""
    plane = np.asarray(concepts.annotation(0).planes[-1])
    return [[concepts.concepts[value - 1].name for value in row] for row in plane]


def test_the_category_has_brodens_eleven_names() -> None:
    concepts = with_colours(OneImage(picture_of([[RED, GREEN]])))
    assert isinstance(concepts, ConceptSet)
    assert concepts.categories == ("object", "color")
    assert concepts.concepts[:2] == OneImage.concepts
    names = (
        "black blue brown grey green orange pink purple red white yellow".split()
    )
    assert concepts.concepts[2:] == tuple(
        Concept(f"{name}-c", "color") for name in names
    )
    assert len(concepts) == 1
    assert concepts.name(0) == "only.png"


def test_each_pixel_has_the_name_of_its_colour() -> None:
    base = OneImage(picture_of([[RED, GREEN], [BLUE, (128, 128, 128)]]), [(2, 2)])
    concepts = with_colours(base)
    assert colour_names(concepts) == [["red-c", "green-c"], ["blue-c", "grey-c"]]
    annotation = concepts.annotation(0)
    assert len(annotation.planes) == 2
    assert np.array_equal(annotation.planes[0], [[1, 1], [1, 1]])
    assert annotation.labels == (2,)
    assert annotation.remarks == ("a remark",)


def test_colours_are_of_the_upright_image_on_white() -> None:
    picture = picture_of([[(*RED, 255), (*BLUE, 255), (*RED, 0)]], "RGBA")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees to the right
    picture.info["exif"] = exif.tobytes()
    concepts = with_colours(OneImage(picture))
    assert colour_names(concepts) == [["red-c"], ["blue-c"], ["white-c"]]


def test_dark_pictures_of_wide_grey_stay_dark_beside_bright_ones(
    tmp_path: Path,
) -> None:
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    (root / "image_labels.csv").write_text(
        "image,category,name\n0.png,scene,day\n1.png,scene,day\n"
    )
    for number, value in enumerate((200, 4095)):
        pixels = np.full((4, 4), value, np.uint16)
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
    concepts = with_colours(open_concepts(f"masks:{root}"))
    names = [
        {concepts.concepts[v - 1].name for v in np.unique(plane)}
        for plane in (
            concepts.annotation(0).planes[0],
            concepts.annotation(1).planes[0],
        )
    ]
    assert names == [{"black-c"}, {"white-c"}]


@pytest.mark.parametrize(
    ("planes", "size", "native", "expected"),
    [
        ([(4, 6)], None, False, (8, 12)),  # the image's own
        ([], None, False, (8, 12)),
        ([(4, 6)], None, True, (4, 6)),  # the first plane's
        ([(4, 6)], (2, 3), True, (2, 3)),  # the annotation's
        ([], None, True, (4, 6)),  # half of the image
    ],
)
def test_planes_have_the_size_of_native_masks_or_else_the_images(
    planes: list[tuple[int, int]],
    size: tuple[int, int] | None,
    native: bool,
    expected: tuple[int, int],
) -> None:
    picture = Image.new("RGB", (12, 8), RED)
    concepts = with_colours(OneImage(picture, planes, size, native))
    annotation = concepts.annotation(0)
    assert annotation.planes[-1].shape == expected
    if planes:
        assert annotation.size == size
    else:
        assert annotation.size == expected


def test_a_colour_is_of_a_pixel_and_not_of_a_mean() -> None:
    stripes = [[RED, GREEN] * 4 for _ in range(8)]
    concepts = with_colours(OneImage(picture_of(stripes), [], (4, 4), True))
    assert {name for row in colour_names(concepts) for name in row} <= {
        "red-c",
        "green-c",
    }


def test_pixels_are_sampled_as_brodens_masks_are(real_data: Path) -> None:
    """CamVid's masks (480x360) and the same in Broden's layout (112x112)."""
    masks = open_concepts(f"masks:{real_data / 'camvid'}")
    broden = open_concepts(f"broden:{real_data / 'broden_camvid'}")
    for index in range(0, 468, 60):
        name = broden.name(index).removeprefix("camvid/").replace("_", "/", 1)
        number = next(i for i in range(len(masks)) if masks.name(i) == name)
        values = np.asarray(masks.annotation(number).planes[0])
        small = np.asarray(broden.annotation(index).planes[1])
        ours = sampled(values[:, :, None].astype(np.uint8), small.shape)[:, :, 0]
        # a number of the one is one number of the other
        pairs = set(zip(ours.ravel().tolist(), small.ravel().tolist(), strict=True))
        assert len(pairs) == len(np.unique(ours)) == len(np.unique(small))


def test_van_de_weijers_colours_are_brodens(real_data: Path) -> None:
    """Colours of CamVid's own images, sampled as the masks, against those of its Broden."""
    broden = open_concepts(f"broden:{real_data / 'broden_camvid'}")
    table = ColourTable.load(real_data / "w2color.npy")
    numbers = {concept.name: i + 1 for i, concept in enumerate(broden.concepts)}
    values = np.array([numbers[f"{name}-c"] for name in table.names])
    equal = 0
    pixels = 0
    for index in range(0, 468, 20):
        name = broden.name(index).removeprefix("camvid/").replace("_", "/", 1)
        image = Image.open(real_data / "camvid" / "images" / name).convert("RGB")
        theirs = np.asarray(broden.annotation(index).planes[0])
        indices = table.indices(np.asarray(image))[:, :, None]
        named_then_sampled = values[sampled(indices, (112, 112))[:, :, 0]]
        equal += np.count_nonzero(named_then_sampled == theirs)
        pixels += theirs.size
    # 94 %: the JPEG files are not those that the colours were computed from; 89 % where the image
    # is made smaller first, or sampled at other places
    assert equal / pixels > 0.93


def test_a_set_with_colours_is_refused() -> None:
    with pytest.raises(ConceptSetInvalid, match="category 'color' already"):
        with_colours(open_concepts("shapes"))


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    base = OneImage(picture_of([[RED, GREEN]]))
    with pytest.raises(ConceptSetInvalid, match=r"none\.npy cannot be read"):
        with_colours(base, tmp_path / "none.npy")


def test_another_table_gives_other_names_and_another_identity(
    tmp_path: Path,
) -> None:
    base = OneImage(picture_of([[RED, (200, 100, 100)]]))
    cells = ColourTable.load().cells.copy()
    cells[25, 12, 12] = 5
    path = tmp_path / "my table.npy"
    np.save(path, cells)
    ours = with_colours(base)
    theirs = with_colours(base, path)
    assert colour_names(theirs) == [["red-c", "orange-c"]]
    assert colour_names(ours) != colour_names(theirs)
    assert ours.identity.source == "one:image+color"
    assert theirs.identity.source.startswith("one:image+color?table=")
    assert " " not in theirs.identity.source
    fingerprints = {
        base.content,
        ours.identity.fingerprint,
        theirs.identity.fingerprint,
    }
    assert len(fingerprints) == 3
    assert "XKCD's survey" in ours.notes[-1]
    assert str(path) in theirs.notes[-1]


def test_another_base_gives_another_identity() -> None:
    picture = picture_of([[RED]])
    first = with_colours(OneImage(picture)).identity
    second = with_colours(OneImage(picture, content="abd")).identity
    assert first.fingerprint != second.fingerprint
    unknown = with_colours(OneImage(picture, content="")).identity
    assert unknown.fingerprint == ""


def test_files_and_splits_are_the_sets_own(tmp_path: Path) -> None:
    base = open_concepts(write_broden(tmp_path / "broden"))
    concepts = with_colours(base)
    assert concepts.files(1) == base.files(1)  # type: ignore[attr-defined]
    assert concepts.split(1) == ""  # type: ignore[attr-defined]
    without = with_colours(OneImage(picture_of([[RED]])))
    assert not hasattr(without, "files")
    assert not hasattr(without, "split")


def test_it_is_picklable(tmp_path: Path) -> None:
    concepts = with_colours(open_concepts(write_masks(tmp_path / "masks")))
    copy = pickle.loads(pickle.dumps(concepts))
    assert copy.identity == concepts.identity
    planes = concepts.annotation(2).planes
    for plane, copied in zip(planes, copy.annotation(2).planes, strict=True):
        assert np.array_equal(plane, copied)


def test_it_keeps_the_contract_of_concept_sets(tmp_path: Path) -> None:
    check_opened_set(with_colours(open_concepts(write_masks(tmp_path / "masks"))))
    check_opened_set(with_colours(open_concepts(write_broden(tmp_path / "broden"))))


def test_a_large_vocabulary_has_wider_planes() -> None:
    base = OneImage(picture_of([[RED, GREEN]]))
    base.concepts = tuple(Concept(str(i), "object") for i in range(300))
    concepts = with_colours(base)
    assert colour_names(concepts) == [["red-c", "green-c"]]
