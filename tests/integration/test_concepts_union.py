"""``nd concepts build`` over real and drawn sources: every rule of section 2.1 by a case.

A source for the union is one line of ``SOURCES``: a function that makes it in an empty folder, or
returns its text as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import made_sources_a
import made_sources_b
import numpy as np
import pytest
from broden_tables import read_rows
from PIL import Image
from united_sets import write_broden_set, write_masks_set

from nd_plugin import Concept, ConceptSet, open_concepts
from nd_plugin.concepts.broden_layout.tables import Label
from nd_plugin.concepts.colours.colour_table import ColourTable
from nd_plugin.concepts.union.construction import build_union
from nd_plugin.concepts.union.labels.label_names import normalise_category
from nd_plugin.concepts.union.report import UnionReport
from nd_plugin.concepts.union.settings import BuildRun, BuildSettings
from nd_plugin.method.annotations import resize_plane

MASK_SIZE = (56, 56)
SETTINGS = BuildSettings(size=(112, 112), mask_size=MASK_SIZE)


def camvid(folder: Path, real_data: Path) -> str:
    return f"masks:{real_data / 'camvid'}"


def shapes(folder: Path, real_data: Path) -> str:
    return "shapes?images=60&size=112"


def creatures(folder: Path, real_data: Path) -> str:
    """Positional words; a label with nine samples, and one with ten."""
    names = {
        "part": ["left front leg", "right leg", "Upper_Arm", "chair back"],
        "object": ["nine", "ten"],
    }
    return write_masks_set(folder, names, 12, {"nine": 9, "ten": 10})


def synonyms(folder: Path, real_data: Path) -> str:
    """Synonyms, a general one among them: CamVid has a car, a road and a pavement."""
    labels = [
        Label(1, "motorcar", ("car", "machine")),
        Label(2, "machine"),
        Label(3, "sidewalk", ("pavement",)),
        Label(4, "highway", ("road", "route")),
    ]
    return write_broden_set(folder, labels, "object", 10)


SOURCES: dict[str, Callable[[Path, Path], str]] = {
    "camvid": camvid,
    "shapes": shapes,
    "creatures": creatures,
    "synonyms": synonyms,
}


def small_masks(folder: Path) -> str:
    names = {"object": ["Left_Door", "wall"], "scene": ["living room"]}
    return write_masks_set(folder, names, 3, {"wall": 1})


def small_broden(folder: Path) -> str:
    return write_broden_set(folder, [Label(7, "door", ("gate",))], "part", 2)


# Small samples in the true layout of a source: each is a function that writes one into an empty
# folder and returns its text. They are united without a limit of samples.
SAMPLES: dict[str, Callable[[Path], str]] = {
    "masks": small_masks,
    "broden": small_broden,
    "ade20k-2016": made_sources_a.write_ade20k_2016,
    "ade20k-2021": made_sources_a.write_ade20k_2021,
    "scene-parsing": made_sources_a.write_scene_parsing,
    "voc": made_sources_a.write_voc,
    "pascal-context": made_sources_a.write_pascal_context,
    "pascal-part": made_sources_a.write_pascal_part,
    "opensurfaces": made_sources_a.write_opensurfaces,
    "dtd": made_sources_a.write_dtd,
    "coco-panoptic": made_sources_b.write_coco_panoptic,
    "cityscapes": made_sources_b.write_cityscapes,
    "folders": made_sources_b.write_folders,
    "dataset": made_sources_b.write_dataset,
}
if find_spec("pycocotools") is not None:
    SAMPLES["coco-instances"] = made_sources_b.write_coco_instances
if find_spec("datasets") is not None:
    SAMPLES["huggingface"] = made_sources_b.write_huggingface


class United(NamedTuple):
    """Union of all sources."""

    folder: Path
    texts: dict[str, str]
    report: UnionReport

    def table(self, name: str) -> list[dict[str, str]]:
        return read_rows(self.folder / name)

    def concept(self, name: str) -> dict[str, list[str]]:
        """Return the labels by source that became a concept."""
        (concept,) = (item for item in self.report.concepts if item.name == name)
        labels: dict[str, list[str]] = {}
        for member in concept.members:
            labels.setdefault(member.source, []).append(member.label)
        return labels


@pytest.fixture(scope="module")
def united(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> United:
    folder = tmp_path_factory.mktemp("union")
    texts = {name: make(folder / name, real_data) for name, make in SOURCES.items()}
    sets = [(name, open_concepts(text)) for name, text in texts.items()]
    report = build_union(
        folder / "union",
        sets,
        SETTINGS,
        BuildRun(workers=1),
        ColourTable.load(),
        lambda *_: None,
    )
    return United(folder / "union", texts, report)


def test_every_source_is_in_the_set(united: United) -> None:
    broden = open_concepts(f"broden:{united.folder}")
    images = [broden.name(index) for index in range(len(broden))]
    for source in united.report.sources:
        of_source = [name for name in images if name.startswith(f"{source.name}/")]
        assert len(of_source) == source.written == source.images
        assert source.concepts > 0
    assert {source.name for source in united.report.sources} == set(SOURCES)
    assert not united.report.skipped


def test_labels_of_one_name_are_merged_across_sources(united: United) -> None:
    assert united.concept("sky") == {"camvid": ["sky"], "shapes": ["sky"]}
    assert set(united.concept("tree")) == {"camvid", "shapes"}


def test_synonyms_merge_unless_they_are_general(united: United) -> None:
    assert united.concept("car")["camvid"] == ["car"]
    assert united.concept("car")["synonyms"] == ["motorcar"]
    assert united.concept("machine") == {"synonyms": ["machine"]}
    assert united.concept("road")["synonyms"] == ["highway"]
    assert united.concept("pavement")["camvid"] == ["pavement"]
    assert "camvid" not in united.concept("sidewalk")
    reasons = {(pair.word, pair.reason) for pair in united.report.kept_apart}
    assert ("pavement", "'pavement' is too general a synonym") in reasons
    synonyms = {row["name"]: row["syns"] for row in united.table("label.csv")}
    assert synonyms["car"] == "motorcar"
    assert synonyms["road"] == "highway;route"


def test_positional_words_are_dropped(united: United) -> None:
    assert united.concept("leg")["creatures"] == ["left front leg", "right leg"]
    assert united.concept("arm")["creatures"] == ["Upper_Arm"]
    assert united.concept("chair back") == {"creatures": ["chair back"]}
    words = {"left", "right", "upper", "lower"}
    for row in united.table("label.csv"):
        assert words.isdisjoint(row["name"].split())


def test_ten_samples_are_needed(united: United) -> None:
    names = {concept.name for concept in united.report.concepts}
    assert "ten" in names
    reasons = {label.name: label.reason for label in united.report.left_out}
    assert reasons["nine"] == "9 samples, fewer than 10"
    assert min(concept.samples for concept in united.report.concepts) >= 10


def test_numbers_go_by_frequency_then_coverage(united: United) -> None:
    rows = united.table("label.csv")
    keys = [(-int(row["frequency"]), -float(row["coverage"])) for row in rows]
    assert keys == sorted(keys)
    assert [int(row["number"]) for row in rows] == list(range(1, len(rows) + 1))


def test_scenes_and_colours_have_suffixes(united: United) -> None:
    for table, suffix in (("c_scene.csv", "-s"), ("c_color.csv", "-c")):
        names = [row["name"] for row in united.table(table)]
        assert names and all(name.endswith(suffix) for name in names)
    assert len(united.table("c_color.csv")) == 11


def test_splits_are_by_a_hash_of_the_name(united: United) -> None:
    for row in united.table("index.csv"):
        digest = hashlib.md5(row["image"].encode()).hexdigest()
        is_train = int(digest[:16], 16) / 2**64 <= 0.7
        assert row["split"] == ("train" if is_train else "val")


def test_frequency_and_coverage_of_camvid_are_those_of_its_broden_copy(
    united: United, real_data: Path
) -> None:
    """Independent tables of objects and scenes, where CamVid alone has a label."""
    others = {"signsymbol": "sign"}
    compared = 0
    for table in ("c_object.csv", "c_scene.csv"):
        ours = {row["name"]: row for row in united.table(table)}
        for row in read_rows(real_data / "broden_camvid" / table):
            name = others.get(row["name"], row["name"])
            if name not in ours or set(united.concept(name)) != {"camvid"}:
                continue
            compared += 1
            assert ours[name]["frequency"] == row["frequency"]
            # twelve digits are written
            assert float(ours[name]["coverage"]) == pytest.approx(
                float(row["coverage"]), rel=1e-11
            )
    assert compared >= 5


def test_masks_are_the_sources_nearest_pixels(united: United) -> None:
    """Every tenth image of CamVid, pixel by pixel and by name."""
    source = open_concepts(united.texts["camvid"])
    broden = open_concepts(f"broden:{united.folder}")
    index_of = {broden.name(index): index for index in range(len(broden))}
    concept_of = {
        member.label: concept.name
        for concept in united.report.concepts
        for member in concept.members
        if member.source == "camvid"
    }
    number_of = {c.name: value for value, c in enumerate(broden.concepts, start=1)}
    table = [0] + [number_of[concept_of[c.name]] for c in source.concepts]
    for index in range(0, len(source), 10):
        stem = Path(source.name(index)).stem
        annotation = broden.annotation(index_of[f"camvid/{stem}.jpg"])
        (plane,) = source.annotation(index).planes
        expected = np.array(table)[resize_plane(plane, MASK_SIZE)]
        assert any(np.array_equal(expected, item) for item in annotation.planes)


def test_colours_are_those_of_the_sources_pixels(united: United) -> None:
    colors = ColourTable.load()
    broden = open_concepts(f"broden:{united.folder}")
    source = open_concepts(united.texts["camvid"])
    index_of = {broden.name(index): index for index in range(len(broden))}
    number_of = {c.name: value for value, c in enumerate(broden.concepts, start=1)}
    table = np.array([number_of[f"{name}-c"] for name in colors.names])
    for index in (0, 200, 467):
        stem = Path(source.name(index)).stem
        annotation = broden.annotation(index_of[f"camvid/{stem}.jpg"])
        names = colors.indices(np.asarray(source.image(index).convert("RGB")))
        expected = table[resize_plane(names, MASK_SIZE)]
        assert any(np.array_equal(expected, item) for item in annotation.planes)


def test_images_are_resized_whole(united: United) -> None:
    for row in united.table("index.csv")[::40]:
        with Image.open(united.folder / "images" / row["image"]) as image:
            assert (image.height, image.width) == (112, 112)
        assert (row["ih"], row["iw"], row["sh"], row["sw"]) == (
            "112",
            "112",
            "56",
            "56",
        )


def test_the_report_names_every_label_of_every_source(united: United) -> None:
    reported = {
        (row["source"], row["category"], row["label"])
        for row in united.table("union.csv")
    }
    for name, text in united.texts.items():
        for concept in open_concepts(text).concepts:
            if concept.category != "color":
                assert (name, concept.category, concept.name) in reported
    record = json.loads((united.folder / "union.json").read_text())
    assert len(record["concepts"]) == len(united.table("label.csv"))


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> United:
    """Union of all small samples."""
    folder = tmp_path_factory.mktemp("samples")
    texts = {}
    for name, write in SAMPLES.items():
        (folder / name).mkdir()
        texts[name] = write(folder / name)
    sets = [(name, open_concepts(text)) for name, text in texts.items()]
    settings = BuildSettings((64, 64), (32, 32), min_samples=1)
    report = build_union(
        folder / "union", sets, settings, BuildRun(), None, lambda *_: None
    )
    return United(folder / "union", texts, report)


@pytest.mark.parametrize("source", SAMPLES)
def test_images_of_small_samples_carry_the_same_concepts(
    sampled: United, source: str
) -> None:
    """Names are those that the report says, category by category; at the masks' own size."""
    concept_set = open_concepts(sampled.texts[source])
    broden = open_concepts(f"broden:{sampled.folder}")
    name_of = {
        (member.category, member.label): concept.name
        for concept in sampled.report.concepts
        for member in concept.members
        if member.source == source
    }
    carried_in_union = {
        broden.name(index): names_in(broden, index) for index in range(len(broden))
    }
    of_source = {
        name: names
        for name, names in carried_in_union.items()
        if name.startswith(f"{source}/")
    }
    expected = []
    for index in range(len(concept_set)):
        labels = {
            (normalise_category(concept.category), concept.name)
            for concept in concepts_in(concept_set, index)
        }
        names = {name_of[label] for label in labels if label in name_of}
        if names:
            expected.append(names)
    assert sorted(map(sorted, of_source.values())) == sorted(map(sorted, expected))
    assert expected


