"""Contract suites for plugin authors: what a backend and a concept set have to keep to.

``check_model``, ``check_places`` (a part of it) and ``check_concept_set`` raise AssertionError,
saying what does not hold.
"""

from nd_plugin.testing.concept_sets import check_concept_set
from nd_plugin.testing.models import check_model
from nd_plugin.testing.places import check_places

__all__ = ["check_concept_set", "check_model", "check_places"]
