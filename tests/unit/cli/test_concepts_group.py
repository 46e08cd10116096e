"""``nd concepts``: a group whose default lists a set."""

from __future__ import annotations

import json
from typing import Any


def test_a_set_is_listed_without_a_command(nd: Any) -> None:
    short = json.loads(nd("concepts", "shapes", "--json").stdout)
    long = json.loads(nd("concepts", "list", "shapes", "--json").stdout)
    assert short == long
    assert short["images"] == 400


def test_options_may_come_first(nd: Any) -> None:
    assert json.loads(nd("concepts", "--json", "shapes").stdout)["name"] == "shapes"


def test_help_lists_the_commands(nd: Any) -> None:
    assert (
        "list a concept set's categories" in nd("concepts", "--help").stdout.lower()
    )


def test_an_unknown_set_names_the_ones_there_are(nd: Any) -> None:
    result = nd("concepts", "shpes")
    assert result.returncode == 2
    assert "the nearest is 'shapes'" in result.stderr


def test_a_mistyped_command_names_the_one_that_is_meant(nd: Any) -> None:
    result = nd("concepts", "chek", "shapes")
    assert result.returncode == 2
    assert "No such command 'chek'. Did you mean 'check'?" in result.stderr


def test_a_second_set_is_one_too_many(nd: Any) -> None:
    result = nd("concepts", "shapes", "masks:street")
    assert result.returncode == 2
    assert "unexpected extra argument" in result.stderr
