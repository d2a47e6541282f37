"""The templates for customers (infra/customer/): the CloudFormation template, deployed into a customer's account, and the Terraform
module, which must be equal to the template and to the policies that the API prints.

Differences between the emulator and AWS:
- It has no TLS. The policy of a new bucket denies plain HTTP, which a test checks; for the exports the policy is then removed.
- It ignores BucketEncryption and LifecycleConfiguration of a new bucket: these are tested in the template.
- It doesn't ask KMS when S3 encrypts: the permission is compared, not its effect.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest
from botocore.exceptions import ClientError
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from hcl2 import SerializationOptions
from samtranslator.yaml_helper import yaml_parse

from infra.local.settings import ROOT, TOOLS
from infra.local.stack import MARKER, CustomerAccount, Stack
from tests.e2e.guide import GUIDE, blocks_of, setup_permissions
from tests.e2e.harness import KEY_ACCOUNT, ROLE_ACCOUNT, Customer, CustomerFactory, make_events

# The tests need enforced policies.
pytestmark = pytest.mark.requires("iam enforcement", "trust policies")

FOLDER = ROOT / "infra" / "customer"
TEMPLATE_FILE = FOLDER / "cloudformation.yaml"
TEMPLATE = yaml_parse(TEMPLATE_FILE.read_text())
MODULE = FOLDER / "terraform"
REGION = "eu-west-1"
PATH = "audit/export"
DEPLOY_SECONDS = 180
TERRAFORM_SECONDS = 240

PARAMETERS = {
    "ServiceAccountId", "ServiceRolePath", "ExternalId", "RoleName", "BucketName", "BucketPath", "BucketOwnerAccountId",
    "CreateBucket", "KmsKeyArn", "CreateKmsKey",
}  # fmt: skip

VALID = {
    "ServiceAccountId": "111111111111",
    "ExternalId": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b",
    "RoleName": "audit-export",
    "BucketName": "acme-audit",
}
KEY_ARN = "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"

POLICIES_QUERY = """
    query($id: ID!) { getExportConfigurationPolicies(id: $id) {
        trustPolicy { document } iamPolicy { document } cloudFormation { launchUrl parameters { name value } }
    } }
"""


class RefusedByCloudFormation(Exception):
    """A stack could not be created. The message is CloudFormation's."""


