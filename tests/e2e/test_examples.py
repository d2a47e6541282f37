"""What the files of examples/ do when the service does not accept a request at once, and how they divide a file.

A server on this machine stands in for the service, because the service can't be made to fail.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e import examples
from tests.e2e.harness import PATIENCE_SECONDS, make_events, to_lines

# The last answer is repeated.
ACCEPTED, REFUSED, BUSY, CLOSED = 202, 400, 503, None
# Longer than each example's own first pause.
RETRY_AFTER_SECONDS = 2
# More than each example's own second pause, at most.
MAX_PAUSE_SECONDS = 10
ATTEMPTS = 8
MAX_EVENTS = 1_000
MAX_BYTES = 3 * 1_024 * 1_024


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    seconds: float
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Service:
    """A running server. It gives its answers one after the other; for CLOSED, it ends the connection without one."""

    port: int
    answers: list[int | None]
    retry_after: int
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Request) -> int | None:
        with self.lock:
            self.requests.append(request)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def serving(*answers: int | None, retry_after: int = RETRY_AFTER_SECONDS) -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = service.answer(Request(time.monotonic(), self.path, headers, body))
            self.close_connection = True
            if status is None:
                return
            text = json.dumps({"accepted": 1} if status == ACCEPTED else {"errors": [{"message": f"answer {status}"}]})
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.send_header("connection", "close")
            if status == BUSY:
                self.send_header("retry-after", str(service.retry_after))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service = Service(server.server_port, list(answers), retry_after)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(name: str, events: Path, service: Service) -> subprocess.CompletedProcess[str]:
    own = {"AUDIT_EXPORT_URL": f"http://127.0.0.1:{service.port}/v1", "AUDIT_EXPORT_TOKEN": "abc"}
    command = [*examples.command(name), events]
    return subprocess.run(
        [str(word) for word in command],
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_bytes(to_lines(make_events(3)))
    return path


@pytest.mark.parametrize("name", examples.SENDERS)
def test_an_example_repeats_the_same_request_until_it_is_accepted(name: str, events: Path) -> None:
    with serving(BUSY, CLOSED, ACCEPTED) as service:
        outcome = send(name, events, service)
    assert outcome.returncode == 0, outcome.stderr
    first, second, third = service.requests
    assert first.path == "/v1/api/audit/events"
    assert first.headers["authorization"] == "Bearer abc"
    assert gzip.decompress(first.body) == events.read_bytes()
    assert {request.body for request in (second, third)} == {first.body}
    assert {request.headers["idempotency-key"] for request in (second, third)} == {first.headers["idempotency-key"]}
    assert second.seconds - first.seconds >= RETRY_AFTER_SECONDS
    assert third.seconds - second.seconds < MAX_PAUSE_SECONDS


@pytest.mark.parametrize("name", examples.SENDERS)
def test_an_example_does_not_repeat_what_was_refused(name: str, events: Path) -> None:
    with serving(REFUSED) as service:
        outcome = send(name, events, service)
    assert outcome.returncode != 0
    assert f"answer {REFUSED}" in outcome.stderr
    assert len(service.requests) == 1


@pytest.mark.parametrize("name", examples.SENDERS)
def test_an_example_gives_up(name: str, events: Path) -> None:
    # curl takes 0 for none: its own pauses would add up to two minutes.
    with serving(BUSY, retry_after=1 if name == "send_events.sh" else 0) as service:
        outcome = send(name, events, service)
    assert outcome.returncode != 0
    assert len(service.requests) == ATTEMPTS


@pytest.mark.parametrize("name", examples.SENDERS)
def test_a_file_without_events_sends_nothing(name: str, events: Path) -> None:
    for text in ("", "\n \n"):
        events.write_text(text)
        with serving(ACCEPTED) as service:
            outcome = send(name, events, service)
        assert (outcome.returncode, outcome.stderr) == (0, "")
        assert service.requests == []


@pytest.mark.parametrize("name", examples.SENDERS)
def test_an_example_sends_batches_within_the_limits(name: str, events: Path) -> None:
    # Bytes count, not characters: 13 of the large events have 3.1 MB.
    small, large = make_events(MAX_EVENTS + 1), make_events(20, auditPayload="ö" * 120_000)
    lines = [json.dumps(event, ensure_ascii=False) + "\n" for event in [*small, *large]]
    events.write_text("".join(lines))
    with serving(ACCEPTED) as service:
        outcome = send(name, events, service)
    assert outcome.returncode == 0, outcome.stderr
    bodies = [gzip.decompress(request.body) for request in service.requests]
    assert b"".join(bodies) == events.read_bytes()
    assert [body.count(b"\n") for body in bodies] == [MAX_EVENTS, 1 + 13, 7]
    assert max(map(len, bodies)) <= MAX_BYTES
    assert len({request.headers["idempotency-key"] for request in service.requests}) == len(bodies)
