"""Command ``nd plugins new``: what it writes and prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_here import run_nd


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_project_is_written_below_the_working_folder(tmp_path: Path) -> None:
    done = run_nd("plugins", "new", "concept-set", "nd-street")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("concept-set nd-street: ")
    assert lines[1:4] == [
        "  distribution  nd-street",
        "  module        nd_street",
        "  plugin        street",
    ]
    assert lines[-4:] == [
        "next",
        "  cd nd-street",
        '  python -m pip install -e ".[test]"',
        "  python -m pytest",
    ]
    for line in lines[5:-4]:
        assert (tmp_path / "nd-street" / line.strip()).is_file()


def test_json_says_the_same(tmp_path: Path) -> None:
    output = tmp_path / "my plugins" / "one"
    options = ("-o", output, "--json")
    done = run_nd("plugins", "new", "reporter", "nd-street", *options)
    written = json.loads(done.stdout)
    assert written["kind"] == "reporter"
    assert (written["distribution"], written["module"], written["plugin"]) == (
        "nd-street",
        "nd_street",
        "street",
    )
    assert written["folder"] == str(output)
    assert all((output / file).is_file() for file in written["files"])
    assert written["next"][0] == f"cd '{output}'"


def test_a_second_project_overwrites_nothing(tmp_path: Path) -> None:
    run_nd("plugins", "new", "backend", "nd-street")
    before = (tmp_path / "nd-street" / "pyproject.toml").read_bytes()
    done = run_nd("plugins", "new", "reporter", "nd-street")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing is overwritten: name another folder with --output" in " ".join(
        done.stderr.split()
    )
    assert (tmp_path / "nd-street" / "pyproject.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["repoter", "nd-street"], "the nearest is reporter"),
        (["backend", "nd-torch"], "a name that plugin 'torch' of nd_plugin"),
        (["backend", "my plugin"], "no name of a distribution"),
        (["backend", "nd-street", "-o", "."], "the current folder"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = run_nd("plugins", "new", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_help_names_the_kinds_and_has_examples() -> None:
    done = run_nd("plugins", "new", "-h")
    words = " ".join(done.stdout.split())
    assert "backend, concept-set or reporter" in words
    assert "nd plugins new concept-set nd-street" in words
