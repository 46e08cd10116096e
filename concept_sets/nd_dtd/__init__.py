"""Concept set ``dtd``: the Describable Textures Dataset, whole-image textures."""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer ``dtd``."""
    return [
        ConceptSetSpec(
            name="dtd",
            summary="Describable Textures Dataset: images/CLASS/, labels/; textures of images",
            factory="nd_dtd.reader:Textures",
            accepts=("dtd:ROOT", "dtd:ROOT?partition=1"),
            example="nd_dtd.example:example",
        )
    ]
