"""An HTTPS server on this machine in front of an HTTP one, with the certificate that the local stack trusts."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from infra.local import server_certificate

TIMEOUT_SECONDS = 60
# The length of a SHA-256 in hexadecimal digits. Other values of the header stand for a payload that is not hashed.
HASH_LENGTH = 64
# A new one is sent, or none is needed.
NOT_FORWARDED = {"connection", "content-length", "transfer-encoding"}
MISMATCH = b"<Error><Code>XAmzContentSHA256Mismatch</Code><Message>The hash is that of other bytes.</Message></Error>"


@contextmanager
def https_front(
    address: str,
    *,
    checks_hashes: bool = False,
    refusal: Callable[[Message], int] | None = None,
    delay_seconds: Callable[[], float] = float,
) -> Iterator[str]:
    """Serves the HTTP server at `address` over HTTPS; yields the URL.

    With `checks_hashes`, a body is refused whose SHA-256 is not the one in the signature, as S3 does. With `refusal`, every
    request is refused with the status that it returns for the headers. Each request waits for `delay_seconds` first.
    """
    target = urlsplit(address).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            announced = self.headers.get("x-amz-content-sha256", "")
            time.sleep(delay_seconds())
            if checks_hashes and len(announced) == HASH_LENGTH and announced != hashlib.sha256(body).hexdigest():
                self.answer(400, {"content-type": "application/xml"}, MISMATCH)
                return
            if refusal is not None:
                self.answer(refusal(self.headers), {}, b"")
                return
            connection = http.client.HTTPConnection(target, timeout=TIMEOUT_SECONDS)
            try:
                # A server may refuse a request by its headers, and read no more of it.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    # With the client's Host, which is signed.
                    connection.request(self.command, self.path, body, dict(self.headers))
                response = connection.getresponse()
                self.answer(response.status, dict(response.getheaders()), response.read())
            finally:
                connection.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in NOT_FORWARDED:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            return

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_certificate.CERTIFICATE, server_certificate.PRIVATE_KEY)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"https://{server_certificate.HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
