"""Reader of rating files: votes of pages and of crowds, descriptions, files of studies."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

from fuzz.cases import Numbers, Reader, Sample
from fuzz.mutators.json_values import JSON
from fuzz.mutators.tables import TABLES
from made_ratings import complete_study, vote

from nd_plugin.rating.phrases import read_descriptions
from nd_plugin.rating.table import rating_table
from nd_plugin.rating.vote_import import FORMAT, read_votes
from nd_plugin.rating.votes import VoteFile

STUDY = "s1"
QUESTIONS = ("conv/0/l", "conv/0/d", "conv/1/l", "conv/1/d")


def make_samples(folder: Path) -> Sequence[Sample]:
    """Return a file of each kind, beside a file of a study."""
    path = folder / "study.sqlite"
    with VoteFile.create(path, complete_study(["object", "part"])) as file:
        file.save([vote("ann", question, True) for question in QUESTIONS])
        file.save([vote("bob", question, False) for question in QUESTIONS[:2]])
    with closing(sqlite3.connect(path)) as connection:
        # drawn at random; cases are the same each time
        connection.execute("UPDATE fact SET value = 's1' WHERE name = 'name'")
        connection.execute("UPDATE fact SET value = 't' WHERE name = 'token'")
        connection.commit()
        connection.execute("PRAGMA journal_mode = DELETE")
        # small pages: a small file, of which every byte may matter
        connection.execute("PRAGMA page_size = 512")
        connection.execute("VACUUM")
    page = {
        "format": FORMAT,
        "study": STUDY,
        "rater": "ann",
        "votes": [
            {"question": question, "answer": "yes", "time": "2026-01-01T12:00:00Z"}
            for question in QUESTIONS
        ],
    }
    crowd = "question,rater,answer,time\nconv/0/l,ann,yes,2026-01-01T00:00:00\n"
    crowd += "conv/1/d,bob,No,\n"
    descriptions = "layer,unit,description\nconv,0,a Red car.\nconv,1,\nfc,2,Sky\n"
    study = path.read_bytes()
    return [
        Sample("page", {"votes.json": json.dumps(page).encode()}),
        Sample("crowd", {"votes.csv": crowd.encode()}),
        Sample("descriptions", {"descriptions.csv": descriptions.encode()}),
        Sample("study", {"study.sqlite": study}),
        Sample("study-2", {"study.sqlite": study}),
    ]


def read(folder: Path, random: Random) -> Numbers:
    """Read what the folder holds, as ``nd rate`` does."""
    if (folder / "study.sqlite").exists():
        return _read_study(folder / "study.sqlite")
    if (folder / "descriptions.csv").exists():
        return {
            "descriptions": read_descriptions(
                folder / "descriptions.csv", {"conv": 2, "fc": 3}
            )
        }
    name = "votes.csv" if (folder / "votes.csv").exists() else "votes.json"
    return {"votes": read_votes(folder / name, STUDY)}


def _read_study(path: Path) -> Numbers:
    with VoteFile.open(path) as file:
        study = file.study()
        votes = file.votes()
        file.changes()
        file.tally()
        file.answers("ann")
        assert file.token
        assert file.name
        rating_table(study, votes)
        file.save([vote("carl", "conv/0/l", True)])
        return {"votes": votes}


def find_problem(folder: Path, numbers: Numbers) -> str:
    """Return what no page and no crowd gives."""
    for entry in numbers.get("votes", ()):
        if not isinstance(entry.rater, str) or not isinstance(entry.question, str):
            return "a vote that is no text"
    return ""


RATINGS = Reader(
    "ratings",
    make_samples,
    read,
    {".json": JSON, ".csv": TABLES},
    find_problem=find_problem,
)