class CustomerStacks:
    """Deployments of the template in a customer's account, as its root user."""

    def __init__(self, account: CustomerAccount) -> None:
        self.client = account.client("cloudformation")
        self.names: list[str] = []

    def deploy(self, parameters: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Deploys a stack; returns its name and outputs."""
        name = f"audit-export-{uuid.uuid4().hex[:12]}"
        try:
            self.client.create_stack(
                StackName=name,
                TemplateBody=TEMPLATE_FILE.read_text(),
                Capabilities=["CAPABILITY_NAMED_IAM"],
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            )
        except ClientError as error:
            raise RefusedByCloudFormation(error.response["Error"]["Message"]) from None
        self.names.append(name)
        self._wait(name, "stack_create_complete")
        [stack] = self.client.describe_stacks(StackName=name)["Stacks"]
        return name, {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def delete(self, name: str) -> None:
        self.client.delete_stack(StackName=name)
        self._wait(name, "stack_delete_complete")
        self.names.remove(name)

    def _wait(self, name: str, state: str) -> None:
        self.client.get_waiter(state).wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": DEPLOY_SECONDS})


@pytest.fixture
def stacks() -> Iterator[Callable[[CustomerAccount], CustomerStacks]]:
    made: list[CustomerStacks] = []

    def of(account: CustomerAccount) -> CustomerStacks:
        made.append(CustomerStacks(account))
        return made[-1]

    yield of
    for each in made:
        for name in list(each.names):
            each.delete(name)


def future_bucket(stack: Stack) -> CustomerAccount:
    """An account with a bucket that does not exist yet."""
    return CustomerAccount(stack, ROLE_ACCOUNT, REGION, f"audit-{uuid.uuid4().hex[:12]}", PATH)


def printed_policies(customer: Customer) -> dict[str, Any]:
    return customer.tenant.administrator.execute(POLICIES_QUERY, {"id": customer.id})["getExportConfigurationPolicies"]


def printed_parameters(customer: Customer) -> dict[str, str]:
    """Returns the template's parameters with the values that the API gives."""
    parameters = printed_policies(customer)["cloudFormation"]["parameters"]
    return {parameter["name"]: parameter["value"] for parameter in parameters}


def deployed_policies(customer: Customer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the trust policy and the permissions of the role in the customer's account."""
    iam = customer.account.client("iam")
    role = iam.get_role(RoleName=customer.role_name)["Role"]
    [name] = iam.list_role_policies(RoleName=customer.role_name)["PolicyNames"]
    permissions = iam.get_role_policy(RoleName=customer.role_name, PolicyName=name)["PolicyDocument"]
    return role["AssumeRolePolicyDocument"], permissions


def statements(policy: dict[str, Any] | str) -> list[dict[str, Any]]:
    """Returns a policy's statements in a normal form, so that equivalent ones are equal."""
    document = json.loads(policy) if isinstance(policy, str) else policy
    assert document["Version"] == "2012-10-17"

    def as_list(value: Any) -> list[Any]:
        return sorted(value) if isinstance(value, list) else [value]

    return [
        {
            "Sid": statement.get("Sid"),
            "Effect": statement["Effect"],
            "Principal": statement.get("Principal"),
            "Action": as_list(statement["Action"]),
            "Resource": as_list(statement.get("Resource", [])),
            "Condition": {
                test: {variable: as_list(values) for variable, values in condition.items()}
                for test, condition in statement.get("Condition", {}).items()
            },
        }
        for statement in as_statements(document["Statement"])
    ]


def as_statements(value: Any) -> list[dict[str, Any]]:
    return value if isinstance(value, list) else [value]


def assert_exports(customer: Customer) -> None:
    """Asserts that the connection test succeeds and that sent events arrive."""
    configuration = customer.tenant.administrator.test(customer.id)
    assert (configuration["connectionStatus"], configuration["connectionError"]) == ("SUCCESS", None)
    ids = customer.tenant.send(make_events(30))
    assert [event["id"] for event in customer.run_export(ids)] == ids


# ----------------------------------------------------------------------------------------------------------------------
# The template, deployed
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("makes_key", [False, True], ids=["without-key", "with-new-key"])
def test_a_new_bucket_takes_the_export_and_outlives_its_stack(
    makes_key: bool, stack: Stack, customers: CustomerFactory, stacks: Callable[[CustomerAccount], CustomerStacks]
) -> None:
    account = future_bucket(stack)
    customer = customers.with_role(account=account, create_role=False)
    deployment = stacks(account)
    choices = {"CreateBucket": "true", "CreateKmsKey": json.dumps(makes_key)}
    name, outputs = deployment.deploy(printed_parameters(customer) | choices)
    assert outputs["RoleArn"] == customer.configuration["endpointConfiguration"]["roleArn"]
    assert outputs["BucketName"] == account.bucket
    assert ("KmsKeyArn" in outputs) == makes_key

    block = account.s3.get_public_access_block(Bucket=account.bucket)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True} and len(block) == 4
    ownership = account.s3.get_bucket_ownership_controls(Bucket=account.bucket)["OwnershipControls"]
    assert ownership["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]

    # The emulator has no TLS: see above.
    refused = customer.tenant.administrator.test(customer.id)
    assert (refused["connectionStatus"], refused["connectionError"]["code"]) == ("FAILED", "WRITE_DENIED")
    [only_over_tls] = statements(account.s3.get_bucket_policy(Bucket=account.bucket)["Policy"])
    assert (only_over_tls["Effect"], only_over_tls["Principal"]) == ("Deny", "*")
    assert only_over_tls["Condition"] == {"Bool": {"aws:SecureTransport": ["false"]}}
    account.s3.delete_bucket_policy(Bucket=account.bucket)

    assert_exports(customer)
    objects = {entry["Key"] for entry in account.objects()}
    assert f"{PATH}/{MARKER}" in objects and len(objects) >= 4  # a file, a digest, its signature

    deployment.delete(name)
    assert {entry["Key"] for entry in account.objects()} == objects
    if makes_key:
        key = account.client("kms").describe_key(KeyId=outputs["KmsKeyArn"])["KeyMetadata"]
        assert key["KeyState"] == "Enabled"
    gone = customer.tenant.administrator.test(customer.id)
    assert gone["connectionError"]["code"] == "ROLE_NOT_ASSUMABLE"


def test_a_move_keeps_the_bucket_and_the_key_of_the_stack(
    stack: Stack,
    customers: CustomerFactory,
    stacks: Callable[[CustomerAccount], CustomerStacks],
    tmp_path: Path,
) -> None:
    """Follows the end of the guide's "Move to another bucket" with a stack that created the bucket."""
    account = future_bucket(stack)
    customer = customers.with_role(account=account, create_role=False)
    choices = {"CreateBucket": "true", "CreateKmsKey": "true"}
    name, outputs = stacks(account).deploy(printed_parameters(customer) | choices)
    new = CustomerAccount(stack, ROLE_ACCOUNT, REGION, f"{account.bucket}-2", PATH)
    new.s3.create_bucket(Bucket=new.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    role = outputs["RoleArn"].rpartition("/")[2]
    account.client("iam").put_role_policy(
        RoleName=role, PolicyName="audit-export-new", PolicyDocument=json.dumps(new.export_policy())
    )
    [block] = blocks_of("Move to another bucket", "stack")
    shutil.copy(TEMPLATE_FILE, tmp_path)
    setting, _, commands = block.text.partition("\n")
    assert setting == "STACK=$ROLE"
    environment = {
        "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": stack.endpoint,
        "AWS_ACCESS_KEY_ID": account.account,
        "AWS_SECRET_ACCESS_KEY": "root",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "STACK": name,
        "ROLE": role,
        "NEW_BUCKET": new.bucket,
    }
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=DEPLOY_SECONDS, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"

    # The old bucket has its settings, and its key.
    block_of_public = account.s3.get_public_access_block(Bucket=account.bucket)["PublicAccessBlockConfiguration"]
    assert set(block_of_public.values()) == {True}
    assert "OnlyOverTls" in account.s3.get_bucket_policy(Bucket=account.bucket)["Policy"]
    key = account.client("kms").describe_key(KeyId=outputs["KmsKeyArn"])["KeyMetadata"]
    assert key["KeyState"] == "Enabled"
    # The role has the permission for the new bucket alone: a single policy is left.
    _, permissions = deployed_policies(customer)
    [statement] = statements(permissions)
    assert all(resource.startswith(f"arn:aws:s3:::{new.bucket}/") for resource in statement["Resource"])


@pytest.mark.parametrize("encrypted", [False, True], ids=["without-key", "with-key"])
def test_an_existing_bucket_takes_the_export_and_is_left_as_it_is(
    encrypted: bool, customers: CustomerFactory, stacks: Callable[[CustomerAccount], CustomerStacks]
) -> None:
    account = customers.account(ROLE_ACCOUNT, REGION, path=PATH, encrypted=encrypted)
    encryption = account.s3.get_bucket_encryption(Bucket=account.bucket)["ServerSideEncryptionConfiguration"]
    customer = customers.with_role(account=account, create_role=False)
    name, outputs = stacks(account).deploy(printed_parameters(customer))
    assert outputs == {
        "RoleArn": customer.configuration["endpointConfiguration"]["roleArn"],
        "BucketName": account.bucket,
    } | ({"KmsKeyArn": account.kms_key_arn} if encrypted else {})
    assert [
        resource["ResourceType"]
        for resource in account.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    ] == ["AWS::IAM::Role"]
    assert_exports(customer)
    assert account.s3.get_bucket_encryption(Bucket=account.bucket)["ServerSideEncryptionConfiguration"] == encryption
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        account.s3.get_bucket_policy(Bucket=account.bucket)


@pytest.mark.parametrize("encrypted", [False, True], ids=["without-key", "with-key"])
@pytest.mark.parametrize("path", [PATH, None], ids=["with-path", "at-root"])
@pytest.mark.parametrize("owner", [None, ROLE_ACCOUNT, KEY_ACCOUNT], ids=["no-owner", "own-bucket", "foreign-bucket"])
def test_the_role_is_what_the_api_prints(
    owner: str | None,
    path: str | None,
    encrypted: bool,
    customers: CustomerFactory,
    stacks: Callable[[CustomerAccount], CustomerStacks],
) -> None:
    account = customers.account(ROLE_ACCOUNT, REGION, path=path, encrypted=encrypted)
    owned: dict[str, Any] = {} if owner is None else {"expectedBucketOwner": owner}
    customer = customers.with_role(account=account, create_role=False, **owned)
    stacks(account).deploy(printed_parameters(customer))
    trust, permissions = deployed_policies(customer)
    printed = printed_policies(customer)
    assert statements(trust) == statements(printed["trustPolicy"]["document"])
    assert statements(permissions) == statements(printed["iamPolicy"]["document"])
    actions = [action for statement in statements(permissions) for action in statement["Action"]]
    assert ("s3:PutObjectAcl" in actions) == (owner == KEY_ACCOUNT)
    module = Module(
        {
            "service_account_id": account.stack.account,
            "service_role_path": "audit-export",
            "external_id": customer.id,
            "bucket_name": account.bucket,
            "bucket_path": path or "",
            "bucket_owner_account_id": owner or "",
        },
        kms_key_arn=account.kms_key_arn,
        account=ROLE_ACCOUNT,
    )
    assert module.policy("trust") == statements(trust)
    assert module.policy("export") == statements(permissions)


def test_the_role_of_one_configuration_serves_no_other(
    customers: CustomerFactory, stacks: Callable[[CustomerAccount], CustomerStacks]
) -> None:
    account = customers.account(ROLE_ACCOUNT, REGION, path=PATH)
    customer = customers.with_role(account=account, create_role=False)
    stacks(account).deploy(printed_parameters(customer))
    role_arn = customer.configuration["endpointConfiguration"]["roleArn"]
    other = customers.with_role(account=account, create_role=False, roleArn=role_arn)
    tested = other.tenant.administrator.test(other.id)
    assert tested["connectionError"]["code"] == "ROLE_NOT_ASSUMABLE"


# ----------------------------------------------------------------------------------------------------------------------
# The parameters
# ----------------------------------------------------------------------------------------------------------------------


def test_the_linter_has_nothing_to_say() -> None:
    linted = subprocess.run([TOOLS / "cfn-lint", TEMPLATE_FILE], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_parameters_are_those_that_the_api_fills_in(customers: CustomerFactory) -> None:
    assert set(TEMPLATE["Parameters"]) == PARAMETERS
    grouped = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in grouped for name in group["Parameters"]) == sorted(PARAMETERS)
    customer = customers.with_role(create_role=False)
    filled_in = printed_parameters(customer)
    assert set(filled_in) == PARAMETERS
    assert {name for name, parameter in TEMPLATE["Parameters"].items() if "Default" not in parameter} <= set(filled_in)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ServiceAccountId": "11111111111"}, "12 digits"),
        ({"ServiceRolePath": "/audit-export/"}, "Names separated by slashes"),
        ({"ServiceRolePath": "*"}, "Names separated by slashes"),
        ({"ExternalId": "mine"}, "A configuration's ID"),
        ({"ExternalId": "*"}, "A configuration's ID"),
        ({"RoleName": "path/role"}, "1 to 64 letters"),
        ({"BucketName": "arn:aws:s3:::acme"}, "general purpose bucket"),
        ({"BucketName": "acme..audit"}, "general purpose bucket"),
        ({"BucketName": "acme-"}, "general purpose bucket"),
        ({"BucketPath": "/audit"}, "A path like"),
        ({"BucketPath": "audit/"}, "A path like"),
        ({"BucketPath": "a//b"}, "A path like"),
        ({"BucketPath": "a/../b"}, "A path like"),
        ({"BucketPath": "*"}, "A path like"),
        ({"BucketOwnerAccountId": "3333"}, "12 digits"),
        ({"KmsKeyArn": "alias/audit"}, "The ARN of a key"),
        ({"CreateBucket": "yes"}, "CreateBucket"),
        ({"CreateKmsKey": "true"}, "needs CreateBucket=true"),
        ({"CreateBucket": "true", "CreateKmsKey": "true", "KmsKeyArn": KEY_ARN}, "leave KmsKeyArn empty"),
    ],
    ids=lambda value: "-".join(f"{name}={given}" for name, given in value.items()) if isinstance(value, dict) else "",
)
def test_wrong_parameters_are_refused_before_anything_is_made(
    changes: dict[str, str], message: str, stack: Stack, stacks: Callable[[CustomerAccount], CustomerStacks]
) -> None:
    account = future_bucket(stack)
    parameters = VALID | {"BucketName": account.bucket, "RoleName": f"refused-{uuid.uuid4().hex[:8]}"} | changes
    with pytest.raises(RefusedByCloudFormation, match=re.escape(message)):
        stacks(account).deploy(parameters)


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "BucketPath": ["", "a", "audit/logs", "team=security/it's(new)!", "a.b/..c", "...", "a" * 256],
        "BucketName": ["abc", "my-bucket", "my.bucket.1", "1bucket", "a" * 63, "a.-b"],
        "KmsKeyArn": ["", KEY_ARN, "arn:aws-us-gov:kms:us-gov-west-1:222222222222:key/mrk-1234abcd12ab34cd56ef1234567890ab"],
        "ServiceRolePath": ["audit-export", "platform/audit-export"],
        "RoleName": ["a", "audit_export+=,.@-", "a" * 64],
    }.items(),
)  # fmt: skip
def test_the_patterns_take_what_the_service_takes(name: str, values: list[str]) -> None:
    for value in values:
        assert re.fullmatch(TEMPLATE["Parameters"][name]["AllowedPattern"], value), value


