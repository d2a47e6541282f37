"""Fuzz tests of the API: every response has the documented form, none contains a secret, and tenants are kept apart.

Schemathesis generates valid and invalid GraphQL requests from the committed schema. Each is then made more dangerous: ids and
cursors of this tenant and of another one, values that look valid, values moved into variables, both broken in turn. Other
requests are broken at the level of HTTP or JSON.

AUDIT_EXPORT_FUZZ_REQUESTS sets the number of requests of both kinds together, AUDIT_EXPORT_FUZZ_SEED the seed. The same seed gives
the same requests, except for the ids of the stack.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import graphql
import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies
from schemathesis import GenerationMode

from infra.local.settings import ROOT
from infra.local.stack import Administrator, Stack
from tests.e2e.harness import CustomerFactory, Record, Tenant, TokenFactory, make_events

REQUESTS = int(os.environ.get("AUDIT_EXPORT_FUZZ_REQUESTS", "3000"))
SEED = int(os.environ.get("AUDIT_EXPORT_FUZZ_SEED", "1"))
# The number of requests that are broken at the level of HTTP or JSON, for 100 of GraphQL.
HTTP_PERCENT = 20
CONCURRENCY = 16
# API Gateway gives up after 29 s. The emulator does not, and on a slow machine the requests wait for each other.
TIMEOUT_SECONDS = 120
# The share of valid values among those that are chosen by name.
RIGHT_SHARE = 0.8
# A conflict of two changes may be answered with BUSY, but only rarely.
MAX_BUSY_PERCENT = 2
# The API's limit for one request.
MAX_ROOT_FIELDS = 10
# The limit of exports, each of which takes the exporter some time.
MAX_RUNS = 10
SCHEMA_FILE = ROOT / "functions" / "api" / "schema.graphql"

# Values that are wrong for any field.
WEIRD: list[Any] = [
    None, True, 0, -1, 2**31, 2**63, 10**400, -(10**400), 1.5, 1e308, 5e-324, "", " ", "\0", "a\0b", "\ud800", "\udfff\ud800",
    "\u202e", "\ufeff", "\U0001f600" * 300, "x" * 40_000, "../../..", "'; DROP TABLE x; --", "${jndi:ldap://127.0.0.1/x}",
    "{{7*7}}", "%00", "\r\nSet-Cookie: a=b", [], [[]], [None], {}, {"a": {"b": {}}}, {"__proto__": {}}, "usage", "tests#0",
    "idempotency#0", "g",
]  # fmt: skip

TOKENS = [
    "{", "}", "(", ")", "[", "]", '"', '"""', "'", "...", "@", "$", "!", ":", "=", "|", "&", "#", ",", "\\", "\0", "\x07",
    "\ufeff", "\u2028", "\U0001f600", "\\u0000", "\\uD800", "\\u{110000}", "null", "true", "-0", "1e999", "0x1", "9" * 400,
    "query", "mutation", "subscription", "fragment", "on", "query q { __typename }", "fragment A on Query { ...A }", "...A",
    "... on Mutation { __typename }", "@skip(if: true)", "@include(if: $x)", "@skip(if: true) @skip(if: true)", "$x: ID! = 1",
    "__schema { types { name fields { name } } }", '__type(name: "Query") { name }', "__typename", "a: __typename ",
]  # fmt: skip


