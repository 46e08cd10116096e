"""Default concept set ``shapes``: scenes drawn from a seed, with the true labels of every pixel."""

from pathlib import Path

from nd_plugin import ConceptSetSpec, hookimpl

__all__ = ["nd_concept_sets"]


def example(folder: Path) -> str:
    """Return the text of three small scenes; nothing is written."""
    return "shapes?images=3&size=32x48"


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer ``shapes``."""
    return [
        ConceptSetSpec(
            name="shapes",
            summary="drawn scenes with all six of Broden's categories; no file, no download",
            factory="nd_shapes.scenes:Shapes",
            accepts=("shapes", "shapes?images=500&size=224&seed=0"),
            example="nd_shapes:example",
        )
    ]