def test_a_new_bucket_is_encrypted_and_rid_of_broken_uploads() -> None:
    """Checked in the template, because the emulator creates the bucket without them."""
    resources = TEMPLATE["Resources"]
    bucket = resources["Bucket"]["Properties"]
    [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["BucketKeyEnabled"] is True
    condition, with_key, without_key = encryption["ServerSideEncryptionByDefault"]["Fn::If"]
    assert (condition, with_key["SSEAlgorithm"], without_key["SSEAlgorithm"]) == ("HasKey", "aws:kms", "AES256")
    [rule] = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["AbortIncompleteMultipartUpload"]) == ("Enabled", {"DaysAfterInitiation": 7})
    assert set(rule) == {"Id", "Status", "AbortIncompleteMultipartUpload"}, "nothing that was exported may expire"
    for kept in ("Bucket", "BucketPolicy", "Key"):
        assert (resources[kept]["DeletionPolicy"], resources[kept]["UpdateReplacePolicy"]) == (
            "RetainExceptOnCreate",
            "Retain",
        )


# Permissions of a role's life that need something which the template's role does not have.
OF_OTHER_ROLES = {
    "iam:AttachRolePolicy": "ManagedPolicyArns",
    "iam:DetachRolePolicy": "ManagedPolicyArns",
    "iam:TagRole": "Tags",
    "iam:UntagRole": "Tags",
}


