"""Progress where stderr is no terminal, as the command line and as Captum users see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from nd_plugin.captum_api import progress
from nd_plugin.captum_api.progress import LINE_INTERVAL, StageProgress
from nd_plugin.shell.messages import shown_on_stderr


@pytest.fixture(autouse=True)
def messages_on_stderr() -> Iterator[None]:
    """Show the records of the logger, as the command line does."""
    with shown_on_stderr():
        yield


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds pass on the clock of `progress`."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def pass_time(seconds: float) -> None:
        now[0] += seconds

    return pass_time


def test_a_line_for_each_stage(
    wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with StageProgress(summary_lines=True) as show:
        for stage in ("activations", "masks"):
            for done in (0, 4, 8):
                show(stage, done, 8)
                wait(1)
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.splitlines() == [
        "activations: 8 images in 2.0 s, 4.0 images/s",
        "masks: 8 images in 2.0 s, 4.0 images/s",
    ]


def test_a_line_now_and_then_about_a_long_stage(
    wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with StageProgress(summary_lines=True) as show:
        for done in range(0, 5):
            show("activations", done, 10)
            wait(LINE_INTERVAL * 0.6)
    assert capsys.readouterr().err.splitlines() == [
        "activations: 2 of 10 images, 0.1 images/s",
        "activations: 4 of 10 images, 0.1 images/s",
    ]


def test_a_continued_stage_counts_its_own_images(
    wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with StageProgress(summary_lines=True) as show:
        show("activations", 6, 8)
        wait(1)
        show("activations", 8, 8)
        show("masks", 8, 8)  # done before: nothing to say
    assert (
        capsys.readouterr().err == "activations: 2 images in 1.0 s, 2.0 images/s\n"
    )


def test_the_parts_of_a_merger_go_through_a_stage_one_after_the_other(
    wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with StageProgress(summary_lines=True) as show:
        for total in (8, 6):
            for done in (0, total):
                show("masks", done, total)
                wait(1)
    assert capsys.readouterr().err.splitlines() == [
        "masks: 8 images in 1.0 s, 8.0 images/s",
        "masks: 6 images in 1.0 s, 6.0 images/s",
    ]


@pytest.mark.parametrize("summary_lines", [False, True])
def test_disabled_it_is_silent(
    summary_lines: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with StageProgress(disable=True, summary_lines=summary_lines) as show:
        show("activations", 0, 8)
        show("activations", 8, 8)
    written = capsys.readouterr()
    assert (written.out, written.err) == ("", "")


def test_a_bar_for_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with StageProgress() as show:
        for stage in ("activations", "masks"):
            for done in (0, 8):
                show(stage, done, 8)
    written = capsys.readouterr()
    assert written.out == ""
    for stage in ("activations", "masks"):
        assert f"{stage}: 100%" in written.err
    assert "8/8" in written.err and "image/s" in written.err
