"""A receiver of notices on this machine: an HTTPS server that keeps what it gets."""

from __future__ import annotations

import base64
import json
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from infra.local import server_certificate
from infra.local.stack import wait_until

ACCEPTED = 204


@dataclass(frozen=True)
class Response:
    """A response of a receiver."""

    status: int = ACCEPTED
    location: str | None = None


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """Returns the notice if its signature is valid; raises WebhookVerificationError if not."""
        return Webhook(secret).verify(self.body, self.headers)


def new_secret() -> str:
    return f"whsec_{base64.b64encode(os.urandom(32)).decode()}"


@dataclass
class Receiver:
    """A running receiver. It answers with its `responses` one after the other, and then accepts everything."""

    port: int
    responses: list[Response] = field(default_factory=list)
    requests: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"https://{server_certificate.HOST}:{self.port}/notices"

    def answer(self, request: Received) -> Response:
        with self.lock:
            self.requests.append(request)
            return self.responses.pop(0) if self.responses else Response()

    def with_id(self, notice_id: str) -> list[Received]:
        """Returns the requests with a notice, the oldest first."""
        with self.lock:
            return [request for request in self.requests if request.id == notice_id]

    def of_kind(self, kind: str) -> list[Received]:
        """Returns the requests with notices of a kind, the oldest first."""
        with self.lock:
            return [request for request in self.requests if json.loads(request.body).get("kind") == kind]

    def wait_for(self, notice_id: str, count: int, timeout_seconds: float) -> list[Received]:
        """Waits until a notice has arrived so many times."""
        return wait_until(
            lambda: found if len(found := self.with_id(notice_id)) >= count else None,
            f"{count} requests with the notice {notice_id}",
            timeout_seconds=timeout_seconds,
        )


@contextmanager
def receiving(*responses: Response) -> Iterator[Receiver]:
    """Runs a receiver with the certificate that the local stack trusts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            response = receiver.answer(Received(self.path, headers, body))
            self.send_response(response.status)
            if response.location is not None:
                self.send_header("location", response.location)
            self.send_header("content-length", "0")
            self.send_header("connection", "close")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            return

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_certificate.CERTIFICATE, server_certificate.PRIVATE_KEY)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        receiver = Receiver(server.server_address[1], list(responses))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def delivery(tenant: str, configuration: dict[str, Any], notice_id: str, created_at: str) -> str:
    """Returns a message of the webhooks queue for the first webhook of a stored configuration (its DynamoDB item)."""
    webhook = configuration["webhooks"]["L"][0]["M"]
    message = {
        "noticeId": notice_id,
        "tenantId": tenant,
        "configurationId": configuration["id"]["S"],
        "webhook": {
            "url": webhook["url"]["S"],
            "sealedSecret": base64.b64encode(webhook["sealedSecret"]["B"]).decode(),
        },
        "body": json.dumps({"id": notice_id, "version": 1}),
        "createdAt": created_at,
    }
    return json.dumps(message)
