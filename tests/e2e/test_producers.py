"""Every way to send events that docs/PRODUCERS.md describes: its commands, the files of examples/, SQS, SNS, EventBridge, OTLP."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from infra.local.settings import CLI, LOCAL, TOOLS, aws_environment
from infra.local.stack import REQUEST_TIMEOUT_SECONDS, Stack, wait_until
from tests.e2e.examples import EXAMPLES, SENDERS
from tests.e2e.examples import command as example
from tests.e2e.guide import commands
from tests.e2e.harness import PATIENCE_SECONDS, Tenant, changed_variables, create_queue, make_events, to_lines
from tests.e2e.pseudo_terminal import PseudoTerminal


def environment(tenant: Tenant) -> dict[str, str]:
    """The environment of a producer, whose commands find the built command line and the AWS CLI."""
    programs = LOCAL / "producers" / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    link = programs / "audit-export"
    # Another worker may have created it.
    with suppress(FileExistsError):
        link.symlink_to(CLI)
    own = aws_environment(tenant.stack.endpoint)
    return own | {
        "PATH": os.pathsep.join([str(programs), str(TOOLS), own["PATH"]]),
        "AUDIT_EXPORT_URL": tenant.stack.api_url,
        "AUDIT_EXPORT_TOKEN": tenant.write_token,
        "STACK": tenant.stack.description["stackName"],
        "TENANT": tenant.name,
    }


def run(command: list[str | Path], tenant: Tenant, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment(tenant) | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


# Version 1 of the AWS CLI takes no endpoint for SQS from the environment.
AWS = 'aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }\n'


def run_commands(text: str, tenant: Tenant, folder: Path, **variables: str) -> str:
    outcome = run(["sh", "-euc", AWS + text], tenant, folder, **variables)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def write_events(folder: Path, count: int = 3) -> list[dict[str, Any]]:
    events = make_events(count)
    (folder / "events.ndjson").write_bytes(to_lines(events))
    return events


def wait_for(tenant: Tenant, count: int) -> list[dict[str, Any]]:
    wait_until(lambda: len(tenant.stored_ids()) >= count, f"{count} events", timeout_seconds=PATIENCE_SECONDS)
    return tenant.stored_events()


# ----------------------------------------------------------------------------------------------------------------------
# The examples
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SENDERS)
def test_an_example_sends_events_and_repeats_them_safely(tenant: Tenant, tmp_path: Path, name: str) -> None:
    events = write_events(tmp_path)
    command = [*example(name), tmp_path / "events.ndjson"]
    for _ in range(2):
        outcome = run(command, tenant, tmp_path)
        assert outcome.returncode == 0, outcome.stderr
    assert tenant.stored_ids() == [event["id"] for event in events]
    (tmp_path / "events.ndjson").write_text('{"id":"1"}\n')
    refused = run(command, tenant, tmp_path)
    assert refused.returncode != 0
    assert "EVENT_TIMESTAMP_MISSING" in refused.stdout + refused.stderr


# ----------------------------------------------------------------------------------------------------------------------
# The command line
# ----------------------------------------------------------------------------------------------------------------------


def test_the_commands_of_the_page_check_and_send(tenant: Tenant, tmp_path: Path) -> None:
    run_commands(commands("sample"), tenant, tmp_path)
    assert "2 valid events" in run_commands(commands("validate"), tenant, tmp_path)
    run_commands(commands("send"), tenant, tmp_path)
    # The second command sends the same events.
    assert tenant.stored_ids() == ["login-1", "query-1"]
    (tmp_path / "events.ndjson").write_text('{}\n\n{"id":"1","eventTimestamp":"now"}\n')
    faulty = run(["sh", "-euc", commands("validate")], tenant, tmp_path)
    assert faulty.returncode == 5
    assert "line 1: EVENT_ID_MISSING: " in faulty.stdout
    assert "line 3: EVENT_TIMESTAMP_INVALID: " in faulty.stdout


def page_json(tag: str) -> Any:
    return json.loads(commands(tag))


def test_the_first_request_of_the_page_gets_the_answers_that_it_shows(tenant: Tenant, tmp_path: Path) -> None:
    run_commands(commands("sample"), tenant, tmp_path)
    assert json.loads(run_commands(commands("first"), tenant, tmp_path)) == page_json("stored")
    assert tenant.stored_ids() == ["login-1", "query-1"]
    good, faulty = (tmp_path / "events.ndjson").read_text().splitlines()
    twice = faulty.replace("{", '{"id":"again",', 1)
    (tmp_path / "events.ndjson").write_text(f"{good}\n{twice}\n")
    assert json.loads(run_commands(commands("first"), tenant, tmp_path)) == page_json("refused")
    assert len(tenant.stored_ids()) == 2


@pytest.mark.requires("gateway responses")
def test_a_wrong_url_or_method_gets_404(tenant: Tenant) -> None:
    for method, path in (("POST", "events"), ("GET", "api/audit/events")):
        answer = tenant.http.request(
            method,
            f"{tenant.stack.api_url}/{path}",
            headers={"authorization": f"Bearer {tenant.write_token}"},
            timeout=REQUEST_TIMEOUT_SECONDS,
        )
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (404, "NOT_FOUND"), path


def test_arrays_and_compressed_files_are_sent(tenant: Tenant, tmp_path: Path) -> None:
    events = make_events(5)
    path = tmp_path / "events.json.gz"
    path.write_bytes(gzip.compress(json.dumps(events, indent=2).encode()))
    outcome = run(["audit-export", "events", "send", path, "--batch-size", "2", "--output", "json"], tenant, tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout)["requests"] == 3
    assert sorted(tenant.stored_ids()) == sorted(event["id"] for event in events)


def test_history_is_imported_once(tenant: Tenant, tmp_path: Path) -> None:
    history, more = make_events(40, eventTimestamp="2019-05-01T00:00:00Z"), make_events(2)
    (tmp_path / "history.ndjson.gz").write_bytes(gzip.compress(to_lines(history)))
    (tmp_path / "more.json").write_text(json.dumps(more))
    for _ in range(2):
        run_commands(commands("import"), tenant, tmp_path)
    assert sorted(tenant.stored_ids()) == sorted(event["id"] for event in [*history, *more])
    state = json.loads((tmp_path / "history.ndjson.gz.import-state.json").read_text())
    assert (state["accepted"], state["tenant"]) == (40, tenant.name)
    (tmp_path / "more.json").write_text(json.dumps([*more, *make_events(1)]))
    refused = run(["audit-export", "events", "import", "more.json"], tenant, tmp_path)
    assert refused.returncode == 5
    assert "IMPORT_FILE_CHANGED: " in refused.stderr
    assert len(tenant.stored_ids()) == 42


def test_an_import_shows_its_progress(tenant: Tenant, tmp_path: Path) -> None:
    write_events(tmp_path)
    command = ["audit-export", "events", "import", "events.ndjson", "--batch-size", "1", "--concurrency", "1"]
    with PseudoTerminal(command, environment(tenant) | {"TERM": "xterm-256color"}, tmp_path) as terminal:
        assert terminal.wait() == 0, terminal.shown
    # A bar, the bytes, and the events; it is erased at the end.
    assert re.search(r"[█░]+ [\d.]+ K?i?B/[\d.]+ K?i?B .* 1 events accepted ", terminal.raw.decode()), terminal.raw
    assert "events accepted (" not in terminal.shown


def test_a_file_is_imported_for_each_tenant_that_has_a_state(
    tenant: Tenant, make_tenant: Callable[..., Tenant], tmp_path: Path
) -> None:
    events = write_events(tmp_path)
    command: list[str | Path] = ["audit-export", "events", "import", "events.ndjson"]
    assert run(command, tenant, tmp_path).returncode == 0
    other = make_tenant()
    refused = run(command, other, tmp_path)
    assert refused.returncode == 5
    assert "IMPORT_OTHER_TENANT: " in refused.stderr
    assert other.stored_ids() == []
    assert run([*command, "--state-directory", "states"], other, tmp_path).returncode == 0
    assert sorted(other.stored_ids()) == sorted(event["id"] for event in events)


# ----------------------------------------------------------------------------------------------------------------------
# SQS, SNS and EventBridge
# ----------------------------------------------------------------------------------------------------------------------


def dead_letter(stack: Stack, queue: str, marker: str) -> str:
    """Waits for a dead letter with the marker; returns its body."""
    sqs = stack.client("sqs")
    found: list[str] = []

    def is_dead() -> bool:
        answer = sqs.receive_message(
            QueueUrl=stack.queues[queue], MaxNumberOfMessages=10, VisibilityTimeout=5, WaitTimeSeconds=1
        )
        for received in answer.get("Messages", []):
            if marker in received["Body"]:
                found.append(received["Body"])
                sqs.delete_message(QueueUrl=stack.queues[queue], ReceiptHandle=received["ReceiptHandle"])
        return bool(found)

    wait_until(is_dead, "the dead letter", timeout_seconds=PATIENCE_SECONDS)
    return found[0]


def test_topics_deliver_events_in_envelopes(tenant: Tenant, tmp_path: Path) -> None:
    stack = tenant.stack
    run_commands(commands("sns-setup"), tenant, tmp_path)
    [event] = write_events(tmp_path, 1)
    topic = f"arn:aws:sns:{stack.region}:{stack.account}:audit-events"
    run_commands(commands("sns"), tenant, tmp_path, TOPIC_ARN=topic)
    assert [stored["id"] for stored in wait_for(tenant, 1)] == [event["id"]]

    # The attribute alone names the tenant.
    marker = uuid.uuid4().hex
    body = json.dumps(make_events(1, tenantId=tenant.name, marker=marker)[0])
    stack.client("sns").publish(TopicArn=topic, Message=body)
    dead_letter(stack, "topicEventsDeadLetter", marker)
    assert len(tenant.stored_ids()) == 1


def test_a_raw_delivery_to_a_stack_with_envelopes_is_refused(tenant: Tenant, tmp_path: Path) -> None:
    stack = tenant.stack
    run_commands(commands("sns-raw"), tenant, tmp_path)
    marker = uuid.uuid4().hex
    (tmp_path / "events.ndjson").write_bytes(to_lines(make_events(1, marker=marker)))
    topic = f"arn:aws:sns:{stack.region}:{stack.account}:audit-events-raw"
    run_commands(commands("sns"), tenant, tmp_path, TOPIC_ARN=topic)
    # The body is as it was published: delivery was raw.
    assert json.loads(dead_letter(stack, "topicEventsDeadLetter", marker))["marker"] == marker
    assert tenant.stored_ids() == []


# It changes the function that the other tests use.
@pytest.mark.last
def test_topics_deliver_raw_events_to_a_stack_that_expects_them(tenant: Tenant, tmp_path: Path) -> None:
    stack = tenant.stack
    events = write_events(tmp_path)
    topic = f"arn:aws:sns:{stack.region}:{stack.account}:audit-events-raw"
    with changed_variables(stack, "ingest") as change:
        change({"TOPIC_DELIVERY": "Raw"})
        run_commands(commands("sns-raw"), tenant, tmp_path)
        run_commands(commands("sns"), tenant, tmp_path, TOPIC_ARN=topic)
        stored = wait_for(tenant, len(events))
    assert [event["id"] for event in stored] == [event["id"] for event in events]


def test_rules_deliver_events_with_the_tenant_at_the_path(tenant: Tenant, tmp_path: Path) -> None:
    stack = tenant.stack
    events = stack.client("events")
    run_commands(commands("eventbridge-setup"), tenant, tmp_path)
    [target] = events.list_targets_by_rule(Rule="audit-events")["Targets"]
    assert target["DeadLetterConfig"]["Arn"].endswith(":audit-events-undelivered")
    # The same fact, put twice.
    for _ in range(2):
        run_commands(commands("eventbridge"), tenant, tmp_path)
    for event in wait_for(tenant, 2):
        assert (event["id"], event["eventTimestamp"]) == ("login-1", "2026-01-31T23:59:59.123Z")
        assert (event["action"], event["actor"], event["tenantId"]) == ("LOGIN", {"id": "u-1"}, tenant.name)

    bare = {"Source": "com.example.audit", "DetailType": "LOGOUT", "Detail": json.dumps({"tenantId": tenant.name})}
    put = events.put_events(Entries=[bare])["Entries"][0]["EventId"]
    [event] = [event for event in wait_for(tenant, 3) if event["action"] == "LOGOUT"]
    assert event["id"] == put
    assert event["eventTimestamp"].endswith("Z")

    marker = uuid.uuid4().hex
    detail = json.dumps({"tenant": tenant.name, "marker": marker})
    entry = {"Source": "com.example.audit", "DetailType": "LOGIN", "Detail": detail}
    events.put_events(Entries=[entry])
    dead_letter(stack, "ruleEventsDeadLetter", marker)
    assert len(tenant.stored_ids()) == 3


@pytest.mark.parametrize("tag", ["eventbridge-setup", "eventbridge"])
def test_entries_that_failed_make_the_commands_fail(tenant: Tenant, tmp_path: Path, tag: str) -> None:
    """The AWS CLI ends with 0 whatever failed. A stand-in for it answers that one entry did."""
    for failed in (0, 1):
        answer = json.dumps({"FailedEntryCount": failed, "Entries": [{"ErrorCode": "InternalFailure"}]}, indent=4)
        outcome = run(["sh", "-euc", f"aws() {{ cat <<END\n{answer}\nEND\n}}\n{commands(tag)}"], tenant, tmp_path)
        assert (outcome.returncode == 0) == (failed == 0)
        assert answer in outcome.stdout


def test_a_message_of_the_queue_names_the_tenant_in_its_attribute(tenant: Tenant, tmp_path: Path) -> None:
    events = write_events(tmp_path)
    # The operator's command, and then the producer's, which need not read the stack.
    url = run_commands(commands("sqs-setup"), tenant, tmp_path).strip()
    assert url == tenant.stack.queues["events"]
    run_commands(commands("sqs"), tenant, tmp_path, QUEUE_URL=url, STACK="")
    assert sorted(event["id"] for event in wait_for(tenant, 3)) == sorted(event["id"] for event in events)


@pytest.mark.requires("iam enforcement")
def test_a_topic_that_is_not_listed_delivers_nothing(tenant: Tenant) -> None:
    stack = tenant.stack
    sns = stack.client("sns")
    attribute = {"tenantId": {"DataType": "String", "StringValue": tenant.name}}
    unlisted = sns.create_topic(Name=f"unlisted-{uuid.uuid4().hex[:12]}")["TopicArn"]
    listed = sns.create_topic(Name="audit-events")["TopicArn"]
    for topic in (unlisted, listed):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=stack.description["queueArns"]["topicEvents"])
    events = make_events(2)
    for topic, event in zip((unlisted, listed), events, strict=True):
        sns.publish(TopicArn=topic, Message=json.dumps(event), MessageAttributes=attribute)
    # The listed topic's event was published later.
    assert [event["id"] for event in wait_for(tenant, 1)] == [events[1]["id"]]


@pytest.mark.requires("iam enforcement")
def test_a_rule_that_is_not_listed_delivers_nothing(tenant: Tenant, tmp_path: Path) -> None:
    stack = tenant.stack
    sqs, events = stack.client("sqs"), stack.client("events")
    run_commands(commands("eventbridge-setup"), tenant, tmp_path)
    [listed] = events.list_targets_by_rule(Rule="audit-events")["Targets"]
    # The dead-letter queue takes the events of every rule: what it gets was refused by the other queue.
    unlisted, source = f"unlisted-{uuid.uuid4().hex[:12]}", f"com.example.{uuid.uuid4().hex}"
    undelivered, arn = create_queue(sqs, "unlisted", "events.amazonaws.com")
    events.put_rule(Name=unlisted, EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule=unlisted, Targets=[{**listed, "DeadLetterConfig": {"Arn": arn}}])
    try:
        sent = make_events(2, tenantId=tenant.name)
        for name, event in zip((source, "com.example.audit"), sent, strict=True):
            entry = {"Source": name, "DetailType": "LOGIN", "Detail": json.dumps(event)}
            assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0

        def refused() -> list[dict[str, Any]]:
            return sqs.receive_message(QueueUrl=undelivered, WaitTimeSeconds=1).get("Messages", [])

        [message] = wait_until(refused, "the refused event", timeout_seconds=PATIENCE_SECONDS)
        assert json.loads(message["Body"])["detail"] == sent[0]
        # The listed rule's event was put later.
        assert [event["id"] for event in wait_for(tenant, 1)] == [sent[1]["id"]]
    finally:
        events.remove_targets(Rule=unlisted, Ids=[listed["Id"]])
        events.delete_rule(Name=unlisted)
        sqs.delete_queue(QueueUrl=undelivered)


# ----------------------------------------------------------------------------------------------------------------------
# OpenTelemetry
# ----------------------------------------------------------------------------------------------------------------------


def test_the_sdk_of_opentelemetry_sends_events(tenant: Tenant, tmp_path: Path) -> None:
    outcome = run([sys.executable, EXAMPLES / "otel_logs.py"], tenant, tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    [event] = wait_for(tenant, 1)
    assert (event["action"], event["actionStatus"]) == ("LOGIN", "SUCCESS")
    assert event["actor"] == {"id": "u-1", "name": "Zoë"}
    assert event["targets"] == [{"id": "shop", "type": "APPLICATION"}]
    assert event["openTelemetry"]["body"] == "logged in"
    assert event["openTelemetry"]["resource"]["service.name"] == "shop"
    # A token without the permission: the exporter reports it, and nothing is stored.
    refused = run(
        [sys.executable, EXAMPLES / "otel_logs.py"], tenant, tmp_path, AUDIT_EXPORT_TOKEN=tenant.administrator.token
    )
    assert "Failed to export" in refused.stderr, refused.stderr
    assert len(tenant.stored_ids()) == 1


def log_records(*records: dict[str, Any]) -> bytes:
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()


def post_logs(tenant: Tenant, body: bytes, content_type: str = "application/json", **headers: str) -> Any:
    sent = {"authorization": f"Bearer {tenant.write_token}", "content-type": content_type} | headers
    return tenant.http.post(f"{tenant.stack.api_url}/v1/logs", data=body, headers=sent, timeout=REQUEST_TIMEOUT_SECONDS)


def test_log_records_in_json_are_stored_once(tenant: Tenant) -> None:
    body = log_records({"timeUnixNano": "1769903999123456789", "eventName": "LOGOUT", "body": {"stringValue": "x"}})
    answers = [post_logs(tenant, sent) for sent in (body, gzip.compress(body), body)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {})] * 3
    [event] = tenant.stored_events()
    assert (event["action"], event["eventTimestamp"]) == ("LOGOUT", "2026-01-31T23:59:59.123456789Z")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code", "reason"),
    [
        (log_records({}, {}), "application/json", 400, 3, "EVENT_TIMESTAMP_MISSING"),
        (b"{", "application/json", 400, 3, "OTLP_INVALID"),
        (b"", "text/plain", 415, 3, "CONTENT_TYPE_UNSUPPORTED"),
    ],
)
def test_a_request_without_a_good_log_record_is_refused(
    tenant: Tenant, body: bytes, content_type: str, status: int, code: int, reason: str
) -> None:
    answer = post_logs(tenant, body, content_type)
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert (error["code"], error["details"][0]["reason"]) == (code, reason)
    assert error["message"].startswith(f"{reason}: ")
    assert tenant.stored_blocks() == []


def test_faulty_log_records_are_left_out(tenant: Tenant) -> None:
    body = log_records({"timeUnixNano": "1", "eventName": "GOOD"}, {"eventName": "BAD"})
    answers = [post_logs(tenant, body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    partial = answers[0].json()["partialSuccess"]
    assert partial["rejectedLogRecords"] == "1"
    assert partial["errorMessage"].startswith("EVENT_TIMESTAMP_MISSING: record 1: ")
    assert answers[1].json() == answers[0].json()
    assert [event["action"] for event in tenant.stored_events()] == ["GOOD"]


@pytest.mark.requires("binary answers")
def test_an_error_in_protobuf_has_the_code_in_its_text(tenant: Tenant) -> None:
    answer = post_logs(tenant, b"{}", "application/x-protobuf")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/x-protobuf")
    assert b"OTLP_INVALID: " in answer.content
    unauthenticated = post_logs(tenant, b"", "application/x-protobuf", authorization="Bearer x")
    assert unauthenticated.status_code == 401
