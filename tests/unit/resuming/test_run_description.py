"""Descriptions of runs: a difference is named by its path, and both values are shown."""

from __future__ import annotations

from typing import Any

import pytest

from nd_plugin import BadInput
from nd_plugin.resuming.run_identity.run_description import check_same

STORED: dict[str, Any] = {
    "model": {"name": "net", "source": "here", "fingerprint": "abc"},
    "quantiles": [0.05],
    "shard": "1/2",
}


def test_equal_descriptions_pass_though_json_has_lists_for_tuples() -> None:
    check_same(STORED, {**STORED, "quantiles": (0.05,)}, "the run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shard": "2/2"}, "the run differs in shard: '1/2', not '2/2'"),
        (
            {"quantiles": [0.05, 0.1]},
            "the run differs in quantiles: [0.05], not [0.05, 0.1]",
        ),
        ({"limit": 3}, "the run differs in limit: None, not 3"),
        (
            {"model": "net"},
            f"the run differs in model: {STORED['model']}, not 'net'",
        ),
        (
            {"model": {**STORED["model"], "fingerprint": "abd"}},
            "the run differs in model.fingerprint: 'abc', not 'abd'",
        ),
    ],
)
def test_the_first_difference_is_named(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput) as refused:
        check_same(STORED, {**STORED, **change}, "the run")
    assert str(refused.value) == message


def test_ignored_keys_may_differ_at_any_depth() -> None:
    elsewhere = {
        **STORED,
        "model": {**STORED["model"], "source": "there"},
        "shard": "2/2",
    }
    check_same(STORED, elsewhere, "the run", ignored=["source", "shard"])
    with pytest.raises(
        BadInput, match=r"differs in model\.source: 'here', not 'there'"
    ):
        check_same(STORED, elsewhere, "the run", ignored=["shard"])
