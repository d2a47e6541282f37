"""Authentication and authorization. Every token here is wrong in exactly one way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from infra.local.settings import TOKEN_AUDIENCE, TOKEN_DIRECTORY
from infra.local.stack import REQUEST_TIMEOUT_SECONDS, Stack
from tests.e2e.harness import Tenant, TokenFactory, make_events, to_lines

QUERY = {"query": "{ getAllExportConfigurations { id } }"}
TENANT = "access-test"
BOTH = ["AUDIT", "AUDIT_WRITE"]


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def encode_json(part: Any) -> str:
    return encode(json.dumps(part).encode())


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    return f"{encode_json(header)}.{encode_json(claims)}.{encode(signature)}"


def hmac_signed(token: TokenFactory, secret: bytes, algorithm: str = "HS256") -> str:
    """Algorithm confusion: the public key as the secret of an HMAC."""
    header = encode_json({"alg": algorithm, "typ": "JWT", "kid": token.key_id})
    body = f"{header}.{encode_json(token.claims(TENANT, BOTH))}"
    return f"{body}.{encode(hmac.new(secret, body.encode(), hashlib.sha256).digest())}"


def public_pem(token: TokenFactory) -> bytes:
    key = serialization.load_pem_private_key(token.private_key.encode(), None)
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def foreign_ec(token: TokenFactory, headers: dict[str, Any] | None = None) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(token.claims(TENANT, BOTH), key, "ES256", {"kid": token.key_id} | (headers or {}))


def foreign_rsa(token: TokenFactory) -> str:
    key = rsa.generate_private_key(65_537, 2_048)
    return jwt.encode(token.claims(TENANT, BOTH), key, "RS256", {"kid": token.key_id})


def foreign_ed25519(token: TokenFactory) -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    return jwt.encode(token.claims(TENANT, BOTH), key, "EdDSA", {"kid": token.key_id})


def duplicate_name(token: TokenFactory) -> str:
    """A token, rightly signed, in which two readers may see different claims."""
    claims = json.dumps(token.claims(TENANT, BOTH) | {"app": {"tenant": TENANT}})
    claims = claims.replace('{"tenant":', '{"tenant": "victim", "tenant":')
    body = f"{encode_json({'alg': 'ES256', 'kid': token.key_id})}.{encode(claims.encode())}"
    key = serialization.load_pem_private_key(token.private_key.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(body.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{body}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def own_key_in_header(token: TokenFactory) -> str:
    """A token signed with the attacker's key, which its header contains."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    return jwt.encode(token.claims(TENANT, BOTH), key, "ES256", {"kid": token.key_id, "jwk": public})


def tampered(token: TokenFactory) -> str:
    header, _, signature = token.sign(token.claims(TENANT, ["AUDIT_WRITE"])).split(".")
    return f"{header}.{encode_json(token.claims('victim', BOTH))}.{signature}"


