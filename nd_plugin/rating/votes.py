"""Votes in SQLite: each is one transaction, none is lost, and changes are kept with their time.

The file holds a study and its answers. It is readable by its owner alone: it says where phrases
come from, and how the server is opened.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nd_plugin.errors import BadInput, RunInvalid
from nd_plugin.rating import vote_schema
from nd_plugin.rating.study import ChosenUnit, Question, Stratum, Study

LONGEST_NAME = 80  # characters of a rater's name


@dataclass(frozen=True)
class Vote:
    """Answer of a rater to a question."""

    rater: str
    question: str
    is_yes: bool
    time: str  # ISO 8601, UTC


@dataclass(frozen=True)
class Tally:
    """What a file of votes holds."""

    votes: int
    raters: int


class VoteFile:
    """Study and its votes in a file; usable from several threads and processes."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()

    @classmethod
    def create(cls, path: Path, study: Study) -> VoteFile:
        """Begin a file for a study. Raises BadInput where one exists, NotSaved."""
        vote_schema.create(path, study)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> VoteFile:
        """Open a file. Raises RunInvalid for one of another kind, or damaged."""
        return cls(path, vote_schema.connect(path))

    def close(self) -> None:
        """Close the file; all votes are in it already."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> VoteFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def token(self) -> str:
        """Secret that opens the server; the same after a restart, so that open pages go on."""
        return str(self._fact("token"))

    @property
    def name(self) -> str:
        """Public name of the study, by which browsers keep their copies of votes apart."""
        return str(self._fact("name"))

    def study(self) -> Study:
        """Return the study. Raises RunInvalid where it is damaged."""
        questions = self._records(Question, "question", "identifier")
        return Study(
            fingerprint=str(self._fact("fingerprint")),
            images=int(self._fact("images")),
            strata=tuple(self._records(Stratum, "stratum", "rowid")),
            units=tuple(self._records(ChosenUnit, "chosen", "rowid")),
            questions=tuple(questions),
            notes=tuple(
                row[0]
                for row in self._rows("SELECT text FROM note ORDER BY number")
            ),
        )

    def save(self, votes: Sequence[Vote]) -> int:
        """Save votes in one transaction; return how many differ from what was known.

        A rater's latest answer to a question counts, by its time. The same vote twice changes
        nothing. Raises BadInput for an unknown question or an impossible name, before anything is
        saved, and NotSaved where the file cannot be written.
        """
        for vote in votes:
            check_name(vote.rater)
        with self._writing() as connection:
            return sum(_save(connection, vote) for vote in votes)

    def add_rater(self, name: str) -> None:
        """Remember a rater, who thereby keeps the place in the order of raters."""
        check_name(name)
        with self._writing() as connection:
            _rater_number(connection, name)

    def answers(self, rater: str) -> dict[str, bool]:
        """Return a rater's answers, by question."""
        rows = self._rows(
            "SELECT question, is_yes FROM vote JOIN rater ON rater = number WHERE name = ?",
            rater,
        )
        return {question: bool(is_yes) for question, is_yes in rows}

    def votes(self) -> list[Vote]:
        """Return the votes that count, in the order in which their raters joined."""
        rows = self._rows(
            "SELECT name, question, is_yes, time FROM vote JOIN rater ON rater = number "
            "ORDER BY number, question"
        )
        return [
            Vote(name, question, bool(yes), time)
            for name, question, yes, time in rows
        ]

    def changes(self) -> list[Vote]:
        """Return every vote ever cast, changed ones too, in the order of saving."""
        rows = self._rows(
            "SELECT name, question, is_yes, time FROM change "
            "JOIN rater ON rater = rater.number ORDER BY change.number"
        )
        return [
            Vote(name, question, bool(yes), time)
            for name, question, yes, time in rows
        ]

    def tally(self) -> Tally:
        """Count votes, and raters who have voted."""
        row = self._rows("SELECT count(*), count(DISTINCT rater) FROM vote")[0]
        return Tally(int(row[0]), int(row[1]))

    def _fact(self, name: str) -> str:
        rows = self._rows("SELECT value FROM fact WHERE name = ?", name)
        if not rows:
            raise RunInvalid(f"{self.path} is damaged: it has no {name}")
        return str(rows[0][0])

    def _records(self, kind: type[Any], table: str, order: str) -> list[Any]:
        names = [field.name for field in fields(kind)]
        rows = self._rows(
            f"SELECT {', '.join(names)} FROM {table} ORDER BY {order}"
        )
        return [kind(*row) for row in rows]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise RunInvalid(f"{self.path} cannot be read: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Make a transaction of what happens inside: all of it, or nothing."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise vote_schema.not_saved(self.path, error) from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


def check_name(name: str) -> None:
    """Raise BadInput for what cannot be a rater's name."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadInput(
            f"{name[:LONGEST_NAME]!r} is no name of a rater: "
            f"give 1 to {LONGEST_NAME} characters, without line breaks"
        )


def now() -> str:
    """Return the time, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _save(connection: sqlite3.Connection, vote: Vote) -> bool:
    """Save a vote inside a transaction; return whether it differs from what was known."""
    known = connection.execute(
        "SELECT 1 FROM question WHERE identifier = ?", (vote.question,)
    )
    if known.fetchone() is None:
        raise BadInput(
            f"no question {vote.question!r} in this study; the vote may belong to another run, or "
            "to another file of votes (--votes)"
        )
    rater = _rater_number(connection, vote.rater)
    key = (rater, vote.question)
    row = connection.execute(
        "SELECT is_yes, time FROM vote WHERE rater = ? AND question = ?", key
    ).fetchone()
    if row is not None and bool(row[0]) == vote.is_yes:
        return False
    added = connection.execute(
        "INSERT OR IGNORE INTO change (rater, question, is_yes, time) VALUES (?, ?, ?, ?)",
        (*key, int(vote.is_yes), vote.time),
    ).rowcount
    is_latest = row is None or (added and vote.time >= row[1])
    if is_latest:
        connection.execute(
            "INSERT OR REPLACE INTO vote (rater, question, is_yes, time) VALUES (?, ?, ?, ?)",
            (*key, int(vote.is_yes), vote.time),
        )
    return bool(added)


def _rater_number(connection: sqlite3.Connection, name: str) -> int:
    clean = name.strip()
    connection.execute("INSERT OR IGNORE INTO rater (name) VALUES (?)", (clean,))
    row = connection.execute("SELECT number FROM rater WHERE name = ?", (clean,))
    number = row.fetchone()
    if number is None:
        raise sqlite3.DatabaseError("the table of raters does not keep a name")
    return int(number[0])
