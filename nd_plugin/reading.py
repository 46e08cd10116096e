"""Names for readers of data sets: what plugins of concept sets share beside the contract.

`LabelledFiles` is the base of a set of files on a disk; a plugin names its images and says what
their annotations are. Texts, tables of values, MATLAB files and planes are read within the limits
that docs/reliability.md states, and never outside a set's root. `FindingList` collects what
``nd concepts check`` reports.
"""

from nd_plugin.borders.json_values import parse_json, read_value
from nd_plugin.concepts.check.collecting import (
    FindingList,
    place_of,
    rule_of_unreadable,
)
from nd_plugin.concepts.check.runs import check_each, looks_at_all
from nd_plugin.concepts.check.samples import (
    find_rare_concepts,
    find_unused_categories,
)
from nd_plugin.concepts.colours.terms import TERMS as COLOR_TERMS
from nd_plugin.concepts.datasets.value_names import (
    add_named_values,
    parse_ignored,
    read_value_names,
)
from nd_plugin.concepts.export.note import native_masks_of
from nd_plugin.concepts.fetch.places import fetched_set
from nd_plugin.concepts.sources.folders import (
    check_layout,
    existing_root,
    inner_root,
    missing_names,
    names_in,
)
from nd_plugin.concepts.sources.labelled_files import LabelledFiles, LabelledImage
from nd_plugin.concepts.sources.matlab import load_matlab, load_matlab_fields
from nd_plugin.concepts.sources.plane_stack import PlaneStack
from nd_plugin.concepts.sources.set_texts import set_text
from nd_plugin.concepts.sources.splits import read_splits
from nd_plugin.concepts.sources.text_lines import read_bytes, read_lines, read_text
from nd_plugin.concepts.sources.value_tables import (
    ValueTable,
    look_up,
    unlisted_remarks,
)
from nd_plugin.concepts.sources.vocabulary import Vocabulary, split_synonyms
from nd_plugin.contracts.concept_sets import image_entry
from nd_plugin.pictures.pixel_limit import check_pixel_count
from nd_plugin.probe_data.tables import TableReport, iterate_table

__all__ = [
    "COLOR_TERMS",
    "FindingList",
    "LabelledFiles",
    "LabelledImage",
    "PlaneStack",
    "TableReport",
    "ValueTable",
    "Vocabulary",
    "add_named_values",
    "check_each",
    "check_layout",
    "check_pixel_count",
    "existing_root",
    "fetched_set",
    "find_rare_concepts",
    "find_unused_categories",
    "image_entry",
    "inner_root",
    "iterate_table",
    "load_matlab",
    "load_matlab_fields",
    "look_up",
    "looks_at_all",
    "missing_names",
    "names_in",
    "native_masks_of",
    "parse_ignored",
    "parse_json",
    "place_of",
    "read_bytes",
    "read_lines",
    "read_splits",
    "read_text",
    "read_value",
    "read_value_names",
    "rule_of_unreadable",
    "set_text",
    "split_synonyms",
    "unlisted_remarks",
]
