"""Ingestion: accepted and refused requests. A request is accepted or refused as a whole."""

from __future__ import annotations

import gzip
import json
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import Credentials, Stack, wait_until
from tests.e2e.harness import PATIENCE_SECONDS, Tenant, as_batch, make_events, to_lines
from tests.e2e.odd_events import odd_events

EVENT = {"id": "e-1", "eventTimestamp": "2026-03-01T12:00:00Z"}
JSON = "application/json"
LINES = "application/x-ndjson"
MEBIBYTE = 1_048_576


def array(*events: Any) -> bytes:
    return json.dumps(events).encode()


# ----------------------------------------------------------------------------------------------------------------------
# Accepted requests
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [JSON, LINES, "application/json; charset=utf-8", "Application/X-NDJSON"])
@pytest.mark.parametrize("compressed", [False, True])
def test_events_are_taken_in_both_forms(tenant: Tenant, content_type: str, compressed: bool) -> None:
    events = make_events(3)
    body = to_lines(events) if "ndjson" in content_type.lower() else array(*events)
    answer = tenant.post_events(gzip.compress(body) if compressed else body, content_type)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 3}), answer.text
    assert tenant.stored_ids() == [event["id"] for event in events]


@pytest.mark.parametrize(
    ("compressed", "headers"),
    [
        (True, {"content_encoding": "gzip"}),
        # API Gateway may unpack a body and leave the header; a producer may forget the header.
        pytest.param(False, {"content_encoding": "gzip"}, marks=pytest.mark.requires("untouched bodies")),
        (True, {}),
        (True, {"content_encoding": "identity"}),
    ],
)
def test_gzip_is_recognized_by_the_body_and_not_by_the_header(
    tenant: Tenant, compressed: bool, headers: dict[str, str]
) -> None:
    body = to_lines(make_events(2))
    answer = tenant.post_events(gzip.compress(body) if compressed else body, **headers)
    assert answer.status_code == 202, answer.text
    assert len(tenant.stored_ids()) == 2


def test_events_keep_every_field_and_get_the_services_own(tenant: Tenant) -> None:
    sent = make_events(1, actor={"name": 'Zoë "Ö" 😀'}, extra={"n": 1.5, "big": 12345678901234567890})[0]
    tenant.send([sent | {"tenantId": "somebody-else", "receivedTimestamp": "1999-01-01T00:00:00Z"}])
    [stored] = tenant.stored_events()
    assert stored == sent | {"tenantId": tenant.name, "receivedTimestamp": stored["receivedTimestamp"]}
    assert stored["receivedTimestamp"] > "2026"


def test_odd_events_are_stored_as_they_were_sent(tenant: Tenant) -> None:
    """The service stores the lines that test_readers.py reads with the tools of the customer's guide."""
    accepted = [event for event in odd_events() if event.code is None]
    answer = tenant.post_events("".join(f"{event.event}\n" for event in accepted).encode())
    assert (answer.status_code, answer.json()) == (202, {"accepted": len(accepted)}), answer.text
    for line, event in zip(tenant.stored_lines(), accepted, strict=True):
        sent, _, stamp = line.decode().rpartition(f',"tenantId":"{tenant.name}","receivedTimestamp":')
        assert sent == (event.stored or event.event).removesuffix("}"), event.name
        assert stamp.startswith('"20') and stamp.endswith('Z"}')


def test_blocks_are_described_as_the_design_says(tenant: Tenant) -> None:
    tenant.send(make_events(40))
    [block] = tenant.stored_blocks()
    assert len(block["blockId"]["S"]) == 26
    assert block["partition"]["S"].startswith(f"{tenant.name}#")
    assert block["eventCount"]["N"] == "40"
    assert {"crc32", "crc32c", "expiresAt", "oldestEventTimestamp", "newestEventTimestamp"} <= block.keys()
    assert len(block["block"]["B"]) * 3 < int(block["rawLength"]["N"])


# ----------------------------------------------------------------------------------------------------------------------
# Refused requests
# ----------------------------------------------------------------------------------------------------------------------

