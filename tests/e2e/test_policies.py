"""The policies that the API prints suffice for an export, and every part of them is needed.

The bucket and the role or user are in different accounts, so that every policy is needed: on AWS and on the emulator, a write
needs the permission of both accounts. The permissions to the bucket's KMS key are tested with a double of AWS in
shared/aws-adapters/tests/key_permissions.rs, because the emulator doesn't ask KMS when S3 encrypts.
"""

from __future__ import annotations

import copy
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from infra.local.stack import MARKER, Credentials, CustomerAccount, GraphQlFailed
from tests.e2e.harness import (
    KEY_ACCOUNT,
    ROLE_ACCOUNT,
    Customer,
    CustomerFactory,
    make_events,
    wait_for_a_new_slot,
)

pytestmark = pytest.mark.requires("iam enforcement", "trust policies")

BUCKET_ACCOUNT = "555555555555"
REGION = "eu-west-1"
PATH = "audit/export"
ANOTHER_ACCOUNT = "666666666666"

POLICIES = """
    query($id: ID!) { getExportConfigurationPolicies(id: $id) {
        externalId principalArn
        trustPolicy { ...policy } iamPolicy { ...policy } bucketPolicy { ...policy } kmsKeyPolicyStatement { ...policy }
        cloudFormation { launchUrl parameters { name value } }
    } }
    fragment policy on PolicyDocument { document isRequired instruction }
"""

GUIDANCE = """
    query($id: ID!) { getExportConfiguration(id: $id) {
        type principalArn connectionStatus connectionError { code message }
        nextSteps { code instruction document } connectionChecks { check status title code message }
    } }
"""

Document = dict[str, Any]


def printed(customer: Customer) -> dict[str, Any]:
    return customer.tenant.administrator.execute(POLICIES, {"id": customer.id})["getExportConfigurationPolicies"]


def guidance(customer: Customer) -> dict[str, Any]:
    return customer.tenant.administrator.execute(GUIDANCE, {"id": customer.id})["getExportConfiguration"]


def document(policies: dict[str, Any], name: str) -> Document:
    return json.loads(policies[name]["document"])


@dataclass
class Writer:
    """A customer whose bucket is in another account than the role or user that writes to it."""

    customer: Customer
    account: CustomerAccount
    role: str | None = None
    user: str | None = None

    @property
    def iam(self) -> Any:
        return self.account.client("iam")

    def put_trust_policy(self, policy: Document) -> None:
        self.iam.update_assume_role_policy(RoleName=self.role, PolicyDocument=json.dumps(policy))

    def put_iam_policy(self, policy: Document) -> None:
        text = json.dumps(policy)
        if self.role is not None:
            self.iam.put_role_policy(RoleName=self.role, PolicyName="audit-export", PolicyDocument=text)
        else:
            self.iam.put_user_policy(UserName=self.user, PolicyName="audit-export", PolicyDocument=text)

    def put_bucket_policy(self, policy: Document) -> None:
        bucket = self.customer.account
        bucket.s3.put_bucket_policy(Bucket=bucket.bucket, Policy=json.dumps(policy))

    def put(self, name: str, policy: Document) -> None:
        put = {
            "trustPolicy": self.put_trust_policy,
            "iamPolicy": self.put_iam_policy,
            "bucketPolicy": self.put_bucket_policy,
        }
        put[name](policy)

    def test(self) -> str:
        """Tests the connection; returns SUCCESS or the code of the failure.

        A success may start a run, whose result would otherwise replace that of the next test.
        """
        tested = self._tested_in_time()
        self.customer.wait_until_idle()
        error = tested["connectionError"]
        assert (error is None) == (tested["connectionStatus"] == "SUCCESS")
        return error["code"] if error else tested["connectionStatus"]

    def _tested_in_time(self) -> dict[str, Any]:
        """Tests the connection. All cases have one tenant, which makes more tests than it may in a short time."""
        while True:
            try:
                return self.customer.tenant.administrator.test(self.customer.id)
            except GraphQlFailed as failed:
                if failed.codes != ["TOO_MANY_TESTS"]:
                    raise
                time.sleep(failed.errors[0]["extensions"]["retryAfterSeconds"])


