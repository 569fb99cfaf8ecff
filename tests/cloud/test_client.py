"""The client against the local cloud, and against servers that misbehave."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from cloudship import wire
from cloudship.cli.failure import lines
from cloudship.client import Client
from cloudship.errors import (
    ApiRefused,
    BadAnswer,
    CloudError,
    ConfigError,
    Conflict,
    NotFound,
    RateLimited,
    ServerFault,
    TryAgain,
    Unauthorized,
    Unprocessable,
    Unreachable,
)
from cloudship.keys import mint
from cloudship.models import Cloud, DropletRequest, DropletStatus, Endpoint, Secret, Timeouts
from cloudship.waiting import Clock

REQUEST = DropletRequest(
    name="web",
    region="nyc3",
    size="s-1vcpu-1gb",
    image="ubuntu-20-04-x64",
    ssh_keys=(),
    tags=("cloudship",),
    user_data="#cloud-config\n",
)


def test_a_droplet_lives_and_dies(client: Client) -> None:
    """Created, read, listed by tag and by name, destroyed."""
    droplet_id = client.create_droplet(REQUEST)
    droplet = client.droplet(droplet_id)
    assert (DropletStatus.ACTIVE, frozenset({"cloudship"})) == (droplet.status, droplet.tags)
    assert [droplet_id] == [one.id for one in client.droplets(tag="cloudship")]
    assert [droplet_id] == [one.id for one in client.droplets(name="web")]
    client.delete_droplet(droplet_id)
    with pytest.raises(NotFound):
        client.droplet(droplet_id)


def test_keys_and_tags_come_and_go(client: Client) -> None:
    """Everything that a launch needs besides droplets."""
    key = client.create_key("k", mint("x").public)
    assert [key.id] == [one.id for one in client.ssh_keys()]
    droplet_id = client.create_droplet(REQUEST.model_copy(update={"ssh_keys": (key.id,)}))
    client.attach_tag("blue", droplet_id)
    assert "blue" in client.droplet(droplet_id).tags
    client.detach_tag("blue", droplet_id)
    client.delete_tag("blue")
    client.delete_key(key.id)
    assert ((), False) == (client.ssh_keys(), "blue" in client.tags())


def test_catalogues_are_read(client: Client) -> None:
    """Account, images, sizes and regions."""
    assert client.account().droplet_limit > 0
    assert "ubuntu-20-04-x64" == client.image("ubuntu-20-04-x64").slug
    assert "s-1vcpu-1gb" in [size.slug for size in client.sizes()]
    assert "nyc3" in [region.slug for region in client.regions()]
    with pytest.raises(NotFound):
        client.image("ubuntu-4-10")


def test_listings_are_complete_over_pages(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page is read, and the total is met."""
    monkeypatch.setattr("cloudship.client.PER_PAGE", 2)
    ids = {client.create_droplet(REQUEST.model_copy(update={"name": f"w{index}"})) for index in range(5)}
    assert ids == {one.id for one in client.droplets(tag="cloudship")}


def test_a_listing_that_shrinks_between_its_pages_is_read_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that went moves others onto a page that was read already: none is missing, and none is there that went."""
    monkeypatch.setattr("cloudship.client.PER_PAGE", 2)
    every = [client.create_droplet(REQUEST.model_copy(update={"name": f"w{index}"})) for index in range(5)]
    read, gone = client._get, []

    def get(path: str, asked: Any = None) -> Any:
        if asked and asked.get("page") == 2 and not gone:
            gone.append(every[0])
            client.delete_droplet(every[0])
        return read(path, asked)

    monkeypatch.setattr(client, "_get", get)
    assert every[1:] == sorted(one.id for one in client.droplets(tag="cloudship"))
    assert every[:1] == gone


def test_what_is_there_all_the_time_is_in_a_listing_however_that_changes(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One goes and one comes between two pages, so that the total is what it was; and again at every look."""
    monkeypatch.setattr("cloudship.client.PER_PAGE", 3)
    every = [client.create_key(f"k{index}", mint("x").public).id for index in range(5)]
    read, changing = client._get, list(every[:3])

    def get(path: str, asked: Any = None) -> Any:
        if asked and asked.get("page") == 2 and changing:
            client.delete_key(changing.pop(0))
            client.create_key("new", mint("x").public)
        return read(path, asked)

    monkeypatch.setattr(client, "_get", get)
    assert set(every[3:]) <= {one.id for one in client.ssh_keys()}
    assert [] == changing


