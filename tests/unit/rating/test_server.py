"""Rating server: who may use it, what it serves, and what it refuses."""

from __future__ import annotations

import http.client
import io
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from nd_plugin import Dissection
from nd_plugin.errors import RunFailed
from nd_plugin.rating import access
from nd_plugin.rating.highlights import Highlights
from nd_plugin.rating.server import RatingServer
from nd_plugin.rating.study import Study
from nd_plugin.rating.votes import VoteFile


class Answer(NamedTuple):
    """Answer of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@pytest.fixture
def server(
    large: Dissection, study: Study, votes: VoteFile
) -> Iterator[RatingServer]:
    highlights = Highlights([large], study.questions, study.images)
    rating_server = RatingServer(("127.0.0.1", 0), study, votes, highlights)
    thread = threading.Thread(target=rating_server.serve_forever, args=(0.01,))
    thread.start()
    yield rating_server
    rating_server.shutdown()
    rating_server.server_close()
    thread.join()


def ask(
    server: RatingServer,
    path: str,
    content: object = None,
    *,
    method: str | None = None,
    body: bytes | None = None,
    extra: Mapping[str, str] | None = None,
    **headers: str | None,
) -> Answer:
    """Send a request as the page would; headers can be changed, or left out with None."""
    own = {
        "Host": f"127.0.0.1:{server.port}",
        "Cookie": f"{access.cookie_name(server.port)}={server.token}",
    }
    if content is not None:
        body = json.dumps(content).encode()
    if body is not None:
        own["Origin"] = f"http://127.0.0.1:{server.port}"
        own["Content-Type"] = "application/json"
        own["Content-Length"] = str(len(body))
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {**own, **changed, **(extra or {})}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest(
        method or ("GET" if body is None else "POST"), path, skip_host=True
    )
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    answer = Answer(response.status, dict(response.getheaders()), response.read())
    connection.close()
    return answer


def vote_of(study: Study, **changes: object) -> dict[str, object]:
    question = study.questions[0].identifier
    return {"rater": "ann", "question": question, "answer": "yes", **changes}


class TestUse:
    def test_the_address_gives_a_cookie_and_leads_to_the_page(
        self, server: RatingServer
    ) -> None:
        path = server.url.removeprefix(f"http://127.0.0.1:{server.port}")
        answer = ask(server, path, Cookie=None)
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
        page = ask(server, "/", Cookie=cookie.partition(";")[0])
        assert page.status == 200 and "<title>" in page.text

    def test_a_vote_is_saved_and_can_be_changed(
        self, server: RatingServer, study: Study, votes: VoteFile
    ) -> None:
        question = study.questions[0].identifier
        assert ask(server, "/session", {"rater": "ann"}).text == '{"answers": {}}'
        for answer, is_yes in (("yes", True), ("yes", True), ("no", False)):
            done = ask(server, "/vote", vote_of(study, answer=answer))
            assert (done.status, json.loads(done.body)) == (200, {"saved": True})
            assert votes.answers("ann") == {question: is_yes}
        assert len(votes.changes()) == 2
        session = ask(server, "/session", {"rater": " ann "})
        assert json.loads(session.body) == {"answers": {question: "no"}}

    def test_pictures_are_those_of_the_unit(
        self, server: RatingServer, large: Dissection, study: Study
    ) -> None:
        question = study.questions[0]
        for rank in range(3):
            answer = ask(server, f"/pictures/{question.pictures}/{rank}.jpg")
            assert answer.headers["Content-Type"] == "image/jpeg"
            picture = Image.open(io.BytesIO(answer.body))
            assert picture.size == (240, 180)
            pixels = np.asarray(picture.convert("L"), np.float64)
            mask = large.activation_mask(question.unit, rank)
            assert mask is not None and 0 < mask.mean() < 1
            resized = Image.fromarray(mask).resize(
                (240, 180), Image.Resampling.NEAREST
            )
            lit = np.asarray(resized)
            # the pictures are of one colour: lit is as it was, the rest has a quarter of it
            assert np.median(pixels[lit]) > 3 * np.median(pixels[~lit])
            # The pictures are blue. No outline of a colour speaks for or against a phrase.
            red, green, blue = np.moveaxis(np.asarray(picture, np.int64), 2, 0)
            assert not ((red > blue + 40) | (green > blue + 40)).any()
            assert not picture.getexif() and "comment" not in picture.info
        assert ask(server, f"/pictures/{question.pictures}/3.jpg").status == 404

    def test_several_requests_on_one_connection(
        self, server: RatingServer, study: Study
    ) -> None:
        connection = http.client.HTTPConnection(
            "127.0.0.1", server.port, timeout=60
        )
        cookie = f"{access.cookie_name(server.port)}={server.token}"
        for _ in range(3):
            connection.request("GET", "/", headers={"Cookie": cookie})
            response = connection.getresponse()
            assert response.status == 200 and len(response.read()) > 1000
        connection.close()


class TestBlindness:
    def test_nothing_that_is_sent_tells_where_a_phrase_is_from(
        self, server: RatingServer, study: Study, large: Dissection
    ) -> None:
        page = ask(server, "/")
        session = ask(server, "/session", {"rater": "ann"})
        vote = ask(server, "/vote", vote_of(study))
        start = page.text.index('id="study">') + len('id="study">')
        content = json.loads(page.text[start : page.text.index("</script>", start)])
        assert set(content) == {"format", "study", "served", "questions"}
        for question in content["questions"]:
            assert set(question) == {"id", "phrase", "pictures"}
        own = {item.identifier: item for item in study.questions}
        assert set(own) == {question["id"] for question in content["questions"]}
        # the style sheet is that of all pages
        page_without_style = re.sub(r"<style.*?</style>", "", page.text, flags=re.S)
        sent = [
            page_without_style,
            session.text,
            vote.text,
            str(page.headers),
            str(vote.headers),
        ]
        for text in sent:
            for word in (
                "is_label",
                "is_description",
                "dissection",
                "iou",
                "detector",
            ):
                # the page's footer and its script name nothing of the kind
                assert word not in text.lower(), word
            for secret in (large.layer, "block.1", *large.image_names):
                assert secret not in text, secret

    def test_phrases_of_both_origins_look_alike(self, study: Study) -> None:
        for is_label in (True, False):
            chosen = [item for item in study.questions if item.is_label == is_label]
            assert chosen
            assert {len(item.identifier) for item in chosen} == {16}
            assert {len(item.pictures) for item in chosen} == {16}

    def test_the_order_is_not_that_of_units_or_origins(self, study: Study) -> None:
        units = [item.unit for item in study.questions]
        names = [item.identifier for item in study.questions]
        assert names == sorted(names)
        # 1 in 10! by chance, as the identifiers are random
        assert units != sorted(units)


class TestRefusals:
    @pytest.mark.parametrize("path", ["/", "/pictures/00/0.jpg", "/vote", "/none"])
    @pytest.mark.parametrize(
        "cookie", [None, "", "nd-rate=1", "{name}=wrong", "{name}=", "=;;=,"]
    )
    def test_without_the_token_nothing_is_served(
        self, server: RatingServer, path: str, cookie: str | None
    ) -> None:
        name = access.cookie_name(server.port)
        sent = None if cookie is None else cookie.format(name=name)
        answer = ask(server, path, Cookie=sent)
        assert answer.status == 403
        assert "Open the address that nd rate printed" in answer.text

    def test_a_wrong_token_gives_no_cookie(self, server: RatingServer) -> None:
        for path in ("/?token=wrong", "/?token=", "/?token=%C3%BC"):
            answer = ask(server, path, Cookie=None)
            assert answer.status == 403 and "Set-Cookie" not in answer.headers

    @pytest.mark.parametrize(
        "host",
        [
            None,
            "",
            "evil.example",
            "evil.example:{port}",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.0.0.1.evil.example:{port}",
            "192.168.0.7:{port}",
        ],
    )
    def test_other_names_of_this_machine_are_refused(
        self, server: RatingServer, study: Study, votes: VoteFile, host: str | None
    ) -> None:
        name = None if host is None else host.format(port=server.port)
        for content in (None, vote_of(study)):
            path = "/" if content is None else "/vote"
            answer = ask(server, path, content, Host=name)
            assert answer.status == 403 and "another address" in answer.text
        assert votes.tally().votes == 0

    @pytest.mark.parametrize(
        "origin",
        [None, "null", "http://evil.example", "https://127.0.0.1:{port}",
         "http://127.0.0.1:1", "http://localhost:{port}"],
    )  # fmt: skip
    def test_pages_of_other_origins_cannot_vote(
        self,
        server: RatingServer,
        study: Study,
        votes: VoteFile,
        origin: str | None,
    ) -> None:
        sent = None if origin is None else origin.format(port=server.port)
        for path, content in (
            ("/vote", vote_of(study)),
            ("/session", {"rater": "x"}),
        ):
            answer = ask(server, path, content, Origin=sent)
            assert answer.status == 403 and "other sites" in answer.text
        assert votes.tally().votes == 0 and votes.votes() == []

    def test_pages_of_other_origins_cannot_read_or_embed(
        self, server: RatingServer, study: Study
    ) -> None:
        picture = f"/pictures/{study.questions[0].pictures}/0.jpg"
        for path in ("/", picture):
            assert ask(server, path, Origin="http://evil.example").status == 403
            foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
            assert ask(server, path, extra=foreign).status == 403
            own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"}
            answer = ask(server, path, extra=own)
            assert answer.status == 200
            assert "Access-Control-Allow-Origin" not in answer.headers
        # a link that somebody follows is no embedding
        link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert ask(server, "/", extra=link).status == 200

    @pytest.mark.parametrize(
        "path",
        ["/../votes.sqlite", "/pictures/../../votes.sqlite", "//etc/passwd",
         "/pictures/%2e%2e/0.jpg", "/pictures/00/0.jpg/..", "/rate.js", "/index.html",
         "/pictures/0/0.jpg%00", "http://127.0.0.1/votes.sqlite", "/pictures/AB/0.jpg"],
    )  # fmt: skip
    def test_no_other_path_leads_to_a_file(
        self, server: RatingServer, path: str
    ) -> None:
        answer = ask(server, path)
        assert answer.status == 404
        assert answer.text in (
            "There is no such page.\n",
            "There is no such picture.\n",
        )

    def test_only_json_is_taken(
        self, server: RatingServer, study: Study, votes: VoteFile
    ) -> None:
        for kind in (None, "text/plain", "application/x-www-form-urlencoded"):
            answer = ask(server, "/vote", vote_of(study), Content_Type=kind)
            assert answer.status == 415
        assert votes.tally().votes == 0
        kind = "application/json; charset=utf-8"
        assert ask(server, "/vote", vote_of(study), Content_Type=kind).status == 200

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 9000, b'{"rater": NaN}']
    )
    def test_what_is_no_object_is_refused(
        self, server: RatingServer, body: bytes, votes: VoteFile
    ) -> None:
        answer = ask(server, "/vote", body=body)
        assert answer.status == 400
        assert votes.tally().votes == 0

    @pytest.mark.parametrize(
        "changes",
        [
            {"rater": ""},
            {"rater": 7},
            {"rater": None},
            {"rater": "x" * 81},
            {"question": "nowhere"},
            {"question": ["a"]},
            {"answer": "maybe"},
            {"answer": True},
            {"answer": None},
        ],
    )
    def test_votes_that_make_no_sense_are_refused(
        self,
        server: RatingServer,
        study: Study,
        votes: VoteFile,
        changes: dict[str, object],
    ) -> None:
        answer = ask(server, "/vote", vote_of(study, **changes))
        assert answer.status == 400
        assert votes.tally().votes == 0

    @pytest.mark.parametrize(
        ("length", "status"),
        [(None, 411), ("x", 411), ("-1", 411), ("16385", 413), ("9" * 30, 413)],
    )
    def test_the_length_is_checked_before_anything_is_read(
        self, server: RatingServer, length: str | None, status: int
    ) -> None:
        assert (
            ask(server, "/vote", body=b"", Content_Length=length).status == status
        )

    def test_a_rest_of_a_refused_request_is_not_read_as_the_next(
        self, server: RatingServer, votes: VoteFile, study: Study
    ) -> None:
        smuggled = json.dumps(vote_of(study))
        hidden = (
            f"POST /vote HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Cookie: {access.cookie_name(server.port)}={server.token}\r\n"
            f"Origin: http://127.0.0.1:{server.port}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(smuggled)}\r\n\r\n{smuggled}"
        )
        answer = ask(
            server, "/vote", body=hidden.encode(), Origin="http://evil.example"
        )
        assert answer.status == 403 and answer.headers["Connection"] == "close"
        assert votes.tally().votes == 0

    @pytest.mark.parametrize(
        "method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"]
    )
    def test_other_methods_are_refused(
        self, server: RatingServer, method: str
    ) -> None:
        assert ask(server, "/", method=method).status == 501

    def test_nonsense_does_not_stop_the_server(
        self, server: RatingServer, study: Study
    ) -> None:
        for nonsense in (
            b"\0\0\0\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", server.port), 60) as raw:
                raw.sendall(nonsense)
                raw.recv(1000)
        assert ask(server, "/vote", vote_of(study)).status == 200

    def test_every_answer_forbids_what_the_page_does_not_need(
        self, server: RatingServer
    ) -> None:
        for path in ("/", "/none"):
            headers = ask(server, path).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            assert (
                "frame-ancestors 'none'" in policy
                and "connect-src 'self'" in policy
            )
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cache-Control"] == "no-store"


class TestAddress:
    def test_a_taken_port_is_named(
        self, server: RatingServer, study: Study, votes: VoteFile, large: Dissection
    ) -> None:
        highlights = Highlights([large], study.questions, 15)
        with pytest.raises(
            RunFailed, match=f"port {server.port}: .*another --host or --port"
        ):
            RatingServer(("127.0.0.1", server.port), study, votes, highlights)

    @pytest.mark.parametrize("host", ["localhost", "::1"])
    def test_other_names_of_this_machine_can_be_listened_at(
        self, study: Study, votes: VoteFile, large: Dissection, host: str
    ) -> None:
        highlights = Highlights([large], study.questions, 15)
        try:
            other = RatingServer((host, 0), study, votes, highlights)
        except RunFailed:
            pytest.skip(f"this machine has no {host}")
        shown = "[::1]" if host == "::1" else host
        assert other.url.startswith(f"http://{shown}:{other.port}/?token=")
        other.server_close()

    def test_an_address_of_another_machine_is_named(
        self, study: Study, votes: VoteFile, large: Dissection
    ) -> None:
        highlights = Highlights([large], study.questions, 15)
        # of a network that is set aside for documentation (RFC 5737)
        with pytest.raises(
            RunFailed, match=r"cannot listen on 192\.0\.2\.1, port 0"
        ):
            RatingServer(("192.0.2.1", 0), study, votes, highlights)

    @pytest.mark.parametrize(
        ("header", "listening", "known"),
        [
            ("127.0.0.1:80", "127.0.0.1", True),
            ("LOCALHOST:80", "127.0.0.1", True),
            ("[::1]:80", "::1", True),
            ("localhost:81", "127.0.0.1", False),
            ("10.0.0.7:80", "127.0.0.1", False),
            ("10.0.0.7:80", "10.0.0.7", True),
            ("10.0.0.8:80", "10.0.0.7", False),
            # on all addresses: any number, and no name that somebody can rebind
            ("10.0.0.7:80", "0.0.0.0", True),
            ("[fe80::1]:80", "::", True),
            ("evil.example:80", "0.0.0.0", False),
            ("10.0.0.7.evil.example:80", "0.0.0.0", False),
            (f"{socket.gethostname()}:80", "0.0.0.0", True),
            (":80", "0.0.0.0", False),
        ],
    )
    def test_names_under_which_the_server_answers(
        self, header: str, listening: str, known: bool
    ) -> None:
        assert access.is_known_host(header, listening, 80) is known

    @pytest.mark.parametrize(
        ("host", "loopback"),
        [
            ("127.0.0.1", True),
            ("127.8.8.8", True),
            ("::1", True),
            ("localhost", True),
            ("0.0.0.0", False),
            ("::", False),
            ("10.0.0.7", False),
            ("myhost", False),
        ],
    )
    def test_addresses_that_others_reach_are_known(
        self, host: str, loopback: bool
    ) -> None:
        assert access.is_loopback(host) is loopback