def writer_account(bucket: CustomerAccount, account: str) -> CustomerAccount:
    return CustomerAccount(bucket.stack, account, REGION, bucket.bucket, PATH)


def prepare_role(customers: CustomerFactory) -> Writer:
    """A configuration whose role doesn't exist yet."""
    bucket = customers.account(BUCKET_ACCOUNT, REGION, path=PATH)
    name = f"audit-export-{uuid.uuid4().hex[:12]}"
    account = writer_account(bucket, ROLE_ACCOUNT)
    customer = customers.with_role(
        account=bucket, roleArn=account.role_arn(name), expectedBucketOwner=BUCKET_ACCOUNT, create_role=False
    )
    return Writer(customer, account, role=name)


def prepare_user(customers: CustomerFactory) -> Writer:
    """A configuration and a user without permissions."""
    bucket = customers.account(BUCKET_ACCOUNT, REGION, path=PATH)
    account = writer_account(bucket, KEY_ACCOUNT)
    name = f"audit-export-{uuid.uuid4().hex[:12]}"
    iam = account.client("iam")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    customer = customers.with_access_key(account=bucket, credentials=credentials, expectedBucketOwner=BUCKET_ACCOUNT)
    return Writer(customer, account, user=name)


def apply(writer: Writer) -> dict[str, Any]:
    """Applies all policies in the printed order."""
    policies = printed(writer.customer)
    if writer.role is not None:
        trust = policies["trustPolicy"]["document"]
        writer.iam.create_role(RoleName=writer.role, AssumeRolePolicyDocument=trust)
    writer.put_iam_policy(document(policies, "iamPolicy"))
    writer.put_bucket_policy(document(policies, "bucketPolicy"))
    return policies


@pytest.fixture(scope="module")
def role(customers: CustomerFactory) -> Writer:
    return prepare_role(customers)


@pytest.fixture(scope="module")
def role_policies(role: Writer) -> dict[str, Any]:
    return apply(role)


@pytest.fixture(scope="module")
def user(customers: CustomerFactory) -> Writer:
    return prepare_user(customers)


@pytest.fixture(scope="module")
def user_policies(user: Writer) -> dict[str, Any]:
    return apply(user)


# ----------------------------------------------------------------------------------------------------------------------
# The policies suffice
# ----------------------------------------------------------------------------------------------------------------------


def assert_exports(writer: Writer) -> None:
    customer = writer.customer
    # While it is disabled, a connection test does not start a run.
    customer.tenant.administrator.disable(customer.id)
    assert writer.test() == "SUCCESS"
    assert customer.account.s3.head_object(Bucket=customer.account.bucket, Key=f"{PATH}/{MARKER}")
    # The connection test's trial write has left no object.
    assert customer.account.objects(f"{PATH}/{customer.id}/") == []
    customer.tenant.administrator.enable(customer.id)
    sent = customer.tenant.send(make_events(3))
    assert sorted(event["id"] for event in customer.run_export(sent)) == sorted(sent)


def test_a_role_with_the_printed_policies_exports_across_accounts(customers: CustomerFactory) -> None:
    role = prepare_role(customers)
    policies = apply(role)
    assert policies["externalId"] == role.customer.id
    assert role.role is not None
    assert policies["principalArn"] == role.account.role_arn(role.role)
    assert [policies[name]["isRequired"] for name in ("trustPolicy", "iamPolicy", "bucketPolicy")] == [True] * 3
    assert policies["kmsKeyPolicyStatement"] is None
    assert_exports(role)


