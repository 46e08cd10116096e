"""Conformance kits for plugin authors: what a backend and a concept set have to keep to.

``check_backend`` and ``check_concept_set`` raise ConformanceError, an AssertionError, with every
check that does not hold; ``backend_checks`` and ``concept_set_checks`` give the same checks one by
one, for ``pytest.mark.parametrize``.
"""

from nd_plugin.testing.backends import backend_checks, check_backend
from nd_plugin.testing.concept_sets import check_concept_set, concept_set_checks
from nd_plugin.testing.conformance import Check, ConformanceError

__all__ = [
    "Check",
    "ConformanceError",
    "backend_checks",
    "check_backend",
    "check_concept_set",
    "concept_set_checks",
]
