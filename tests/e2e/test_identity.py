"""The parameters of docs/IDENTITY.md with tokens of identity providers, checked by `audit-export-operator token check`, and
deployed functions with several issuers.

Tokens of oidc-provider and of the emulator's Cognito for people are real. Those of Auth0, Okta, Microsoft Entra ID, Keycloak
and Cognito's for machines have the members that the providers document, and are signed here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from samcli.cli.types import CfnParameterOverridesType
from samtranslator.yaml_helper import yaml_parse

from infra.local.settings import ROOT, TOKEN_AUDIENCE, TOKEN_ISSUER
from infra.local.stack import Administrator, GraphQlFailed, Stack
from tests.e2e.guide import commands, identity_block
from tests.e2e.harness import ROLE_ACCOUNT, Tenant, TokenFactory, changed_variables, make_events, to_lines

PAGE = (ROOT / "docs" / "IDENTITY.md").read_text()
PROVIDER = Path(__file__).parent / "identity_provider"
START_SECONDS = 60
INSTALL_SECONDS = 300
REQUEST_SECONDS = 30
CHECK_SECONDS = 60
REFUSED, WRONG_SETTINGS = 4, 2
# The times of all shapes are relative to it. A token is signed much later.
NOW = int(time.time())


def section(heading: str) -> str:
    """Returns the text below a heading of the page, up to the next one."""
    found = re.search(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[1]


def parameters(heading: str, number: int = 0) -> dict[str, str]:
    """Returns the parameters of a block of the page, as `sam deploy` reads them from a file."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", section(heading), re.DOTALL | re.MULTILINE)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(blocks[number])
        file.flush()
        read = CfnParameterOverridesType().convert((f"file://{file.name}",), None, None)
    assert all(isinstance(value, str) for value in read.values())
    return dict(read)


def variable_of(parameter: str) -> str:
    """Returns the variable by which the functions get a parameter of the template."""
    text = (ROOT / "template.yaml").read_text()
    variables = set(re.findall(rf"^ +(TOKEN_\w+): !Ref {parameter}$", text, re.MULTILINE))
    assert len(variables) == 1, parameter
    return variables.pop()


@dataclass(frozen=True)
class Outcome:
    code: int
    caller: dict[str, Any]
    error: str

    @property
    def message(self) -> str:
        """The error, without the log."""
        return self.error[self.error.rfind("error: ") :]


Check = Callable[..., Outcome]


@pytest.fixture
def check(operator_command: Path, tmp_path: Path) -> Check:
    """Checks a token with parameters of the page."""

    def run(given: dict[str, str], token: str, permission: str = "AUDIT", mode: str = "development") -> Outcome:
        file = tmp_path / "token"
        file.write_text(token)
        environment = {variable_of(name): value for name, value in given.items()}
        done = subprocess.run(
            [operator_command, "token", "check", file, "--permission", permission],
            env=environment | {"DEPLOYMENT_MODE": mode}, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False,
        )  # fmt: skip
        return Outcome(done.returncode, json.loads(done.stdout or "{}"), done.stderr)

    return run


# ----------------------------------------------------------------------------------------------------------------------
# Recorded shapes
# ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """An access token as a provider documents it, and the ID token for the same person; machines have none."""

    heading: str
    header: dict[str, Any]
    claims: dict[str, Any]
    """The claims, with one permission."""
    permissions: list[str]
    """The claim's path to the permissions."""
    both: Any
    """The value with both permissions."""
    id_claims: dict[str, Any]
    subject: str
    key: dict[str, Any] = field(default_factory=dict)
    """Members of the published key besides those of RSA."""
    permission: str = "AUDIT"
    """The permission that the claims grant."""


