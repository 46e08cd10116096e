"""Synonyms that are too general to merge labels by.

The paper leaves out 29 of them, 'machine' for 'car' the first (section 2.1). WordNet's synonyms,
which ADE20K's labels come with, name a thing by a kind of things, by a part of it, or by a word
that means something else as well: a flowerpot is a pot, and a pot is not a flowerpot. Such a word
merges labels that have it as their own name, and no others.
"""

from __future__ import annotations

GENERAL_SYNONYMS = frozenset(
    # kinds of things
    "machine device apparatus equipment structure construction object thing item article unit "
    "fixture material stuff substance system instrument implement tool vehicle being "
    "creature animal container vessel "
    # what covers, holds, carries and divides many things
    "bag base box can case cell chest cover covering folder frame hood hoop holder mantle "
    "mount pot rack rest seat shield stand support throne top "
    # parts that whole things are called by
    "caput file head plug press soil surface wheel "
    # words of several senses
    "beacon bill board card mouse pavement tissue".split()
    + ["passenger vehicle", "artifact", "artefact", "living thing"]
)


def is_general(name: str) -> bool:
    """Return whether a synonym is too general to merge labels by."""
    return name in GENERAL_SYNONYMS
