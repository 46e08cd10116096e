"""``nd rate``: a study is begun, exported, filled and counted."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
from made_ratings import large_dissection

from nd_plugin import Dissection
from nd_plugin.rating.vote_import import FORMAT
from nd_plugin.rating.votes import VoteFile
from nd_plugin.results.run_folder import save_run

Command = Callable[..., Any]


@pytest.fixture
def rated(dissection: Dissection, tmp_path: Path) -> Path:
    """Run of one layer with 12 units and pictures."""
    return save_run(tmp_path / "run", [large_dissection(dissection, 12)])


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Descriptions of three units."""
    path = tmp_path / "people.csv"
    path.write_text("unit,description\n0,red things\n1,sky\n2,a door\n")
    return path


def answer_all(rated: Path, *raters: str) -> None:
    """Let raters say yes to every question."""
    path = rated / "ratings.sqlite"
    with VoteFile.open(path) as votes:
        questions = [item.identifier for item in votes.study().questions]
        name = votes.name
    for rater in raters:
        time = "2026-01-01T00:00:00Z"
        cast = [{"question": q, "answer": "yes", "time": time} for q in questions]
        content = {"format": FORMAT, "study": name, "rater": rater, "votes": cast}
        (rated.parent / f"{rater}.json").write_text(json.dumps(content))


def test_export_import_table(
    rated: Path, people: Path, tmp_path: Path, nd: Command
) -> None:
    done = nd(
        "rate", rated, "--descriptions", people, "--export", tmp_path / "page"
    )
    assert done.returncode == 0, done.stderr
    assert "questions about 3 units" in done.stderr
    assert (tmp_path / "page" / "index.html").is_file()
    answer_all(rated, "ann", "bob")
    files = ["--import", tmp_path / "ann.json", "--import", tmp_path / "bob.json"]
    done = nd("rate", rated, *files, "--json")
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stdout)["imported"]
    assert list(imported.values()) == [6, 6]
    assert json.loads(nd("rate", rated, *files, "--json").stdout)["imported"] == (
        dict.fromkeys(imported, 0)
    )
    done = nd("rate", rated, "--table", "--json")
    content = json.loads(done.stdout)
    (layer,) = content["layers"]
    assert (layer["layer"], layer["units"], layer["rated"]) == (
        "block.1/relu",
        3,
        3,
    )
    for name in ("interpretable", "human_consistency", "network_dissection"):
        assert layer[name]["accepted"] == layer[name]["units"] == 3
        assert layer[name]["low"] < 0.5 < layer[name]["high"] == 1
    assert sum(row["units"] for row in layer["categories"]) == 3
    assert (content["votes"], content["raters"], content["agreement"]) == (
        12,
        2,
        1.0,
    )
    done = nd("rate", rated, "--table")
    assert "3/3 100 %" in done.stdout and "block.1/relu" in done.stdout
    assert "12 of 2 raters" in done.stdout
    assert "9 of 12 units without a description" in done.stdout


def test_the_table_is_readable_in_a_narrow_terminal(
    rated: Path, tmp_path: Path, nd: Command
) -> None:
    assert nd("rate", rated, "--crowd", tmp_path / "crowd").returncode == 0
    done = nd("rate", rated, "--table", COLUMNS="40")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines()[:12])) <= 40
    assert "Network Dissection" in done.stdout


def test_crowd_results_come_back(rated: Path, tmp_path: Path, nd: Command) -> None:
    done = nd("rate", rated, "--crowd", tmp_path / "crowd", "--units", "all",
              "--image-url", "https://example.org/x")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "crowd-key.csv: raters must not see it" in done.stderr
    with (tmp_path / "crowd/questions.csv").open(newline="") as file:
        questions = [row["question"] for row in csv.DictReader(file)]
    results = tmp_path / "results.csv"
    lines = [f"{question},W1,no" for question in questions]
    results.write_text("\n".join(["question,WorkerId,answer", *lines]))
    done = nd("rate", rated, "--import", results, "--table", "--json")
    content = json.loads(done.stdout)
    assert content["imported"] == {str(results): 12}
    share = content["layers"][0]["network_dissection"]
    assert (share["accepted"], share["units"], share["value"]) == (0, 12, 0)
    assert content["layers"][0]["interpretable"] is None


def test_a_study_that_has_begun_keeps_its_questions(
    rated: Path, people: Path, tmp_path: Path, nd: Command
) -> None:
    page = ["--export", tmp_path / "page"]
    options = ["--descriptions", people, "--seed", "3"]
    assert nd("rate", rated, *options, *page).returncode == 0
    with VoteFile.open(rated / "ratings.sqlite") as votes:
        study = votes.study()
    # the same options again, or none, continue it
    assert nd("rate", rated, *options, *page).returncode == 0
    assert nd("rate", rated, *page).returncode == 0
    with VoteFile.open(rated / "ratings.sqlite") as votes:
        assert votes.study() == study
    done = nd("rate", rated, "--units", "4", *page)
    assert done.returncode == 2
    assert "was begun with other questions" in done.stderr
    done = nd("rate", rated, "--images", "2", "--descriptions", people, *page)
    assert done.returncode == 2
    other = ["--votes", tmp_path / "other.sqlite"]
    assert nd("rate", rated, "--units", "4", *page, *other).returncode == 0


