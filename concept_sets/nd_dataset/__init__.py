"""Concept set ``dataset``: a data set of PyTorch that code of yours makes."""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer ``dataset``."""
    return [
        ConceptSetSpec(
            name="dataset",
            summary="a torch Dataset of (image, mask) that a function of yours returns",
            factory="nd_dataset.opening:open_dataset",
            accepts=(
                "dataset:package.module:factory?names=FILE.csv",
                "dataset:package.module:factory?names=FILE.json&category=part&ignore=0,255",
            ),
            example="nd_dataset.example:example",
        )
    ]
