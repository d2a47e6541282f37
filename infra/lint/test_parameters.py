"""The parameters of template.yaml: what they take and refuse."""

from __future__ import annotations

import json
import re

import pytest

from infra.lint.template import TEMPLATE


def test_every_parameter_is_described_and_bounded() -> None:
    bounds = {"AllowedValues", "AllowedPattern", "MinValue", "MaxValue", "MaxLength"}
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter.get("Description"), name
        assert bounds & set(parameter), name


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        (
            "EventSenders",
            [
                "",
                # Whoever uses the emulators (SERVICE_ACCOUNT in infra/local/settings.py).
                "arn:aws:iam::111111111111:root",
                "arn:aws-us-gov:iam::111111111111:role/path/of/producer",
                "arn:aws-cn:iam::111111111111:user/first.last+x=y@example.com",
            ],
            [
                "*",
                "111111111111",
                "producer",
                "arn:aws:iam::222222222222:root",
                "arn:aws-cn:iam::111111111111:root",
                "arn:aws:iam::111111111111:role/*",
                "arn:aws:iam::111111111111:role/",
                "arn:aws:iam::1111:role/producer",
                "arn:aws:iam::111111111111:group/producers",
                "arn:aws:sts::111111111111:assumed-role/producer/session",
                "arn:aws:iam::111111111111:role/a arn:aws:iam::111111111111:role/b",
            ],
        ),
        (
            "EventTopicArns",
            ["", "arn:aws:sns:eu-central-1:111111111111:audit-events"],
            [
                "*",
                "arn:aws:sns:*:111111111111:audit",
                "arn:aws:sns:eu-central-1:111111111111:*",
                "arn:aws:sns:eu-central-1:111111111111:a.fifo",
            ],
        ),
        (
            "EventRuleArns",
            [
                "",
                "arn:aws:events:eu-central-1:111111111111:rule/audit",
                "arn:aws:events:eu-central-1:111111111111:rule/bus/audit",
            ],
            [
                "*",
                "arn:aws:events:eu-central-1:111111111111:rule/*",
                "arn:aws:events:eu-central-1:111111111111:event-bus/default",
            ],
        ),
        (
            "TokenTenantClaim",
            ["tenant_id", "https://acme.example/tenant", "/app/tenant", "/a~1b/c~0", "a,b"],
            ["", "/", "/a//b", "/a/", "/a~2", "a b", "/a" * 9],
        ),
        (
            "TokenPermissionsClaim",
            ["permissions", "/realm_access/roles", "cognito:groups,scope", "/a/b,https://acme.example/roles,scope"],
            ["", ",", "a,", ",a", "a,,b", "a,b,c,d", "/a//b", "a,/b/", "a, b"],
        ),
        (
            "PageScopes",
            ["openid", "openid api://audit/read offline_access"],
            ["", " ", "openid  profile", " openid", 'openid "x"'],
        ),
        (
            "PagePortalOrigin",
            ["", "https://portal.example.com", "http://localhost:3000"],
            [
                "*",
                "'self'",
                "https://portal.example.com/",
                "https://*.example.com",
                "https://a.example https://b.example",
            ],
        ),
        (
            "PageFrameAncestors",
            [
                "",
                "https://a.example",
                "https://a.example,https://b.example:8443",
                "https://a.example, https://b.example",
            ],
            [
                "*",
                "https:",
                "https://a.example;script-src *",
                "https://a.example/",
                "https://a.example https://b.example",
            ],
        ),
        ("TokenIssuers", ["", '[{"issuer":"https://a.example"}]'], ["[]", "[x]", "{}", '["https://a.example"]']),
        (
            "EventRuleTenantPath",
            ["/detail/tenantId", "/account"],
            ["", "/", "detail", "$.detail", "/a b", "/a~", "/a~2"],
        ),
        (
            "RetiredSigningKeyArns",
            ["", "arn:aws:kms:eu-central-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
            [
                "alias/digests",
                "arn:aws:kms:eu-central-1:111111111111:alias/digests",
                "1234abcd-12ab-34cd-56ef-1234567890ab",
            ],
        ),
    ],
)
def test_a_parameter_takes_what_is_well_formed_alone(parameter: str, accepted: list[str], refused: list[str]) -> None:
    """Checks a pattern like CloudFormation: against the whole String, or each whole value of a CommaDelimitedList."""
    pattern = re.compile(TEMPLATE["Parameters"][parameter]["AllowedPattern"])
    assert [value for value in accepted if not pattern.fullmatch(value)] == []
    assert [value for value in refused if pattern.fullmatch(value)] == []


def test_tokens_have_one_issuer_or_a_list() -> None:
    text = json.dumps(TEMPLATE["Rules"]["TokensHaveAnIssuer"])
    assert set(re.findall(r'"Ref": "(\w+)"', text)) == {
        "TokenIssuer", "TokenAudience", "TokenIssuers", "TokenJwksUrl", "TokenTenantClaim", "TokenPermissionsClaim",
        "TokenAuditPermission", "TokenAuditWritePermission", "DevelopmentJwks",
    }  # fmt: skip
    several = TEMPLATE["Rules"]["TokensHaveAnIssuer"]["Assertions"][0]["Assert"]["Fn::Or"][1]["Fn::And"]
    required = {condition["Fn::Equals"][0]["Ref"]: condition["Fn::Equals"][1] for condition in several[:-1]}
    assert required == {name: TEMPLATE["Parameters"][name]["Default"] for name in required}


def test_production_refuses_every_development_setting() -> None:
    rule = TEMPLATE["Rules"]["ProductionRefusesDevelopmentSettings"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "DeploymentMode"}, "production"]}
    refused = {assertion["AssertDescription"].split()[0] for assertion in rule["Assertions"]}
    assert {name for name in TEMPLATE["Parameters"] if name.startswith("Development")} <= refused
