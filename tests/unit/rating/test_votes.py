"""Votes on disk: transactions, changes, several raters, several processes."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from killing import kill_everywhere, names
from made_ratings import vote

from nd_plugin import BadInput, RunInvalid
from nd_plugin.errors import NotSaved
from nd_plugin.rating.study import Study
from nd_plugin.rating.votes import VoteFile


@pytest.fixture
def asked(study: Study) -> list[str]:
    """Identifiers of the questions."""
    return [question.identifier for question in study.questions]


def test_the_study_comes_back_as_it_was(votes: VoteFile, study: Study) -> None:
    assert votes.study() == study
    assert study.has_descriptions


def test_a_vote_can_be_changed_and_every_change_is_kept(
    votes: VoteFile, asked: list[str]
) -> None:
    assert votes.save([vote("ann", asked[0], True, 1)]) == 1
    assert votes.save([vote("ann", asked[0], False, 2)]) == 1
    assert votes.save([vote("bob", asked[0], True, 3)]) == 1
    assert votes.answers("ann") == {asked[0]: False}
    assert votes.answers("bob") == {asked[0]: True}
    assert votes.answers("nobody") == {}
    assert [
        (item.rater, item.is_yes, item.time[17:19]) for item in votes.changes()
    ] == [
        ("ann", True, "01"),
        ("ann", False, "02"),
        ("bob", True, "03"),
    ]
    tally = votes.tally()
    assert (tally.votes, tally.raters) == (2, 2)


def test_the_same_vote_twice_is_one(votes: VoteFile, asked: list[str]) -> None:
    cast = [vote("ann", asked[0], True, 1), vote("ann", asked[1], False, 1)]
    assert votes.save(cast) == 2
    assert votes.save(cast) == 0
    assert votes.save([vote("ann", asked[0], True, 9)]) == 0
    assert len(votes.changes()) == 2


def test_an_older_vote_does_not_replace_a_newer_one(
    votes: VoteFile, asked: list[str]
) -> None:
    votes.save([vote("ann", asked[0], True, 5)])
    assert votes.save([vote("ann", asked[0], False, 2)]) == 1
    assert votes.answers("ann") == {asked[0]: True}
    assert len(votes.changes()) == 2
    # importing the same file again changes nothing
    assert votes.save([vote("ann", asked[0], False, 2)]) == 0


def test_two_answers_at_the_same_moment_leave_the_later_one(
    votes: VoteFile, asked: list[str]
) -> None:
    votes.save([vote("ann", asked[0], True, 1)])
    votes.save([vote("ann", asked[0], False, 1)])
    assert votes.answers("ann") == {asked[0]: False}


def test_one_bad_vote_of_several_saves_none(
    votes: VoteFile, asked: list[str]
) -> None:
    with pytest.raises(BadInput, match="no question 'nowhere' in this study"):
        votes.save([vote("ann", asked[0], True), vote("ann", "nowhere", True)])
    assert votes.tally().votes == 0 and votes.changes() == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "two\nlines", "nul\0"])
def test_impossible_names_are_refused(
    votes: VoteFile, asked: list[str], name: str
) -> None:
    with pytest.raises(BadInput, match="is no name of a rater"):
        votes.save([vote(name, asked[0], True)])
    with pytest.raises(BadInput, match="is no name of a rater"):
        votes.add_rater(name)


def test_votes_come_in_the_order_in_which_raters_joined(
    votes: VoteFile, asked: list[str]
) -> None:
    votes.add_rater("zoe")
    votes.save([vote("ann", asked[0], True)])
    votes.save([vote("zoe ", asked[0], False)])
    votes.add_rater("zoe")
    assert [item.rater for item in votes.votes()] == ["zoe", "ann"]


def test_the_file_is_its_owner_s(votes: VoteFile) -> None:
    assert stat.S_IMODE(votes.path.stat().st_mode) == 0o600


def test_an_existing_file_is_not_replaced(votes: VoteFile, study: Study) -> None:
    with pytest.raises(BadInput, match="exists already"):
        VoteFile.create(votes.path, study)
    assert votes.study() == study


def test_a_file_that_cannot_be_written_is_named(
    study: Study, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotSaved, match=r"cannot be written.*--votes"):
        VoteFile.create(tmp_path / "file" / "votes.sqlite", study)


def test_a_file_that_a_killed_process_began_is_whole_or_not_there(
    study: Study, tmp_path: Path
) -> None:
    def create(folder: Path) -> None:
        VoteFile.create(folder / "votes.sqlite", study).close()

    for folder in kill_everywhere(tmp_path, lambda folder: None, create):
        path = folder / "votes.sqlite"
        if not path.exists():
            create(folder)
        with VoteFile.open(path) as votes:
            assert votes.study() == study
        assert [name for name in names(folder) if "draft" in name] == []


def test_files_of_other_kinds_are_refused(tmp_path: Path, votes: VoteFile) -> None:
    with pytest.raises(BadInput, match=r"no votes yet: .* does not exist"):
        VoteFile.open(tmp_path / "none.sqlite")
    text = tmp_path / "text"
    text.write_text("no database at all, but long enough to be looked at " * 40)
    with pytest.raises(RunInvalid, match="cannot be read as a file of votes"):
        VoteFile.open(text)
    other = tmp_path / "other.sqlite"
    sqlite3.connect(other).execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(RunInvalid, match="is no file of votes of nd rate"):
        VoteFile.open(other)
    connection = sqlite3.connect(votes.path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(RunInvalid, match=r"is of version 2.*upgrade nd_plugin"):
        VoteFile.open(votes.path)


def test_a_damaged_file_is_refused(votes: VoteFile) -> None:
    connection = sqlite3.connect(votes.path)
    connection.execute("DELETE FROM fact WHERE name = 'token'")
    connection.commit()
    connection.close()
    with pytest.raises(RunInvalid, match="is damaged: it has no token"):
        _ = votes.token


@pytest.mark.parametrize(
    ("command", "damage"),
    [
        (
            "UPDATE chosen SET probability = x'00'",
            "the table 'chosen' holds values",
        ),
        (
            "UPDATE vote SET time = x'ff'",
            "the table 'vote' holds values of another",
        ),
        ("ALTER TABLE note ADD COLUMN x", "its tables are not those of votes"),
        ("DROP TABLE change", "its tables are not those of votes"),
    ],
)
def test_impossible_content_is_refused_when_the_file_is_opened(
    votes: VoteFile, asked: list[str], command: str, damage: str
) -> None:
    votes.save([vote("ann", asked[0], True)])
    with closing(sqlite3.connect(votes.path)) as connection:
        connection.execute(command)
        connection.commit()
    with pytest.raises(RunInvalid, match=damage):
        VoteFile.open(votes.path)


def test_a_damaged_index_is_refused(votes: VoteFile, asked: list[str]) -> None:
    votes.save([vote("ann", asked[0], True)])
    with closing(sqlite3.connect(votes.path)) as connection:
        # the index of raters' names becomes that of their numbers
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master "
            "WHERE name = 'sqlite_autoindex_stratum_1') "
            "WHERE name = 'sqlite_autoindex_rater_1'"
        )
        connection.commit()
    with pytest.raises(RunInvalid, match=r"is damaged|cannot be read"):
        VoteFile.open(votes.path)


def test_many_threads_lose_nothing(votes: VoteFile, asked: list[str]) -> None:
    def rate(rater: str) -> None:
        for question in asked:
            votes.save([vote(rater, question, True)])

    threads = [
        threading.Thread(target=rate, args=(f"rater {n}",)) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert votes.tally().votes == 8 * len(asked)


RATE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from nd_plugin.rating.votes import Vote, VoteFile
votes = VoteFile.open(Path(sys.argv[1]))
for question in sys.argv[2:]:
    votes.save([Vote("ann", question, True, "2026-01-01T00:00:00.000+00:00")])
    print(question, flush=True)
votes._connection.execute("BEGIN IMMEDIATE")
votes._connection.execute("UPDATE vote SET is_yes = 0")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_no_vote_that_it_had_saved(
    votes: VoteFile, asked: list[str]
) -> None:
    command = [sys.executable, "-c", RATE_AND_DIE, str(votes.path), *asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout.split() == asked
    # The change that was under way when the process died is not there.
    assert votes.answers("ann") == dict.fromkeys(asked, True)
    assert votes.save([vote("bob", asked[0], False)]) == 1


def test_two_open_files_see_each_other_s_votes(
    votes: VoteFile, asked: list[str]
) -> None:
    with VoteFile.open(votes.path) as other:
        other.save([vote("ann", asked[0], True)])
        assert votes.answers("ann") == {asked[0]: True}
        votes.save([vote("ann", asked[0], False, 1)])
        assert other.answers("ann") == {asked[0]: False}


def test_each_file_has_secrets_of_its_own(
    votes: VoteFile, study: Study, tmp_path: Path
) -> None:
    with VoteFile.create(
        tmp_path / "other.sqlite", replace(study, images=3)
    ) as other:
        assert other.token != votes.token and other.name != votes.name
        assert len(other.token) >= 32
        assert other.study().images == 3