def test_the_guide_names_the_permissions_that_cloudformation_needs_for_the_role() -> None:
    """CloudFormation acts with the credentials of whoever runs `audit-export setup`. No emulator checks that, but AWS's schema says
    what each change of a role needs.
    """
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, "AWS::IAM::Role").schema["handlers"]
    needed = {action for change in ("create", "read", "delete") for action in handlers[change]["permissions"]}
    properties = TEMPLATE["Resources"]["Role"]["Properties"]
    assert not set(OF_OTHER_ROLES.values()) & set(properties)
    in_guide = {action for action in setup_permissions() if action.startswith("iam:")}
    assert in_guide == needed - set(OF_OTHER_ROLES)


# What the permissions of the settings of the template's bucket end with.
SETTINGS_OF_BUCKET = {
    "BucketEncryption": "EncryptionConfiguration",
    "LifecycleConfiguration": "LifecycleConfiguration",
    "OwnershipControls": "BucketOwnershipControls",
    "PublicAccessBlockConfiguration": "BucketPublicAccessBlock",
}


def test_the_guide_names_the_permissions_that_cloudformation_needs_for_a_new_bucket() -> None:
    properties = TEMPLATE["Resources"]["Bucket"]["Properties"]
    assert set(properties) == {"BucketName", *SETTINGS_OF_BUCKET}

    def permissions(kind: str) -> set[str]:
        handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema["handlers"]
        return {action for change in ("create", "read", "delete") for action in handlers[change]["permissions"]}

    settings = {f"s3:{verb}{name}" for verb in ("Get", "Put") for name in SETTINGS_OF_BUCKET.values()}
    bucket = {"s3:CreateBucket", "s3:DeleteBucket", "s3:ListBucket"} | settings
    assert bucket <= permissions("AWS::S3::Bucket")
    row = re.search(r"^\| a new bucket \|.*$", GUIDE.read_text(), re.MULTILINE)
    assert row
    assert set(re.findall(r"`(s3:\w+)`", row[0])) == bucket | permissions("AWS::S3::BucketPolicy")


