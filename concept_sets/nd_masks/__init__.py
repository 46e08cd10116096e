"""The concept set ``masks``: anyone's own concepts, as folders of images and masks."""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """This concept set."""
    return [
        ConceptSetSpec(
            name="masks",
            summary="your own concepts: images/, masks/CATEGORY/, concepts.csv, image_labels.csv",
            factory="nd_masks.reader:Masks",
            accepts=("masks:ROOT",),
        )
    ]
