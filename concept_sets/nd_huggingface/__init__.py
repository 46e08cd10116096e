"""Concept set ``huggingface``: data sets of Hugging Face's library ``datasets``."""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer ``huggingface``."""
    return [
        ConceptSetSpec(
            name="huggingface",
            summary="Hugging Face datasets: columns of images, and of label maps or classes",
            factory="nd_huggingface.reader:HuggingFace",
            accepts=(
                "huggingface:NAME",
                "huggingface:FOLDER",
                "huggingface:NAME?split=validation&label=annotation&names=id2label.json",
            ),
            example="nd_huggingface.example:example",
        )
    ]
