"""ASCII where a terminal has no more."""

from __future__ import annotations

import io

import pytest

from nd_plugin.shell.characters import LOCALE_VARIABLES, is_ascii_only, to_ascii


def test_similar_characters() -> None:
    assert to_ascii("─ ≥ τ … · █▌ × → ü") == "- >= tau ... - ## x -> ?"
    assert to_ascii("plain") == "plain"


@pytest.mark.parametrize(
    ("encoding", "environment", "ascii_only"),
    [
        ("utf-8", {}, False),
        ("ascii", {}, True),
        ("latin-1", {}, True),
        ("utf-8", {"LC_ALL": "C"}, True),
        ("utf-8", {"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, True),
        ("utf-8", {"LANG": "C"}, True),
        ("utf-8", {"LC_ALL": "C.UTF-8", "LANG": "C"}, False),
        ("utf-8", {"LC_CTYPE": "C.UTF-8", "LANG": "C"}, False),
        ("utf-8", {"LC_ALL": "C", "PYTHONIOENCODING": "utf-8"}, False),
    ],
)
def test_what_a_stream_shows(
    encoding: str,
    environment: dict[str, str],
    ascii_only: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (*LOCALE_VARIABLES, "PYTHONIOENCODING"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert is_ascii_only(stream) == ascii_only
