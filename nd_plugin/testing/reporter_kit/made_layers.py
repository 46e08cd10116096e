"""Reports made for the checks of reporters: small layers of every kind that ``nd report`` reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.contracts.provenance import Identity, Skipped
from nd_plugin.report.layer_report import LayerReport, UnitScore
from nd_plugin.results.dissection import Dissection
from nd_plugin.significance.chance_counts import ChanceCounts
from nd_plugin.significance.fold_counts import FoldCounts
from nd_plugin.testing.reporter_kit.made_dissections import (
    CONCEPTS,
    NOTE,
    first_units,
    made_pictures,
    small_dissection,
)

Reports = Sequence[LayerReport]

LAYER = "layer4"
OTHER_LAYER = "layer3"
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
FOLDS = 4
PERMUTATIONS = 9


def layer_with_pictures() -> Reports:
    """Return a layer of five units: three detectors, a dead and a sparse one."""
    dissection = small_dissection(LAYER)
    return (
        replace(dissection, stored_pictures=made_pictures(dissection)).report(),
    )


def layer_without_pictures() -> Reports:
    """Return the same of a run with ``--no-pictures``."""
    return (small_dissection(LAYER).report(),)


def layer_of_a_csv_file() -> Reports:
    """Return what is left in a CSV file of the original NetDissect code."""
    report = small_dissection(LAYER).report()
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
    dissection = small_dissection(LAYER)
    settings = replace(dissection.settings, min_iou=0.9)
    return (replace(dissection, settings=settings).report(),)


def layer_of_one_unit() -> Reports:
    """Return a layer of a single unit."""
    return (first_units(small_dissection(LAYER), 1).report(),)


def layers_of_two_runs() -> Reports:
    """Return two layers of one run, and one of another."""
    first, second = "net-a", "net-b"
    return (
        replace(small_dissection(OTHER_LAYER).report(), run=first),
        replace(small_dissection(LAYER).report(), run=first),
        replace(small_dissection(LAYER).report(), run=second),
    )


def layer_with_error_bars() -> Reports:
    """Return a layer with intervals and a level of chance: of a run with folds and permutations."""
    dissection = small_dissection(LAYER)
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
    dissection = small_dissection(f"{MARKUP} {CLOSING} {CONTROLS} {FORMULA}")
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
    pictured = replace(hostile, stored_pictures=made_pictures(hostile))
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
    return replace(small_dissection(""), concepts=concepts)


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
