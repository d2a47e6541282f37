"""An issuer of OpenID Connect on this machine, and a portal that shows the page in a frame."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.page.service import encoded, token

CLIENT = "the-page"
SCOPES = "openid audit"


@dataclass
class Issuer:
    """`response`: changes of what the user comes back with; `claims`: changes of the ID token."""

    address: str = ""
    subject: str = "ada@example.com"
    response: dict[str, str | None] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    authorizations: list[dict[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    token_requests: int = 0
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def settings(self) -> dict[str, str | None]:
        return {"issuer": self.address, "clientId": CLIENT, "scopes": SCOPES, "audience": None}

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Returns the address that the user is sent to, as if they had signed in at once."""
        self.authorizations.append(asked)
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        response = {"code": code, "state": asked["state"], "iss": self.address} | self.response
        given = {name: value for name, value in response.items() if value is not None}
        return f"{asked['redirect_uri']}?{urlencode(given)}"

    def exchange(self, sent: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.token_requests += 1
        # Each code is for one request.
        asked = self._codes.pop(sent["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(sent["code_verifier"].encode()).digest()).decode()
        if (
            asked is None
            or asked["code_challenge_method"] != "S256"
            or asked["code_challenge"] != challenge.rstrip("=")
            or (sent["client_id"], sent["redirect_uri"]) != (CLIENT, asked["redirect_uri"])
            or "client_secret" in sent
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT, "sub": self.subject, "iat": now, "exp": now + 300}
        identity = encoded({"alg": "RS256"}, claims | {"nonce": asked["nonce"]} | self.claims)
        self.tokens.append(token(self.subject))
        return 200, {"access_token": self.tokens[-1], "token_type": "Bearer", "id_token": identity}


class _Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/.well-known/openid-configuration":
            return self.send_json(200, self.issuer.metadata())
        if url.path == "/authorize":
            self.send_response(302)
            self.send_header("Location", self.issuer.authorize(_fields(url.query)))
            return self.end_headers()
        return self.send_json(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        return self.send_json(*self.issuer.exchange(_fields(body)))

    def send_json(self, status: int, content: dict[str, Any]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: Any) -> None:
        pass


def _fields(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


@contextmanager
def issuing() -> Iterator[Issuer]:
    issuer = Issuer()
    with _listening(type("Handler", (_Handler,), {"issuer": issuer})) as address:
        issuer.address = address
        yield issuer


# `respond` is what the portal does with a question; `questions` counts them.
_PORTAL = """<!doctype html><title>Portal</title><iframe name="page" style="width: 60rem; height: 40rem"></iframe>
<script>
  let questions = 0;
  let respond = () => undefined;
  const send = (token, target = frames.page) => target.postMessage({type: "audit-export:token", token}, "*");
  addEventListener("message", (event) => {
    if (event.data?.type !== "audit-export:token-wanted") return;
    questions += 1;
    respond(event.source);
  });
</script>
"""


class _Portal(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(_PORTAL.encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def portal() -> Iterator[str]:
    """Yields the origin of a portal, which is empty at first."""
    with _listening(_Portal) as address:
        yield address


@contextmanager
def _listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
