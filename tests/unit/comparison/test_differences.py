"""Differences between runs that are compared: each is named, with the layers that have it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nd_plugin import Concept, Dissection, Identity, Skipped, compare_dissections


def warnings_of(*dissections: Dissection) -> list[str]:
    names = ["one", "two", "three"][: len(dissections)]
    return list(compare_dissections(dissections, names).warnings)


def with_settings(dissection: Dissection, **settings: Any) -> Dissection:
    return replace(dissection, settings=replace(dissection.settings, **settings))


def with_provenance(dissection: Dissection, **fields: Any) -> Dissection:
    return replace(dissection, provenance=replace(dissection.provenance, **fields))


def test_equal_runs_have_none(dissection: Dissection) -> None:
    assert warnings_of(dissection, dissection) == []


def test_of_model_and_layer_are_no_warning(dissection: Dissection) -> None:
    other = with_provenance(
        replace(dissection, layer="fc"), model=Identity("N", "pkg:N", "1", "ff")
    )
    assert warnings_of(dissection, other) == []


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        (
            {"quantile": 0.02},
            "quantiles differ: 0.005 (one); 0.02 (two): masks are of different areas",
        ),
        (
            {"min_iou": 0.1},
            "limits of detectors differ: IoU > 0.04 (one); IoU > 0.1 (two): --min-iou counts "
            "all at one limit",
        ),
        ({"mask_size": "112"}, "mask sizes differ: auto (one); 112 (two)"),
        (
            {"anchor": "cell"},
            "places of cells differ: receptive-field centres (one); cells spread evenly (two)",
        ),
    ],
)
def test_of_settings(
    dissection: Dissection, settings: dict[str, Any], warning: str
) -> None:
    assert warnings_of(dissection, with_settings(dissection, **settings)) == [
        warning
    ]


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ({"size": (96, 128)}, "input sizes differ: 64x64 (one); 96x128 (two)"),
        (
            {"interpolation": "bicubic"},
            "interpolations differ: unknown (one); bicubic (two)",
        ),
        (
            {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.3, 0.4), "scale": 1 / 255},
            "normalisations differ: mean unknown, std unknown, scale unknown, unknown order "
            "(one); mean 0.5, std 0.2 0.3 0.4, scale 0.00392157, unknown order (two)",
        ),
    ],
)
def test_of_preprocessing(
    dissection: Dissection, values: dict[str, Any], warning: str
) -> None:
    preprocess = {**dissection.provenance.preprocess, **values}
    other = with_provenance(dissection, preprocess=preprocess)
    assert warnings_of(dissection, other) == [warning]


def test_sizes_read_from_a_file_are_the_same(dissection: Dissection) -> None:
    preprocess = {**dissection.provenance.preprocess, "size": [64, 64]}
    assert (
        warnings_of(dissection, with_provenance(dissection, preprocess=preprocess))
        == []
    )


def test_of_images(dissection: Dissection) -> None:
    fewer = replace(dissection, image_names=dissection.image_names[:3])
    assert warnings_of(dissection, fewer) == [
        "images differ: 3 images (one); 2 images (two): IoUs are of different pictures"
    ]


def test_as_many_other_images_are_told_apart(dissection: Dissection) -> None:
    renamed = replace(dissection, image_names=("p", "q", "bad.jpg", "r"))
    other = replace(dissection, skipped=(Skipped("a.jpg", "image", "gone"),))
    assert warnings_of(dissection, renamed, other) == [
        "images differ: 3 images (one); 3 images, others (two); 3 images, others (3) (three): "
        "IoUs are of different pictures"
    ]


def test_of_concept_sets(dissection: Dissection) -> None:
    other = with_provenance(
        dissection, concept_set=Identity("broden", "broden:/b", "1", "fe")
    )
    assert warnings_of(dissection, other) == [
        "concept sets differ: masks:here, 4 concepts def (one); broden:/b, 4 concepts fe (two): "
        "concepts are matched by category and name"
    ]


def test_the_same_set_in_another_folder_is_the_same(dissection: Dissection) -> None:
    moved = replace(dissection.provenance.concept_set, source="masks:/elsewhere")
    assert (
        warnings_of(dissection, with_provenance(dissection, concept_set=moved))
        == []
    )


def test_other_concepts_of_a_set_without_fingerprint(
    dissection: Dissection,
) -> None:
    unknown = replace(dissection.provenance.concept_set, fingerprint="")
    first = with_provenance(dissection, concept_set=unknown)
    concepts = (Concept("fox", "object"), *dissection.concepts[1:])
    (warning,) = warnings_of(first, replace(first, concepts=concepts))
    assert warning.startswith(
        "concept sets differ: masks:here, 4 concepts (one); masks:here, 4 concepts, others (two)"
    )


def test_of_versions_and_places(dissection: Dissection) -> None:
    other = with_provenance(
        dissection,
        versions={"nd_plugin": "0.2"},
        geometry={"source": "spread evenly"},
    )
    assert warnings_of(dissection, other) == [
        "places of cells differ: receptive-field centres (one); receptive-field centres "
        "(spread evenly) (two)",
        "versions differ: nd_plugin unknown (one); nd_plugin 0.2 (two)",
    ]


def test_layers_with_one_value_are_named_together(dissection: Dissection) -> None:
    dissections = [replace(dissection, layer=str(layer)) for layer in range(6)] + [
        with_settings(replace(dissection, layer="6"), quantile=0.1)
    ]
    comparison = compare_dissections(dissections)
    assert comparison.warnings == (
        "quantiles differ: 0.005 (0, 1, 2, 3 and 2 more); 0.1 (6): masks are of different areas",
    )
