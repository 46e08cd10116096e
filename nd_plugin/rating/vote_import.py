"""Votes from files: those that a static page saves, and results of crowd platforms."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nd_plugin.borders.json_values import parse_json
from nd_plugin.errors import BadInput
from nd_plugin.rating.votes import Vote, now

FORMAT = "nd_plugin votes"
# names of columns: ours, and those of result files of Mechanical Turk
QUESTION_COLUMNS = ("question", "question_id", "Input.question")
RATER_COLUMNS = ("rater", "worker", "worker_id", "WorkerId")
ANSWER_COLUMNS = ("answer", "Answer.answer")
TIME_COLUMNS = ("time", "SubmitTime")
YES_OF_ANSWER = {"yes": True, "y": True, "no": False, "n": False}


CSV_COLUMNS = "question, rater and answer"


def read_votes(path: Path, study_name: str) -> list[Vote]:
    """Read votes from ``.json`` (saved by a static page) or ``.csv`` (a crowd platform's).

    Raises BadInput, naming the place, for votes of another study and for anything else that is no
    vote.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeError as error:
        raise BadInput(
            f"{path} is no text; choose the file that the page of `nd rate --export` has saved, or "
            f"a .csv file with the columns {CSV_COLUMNS}"
        ) from error
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror or error}"
        ) from error
    if path.suffix.lower() == ".csv":
        return _csv_votes(path, text)
    return _page_votes(path, text, study_name)


def _page_votes(path: Path, text: str, study_name: str) -> list[Vote]:
    try:
        content = parse_json(text)
        if content["format"] != FORMAT:
            raise ValueError
        study = content["study"]
        rater = content["rater"]
        rows = [
            (row["question"], row["answer"], row["time"])
            for row in content["votes"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} holds no votes of a rating page; choose the file that the page of "
            f"`nd rate --export` has saved, or a .csv file with the columns {CSV_COLUMNS}"
        ) from error
    if study != study_name:
        raise BadInput(
            f"{path} holds votes of another study ({study!r}, and this is {study_name!r}); "
            "import it with its own --votes"
        )
    return [
        _vote(f"{path}, vote {number}", rater, question, answer, time)
        for number, (question, answer, time) in enumerate(rows, start=1)
    ]


def _csv_votes(path: Path, text: str) -> list[Vote]:
    votes: list[Vote] = []
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            question = _cell(row, QUESTION_COLUMNS, place)
            rater = _cell(row, RATER_COLUMNS, place)
            answer = _cell(row, ANSWER_COLUMNS, place)
            # Results without a time are as old as their file, however often it is imported.
            time = next((row[name] for name in TIME_COLUMNS if row.get(name)), "")
            votes.append(
                _vote(place, rater, question, answer, _readable(time, path))
            )
    except csv.Error as error:
        raise BadInput(f"{path} is no CSV file: {error}") from error
    return votes


def _cell(row: Mapping[str, str | None], names: tuple[str, ...], place: str) -> str:
    for name in names:
        value = row.get(name)
        if value:
            return value
    raise BadInput(
        f"{place}: no {names[0]}; its column is one of {', '.join(names)}"
    )


def _readable(time: str, path: Path) -> str:
    """Return a time if it is one in ISO 8601, else that of the file's last change."""
    try:
        datetime.fromisoformat(time)
    except ValueError:
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return changed.isoformat(timespec="milliseconds")
    return time


def _vote(place: str, rater: Any, question: Any, answer: Any, time: Any) -> Vote:
    """Check a vote and return it, with its time as UTC and not in the future."""
    texts = (rater, question, answer, time)
    if not all(isinstance(text, str) for text in texts):
        raise BadInput(f"{place}: question, answer, time and rater must be texts")
    is_yes = YES_OF_ANSWER.get(answer.strip().lower())
    if is_yes is None:
        raise BadInput(f"{place}: the answer is {answer!r}, and must be yes or no")
    try:
        moment = datetime.fromisoformat(time)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        iso = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    # a time of the year 1 or 9999 may have none in UTC
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{place}: {time!r} is no time in ISO 8601") from error
    return Vote(rater, question, is_yes, min(iso, now()))
