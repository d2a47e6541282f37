"""Forwards one process's requests to the emulator and counts them, so that the process can be killed at the n-th.

Most of an export's time is spent on reading and uploading, but most of its steps take a few milliseconds. Moments drawn by time
hit the former; moments drawn by request hit the latter.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

METHODS = (b"GET ", b"PUT ", b"POST ", b"DELETE ", b"HEAD ")
CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 30


class Forwarder:
    """Listens on the loopback interface; calls `on_request` with the number of each request just before forwarding it.

    An OSError of `on_request` closes the connection instead.
    """

    def __init__(self, endpoint: str, on_request: Callable[[int], None]) -> None:
        parts = urlsplit(endpoint)
        self._target = (parts.hostname, parts.port)
        self._on_request = on_request
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Ends the call of accept. Open connections end with the process.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._target, CONNECT_SECONDS)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                for ends in ((client, server, self._count), (server, client, None)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _count(self, chunk: bytes) -> None:
        # The client waits for each response before its next request on a connection, so a request starts with a chunk.
        if chunk.startswith(METHODS):
            with self._lock:
                self.requests += 1
                number = self.requests
            self._on_request(number)

    @staticmethod
    def _pump(source: socket.socket, drain: socket.socket, count: Callable[[bytes], None] | None) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK_BYTES):
                if count is not None:
                    count(chunk)
                drain.sendall(chunk)
        for end in (source, drain):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()