LARGEST = "x" * (256 * 1_024)
BAD_BODIES = {
    "empty": (JSON, b"", 400, "BODY_EMPTY", None),
    "empty array": (JSON, b"[]", 400, "BODY_EMPTY", None),
    "blank lines": (LINES, b"\n \n", 400, "BODY_EMPTY", None),
    "no array": (JSON, json.dumps(EVENT).encode(), 400, "BODY_NOT_AN_ARRAY", None),
    "no JSON": (JSON, b"[{]", 400, "JSON_INVALID", 0),
    "no UTF-8": (LINES, b'{"id":"\xff"}\n', 400, "JSON_INVALID", None),
    "number": (JSON, array(EVENT, 7), 400, "EVENT_NOT_AN_OBJECT", 1),
    "array in array": (JSON, array([EVENT]), 400, "EVENT_NOT_AN_OBJECT", 0),
    "no id": (JSON, array(EVENT, EVENT, {"eventTimestamp": EVENT["eventTimestamp"]}), 400, "EVENT_ID_MISSING", 2),
    "no id in lines": (LINES, to_lines([EVENT, {"eventTimestamp": "x"}]), 400, None, 1),
    "empty id": (JSON, array(EVENT | {"id": ""}), 400, "EVENT_ID_INVALID", 0),
    "number as id": (JSON, array(EVENT | {"id": 1}), 400, "EVENT_ID_INVALID", 0),
    "long id": (JSON, array(EVENT | {"id": "x" * 257}), 400, "EVENT_ID_INVALID", 0),
    "no timestamp": (JSON, array({"id": "e-1"}), 400, "EVENT_TIMESTAMP_MISSING", 0),
    "timestamp without zone": (
        JSON, array(EVENT | {"eventTimestamp": "2026-03-01T12:00:00"}), 400, "EVENT_TIMESTAMP_INVALID", 0,
    ),
    "number as timestamp": (JSON, array(EVENT | {"eventTimestamp": 17}), 400, "EVENT_TIMESTAMP_INVALID", 0),
    "id twice": (LINES, b'{"id":"1","id":"2","eventTimestamp":"2026-03-01T12:00:00Z"}', 400, "EVENT_FIELD_DUPLICATED", 0),
    "too deep": (LINES, b'{"a":' * 200 + b"1" + b"}" * 200, 400, "EVENT_NESTED_TOO_DEEPLY", 0),
    "event over 256 KiB": (JSON, array(EVENT, EVENT | {"text": LARGEST}), 413, "EVENT_TOO_LARGE", 1),
    "body over 3.5 MiB": (LINES, to_lines([EVENT | {"text": "x" * 200_000}] * 20), 413, "BODY_TOO_LARGE", None),
    "over 3.5 MiB decompressed": (
        LINES, gzip.compress(to_lines([EVENT | {"text": "x" * 200_000}] * 20)), 413, "BODY_TOO_LARGE", None,
    ),
    "gzip bomb": (LINES, gzip.compress(b"\n" * 64 * MEBIBYTE), 413, "BODY_TOO_LARGE", None),
    "too many events": (LINES, to_lines([EVENT] * 10_001), 413, "TOO_MANY_EVENTS", None),
    "broken gzip": (LINES, gzip.compress(to_lines([EVENT]))[:-6], 400, "GZIP_INVALID", None),
    "garbage behind the magic": (LINES, b"\x1f\x8b" + b"garbage" * 9, 400, "GZIP_INVALID", None),
    "text": ("text/plain", array(EVENT), 415, "CONTENT_TYPE_UNSUPPORTED", None),
    "no content type": (None, array(EVENT), 415, "CONTENT_TYPE_UNSUPPORTED", None),
    "other charset": ("application/json; charset=utf-16", array(EVENT), 415, "CONTENT_TYPE_UNSUPPORTED", None),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_BODIES)
def test_bad_input_is_refused_whole_with_its_code(tenant: Tenant, case: str) -> None:
    content_type, body, status, code, event_index = BAD_BODIES[case]
    answer = tenant.post_events(body, content_type)
    assert answer.status_code == status, answer.text
    [error] = answer.json()["errors"]
    assert code is None or error["extensions"]["code"] == code, error
    assert error["message"]
    if event_index is not None:
        assert error["extensions"]["eventIndex"] == event_index, error
    assert tenant.stored_blocks() == []


def test_odd_events_that_a_reader_could_not_read_are_refused(tenant: Tenant) -> None:
    refused = {event.name: event for event in odd_events() if event.code is not None}
    found = {}
    for name, event in refused.items():
        answer = tenant.post_events(event.event.encode())
        assert answer.status_code == 400, answer.text
        found[name] = answer.json()["errors"][0]["extensions"]["code"]
    assert found == {name: event.code for name, event in refused.items()}
    assert tenant.stored_blocks() == []


