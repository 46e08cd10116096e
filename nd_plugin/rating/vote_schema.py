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
# of all tables: the table, the column, and the type that it is declared with
COLUMNS = """
SELECT item.name, field.name, field.type
FROM sqlite_master AS item, pragma_table_info(item.name) AS field
WHERE item.type = 'table'
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
    connection = _connected(path)
    try:
        _prepare(connection)
        _check_marks(connection, path)
        _check_content(connection, path)
    # SQLite's own messages may quote damaged bytes
    except (sqlite3.Error, UnicodeError) as error:
        connection.close()
        raise RunInvalid(
            f"{path} cannot be read as a file of votes: {error}"
        ) from error
    except RunInvalid:
        connection.close()
        raise
    return connection


def not_saved(path: Path, error: Exception) -> NotSaved:
    """Return the error of a file that cannot be written."""
    reason = getattr(error, "strerror", None) or error
    return NotSaved(
        f"{path} cannot be written: {reason}; choose another place with --votes"
    )


def _connected(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            path,
            timeout=WAIT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise RunInvalid(
            f"{path} cannot be read as a file of votes: {error}"
        ) from error


def _prepare(connection: sqlite3.Connection) -> None:
    # Readers and a writer at once; where the file system cannot, SQLite keeps its other journal.
    connection.execute("PRAGMA journal_mode = WAL")
    # A vote is on the disk before it is called saved.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _check_marks(connection: sqlite3.Connection, path: Path) -> None:
    """Raise RunInvalid for a file of another kind, or of a later version."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION:
        raise RunInvalid(f"{path} is no file of votes of nd rate")
    if version > VERSION:
        raise RunInvalid(
            f"{path} is of version {version}, and this nd_plugin reads up to {VERSION}: "
            "upgrade nd_plugin"
        )


def _check_content(connection: sqlite3.Connection, path: Path) -> None:
    """Raise RunInvalid for damage: of SQLite's structure, of tables, of the types of values.

    SQLite believes what a file says of its tables, and takes a value of any type in any column.
    """
    damage = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if damage == "ok":
        damage = _damage_of_tables(connection)
    if damage:
        raise RunInvalid(f"{path} is damaged: {damage}; take a copy of it")


def _damage_of_tables(connection: sqlite3.Connection) -> str:
    """Return what is wrong with tables or values; "" for nothing."""
    with closing(sqlite3.connect(":memory:")) as sound:
        sound.executescript(TABLES)
        if _table_texts(connection) != _table_texts(sound):
            return "its tables are not those of votes"
        columns = sound.execute(COLUMNS).fetchall()
    for table, column, kind in columns:
        query = f"SELECT count(*) FROM {table} WHERE typeof({column}) <> lower(?)"
        if connection.execute(query, (kind,)).fetchone()[0]:
            return f"the table {table!r} holds values of another type"
    return ""


def _table_texts(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Return each table and index with the command that makes it."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master")
    return set(rows.fetchall())


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
