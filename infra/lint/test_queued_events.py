"""The optional template that puts events into the queue without a function: no emulator here runs its kind of integration."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from infra.lint.template import ROOT, TEMPLATE

PATH = ROOT / "infra" / "queued-events" / "http-api.yaml"
EXAMPLE = yaml_parse(PATH.read_text())
PARAMETERS = EXAMPLE["Parameters"]
INTEGRATION = EXAMPLE["Resources"]["Integration"]["Properties"]
ROUTE = EXAMPLE["Resources"]["Route"]["Properties"]


def substituted(text: dict[str, str], **parameters: str) -> str:
    """Returns what CloudFormation makes of an `Fn::Sub`: `${!x}` stays as `${x}`."""
    replaced = re.sub(r"\$\{(\w+)\}", lambda found: parameters[found[1]], text["Fn::Sub"])
    return replaced.replace("${!", "${")


def test_the_template_is_valid() -> None:
    linter = Path(sys.executable).parent / "cfn-lint"
    found = subprocess.run([linter, "--template", PATH], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_the_tenant_comes_from_the_verified_token_alone() -> None:
    mapping = INTEGRATION["RequestParameters"]
    attributes = json.loads(substituted(mapping["MessageAttributes"], TokenTenantClaim="tenant_id"))
    value = {"DataType": "String", "StringValue": "${context.authorizer.claims.tenant_id}"}
    assert attributes == {"tenantId": value}
    rest = {name: value for name, value in mapping.items() if name != "MessageAttributes"}
    assert rest == {"QueueUrl": {"Ref": "EventsQueueUrl"}, "MessageBody": "$request.body"}
    envelope = (ROOT / "shared" / "domain" / "src" / "envelope.rs").read_text()
    assert re.findall(r'const TENANT_ATTRIBUTE: &str = "(\w+)";', envelope) == list(attributes)


@pytest.mark.parametrize("name", ["a}", "a.b", "$x", 'a"', "https://acme.example/tenant", ""])
def test_a_claim_s_name_can_t_end_the_expression(name: str) -> None:
    assert not re.fullmatch(PARAMETERS["TokenTenantClaim"]["AllowedPattern"], name)


def test_every_request_needs_a_token_with_the_scope() -> None:
    assert ROUTE["AuthorizationType"] == "JWT"
    assert ROUTE["AuthorizationScopes"] == [{"Ref": "TokenScope"}]
    assert re.fullmatch(PARAMETERS["TokenScope"]["AllowedPattern"], "") is None
    assert [name for name, it in EXAMPLE["Resources"].items() if it["Type"].endswith("::Route")] == ["Route"]


def test_the_api_may_only_send_to_the_queue() -> None:
    role = EXAMPLE["Resources"]["Sender"]["Properties"]
    [policy] = role["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("sqs:SendMessage", {"Ref": "EventsQueueArn"})
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_the_service_names_what_the_template_takes() -> None:
    assert {"EventsQueueArn", "EventsQueueUrl"} <= set(TEMPLATE["Outputs"])
    assert "EventSenders" in TEMPLATE["Parameters"]
    assert ROUTE["RouteKey"].split()[1] in json.dumps(TEMPLATE, default=str)


def test_answers_and_logs() -> None:
    answers = INTEGRATION["ResponseParameters"]["200"]["ResponseParameters"]
    assert answers == [{"Destination": "overwrite:statuscode", "Source": "202"}]
    log = EXAMPLE["Resources"]["Stage"]["Properties"]["AccessLogSettings"]["Format"]
    line = json.loads(substituted(log, TokenTenantClaim="tenant_id"))
    assert line["tenant"] == "$context.authorizer.claims.tenant_id"
    # Neither tokens nor events.
    assert not [value for value in line.values() if "request." in value]