def test_one_bad_event_keeps_all_others_out(tenant: Tenant) -> None:
    events = make_events(500)
    answer = tenant.post_events(to_lines([*events, {"id": "no-time"}]))
    assert answer.status_code == 400
    extensions = answer.json()["errors"][0]["extensions"]
    assert (extensions["code"], extensions["eventIndex"], extensions["line"]) == ("EVENT_TIMESTAMP_MISSING", 500, 501)
    assert tenant.stored_blocks() == []


def test_an_event_of_almost_256_kib_is_taken(tenant: Tenant) -> None:
    tenant.send([EVENT | {"text": "x" * (255 * 1_024)}])
    assert tenant.stored_ids() == [EVENT["id"]]


# ----------------------------------------------------------------------------------------------------------------------
# Idempotency
# ----------------------------------------------------------------------------------------------------------------------


def test_a_repeated_request_is_stored_once(tenant: Tenant) -> None:
    body = to_lines(make_events(5))
    key = str(uuid.uuid4())
    answers = [tenant.post_events(body, idempotency_key=key) for _ in range(3)]
    # The compressed body is the same request.
    answers.append(tenant.post_events(gzip.compress(body), idempotency_key=key))
    assert [(answer.status_code, answer.json()) for answer in answers] == [(202, {"accepted": 5})] * 4
    assert len(tenant.stored_ids()) == 5


def test_another_request_under_the_same_key_is_refused(tenant: Tenant) -> None:
    key = str(uuid.uuid4())
    first = make_events(2)
    tenant.post_events(to_lines(first), idempotency_key=key)
    answer = tenant.post_events(to_lines(make_events(2)), idempotency_key=key)
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert tenant.stored_ids() == [event["id"] for event in first]


def test_a_key_belongs_to_its_tenant(tenant: Tenant, make_tenant: Any) -> None:
    other, key = make_tenant(), str(uuid.uuid4())
    for sender in (tenant, other):
        assert sender.post_events(to_lines(make_events(1)), idempotency_key=key).status_code == 202
    assert (len(tenant.stored_ids()), len(other.stored_ids())) == (1, 1)


@pytest.mark.parametrize("key", ["", "a b", "k" * 256])
def test_a_bad_key_is_refused(tenant: Tenant, key: str) -> None:
    answer = tenant.post_events(to_lines(make_events(1)), idempotency_key=key)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_KEY_INVALID"
    assert tenant.stored_blocks() == []


def test_without_a_key_a_repetition_is_stored_again(tenant: Tenant) -> None:
    body = to_lines(make_events(1))
    for _ in range(2):
        assert tenant.post_events(body).status_code == 202
    assert len(tenant.stored_ids()) == 2


# ----------------------------------------------------------------------------------------------------------------------
# The queue
# ----------------------------------------------------------------------------------------------------------------------


def test_a_message_that_is_delivered_again_is_stored_once(tenant: Tenant, invoke: Callable[[str, Any], Any]) -> None:
    queue = tenant.stack.queues["events"].rsplit("/", 1)[-1]

    def message(number: int) -> dict[str, Any]:
        batch = as_batch({"id": str(number), "eventTimestamp": "2026-11-22T10:00:00Z"})
        [record] = batch["Records"]
        return record | {
            "messageAttributes": {"tenantId": {"stringValue": tenant.name, "dataType": "String"}},
            "eventSourceARN": f"arn:aws:sqs:{tenant.stack.region}:{tenant.stack.account}:{queue}",
        }

    first, second, third = (message(number) for number in range(3))
    for records in [[first, second], [first], [second, third]]:
        # Lambda repeats a batch like this if the function timed out after storing the events.
        assert not invoke("ingest", {"Records": records}).get("batchItemFailures")
    assert sorted(tenant.stored_ids()) == ["0", "1", "2"]


def message(number: int, body: bytes, tenant: str | None) -> dict[str, Any]:
    attributes = {"tenantId": {"DataType": "String", "StringValue": tenant}} if tenant else {}
    return {"Id": str(number), "MessageBody": body.decode(), "MessageAttributes": attributes}