def huge_documents() -> list[str]:
    """Returns documents that each exceed another limit, and would take long to execute."""
    fields = "getAllExportConfigurations { id }"
    doubling = "".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(30))
    return [
        "{" * 30_000,
        "[" * 30_000,
        "query(" * 10_000,
        "{ getExportConfiguration(id: " + "[" * 10_000 + "]" * 10_000 + ") { id } }",
        "{ " + "".join(f"a{n}: {fields} " for n in range(1_000)) + "}",
        "{ " + f"{fields} " * 1_000 + "}",
        "{ getAllExportConfigurations { " + "id " * 10_000 + "} }",
        "{ getAllExportConfigurations " + "@skip(if: false) " * 2_000 + "{ id } }",
        "".join(f"query q{n} {{ {fields} }}" for n in range(1_000)),
        f"{{ ...f0 }} {doubling} fragment f30 on Query {{ {fields} }}",
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
        "mutation { " + "".join(f'a{n}: testExportConfiguration(id: "{n}") {{ id }} ' for n in range(8)) + "}",
        "query(" + "".join(f"$v{n}: ID " for n in range(5_000)) + ") { __typename }",
        '{ getExportConfiguration(id: "' + "\\u0041" * 10_000 + '") { id } }',
        "# " + "x" * 60_000 + "\n{ __typename }",
        "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }",
    ]


# ----------------------------------------------------------------------------------------------------------------------
# The values that are used, and those that must not be returned
# ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Victim:
    """Another tenant: the marks that identify it, and the state in which it must stay."""

    administrator: Administrator
    marks: list[str]
    ids: list[str]
    before: list[dict[str, Any]]


@dataclass
class Values:
    """Values of a field or argument: valid ones, and ones that only look valid."""

    right: list[Any]
    wrong: list[Any]

    def draw(self, choose: random.Random) -> Any:
        return choose.choice(self.right if choose.random() < RIGHT_SHARE else self.wrong)


@dataclass
class World:
    own: Tenant
    victim: Victim
    doomed_ids: list[str]
    """The configurations that may be deleted."""
    secrets: list[str]
    """Secrets in fields for secrets: no response contains them."""
    misplaced: list[str]
    """Secrets in other fields: no error contains them. A description is returned, of course."""
    values: dict[str, Values]
    runs: int = 0