class Script(BaseHTTPRequestHandler):
    """Answers each request with the next line of a script; the last one stays."""

    answers: ClassVar[list[tuple[int, dict[str, str], bytes]]] = []
    seen: ClassVar[list[tuple[str, str, str]]] = []

    def _play(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.rfile.read(length)
        self.seen.append((self.command, self.path, self.headers.get("authorization", "")))
        status, headers, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status == 0:
            self.connection.close()
            return
        self.send_response_only(status)  # no date but the script's own
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _play  # noqa: N815  the library's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def scripted(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[Client]:
    """A server that follows a script, and a client whose pauses take no time."""
    Script.answers, Script.seen = list(answers), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Script)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v2/"
    endpoint = Endpoint(cloud=Cloud.LOCAL, url=url, token=Secret("the-token"))
    try:
        yield Client(endpoint, timeouts=Timeouts(request=2), clock=Clock(sleep=lambda _seconds: None))
    finally:
        server.shutdown()
        server.server_close()


def _error(status: int, message: str = "said so") -> tuple[int, dict[str, str], bytes]:
    return status, {}, f'{{"id": "an_id", "message": "{message}", "request_id": "r-1"}}'.encode()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Unprocessable),
        (401, Unauthorized),
        (403, Unauthorized),
        (404, NotFound),
        (408, ServerFault),
        (409, Conflict),
        (410, NotFound),
        (412, Conflict),
        (422, Unprocessable),
        (423, Conflict),
        (425, ServerFault),
        (429, RateLimited),
        (499, ServerFault),
        (500, ServerFault),
        (502, ServerFault),
        (503, ServerFault),
        (504, ServerFault),
    ],
)
def test_every_status_becomes_one_error_with_all_that_was_said(status: int, kind: type[ApiRefused]) -> None:
    """Status, id and request id are not lost, on reads and on writes."""
    with scripted(_error(status)) as client:
        for call in (client.account, lambda: client.create_droplet(REQUEST), lambda: client.delete_droplet(7)):
            with pytest.raises(kind) as caught:
                call()
            assert (status, "r-1") == (caught.value.status, caught.value.request_id)


def test_a_422_that_passes_is_told_from_one_that_does_not() -> None:
    """DigitalOcean's words are all there is to tell them apart."""
    with scripted(_error(422, "Droplet already has a pending event.")) as client, pytest.raises(Conflict):
        client.delete_droplet(7)


def test_a_422_that_says_to_try_again_is_told_from_one_that_is_busy() -> None:
    """The one had no effect, of the other nobody knows; of any other status the words are not believed."""
    for status, kind in ((422, TryAgain), (409, Conflict), (400, Unprocessable)):
        with scripted(_error(status, "Failed. Please try again.")) as client, pytest.raises(kind):
            client.create_droplet(REQUEST)


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}, b"<html>maintenance</html>"),
        (200, {}, b""),
        (202, {}, b'{"droplet": '),
        (200, {}, b"[]"),
        (200, {}, b'{"other": 1}'),
        (500, {}, b"<html>502</html>"),
        (503, {}, b'{"message": "no id"}'),
        (404, {}, b""),
        (0, {}, b""),
        (200, {"content-type": "application/json"}, b"\xff\xfe"),
        (200, {}, b"[" * 100_000),
        (429, {"retry-after": "\u00b2"}, b"{}"),
        (202, {}, b'{"droplet": {"id": "x"}, "links": {"actions": [{"id": 1}]}}'),
        (200, {}, b'{"droplets": [], "ssh_keys": [], "tags": [], "meta": [1]}'),
        (200, {}, b'{"droplets": [3], "ssh_keys": [3], "tags": [3], "meta": {"total": 1}}'),
        (200, {}, b'{"droplets": [{}], "ssh_keys": [{}], "tags": [{}], "meta": {"total": 1}}'),
    ],
)
def test_no_error_of_a_library_escapes(answer: tuple[int, dict[str, str], bytes]) -> None:
    """Whatever comes back, the error is one of ours."""
    with scripted(answer) as client:
        calls = (
            client.account,
            client.ssh_keys,
            client.tags,
            lambda: client.droplets(tag="x"),
            lambda: client.create_droplet(REQUEST),
            lambda: client.create_key("k", "ssh-ed25519 x"),
        )
        for call in calls:
            with pytest.raises(CloudError):
                call()


