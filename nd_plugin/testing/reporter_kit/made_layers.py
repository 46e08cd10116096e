"""Reports made for the checks of reporters: small layers of every kind that ``nd report`` reads."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.contracts.concept_sets import Annotation, Concept
from nd_plugin.contracts.provenance import Identity, Provenance, Settings, Skipped
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.receptive_fields.geometry import Axis, Geometry
from nd_plugin.report.layer_report import LayerReport, UnitScore
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.top_maps import TopMaps
from nd_plugin.results.top_pictures import TopPictures
from nd_plugin.significance.chance_counts import ChanceCounts
from nd_plugin.significance.fold_counts import FoldCounts

Reports = Sequence[LayerReport]

LAYER = "layer4"
OTHER_LAYER = "layer3"
NOTE = "the preprocessing was assumed by the makers of this report"
# of the only unit of a layer: it is 4097 where a reporter counts from 1
LARGE_UNIT = 4096
# name of an element, and value of an attribute, that a reader of a page must never meet
TAG = "nd-name"
HANDLER = "ndname()"
MARKUP = f"<{TAG}> \"><{TAG} onclick=\"{HANDLER}\" ' onclick='{HANDLER}' &amp; ]]>"
CLOSING = f"</script></style></title></textarea>--><{TAG}>"
FORMULA = '=HYPERLINK("http://names.example/";"x"),1\n@SUM(1)|+2;-3\t4'
CONTROLS = "\x1b[2J\x07\x9b31m\x00\x7f\r\u2028 \u202eabc\u202c half \udcff"
LONG = "name " * 600
MATHS = "$x_1^{2}$ \\input{/x} 100 % # ~ {"
PICTURE_SIZE = (48, 32)  # width, height
MASK_SIZE = (16, 24)
CELLS = (4, 6)
GEOMETRY = Geometry(Axis(16.0, 8.0, 3.5), Axis(16.0, 8.0, 3.5))
INPUT_SIZE = (32, 48)
FOLDS = 4
PERMUTATIONS = 9
CONCEPTS = (
    Concept("cat", "object"),
    Concept("dog", "object"),
    Concept("tail", "part"),
    Concept("ear", "part"),
)


def layer_with_pictures() -> Reports:
    """Return a layer of five units: three detectors, a dead and a sparse one."""
    dissection = _dissection(LAYER)
    return (replace(dissection, stored_pictures=_pictures(dissection)).report(),)


def layer_without_pictures() -> Reports:
    """Return the same of a run with ``--no-pictures``."""
    return (_dissection(LAYER).report(),)


def layer_of_a_csv_file() -> Reports:
    """Return what is left in a CSV file of the original NetDissect code."""
    report = _dissection(LAYER).report()
    scores = tuple(_as_in_csv(score) for score in report.scores)
    categories: dict[str, tuple[UnitScore, ...]] = {}
    for category, of_category in report.category_scores.items():
        categories[category] = tuple(map(_as_in_csv, of_category))
    summary = replace(
        report.summary, concepts=None, images=None, quantile=None, dead=0, sparse=0
    )
    csv_report = replace(
        report,
        scores=scores,
        summary=summary,
        category_scores=categories,
        facts={},
        notes=(NOTE,),
        first_unit_in_source=1,
        precision="",
        dissection=None,
    )
    return (csv_report,)


def layer_without_detectors() -> Reports:
    """Return a layer in which no unit reaches the IoU of a detector."""
    dissection = _dissection(LAYER)
    settings = replace(dissection.settings, min_iou=0.9)
    return (replace(dissection, settings=settings).report(),)


def layer_of_one_unit() -> Reports:
    """Return a layer of a single unit."""
    return (_of_units(_dissection(LAYER), 1).report(),)


def layers_of_two_runs() -> Reports:
    """Return two layers of one run, and one of another."""
    first, second = "net-a", "net-b"
    return (
        replace(_dissection(OTHER_LAYER).report(), run=first),
        replace(_dissection(LAYER).report(), run=first),
        replace(_dissection(LAYER).report(), run=second),
    )


def layer_with_error_bars() -> Reports:
    """Return a layer with intervals and a level of chance: of a run with folds and permutations."""
    dissection = _dissection(LAYER)
    intersection = _split(dissection.intersection)
    pairs = np.flatnonzero(intersection)
    folds = FoldCounts(
        pairs,
        intersection.ravel()[pairs],
        _split(dissection.unit_area),
        _split(dissection.concept_area),
        _split(dissection.category_images),
    )
    shape = (PERMUTATIONS, dissection.units)
    best_iou = np.linspace(0, 0.05, PERMUTATIONS * dissection.units).reshape(shape)
    chance = ChanceCounts(best_iou, np.zeros(shape, np.int64), fixed_images=0)
    settings = replace(dissection.settings, folds=FOLDS, permutations=PERMUTATIONS)
    with_bars = replace(dissection, folds=folds, chance=chance, settings=settings)
    return (with_bars.report(),)


def layer_of_a_large_number() -> Reports:
    """Return a layer whose only unit in a CSV file is number `LARGE_UNIT`, counted from 0."""
    (report,) = layer_of_one_unit()
    scores = (replace(report.scores[0], unit=LARGE_UNIT),)
    categories = {
        category: (replace(of_category[0], unit=LARGE_UNIT),)
        for category, of_category in report.category_scores.items()
    }
    numbered = replace(
        report, scores=scores, category_scores=categories, dissection=None
    )
    return (numbered,)


def layers_with_hostile_names() -> Reports:
    """Return layers whose names, concepts, images and notes are meant to break a document."""
    dissection = _dissection(f"{MARKUP} {CLOSING} {CONTROLS} {FORMULA}")
    first, second = f"{MARKUP} {CONTROLS}", f"{CLOSING} {MATHS}"
    concepts = (
        Concept(f"{MARKUP} {CLOSING} {MATHS}", first, (CLOSING,)),
        Concept(f"{CLOSING} {CONTROLS}", first),
        Concept(f"{FORMULA} {CONTROLS} {LONG}", second),
        Concept(f"{MATHS} {FORMULA}", second),
    )
    names = (f"{MARKUP}.jpg", f"{CLOSING}.jpg", f"{CONTROLS}.jpg", f"{LONG}.jpg")
    provenance = dissection.provenance
    hostile_identity = Identity(MARKUP, CLOSING, CONTROLS, "abc")
    hostile = replace(
        dissection,
        categories=(first, second),
        concepts=concepts,
        image_names=names,
        skipped=(Skipped(names[2], "image", MARKUP),),
        provenance=replace(
            provenance,
            model=hostile_identity,
            concept_set=hostile_identity,
            backend=MARKUP,
            notes=(MARKUP, CLOSING, CONTROLS, LONG),
        ),
    )
    pictured = replace(hostile, stored_pictures=_pictures(hostile))
    return (replace(pictured.report(), run=MARKUP), _nameless().report())


def no_layers() -> Reports:
    """Return nothing to report."""
    return ()


# by the check that each is made for
SAMPLES: dict[str, Callable[[], Reports]] = {
    "gives-content": layer_with_pictures,
    "without-pictures": layer_without_pictures,
    "without-dissection": layer_of_a_csv_file,
    "without-detectors": layer_without_detectors,
    "one-unit": layer_of_one_unit,
    "several-layers": layers_of_two_runs,
    "error-bars": layer_with_error_bars,
    "units-from-0": layer_of_a_large_number,
    "hostile-names": layers_with_hostile_names,
    "no-layers": no_layers,
}


def _split(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return counts by fold, which add up to all: (fold, …)."""
    parts = np.stack([counts // FOLDS] * FOLDS)
    parts[0] += counts % FOLDS
    return parts


def _nameless() -> Dissection:
    """Return a layer whose best concept has an empty name."""
    concepts = (Concept("", "object"), *CONCEPTS[1:])
    return replace(_dissection(""), concepts=concepts)


def _as_in_csv(score: UnitScore) -> UnitScore:
    return replace(
        score,
        threshold=None,
        state="live",
        precision=None,
        recall=None,
        f1=None,
        correlation=None,
    )


def _dissection(layer: str) -> Dissection:
    """Return a dissection without pictures: detectors of cat, tail and cat."""
    return Dissection(
        layer=layer,
        categories=("object", "part"),
        concepts=CONCEPTS,
        thresholds=np.array([1.5, 0.25, 2.0, 0.0, 0.0]),
        intersection=np.array(
            [
                [50, 0, 2, 0],
                [1, 1, 30, 0],
                [60, 10, 5, 5],
                [0, 0, 0, 0],
                [1, 0, 0, 0],
            ]
        ),
        unit_area=np.array([[100, 90], [40, 60], [80, 80], [0, 0], [5, 5]]),
        concept_area=np.array([200, 100, 90, 80]),
        category_images=np.array([3, 2]),
        category_pixels=np.array([3 * 256, 2 * 256]),
        dead=np.array([False, False, False, True, False]),
        sparse=np.array([False, False, False, False, True]),
        locations=1000,
        top_images=np.array([[1, 0, 3]] * 5),
        top_activations=np.array([[4.0, 3.0, 0.5]] * 5),
        image_names=("a.jpg", "b.jpg", "bad.jpg", "ü.jpg"),
        skipped=(Skipped("bad.jpg", "image", "truncated"),),
        settings=Settings(),
        provenance=Provenance(
            model=Identity("Net", "package:Net", "1", "abc"),
            concept_set=Identity("street", "masks:street", "1", "def"),
            backend="torch",
            device="cpu",
            preprocess={"size": INPUT_SIZE, "source": "given"},
            geometry={"source": "receptive fields"},
            versions={"torch": "2"},
            started="2001-02-03T04:05:06+00:00",
            seconds=1.5,
            notes=(NOTE,),
            precision="float32",
        ),
    )


def _of_units(dissection: Dissection, count: int) -> Dissection:
    """Return a dissection of the first units of another."""
    return replace(
        dissection,
        thresholds=dissection.thresholds[:count],
        intersection=dissection.intersection[:count],
        unit_area=dissection.unit_area[:count],
        dead=dissection.dead[:count],
        sparse=dissection.sparse[:count],
        top_images=dissection.top_images[:count],
        top_activations=dissection.top_activations[:count],
    )


def _pictures(dissection: Dissection) -> TopPictures:
    """Return pictures of the first two top images of each unit; no unit is active everywhere."""
    top_images = dissection.top_images[:, :2]
    images = np.unique(top_images)
    cell_count = CELLS[0] * CELLS[1]
    map_count = top_images.size
    values = np.linspace(-4, 4, cell_count, dtype=np.float32)
    blocks = np.arange(4).reshape(2, 2) + 1
    labels = LabelCombinations.of(Annotation([blocks]), MASK_SIZE)
    return TopPictures(
        images=images,
        encoded=tuple(_encoded(40 * index) for index in range(len(images))),
        packed_labels=(labels.pack(),) * len(images),
        mask_sizes=np.tile(np.array(MASK_SIZE), (len(images), 1)),
        top_images=top_images,
        maps=TopMaps(
            GEOMETRY,
            INPUT_SIZE,
            CELLS,
            np.full(top_images.shape, cell_count, np.int32),
            np.tile(np.arange(cell_count, dtype=np.uint8), map_count),
            np.tile(values, map_count),
        ),
    )


def _encoded(red: int) -> bytes:
    """Return a PNG file of one colour."""
    content = io.BytesIO()
    Image.new("RGB", PICTURE_SIZE, (red % 256, 100, 200)).save(content, "PNG")
    return content.getvalue()
