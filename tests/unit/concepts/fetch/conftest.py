"""A server of this machine, a cache of the test's own, and fetches from the one to the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hostile_server import HostileServer
from set_archives import make_zip, set_files

from nd_plugin.cli.concept_sets.fetched_folders import verify_with
from nd_plugin.concepts.fetch.fetching import Fetch
from nd_plugin.concepts.fetch.finishing import Fetched, Finish
from nd_plugin.concepts.fetch.known_sets import BRODEN
from nd_plugin.concepts.fetch.places import Place
from nd_plugin.concepts.fetch.transfer.download import Download

UNKNOWN_HASH = replace(BRODEN, hashes={})


@dataclass
class Fetcher:
    """Fetches of Broden into a cache; what they say, and how long they would wait."""

    said: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    progress: list[tuple[str, int, int | None]] = field(default_factory=list)

    @property
    def place(self) -> Place:
        return Place.of(BRODEN, 224)

    def fetch(self, *urls: str, **options: Any) -> Fetched:
        """Fetch from addresses."""
        return self.work(*urls, **options).run()

    def work(
        self,
        *urls: str,
        timeout: float = 20.0,
        file: Path | None = None,
        again: bool = False,
        **options: Any,
    ) -> Fetch:
        """Return the work of a fetch; keywords are those of `Finish`."""
        settings: dict[str, Any] = {
            "known": UNKNOWN_HASH,
            "size": 224,
            "verify": verify_with("broden"),
            "say": self.said.append,
            "show_progress": self.show,
            **options,
        }
        finish = Finish(**settings)
        download = Download(
            timeout=timeout,
            check_room=finish.check_room,
            show_progress=self.show,
            say=self.said.append,
            pause=self.pauses.append,
        )
        return Fetch(finish, download, self.said.append, urls, file, again)

    def show(self, stage: str, done: int, total: int | None) -> None:
        self.progress.append((stage, done, total))


@pytest.fixture
def server() -> Iterator[HostileServer]:
    """Server of paths."""
    with HostileServer().running() as running:
        yield running


@pytest.fixture
def fetcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetcher:
    """Fetches into a cache of the test's own."""
    monkeypatch.setenv("ND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Fetcher()


@pytest.fixture(scope="session")
def files() -> dict[str, bytes]:
    """Files of a small set."""
    return set_files()


@pytest.fixture(scope="session")
def archive(files: dict[str, bytes]) -> bytes:
    """Archive of a small set."""
    return make_zip(files)