def test_a_create_is_never_repeated() -> None:
    """One POST, whatever the answer."""
    for answer in (_error(503), _error(429), _error(409), _error(499), (0, {}, b"")):
        with scripted(answer) as client:
            with pytest.raises(CloudError):
                client.create_droplet(REQUEST)
            assert ["POST"] == [method for method, _, _ in Script.seen]


def test_reads_are_repeated_and_obey_retry_after() -> None:
    """A 429 and a 503 on the way do no harm."""
    good = (200, {}, b'{"account": {"email": "a@example.org", "status": "active", "droplet_limit": 3}}')
    slow = (429, {"retry-after": "2"}, b'{"id": "x", "message": "slow"}')
    with scripted(slow, _error(503), _error(408), _error(499), good) as client:
        assert 3 == client.account().droplet_limit
        assert 5 == len(Script.seen)


def test_the_id_is_kept_when_the_rest_of_the_answer_is_missing() -> None:
    """The library stumbles over missing actions after the droplet exists."""
    with scripted((202, {}, b'{"droplet": {"id": 77}}')) as client:
        assert 77 == client.create_droplet(REQUEST)


def test_a_state_that_nobody_foresaw_leaves_a_listing_readable(cloud: Any, client: Client) -> None:
    """One odd droplet must not stand between a ship and its teardown."""
    told = cloud.droplet()
    body = json.dumps({"droplets": [{**told, "status": "migrating"}], "meta": {"total": 1}}).encode()
    with scripted((200, {}, body)) as odd:
        assert [DropletStatus.UNKNOWN] == [one.status for one in odd.droplets()]


