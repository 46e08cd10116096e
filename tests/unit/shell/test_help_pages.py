"""Pages of help: groups, defaults and examples, at any width and in ASCII."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import pytest

from nd_plugin.cli.app import app

COMMANDS = (
    "dissect merge demo layers parity doctor concepts plugins report explain rate "
    "compare evolve probe rotate"
).split()


def page(monkeypatch: pytest.MonkeyPatch, width: int, *arguments: str) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    stdout = io.StringIO()
    with redirect_stdout(stdout), pytest.raises(SystemExit):
        app([*arguments, "--help"])
    return stdout.getvalue().splitlines()


@pytest.mark.parametrize("command", ["", *COMMANDS])
@pytest.mark.parametrize("width", [40, 80])
def test_no_word_is_cut(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [command] if command else []
    narrow = page(monkeypatch, width, *arguments)
    wide = page(monkeypatch, 500, *arguments)
    assert max(map(len, narrow)) <= width
    assert not any(line.endswith(" ") for line in narrow)
    words = {word for line in wide for word in line.split()}
    assert words == {word for line in narrow for word in line.split()} - {"\\"}


def test_groups_defaults_and_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = page(monkeypatch, 100, "dissect")
    titles = [
        line for line in lines if line and not line.startswith((" ", "Usage"))
    ]
    assert titles[1:] == [
        "Arguments",
        "Layers and concepts",
        "Model",
        "Method",
        "Significance",
        "Preprocessing",
        "Run",
        "Output",
        "Options",
        "Examples",
    ]
    text = " ".join(" ".join(lines).split())
    for part in (
        "-l, --layer LAYER Layer: a name, a pattern",
        "--quantile QUANTILE Fraction τ",
        "repeatable. [default: 0.005]",
        "[default: runs/MODEL-CONCEPTS]",
        "-o, --output RUN",
        "--min-iou IOU A unit with a higher IoU is a detector. [default: 0.04]",
        "-q, --quiet Only warnings",
        "nd dissect torchvision:resnet18 -l layer4 -c shapes -o runs/resnet18",
    ):
        assert part in text, part


def test_every_option_of_ours_is_in_a_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for command in COMMANDS:
        lines = page(monkeypatch, 100, command)
        others = lines[lines.index("Options") + 1 :]
        assert others[0].split() == "-h, --help Show this message and exit.".split()
        assert others[1] == "", (command, others)


def test_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    for arguments in ([], ["dissect"], ["explain"]):
        text = "\n".join(page(monkeypatch, 40, *arguments))
        remaining = text.replace("factory?key", "").replace("layer?", "")
        assert text.isascii() and "?" not in remaining
    assert "tau" in "\n".join(page(monkeypatch, 80, "dissect"))


def test_examples_are_commands_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in COMMANDS:
        lines = page(monkeypatch, 100, command)
        examples = lines[lines.index("Examples") + 1 :]
        assert examples and examples[0].startswith(f"  nd {command}")