# ----------------------------------------------------------------------------------------------------------------------
# The Terraform module
# ----------------------------------------------------------------------------------------------------------------------


class Module:
    """The parsed source of the Terraform module, with the values that its policies depend on.

    It evaluates only the expressions that the module uses; any other fails the test.
    """

    def __init__(self, variables: dict[str, str], kms_key_arn: str | None, account: str) -> None:
        self.source = module_source()
        self.values = {f"var.{name}": value for name, value in variables.items()} | {
            "data.aws_partition.current.partition": "aws",
            "data.aws_caller_identity.current.account_id": account,
        }
        crosses_accounts = variables.get("bucket_owner_account_id", "") not in ("", account)
        # The values of each dynamic statement.
        self.dynamic = {
            "${local.crosses_accounts ? [true] : []}": ["true"] if crosses_accounts else [],
            "${local.has_key ? [local.kms_key_arn] : []}": [] if kms_key_arn is None else [kms_key_arn],
        }
        path = variables["bucket_path"]
        self.values['var.bucket_path == "" ? "" : "${var.bucket_path}/"'] = f"{path}/" if path else ""
        for name in ("bucket_arn", "prefix"):
            self.values[f"local.{name}"] = self.fill_in(self.source["locals"][0][name])

    def fill_in(self, text: str) -> str:
        if text.startswith("${") and text[2:-1] in self.values:
            return self.values[text[2:-1]]
        return re.sub(r"\$\{([^{}]+)\}", lambda found: self.values[found[1]], text)

    def policy(self, name: str) -> list[dict[str, Any]]:
        """Returns a policy document's statements in the form of `statements`."""
        [document] = [
            labelled[name]
            for entry in self.source["data"]
            for kind, labelled in entry.items()
            if kind == "aws_iam_policy_document" and name in labelled
        ]
        policy = [self._statement(statement) for statement in document["statement"]]
        for dynamic in document.get("dynamic", []):
            for value in self.dynamic[dynamic["statement"]["for_each"]]:
                self.values["statement.value"] = value
                policy += [self._statement(content) for content in dynamic["statement"]["content"]]
        return statements({"Version": "2012-10-17", "Statement": policy})

    def _statement(self, source: dict[str, Any]) -> dict[str, Any]:
        statement: dict[str, Any] = {
            "Sid": source.get("sid"),
            "Effect": source["effect"],
            "Action": [self.fill_in(action) for action in source["actions"]],
            "Resource": [self.fill_in(resource) for resource in source.get("resources", [])],
            "Condition": {
                condition["test"]: {condition["variable"]: [self.fill_in(value) for value in condition["values"]]}
                for condition in source.get("condition", [])
            },
        }
        for principals in source.get("principals", []):
            [identifier] = [self.fill_in(identifier) for identifier in principals["identifiers"]]
            statement["Principal"] = identifier if principals["type"] == "*" else {principals["type"]: identifier}
        return statement


