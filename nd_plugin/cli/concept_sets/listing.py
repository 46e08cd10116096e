"""Command ``nd concepts list``: the categories and concepts of a set."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.console import new_table, print_json, print_notes
from nd_plugin.cli.options.shared import Json
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.shell.completion import complete_concepts

ConceptsText = Annotated[
    str,
    typer.Argument(
        metavar="CONCEPTS",
        help="broden:ROOT, masks:ROOT, shapes …",
        autocompletion=complete_concepts,
    ),
]


def list_concepts(concepts: ConceptsText, json: Json = False) -> None:
    """List a concept set's categories and concepts."""
    from nd_plugin.plugins.opening import open_concepts

    with console.results_only():
        concept_set = open_concepts(concepts)
    print_concepts(concept_set, as_json=json)


def print_concepts(concept_set: ConceptSet, *, as_json: bool) -> None:
    """Print a concept set's identity, its size, and the concepts of each category."""
    notes = list(getattr(concept_set, "notes", ()))
    identity = concept_set.identity
    names_by_category = _names_by_category(concept_set)
    if as_json:
        size = {"images": len(concept_set), "categories": names_by_category}
        print_json({**asdict(identity), **size, "notes": notes})
        return
    console.show(heading_of(concept_set))
    table = new_table("category", "", "concepts")
    for category, names in names_by_category.items():
        table.add_row(Text(category), str(len(names)), Text(", ".join(names)))
    console.show(table)
    print_notes(notes)


def heading_of(concept_set: ConceptSet) -> Text:
    """Return the line above the tables of a set: its source, size and fingerprint."""
    identity = concept_set.identity
    size = f"{len(concept_set)} images, {len(concept_set.concepts)} concepts"
    fingerprint = identity.fingerprint[:16]
    return Text(f"{identity.source}: {size}; fingerprint {fingerprint}")


def _names_by_category(concept_set: ConceptSet) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {
        category: [] for category in concept_set.categories
    }
    for concept in concept_set.concepts:
        names[concept.category].append(concept.name)
    return names