def test_a_user_with_the_printed_policies_exports_across_accounts(customers: CustomerFactory) -> None:
    user = prepare_user(customers)
    policies = apply(user)
    assert policies["trustPolicy"] is None
    # The failed connection test at the creation has found the owner of the access key.
    assert policies["principalArn"] == f"arn:aws:iam::{KEY_ACCOUNT}:user/{user.user}"
    assert [policies[name]["isRequired"] for name in ("iamPolicy", "bucketPolicy")] == [True] * 2
    assert_exports(user)


@pytest.mark.parametrize("make", ["with_role", "with_access_key"])
def test_in_one_account_the_bucket_policy_is_optional(customers: CustomerFactory, make: str) -> None:
    customer = getattr(customers, make)()
    policies = printed(customer)
    assert not policies["bucketPolicy"]["isRequired"]
    assert customer.tenant.administrator.test(customer.id)["connectionStatus"] == "SUCCESS"


def test_other_tests_trust_as_it_is_printed(role: Writer, role_policies: dict[str, Any]) -> None:
    trust = document(role_policies, "trustPolicy")
    [statement] = trust["Statement"]
    statement["Action"] = statement["Action"][0]
    assert trust == role.account.trust_policy(role.customer.id)


def test_the_template_is_linked_to_with_its_parameters(role: Writer, role_policies: dict[str, Any]) -> None:
    template = role_policies["cloudFormation"]
    parameters = {parameter["name"]: parameter["value"] for parameter in template["parameters"]}
    assert parameters["ServiceAccountId"] == role.customer.tenant.stack.account
    assert parameters["ExternalId"] == role.customer.id
    assert parameters["RoleName"] == role.role
    url = urlsplit(template["launchUrl"])
    assert (url.hostname, url.path, url.query) == (
        f"{REGION}.console.aws.amazon.com", "/cloudformation/home", f"region={REGION}",
    )  # fmt: skip
    path, _, query = url.fragment.partition("?")
    assert path == "/stacks/create/review"
    filled_in = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
    assert filled_in.pop("stackName") == f"audit-export-{role.customer.id}"
    assert filled_in.pop("templateURL").endswith("amazonaws.com/cloudformation.yaml")
    assert filled_in == {f"param_{name}": value for name, value in parameters.items()}


# Row: policy demands `s3:x-amz-acl`
def test_a_foreign_bucket_can_demand_full_control_for_its_owner(role: Writer, role_policies: dict[str, Any]) -> None:
    policy = document(role_policies, "bucketPolicy")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": policy["Statement"][0]["Resource"],
        "Condition": {"StringNotEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}},
    }
    role.put_bucket_policy(policy | {"Statement": [*policy["Statement"], deny]})
    try:
        assert role.test() == "SUCCESS"
    finally:
        role.put_bucket_policy(policy)


# ----------------------------------------------------------------------------------------------------------------------
# Every part is needed
# ----------------------------------------------------------------------------------------------------------------------


def other_principal(statement: Document) -> None:
    statement["Principal"] = {"AWS": f"arn:aws:iam::{ANOTHER_ACCOUNT}:root"}


def other_action(statement: Document) -> None:
    [action] = statement["Action"]
    statement["Action"] = ["sts:TagSession" if action.startswith("sts:") else "s3:GetObject"]


def without_exports(statement: Document) -> None:
    [kept] = [resource for resource in statement["Resource"] if not resource.endswith("/*")]
    statement["Resource"] = [kept]


def without_marker(statement: Document) -> None:
    [kept] = [resource for resource in statement["Resource"] if resource.endswith("/*")]
    statement["Resource"] = [kept]


def without_external_id(statement: Document) -> None:
    del statement["Condition"]["StringEquals"]


def another_external_id(statement: Document) -> None:
    statement["Condition"]["StringEquals"]["sts:ExternalId"] = str(uuid.uuid4())


def another_service_path(statement: Document) -> None:
    pattern = statement["Condition"]["ArnLike"]["aws:PrincipalArn"]
    statement["Condition"]["ArnLike"]["aws:PrincipalArn"] = pattern.replace("role/audit-export/", "role/other/")


Change = Callable[[Document], None]

