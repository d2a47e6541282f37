"""Webhooks: their configuration, their test, and the delivery of notices to a real HTTPS receiver on this machine."""

from __future__ import annotations

import base64
import datetime
import json
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from infra.local.stack import Administrator, GraphQlFailed, Stack, wait_until
from tests.e2e.guide import blocks_of
from tests.e2e.harness import PATIENCE_SECONDS, Customer, CustomerFactory, Record, Tenant, log_lines
from tests.e2e.receiver import Receiver, Response, delivery, new_secret, receiving
from tests.e2e.test_cli import CommandLine

TEST = """mutation($id: ID!) { testExportNotifications(id: $id) {
    url isDelivered status error { code message }
} }"""
NOTIFICATIONS = "query($id: ID!) { getExportConfiguration(id: $id) { version notifications { url } } }"
UPDATE = """mutation($data: UpdateS3AccessKeyExportConfigurationInput!) {
    updateS3AccessKeyExportConfiguration(data: $data) { version connectionStatus notifications { url } }
}"""
TEST_KIND = "NOTIFICATIONS_TEST"
# Exit statuses of the command line.
WRONG_ARGUMENTS, FILE_FAILED, TEST_FAILED = 2, 5, 7


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def secret(record: Record) -> str:
    secret = new_secret()
    record.secrets.add(secret)
    return secret


@pytest.fixture
def cli(command: Path, record: Record, tmp_path: Path, stack: Stack, tenant: Tenant) -> CommandLine:
    """A command line with a profile for the tenant."""
    cli = CommandLine(command, tmp_path, record)
    token_file = cli.write("token", tenant.administrator.token + "\n")
    cli("profile", "set", "local", "--url", stack.api_url, "--token-file", token_file).succeeded()
    return cli


def with_webhooks(customers: CustomerFactory, tenant: Tenant, *webhooks: dict[str, str]) -> Customer:
    """Returns a customer whose export is disabled, so that no run changes anything meanwhile.

    The webhooks are added afterwards, so that they get no notice of that.
    """
    customer = customers.with_access_key(tenant=tenant)
    tenant.administrator.disable(customer.id)
    if webhooks:
        update(tenant.administrator, customer.id, list(webhooks))
    return customer


def notifications(administrator: Administrator, configuration_id: str) -> list[str]:
    stored = administrator.execute(NOTIFICATIONS, {"id": configuration_id})["getExportConfiguration"]
    return [webhook["url"] for webhook in stored["notifications"]]


