"""Concept set ``boxes``: data sets for object detection of Hugging Face's library ``datasets``.

Imported whenever plugins are listed, so it imports nothing heavy.
"""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Announce the concept set ``boxes``."""
    return [
        ConceptSetSpec(
            name="boxes",
            summary="Hugging Face datasets for object detection: bounding boxes of classes",
            factory="nd_boxes.reader:Boxes",
            accepts=(
                "boxes:FOLDER",
                "boxes:NAME",
                "boxes:FOLDER?split=validation&objects=objects&format=xyxy",
            ),
            example="nd_boxes.example:write_example",
        )
    ]
