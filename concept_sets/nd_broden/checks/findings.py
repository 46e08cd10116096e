"""Faults of a set in Broden's layout as findings, with what to do about each."""

from __future__ import annotations

from nd_plugin import SetFinding

WARNINGS = frozenset(
    {
        "few-samples",
        "label-without-pixels",
        "unlabelled-image",
        "unreferenced-file",
        "shared-mask",
        "code-samples",
        "empty-mask",
        "split-name",
    }
)
REMEDIES = {
    "missing-table": "restore the table, or delete its category from category.csv",
    "missing-column": "add the column, or correct its name in the first line",
    "repeated-column": "rename or delete all but one of the columns",
    "unreadable-table": "save the table as plain CSV text in UTF-8",
    "table-line": "correct the line",
    "empty-table": "restore the table",
    "category-name": "rename the category",
    "duplicate-category": "keep one line for each category",
    "category-without-concepts": "delete the category, or list its labels in label.csv",
    "label-number": "write a whole number from 0 to 65535",
    "duplicate-number": "give one of the labels a number of its own, in the masks, too",
    "unlisted-category": "add the category to category.csv, or correct its name",
    "duplicate-name": "rename one of the labels, or use one number in the masks",
    "coverage-number": "write the pixels covered, in images' worth, as a number",
    "empty-image": "write the path of the image below images/",
    "index-cell": "write label numbers and paths of masks, separated by ;",
    "index-size": "write the size in pixels, or leave both cells empty",
    "outside-set": "copy the file below images/ and write its path from there",
    "duplicate-image": "delete all lines of the image but one",
    "shared-mask": "check that the mask is the one of each of these images",
    "unlabelled-image": "add labels, or delete the line: the image counts for no concept",
    "unreferenced-file": "list it in the index, or delete it",
    "split-name": "correct the split: images of a misspelt one are in none that is selected",
    "missing-image": "restore the image, or delete its line from the index",
    "missing-mask": "restore the mask, or take its path out of the index",
    "unreadable-image": "copy or export the image again, or delete its line from the index",
    "unreadable-mask": "copy or export the mask again, or take its path out of the index",
    "mask-checksum": "copy or export the mask again",
    "mask-format": "export the mask again, as PNG",
    "mask-mode": "save the mask as RGB, its label number as red + 256 * green",
    "empty-mask": "export the mask again, larger if small parts were lost, or take its path out "
    "of the index",
    "mask-size": "export the mask in the size of the index, or correct sh and sw",
    "mask-aspect": "export the mask of the whole image, in the image's aspect",
    "image-size": "correct ih and iw in the index, or export the image in that size",
    "image-orientation": "remove the EXIF orientation, or turn the masks as it turns the image",
    "unlisted-label": "list the label in label.csv, or correct the number",
    "code-samples": "count the tables again: they are of other images",
}


def finding_of(rule: str, place: str, problem: str) -> SetFinding:
    """Return the finding of a rule, with its remedy."""
    is_error = rule not in WARNINGS
    return SetFinding(rule, place, problem, REMEDIES[rule], is_error)
