"""Fetches from a server that breaks off, lies, stalls, redirects, and serves something else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile_server import HostileServer, Served
from set_archives import TOP, make_zip

from nd_plugin import RunFailed, open_concepts
from nd_plugin.concepts.fetch.hashes import Hash
from nd_plugin.concepts.fetch.known_sets import BRODEN
from nd_plugin.reading import fetched_set

Fetcher = Any


def ranges(server: HostileServer) -> list[str]:
    return [asked.range for asked in server.questions]


def assert_no_set(fetcher: Fetcher) -> None:
    """Nothing is there that a reader would take for the set."""
    assert fetched_set("broden") is None
    assert not fetcher.place.folder.exists()
    assert not fetcher.place.unpacked.exists()
    assert not fetcher.place.record.exists()


def assert_whole(fetcher: Fetcher, files: Mapping[str, bytes]) -> None:
    folder = fetcher.place.folder
    found = {
        f"{TOP}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == files
    assert not fetcher.place.work.exists()
    assert len(open_concepts("broden")) == 6


def test_a_set_is_fetched_and_found(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    url = server.serve("/broden1_224.zip", Served(archive))
    fetched = fetcher.fetch(url)
    assert fetched.is_new
    assert (fetched.verified.images, fetched.verified.concepts) == (6, 1)
    assert_whole(fetcher, files)
    record = json.loads(fetcher.place.record.read_text())
    assert record["sha256"] == hashlib.sha256(archive).hexdigest()
    assert record["md5"] == hashlib.md5(archive).hexdigest()
    assert record["address"] == url
    assert record["archive_bytes"] == len(archive)
    assert record["files"] == len(files)
    assert record["unpacked_bytes"] == sum(map(len, files.values()))
    assert record["checked"] == ""
    assert server.questions[0].accept_encoding == "identity"
    assert ("download", len(archive), len(archive)) in fetcher.progress
    assert fetcher.progress[-1] == ("unpack", len(files), len(files))
    again = fetcher.fetch(url)
    assert not again.is_new
    assert again.record == fetched.record
    assert len(server.questions) == 1


def test_broken_connections_are_continued(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    served = Served(archive, breaks=[5000, 7000, len(archive)])
    fetcher.fetch(server.serve("/a.zip", served))
    assert ranges(server) == ["", "bytes=5000-", "bytes=12000-"]
    assert server.questions[1].if_range == '"one"'
    assert fetcher.pauses == [1.0, 2.0]
    assert_whole(fetcher, files)


def test_a_later_fetch_continues(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    url = server.serve("/a.zip", Served(archive, breaks=[3000, 0]))
    with pytest.raises(RunFailed, match=r"connection (ended|broke off)"):
        fetcher.fetch(url)
    assert_no_set(fetcher)
    (part,) = fetcher.place.partial_files()
    assert part.read_bytes() == archive[:3000]
    server.questions.clear()
    server.serve("/a.zip", Served(archive))
    fetcher.fetch(url)
    assert ranges(server) == ["bytes=3000-"]
    assert_whole(fetcher, files)


def test_the_file_has_changed_meanwhile(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    url = server.serve(
        "/a.zip", Served(b"PK\x03\x04" + bytes(9000), breaks=[5000, 0])
    )
    with pytest.raises(RunFailed):
        fetcher.fetch(url)
    server.questions.clear()
    server.serve("/a.zip", Served(archive, etag='"two"'))
    fetcher.fetch(url)
    # If-Range: the server answers with the whole file at once
    assert ranges(server) == ["bytes=5000-"]
    assert_whole(fetcher, files)


@pytest.mark.parametrize("what", ["etag", "total"])
def test_a_server_that_ignores_if_range_and_has_another_file(
    server: HostileServer,
    fetcher: Fetcher,
    archive: bytes,
    files: dict[str, bytes],
    what: str,
) -> None:
    etag = '"one"' if what == "etag" else ""
    size = len(archive) if what == "etag" else len(archive) - 100
    other = (b"PK\x03\x04" + bytes(2 * len(archive)))[:size]
    url = server.serve("/a.zip", Served(other, etag=etag, breaks=[5000, 0]))
    with pytest.raises(RunFailed):
        fetcher.fetch(url)
    server.questions.clear()
    headers = {"ETag": '"two"'} if what == "etag" else {}
    # the version that it says is not the one that it compares with
    server.serve("/a.zip", Served(archive, etag=etag, headers=headers))
    fetcher.fetch(url)
    assert ranges(server) == ["bytes=5000-", ""]
    assert_whole(fetcher, files)


def test_without_ranges_it_begins_again(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    served = Served(archive, ranges=False, breaks=[5000, len(archive)])
    fetcher.fetch(server.serve("/a.zip", served))
    assert ranges(server) == ["", "bytes=5000-"]
    assert "the server does not continue" in " ".join(fetcher.said)
    assert_whole(fetcher, files)


def test_without_ranges_and_end_it_gives_up(
    server: HostileServer, fetcher: Fetcher, archive: bytes
) -> None:
    served = Served(archive, ranges=False, breaks=[5000])
    with pytest.raises(RunFailed, match="could not be fetched"):
        fetcher.fetch(server.serve("/a.zip", served))
    assert len(server.questions) == 4
    assert_no_set(fetcher)


def test_everything_was_here_but_the_end_was_not_noticed(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    # 416: there is nothing behind what is here
    url = server.serve(
        "/a.zip", Served(archive, length=len(archive) + 10, breaks=[len(archive)])
    )
    with pytest.raises(RunFailed):
        fetcher.fetch(url)
    assert_no_set(fetcher)


@pytest.mark.parametrize("extra", [1, 100_000])
def test_a_length_that_is_too_large(
    server: HostileServer, fetcher: Fetcher, archive: bytes, extra: int
) -> None:
    served = Served(archive, length=len(archive) + extra, ranges=False)
    with pytest.raises(RunFailed, match=r"connection (ended|broke off)"):
        fetcher.fetch(server.serve("/a.zip", served))
    assert_no_set(fetcher)


def test_a_length_that_is_too_small(
    server: HostileServer, fetcher: Fetcher, archive: bytes
) -> None:
    served = Served(archive, length=len(archive) - 30)
    with pytest.raises(
        RunFailed, match="no zip archive, or one whose end is missing"
    ):
        fetcher.fetch(server.serve("/a.zip", served))
    assert_no_set(fetcher)


def test_a_length_beyond_every_disk(
    server: HostileServer, fetcher: Fetcher, archive: bytes
) -> None:
    served = Served(archive, length=10**17)
    with pytest.raises(
        RunFailed, match="it says that the file has 100000000000000000"
    ):
        fetcher.fetch(server.serve("/a.zip", served))
    assert len(server.questions) == 1
    assert_no_set(fetcher)


@pytest.mark.parametrize("chunked", [False, True])
def test_an_endless_file(
    server: HostileServer, fetcher: Fetcher, archive: bytes, chunked: bool
) -> None:
    served = Served(archive, chunked=chunked)
    work = fetcher.work(server.serve("/a.zip", served))
    download = replace(work.download, largest=len(archive) - 1)
    reason = rf"more than the limit of {len(archive) - 1} .*--max-unpacked"
    with pytest.raises(RunFailed, match=reason):
        replace(work, download=download).run()
    assert_no_set(fetcher)
    assert not fetcher.place.work.exists()


def test_a_rest_whose_end_is_not_said(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    """The size that the first answer has said holds for the rest, too."""
    end = len(archive) - 1
    third = Served(archive)
    second = Served(
        archive,
        headers={"Content-Range": f"bytes 5000-{end}/*"},
        length=9000,
        breaks=[4000],
        then=third,
    )
    first = Served(archive, breaks=[5000], then=second)
    fetcher.fetch(server.serve("/a.zip", first))
    assert ranges(server) == ["", "bytes=5000-", "bytes=9000-"]
    assert_whole(fetcher, files)


def test_without_a_length(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    fetcher.fetch(server.serve("/a.zip", Served(archive, chunked=True)))
    assert_whole(fetcher, files)


def test_without_a_length_and_broken_off(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    served = Served(archive, chunked=True, breaks=[5000, len(archive)])
    fetcher.fetch(server.serve("/a.zip", served))
    assert ranges(server) == ["", "bytes=5000-"]
    assert_whole(fetcher, files)


@pytest.mark.parametrize("again", [False, True])
def test_without_version_and_length_nothing_is_continued(
    server: HostileServer,
    fetcher: Fetcher,
    archive: bytes,
    files: dict[str, bytes],
    again: bool,
) -> None:
    served = Served(archive, chunked=True, etag="", breaks=[5000, len(archive)])
    fetcher.fetch(server.serve("/a.zip", served), again=again)
    assert ranges(server) == ["", ""]
    assert_whole(fetcher, files)


def test_weak_versions_do_not_identify_bytes(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    served = Served(archive, etag='W/"one"', breaks=[5000, len(archive)])
    fetcher.fetch(server.serve("/a.zip", served))
    assert [asked.if_range for asked in server.questions] == ["", ""]
    assert ranges(server) == ["", "bytes=5000-"]  # of the same length
    assert_whole(fetcher, files)


@pytest.mark.parametrize("said", ["bytes 1-5/9", "pages 1-2/3", ""])
def test_another_part_than_the_one_asked_for(
    server: HostileServer, fetcher: Fetcher, archive: bytes, said: str
) -> None:
    headers = {"Content-Range": said}
    served = Served(archive, breaks=[5000, len(archive)], headers=headers)
    url = server.serve("/a.zip", served)
    if said.startswith("bytes"):
        # once more from the beginning, where no part is asked for
        fetcher.fetch(url)
        assert ranges(server) == ["", "bytes=5000-", ""]
    else:
        with pytest.raises(RunFailed, match="does not say which"):
            fetcher.fetch(url)


@pytest.mark.parametrize(
    ("status", "questions"),
    [(403, 1), (404, 1), (410, 1), (204, 1), (500, 4), (503, 4), (429, 4)],
)
def test_statuses(
    server: HostileServer, fetcher: Fetcher, status: int, questions: int
) -> None:
    body = b"" if status == 204 else b"gone"
    url = server.serve("/a.zip", Served(body, status=status))
    with pytest.raises(RunFailed, match=f"{url}: {status} "):
        fetcher.fetch(url)
    assert len(server.questions) == questions
    assert_no_set(fetcher)
    assert not fetcher.place.work.exists()


def test_a_server_that_recovers(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    busy = Served(b"", 503, headers={"Retry-After": "7"}, then=Served(archive))
    fetcher.fetch(server.serve("/a.zip", busy))
    assert fetcher.pauses == [7.0]
    assert_whole(fetcher, files)


def test_a_server_that_asks_to_wait_for_ever(
    server: HostileServer, fetcher: Fetcher, archive: bytes
) -> None:
    busy = Served(
        b"", 503, headers={"Retry-After": "999999999"}, then=Served(archive)
    )
    fetcher.fetch(server.serve("/a.zip", busy))
    assert fetcher.pauses == [30.0]


def test_a_page_with_status_200(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    page = Served(
        b"<!DOCTYPE html><title>Moved\x1b[2J</title>" + bytes(10**6),
        headers={"Content-Type": "text/html"},
    )
    url = server.serve("/page", page)
    with pytest.raises(RunFailed) as failure:
        fetcher.fetch(url)
    message = str(failure.value)
    assert (
        "no zip archive, but text/html that begins with '<!DOCTYPE html>" in message
    )
    assert "\x1b" not in message
    assert len(server.questions) == 1
    assert not fetcher.place.work.exists()
    # the next address is asked
    fetcher.fetch(url, server.serve("/a.zip", Served(archive)))
    assert_whole(fetcher, files)


@pytest.mark.parametrize(
    "content", [b"", b"P", b"PK\x03\x04", b"PK\x05\x06" + bytes(18)]
)
def test_contents_that_are_no_set(
    server: HostileServer, fetcher: Fetcher, content: bytes
) -> None:
    with pytest.raises(RunFailed, match="could not be fetched"):
        fetcher.fetch(server.serve("/a.zip", Served(content)))
    assert_no_set(fetcher)


def test_a_silent_server(server: HostileServer, fetcher: Fetcher) -> None:
    url = server.serve("/a.zip", Served(silent=True))
    with pytest.raises(RunFailed, match=r"nothing has come within 0\.2 s"):
        fetcher.fetch(url, timeout=0.2)
    assert len(server.questions) == 4


def test_a_server_that_stalls(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    stalled = Served(archive, stalls_after=6000, then=Served(archive))
    fetcher.fetch(server.serve("/a.zip", stalled), timeout=0.5)
    assert ranges(server) == ["", "bytes=6000-"]
    assert "nothing has come within 0.5 s; 0.0 MiB are here" in " ".join(
        fetcher.said
    )
    assert_whole(fetcher, files)


def test_a_server_that_trickles(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    trickling = Served(archive, trickle=0.05, then=Served(archive))
    fetcher.fetch(server.serve("/a.zip", trickling), timeout=0.5)
    assert "it sent" in " ".join(fetcher.said)
    assert_whole(fetcher, files)


def test_redirects_are_followed(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    target = server.serve("/b.zip", Served(archive, breaks=[5000, len(archive)]))
    server.serve("/r", Served(b"moved" * 10, 302, headers={"Location": "/b.zip"}))
    url = server.serve("/a.zip", Served(b"", 301, headers={"Location": "/r"}))
    fetcher.fetch(url)
    assert ranges(server)[-1] == "bytes=5000-"
    assert_whole(fetcher, files)
    assert json.loads(fetcher.place.record.read_text())["address"] == url
    assert target != url


def test_a_redirect_with_an_endless_content(
    server: HostileServer, fetcher: Fetcher, archive: bytes
) -> None:
    server.serve("/b.zip", Served(archive))
    endless = Served(
        bytes(5000),
        302,
        headers={"Location": "/b.zip"},
        length=10**15,
        stalls_after=5000,
    )
    fetcher.fetch(server.serve("/a.zip", endless), timeout=5)
    assert [asked.path for asked in server.questions] == ["/a.zip", "/b.zip"]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/a.zip", "redirects more than 10 times"),
        ("file:///etc/passwd", "it redirects to 'file:///etc/passwd'"),
        ("ftp://127.0.0.1/a.zip", "it redirects to 'ftp:"),
        ("http://[", r"it redirects to 'http://\['"),
        ("http://127.0.0.1:99999/a.zip", "it redirects to .*Port out of range"),
    ],
)
def test_redirects_to_nowhere(
    server: HostileServer, fetcher: Fetcher, target: str, reason: str
) -> None:
    url = server.serve("/a.zip", Served(b"", 302, headers={"Location": target}))
    with pytest.raises(RunFailed, match=reason):
        fetcher.fetch(url)
    assert_no_set(fetcher)


def test_another_coding_is_refused(
    server: HostileServer, fetcher: Fetcher, archive: bytes
) -> None:
    headers = {"Content-Encoding": "gzip"}
    with pytest.raises(RunFailed, match="another coding, 'gzip'"):
        fetcher.fetch(server.serve("/a.zip", Served(archive, headers=headers)))


def test_mirrors_are_asked_in_order(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    damaged = bytearray(archive)
    damaged[len(archive) // 2] ^= 1
    half = {name: data for name, data in files.items() if "3_object" not in name}
    urls = [
        server.serve("/gone.zip", Served(b"", 404)),
        server.serve("/page.zip", Served(b"<html>")),
        server.serve("/damaged.zip", Served(bytes(damaged))),
        server.serve("/half.zip", Served(make_zip(half))),
        server.serve("/good.zip", Served(archive)),
        server.serve("/never.zip", Served(archive)),
    ]
    fetcher.fetch(*urls)
    asked = [question.path for question in server.questions]
    assert asked == [
        "/gone.zip",
        "/page.zip",
        "/damaged.zip",
        "/half.zip",
        "/good.zip",
    ]
    said = "\n".join(fetcher.said)
    assert "gone.zip: 404" in said
    assert "damaged.zip: " in said
    assert "half.zip: it holds no whole set: 1 files are missing or empty" in said
    assert_whole(fetcher, files)


def test_the_message_says_what_to_do_by_hand(
    server: HostileServer, fetcher: Fetcher
) -> None:
    with pytest.raises(RunFailed) as failure:
        fetcher.fetch(f"{server.url}/a.zip", f"{server.url}/b.zip", size=227)
    message = str(failure.value)
    assert f"{server.url}/a.zip: 404" in message
    assert f"{server.url}/b.zip: 404" in message
    assert "get broden1_227.zip" in message
    assert "nd concepts fetch broden --size 227 --from broden1_227.zip" in message
    assert "--url URL" in message
    assert "nd concepts build" in message


def test_secrets_of_addresses_are_not_told(
    server: HostileServer, fetcher: Fetcher, archive: bytes
) -> None:
    secret = server.url.replace("//", "//user:s3cret@") + "/a.zip?key=t0ken"
    server.serve("/a.zip", Served(archive, breaks=[5000, 0]))
    with pytest.raises(RunFailed) as failure:
        fetcher.fetch(secret)
    server.serve("/a.zip", Served(archive))
    notes = [path.read_text() for path in fetcher.place.work.glob("*.json")]
    fetcher.fetch(secret)
    record = fetcher.place.record.read_text()
    texts = [str(failure.value), record, *fetcher.said, *notes]
    assert not any("s3cret" in text or "t0ken" in text for text in texts)
    assert server.questions[-1].path == "/a.zip?key=t0ken"
    assert json.loads(record)["address"] == f"{server.url}/a.zip?…"


def test_nobody_listens(fetcher: Fetcher) -> None:
    with HostileServer().running() as ended:
        url = f"{ended.url}/a.zip"
    with pytest.raises(RunFailed, match="it cannot be reached: Connection refused"):
        fetcher.fetch(url)
    assert fetcher.pauses == []


def test_the_known_hash_is_compared(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    url = server.serve("/a.zip", Served(archive))
    actual = hashlib.md5(archive).hexdigest()
    with pytest.raises(RunFailed) as failure:
        fetcher.fetch(url, known=BRODEN)
    message = str(failure.value)
    assert (
        f"its md5 is {actual}, and be13c292eaef3300da03f8d0e48eab1c is expected"
        in message
    )
    assert "as a third party published it" in message
    assert_no_set(fetcher)
    # what it says to do takes the archive that has arrived
    refused = fetcher.place.refused
    assert f"--from {refused} --hash md5:{actual}" in message
    expected = Hash.parse(f"md5:{actual}")
    fetched = fetcher.fetch(known=BRODEN, file=refused, expected=expected)
    assert fetched.record.checked == "md5 as --hash says"
    assert len(server.questions) == 1
    assert_whole(fetcher, files)


def test_a_download_that_broke_off_is_not_offered_to_be_accepted(
    server: HostileServer, fetcher: Fetcher, archive: bytes
) -> None:
    url = server.serve("/a.zip", Served(archive, length=len(archive) - 30))
    with pytest.raises(RunFailed, match="whose end is missing") as failure:
        fetcher.fetch(url, known=BRODEN)
    assert "--hash" not in str(failure.value)
    assert not fetcher.place.work.exists()


def test_what_was_accepted_once_is_not_asked_for_again(
    server: HostileServer, fetcher: Fetcher, archive: bytes
) -> None:
    url = server.serve("/a.zip", Served(archive))
    expected = Hash.parse(hashlib.sha256(archive).hexdigest())
    fetcher.fetch(url, known=BRODEN, expected=expected)
    again = fetcher.fetch(url, known=BRODEN, again=True)
    assert (
        again.record.checked == "sha256 as of the archive that was fetched before"
    )


def test_a_hash_of_the_user(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    bad = server.serve("/bad.zip", Served(make_zip({**files, "extra": b""})))
    good = server.serve("/good.zip", Served(archive))
    expected = Hash.parse(hashlib.sha256(archive).hexdigest())
    fetched = fetcher.fetch(bad, good, expected=expected)
    assert fetched.record.address == good
    assert fetched.record.checked == "sha256 as --hash says"


def test_a_later_archive_is_compared_with_the_earlier_one(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    url = server.serve("/a.zip", Served(archive))
    fetcher.fetch(url)
    same = fetcher.fetch(url, again=True)
    assert same.is_new
    assert same.record.checked == "sha256 as of the archive that was fetched before"
    server.serve("/a.zip", Served(make_zip({**files, f"{TOP}/new.txt": b"x"})))
    with pytest.raises(
        RunFailed, match="as of the archive that was fetched before"
    ):
        fetcher.fetch(url, again=True)
    # the earlier set is there as it was
    assert not (fetcher.place.folder / "new.txt").exists()
    assert len(open_concepts("broden")) == 6
    # and where its folder is gone, its note is not
    for path in fetcher.place.work.iterdir():
        path.unlink()
    fetcher.place.folder.rename(fetcher.place.folder.with_name("elsewhere"))
    with pytest.raises(
        RunFailed, match="as of the archive that was fetched before"
    ):
        fetcher.fetch(url)


def test_a_set_that_is_not_whole_any_more(
    server: HostileServer, fetcher: Fetcher, archive: bytes, files: dict[str, bytes]
) -> None:
    url = server.serve("/a.zip", Served(archive))
    fetcher.fetch(url)
    (fetcher.place.folder / "images" / "2.bmp").unlink()
    with pytest.raises(
        RunFailed, match=r"not whole any more: 1 files .*2\.bmp; .*--again"
    ):
        fetcher.fetch(url)
    fetcher.fetch(url, again=True)
    assert_whole(fetcher, files)


def test_a_disk_that_is_full(
    server: HostileServer,
    fetcher: Fetcher,
    archive: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from nd_plugin import NotSaved
    from nd_plugin.concepts.fetch.archive import extraction

    monkeypatch.setattr(
        extraction, "free_bytes", lambda folder: 2 * len(archive) - 1
    )
    url = server.serve("/a.zip", Served(archive))
    with pytest.raises(
        NotSaved, match=r"the archive and its files take .*ND_CACHE=FOLDER"
    ):
        fetcher.fetch(url)
    assert_no_set(fetcher)
    # room for the archive, and not for its files, which take whole blocks
    monkeypatch.setattr(extraction, "free_bytes", lambda folder: 2 * len(archive))
    with pytest.raises(NotSaved, match="unpacked files take"):
        fetcher.fetch(url)
    assert fetcher.place.archive.read_bytes() == archive
    assert_no_set(fetcher)
    monkeypatch.undo()


def test_files_of_the_user(
    fetcher: Fetcher, archive: bytes, files: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "mine.zip"
    path.write_bytes(archive)
    fetched = fetcher.fetch(file=path)
    assert fetched.record.address == str(path)
    assert path.read_bytes() == archive
    assert_whole(fetcher, files)