def results_of(administrator: Administrator, configuration_id: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = administrator.execute(TEST, {"id": configuration_id})["testExportNotifications"]
    return results


def update(administrator: Administrator, configuration_id: str, webhooks: list[dict[str, str]] | None) -> Any:
    data = {"id": configuration_id, "notifications": webhooks}
    return administrator.execute(UPDATE, {"data": data})["updateS3AccessKeyExportConfiguration"]


def in_seconds(seconds: int) -> str:
    """Returns a time from now, as messages have it."""
    time = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def send(customer: Customer, notice_id: str, **further: str) -> None:
    """Queues a notice for the customer's first webhook."""
    message = json.loads(delivery(customer.tenant.name, customer.stored(), notice_id, in_seconds(0)))
    customer.stack.client("sqs").send_message(
        QueueUrl=customer.stack.queues["webhooks"], MessageBody=json.dumps(message | further)
    )


def logged(stack: Stack, notice_id: str, message: str) -> list[dict[str, Any]]:
    return [line for line in log_lines(stack, notice_id) if line.get("message") == message]


# ----------------------------------------------------------------------------------------------------------------------
# The test of webhooks
# ----------------------------------------------------------------------------------------------------------------------


def test_a_receiver_gets_a_signed_test(
    customers: CustomerFactory, tenant: Tenant, receiver: Receiver, secret: str
) -> None:
    customer = with_webhooks(customers, tenant, {"url": receiver.url, "secret": secret})
    assert notifications(tenant.administrator, customer.id) == [receiver.url]
    assert results_of(tenant.administrator, customer.id) == [
        {"url": receiver.url, "isDelivered": True, "status": 204, "error": None}
    ]
    [request] = receiver.requests
    notice = request.verified(secret)
    assert (notice["kind"], notice["tenantId"], notice["configurationId"]) == (
        "NOTIFICATIONS_TEST",
        tenant.name,
        customer.id,
    )
    assert notice["id"] == request.id
    assert request.path == "/notices"
    assert request.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        request.verified(new_secret())


def test_what_is_wrong_with_each_receiver_is_reported(
    customers: CustomerFactory, tenant: Tenant, receiver: Receiver, secret: str
) -> None:
    with receiving(Response(307, location=receiver.url)) as redirecting, receiving(Response(500)) as failing:
        # Nothing listens on port 1.
        closed = "https://localhost:1/"
        urls = [redirecting.url, failing.url, closed]
        customer = with_webhooks(customers, tenant, *({"url": url, "secret": secret} for url in urls))
        results = results_of(tenant.administrator, customer.id)
    shown = [(r["url"], r["isDelivered"], r["status"], r["error"]["code"]) for r in results]
    assert shown == [
        (redirecting.url, False, 307, "WEBHOOK_REDIRECTED"),
        (failing.url, False, 500, "WEBHOOK_SERVER_ERROR"),
        (closed, False, None, "WEBHOOK_UNREACHABLE"),
    ]
    assert len(redirecting.requests) == len(failing.requests) == 1
    assert receiver.requests == [], "the redirect was followed"


def test_the_webhooks_of_another_tenant_are_not_found_and_their_secrets_do_not_open(
    customers: CustomerFactory,
    tenant: Tenant,
    make_tenant: Callable[..., Tenant],
    stack: Stack,
    receiver: Receiver,
    secret: str,
) -> None:
    customer = with_webhooks(customers, tenant, {"url": receiver.url, "secret": secret})
    stranger = make_tenant()
    with pytest.raises(GraphQlFailed) as refusal:
        results_of(stranger.administrator, customer.id)
    assert refusal.value.codes == ["NOT_FOUND"]

    # Not even the service's own function opens a secret under another tenant.
    [webhook] = customer.stored()["webhooks"]["L"]
    sealed = base64.b64encode(webhook["M"]["sealedSecret"]["B"]).decode()
    answers = {}
    for name in (stranger.name, tenant.name):
        payload = {
            "test": {
                "tenantId": name,
                "configurationId": customer.id,
                "noticeId": f"test-{uuid.uuid4().hex}",
                "webhooks": [{"url": receiver.url, "sealedSecret": sealed}],
                "body": "{}",
            }
        }
        answer = stack.client("lambda").invoke(
            FunctionName=stack.functions["notifier"], Payload=json.dumps(payload).encode()
        )
        answers[name] = "FunctionError" in answer, json.loads(answer["Payload"].read())
    assert answers[stranger.name][0]
    assert answers[tenant.name] == (False, [{"url": receiver.url, "outcome": {"delivered": 204}}])
    assert len(receiver.requests) == 1


def test_the_secret_of_a_webhook_is_sealed_for_its_purpose(
    customers: CustomerFactory, tenant: Tenant, stack: Stack, secret: str
) -> None:
    customer = with_webhooks(customers, tenant, {"url": "https://hooks.example.com/", "secret": secret})
    [webhook] = customer.stored()["webhooks"]["L"]
    ciphertext = webhook["M"]["sealedSecret"]["B"]
    assert secret.encode() not in ciphertext
    kms = stack.client("kms")
    context = {"tenantId": tenant.name, "configurationId": customer.id}
    # The context of a secret access key is the first of them.
    for wrong in (context, context | {"purpose": "export"}, {"purpose": "webhook"}):
        with pytest.raises(kms.exceptions.InvalidCiphertextException):
            kms.decrypt(CiphertextBlob=ciphertext, EncryptionContext=wrong)


# ----------------------------------------------------------------------------------------------------------------------
# Deliveries
# ----------------------------------------------------------------------------------------------------------------------


def test_a_notice_is_sent_again_until_the_receiver_accepts_it(
    customers: CustomerFactory, tenant: Tenant, secret: str
) -> None:
    with receiving(Response(500)) as receiver:
        customer = with_webhooks(customers, tenant, {"url": receiver.url, "secret": secret})
        notice_id = f"notice-{uuid.uuid4().hex}"
        send(customer, notice_id)
        first, second, *_ = receiver.wait_for(notice_id, 2, PATIENCE_SECONDS)
        for request in (first, second):
            assert request.verified(secret) == {"id": notice_id, "version": 1}
        # The signature is of the time of the attempt.
        assert int(first.headers["webhook-timestamp"]) < int(second.headers["webhook-timestamp"])
        assert first.body == second.body
        [delivered] = wait_until(
            lambda: logged(customer.stack, notice_id, "the notice was delivered"),
            f"the delivery of {notice_id}",
            timeout_seconds=PATIENCE_SECONDS,
        )
    [again] = logged(customer.stack, notice_id, "the notice will be sent again")
    assert (again["code"], again["status"], again["host"]) == ("WEBHOOK_SERVER_ERROR", 500, "localhost")
    assert (delivered["tenant"], delivered["configuration"]) == (tenant.name, customer.id)


def test_a_notice_waits_for_the_time_of_its_next_attempt(
    customers: CustomerFactory, tenant: Tenant, receiver: Receiver, secret: str
) -> None:
    customer = with_webhooks(customers, tenant, {"url": receiver.url, "secret": secret})
    notice_id = f"notice-{uuid.uuid4().hex}"
    # The message is received at once, and sent again without an attempt.
    due = in_seconds(8)
    send(customer, notice_id, nextAttemptAt=due)
    [request] = receiver.wait_for(notice_id, 1, PATIENCE_SECONDS)
    assert int(request.headers["webhook-timestamp"]) >= int(datetime.datetime.fromisoformat(due).timestamp())
    assert request.verified(secret) == {"id": notice_id, "version": 1}
    assert not logged(customer.stack, notice_id, "the notice will be sent again")


def test_a_receiver_that_is_gone_gets_a_notice_once(customers: CustomerFactory, tenant: Tenant, secret: str) -> None:
    with receiving(Response(410)) as receiver:
        customer = with_webhooks(customers, tenant, {"url": receiver.url, "secret": secret})
        notice_id = f"notice-{uuid.uuid4().hex}"
        send(customer, notice_id)
        [line] = wait_until(
            lambda: logged(customer.stack, notice_id, "the receiver wants no more notices"),
            f"the end of {notice_id}",
            timeout_seconds=PATIENCE_SECONDS,
        )
    assert line["code"] == "WEBHOOK_GONE"
    assert "alarm" not in line
    assert len(receiver.with_id(notice_id)) == 1


def test_the_receiver_of_the_guide_accepts_a_notice_once(
    customers: CustomerFactory,
    tenant: Tenant,
    receiver: Receiver,
    secret: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    customer = with_webhooks(customers, tenant, {"url": receiver.url, "secret": secret})
    results_of(tenant.administrator, customer.id)
    [request] = receiver.requests
    monkeypatch.chdir(tmp_path)
    (tmp_path / "webhook-secret").write_text(secret + "\n")
    [block] = blocks_of("Receive notices", "receiver")
    guide: dict[str, Any] = {}
    exec(block.text, guide)
    assert guide["accept"](request.headers, request.body) == json.loads(request.body)
    assert guide["accept"](request.headers, request.body) is None
    with pytest.raises(WebhookVerificationError):
        guide["accept"](request.headers, request.body + b" ")


# ----------------------------------------------------------------------------------------------------------------------
# The configuration
# ----------------------------------------------------------------------------------------------------------------------


def test_webhooks_are_replaced_as_a_list_and_kept_secrets_stay(
    customers: CustomerFactory, tenant: Tenant, receiver: Receiver, secret: str, record: Record
) -> None:
    customer = with_webhooks(customers, tenant, {"url": receiver.url, "secret": secret})
    administrator = tenant.administrator
    other = {"url": "https://hooks.example.com/audit", "secret": new_secret()}
    record.secrets.add(other["secret"])
    changed = update(administrator, customer.id, [other, {"url": receiver.url}])
    assert [webhook["url"] for webhook in changed["notifications"]] == [other["url"], receiver.url]
    assert changed["connectionStatus"] == customer.configuration["connectionStatus"]
    # The same list, and null, change nothing.
    for same in ([{"url": other["url"]}, {"url": receiver.url}], None):
        assert update(administrator, customer.id, same)["version"] == changed["version"]

    update(administrator, customer.id, [{"url": receiver.url}])
    assert [result["isDelivered"] for result in results_of(administrator, customer.id)] == [True]
    receiver.of_kind(TEST_KIND)[-1].verified(secret)

    rotated = new_secret()
    record.secrets.add(rotated)
    update(administrator, customer.id, [{"url": receiver.url, "secret": rotated}])
    assert [result["isDelivered"] for result in results_of(administrator, customer.id)] == [True]
    receiver.of_kind(TEST_KIND)[-1].verified(rotated)

    update(administrator, customer.id, [])
    assert notifications(administrator, customer.id) == []
    assert results_of(administrator, customer.id) == []

    # Each change is in the tenant's own audit log: with the URLs, and of secrets no more than that they changed.
    settings = [event["auditPayload"]["after"] for event in tenant.stored_changes()]
    seen = [(after.get("notifications"), after.get("notificationSecrets")) for after in settings]
    for expected in (
        ([other["url"], receiver.url], None),
        ([receiver.url], "CHANGED"),
        (None, None),
    ):
        assert expected in seen, seen


def test_receivers_that_are_not_public_are_refused(
    customers: CustomerFactory, tenant: Tenant, receiver: Receiver, secret: str
) -> None:
    customer = with_webhooks(customers, tenant, {"url": receiver.url, "secret": secret})
    stored = customer.stored()["webhooks"]
    refused = [
        "http://hooks.example.com/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://2130706433/",
        "https://user:password@hooks.example.com/",
        "https://instance-data.ec2.internal/",
        "https://hooks/",
    ]
    for url in refused:
        with pytest.raises(GraphQlFailed) as refusal:
            update(tenant.administrator, customer.id, [{"url": url, "secret": secret}])
        [error] = refusal.value.errors
        assert error["extensions"]["code"] == "INVALID_INPUT"
        codes = [(f["field"], f["code"]) for f in error["extensions"]["fields"]]
        assert codes == [("notifications[0].url", "WEBHOOK_URL_INVALID")], url
    four = [{"url": f"https://hooks.example.com/{number}", "secret": secret} for number in range(4)]
    for webhooks, field, code in [
        (four, "notifications", "WEBHOOKS_TOO_MANY"),
        ([four[0], four[0]], "notifications[1].url", "WEBHOOK_URL_REPEATED"),
        ([{"url": "https://hooks.example.com/"}], "notifications[0].secret", "REQUIRED"),
        ([four[0] | {"secret": "whsec_short"}], "notifications[0].secret", "WEBHOOK_SECRET_INVALID"),
    ]:
        with pytest.raises(GraphQlFailed) as refusal:
            update(tenant.administrator, customer.id, webhooks)
        [error] = refusal.value.errors
        assert [(f["field"], f["code"]) for f in error["extensions"]["fields"]] == [(field, code)]
    assert customer.stored()["webhooks"] == stored


# ----------------------------------------------------------------------------------------------------------------------
# The command line
# ----------------------------------------------------------------------------------------------------------------------


def test_the_command_line_manages_webhooks(
    cli: CommandLine, customers: CustomerFactory, tenant: Tenant, receiver: Receiver, secret: str, record: Record
) -> None:
    customer = with_webhooks(customers, tenant)
    command = ("config", "notifications")
    shown = cli(*command, "list", customer.id).succeeded()
    assert shown.startswith("0 webhooks\n")
    assert "--generate-secret" in shown

    path = cli.home / "secret"
    added = cli(*command, "add", customer.id, receiver.url, "--generate-secret", path).succeeded()
    assert added == f"{receiver.url}\n\n1 webhook\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    generated = path.read_text().strip()
    record.secrets.add(generated)
    assert "delivered" in cli(*command, "test", customer.id).succeeded()
    receiver.of_kind(TEST_KIND)[-1].verified(generated)
    # An existing file is not overwritten.
    cli(*command, "add", customer.id, receiver.url, "--generate-secret", path).failed(FILE_FAILED)
    assert path.read_text().strip() == generated

    given = cli.write("given", secret + "\n")
    cli(*command, "add", customer.id, receiver.url, "--secret-file", given).succeeded()
    cli(*command, "test", customer.id).succeeded()
    receiver.of_kind(TEST_KIND)[-1].verified(secret)
    # Without a terminal, nobody can be asked for the secret.
    assert "--secret-file" in cli(*command, "add", customer.id, receiver.url).failed(WRONG_ARGUMENTS)

    with receiving(Response(401)) as refusing:
        cli(*command, "add", customer.id, refusing.url, "--secret-file", given).succeeded()
        failed = cli(*command, "test", customer.id)
    assert "WEBHOOK_REFUSED" in failed.failed(TEST_FAILED)
    assert "delivered" in failed.output
    document = cli(*command, "list", customer.id, "--output", "json").json()
    assert document["notifications"] == [{"url": receiver.url}, {"url": refusing.url}]

    removed = cli(*command, "remove", customer.id, receiver.url).succeeded()
    assert removed == f"{refusing.url}\n\n1 webhook\n"
    cli(*command, "remove", customer.id, receiver.url).failed(WRONG_ARGUMENTS)
    assert notifications(tenant.administrator, customer.id) == [refusing.url]
