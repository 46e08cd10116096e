"""File of a study and its votes: tables, marks of the file, and how it is opened."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from nd_plugin.errors import BadInput, NotSaved, RunInvalid
from nd_plugin.rating.study import Study
from nd_plugin.storage.drafts import draft_path, name_new_file, remove_dead_drafts
from nd_plugin.storage.durable_files import NEW_FILE
from nd_plugin.storage.names import check_path

APPLICATION = 0x6E645254  # "ndRT", SQLite's mark of the kind of a file
VERSION = 1
LONGEST_SUFFIX = "-journal"  # of SQLite's files beside it
WAIT_SECONDS = 30.0  # for another process that writes
TABLES = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE note (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE stratum (layer TEXT, category TEXT, units INTEGER, guess_sum REAL,
                      PRIMARY KEY (layer, category));
CREATE TABLE chosen (layer TEXT, unit INTEGER, category TEXT, guess REAL, probability REAL,
                     PRIMARY KEY (layer, unit));
CREATE TABLE question (identifier TEXT PRIMARY KEY, pictures TEXT, layer TEXT, unit INTEGER,
                       phrase TEXT, is_label INTEGER, is_description INTEGER);
CREATE TABLE rater (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE vote (rater INTEGER NOT NULL REFERENCES rater, time TEXT NOT NULL,
                   question TEXT NOT NULL REFERENCES question,
                   is_yes INTEGER NOT NULL CHECK (is_yes IN (0, 1)),
                   PRIMARY KEY (rater, question));
CREATE TABLE change (number INTEGER PRIMARY KEY, rater INTEGER NOT NULL REFERENCES rater,
                     time TEXT NOT NULL, question TEXT NOT NULL REFERENCES question,
                     is_yes INTEGER NOT NULL, UNIQUE (rater, question, time, is_yes));
"""


def create(path: Path, study: Study) -> None:
    """Write a study into a new file, which only its owner can read.

    Raises BadInput for a file that exists, NotSaved where it cannot be written.
    """
    check_path(path, LONGEST_SUFFIX)
    if os.path.lexists(path):
        raise BadInput(f"{path} exists already")
    draft = draft_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_dead_drafts(path)
        os.close(os.open(draft, NEW_FILE, 0o600))
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            _write_study(connection, study)
        name_new_file(draft, path)
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, FileExistsError) and path.is_file():
            raise BadInput(f"{path} exists already") from error
        raise not_saved(path, error) from error
    finally:
        with suppress(OSError):
            draft.unlink()


def connect(path: Path) -> sqlite3.Connection:
    """Open a file of votes. Raises RunInvalid for one of another kind, or damaged."""
    if not path.is_file():
        raise BadInput(
            f"no votes yet: {path} does not exist; nd rate RUN begins it"
        )
    # before SQLite opens the file, whose locks would end with it: a draft may be the same file
    remove_dead_drafts(path)
    try:
        connection = _opened(path)
    except sqlite3.Error as error:
        raise RunInvalid(
            f"{path} cannot be read as a file of votes: {error}"
        ) from error
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == APPLICATION and version <= VERSION:
        return connection
    connection.close()
    if application != APPLICATION:
        raise RunInvalid(f"{path} is no file of votes of nd rate")
    raise RunInvalid(
        f"{path} is of version {version}, and this nd_plugin reads up to {VERSION}: "
        "upgrade nd_plugin"
    )


def not_saved(path: Path, error: Exception) -> NotSaved:
    """Return the error of a file that cannot be written."""
    reason = getattr(error, "strerror", None) or error
    return NotSaved(
        f"{path} cannot be written: {reason}; choose another place with --votes"
    )


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False
    )
    # Readers and a writer at once; where the file system cannot, SQLite keeps its other journal.
    connection.execute("PRAGMA journal_mode = WAL")
    # A vote is on the disk before it is called saved.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _write_study(connection: sqlite3.Connection, study: Study) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.executescript(f"BEGIN; {TABLES}")
    facts = {
        "fingerprint": study.fingerprint,
        "images": str(study.images),
        "token": secrets.token_urlsafe(24),
        "name": secrets.token_hex(8),
    }
    connection.executemany("INSERT INTO fact VALUES (?, ?)", facts.items())
    notes = [(note,) for note in study.notes]
    connection.executemany("INSERT INTO note (text) VALUES (?)", notes)
    _insert(connection, "stratum", study.strata)
    _insert(connection, "chosen", study.units)
    _insert(connection, "question", study.questions)
    connection.execute("COMMIT")


def _insert(
    connection: sqlite3.Connection, table: str, records: Sequence[Any]
) -> None:
    for record in records:
        names = [field.name for field in fields(record)]
        values = [getattr(record, name) for name in names]
        marks = ", ".join("?" * len(names))
        connection.execute(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", values
        )