def of_people(configurations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the configurations without the fields that scheduled exports change."""
    return [
        {name: value for name, value in configuration.items() if not name.startswith("connection")}
        for configuration in configurations
    ]


@pytest.fixture(scope="module")
def world(
    stack: Stack, record: Record, token: TokenFactory, customers: CustomerFactory, make_tenant: Callable[..., Tenant]
) -> Iterator[World]:
    own = make_tenant(f"fuzzer-{uuid.uuid4().hex[:12]}")
    mark = f"victim-{uuid.uuid4().hex[:12]}"
    other = make_tenant(mark)
    other.administrator = Administrator(stack, token(mark, "AUDIT", sub=f"{mark}-person"), own.http)

    customer, other_customer = (customers.with_access_key(tenant=tenant) for tenant in (own, other))
    # Creates jobs and tasks.
    for exporting in (customer, other_customer):
        exporting.tenant.send(make_events(2))
    for exporting in (customer, other_customer):
        exporting.run_export([""] * 2)

    def create() -> str:
        return customers.with_role(tenant=own, account=customer.account, create_role=False).id

    stable = [customer.id, *(create() for _ in range(3))]
    doomed = [create() for _ in range(8)]
    ids = [other_customer.id]
    for _ in range(2):
        created = other.administrator.create_assumed_role(
            interval="EVERY_24_HOURS", bucketName=f"{mark}-bucket", bucketPath=f"{mark}-path", region="eu-west-1",
            roleArn=f"arn:aws:iam::444444444444:role/{mark}-role", description=f"{mark}-description",
        )  # fmt: skip
        ids.append(created["id"])
    other.administrator.disable(ids[1])
    page = "query { exportConfigurations(first: 1) { pageInfo { endCursor } } }"
    cursors = [
        tenant.administrator.execute(page)["exportConfigurations"]["pageInfo"]["endCursor"] for tenant in (own, other)
    ]
    victim = Victim(
        other.administrator, [mark, other_customer.account.bucket], ids, of_people(other.administrator.list())
    )

    # Letters and digits only, so that it is a valid name in GraphQL as well.
    secrets, misplaced = (
        [f"{'x'.join(uuid.uuid4().hex for _ in range(2))[:39]}{end}" for end in "a/+"] for _ in range(2)
    )
    record.secrets.update(secrets)
    unknown = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b"
    jobs = [f"{customer.id}.{number}" for number in range(3)]
    no_jobs = [
        f"{i}.{n}" for i in [*ids, stable[1], unknown] for n in ("0", "1", "99999999999999999999", "-1", "x", "")
    ]
    values = {
        "id": Values(stable, [*ids, unknown]),
        "exportConfigurationId": Values(stable, [*ids, unknown]),
        "exportJobId": Values(jobs, no_jobs),
        "first": Values([1, 2, 100], [0, -1, 101, 2**31 - 1]),
        "after": Values(cursors, ["", "0", "=", "AAAA", "e30", "eyJ0ZW5hbnRJZCI6InZpY3RpbSJ9", mark, "x" * 5_000]),
        "bucketName": Values([customer.account.bucket], ["fuzzer", "a.b.c", "xn--a", "a--x-s3"]),
        "bucketPath": Values(["a", "a/b"], ["", "/", "..", "a//b"]),
        "region": Values(["us-east-1"], ["eu-west-1", "us-gov-west-1", "cn-north-1", "moon-1"]),
        # Nothing listens there.
        "endpointUrl": Values(
            ["https://localhost:1024"], ["http://s3.example.com", "https://10.0.0.1", "https://minio"]
        ),
        "roleArn": Values(
            [customer.account.role_arn("fuzzer"), "arn:aws:iam::222222222222:role/audit-export/a/b"],
            ["arn:aws:iam::111111111111:role/own", "arn:aws-cn:iam::222222222222:role/x"],
        ),
        "accessKeyId": Values([customer.access_key.access_key_id, "AKIAIOSFODNN7EXAMPLE"], ["ASIAIOSFODNN7EXAMPLE"]),
        "secretAccessKey": Values(secrets, ["x"]),
        "kmsKeyArn": Values(
            ["arn:aws:kms:us-east-1:333333333333:key/1234abcd-12ab-34cd-56ef-1234567890ab"], ["alias/aws/s3"]
        ),
        "expectedBucketOwner": Values(["333333333333"], ["12345678901"]),
        "startFrom": Values(
            ["now", "earliest", "2026-01-31T00:00:00Z"], ["2026-01-31T00:00:00+25:00", "9999-12-31T23:59:59Z"]
        ),
        "idempotencyKey": Values(["fuzzer-1", "fuzzer-2", "x" * 128], ["x" * 129]),
        "description": Values(["", "A description.", "\U0001f600" * 256], ["line\nbreak", "x" * 257]),
    }
    yield World(own, victim, doomed, secrets, misplaced, values)

    # Otherwise the schedules would run the remaining configurations once they fire again.
    for tenant in (own, other):
        left = [configuration["id"] for configuration in tenant.administrator.list()]
        for start in range(0, len(left), MAX_ROOT_FIELDS):
            deletions = [
                f'd{number}: deleteExportConfiguration(id: "{configuration_id}") {{ id }}'
                for number, configuration_id in enumerate(left[start : start + MAX_ROOT_FIELDS])
            ]
            tenant.administrator.execute(f"mutation {{ {' '.join(deletions)} }}")


@pytest.fixture(scope="module")
def codes(command: Path) -> dict[str, set[str]]:
    """The error codes by the place where they appear, from `audit-export explain`."""
    listed = subprocess.run([command, "explain", "--output", "json"], capture_output=True, check=True, text=True)
    by_place: dict[str, set[str]] = {}
    for entry in json.loads(listed.stdout):
        for place in entry["places"]:
            by_place.setdefault(place, set()).add(entry["code"])
    assert set(by_place) >= {"GraphQL", "HTTP", "Ingest", "Field", "Connection"}
    return by_place


# ----------------------------------------------------------------------------------------------------------------------
# Requests
# ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Request:
    body: bytes
    is_graphql: bool = True
    """A POST of JSON with a valid token, which GraphQL answers or which is refused for its body."""
    path: str = "graphql"
    method: str = "POST"
    headers: dict[str, str | bytes] = field(default_factory=lambda: {"content-type": "application/json"})
    has_token: bool = True

    def __str__(self) -> str:
        body = self.body if len(self.body) < 2_000 else self.body[:2_000] + b"..."
        return f"{self.method} {self.path} {self.headers} {body!r}"


def for_each_document(count: int, mode: GenerationMode, use: Callable[[str], None]) -> None:
    """Generates documents from the schema, the same for the same seed."""
    schema = schemathesis.graphql.from_path(SCHEMA_FILE)
    # The committed schema has no invalid operation; ok() fails on one.
    operations: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=count, database=None, deadline=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(strategies.one_of([operation.as_strategy(generation_mode=mode) for operation in operations]))
    def each(case: Any) -> None:
        use(case.body)

    each()


class Plausible(graphql.Visitor):
    """Replaces arguments with values that pass more checks than random ones."""

    def __init__(self, world: World, choose: random.Random, root_fields: list[str]) -> None:
        super().__init__()
        self.world = world
        self.choose = choose
        self.values = world.values
        if "deleteExportConfiguration" in root_fields:
            self.values = self.values | {"id": Values(world.doomed_ids, world.victim.ids)}
        elif "runExportConfiguration" in root_fields:
            if world.runs >= MAX_RUNS:
                self.values = self.values | {"id": Values(world.victim.ids, world.victim.ids)}
            world.runs += 1

    def _replace(self, node: Any, *_: Any) -> Any:
        if not isinstance(node.value, graphql.StringValueNode | graphql.IntValueNode) or self.choose.random() < 0.1:
            return None
        if node.name.value in self.values:
            value = self.values[node.name.value].draw(self.choose)
        elif self.choose.random() < 0.1:
            value = self.choose.choice(self.world.misplaced)
        else:
            return None
        literal = (
            graphql.IntValueNode(value=str(value)) if isinstance(value, int) else graphql.StringValueNode(value=value)
        )
        return type(node)(name=node.name, value=literal)

    enter_argument = _replace
    enter_object_field = _replace


class Hoist(graphql.Visitor):
    """Moves every argument's value into a variable."""

    def __init__(self, types: graphql.TypeInfo) -> None:
        super().__init__()
        self.types = types
        self.declared: list[str] = []
        self.values: dict[str, Any] = {}

    def enter_argument(self, node: graphql.ArgumentNode, *_: Any) -> Any:
        argument = self.types.get_argument()
        if argument is None:
            return None
        name = f"v{len(self.declared)}"
        self.declared.append(f"${name}: {argument.type}")
        self.values[name] = graphql.value_from_ast_untyped(node.value)
        variable = graphql.VariableNode(name=graphql.NameNode(value=name))
        return graphql.ArgumentNode(name=node.name, value=variable)


def root_fields(document: graphql.DocumentNode) -> list[str]:
    return [
        selection.name.value
        for definition in document.definitions
        if isinstance(definition, graphql.OperationDefinitionNode)
        for selection in definition.selection_set.selections
        if isinstance(selection, graphql.FieldNode)
    ]


def hoist(document: graphql.DocumentNode, schema: graphql.GraphQLSchema) -> tuple[str, dict[str, Any]]:
    types = graphql.TypeInfo(schema)
    visitor = Hoist(types)
    text = graphql.print_ast(graphql.visit(document, graphql.TypeInfoVisitor(types, visitor)))
    if not visitor.declared:
        return text, {}
    head = f"({', '.join(visitor.declared)})"
    for kind in ("query", "mutation"):
        if text.startswith(f"{kind} "):
            return f"{kind} {head}{text.removeprefix(kind)}", visitor.values
    return f"query {head} {text}", visitor.values


def break_text(text: str, choose: random.Random, extra: list[str]) -> str:
    for _ in range(choose.randint(1, 4)):
        at = choose.randint(0, len(text))
        match choose.randrange(4):
            case 0:
                text = text[:at] + text[at + choose.randint(1, 10) :]
            case 1:
                text = text[:at] + choose.choice([*TOKENS, *extra]) + text[at:]
            case 2:
                text = text[:at]
            case _:
                end = min(len(text), at + choose.randint(1, 60))
                text = text[:at] + text[at:end] * choose.randint(2, 40) + text[end:]
    return text


def break_value(value: Any, choose: random.Random, extra: list[str]) -> Any:
    """Replaces one part of a JSON value with a weird one."""
    if isinstance(value, dict) and value and choose.random() < 0.8:
        name = choose.choice(sorted(value))
        if choose.random() < 0.1:
            return {other: value[other] for other in value if other != name}
        return value | {name: break_value(value[name], choose, extra)}
    if isinstance(value, dict) and choose.random() < 0.3:
        return value | {choose.choice([*extra, "a\0", "\ud800", "__proto__", "x" * 10_000]): choose.choice(WEIRD)}
    if choose.random() < 0.2:
        nested: Any = choose.choice(extra)
        for _ in range(choose.choice([2, 60, 130, 300])):
            nested = [nested] if choose.random() < 0.5 else {"a": nested}
        return nested
    return choose.choice([*WEIRD, *extra])


def graphql_request(text: str, schema: graphql.GraphQLSchema, world: World, choose: random.Random) -> Request:
    """Makes a document more dangerous."""
    extra = [*world.misplaced, *world.victim.ids]
    variables: Any = {}
    document = graphql.parse(text)
    document = graphql.visit(document, Plausible(world, choose, root_fields(document)))
    if choose.random() < 0.5:
        text, variables = hoist(document, schema)
    else:
        text = graphql.print_ast(document)
    fault = choose.random()
    if fault < 0.15:
        text = break_text(text, choose, extra)
    elif fault < 0.4 and variables:
        variables = break_value(variables, choose, extra)
    body: dict[str, Any] = {"query": text, "variables": variables}
    if choose.random() < 0.05:
        body["operationName"] = choose.choice([*WEIRD, *extra])
    if choose.random() < 0.05:
        body["extensions"] = choose.choice(WEIRD)
    return Request(json.dumps(body).encode())


def http_requests(world: World, choose: random.Random) -> Iterator[Request]:
    """Yields requests that are broken at the level of HTTP or JSON, and requests with broken events, without end."""
    query = b'{"query": "{ getAllExportConfigurations { id } }"}'
    event = b'{"id": "1", "eventTimestamp": "2026-01-31T00:00:00Z"}'
    secret = world.misplaced[0].encode()
    methods = ["POST"] * 12 + ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"]
    types: list[str | bytes | None] = [
        None, "", "application/json", "application/json; charset=utf-8", "application/json; charset=utf-16", "text/plain",
        "application/graphql", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/x-ndjson",
        "application/json, text/plain", "application/json;" + ";" * 1_000, b"application/json\xff", "*/*", "a" * 4_000,
    ]  # fmt: skip
    more: list[dict[str, str | bytes]] = [
        {"audit-export-version": "0.0.1"}, {"audit-export-version": "99.0.0"}, {"audit-export-version": b"\xff"},
        {"idempotency-key": "x" * 300}, {"idempotency-key": "a b"}, {"content-encoding": "gzip"}, {"content-encoding": "br"},
        {"x-http-method-override": "GET"}, {"x-amzn-trace-id": "Root=x"}, {"accept": "text/html"}, {"origin": "https://a.example"},
        {"cookie": "a=" + "b" * 3_000}, {"x-forwarded-for": "127.0.0.1"}, {"range": "bytes=0-1"}, {"expect": "200-ok"},
    ]  # fmt: skip

    def multipart() -> bytes:
        operations = b'{"query": "mutation($f: Upload!) { a(f: $f) }", "variables": {"f": null}}'
        return b'--x\r\ncontent-disposition: form-data; name="operations"\r\n\r\n' + operations + b"\r\n--x--\r\n"

    def body(is_event: bool) -> bytes:
        base = event if is_event else query
        parts: list[Callable[[], bytes]] = [
            lambda: base, lambda: base[: choose.randint(0, len(base))], lambda: b"[" + base + b"]", lambda: base + b"\n" + base,
            lambda: choose.randbytes(choose.randint(0, 300)), lambda: b"", lambda: b"null", lambda: b"\xef\xbb\xbf" + base,
            lambda: b"[" * choose.choice([10, 129, 50_000]), lambda: b'{"a":' * choose.choice([10, 129, 10_000]),
            lambda: gzip.compress(base), lambda: gzip.compress(base)[:-3], lambda: gzip.compress(bytes(20_000_000)),
            lambda: b" " * 70_000, lambda: base.replace(b'"1"', b"9" * 5_000), lambda: base.replace(b"{", b"{\0", 1),
            lambda: base.decode().encode("utf-16"), lambda: base.replace(b"id", b"\\ud800"), lambda: base.replace(b"id", b"\xff"),
            lambda: base[:-1] + b"," + base[1:], lambda: b'{"query": "' + secret + b'"}', lambda: b'{"query": ' + secret + b"}",
            lambda: b'{"query": 1e999}', lambda: base[:-1] + b', "variables": [1]}', lambda: b"[" + b",".join([base] * 50) + b"]",
            multipart, lambda: b"query=%7B__typename%7D",
        ]  # fmt: skip
        return choose.choice(parts)()

    while True:
        path = choose.choice(
            ["graphql"] * 3 + ["events"] * 3 + ["", "graphql/", "nothing", "%00", "graphql?query={__typename}"]
        )
        headers: dict[str, str | bytes] = {}
        content_type = choose.choice(types) if choose.random() < 0.5 else "application/json"
        if content_type is not None:
            headers["content-type"] = content_type
        if choose.random() < 0.4:
            headers |= choose.choice(more)
        has_token = choose.random() < 0.9
        yield Request(body(path == "events"), False, path, choose.choice(methods), headers, has_token)


# ----------------------------------------------------------------------------------------------------------------------
# Responses
# ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    request: Request
    status: int
    content_type: str
    text: str
    seconds: float


class Sender:
    """Sends the requests from several threads, each with its own connection."""

    def __init__(self, stack: Stack, record: Record, tokens: dict[str, str]) -> None:
        self.base = f"{stack.api_url}/api/audit"
        self.record = record
        self.tokens = tokens
        self.local = threading.local()

    def __call__(self, request: Request) -> Answer:
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
            self.local.session.hooks["response"].append(self.record.keep)
        headers = dict(request.headers)
        if request.has_token:
            kind = "AUDIT_WRITE" if request.path == "events" else "AUDIT"
            headers["authorization"] = f"Bearer {self.tokens[kind]}"
        started = time.monotonic()
        answer = self.local.session.request(
            request.method, f"{self.base}/{request.path}", data=request.body, headers=headers, timeout=TIMEOUT_SECONDS
        )
        seconds = time.monotonic() - started
        return Answer(request, answer.status_code, answer.headers.get("content-type", ""), answer.text, seconds)


def faults(answer: Answer, world: World, codes: dict[str, set[str]]) -> Iterator[str]:
    """Yields the problems of a response."""
    if answer.status >= 500:
        yield f"status {answer.status}"
    if answer.content_type != "application/json":
        yield f"content type {answer.content_type}"
    for secret in [*world.secrets, *world.victim.marks]:
        if secret in answer.text:
            yield f"contains the secret {secret[:10]}…"
    try:
        body = json.loads(answer.text)
    except ValueError:
        yield "no JSON"
        return
    if not isinstance(body, dict):
        yield "no object"
        return
    is_graphql = answer.status == 200
    if answer.status == 202:
        if set(body) != {"accepted"}:
            yield "not the shape of ingest"
        return
    if not set(body) <= {"data", "errors"} or ("errors" in body) < (not is_graphql):
        yield "not the shape of GraphQL"
        return
    if is_graphql and "data" not in body and "errors" not in body:
        yield "neither data nor errors"
    if body.get("errors") == []:
        yield "no error among the errors"
    errors = json.dumps(body.get("errors"))
    for secret in world.misplaced:
        if secret in errors:
            yield f"repeats {secret[:10]}…"
    known = codes["GraphQL"] if is_graphql else codes["HTTP"] | codes["Ingest"]
    for error in body.get("errors", []):
        extensions = error.get("extensions", {})
        code = extensions.get("code")
        if code not in known or code == "INTERNAL":
            yield f"code {code}"
        if not isinstance(error.get("message"), str) or not error["message"]:
            yield "no message"
        for of_field in extensions.get("fields", []):
            if of_field.get("code") not in codes["Field"]:
                yield f"field code {of_field.get('code')}"


def codes_of(answer: Answer) -> list[str]:
    try:
        errors = json.loads(answer.text).get("errors", [])
    except (ValueError, AttributeError):
        return ["?"]
    return [str(error.get("extensions", {}).get("code")) for error in errors] or [str(answer.status)]


@pytest.mark.requires("gateway responses")
@pytest.mark.timeout(900 + REQUESTS)
def test_every_request_gets_a_documented_response(
    stack: Stack, record: Record, token: TokenFactory, world: World, codes: dict[str, set[str]]
) -> None:
    choose = random.Random(SEED)
    schema = graphql.build_schema(SCHEMA_FILE.read_text())
    below = http_requests(world, choose)
    tokens = {kind: token(world.own.name, kind) for kind in ("AUDIT", "AUDIT_WRITE")}
    sender = Sender(stack, record, tokens)
    started = time.monotonic()
    with ThreadPoolExecutor(CONCURRENCY) as threads:
        sent = [threads.submit(sender, Request(json.dumps({"query": text}).encode())) for text in huge_documents()]

        def send(text: str) -> None:
            sent.append(threads.submit(sender, graphql_request(text, schema, world, choose)))
            if choose.randrange(100) < HTTP_PERCENT:
                sent.append(threads.submit(sender, next(below)))

        count = REQUESTS * 100 // (100 + HTTP_PERCENT)
        for_each_document(count * 3 // 4, GenerationMode.POSITIVE, send)
        for_each_document(count // 4, GenerationMode.NEGATIVE, send)
        answers = [future.result() for future in sent]
    seconds = time.monotonic() - started

    wrong = [
        (fault, str(answer.request), answer.text[:500]) for answer in answers for fault in faults(answer, world, codes)
    ]
    counts = Counter(code for answer in answers for code in set(codes_of(answer)))
    slowest = max(answer.seconds for answer in answers)
    print(
        f"{len(answers)} requests in {seconds:.0f} s: {len(answers) / seconds:.0f}/s, the slowest took {slowest:.1f} s"
    )
    print(counts.most_common())
    assert wrong[:10] == [], f"{len(wrong)} faults"
    assert counts["TRY_AGAIN"] * 100 <= MAX_BUSY_PERCENT * len(answers)
    # Enough requests were valid; otherwise this test would prove little.
    wanted = {
        "200", "202", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "INVALID_INPUT", "NOT_FOUND", "BAD_REQUEST",
        "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "UNAUTHENTICATED", "UPGRADE_REQUIRED", "TOO_MANY_VERIFICATIONS",
    }  # fmt: skip
    assert wanted <= set(counts)
    # The other tenant's configurations are unchanged.
    assert of_people(world.victim.administrator.list()) == world.victim.before
