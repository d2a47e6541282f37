"""A server of the built page with the headers of its function, and a service behind it that responds as a test says."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infra.local.settings import ROOT, STAGE
from tests.page import answers
from tests.page.answers import Json

BUILT = ROOT / "functions" / "page" / "web" / "dist"
SECURITY = ROOT / "functions" / "page" / "src" / "security.rs"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
GRAPHQL = "**/api/audit/graphql"


class Refused(Exception):
    """An error of the service, with its HTTP status."""

    def __init__(self, code: str, message: str, status: int = 200, **extensions: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"errors": [{"message": message, "extensions": {"code": code} | extensions}], "data": None}


class Service:
    """Responds to operations by their names. Every request is kept."""

    def __init__(self) -> None:
        self.configuration = answers.configuration()
        self.requests: list[tuple[str, Json, str]] = []
        self.answers: dict[str, Callable[[Json], Json]] = {
            "Exports": lambda _: {"exports": [self.configuration]},
            "Export": lambda _: {"configuration": self.configuration},
            "ConnectionTest": lambda _: {
                "test": {"isRunning": False, "checks": self.configuration["connectionChecks"]}
            },
            "Backlog": lambda _: {"configuration": answers.backlog()},
            "Service": lambda _: {"service": {"account": "111111111111", "partition": "aws", "region": "us-east-1"}},
            "SigningKeys": lambda _: {"keys": []},
            "Policies": lambda _: {"policies": answers.policies()},
            "Jobs": lambda _: {"jobs": answers.jobs()},
            "Tasks": lambda _: {"tasks": answers.tasks()},
            "Repair": lambda _: {"repair": answers.repair()},
            "Replays": lambda _: {"replays": [answers.replay()]},
        }
        for name in (
            "CreateWithRole",
            "CreateWithKey",
            "UpdateWithRole",
            "UpdateWithKey",
            "Test",
            "Enable",
            "Disable",
            "Run",
        ):
            self.answers[name] = lambda _: {"configuration": self.configuration}

    def refuse(self, name: str, refusal: Refused) -> None:
        def raise_it(_: Json) -> Json:
            raise refusal

        self.answers[name] = raise_it

    def respond(self, request: Json, authorization: str) -> tuple[int, str]:
        name = operation(request)
        self.requests.append((name, request["variables"], authorization))
        try:
            return 200, json.dumps({"data": self.answers[name](request["variables"])})
        except Refused as refusal:
            return refusal.status, json.dumps(refusal.body)


def operation(request: Json) -> str:
    """Returns the name of a request's operation."""
    found = re.match(r"(?:query|mutation) (\w+)", request["query"])
    assert found, request["query"]
    return found[1]


def token(subject: str = "ada@example.com", seconds: int = 3600) -> str:
    """Returns a token that the page reads. Only a service would check its signature."""
    claims = {
        "sub": subject,
        "iss": "https://issuer.example.com",
        "tenant_id": "acme",
        "exp": int(time.time()) + seconds,
    }
    return encoded({"alg": "ES256"}, claims)


def encoded(*parts: Json) -> str:
    """Returns the compact form of a JSON Web Token, with a signature that nobody checks here."""
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), "c2ln"]
    )


def content_security_policy(connect: str = "", ancestors: Sequence[str] = ()) -> str:
    """Returns the policy of the function, from its source."""
    found = re.search(r'format!\(\s*"(default-src .*?)"\s*\)', SECURITY.read_text(), re.DOTALL)
    assert found
    policy = re.sub(r"\\\n\s*", "", found[1])
    return policy.replace("{connect}", f"'self' {connect}".strip()).replace(
        "{ancestors}", " ".join(ancestors) or "'none'"
    )


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, policy: str, settings: Json, *arguments: Any) -> None:
        self.policy = policy
        self.settings = settings
        super().__init__(*arguments)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix(f"/{STAGE}/audit")
        if path == "/settings.json":
            return self.send(200, "application/json", json.dumps(self.settings).encode())
        file = BUILT / (path.lstrip("/") or "index.html")
        if not file.is_file() or BUILT not in file.resolve().parents:
            return self.send(404, "text/plain", b"There is nothing at this path.\n")
        return self.send(200, MEDIA_TYPES[file.suffix], file.read_bytes())

    def send(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", self.policy)
        self.send_header(
            "Cache-Control", "public, max-age=31536000, immutable" if "/assets/" in self.path else "no-cache"
        )
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(
    sign_in: Json | None = None, portal: str | None = None, ancestors: Sequence[str] = (), **settings: Any
) -> Iterator[str]:
    """Yields the address of the page, as the function serves it with these settings."""
    public = {
        "api": "api/audit/graphql",
        "signIn": sign_in,
        "portalOrigin": portal,
        "tokenInLink": True,
        "tenantClaim": "tenant_id",
    } | settings
    policy = content_security_policy(sign_in["issuer"] if sign_in else "", ancestors)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, policy, public)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/{STAGE}/audit"
        server.shutdown()
