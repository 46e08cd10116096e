"""Kit of backends: each check catches backends that are wrong in what it looks at."""

from __future__ import annotations

import pytest
import torch
from wrong_backends import TEXT, WRONG_BACKENDS, RightBackend, Tiny, WrongBackend

from nd_plugin.testing import ConformanceError, backend_checks, check_backend
from nd_plugin.testing.backends import BACKEND_RULES


@pytest.fixture(autouse=True)
def gradients() -> None:
    """Turn gradients on again, which one of the backends turns off."""
    torch.set_grad_enabled(True)


def broken_checks(row: WrongBackend) -> dict[str, str]:
    with pytest.raises(ConformanceError) as raised:
        check_backend(row.make, row.model())
    torch.set_grad_enabled(True)
    return {check.name: check.problem for check in raised.value.broken}


@pytest.mark.parametrize("row", WRONG_BACKENDS, ids=lambda row: row.name)
def test_a_wrong_backend_breaks_its_check(row: WrongBackend) -> None:
    assert set(broken_checks(row)) == {row.check, *row.follows}


@pytest.mark.parametrize("check", backend_checks(RightBackend, Tiny()), ids=str)
def test_a_right_backend_passes(check: pytest.FunctionDefinition) -> None:
    check()


def test_a_right_backend_passes_by_a_text() -> None:
    check_backend(RightBackend, TEXT)
    check_backend(RightBackend, Tiny().eval(), layers=["conv2"], size=(40, 40))


def test_every_check_has_a_backend_that_breaks_it() -> None:
    caught = {row.check for row in WRONG_BACKENDS}
    assert {rule.name for rule in BACKEND_RULES} == caught
    names = [row.name for row in WRONG_BACKENDS]
    assert len(set(names)) == len(names)