TIMES = {"iat": NOW, "nbf": NOW, "exp": NOW + 3_600}
ENTRA = "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0"
# Microsoft publishes no alg.
ENTRA_KEY = {"use": "sig", "x5t": "abc", "x5c": ["MIIC"], "issuer": ENTRA}
SHAPES = [
    Shape(
        "Auth0",
        {"alg": "RS256", "typ": "JWT"},
        {
            "https://acme.example/tenant": "acme", "iss": "https://acme.eu.auth0.com/", "sub": "auth0|6452",
            "aud": ["https://audit.acme.example", "https://acme.eu.auth0.com/userinfo"], "iat": NOW, "exp": NOW + 86_400,
            "azp": "my_client_id", "scope": "openid profile email", "permissions": ["audit:read"],
        },
        ["permissions"],
        ["audit:read", "audit:write"],
        {"aud": "my_client_id", "nonce": "n", "sid": "s", "permissions": None},
        "auth0|6452",
        {"use": "sig", "alg": "RS256", "x5t": "abc", "x5c": ["MIIC"]},
    ),
    Shape(
        "Auth0",
        {"alg": "RS256", "typ": "JWT"},
        {
            "https://acme.example/tenant": "acme", "iss": "https://acme.eu.auth0.com/", "sub": "my_machine@clients",
            "aud": "https://audit.acme.example", "iat": NOW, "exp": NOW + 86_400, "azp": "my_machine",
            "gty": "client-credentials", "scope": "audit:read",
        },
        ["scope"],
        "audit:write audit:read",
        {},
        "my_machine@clients",
        {"use": "sig", "alg": "RS256", "x5t": "abc", "x5c": ["MIIC"]},
    ),
    Shape(
        "Okta",
        {"alg": "RS256"},
        {
            "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": "https://acme.okta.com/oauth2/aus1example2audit3",
            "aud": "api://audit-export", "iat": NOW, "exp": NOW + 3_600, "cid": "0oabskvc6442nkvQO0h7",
            "uid": "00u5t60iloOHN9pBi0h7", "scp": ["openid", "audit:read"], "auth_time": NOW, "sub": "ann@acme.example",
            "tenant_id": "acme",
        },
        ["scp"],
        ["audit:write", "audit:read"],
        {"aud": "0oabskvc6442nkvQO0h7", "amr": ["pwd"], "at_hash": "x", "scp": None},
        "ann@acme.example",
        {"use": "sig", "alg": "RS256"},
    ),
    # A service app, whose tenant_id the claim's expression takes from app.profile.tenant.
    Shape(
        "Okta",
        {"alg": "RS256"},
        {
            "ver": 1, "jti": "AT.1nQ5KLBZY2jBDJU5wcFEG8MqEWDkyqYQNg1E8vY40SF", "iss": "https://acme.okta.com/oauth2/aus1example2audit3",
            "aud": "api://audit-export", "iat": NOW, "exp": NOW + 3_600, "cid": "0oaprodk7553olwRP1i8",
            "scp": ["audit:write"], "sub": "0oaprodk7553olwRP1i8", "tenant_id": "acme",
        },
        ["scp"],
        ["audit:read", "audit:write"],
        {},
        "0oaprodk7553olwRP1i8",
        {"use": "sig", "alg": "RS256"},
        "AUDIT_WRITE",
    ),
    Shape(
        "Microsoft Entra ID",
        {"typ": "JWT", "alg": "RS256"},
        TIMES | {
            "aud": "00001111-aaaa-2222-bbbb-3333cccc4444", "iss": ENTRA, "aio": "AXQAi/8TAAAA", "azp": "5e6f", "azpacr": "1",
            "name": "Ann", "oid": "690222be", "preferred_username": "ann@acme.example", "rh": "0.ARoA", "roles": ["Audit.Read"],
            "scp": "access_as_user", "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
            "tid": "aaaabbbb-0000-cccc-1111-dddd2222eeee", "uti": "fqiBqXLPj0eQa82S-IYFAA", "ver": "2.0",
        },
        ["roles"],
        ["Audit.Write", "Audit.Read"],
        {"aud": "5e6f", "nonce": "n"},
        "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
        ENTRA_KEY,
    ),
    Shape(
        "Microsoft Entra ID",
        {"typ": "JWT", "alg": "RS256"},
        TIMES | {
            "aud": "00001111-aaaa-2222-bbbb-3333cccc4444", "iss": ENTRA, "aio": "ASQA2/8VAAAA", "azp": "7a8b", "azpacr": "1",
            "oid": "8d1e5f0c-0000-1111-2222-333344445555", "rh": "0.ARoA", "roles": ["Audit.Write"],
            "sub": "8d1e5f0c-0000-1111-2222-333344445555", "tid": "aaaabbbb-0000-cccc-1111-dddd2222eeee",
            "uti": "q1w2BqXLPj0eQa82S-IYFA", "ver": "2.0",
        },
        ["roles"],
        ["Audit.Read", "Audit.Write"],
        {},
        "8d1e5f0c-0000-1111-2222-333344445555",
        ENTRA_KEY,
        "AUDIT_WRITE",
    ),
    Shape(
        "Keycloak",
        {"alg": "RS256", "typ": "JWT"},
        {
            "exp": NOW + 300, "iat": NOW, "auth_time": NOW, "jti": "onrtac:4a1c", "iss": "https://login.acme.example/realms/acme",
            "aud": ["audit-export", "account"], "sub": "a1b2c3d4-0000-1111-2222-333344445555", "typ": "Bearer",
            "azp": "console", "sid": "6f0a", "acr": "1", "allowed-origins": ["https://console.acme.example"],
            "realm_access": {"roles": ["offline_access", "default-roles-acme"]},
            "resource_access": {"audit-export": {"roles": ["audit-read"]}, "account": {"roles": ["view-profile"]}},
            "scope": "profile email", "email_verified": False, "preferred_username": "ann", "tenant_id": "acme",
        },
        ["resource_access", "audit-export", "roles"],
        ["audit-read", "audit-write"],
        # Even with the audience of the API.
        {"typ": "ID", "nonce": "n", "at_hash": "x"},
        "a1b2c3d4-0000-1111-2222-333344445555",
        {"use": "sig", "alg": "RS256", "x5t#S256": "abc", "x5c": ["MIIC"]},
    ),
    # A service account, whose tenant_id is a hardcoded claim of the client.
    Shape(
        "Keycloak",
        {"alg": "RS256", "typ": "JWT"},
        {
            "exp": NOW + 300, "iat": NOW, "jti": "trrtcc:7d2e", "iss": "https://login.acme.example/realms/acme",
            "aud": "audit-export", "sub": "b2c3d4e5-0000-1111-2222-333344445555", "typ": "Bearer", "azp": "producer", "acr": "1",
            "realm_access": {"roles": ["offline_access", "default-roles-acme"]},
            "resource_access": {"audit-export": {"roles": ["audit-write"]}}, "scope": "profile email",
            "clientHost": "192.0.2.1", "email_verified": False, "preferred_username": "service-account-producer",
            "clientAddress": "192.0.2.1", "client_id": "producer", "tenant_id": "acme",
        },
        ["resource_access", "audit-export", "roles"],
        ["audit-read", "audit-write"],
        {},
        "b2c3d4e5-0000-1111-2222-333344445555",
        {"use": "sig", "alg": "RS256", "x5t#S256": "abc", "x5c": ["MIIC"]},
        "AUDIT_WRITE",
    ),
    # Client credentials: no aud, and no groups.
    Shape(
        "Amazon Cognito",
        {"alg": "RS256"},
        {
            "sub": "1example23456789", "token_use": "access", "scope": "audit/write", "auth_time": NOW,
            "iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE", "exp": NOW + 3_600, "iat": NOW,
            "version": 2, "jti": "5d1a6c6e-0000-1111-2222-333344445555", "client_id": "1example23456789",
        },
        ["scope"],
        "audit/read audit/write",
        {},
        "1example23456789",
        {"use": "sig", "alg": "RS256"},
        "AUDIT_WRITE",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, 2_048)


@pytest.fixture
def serve_keys() -> Iterator[Callable[[dict[str, Any]], str]]:
    """Serves a key set, and returns its address."""
    servers: list[ThreadingHTTPServer] = []

    def serve(key_set: dict[str, Any]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(key_set).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Keeps the output quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/keys"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def with_keys_at(given: dict[str, str], address: str) -> dict[str, str]:
    """Returns parameters of the page with the address of the keys."""
    if "TokenIssuers" not in given:
        return given | {"TokenJwksUrl": address}
    issuers = [issuer | {"jwksUrl": address} for issuer in json.loads(given["TokenIssuers"])]
    return given | {"TokenIssuers": json.dumps(issuers)}


def replaced(claims: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    first, *rest = path
    return claims | {first: replaced(claims[first], rest, value) if rest else value}


@pytest.mark.parametrize(
    "shape", SHAPES, ids=lambda shape: f"{shape.heading} {'person' if shape.id_claims else 'machine'}"
)
def test_a_provider_of_the_page(
    check: Check, serve_keys: Callable[[dict[str, Any]], str], private_key: rsa.RSAPrivateKey, shape: Shape
) -> None:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private_key.public_key()))
    public = {name: public[name] for name in ("kty", "n", "e")} | {"kid": "current"} | shape.key
    # Providers publish more than one key, some of them for encryption.
    others = {"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "encryption", "n": public["n"], "e": "AQAB"}
    given = with_keys_at(parameters(shape.heading), serve_keys({"keys": [others, public]}))

    def sign(claims: dict[str, Any]) -> str:
        passed = int(time.time()) - NOW
        claims = {name: value for name, value in claims.items() if value is not None}
        claims |= {name: claims[name] + passed for name in ("iat", "nbf", "exp", "auth_time") if name in claims}
        return jwt.encode(claims, private_key, shape.header["alg"], shape.header | {"kid": "current"})

    token = sign(shape.claims)
    expected = {
        "tenant": "acme",
        "issuer": shape.claims["iss"],
        "subject": shape.subject,
        "permissions": [shape.permission],
    }
    accepted = check(given, token, shape.permission)
    assert (accepted.code, accepted.caller) == (0, expected), accepted
    [other] = {"AUDIT", "AUDIT_WRITE"} - {shape.permission}
    refused = check(given, token, other)
    assert (refused.code, "FORBIDDEN" in refused.error) == (REFUSED, True), refused

    both = sign(replaced(shape.claims, shape.permissions, shape.both))
    assert check(given, both, other).caller == expected | {"permissions": ["AUDIT", "AUDIT_WRITE"]}

    id_tokens = [(shape.claims | shape.id_claims, "audience|not an access token")] if shape.id_claims else []
    for wrong, reason in [
        *id_tokens,
        (shape.claims | {"aud": "another-service"}, "audience"),
        (shape.claims | {"exp": NOW - 120}, "expired"),
        (shape.claims | {"iss": shape.claims["iss"] + "x"}, "not valid here"),
    ]:
        refused = check(given, sign(wrong))
        assert refused.code == REFUSED and re.search(f"UNAUTHENTICATED: .*({reason})", refused.message), refused


def test_every_block_of_the_page_starts_in_production(check: Check) -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]
    headings = re.findall(r"^##+ (.+)$", PAGE, re.MULTILINE)
    blocks = [(heading, number) for heading in headings for number in range(section(heading).count("```yaml"))]
    assert len(blocks) >= 9
    for heading, number in blocks:
        given = parameters(heading, number)
        # What CloudFormation checks before it changes anything.
        for name, value in given.items():
            assert re.fullmatch(template[name]["AllowedPattern"], value), (heading, name)
            assert len(value) <= template[name].get("MaxLength", 4_096), (heading, name)
        assert bool(given.get("TokenIssuers")) != bool(given.get("TokenIssuer") and given.get("TokenAudience")), heading
        others = {name: value for name, value in given.items() if name != "TokenIssuers"}
        if given.get("TokenIssuers"):
            assert others == {name: template[name]["Default"] for name in others}, heading
        outcome = check(given, "e30.e30.e30", mode="production")
        assert (outcome.code, "UNAUTHENTICATED" in outcome.error) == (REFUSED, True), (heading, outcome)


def test_the_reason_of_a_refusal_is_printed(check: Check) -> None:
    given = {"TokenIssuer": "https://login.acme.example", "TokenAudience": "audit-export"}

    def token(header: dict[str, Any], issuer: str) -> str:
        return jwt.encode({"iss": issuer, "exp": int(time.time()) + 300}, "x" * 32, "HS256", header)

    for header, issuer, reason in [
        ({"kid": "1"}, "https://login.acme.example/", "no issuer that is accepted here"),
        ({}, "https://login.acme.example", "header without kid"),
        ({"kid": "1", "typ": "logout+jwt"}, "https://login.acme.example", "header with another typ"),
    ]:
        refused = check(given, token(header, issuer))
        assert (refused.code, reason in refused.error) == (REFUSED, True), refused


def test_wrong_issuers_are_named_at_the_start(check: Check) -> None:
    given = parameters("Several issuers")
    issuers = json.loads(given["TokenIssuers"])
    del issuers[1]["tenant"]
    outcome = check({"TokenIssuers": json.dumps(issuers)}, "e30.e30.e30")
    assert (outcome.code, "TOKEN_ISSUERS issuer 2: exactly one of" in outcome.error) == (WRONG_SETTINGS, True), outcome


def test_a_list_that_may_not_fit_is_refused_before_the_deployment(check: Check) -> None:
    given = parameters("Several issuers")
    outcome = check({"TokenIssuers": given["TokenIssuers"].ljust(1_792)}, "e30.e30.e30")
    assert (outcome.code, "TOKEN_ISSUERS must have at most 1792 bytes" in outcome.error) == (WRONG_SETTINGS, True), (
        outcome
    )


def test_the_commands_of_the_page(operator_command: Path, tmp_path: Path) -> None:
    (tmp_path / "audit-export-operator").symlink_to(operator_command.resolve())
    (tmp_path / "token-file").write_text("e30.e30.e30")
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", identity_block("check")], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, timeout=CHECK_SECONDS,
        check=False,
    )  # fmt: skip
    assert json.loads(done.stdout) == {"issuers": ["https://acme.eu.auth0.com/"]}
    # The other two read the file, and refuse the token.
    assert (done.returncode, done.stderr.count("error: UNAUTHENTICATED")) == (REFUSED, 2), done.stderr