def test_messages_are_stored_and_the_poisonous_ones_put_aside(stack: Stack, tenant: Tenant, make_tenant: Any) -> None:
    """In a batch of good and bad messages, only the bad ones fail. They are received again at once, and reach the dead-letter
    queue long before the queue's visibility timeout would have moved them there."""
    other = make_tenant()
    sqs, events_queue = stack.client("sqs"), stack.queues["events"]
    attributes = sqs.get_queue_attributes(QueueUrl=events_queue, AttributeNames=["All"])["Attributes"]
    receives = json.loads(attributes["RedrivePolicy"])["maxReceiveCount"]
    assert int(attributes["VisibilityTimeout"]) * int(receives) > 3_600
    events = make_events(6)
    marker = uuid.uuid4().hex
    poison = [b'{"id":"' + marker.encode() + b'"}', json.dumps(EVENT | {"id": marker}).encode()]
    sent = sqs.send_message_batch(
        QueueUrl=events_queue,
        Entries=[
            message(0, to_lines(events[:2]), tenant.name),
            message(1, array(*events[2:4]), tenant.name),
            message(2, json.dumps(events[4]).encode(), tenant.name),
            # Valid events, but with a tenant in the body.
            message(3, poison[0], tenant.name),
            message(4, poison[1], None),
            message(5, json.dumps(events[5]).encode(), other.name),
        ],
    )
    assert len(sent["Successful"]) == 6, sent
    wait_until(lambda: len(tenant.stored_ids()) >= 5, "the good messages", timeout_seconds=PATIENCE_SECONDS)
    wait_until(lambda: len(other.stored_ids()) >= 1, "the other tenant's message", timeout_seconds=PATIENCE_SECONDS)

    dead: list[str] = []

    def both_dead() -> bool:
        answer = sqs.receive_message(
            QueueUrl=stack.queues["eventsDeadLetter"], MaxNumberOfMessages=10, VisibilityTimeout=5, WaitTimeSeconds=1
        )
        for received in answer.get("Messages", []):
            if marker in received["Body"]:
                dead.append(received["Body"])
                sqs.delete_message(QueueUrl=stack.queues["eventsDeadLetter"], ReceiptHandle=received["ReceiptHandle"])
        return len(dead) >= 2

    wait_until(both_dead, "the dead letters", timeout_seconds=PATIENCE_SECONDS)
    assert sorted(dead) == sorted(body.decode() for body in poison)
    assert sorted(tenant.stored_ids()) == sorted(event["id"] for event in events[:5])
    assert other.stored_ids() == [events[5]["id"]]


@pytest.mark.requires("iam enforcement")
def test_only_event_senders_can_send(stack: Stack) -> None:
    """In the queue the tenant is only an attribute: a permitted sender can send for every tenant."""
    iam = stack.client("iam")
    name = f"producer-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    allow = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    iam.put_user_policy(
        UserName=name, PolicyName="all", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    sqs = stack.client("sqs", Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
    with pytest.raises(sqs.exceptions.ClientError, match=r"(?i)denied|not authorized"):
        sqs.send_message(QueueUrl=stack.queues["events"], MessageBody="[]")


# ----------------------------------------------------------------------------------------------------------------------
# The command line
# ----------------------------------------------------------------------------------------------------------------------


def run_command(command: Path, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [command, *arguments], input=stdin, capture_output=True, check=False, timeout=PATIENCE_SECONDS
    )


def test_the_command_line_sends_what_it_generated(
    tenant: Tenant, stack: Stack, command: Path, dev_tools: Path, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(tenant.write_token + "\n")
    generated = run_command(dev_tools, "events", "generate", "--tenant", tenant.name, "--count", "2500", "--seed", "5")
    sending = [
        "events", "send", "-", "--url", stack.api_url, "--token-file", str(token_file), "--batch-size", "1000",
        "--output", "json",
    ]  # fmt: skip
    first = run_command(command, *sending, stdin=generated.stdout)
    assert first.returncode == 0, first.stderr
    summary = json.loads(first.stdout)
    assert (summary["accepted"], summary["requests"]) == (2_500, 3)
    # Sending the same file again stores nothing.
    again = run_command(command, *sending, stdin=generated.stdout)
    assert (again.returncode, json.loads(again.stdout)["accepted"]) == (0, 2_500)
    expected = [json.loads(line)["id"] for line in generated.stdout.splitlines()]
    assert sorted(tenant.stored_ids()) == sorted(expected)


def test_the_command_line_distinguishes_refusals(tenant: Tenant, stack: Stack, command: Path, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    sending = ["events", "send", "-", "--url", stack.api_url, "--token-file", str(token_file)]
    token_file.write_text(tenant.write_token)
    refused = run_command(command, *sending, stdin=b'{"id":"1"}\n')
    assert (refused.returncode, b"EVENT_TIMESTAMP_MISSING" in refused.stderr) == (3, True), refused.stderr
    token_file.write_text("e30.e30.e30")
    unauthenticated = run_command(command, *sending, stdin=b'{"id":"1"}\n')
    assert unauthenticated.returncode == 4, unauthenticated.stderr
    assert run_command(command, *sending[:-1], str(tmp_path / "none"), stdin=b"").returncode == 5
