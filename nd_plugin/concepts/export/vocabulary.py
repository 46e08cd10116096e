"""Checks of a vocabulary whose concepts are to be cells of a table and names of folders."""

from __future__ import annotations

from collections.abc import Sequence

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.errors import ConceptSetInvalid


def check_names(concepts: ConceptSet) -> None:
    """Check that each concept is one line of a table, and reads back as it is.

    Raises ConceptSetInvalid for names that are empty, that are no text of UTF-8, that begin or end
    with a space, and that two concepts of a category share.
    """
    source = concepts.identity.source
    if not concepts.concepts:
        raise ConceptSetInvalid(f"{source} has no concepts to export")
    pairs = set()
    for concept in concepts.concepts:
        for text in (concept.name, concept.category):
            reason = _reason_against(text)
            if reason:
                raise ConceptSetInvalid(
                    f"{source}: the name {text!r} cannot be a cell of a table: {reason}; rename it"
                )
        pairs.add((concept.name, concept.category))
        if concept.category not in concepts.categories:
            raise ConceptSetInvalid(
                f"{source}: the category {concept.category!r} of {concept.name!r} is none of the "
                "set's categories"
            )
    if len(pairs) < len(concepts.concepts):
        raise ConceptSetInvalid(
            f"{source}: two concepts of a category have the same name; rename one of them"
        )


def used_categories(concepts: ConceptSet) -> tuple[str, ...]:
    """Return the categories that have a concept, in the set's order."""
    used = {concept.category for concept in concepts.concepts}
    return tuple(category for category in concepts.categories if category in used)


def check_file_names(
    categories: Sequence[str], unfit: str, reserved: Sequence[str]
) -> None:
    """Check that categories can be parts of names of files.

    ``unfit`` are characters that none may have, ``reserved`` names that have another meaning.
    Raises ConceptSetInvalid.
    """
    for category in categories:
        characters = [character for character in unfit if character in category]
        if characters or category in reserved or category.startswith("."):
            reason = (
                f"it holds {characters[0]!r}" if characters else "of its meaning"
            )
            raise ConceptSetInvalid(
                f"the category {category!r} cannot be part of a file's name in this format, "
                f"because {reason}; rename it, or export to the other format"
            )


def _reason_against(text: str) -> str:
    """Return why a text is no cell; "" where it is one."""
    if not text:
        return "it is empty"
    if text != text.strip():
        return "spaces at its ends are lost"
    if "\0" in text:
        return "it holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "it is no text of UTF-8"
    return ""
