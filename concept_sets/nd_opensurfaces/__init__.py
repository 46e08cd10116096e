"""Concept set ``opensurfaces``: OpenSurfaces, materials and objects of surfaces, and scenes."""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer ``opensurfaces``."""
    return [
        ConceptSetSpec(
            name="opensurfaces",
            summary="OpenSurfaces: photos/, photos-labels/, photos.csv, label-*-colors.csv",
            factory="nd_opensurfaces.reader:Surfaces",
            accepts=("opensurfaces:ROOT",),
            example="nd_opensurfaces.example:example",
        )
    ]
