"""Concept set ``ade20k``: ADE20K in full, of 2016 and of 2021, and its scene parsing benchmark."""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer ``ade20k``."""
    return [
        ConceptSetSpec(
            name="ade20k",
            summary="ADE20K_2016_07_26, ADE20K_2021_17_01, or ADEChallengeData2016 (150 classes)",
            factory="nd_ade20k.layouts:open_ade20k",
            accepts=("ade20k:ROOT",),
            example="nd_ade20k.example:example",
        )
    ]
