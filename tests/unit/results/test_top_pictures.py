"""Pictures of top images: what they show, and their file."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reference
from made_pictures import IMAGE_SIZE, MASK_SIZE, make_pictures

from nd_plugin import BadInput, Dissection, RunInvalid
from nd_plugin.contracts.concept_sets import Annotation
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.results import pictures_format
from nd_plugin.results.activation_histograms import BINS, ActivationHistograms
from nd_plugin.results.top_maps import UNKNOWN
from nd_plugin.results.top_pictures import TopPictures


def pictures_of(dissection: Dissection) -> TopPictures:
    assert dissection.pictures is not None
    return dissection.pictures


class TestRecord:
    def test_pictures_and_annotations(self, pictured: Dissection) -> None:
        pictures = pictures_of(pictured)
        assert pictures.units_top == 2 and len(pictures) == 2
        assert 0 in pictures and np.int64(1) in pictures
        assert 2 not in pictures and 3 not in pictures and -1 not in pictures
        assert "a.jpg" not in pictures
        picture = pictures.picture(1)
        assert (picture.mode, picture.size) == ("RGB", (48, 36))
        assert pictures.suffix(1) == ".jpg"
        labels = pictures.annotation(1)
        assert labels is not None and pictures.mask_size(1) == labels.size
        for image in (0, 1):
            concepts = pictures.concepts(image).tolist()
            areas = [
                int(pictures.concept_mask(image, concept).sum())
                for concept in range(4)
            ]
            assert concepts == np.flatnonzero(areas).tolist() and concepts
        with pytest.raises(
            BadInput, match=r"image 3 has no picture: .* first 2 top"
        ):
            pictures.picture(3)

    def test_masks_are_those_of_the_slow_twin(self, pictured: Dissection) -> None:
        pictures = pictures_of(pictured)
        axes = pictures.maps.geometry
        geometry = (
            (axes.rows.stride, axes.rows.offset),
            (axes.columns.stride, axes.columns.offset),
        )
        for unit in range(5):
            for rank in range(2):
                upsampled = reference.upsample(
                    np.asarray(pictures.maps.dense(unit, rank), np.float32),
                    geometry,
                    IMAGE_SIZE,
                    MASK_SIZE,
                )
                threshold = np.float32(pictured.thresholds[unit])
                mask = pictured.activation_mask(unit, rank)
                assert mask is not None and mask.any()
                assert np.array_equal(mask, upsampled > threshold)

    def test_what_is_not_known_is_none(self, pictured: Dissection) -> None:
        pictures = pictures_of(pictured)
        assert pictured.activation_mask(0, 2) is None
        assert pictured.activation_mask(0, -1) is None
        counts = pictures.maps.counts.copy()
        counts[0, 1] = UNKNOWN
        stored = pictures.maps.values[16:], pictures.maps.positions[16:]
        counts[0, 0] = 0
        maps = replace(
            pictures.maps,
            counts=counts,
            values=stored[0][16:],
            positions=stored[1][16:],
        )
        partly_known = replace(
            pictured, stored_pictures=replace(pictures, maps=maps)
        )
        assert partly_known.activation_mask(0, 1) is None
        dark = partly_known.activation_mask(0, 0)
        assert dark is not None and not dark.any()
        for unit in range(1, 5):
            expected = pictured.activation_mask(unit, 1)
            mask = partly_known.activation_mask(unit, 1)
            assert mask is not None and np.array_equal(mask, expected)
        with pytest.raises(
            BadInput, match=r"no unit 5: layer 'block.1/relu' has 5"
        ):
            pictured.activation_mask(5, 0)

    def test_a_threshold_beyond_the_type_of_the_maps(
        self, pictured: Dissection
    ) -> None:
        pictures = pictures_of(pictured)
        assert pictures.maps.values.dtype == np.float32
        mask = pictures.mask(0, 0, 1e300)
        assert mask is not None and not mask.any()
        mask = pictures.mask(0, 0, -1e300)
        assert mask is not None and mask.all()

    def test_an_image_without_readable_annotation(
        self, pictured: Dissection
    ) -> None:
        pictures = pictures_of(pictured)
        unlabelled = replace(pictures, packed_labels=(b"", b""))
        assert unlabelled.annotation(0) is None
        assert unlabelled.concepts(0).tolist() == []
        assert unlabelled.concept_mask(0, 1).shape == MASK_SIZE
        assert not unlabelled.concept_mask(0, 1).any()

    def test_a_layer_without_pictures(self, dissection: Dissection) -> None:
        assert dissection.pictures is None
        assert dissection.activation_mask(0, 0) is None
        assert dissection.histogram(0) is None


class TestFile:
    def test_what_is_saved_is_loaded(
        self, pictured: Dissection, tmp_path: Path
    ) -> None:
        folder = pictured.save(tmp_path / "layer")
        assert sorted(path.name for path in folder.iterdir()) == [
            "dissection.npz",
            "pictures.npz",
            "units.csv",
        ]
        loaded = Dissection.load(folder)
        pictures = pictures_of(loaded)
        original = pictures_of(pictured)
        assert pictures.path == folder / "pictures.npz"
        assert pictures.encoded == original.encoded
        assert pictures.packed_labels == original.packed_labels
        assert pictures_format.pack(pictures) == pictures_format.pack(original)
        for unit in range(5):
            mask = loaded.activation_mask(unit, 1)
            expected = pictured.activation_mask(unit, 1)
            assert mask is not None and np.array_equal(mask, expected)
        loaded.save(folder)  # over itself
        assert Dissection.load(folder).pictures is not None

    def test_no_pickles(self, pictured: Dissection, tmp_path: Path) -> None:
        folder = pictured.save(tmp_path / "layer")
        with np.load(folder / "pictures.npz", allow_pickle=False) as stored:
            assert set(stored) == {"metadata", *pictures_format.ARRAYS}
            assert all(stored[name].dtype != object for name in stored)

    @pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9])
    def test_damage_names_the_file(
        self, pictured: Dissection, tmp_path: Path, place: float
    ) -> None:
        path = pictured.save(tmp_path / "layer") / "pictures.npz"
        content = bytearray(path.read_bytes())
        content[int(place * len(content)) :] = b"damaged"
        path.write_bytes(bytes(content))
        loaded = Dissection.load(path.parent)
        assert loaded.labels.tolist() == pictured.labels.tolist()
        with pytest.raises(RunInvalid, match=r"layer/pictures\.npz is damaged"):
            loaded.pictures  # noqa: B018

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("images", np.array([1, 0]), "images does not ascend"),
            ("images", np.array([0, 1, 2]), "mask_sizes is int64"),
            ("positions", np.full(160, 16, np.uint8), "outside its map"),
            ("counts", np.full((5, 2), 15, np.int32), "counts do not add up"),
            ("values", np.zeros(160, np.int64), "values is int64"),
            ("mask_sizes", np.zeros((2, 2), np.int64), "size below 1"),
            ("encoded_ends", np.array([1, 2]), "encoded do not end"),
            ("top_images", np.zeros(5, np.int64), "not enough values"),
        ],
    )
    def test_what_does_not_fit_is_refused(
        self,
        pictured: Dissection,
        tmp_path: Path,
        name: str,
        value: np.ndarray,
        message: str,
    ) -> None:
        path = pictured.save(tmp_path / "layer") / "pictures.npz"
        with np.load(path) as stored:
            arrays = {key: stored[key] for key in stored}
        arrays[name] = value
        np.savez(path, **arrays)
        with pytest.raises(
            RunInvalid, match=rf"pictures\.npz is damaged: .*{message}"
        ):
            pictures_format.load(path)

    def test_a_newer_format_is_refused(
        self, pictured: Dissection, tmp_path: Path
    ) -> None:
        path = pictured.save(tmp_path / "layer") / "pictures.npz"
        with np.load(path) as stored:
            arrays = {key: stored[key] for key in stored}
        text = arrays["metadata"].tobytes().replace(b'"format": 1', b'"format": 2')
        np.savez(path, **arrays | {"metadata": np.frombuffer(text, np.uint8)})
        with pytest.raises(
            RunInvalid, match=r"is of format 2, .* upgrade nd_plugin"
        ):
            pictures_format.load(path)

    def test_a_damaged_picture_or_annotation_names_the_file(
        self, pictured: Dissection, tmp_path: Path
    ) -> None:
        pictures = pictures_of(pictured)
        damaged = replace(
            pictures,
            encoded=(b"\xff\xd8nothing", b"<svg/>"),
            packed_labels=(b"no zlib", pictures.packed_labels[1][:-9]),
        )
        path = replace(pictured, stored_pictures=damaged).save(tmp_path / "x")
        loaded = pictures_of(Dissection.load(path))
        for image in (0, 1):
            with pytest.raises(
                RunInvalid, match=r"x/pictures\.npz: the picture of"
            ):
                loaded.picture(image)
            with pytest.raises(RunInvalid, match=r"npz: the annotation of image"):
                loaded.annotation(image)

    def test_equal_pictures_give_equal_files(self, dissection: Dissection) -> None:
        packed = pictures_format.pack(make_pictures(dissection))
        assert pictures_format.pack(make_pictures(dissection)) == packed

    def test_pictures_are_not_deflated_again(
        self, pictured: Dissection, tmp_path: Path
    ) -> None:
        path = pictured.save(tmp_path / "layer") / "pictures.npz"
        with zipfile.ZipFile(path) as archive:
            assert archive.getinfo("encoded.npy").compress_type == 0


class TestPackedLabels:
    @pytest.mark.parametrize("concepts", [1, 300, 70_000])
    def test_what_is_packed_is_unpacked(self, concepts: int) -> None:
        random = np.random.default_rng(concepts)
        planes = [random.integers(0, concepts + 1, (9, 7)) for _ in range(3)]
        labels = LabelCombinations.of(Annotation(planes, (1,)), (18, 21))
        unpacked = LabelCombinations.unpack(labels.pack())
        for name in ("combinations", "members", "concepts", "areas"):
            expected = getattr(labels, name)
            array = getattr(unpacked, name)
            assert array.dtype == expected.dtype and np.array_equal(array, expected)

    def test_an_image_without_labels(self) -> None:
        labels = LabelCombinations.of(Annotation([]), (3, 4))
        assert LabelCombinations.unpack(labels.pack()).concepts.tolist() == []


class TestHistograms:
    def test_sample_in_even_bins_up_to_the_highest(self) -> None:
        sample = np.array([[0.0, -1.0], [0.5, -1.0], [1.0, -np.inf], [2.0, 3.0]])
        highest = np.array([4.0, 3.0])
        histograms = ActivationHistograms.of(sample, highest)
        counts, edges = histograms.histogram(0)
        assert (edges[0], edges[-1], len(edges)) == (0.0, 4.0, BINS + 1)
        assert np.flatnonzero(counts).tolist() == [0, 8, 16, 32]
        counts, edges = histograms.histogram(1)
        assert (edges[0], edges[-1]) == (-1.0, 3.0)
        assert (counts[0], counts[-1], counts.sum()) == (2, 1, 3)

    def test_a_constant_unit(self) -> None:
        histograms = ActivationHistograms.of(np.full((3, 1), 2.0), np.array([2.0]))
        counts, edges = histograms.histogram(0)
        assert counts[0] == 3 and (edges[0], edges[-1]) == (2.0, 3.0)

    def test_they_are_saved(self, dissection: Dissection, tmp_path: Path) -> None:
        sample = np.random.default_rng(0).normal(size=(50, 5))
        histograms = ActivationHistograms.of(sample, sample.max(0))
        sampled = replace(dissection, histograms=histograms)
        loaded = Dissection.load(sampled.save(tmp_path / "layer"))
        for unit in range(5):
            pairs = zip(
                loaded.histogram(unit), sampled.histogram(unit), strict=True
            )
            assert all(np.array_equal(one, other) for one, other in pairs)
        with pytest.raises(BadInput, match="no unit -1"):
            loaded.histogram(-1)

    def test_damaged_ones_are_refused(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        histograms = ActivationHistograms.of(np.zeros((2, 4)), np.ones(4))
        folder = replace(dissection, histograms=histograms).save(tmp_path / "x")
        with pytest.raises(RunInvalid, match="damaged: histogram_counts is int64"):
            Dissection.load(folder)