OF_TRUST_POLICY: dict[Change, str] = {
    other_action: "ROLE_NOT_ASSUMABLE",
    other_principal: "ROLE_NOT_ASSUMABLE",
    without_external_id: "TRUST_POLICY_TOO_OPEN",
    another_external_id: "ROLE_NOT_ASSUMABLE",
    another_service_path: "ROLE_NOT_ASSUMABLE",
}
OF_IAM_POLICY: dict[Change, str] = {
    other_action: "WRITE_DENIED",
    without_exports: "WRITE_DENIED",
    without_marker: "WRITE_DENIED",
}
OF_BUCKET_POLICY: dict[Change, str] = OF_IAM_POLICY | {other_principal: "WRITE_DENIED"}

OF_ROLE = {"trustPolicy": OF_TRUST_POLICY, "iamPolicy": OF_IAM_POLICY, "bucketPolicy": OF_BUCKET_POLICY}
OF_USER = {"iamPolicy": OF_IAM_POLICY, "bucketPolicy": OF_BUCKET_POLICY}


def cases(of: dict[str, dict[Change, str]]) -> list[Any]:
    return [
        pytest.param(policy, change, code, id=f"{policy}-{change.__name__}")
        for policy, changes in of.items()
        for change, code in changes.items()
    ]


def changed(policies: dict[str, Any], policy: str, change: Change) -> Document:
    less = document(policies, policy)
    # The other statement, s3:PutObjectAcl, is not checked by emulators: see shared/aws-adapters/tests/strict_bucket.rs.
    statement, *_ = less["Statement"]
    whole = copy.deepcopy(statement)
    change(statement)
    assert statement != whole
    return less


def assert_needed(writer: Writer, policies: dict[str, Any], policy: str, change: Change, code: str) -> None:
    writer.put(policy, changed(policies, policy, change))
    try:
        assert writer.test() == code
        assert_guided(guidance(writer.customer), code)
    finally:
        writer.put(policy, document(policies, policy))
    assert writer.test() == "SUCCESS"


def assert_guided(guidance: dict[str, Any], code: str) -> None:
    """Asserts that the next step has the policy that fixes the failure, and that only one check failed."""
    first, *_ = steps = guidance["nextSteps"]
    assert (first["code"], first["instruction"]) == ("FIX_CONNECTION", guidance["connectionError"]["message"])
    assert json.loads(first["document"])["Statement"]
    expected = ["FIX_CONNECTION", *(["SET_BUCKET_POLICY"] if code == "WRITE_DENIED" else [])]
    assert [step["code"] for step in steps] == [*expected, "TEST_CONNECTION", "WAIT_FOR_EXPORT"]
    statuses = [check["status"] for check in guidance["connectionChecks"]]
    failed = statuses.index("FAILED")
    assert statuses == ["PASSED"] * failed + ["FAILED"] + ["NOT_CHECKED"] * (len(statuses) - failed - 1)
    assert guidance["connectionChecks"][failed]["code"] == code


@pytest.mark.parametrize(("policy", "change", "code"), cases(OF_ROLE))
def test_every_part_of_a_roles_policies_is_needed(
    role: Writer, role_policies: dict[str, Any], policy: str, change: Change, code: str
) -> None:
    assert_needed(role, role_policies, policy, change, code)


@pytest.mark.parametrize(("policy", "change", "code"), cases(OF_USER))
def test_every_part_of_a_users_policies_is_needed(
    user: Writer, user_policies: dict[str, Any], policy: str, change: Change, code: str
) -> None:
    assert_needed(user, user_policies, policy, change, code)