def test_images_of_ade20k_have_brodens_own_names_and_splits(
    real_data: Path, tmp_path: Path
) -> None:
    """The true layout has folders; Broden's index names the same images without them."""
    ade = open_concepts(made_sources_a.write_ade20k_2016(tmp_path))
    settings = BuildSettings((64, 64), (32, 32), min_samples=1)
    build_union(
        tmp_path / "union",
        [("ade20k", ade)],
        settings,
        BuildRun(),
        None,
        lambda *_: None,
    )
    paths = [
        real_data / "broden_tables" / "index_ade20k.csv",
        tmp_path / "union" / "index.csv",
    ]
    brodens, ours = (
        [(row["image"], row["split"]) for row in read_rows(path)] for path in paths
    )
    assert len(ours) == len(ade) == 4
    assert {split for _, split in ours} == {"train", "val"}
    # in Broden's order, too
    assert ours == [row for row in brodens if row in ours]


def concepts_in(concept_set: ConceptSet, index: int) -> list[Concept]:
    """Return the concepts that an image carries."""
    annotation = concept_set.annotation(index)
    values = {int(value) for value in annotation.labels}
    for plane in annotation.planes:
        values.update(np.unique(plane).tolist())
    return [concept_set.concepts[value - 1] for value in sorted(values) if value]


def names_in(concept_set: ConceptSet, index: int) -> set[str]:
    return {concept.name for concept in concepts_in(concept_set, index)}
