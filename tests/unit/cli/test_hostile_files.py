"""``nd`` over files of strangers: nothing steers the terminal, our errors and exit code 2."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hostile_names import STEERING, with_hostile_names
from rich.text import Text

from nd_plugin import Dissection
from nd_plugin.borders.printable import utf8
from nd_plugin.cli import console
from nd_plugin.cli.listings import print_layers
from nd_plugin.contracts.models import LayerDescription
from nd_plugin.results.run_folder import save_run
from nd_plugin.shell import messages
from nd_plugin.shell.help_pages import HelpGroup


@pytest.fixture
def run(dissection: Dissection, tmp_path: Path) -> Path:
    """Run whose names are hostile."""
    return save_run(tmp_path / "run", [with_hostile_names(dissection)])


def steering_of(done: Any) -> set[str]:
    return set(STEERING) & set(done.stdout + done.stderr)


@pytest.mark.parametrize(
    "arguments", [["report"], ["unit", "0"], ["report", "--by", "f1"]]
)
def test_terminals(run: Path, nd: Any, arguments: list[str]) -> None:
    command, *others = arguments
    done = nd(command, run, *others, COLUMNS="90")
    assert done.returncode == 0, done.stderr
    assert steering_of(done) == set()


def test_json_stays_exact(run: Path, nd: Any) -> None:
    done = nd("report", run, "--json")
    assert steering_of(done) == set()
    names = {
        unit["concept"]
        for unit in json.loads(done.stdout)["layers"][0]["unit_scores"]
    }
    assert any("\x1b" in name for name in names)


def test_names_of_files_in_errors(tmp_path: Path, nd: Any) -> None:
    name = "no\x1b[2J\x9b\u202efile"
    for arguments in (
        ("report", tmp_path / name),
        ("report", name, f"--{name}"),
        (name,),
        ("unit", tmp_path, name),
    ):
        done = nd(*arguments)
        assert done.returncode == 2
        assert steering_of(done) == set()


def test_a_csv_without_formulas(
    dissection: Dissection, tmp_path: Path, nd: Any
) -> None:
    run = save_run(tmp_path / "run", [with_hostile_names(dissection)])
    exact = nd("report", run, "--format", "csv").stdout
    safe = nd("report", run, "--format", "csv", "--safe-csv").stdout
    rows = [
        list(csv.reader(io.StringIO(text, newline=""))) for text in (exact, safe)
    ]
    assert any(cell.startswith("=") for row in rows[0] for cell in row)
    assert not any(cell.startswith(("=", "@")) for row in rows[1] for cell in row)
    done = nd("report", run, "-o", tmp_path / "u.csv", "--safe-csv")
    assert done.returncode == 0
    assert (tmp_path / "u.csv").read_bytes() == utf8(safe)


@pytest.mark.parametrize(
    "options", [[], ["--format", "json"], ["-o", "x.txt"], ["--json"]]
)
def test_safe_csv_needs_a_csv(run: Path, nd: Any, options: list[str]) -> None:
    done = nd("report", run, "--safe-csv", *options)
    assert done.returncode == 2
    assert "--safe-csv needs a format of CSV" in done.stderr


def test_rows_of_a_listing_are_rows(capsys: pytest.CaptureFixture[str]) -> None:
    layers = [
        LayerDescription("a\nb\r\tc[bold]\x1b[2J", "Conv [red]x[/]", (1, 3, 4, 4)),
        LayerDescription(":warning:", "Conv", (1, 3, 4, 4)),
    ]
    print_layers(layers, {}, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("a b c[bold][2J")
    assert "Conv [red]x[/]" in lines[1] and lines[2].startswith(":warning:")


def test_a_terminal_gets_files_without_what_steers_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    console.write("a\x1b[2J\tb\n")
    assert capsys.readouterr().out == "a\x1b[2J\tb\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    console.write("a\x1b[2J\tb\n")
    assert capsys.readouterr().out == "a[2J\tb\n"


def test_styles_of_our_own_stay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    console.show(Text("x\x1b[8my", style="bold"))
    assert capsys.readouterr().out == "\x1b[1mx[8my\x1b[0m\n"


def test_messages_and_their_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.txt"
    with messages.shown_on_stderr():
        messages.log_to_file(path)
        messages.say("one\x1b[2J\n2026-01-01 00:00:00 ERROR [1] forged")
    assert "\x1b" not in capsys.readouterr().err
    lines = path.read_text(encoding="utf-8").splitlines()
    assert "\x1b" not in "".join(lines)
    assert lines[-1] == "  2026-01-01 00:00:00 ERROR [1] forged"


def test_errors_of_typer_are_made_printable() -> None:
    group = HelpGroup(name="nd", callback=None)
    with pytest.raises(Exception, match="option") as error:
        group.make_context("nd", ["--no\x1b[2J"])
    texts = [
        value for value in vars(error.value).values() if isinstance(value, str)
    ]
    assert texts and not any("\x1b" in text for text in texts)