def test_the_changes_are_all_that_can_be_changed(role_policies: dict[str, Any], user_policies: dict[str, Any]) -> None:
    """The changes above cover every printed element."""
    for policies, names in [(role_policies, OF_ROLE), (user_policies, OF_USER)]:
        for name in names:
            statement, *others = document(policies, name)["Statement"]
            # Every write to another account's bucket sets an ACL. Emulators don't check this permission.
            assert [other["Action"] for other in others] == [["s3:PutObjectAcl"]] * (name != "trustPolicy")
            assert len(statement["Action"]) == 1
            if name == "trustPolicy":
                assert set(statement) == {"Effect", "Principal", "Action", "Condition"}
                conditions = {operator: list(keys) for operator, keys in statement["Condition"].items()}
                assert conditions == {"StringEquals": ["sts:ExternalId"], "ArnLike": ["aws:PrincipalArn"]}
            else:
                of_bucket = {"Principal"} if name == "bucketPolicy" else set()
                assert set(statement) == {"Effect", "Action", "Resource"} | of_bucket
                assert len(statement["Resource"]) == 2


def test_the_role_path_may_go_but_keeps_other_roles_of_the_service_out(
    role: Writer, role_policies: dict[str, Any]
) -> None:
    """Without aws:PrincipalArn the policies still suffice. It is printed because it keeps out roles of the service's account
    under another path, even with the external ID."""

    def without_role_path(statement: Document) -> None:
        del statement["Condition"]["ArnLike"]

    role.put_trust_policy(changed(role_policies, "trustPolicy", without_role_path))
    try:
        assert role.test() == "SUCCESS"
    finally:
        role.put_trust_policy(document(role_policies, "trustPolicy"))
    assert role.test() == "SUCCESS"


# ----------------------------------------------------------------------------------------------------------------------
# Guidance
# ----------------------------------------------------------------------------------------------------------------------


def test_a_new_export_is_guided_until_it_works(customers: CustomerFactory) -> None:
    # The connection test must not start the first export.
    wait_for_a_new_slot()
    writer = prepare_role(customers)
    shown = guidance(writer.customer)
    assert shown["type"] == "S3_ASSUMED_ROLE"
    assert [step["code"] for step in shown["nextSteps"]] == [
        "CREATE_ROLE", "ATTACH_PERMISSIONS", "SET_BUCKET_POLICY", "TEST_CONNECTION", "WAIT_FOR_EXPORT",
    ]  # fmt: skip
    assert {check["status"] for check in shown["connectionChecks"]} == {"NOT_CHECKED"}
    create, attach, bucket, *_ = [step["document"] for step in shown["nextSteps"]]
    writer.iam.create_role(RoleName=writer.role, AssumeRolePolicyDocument=create)
    writer.put_iam_policy(json.loads(attach))
    writer.put_bucket_policy(json.loads(bucket))
    assert writer.test() == "SUCCESS"
    shown = guidance(writer.customer)
    [wait] = shown["nextSteps"]
    assert wait["code"] == "WAIT_FOR_EXPORT"
    assert "the first export starts at 20" in wait["instruction"]
    assert {check["status"] for check in shown["connectionChecks"]} == {"PASSED"}
    writer.customer.tenant.administrator.disable(writer.customer.id)
    assert [step["code"] for step in guidance(writer.customer)["nextSteps"]] == ["ENABLE"]


def test_a_users_name_is_learned_by_the_test(customers: CustomerFactory, user: Writer) -> None:
    """For an unknown access key the printed policy has a placeholder."""
    unknown = Credentials("AKIA" + uuid.uuid4().hex[:16].upper(), (uuid.uuid4().hex * 2)[:40])
    customer = customers.with_access_key(credentials=unknown, expectedBucketOwner=BUCKET_ACCOUNT)
    policies = printed(customer)
    assert policies["principalArn"] is None
    placeholder = document(policies, "bucketPolicy")["Statement"][0]["Principal"]["AWS"]
    assert placeholder == "REPLACE-WITH-THE-ARN-OF-THE-IAM-USER"
    assert placeholder in policies["bucketPolicy"]["instruction"]
    assert guidance(user.customer)["principalArn"] == f"arn:aws:iam::{KEY_ACCOUNT}:user/{user.user}"
    assert guidance(user.customer)["type"] == "S3_ACCESS_KEY"