def test_a_layer_that_nobody_described_does_not_end_the_study(
    dissection: Dissection, tmp_path: Path, nd: Command
) -> None:
    layers = [large_dissection(dissection, 12, seed) for seed in (0, 1)]
    layers[1] = replace(layers[1], layer="second")
    run = save_run(tmp_path / "run", layers)
    people = tmp_path / "people.csv"
    people.write_text("layer,unit,description\nsecond,3,sky\n")
    page = ["--export", tmp_path / "page"]
    assert nd("rate", run, "--descriptions", people, *page).returncode == 0
    done = nd("rate", run, *page)
    assert done.returncode == 0, done.stderr
    done = nd("rate", run, "--table", "--json")
    assert [layer["layer"] for layer in json.loads(done.stdout)["layers"]] == [
        "second"
    ]


def test_votes_on_labels_that_have_changed_are_not_mixed(
    rated: Path, dissection: Dissection, tmp_path: Path, nd: Command
) -> None:
    page = ["--export", tmp_path / "page"]
    assert nd("rate", rated, *page).returncode == 0
    other = save_run(tmp_path / "new", [large_dissection(dissection, 12, seed=5)])
    done = nd("rate", other, "--votes", rated / "ratings.sqlite", *page)
    assert done.returncode == 2
    assert "votes on another run, or on labels that have changed" in done.stderr


def test_votes_in_the_run_keep_it_from_being_replaced(
    rated: Path, probe_set: Path, tmp_path: Path, nd: Command
) -> None:
    assert nd("rate", rated, "--export", tmp_path / "page").returncode == 0
    done = nd("dissect", "networks:ResNet18", "-l", "layer1", "-c",
              f"masks:{probe_set}", "-o", rated, "--overwrite")  # fmt: skip
    assert done.returncode == 2 and "is not overwritten" in done.stderr
    assert (rated / "ratings.sqlite").is_file()
    assert nd("report", rated).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table"], "no votes yet"),
        (["--units", "0"], "neither a number above 0 nor 'all'"),
        (["--units", "few"], "neither a number above 0 nor 'all'"),
        (
            ["--layer", "nowhere"],
            "no layer 'nowhere' in the run; it has block.1/relu",
        ),
        (["--descriptions", "none.csv"], "none.csv cannot be read"),
        (["--json"], "--json is for --table and --import"),
        (["--image-url", "https://x"], "--image-url is for --crowd"),
        (["--table", "--units", "3"], "do not go with --table"),
        (["--import", "none.json"], "no votes yet"),
        (["--export", "."], "is the current folder"),
    ],
)
def test_what_makes_no_sense_is_said(
    rated: Path, nd: Command, arguments: list[str], message: str
) -> None:
    done = nd("rate", rated, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (rated / "ratings.sqlite").exists()


def test_a_run_without_pictures_says_what_to_do(
    dissection: Dissection, tmp_path: Path, nd: Command
) -> None:
    bare = replace(large_dissection(dissection, 4), stored_pictures=None)
    run = save_run(tmp_path / "bare", [bare])
    done = nd("rate", run)
    assert done.returncode == 2
    assert "has no pictures to rate" in done.stderr
    assert "dissect the layer again" in done.stderr


def test_an_import_of_another_study_is_refused_whole(
    rated: Path, tmp_path: Path, nd: Command
) -> None:
    assert nd("rate", rated, "--export", tmp_path / "page").returncode == 0
    answer_all(rated, "ann")
    other = ["--votes", tmp_path / "other.sqlite"]
    assert nd("rate", rated, *other, "--export", tmp_path / "page").returncode == 0
    done = nd("rate", rated, *other, "--import", tmp_path / "ann.json")
    assert done.returncode == 2 and "votes of another study" in done.stderr
    with VoteFile.open(tmp_path / "other.sqlite") as votes:
        assert votes.tally().votes == 0


@pytest.mark.skipif(os.name == "nt", reason="signals of other systems")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)]
)
def test_the_server_says_what_is_saved_when_it_stops(
    rated: Path, surroundings: dict[str, str], number: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-m", "nd_plugin", "rate", str(rated), "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings,
    ) as process:
        assert process.stdout and process.stderr
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32,}", url)
        opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(CookieJar())
        )
        with opener.open(url, timeout=60) as page:
            assert b"study" in page.read()
        process.send_signal(number)
        errors = process.stderr.read()
        assert process.wait(60) == code, errors
    assert f"0 votes of 0 raters are saved in {rated / 'ratings.sqlite'}" in errors
    assert "Traceback" not in errors


def test_other_machines_are_let_in_only_with_a_warning(
    rated: Path, surroundings: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "nd_plugin", "rate", str(rated),
               "--port", "0", "--host", "0.0.0.0"]  # fmt: skip
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings,
    ) as process:
        assert process.stdout and process.stderr
        url = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
        assert process.wait(60) == 0
    assert url.startswith("http://127.0.0.1:")
    assert "listens on 0.0.0.0, not only on this machine" in errors
