"""Concept set ``broden``: the Broden data set, and anything in its on-disk layout."""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer ``broden``."""
    return [
        ConceptSetSpec(
            name="broden",
            summary="Broden's layout: index.csv, label.csv, category.csv, c_*.csv, images/",
            factory="nd_broden.reader:Broden",
            accepts=(
                "broden:ROOT",
                "broden:ROOT?index=index.csv",
                "broden:ROOT?links=follow",
                "broden",
                "broden?size=227",
            ),
            check="nd_broden.checking:check",
            check_tables="nd_broden.checking:check_tables",
            example="nd_broden.example:example",
        )
    ]
