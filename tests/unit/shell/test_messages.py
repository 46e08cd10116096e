"""Messages: one logger, on stderr and in a file."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from nd_plugin import BadInput
from nd_plugin.captum_api.progress import StageProgress
from nd_plugin.shell import messages


def test_levels_and_the_log_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.txt"
    with messages.shown_on_stderr():
        messages.say("first")
        messages.log_to_file(log)
        messages.be_quiet()
        messages.say("second 100%")
        messages.say("careful", "yellow")
        logging.getLogger("nd_plugin.any").error("wrong")
    assert capsys.readouterr().err.splitlines() == ["first", "careful", "wrong"]
    levels = [line.split()[2] for line in log.read_text().splitlines()]
    assert levels == ["DEBUG", "INFO", "WARNING", "ERROR"]
    assert log.read_text().splitlines()[1].endswith("] second 100%")


def test_nothing_remains(capsys: pytest.CaptureFixture[str]) -> None:
    before = [*messages.LOGGER.handlers]
    with messages.shown_on_stderr():
        messages.be_quiet()
        assert messages.is_quiet()
    assert messages.LOGGER.handlers == before and messages.LOGGER.propagate
    assert not messages.is_quiet()


def test_handlers_of_the_librarys_users_get_the_same_records(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, logger="nd_plugin"):
        with StageProgress(summary_lines=True) as show:
            show("masks", 0, 8)
            show("masks", 8, 8)
        messages.say("a message")
    summary, message = [record.getMessage() for record in caplog.records]
    assert summary.startswith("masks: 8 images in ") and message == "a message"
    assert capsys.readouterr().err == "a message\n", (
        "shown outside of a command, too"
    )


def test_an_unexpected_error_is_in_the_log_file(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with pytest.raises(ZeroDivisionError), messages.shown_on_stderr():
        messages.log_to_file(log)
        _ = 1 / 0
    assert "ZeroDivisionError" in log.read_text()


def test_a_log_file_that_cannot_be_written(tmp_path: Path) -> None:
    with (
        messages.shown_on_stderr(),
        pytest.raises(BadInput, match="cannot be written"),
    ):
        messages.log_to_file(tmp_path)
