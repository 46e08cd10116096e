"""Concept set ``cityscapes``: street scenes of fifty cities, with 27 classes of objects."""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer ``cityscapes``."""
    return [
        ConceptSetSpec(
            name="cityscapes",
            summary="Cityscapes: leftImg8bit/ with the labelIds of gtFine/ or gtCoarse/",
            factory="nd_cityscapes.reader:Cityscapes",
            accepts=("cityscapes:ROOT", "cityscapes:ROOT?annotations=gtCoarse"),
            example="nd_cityscapes.example:example",
        )
    ]
