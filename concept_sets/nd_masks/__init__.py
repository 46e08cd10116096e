"""Concept set ``masks``: custom concepts, as folders of images and masks."""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer ``masks``."""
    return [
        ConceptSetSpec(
            name="masks",
            summary="your own concepts: images/, masks/CATEGORY/, concepts.csv, image_labels.csv",
            factory="nd_masks.reader:Masks",
            accepts=("masks:ROOT",),
            check="nd_masks.checking:check",
            example="nd_masks.example:example",
        )
    ]
