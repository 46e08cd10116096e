"""Default concept set ``shapes``: scenes drawn from a seed, with the true labels of every pixel."""

from nd_plugin import ConceptSetSpec, hookimpl

__all__ = ["nd_concept_sets"]


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer ``shapes``."""
    return [
        ConceptSetSpec(
            name="shapes",
            summary="drawn scenes with all six of Broden's categories; no file, no download",
            factory="nd_shapes.scenes:Shapes",
            accepts=("shapes", "shapes?images=500&size=224&seed=0"),
        )
    ]
