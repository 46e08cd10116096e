"""Fetching of a concept set: from an archive at one of several addresses to a folder in the cache.

The steps, of which each is found again after a kill:

1. the archive arrives as ``download-*.part``, which the next fetch continues
2. whole, it is renamed to ``archive.zip``: from here on no network is needed
3. its hash is compared, it is unpacked into ``unpacked/``, and a reader looks at every file
4. the folder is given its name in one step, the note is written, the work folder is removed

So the set's folder is complete whenever it is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nd_plugin.borders.json_values import object_of, parse_json
from nd_plugin.concepts.fetch.archive.contents import ArchiveRefused
from nd_plugin.concepts.fetch.finishing import (
    Archive,
    Fetched,
    Finish,
    remove_tree,
)
from nd_plugin.concepts.fetch.places import Place, fetched_set
from nd_plugin.concepts.fetch.record import read_note
from nd_plugin.concepts.fetch.remedies import cannot_fetch
from nd_plugin.concepts.fetch.transfer.answers import (
    MirrorFailed,
    without_secrets,
)
from nd_plugin.concepts.fetch.transfer.download import Download
from nd_plugin.concepts.fetch.transfer.partial_file import PartialFile
from nd_plugin.errors import NDError, RunFailed
from nd_plugin.results.atomic_files import alone, write_file
from nd_plugin.storage.durable_files import is_regular, remove_empty
from nd_plugin.storage.lock_file import not_saved


@dataclass(frozen=True)
class Fetch:
    """Work on one set."""

    finish: Finish
    download: Download
    say: Callable[[str], None]
    urls: tuple[str, ...] = ()  # in the place of the known ones
    file: Path | None = None  # an archive that is here already
    again: bool = False  # though the set is there

    @property
    def place(self) -> Place:
        """Place of the set."""
        return self.finish.place

    def run(self) -> Fetched:
        """Fetch the set unless it is there.

        Raises RunFailed where no address gives it, NotSaved, BadInput where another process is
        fetching it. What has arrived stays in any case.
        """
        try:
            with alone(self.place.lock):
                fetched = self._fetch()
                if fetched.is_new:
                    self._clear_work()
                return fetched
        except Exception:
            raise
        except BaseException:  # Ctrl-C, and other requests to end
            self._say_what_is_here()
            raise
        finally:
            remove_empty(self.place.work)

    def _fetch(self) -> Fetched:
        known = self.finish.known
        folder = fetched_set(known.name, self.finish.size)
        has_archive = is_regular(self.place.archive)
        if folder is not None and not (self.again or has_archive):
            return self._earlier(folder)
        # a damaged one is told before a long download
        read_note(self.place.record)
        if self.file is not None:
            return self._from_file(self.file)
        failures: list[str] = []
        if has_archive:
            fetched = self._from_arrived(failures)
            if fetched is not None:
                return fetched
        known_urls = known.urls(self.finish.size)
        urls = self.urls or known_urls
        for url in urls:
            if failures:
                self.say(failures[-1])
            fetched = self._from_url(url, failures)
            if fetched is not None:
                return fetched
        untried = [url for url in known_urls if url not in urls]
        raise RunFailed(cannot_fetch(known, self.finish.size, failures, untried))

    def _earlier(self, folder: Path) -> Fetched:
        """Return the set that is there. Raises RunFailed for one that is not whole any more."""
        try:
            verified = self.finish.verify(folder)
        except NDError as error:
            raise RunFailed(
                f"the set in {folder} is not whole any more: {error}; fetch it again with --again"
            ) from error
        record = read_note(self.place.record)
        notes = (*verified.notes, *self._unused_options())
        return Fetched(folder, False, verified, record, notes)

    def _unused_options(self) -> list[str]:
        """Return a note on what was named of an archive, which a set that is there needs not."""
        options = [f"--url {without_secrets(url)}" for url in self.urls]
        if self.file is not None:
            options.append(f"--from {self.file}")
        if self.finish.expected is not None:
            options.append(f"--hash {self.finish.expected}")
        if not options:
            return []
        return [
            f"not looked at, as the set is there: {', '.join(options)} (--again fetches it anew)"
        ]

    def _from_file(self, path: Path) -> Fetched:
        """Make the user's archive the set. Raises RunFailed for one that is none."""
        archive = Archive(path, str(path.absolute()), is_ours=False)
        try:
            return self.finish.run(archive)
        except ArchiveRefused as refusal:
            raise RunFailed(f"{path} is not taken: {refusal}") from refusal

    def _from_arrived(self, failures: list[str]) -> Fetched | None:
        """Make the archive the set that an earlier fetch has left."""
        address = self._origin()
        self.say(f"the archive from {address} has arrived before")
        archive = Archive(self.place.archive, address)
        return self._finished(archive, failures)

    def _from_url(self, url: str, failures: list[str]) -> Fetched | None:
        """Fetch the archive from one address, and make it the set."""
        address = without_secrets(url)
        partial = PartialFile(self.place.work, url)
        size = partial.size()
        here = f"; {size / 2**20:.1f} MiB are here already" if size else ""
        self.say(f"fetching {address}{here}")
        try:
            self.download.run(partial)
        except MirrorFailed as failure:
            failures.append(f"{address}: {failure}")
            return None
        origin = json.dumps({"address": address}).encode()
        write_file(self.place.origin, origin)
        partial.complete(self.place.archive)
        archive = Archive(self.place.archive, address)
        return self._finished(archive, failures)

    def _finished(self, archive: Archive, failures: list[str]) -> Fetched | None:
        """Make an archive the set; None, and a failure more, for one that is none."""
        try:
            return self.finish.run(archive)
        except ArchiveRefused as refusal:
            failures.append(f"{archive.address}: {refusal}")
        return None

    def _origin(self) -> str:
        """Return where the archive has come from that an earlier fetch has left."""
        unknown = "an earlier fetch"
        try:
            note = object_of(parse_json(self.place.origin.read_bytes()), "it")
        except (OSError, ValueError):
            return unknown
        return str(note.get("address", unknown))

    def _say_what_is_here(self) -> None:
        """Say what of an interrupted fetch the next one continues with."""
        try:
            parts = [path.stat().st_size for path in self.place.partial_files()]
            size = max(parts, default=0)
        except OSError:
            size = 0
        if is_regular(self.place.archive):
            self.say(
                "the archive is here: the same command goes on without fetching"
            )
        elif size:
            self.say(
                f"{size / 2**20:.1f} MiB have arrived and stay: the same command fetches the rest"
            )

    def _clear_work(self) -> None:
        """Remove what a complete set has no need of; the archive last, which tells of the rest."""
        remove_tree(self.place.unpacked)
        paths = [*self.place.work_files(), self.place.archive]
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise not_saved(path, error) from error