def der_signature(token: TokenFactory) -> str:
    """A valid signature in ASN.1. JWS requires the two numbers side by side."""

    key = serialization.load_pem_private_key(token.private_key.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    body = f"{encode_json({'alg': 'ES256', 'kid': token.key_id})}.{encode_json(token.claims(TENANT, BOTH))}"
    return f"{body}.{encode(key.sign(body.encode(), ec.ECDSA(hashes.SHA256())))}"


def with_header(**header: Any) -> Callable[[TokenFactory], str]:
    return lambda token: token.sign(token.claims(TENANT, BOTH), header)


def with_claims(**changes: Any) -> Callable[[TokenFactory], str]:
    return lambda token: token.sign(token.claims(TENANT, BOTH) | changes)


def without(*names: str) -> Callable[[TokenFactory], str]:
    def make(token: TokenFactory) -> str:
        claims = token.claims(TENANT, BOTH)
        return token.sign({name: value for name, value in claims.items() if name not in names})

    return make


def at(**seconds_from_now: float) -> Callable[[TokenFactory], str]:
    return lambda token: token.sign(
        token.claims(TENANT, BOTH) | {name: int(time.time() + seconds) for name, seconds in seconds_from_now.items()}
    )


WRONG_TOKENS: dict[str, Callable[[TokenFactory], str]] = {
    "garbage": lambda token: "garbage",
    "two parts": lambda token: "e30.e30",
    "four parts": lambda token: token(TENANT, *BOTH) + ".e30",
    "empty parts": lambda token: "..",
    "padding": lambda token: token(TENANT, *BOTH) + "=",
    "something behind it": lambda token: token(TENANT, *BOTH) + " x",
    "longer than 8 KiB": with_claims(padding="x" * 9_000),
    "alg none": lambda token: unsigned({"alg": "none", "kid": token.key_id}, token.claims(TENANT, BOTH)),
    "alg None": lambda token: unsigned({"alg": "NoNe", "kid": token.key_id}, token.claims(TENANT, BOTH), b"x"),
    "no alg": lambda token: unsigned({"kid": token.key_id}, token.claims(TENANT, BOTH), b"x" * 64),
    "no signature": lambda token: token(TENANT, *BOTH).rsplit(".", 1)[0] + ".",
    "signature of zeros": lambda token: token(TENANT, *BOTH).rsplit(".", 1)[0] + "." + encode(bytes(64)),
    "HMAC with the public key": lambda token: hmac_signed(token, public_pem(token)),
    "HMAC with the key set": lambda token: hmac_signed(token, (TOKEN_DIRECTORY / "jwks.json").read_bytes()),
    "HMAC with the public key, under PS256": lambda token: hmac_signed(token, public_pem(token), "PS256"),
    "Ed25519 with our key id": foreign_ed25519,
    "duplicate name in an object": duplicate_name,
    "another algorithm of the same kind": lambda token: unsigned(
        {"alg": "ES384", "kid": token.key_id}, token.claims(TENANT, BOTH), bytes(96)
    ),
    "another's key under our key id": foreign_ec,
    "another's RSA key under our key id": foreign_rsa,
    "signature in ASN.1": der_signature,
    "payload changed": tampered,
    "unknown key id": with_header(kid="unknown"),
    "key id with a path": with_header(kid="../../dev/null"),
    "empty key id": with_header(kid=""),
    "jku": with_header(jku="https://attacker.invalid/jwks.json"),
    "x5u": with_header(x5u="https://attacker.invalid/certificate.pem"),
    "x5c": with_header(x5c=["AAAA"]),
    "jwk": own_key_in_header,
    "crit": with_header(crit=["exp"]),
    "logout token": with_header(typ="logout+jwt"),
    "another issuer": with_claims(iss="https://attacker.invalid"),
    "issuer with a slash": with_claims(iss="https://development.audit-export.invalid/"),
    "no issuer": without("iss"),
}

# Tokens that are rightly signed, by the reason that the caller learns.
FAULTY_TOKENS: dict[tuple[str, str], Callable[[TokenFactory], str]] = {
    ("EXPIRED", "expired"): at(exp=-90),
    ("EXPIRED", "no exp"): without("exp"),
    ("EXPIRED", "exp as text"): with_claims(exp="9999999999"),
    ("EXPIRED", "exp is null"): with_claims(exp=None),
    ("NOT_YET_VALID", "not valid yet"): at(nbf=120),
    ("WRONG_AUDIENCE", "another audience"): with_claims(aud="another-service"),
    ("WRONG_AUDIENCE", "audiences without ours"): with_claims(aud=["another-service", "audit-exporter"]),
    ("WRONG_AUDIENCE", "no audience"): without("aud"),
    ("WRONG_AUDIENCE", "client without token_use"): lambda token: token.sign(
        {name: value for name, value in token.claims(TENANT, BOTH).items() if name != "aud"}
        | {"client_id": TOKEN_AUDIENCE}
    ),
    ("NOT_AN_ACCESS_TOKEN", "ID token of Cognito"): with_claims(token_use="id"),
    ("NOT_AN_ACCESS_TOKEN", "ID token of Keycloak"): with_claims(typ="ID"),
    ("NO_TENANT", "no tenant"): without("tenant_id"),
    ("NO_TENANT", "empty tenant"): with_claims(tenant_id=""),
    ("NO_TENANT", "array as tenant"): with_claims(tenant_id=[TENANT]),
    ("NO_TENANT", "number as tenant"): with_claims(tenant_id=7),
    ("NO_TENANT", "tenant that forges a key"): with_claims(tenant_id="victim#00"),
    ("NO_TENANT", "tenant with a space"): with_claims(tenant_id=" victim"),
    ("NO_TENANT", "tenant under another name"): lambda token: token.sign(
        token.claims(None, BOTH) | {"tenantId": TENANT}
    ),
    ("INVALID_CLAIM", "no subject"): without("sub"),
    ("INVALID_CLAIM", "object as permissions"): with_claims(permissions={"AUDIT": True, "AUDIT_WRITE": True}),
}


def post_graphql(stack: Stack, http: requests.Session, authorization: str | None) -> requests.Response:
    headers = {} if authorization is None else {"authorization": authorization}
    return http.post(stack.graphql_url, json=QUERY, headers=headers, timeout=REQUEST_TIMEOUT_SECONDS)


def post_events(stack: Stack, http: requests.Session, authorization: str | None) -> requests.Response:
    headers = {"content-type": "application/x-ndjson"}
    if authorization is not None:
        headers["authorization"] = authorization
    return http.post(stack.events_url, data=to_lines(make_events(1)), headers=headers, timeout=REQUEST_TIMEOUT_SECONDS)


BOTH_ENDPOINTS = pytest.mark.parametrize("post", [post_graphql, post_events])


def code_of(answer: requests.Response) -> str:
    [error] = answer.json()["errors"]
    return error["extensions"]["code"]


@BOTH_ENDPOINTS
def test_the_right_token_is_taken(stack: Stack, http: requests.Session, token: TokenFactory, post: Any) -> None:
    right: list[Callable[[TokenFactory], str]] = [
        lambda token: token(TENANT, *BOTH),
        lambda token: token(TENANT, *BOTH, "OTHER"),
        # Within the leeway of 60 s.
        at(exp=-5),
        at(nbf=30),
        with_claims(aud=["another-service", "audit-export"]),
        with_claims(permissions="OTHER AUDIT AUDIT_WRITE"),
        with_header(typ="at+jwt"),
    ]
    for make in right:
        # Made just before it is used.
        answer = post(stack, http, f"Bearer {make(token)}")
        assert answer.status_code in (200, 202), answer.text
        assert "errors" not in answer.json()


def challenge_of(answer: requests.Response) -> str:
    """Returns the challenge. API Gateway renames the header of a function's response."""
    return answer.headers.get("x-amzn-Remapped-WWW-Authenticate") or answer.headers["WWW-Authenticate"]


@BOTH_ENDPOINTS
@pytest.mark.parametrize("case", WRONG_TOKENS)
def test_a_forged_token_is_refused_without_a_hint(
    stack: Stack, http: requests.Session, token: TokenFactory, post: Any, case: str
) -> None:
    wrong = WRONG_TOKENS[case](token)
    answer = post(stack, http, f"Bearer {wrong}")
    assert answer.status_code == 401, f"{answer.status_code} {answer.text}"
    # The same response as for what is no token at all.
    reference = post(stack, http, "Bearer garbage")
    assert answer.json()["errors"] == reference.json()["errors"]
    assert challenge_of(answer) == challenge_of(reference)
    assert answer.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


@BOTH_ENDPOINTS
@pytest.mark.parametrize(("reason", "case"), FAULTY_TOKENS)
def test_a_refusal_says_what_the_token_says_of_itself(
    stack: Stack, http: requests.Session, token: TokenFactory, post: Any, reason: str, case: str
) -> None:
    answer = post(stack, http, f"Bearer {FAULTY_TOKENS[reason, case](token)}")
    assert answer.status_code == 401, f"{answer.status_code} {answer.text}"
    [error] = answer.json()["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED", "reason": reason}
    assert (
        challenge_of(answer)
        == f'Bearer realm="audit-export", error="invalid_token", error_description="{error["message"]}"'
    )


def test_a_missing_permission_is_named(stack: Stack, http: requests.Session, token: TokenFactory) -> None:
    answer = post_events(stack, http, f"Bearer {token(TENANT, 'AUDIT')}")
    [error] = answer.json()["errors"]
    assert error["extensions"] == {"code": "FORBIDDEN", "requiredPermission": "AUDIT_WRITE"}
    assert challenge_of(answer).startswith('Bearer realm="audit-export", error="insufficient_scope"')
    # The claim `permissions` has no scopes that a client could request.
    assert "scope=" not in challenge_of(answer)


@BOTH_ENDPOINTS
@pytest.mark.parametrize("scheme", ["", "Basic ", "Bearer", "Bearer\t", "Token "])
def test_only_bearer_tokens_count(
    stack: Stack, http: requests.Session, token: TokenFactory, post: Any, scheme: str
) -> None:
    answer = post(stack, http, scheme + token(TENANT, *BOTH))
    assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED")


@BOTH_ENDPOINTS
def test_a_request_without_a_token_gets_a_challenge_without_an_error(
    stack: Stack, http: requests.Session, post: Any
) -> None:
    for authorization in (None, "Bearer", "Basic YTpi"):
        answer = post(stack, http, authorization)
        assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED")
        assert answer.json()["errors"][0]["message"] == "A valid bearer token is required."
        assert challenge_of(answer) == 'Bearer realm="audit-export"'


@pytest.mark.parametrize(
    ("post", "permissions"),
    [
        (post_graphql, ["AUDIT_WRITE"]),
        (post_graphql, ["audit"]),
        (post_graphql, ["AUDIT_", "XAUDIT", "AUDIT AUDIT"]),
        (post_graphql, []),
        (post_events, ["AUDIT"]),
        (post_events, ["AUDIT_WRITE_ALL"]),
        (post_events, []),
    ],
)
def test_each_endpoint_wants_its_own_permission(
    stack: Stack, http: requests.Session, token: TokenFactory, post: Any, permissions: list[str]
) -> None:
    answer = post(stack, http, f"Bearer {token(TENANT, *permissions)}")
    assert (answer.status_code, code_of(answer)) == (403, "FORBIDDEN")


@pytest.mark.parametrize("body", [b"{", b"\x1f\x8bgarbage", b"x" * 4_000_000], ids=["no JSON", "no gzip", "too large"])
@pytest.mark.parametrize("endpoint", ["graphql_url", "events_url"])
def test_the_token_is_looked_at_before_the_body(
    stack: Stack, http: requests.Session, token: TokenFactory, endpoint: str, body: bytes
) -> None:
    url = getattr(stack, endpoint)
    for authorization, status in ((None, 401), (f"Bearer {token(TENANT)}", 403)):
        headers = {"content-type": "text/plain"} | ({"authorization": authorization} if authorization else {})
        answer = http.post(url, data=body, headers=headers, timeout=REQUEST_TIMEOUT_SECONDS)
        assert answer.status_code == status, answer.text


def test_the_tenant_comes_from_the_token_alone(tenant: Tenant, make_tenant: Any) -> None:
    victim = make_tenant()
    tenant.send(make_events(2, tenantId=victim.name))
    assert victim.stored_blocks() == []
    assert {event["tenantId"] for event in tenant.stored_events()} == {tenant.name}


def test_other_methods_and_paths_have_the_error_shape(stack: Stack, http: requests.Session) -> None:
    for method, url in (("GET", stack.graphql_url), ("DELETE", stack.events_url), ("POST", f"{stack.api_url}/other")):
        answer = http.request(method, url, timeout=REQUEST_TIMEOUT_SECONDS)
        assert 400 <= answer.status_code < 500, answer.text
