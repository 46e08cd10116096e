"""Contract suites for plugin authors: what a backend and a concept set have to keep to.

``check_model`` and ``check_concept_set`` raise AssertionError, saying what does not hold.
"""

from nd_plugin.testing.concept_sets import check_concept_set
from nd_plugin.testing.models import check_model

__all__ = ["check_concept_set", "check_model"]
