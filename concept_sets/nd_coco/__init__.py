"""Concept set ``coco``: COCO's panoptic, instance and stuff annotations, and sets in its format."""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer ``coco``."""
    return [
        ConceptSetSpec(
            name="coco",
            summary="COCO: annotations/panoptic_*.json, instances_*.json or stuff_*.json",
            factory="nd_coco.reader:Coco",
            accepts=(
                "coco:ROOT",
                "coco:ROOT?annotations=annotations/instances_val2017.json",
                "coco:ROOT?annotations=labels.json&images=FOLDER",
            ),
            example="nd_coco.example:example",
        )
    ]
