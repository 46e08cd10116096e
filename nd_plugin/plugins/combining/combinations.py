"""Combination of concept sets in Python: parts of a set, overlays, concatenations."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nd_plugin.concepts.combine.concatenated_set import ConcatenatedConcepts
from nd_plugin.concepts.combine.overlaid_set import OverlaidConcepts
from nd_plugin.concepts.combine.selected_set import SelectedConcepts
from nd_plugin.concepts.combine.selection import Selection
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.plugins.opening import open_concepts

TextOrSet = str | Path | ConceptSet


def select_concepts(
    concept_set: TextOrSet,
    *,
    categories: str | Iterable[str] | None = None,
    names: str | Iterable[str] | None = None,
    split: str | Iterable[str] | None = None,
    min_samples: int | None = None,
) -> ConceptSet:
    """Select a part of a concept set, as ``SET[object,name=car|road,split=val]`` does.

    ::

        objects = select_concepts("broden:broden1_224", categories=["object", "part"])
        LayerDissection(model, "layer4").dissect(objects)

    A dissection on some categories has the same counts for these as one on the whole set: images
    that show none of the concepts stay, as their activations count for the thresholds.

    Args:
        concept_set: Text or object, as for `open_concepts`.
        categories: One category or several; None selects all.
        names: Names of concepts, in whatever category, or synonyms of these; None selects all.
        split: One split or several, such as ``"val"``; images of others are left out.
        min_samples: Concepts on fewer of the remaining images are left out (the paper takes 10).
            Needs a pass over all annotations, whose counts are remembered in the user's cache.

    Raises:
        ConceptSetInvalid: A category, name or split that the set has not, with the nearest that it
            has; nothing to select by; a selection without any concept.
    """
    selection = Selection.of(categories, names, split, min_samples)
    return open_concepts(SelectedConcepts(open_concepts(concept_set), selection))


def overlay_concepts(first: TextOrSet, second: TextOrSet) -> ConceptSet:
    """Overlay the annotations of two concept sets of the same images, as the text ``a+b`` does.

    ::

        overlay_concepts("masks:streets", "masks:streets_materials")

    Images are matched by name, or else by name without ending, and are those of the first set. The
    vocabulary is the union: a concept of one name and category that both have is one concept. Masks
    are compared at the size of the first set's, or of those that are native (Broden's) where the
    other set's are not; a note in the result says so.

    Args:
        first: Text or object, as for `open_concepts`.
        second: Likewise.

    Raises:
        ConceptSetInvalid: Images that are in one of the sets only, or that have another aspect in
            the second (when the image is read).
    """
    return open_concepts(
        OverlaidConcepts(open_concepts(first), open_concepts(second))
    )


def concat_concepts(*concept_sets: TextOrSet) -> ConceptSet:
    """Concatenate concept sets: images behind images, as the text ``concat(a, b)`` does.

    ::

        concat_concepts("masks:streets", "masks:indoor")

    The vocabulary is the union. An image does not count for categories that its own set lacks. An
    image's name that several sets have gets the number of its set in front: ``2/street.jpg``. Where
    only some of the sets have native masks (Broden's), all are compared at half the model's input;
    a note in the result says so.

    Args:
        concept_sets: Two texts or objects or more, as for `open_concepts`.

    Raises:
        ConceptSetInvalid: Fewer than two sets.
    """
    if len(concept_sets) < 2:
        raise ConceptSetInvalid(
            f"concat_concepts got {len(concept_sets)} concept sets; give two or more, each as an "
            "argument of its own"
        )
    parts = [open_concepts(concept_set) for concept_set in concept_sets]
    return open_concepts(ConcatenatedConcepts(parts))