def module_source() -> dict[str, list[Any]]:
    """Returns all blocks of the module by type."""
    options = SerializationOptions(strip_string_quotes=True, with_comments=False, explicit_blocks=False)
    source: dict[str, list[Any]] = {}
    for file in sorted(MODULE.glob("*.tf")):
        with file.open() as text:
            for kind, blocks in hcl2.load(text, serialization_options=options).items():
                source.setdefault(kind, []).extend(blocks)
    return source


def resources_of(source: dict[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """Returns the module's only resource of a type."""
    return {kind: labelled["this"] for entry in source["resource"] for kind, labelled in entry.items()}


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def test_the_module_takes_and_gives_what_the_template_does() -> None:
    source = module_source()
    variables = {name: variable for entry in source["variable"] for name, variable in entry.items()}
    assert set(variables) == {snake_case(name) for name in PARAMETERS}
    for name, parameter in TEMPLATE["Parameters"].items():
        variable = variables[snake_case(name)]
        default = variable.get("default")
        assert (json.dumps(default) if isinstance(default, bool) else default) == parameter.get("Default"), name
        assert variable["nullable"] is False
        if "AllowedPattern" in parameter:
            [validation] = variable["validation"]
            quoted = re.search(r'regex\("(.*)", var\.', validation["condition"])
            assert quoted, name
            pattern = json.loads(f'"{quoted[1]}"').replace("{1,64}$", "+$")
            assert pattern == parameter["AllowedPattern"], name
    rules = [validation["condition"] for validation in variables["create_kms_key"]["validation"]]
    assert rules == [
        '${!var.create_kms_key || var.kms_key_arn == ""}',
        "${!var.create_kms_key || var.create_bucket}",
    ]
    assert len(TEMPLATE["Rules"]["OneKey"]["Assertions"]) == len(rules)
    outputs = {name for entry in source["output"] for name in entry}
    assert outputs == {snake_case(name) for name in TEMPLATE["Outputs"]}


def test_the_module_makes_what_the_template_does() -> None:
    source = module_source()
    resources = resources_of(source)
    assert resources["aws_iam_role"]["assume_role_policy"] == "${data.aws_iam_policy_document.trust.json}"
    assert resources["aws_iam_role_policy"]["policy"] == "${data.aws_iam_policy_document.export.json}"
    assert (
        resources["aws_iam_role_policy"]["name"]
        == TEMPLATE["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyName"]
    )
    assert (
        resources["aws_iam_role"]["max_session_duration"]
        == TEMPLATE["Resources"]["Role"]["Properties"]["MaxSessionDuration"]
    )
    for kept in ("aws_s3_bucket", "aws_kms_key"):
        [lifecycle] = resources[kept]["lifecycle"]
        assert lifecycle["prevent_destroy"] is True
    assert resources["aws_s3_bucket"]["force_destroy"] is False

    properties = TEMPLATE["Resources"]["Bucket"]["Properties"]
    block = resources["aws_s3_bucket_public_access_block"]
    assert {name: block[snake_case(name)] for name in properties["PublicAccessBlockConfiguration"]} == properties[
        "PublicAccessBlockConfiguration"
    ]
    [ownership] = resources["aws_s3_bucket_ownership_controls"]["rule"]
    assert ownership["object_ownership"] == properties["OwnershipControls"]["Rules"][0]["ObjectOwnership"]
    [rule] = resources["aws_s3_bucket_lifecycle_configuration"]["rule"]
    [abort] = rule["abort_incomplete_multipart_upload"]
    [wanted] = properties["LifecycleConfiguration"]["Rules"]
    assert (rule["id"], rule["status"]) == (wanted["Id"], wanted["Status"])
    assert abort["days_after_initiation"] == wanted["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
    [encryption] = resources["aws_s3_bucket_server_side_encryption_configuration"]["rule"]
    [default] = encryption["apply_server_side_encryption_by_default"]
    assert encryption["bucket_key_enabled"] is True
    assert default["sse_algorithm"] == '${local.has_key ? "aws:kms" : "AES256"}'
    key = resources["aws_kms_key"]
    template_key = TEMPLATE["Resources"]["Key"]["Properties"]
    assert (key["enable_key_rotation"], key["deletion_window_in_days"]) == (
        template_key["EnableKeyRotation"],
        template_key["PendingWindowInDays"],
    )
    assert key["policy"] == "${data.aws_iam_policy_document.key.json}"
    assert resources["aws_s3_bucket_policy"]["policy"] == "${data.aws_iam_policy_document.bucket.json}"


def test_the_readme_removes_everything_that_is_kept_from_the_state() -> None:
    """What stays in the state is destroyed with the module: the bucket would lose its settings."""
    resources = resources_of(module_source())
    kept = {
        f"module.audit_export.{kind}.this[0]"
        for kind, resource in resources.items()
        if resource.get("count") in ("${var.create_bucket ? 1 : 0}", "${var.create_kms_key ? 1 : 0}")
    }
    assert {kind for kind, resource in resources.items() if "count" not in resource} == {
        "aws_iam_role",
        "aws_iam_role_policy",
    }
    readme = (MODULE / "README.md").read_text()
    bucket, key = readme.partition("terraform state rm ")[2].partition("```")[0].split("terraform state rm ")
    assert {*re.findall(r"'([^']+)'", bucket), *re.findall(r"'([^']+)'", key)} == kept
    assert re.findall(r"'([^']+)'", key) == ["module.audit_export.aws_kms_key.this[0]"]


def test_the_policies_of_the_modules_bucket_and_key_are_the_templates(
    stack: Stack, customers: CustomerFactory, stacks: Callable[[CustomerAccount], CustomerStacks]
) -> None:
    account = future_bucket(stack)
    customer = customers.with_role(account=account, create_role=False)
    choices = {"CreateBucket": "true", "CreateKmsKey": "true"}
    _, outputs = stacks(account).deploy(printed_parameters(customer) | choices)
    module = Module({"bucket_name": account.bucket, "bucket_path": PATH}, outputs["KmsKeyArn"], ROLE_ACCOUNT)
    bucket_policy = account.s3.get_bucket_policy(Bucket=account.bucket)["Policy"]
    assert module.policy("bucket") == statements(bucket_policy)
    key_policy = account.client("kms").get_key_policy(KeyId=outputs["KmsKeyArn"], PolicyName="default")["Policy"]
    assert module.policy("key") == statements(key_policy)


@pytest.mark.skipif(
    shutil.which("terraform") is None or not Path(os.environ.get("TF_CLI_CONFIG_FILE", "/nowhere")).is_file(),
    reason="needs terraform, and TF_CLI_CONFIG_FILE with a mirror of its AWS provider: neither is in a package registry",
)
def test_terraform_applies_the_module(stack: Stack, customers: CustomerFactory, tmp_path: Path) -> None:
    account = future_bucket(stack)
    customer = customers.with_role(account=account, create_role=False)
    values = {
        "source": str(MODULE),
        "service_account_id": stack.account,
        "external_id": customer.id,
        "role_name": customer.role_name,
        "bucket_name": account.bucket,
        "bucket_path": PATH,
        "create_bucket": True,
        "create_kms_key": True,
    }
    root = {"module": {"audit_export": values}, "provider": {"aws": {"region": REGION, "s3_use_path_style": True}}}
    (tmp_path / "main.tf.json").write_text(json.dumps(root))
    environment = os.environ | {
        "AWS_ENDPOINT_URL": stack.endpoint,
        "AWS_ACCESS_KEY_ID": ROLE_ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "root",
        "AWS_EC2_METADATA_DISABLED": "true",
        "CHECKPOINT_DISABLE": "true",
    }
    for command in (["fmt", "-check", "-recursive", str(MODULE)], ["init"], ["validate"], ["apply", "-auto-approve"]):
        options = ["-no-color"] if command[0] in ("init", "validate", "apply") else []
        ran = subprocess.run(
            ["terraform", command[0], *options, *command[1:]],
            cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=TERRAFORM_SECONDS, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"{command[0]}\n{ran.stdout}\n{ran.stderr}"
    [rule] = account.s3.get_bucket_lifecycle_configuration(Bucket=account.bucket)["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    [encryption] = account.s3.get_bucket_encryption(Bucket=account.bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    # The emulator has no TLS: see above.
    account.s3.delete_bucket_policy(Bucket=account.bucket)
    assert_exports(customer)
    trust, permissions = deployed_policies(customer)
    assert statements(trust) == statements(printed_policies(customer)["trustPolicy"]["document"])
    assert len(statements(permissions)) == 2
