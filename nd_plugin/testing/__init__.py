"""Conformance kits for plugin authors: what backends, concept sets and reporters keep to.

``check_backend``, ``check_concept_set`` and ``check_reporter`` raise ConformanceError, an
AssertionError, with every check that does not hold; ``backend_checks``, ``concept_set_checks`` and
``reporter_checks`` give the same checks one by one, for ``pytest.mark.parametrize``.
"""

from nd_plugin.testing.backends import backend_checks, check_backend
from nd_plugin.testing.concept_sets import check_concept_set, concept_set_checks
from nd_plugin.testing.conformance import Check, ConformanceError
from nd_plugin.testing.reporters import check_reporter, reporter_checks

__all__ = [
    "Check",
    "ConformanceError",
    "backend_checks",
    "check_backend",
    "check_concept_set",
    "check_reporter",
    "concept_set_checks",
    "reporter_checks",
]