@pytest.mark.parametrize("spared", ["", "localhost,127.0.0.1"])
def test_a_proxy_of_the_environment_never_sees_the_local_cloud(
    cloud: Any, monkeypatch: pytest.MonkeyPatch, spared: str
) -> None:
    """Neither its calls nor its token, with and without NO_PROXY."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", spared)
    endpoint = Endpoint(cloud=Cloud.LOCAL, url=f"{cloud.url}/v2/", token=Secret(cloud.token))
    assert Client(endpoint, timeouts=Timeouts(request=2)).account().droplet_limit > 0


def test_certificates_that_are_not_there_are_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable that names them; requests would raise a bare OSError at the first call."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent/ca.pem")
    with pytest.raises(ConfigError, match="REQUESTS_CA_BUNDLE"):
        Client(Endpoint(cloud=Cloud.DIGITALOCEAN, url="https://127.0.0.1:1/v2/", token=Secret("t")))


def test_redirects_are_not_followed_and_carry_no_token() -> None:
    """The token goes to one host only."""
    with scripted((302, {"location": "http://127.0.0.2:1/"}, b"")) as client:
        with pytest.raises(Unreachable, match="redirect"):
            client.create_droplet(REQUEST)
        assert ["Bearer the-token"] == [token for _, _, token in Script.seen]


@contextmanager
def raw(*parts: bytes, pause: float = 0.0, limit: float = 0.5) -> Iterator[tuple[Client, list[bytes]]]:
    """A server that says the same bytes to everybody, in parts with pauses between, and a client with a limit."""
    heard: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                heard.append(connection.recv(65536))
                for part in parts:
                    connection.sendall(part)
                    time.sleep(pause)

    threading.Thread(target=serve, daemon=True).start()
    endpoint = Endpoint(
        cloud=Cloud.LOCAL, url=f"http://127.0.0.1:{server.getsockname()[1]}/v2/", token=Secret("the-token")
    )
    try:
        yield Client(endpoint, timeouts=Timeouts(request=limit), clock=Clock(sleep=lambda _seconds: None)), heard
    finally:
        server.close()


@pytest.mark.parametrize(
    ("head", "drop"),
    [(b"", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 280), (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b" " * 300)],
)
def test_an_answer_that_comes_drop_by_drop_has_one_limit(head: bytes, drop: bytes) -> None:
    """Its head too: each packet alone would be in time, for ever."""
    drops = [drop[index : index + 1] for index in range(len(drop))]
    with raw(head, *drops, pause=0.1) as (client, _):
        began = time.monotonic()
        with pytest.raises(Unreachable, match="did not answer in time"):
            client.delete_droplet(7)
        assert time.monotonic() - began < 20


def test_an_answer_without_an_end_is_not_kept() -> None:
    """Neither what is long, nor what would be once it is unpacked: packed answers are not asked for."""
    whole = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b" " * (wire.MOST_BYTES + 1)
    with raw(whole, limit=30) as (client, heard):
        with pytest.raises(Unreachable, match="cannot be unpacked"):
            client.account()
        assert b"Accept-Encoding: identity" in heard[0]
    bomb = gzip.compress(b" " * (wire.MOST_BYTES * 4))
    packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    tracemalloc.start()
    with raw(packed, limit=30) as (client, _), pytest.raises(CloudError):
        client.account()
    assert tracemalloc.get_traced_memory()[1] < wire.MOST_BYTES
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("off", "believed"), [(0.0, True), (60.0, True), (-60.0, True), (7200.0, False), (-7200.0, False)]
)
def test_the_clouds_time_counts_where_ours_is_far_from_it(off: float, believed: bool) -> None:
    """By what its answers say; a minute is no difference, and where they say nothing ours is all there is."""
    body = b'{"account": {"email": "a@example.org", "status": "active", "droplet_limit": 3}}'
    clock = Clock(wall=lambda: time.time() + off)
    with scripted((200, {"date": formatdate(time.time(), usegmt=True)}, body)) as client:
        assert abs(client.now(clock) - clock.wall()) < 1
        client.account()
        assert believed is (abs(client.now(clock) - clock.wall()) < 1)
        assert abs(client.now(clock) - time.time()) < 62
    with scripted((200, {"date": "the day after"}, body)) as client:
        client.account()
        assert abs(client.now(clock) - clock.wall()) < 1


def test_cookies_are_not_kept() -> None:
    """Nothing that one answer says goes into the next request."""
    body = b'{"account": {"email": "a@example.org", "status": "active", "droplet_limit": 3}}'
    with scripted((200, {"set-cookie": "a=b; Path=/"}, body)) as client:
        client.account()
        assert not client._wire._session.cookies


def test_what_the_api_says_is_shown_in_so_many_words_and_without_the_token() -> None:
    """Some middle of the way may say back what it was sent, in any length, with any letters and of any type."""
    body = json.dumps({"message": f"Bearer the-token {chr(27)}[2J" + "x" * 10000, "request_id": {"a": ["the-token"]}})
    with scripted((403, {}, body.encode())) as client, pytest.raises(Unauthorized) as caught:
        client.account()
    shown = "\n".join(lines(caught.value))
    assert (False, True) == ("the-token" in shown, shown.replace("\n", "").isprintable())
    assert len(shown) < 1500


def test_a_listing_that_is_not_complete_is_an_error() -> None:
    """A short list must never look like the whole."""
    with scripted((200, {}, b'{"droplets": [], "meta": {"total": 3}}')) as client, pytest.raises(BadAnswer):
        client.droplets()


def test_nobody_there_is_unreachable() -> None:
    """A refused connection says so."""
    endpoint = Endpoint(cloud=Cloud.LOCAL, url="http://127.0.0.1:1/v2/", token=Secret("t"))
    client = Client(endpoint, timeouts=Timeouts(request=2), clock=Clock(sleep=lambda _seconds: None))
    with pytest.raises(Unreachable, match="refuses connections"):
        client.account()


def test_the_token_shows_nowhere(client: Client) -> None:
    """Not in the repr of what holds it."""
    assert "cloudship_local_test" not in repr(vars(client))
