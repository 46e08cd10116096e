"""Votes from files of exported pages and of crowd platforms."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nd_plugin import BadInput
from nd_plugin.rating.vote_import import FORMAT, read_votes


def page_file(tmp_path: Path, **changes: Any) -> Path:
    content = {
        "format": FORMAT,
        "study": "s1",
        "rater": "ann",
        "votes": [
            {"question": "q1", "answer": "yes", "time": "2026-01-01T12:00:00.250Z"}
        ],
    }
    path = tmp_path / "votes.json"
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_votes_of_a_page_keep_their_time(tmp_path: Path) -> None:
    (vote,) = read_votes(page_file(tmp_path), "s1")
    assert (vote.rater, vote.question, vote.is_yes) == ("ann", "q1", True)
    assert vote.time == "2026-01-01T12:00:00.250+00:00"


def test_a_clock_that_is_wrong_cannot_outrun_later_votes(tmp_path: Path) -> None:
    votes = [
        {"question": "q1", "answer": "no", "time": "2999-01-01T00:00:00+05:00"}
    ]
    (vote,) = read_votes(page_file(tmp_path, votes=votes), "s1")
    assert datetime.fromisoformat(vote.time) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study": "s2"}, "holds votes of another study ('s2', and this is 's1')"),
        (
            {"format": "else"},
            "holds no votes of a rating page; choose the file that the page of "
            "`nd rate --export` has saved",
        ),
        ({"votes": None}, "holds no votes of a rating page"),
        ({"votes": [{"question": "q1"}]}, "holds no votes of a rating page"),
        ({"rater": 7}, "vote 1: question, answer, time and rater must be texts"),
        (
            {
                "votes": [
                    {
                        "question": "q1",
                        "answer": "yes",
                        "time": "9999-12-31T23:59:59-23:59",
                    }
                ]
            },
            "vote 1: '9999-12-31T23:59:59-23:59' is no time in ISO 8601",
        ),
        (
            {
                "votes": [
                    {"question": "q1", "answer": "maybe", "time": "2026-01-01"}
                ]
            },
            "vote 1: the answer is 'maybe', and must be yes or no",
        ),
        (
            {"votes": [{"question": "q1", "answer": "yes", "time": "noon"}]},
            "vote 1: 'noon' is no time in ISO 8601",
        ),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        read_votes(page_file(tmp_path, **changes), "s1")


@pytest.mark.parametrize("content", [b"", b"[", b"[]", b"\xff\xfe", b"[" * 200_000])
def test_files_of_other_kinds_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "votes.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=re.escape(str(path))):
        read_votes(path, "s1")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_votes(tmp_path / "none.json", "s1")


@pytest.mark.parametrize(
    "header",
    ["question,rater,answer", "Input.question,WorkerId,Answer.answer"],
)
def test_results_of_a_crowd_platform(tmp_path: Path, header: str) -> None:
    path = tmp_path / "results.csv"
    path.write_text(f"HIT,{header}\n1,q1,W1,Yes\n2,q1,W2,n\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    votes = read_votes(path, "s1")
    assert [(vote.rater, vote.question, vote.is_yes) for vote in votes] == [
        ("W1", "q1", True),
        ("W2", "q1", False),
    ]
    # without times, votes are as old as their file
    assert {vote.time for vote in votes} == {"2001-09-09T01:46:40.000+00:00"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "question,rater\nq1,W1\n",
            "line 2: no answer; its column is one of answer",
        ),
        ("question,rater,answer\nq1,,yes\n", "line 2: no rater"),
        ("question,rater,answer\nq1,W1,5\n", "line 2: the answer is '5'"),
        ('question,rater,answer\n"q1,W1,yes\n', "is no CSV file"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "results.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=re.escape(message)):
        read_votes(path, "s1")