# ----------------------------------------------------------------------------------------------------------------------
# Real providers
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Installs and starts oidc-provider, and returns its issuer."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing, which oidc-provider needs")
    folder = tmp_path_factory.mktemp("provider") / "provider"
    shutil.copytree(PROVIDER, folder)
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
        cwd=folder, timeout=INSTALL_SECONDS, check=True,
    )  # fmt: skip
    process = subprocess.Popen(
        ["node", "provider.mjs"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        issuer = process.stdout.readline().strip()
        watchdog.cancel()
        assert issuer, "oidc-provider did not start"
        yield issuer
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()


def request_token(issuer: str, algorithm: str, scope: str, tenant: str = "acme") -> str:
    answer = requests.post(
        f"{issuer}/token",
        auth=("producer", "a-secret-of-the-tests"),
        data={"grant_type": "client_credentials", "scope": scope, "resource": f"urn:audit-export:{algorithm}:{tenant}"},
        timeout=REQUEST_SECONDS,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def request_token_as_producers_do(issuer: str) -> str:
    """Runs the command of docs/PRODUCERS.md."""
    own = {
        "PATH": os.environ["PATH"],
        "TOKEN_URL": f"{issuer}/token",
        "CLIENT_ID": "backend",
        # Form encoding has to keep what a shell or a form would change.
        "CLIENT_SECRET": 'a secret & "more" = 100 %+',
        "TOKEN_SCOPE": "audit:write",
        "TOKEN_RESOURCE": "urn:audit-export:ES256:acme",
    }
    command = ["sh", "-euc", commands("token") + 'printf %s "$AUDIT_EXPORT_TOKEN"']
    run = partial(subprocess.run, command, capture_output=True, text=True, timeout=REQUEST_SECONDS, check=False)
    refused = run(env=own | {"CLIENT_SECRET": "another"})
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "401" in refused.stderr
    done = run(env=own)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


# One test, so that one worker installs the provider.
def test_a_real_provider_that_is_found_by_its_metadata(check: Check, provider: str) -> None:
    given = parameters("Any other provider") | {"TokenIssuer": provider}
    for algorithm in ("RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"):
        token = request_token(provider, algorithm, "audit:write audit:read")
        assert jwt.get_unverified_header(token)["alg"] == algorithm
        expected = {
            "tenant": "acme", "issuer": provider, "subject": "producer", "permissions": ["AUDIT", "AUDIT_WRITE"],
        }  # fmt: skip
        accepted = check(given, token, "AUDIT_WRITE")
        assert (accepted.code, accepted.caller) == (0, expected), (algorithm, accepted)

    writing = request_token_as_producers_do(provider)
    assert check(given, writing, "AUDIT_WRITE").caller["permissions"] == ["AUDIT_WRITE"]

    reading = request_token(provider, "ES256", "audit:read")
    assert check(given, reading).caller["permissions"] == ["AUDIT"]
    refused = check(given, reading, "AUDIT_WRITE")
    assert (refused.code, "lacks the permission audit:write" in refused.error) == (REFUSED, True), refused

    header, claims, signature = reading.split(".")
    forged = f"{header}.{claims}.{signature[::-1]}"
    for changed, token, message, reason in [
        ({"TokenAudience": "another-service"}, reading, "another audience", "another audience"),
        ({"TokenTenantClaim": "/app_metadata"}, reading, "no tenant", "no valid tenant ID"),
        ({}, forged, "not valid here", "wrong signature"),
        # A slash at the end is another issuer, in the token and in the metadata.
        ({"TokenIssuer": f"{provider}/"}, reading, "not valid here", "no issuer that is accepted here"),
    ]:
        refused = check(given | changed, token)
        assert (refused.code, message in refused.message) == (REFUSED, True), (message, refused)
        assert reason in refused.error, (reason, refused)

    # The metadata name another issuer than the configured one: an alias of the host.
    alias = provider.replace("127.0.0.1", "localhost")
    claims_of_alias = jwt.decode(reading, options={"verify_signature": False}) | {"iss": alias}
    of_alias = jwt.encode(claims_of_alias, "x" * 32, "HS256", {"kid": "key-ES256"})
    refused = check(given | {"TokenIssuer": alias}, of_alias)
    assert (refused.code, "KEYS_UNAVAILABLE" in refused.message) == (REFUSED, True), refused
    assert "another issuer than the configured one" in refused.error, refused


@pytest.mark.requires("user pools")
def test_an_access_token_of_cognito(check: Check) -> None:
    stack = Stack.load()
    cognito = stack.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName=f"identity-{os.getpid()}-{time.time_ns()}")["UserPool"]["Id"]
    try:
        client = cognito.create_user_pool_client(
            UserPoolId=pool, ClientName="console", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
        )["UserPoolClient"]["ClientId"]
        password = "Aa1!-of-the-tests"
        cognito.admin_create_user(UserPoolId=pool, Username="ann", MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username="ann", Password=password, Permanent=True)
        cognito.create_group(UserPoolId=pool, GroupName="audit/read")
        cognito.admin_add_user_to_group(UserPoolId=pool, Username="ann", GroupName="audit/read")
        tokens = cognito.admin_initiate_auth(
            UserPoolId=pool, ClientId=client, AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "ann", "PASSWORD": password},
        )["AuthenticationResult"]  # fmt: skip

        [issuer] = json.loads(parameters("Amazon Cognito")["TokenIssuers"])
        region = pool.split("_")[0]
        issuer |= {
            "issuer": f"https://cognito-idp.{region}.amazonaws.com/{pool}",
            "audiences": [client],
            "jwksUrl": f"{stack.endpoint}/{pool}/.well-known/jwks.json",
        }
        given = {"TokenIssuers": json.dumps([issuer])}
        access, identity = tokens["AccessToken"], tokens["IdToken"]
        assert "aud" not in jwt.decode(access, options={"verify_signature": False})
        outcome = check(given, access)
        assert (outcome.code, outcome.caller.get("tenant"), outcome.caller.get("permissions")) == (
            0,
            "acme",
            ["AUDIT"],
        ), outcome

        refused = check(given, identity)
        assert (refused.code, "not an access token" in refused.error) == (REFUSED, True), refused
        other = {"TokenIssuers": json.dumps([issuer | {"audiences": ["another-client"]}])}
        refused = check(other, access)
        assert (refused.code, "another audience" in refused.error) == (REFUSED, True), refused
    finally:
        cognito.delete_user_pool(UserPoolId=pool)


# ----------------------------------------------------------------------------------------------------------------------
# Deployed functions with several issuers
# ----------------------------------------------------------------------------------------------------------------------

PARTNER = "https://login.partner.example"


@pytest.fixture
def deploy_issuers(stack: Stack) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    """Gives the deployed functions these issuers instead of the stack's, as a deployment with `TokenIssuers` does, for one test."""
    single = {variable_of(name): "" for name in ("TokenIssuer", "TokenAudience", "TokenJwksUrl", "DevelopmentJwks")}
    with changed_variables(stack, "api", "ingest") as change:
        yield lambda issuers: change(single | {variable_of("TokenIssuers"): json.dumps(issuers)})


# It changes the functions that the other tests use.
@pytest.mark.last
def test_deployed_functions_keep_the_tenants_of_two_issuers_apart(
    stack: Stack,
    http: requests.Session,
    token: TokenFactory,
    provider: str,
    private_key: rsa.RSAPrivateKey,
    serve_keys: Callable[[dict[str, Any]], str],
    deploy_issuers: Callable[[list[dict[str, Any]]], None],
) -> None:
    partners, prefix = f"tenant-{uuid.uuid4().hex[:12]}", f"tenant-{uuid.uuid4().hex[:12]}-"
    providers = f"{prefix}1"
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private_key.public_key()))
    keys = {"keys": [{name: public[name] for name in ("kty", "n", "e")} | {"kid": "current", "use": "sig"}]}
    deploy_issuers(
        [
            # The keys have an address, and nothing answers at the issuer's.
            {"issuer": PARTNER, "audiences": [TOKEN_AUDIENCE], "jwksUrl": serve_keys(keys), "tenants": [partners]},
            # The issuer's metadata name the address of the keys.
            {
                "issuer": provider, "audiences": [TOKEN_AUDIENCE], "tenantPrefix": prefix,
                "tenantClaim": "/app_metadata/tenant", "permissionsClaim": "scope",
                "auditPermission": "audit:read", "auditWritePermission": "audit:write",
            },
        ]
    )  # fmt: skip

    def of_partner(tenant: str, issuer: str = PARTNER) -> str:
        claims = token.claims(tenant, ["AUDIT", "AUDIT_WRITE"], iss=issuer)
        return token.remember(jwt.encode(claims, private_key, "RS256", {"kid": "current"}))

    def of_provider(tenant: str) -> str:
        return token.remember(request_token(provider, "ES256", "audit:read audit:write", tenant))

    def caller(tenant: str, bearer: str) -> Tenant:
        return Tenant(stack, http, tenant, bearer, Administrator(stack, bearer, http))

    # Each issuer speaks for its tenant: a caller writes to it, and reads what is in it.
    callers = {PARTNER: caller(partners, of_partner(partners)), provider: caller(providers, of_provider(providers))}
    sent, created = {}, {}
    for issuer, tenant in callers.items():
        sent[tenant.name] = tenant.send(make_events(2))
        created[tenant.name] = tenant.administrator.create_assumed_role(
            interval="EVERY_24_HOURS", bucketName="customer-audit", region="us-east-1",
            roleArn=f"arn:aws:iam::{ROLE_ACCOUNT}:role/audit-export",
        )["id"]  # fmt: skip
        (change,) = tenant.stored_changes()
        assert change["actor"]["issuer"] == issuer
    for tenant in callers.values():
        assert sorted(tenant.stored_ids()) == sorted(sent[tenant.name])
        assert [configuration["id"] for configuration in tenant.administrator.list()] == [created[tenant.name]]
        for other in set(created.values()) - {created[tenant.name]}:
            with pytest.raises(GraphQlFailed) as failed:
                tenant.administrator.get(other)
            assert failed.value.codes == ["NOT_FOUND"]

    # No issuer speaks for the tenant of the other, and no key signs for another issuer than its own.
    for case, bearer, reason in [
        ("the provider names the partner's tenant", of_provider(partners), "NO_TENANT"),
        ("the provider names a tenant of nobody", of_provider(prefix.rstrip("-")), "NO_TENANT"),
        ("the partner names the provider's tenant", of_partner(providers), "NO_TENANT"),
        ("the partner's key signs for the provider", of_partner(providers, provider), None),
        ("the partner's key signs for the issuer before", of_partner(partners, TOKEN_ISSUER), None),
        ("the issuer before", token(partners, "AUDIT", "AUDIT_WRITE"), None),
    ]:
        refused = caller(partners, bearer)
        for answer in (
            refused.administrator.post("{ getAllExportConfigurations { id } }"),
            refused.post_events(to_lines(make_events(1))),
        ):
            assert answer.status_code == 401, (case, answer.text)
            (error,) = answer.json()["errors"]
            assert error["extensions"] == {"code": "UNAUTHENTICATED"} | ({"reason": reason} if reason else {}), case
    for tenant in callers.values():
        assert sorted(tenant.stored_ids()) == sorted(sent[tenant.name])
        assert len(tenant.administrator.list()) == 1
