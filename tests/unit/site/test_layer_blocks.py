"""Data of pages: exactly what the result holds, in numbers of units, concepts and images."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from nd_plugin import Dissection
from nd_plugin.report.netdissect_csv import read_netdissect_csv, to_csv
from nd_plugin.site.concept_scores import LEVEL
from nd_plugin.site.image_columns import PictureFiles
from nd_plugin.site.layer_blocks import LayerBlocks
from nd_plugin.site.pages import json_text


def blocks_of(dissection: Dissection) -> LayerBlocks:
    return LayerBlocks.of(1, dissection.report())


def inflated(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


@pytest.fixture
def units(pictured: Dissection) -> dict[str, Any]:
    """The only block of units."""
    (block,) = blocks_of(pictured).unit_blocks()
    assert block[0] == "layer-1-units-0"
    return block[1]


class TestUnits:
    def test_masks_are_the_units_activation_masks(
        self, pictured: Dissection, units: dict[str, Any]
    ) -> None:
        bits = inflated(units["masks"])
        start = 0
        for unit, lit in zip(units["units"], units["lit"], strict=True):
            for rank, pixels in enumerate(lit):
                mask = pictured.activation_mask(unit, rank)
                assert mask is not None
                length = -(-mask.size // 8)
                packed = np.frombuffer(bits[start : start + length], np.uint8)
                unpacked = np.unpackbits(packed)[: mask.size].reshape(mask.shape)
                assert (unpacked == mask).all()
                assert pixels == mask.sum()
                start += length
        assert start == len(bits)

    def test_units_come_by_their_iou(
        self, pictured: Dissection, units: dict[str, Any]
    ) -> None:
        ious = [pictured.iou[unit].max() for unit in units["units"]]
        assert all(iou >= following for iou, following in pairwise(ious))
        assert sorted(units["units"]) == list(range(pictured.units))

    def test_a_unit_lists_its_concepts_above_the_level_and_its_label(
        self, pictured: Dissection, units: dict[str, Any]
    ) -> None:
        for unit, flat in zip(units["units"], units["concepts"], strict=True):
            above = np.flatnonzero(pictured.iou[unit] > LEVEL)
            expected = {int(pictured.labels[unit]), *above.tolist()}
            assert set(flat[::2]) == expected
            assert flat[1::2] == sorted(flat[1::2], reverse=True)

    def test_a_mask_that_is_not_known_takes_no_bits(
        self, pictured: Dissection
    ) -> None:
        pictures = pictured.pictures
        assert pictures is not None
        without = replace(pictures, top_images=pictures.top_images.copy())
        without.top_images[0, 1] = 2
        partly = replace(pictured, stored_pictures=without)
        (block,) = blocks_of(partly).unit_blocks()
        content = block[1]
        row = content["units"].index(0)
        assert content["lit"][row][1] == -1
        known = sum(pixels >= 0 for lit in content["lit"] for pixels in lit)
        assert len(inflated(content["masks"])) == known * 32 * 32 // 8


class TestImages:
    def test_pictures_and_their_labels(self, pictured: Dissection) -> None:
        files = PictureFiles()
        name, block = blocks_of(pictured).images_block(files)
        pictures = pictured.pictures
        assert name == "layer-1-images"
        assert pictures is not None
        columns = block["pictures"]
        assert columns["image"] == pictures.images.tolist()
        assert columns["width"] == [48] * len(pictures)
        assert columns["height"] == [36] * len(pictures)
        names = {name: content for content, name in files.names.items()}
        for index, image in enumerate(columns["image"]):
            assert names[columns["file"][index]] == pictures.encoded_picture(image)
            concepts = columns["areas"][index][::2]
            assert concepts == pictures.concepts(image).tolist()

    def test_labels_are_the_annotation_masks(self, pictured: Dissection) -> None:
        pictures = pictured.pictures
        assert pictures is not None
        (block,) = blocks_of(pictured).label_blocks()
        content = block[1]
        pixels = np.frombuffer(inflated(content["pixels"]), np.uint8)
        assert content["bytes"] == [1] * len(pictures)
        for index, image in enumerate(content["images"]):
            combinations = pixels[index * 1024 : (index + 1) * 1024]
            members = content["members"][index]
            for concept in range(len(pictured.concepts)):
                carries = np.array([concept in member for member in members])
                mask = carries[combinations].reshape(32, 32)
                assert (mask == pictures.concept_mask(image, concept)).all()

    def test_a_content_is_one_file(self) -> None:
        files = PictureFiles()
        assert files.add(b"a", ".jpg") == "00001.jpg"
        assert files.add(b"b", ".png") == "00002.png"
        assert files.add(b"a", ".jpg") == "00001.jpg"


class TestLayer:
    def test_labels_and_detectors(self, dissection: Dissection) -> None:
        block = blocks_of(dissection).layer_block(("part", "object"))
        assert block["concepts"][0] == ("cat", 1)
        assert block["units"]["label"] == tuple(dissection.labels.tolist())
        assert block["units"]["detector"] == [1, 1, 1, 0, 0]
        assert block["units"]["state"][3:] == ["dead", "sparse"]
        assert block["hasPictures"] is False

    def test_matches_that_are_no_labels(self, dissection: Dissection) -> None:
        others = blocks_of(dissection).layer_block(("object", "part"))["others"]
        labels = dissection.labels
        expected = {
            (unit, concept)
            for unit, concept in np.argwhere(dissection.iou > 0.04).tolist()
            if concept != labels[unit]
        }
        assert {(unit, concept) for unit, concept, _ in others} == expected

    def test_infinite_thresholds_are_texts(self, dissection: Dissection) -> None:
        infinite = replace(dissection, thresholds=np.full(5, -np.inf))
        block = blocks_of(infinite).layer_block(("object", "part"))
        assert block["units"]["threshold"] == ["-inf"] * 5
        assert json_text(block)

    def test_a_csv_file_gives_the_best_concept_of_each_category(
        self, dissection: Dissection, tmp_path: Any
    ) -> None:
        path = tmp_path / "layer.csv"
        path.write_text(to_csv([dissection.report()]))
        layer = LayerBlocks.of(1, read_netdissect_csv(path))
        block = layer.layer_block(("object", "part"))
        assert block["isRun"] is False
        label = block["units"]["label"][1]
        assert block["concepts"][label] == ("tail", 1)
        (units,) = layer.unit_blocks()
        assert set(units[1]) == {"units", "concepts"}
