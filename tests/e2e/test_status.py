"""The status of exports in the API. The rule of the health is tested in shared/domain; here it follows what happens in AWS."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from infra.local.stack import Administrator, GraphQlFailed, wait_until
from tests.e2e.harness import EXPORT_TIMEOUT_SECONDS, ROLE_ACCOUNT, Customer, CustomerFactory, Tenant, make_events

# An export is delayed from then on.
LAG_TOLERANCE_SECONDS = 3_600
STATUS = """status {
    health lagSeconds lastSuccessAt exportedThrough consecutiveFailures nextExportAt retentionUsedPercent advice
}"""
CREATE = f"""mutation($data: CreateS3AssumedRoleExportConfigurationInput!) {{
    createS3AssumedRoleExportConfiguration(data: $data) {{ id externalId {STATUS} }}
}}"""


def status_of(administrator: Administrator, configuration_id: str) -> dict[str, Any]:
    query = f"query($id: ID!) {{ getExportConfiguration(id: $id) {{ {STATUS} }} }}"
    status: dict[str, Any] = administrator.execute(query, {"id": configuration_id})["getExportConfiguration"]["status"]
    return status


def status_with(administrator: Administrator, configuration_id: str, health: str) -> dict[str, Any]:
    """Waits until an export has this health, and returns its status."""
    return wait_until(
        lambda: (now := status_of(administrator, configuration_id))["health"] == health and now,
        f"the health {health}",
        timeout_seconds=EXPORT_TIMEOUT_SECONDS,
    )


@pytest.mark.requires("iam enforcement", "trust policies")
def test_the_status_follows_an_export_from_its_creation_on(customers: CustomerFactory, tenant: Tenant) -> None:
    account = customers.account(ROLE_ACCOUNT, "eu-west-1", path="audit/export")
    administrator = tenant.administrator
    role_name = f"audit-export-{uuid.uuid4().hex[:12]}"
    data = {"interval": "EVERY_24_HOURS", "roleArn": account.role_arn(role_name)} | account.destination
    created = administrator.execute(CREATE, {"data": data})["createS3AssumedRoleExportConfiguration"]
    new = created["status"]
    assert (new["health"], new["lagSeconds"], new["retentionUsedPercent"]) == ("NEVER_RUN", 0, 0)
    assert (new["lastSuccessAt"], new["exportedThrough"], new["consecutiveFailures"]) == (None, None, 0)
    assert new["nextExportAt"] is not None
    assert new["advice"].startswith("Test the connection")

    account.create_role(role_name, created["externalId"])
    customer = Customer(tenant, account, created, role_name=role_name)
    customer.run_export(tenant.send(make_events(5)))
    working = status_with(administrator, customer.id, "OK")
    assert working["lagSeconds"] < LAG_TOLERANCE_SECONDS
    assert (working["consecutiveFailures"], working["retentionUsedPercent"]) == (0, 0)
    assert None not in (working["lastSuccessAt"], working["exportedThrough"], working["nextExportAt"])

    account.client("iam").delete_role_policy(RoleName=role_name, PolicyName="audit-export")
    tenant.send(make_events(5))
    customer.settle()
    administrator.run(customer.id)
    failing = status_with(administrator, customer.id, "FAILING")
    assert failing["advice"].endswith("Then test the connection.")
    # The last success stays.
    assert failing["lastSuccessAt"] is not None
    # The failure is counted by the end of the run.
    customer.wait_until_idle()
    assert status_of(administrator, customer.id)["consecutiveFailures"] > 0

    administrator.disable(customer.id)
    disabled = status_of(administrator, customer.id)
    assert (disabled["health"], disabled["lagSeconds"], disabled["nextExportAt"]) == ("DISABLED", 0, None)
    assert disabled["advice"].startswith("Enable the export")


def test_every_export_of_a_list_has_its_status(customers: CustomerFactory, tenant: Tenant) -> None:
    enabled = customers.with_access_key(tenant=tenant)
    disabled = customers.with_access_key(tenant=tenant)
    tenant.administrator.disable(disabled.id)
    refused = customers.with_access_key(tenant=tenant, bucketName=f"missing-{uuid.uuid4().hex}")
    listed = tenant.administrator.execute(f"{{ getAllExportConfigurations {{ id {STATUS} }} }}")
    health = {entry["id"]: entry["status"]["health"] for entry in listed["getAllExportConfigurations"]}
    # The connection test at the creation may have started a run.
    assert health.pop(enabled.id) in {"NEVER_RUN", "OK"}
    assert health == {disabled.id: "DISABLED", refused.id: "FAILING"}


def test_the_status_of_another_tenants_export_is_not_found(
    customers: CustomerFactory, make_tenant: Callable[..., Tenant]
) -> None:
    customer = customers.with_access_key()
    stranger = make_tenant().administrator
    errors = []
    for configuration_id in (customer.id, str(uuid.uuid4())):
        with pytest.raises(GraphQlFailed) as refusal:
            status_of(stranger, configuration_id)
        assert refusal.value.codes == ["NOT_FOUND"]
        errors.append([error["message"] for error in refusal.value.errors])
    # Nothing distinguishes the export of another tenant from one that does not exist.
    assert errors[0] == errors[1]
