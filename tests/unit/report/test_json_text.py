"""JSON documents: the version of the schema, what stands on one line, and errors."""

from __future__ import annotations

import json
import math

import pytest

from nd_plugin import BadInput, Unavailable
from nd_plugin.report.json_text import SCHEMA, document_text, error_content

CONTENT = {
    "notes": ["é", 'a "quoted" note'],
    "mask": {"size": [2, 3], "counts": [0, 2, 1, 1, 2]},
    "units": [
        {"unit": 0, "concept": "cat", "threshold": None},
        {"unit": 1, "counts": (3, 4)},
    ],
    "grid": [[1, 2], [3.5, 4]],
    "empty": [],
    "nothing": {},
    "flag": True,
}


def test_a_document_is_its_content_behind_the_schema() -> None:
    content = json.loads(document_text(CONTENT))
    assert list(content) == ["schema", *CONTENT]
    assert content.pop("schema") == SCHEMA == 1
    assert content == json.loads(json.dumps(CONTENT))


def test_numbers_in_a_row_and_flat_objects_of_a_list_are_one_line() -> None:
    lines = [line.strip() for line in document_text(CONTENT).splitlines()]
    assert '"counts": [0, 2, 1, 1, 2]' in lines
    assert '{"unit": 0, "concept": "cat", "threshold": null},' in lines
    assert '"counts": [3, 4]' in lines
    assert "[1, 2]," in lines
    assert r'"\u00e9",' in lines, "ASCII, whatever the locale"


def test_a_long_run_length_list_is_one_line() -> None:
    text = document_text({"counts": list(range(100_000))})
    assert len(text.splitlines()) == 4


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_number_for_is_null(number: float) -> None:
    text = document_text({"a": number, "b": [1.0, number], "c": [{"d": number}]})
    content = json.loads(text, parse_constant=pytest.fail)
    assert content == {
        "schema": SCHEMA,
        "a": None,
        "b": [1.0, None],
        "c": [{"d": None}],
    }


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BadInput("no unit 5"), ("BadInput", "no unit 5", 2)),
        (Unavailable("no CUDA"), ("Unavailable", "no CUDA", 3)),
        (KeyError("x"), ("KeyError", "'x'", 1)),
        (SystemExit(130), ("Interrupted", "interrupted, exit code 130", 130)),
        (SystemExit(143), ("Interrupted", "interrupted, exit code 143", 143)),
        (SystemExit("no way"), ("SystemExit", "no way", 1)),
    ],
)
def test_errors(error: BaseException, expected: tuple[str, str, int]) -> None:
    (content,) = error_content(error).values()
    assert tuple(content.values()) == expected
    assert list(content) == ["type", "message", "exit_code"]


def test_an_exit_with_code_0_is_no_error() -> None:
    assert error_content(SystemExit(0)) == {}
    assert error_content(SystemExit(None)) == {}
