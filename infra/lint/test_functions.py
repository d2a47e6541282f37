"""The functions of template.yaml: variables, concurrency and logs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from infra.lint.template import FUNCTIONS, RESOURCES, ROOT, TEMPLATE, target


def test_functions_that_name_or_reach_servers_of_customers_have_the_same_switch() -> None:
    variables = {name: RESOURCES[name]["Properties"]["Environment"]["Variables"] for name in FUNCTIONS}
    name = "DEVELOPMENT_CA_FILE"
    have_it = {function for function in FUNCTIONS if name in variables[function]}
    assert have_it == {
        "ApiFunction",
        "ConverterFunction",
        "ExporterFunction",
        "NotifierFunction",
        "VerifierFunction",
    }
    assert all(variables[function][name] == {"Ref": "DevelopmentCaFile"} for function in have_it)
    assert variables["ApiFunction"]["NOTIFIER_FUNCTION"] == {"Ref": "NotifierFunction"}


def test_the_functions_with_callers_get_every_parameter_of_tokens() -> None:
    parameters = {name for name in TEMPLATE["Parameters"] if name.startswith("Token")}
    assert {"TokenIssuer", "TokenIssuers", "TokenAudience"} < parameters
    for function in ("ApiFunction", "IngestFunction"):
        variables = RESOURCES[function]["Properties"]["Environment"]["Variables"]
        given = {value["Ref"]: name for name, value in variables.items() if name.startswith("TOKEN_")}
        for parameter in parameters:
            # TOKEN_JWKS_URL for TokenJwksUrl
            assert given[parameter] == re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter).upper()


# Lambda's quota for the variables of a function together: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
# Its error shows what it counts: the names and values as one JSON object.
VARIABLES_BYTES = 4_096
# docs/IDENTITY.md and docs/OPERATIONS.md: so many entries always fit.
RETIRED_KEYS = 3
# The longest names that AWS gives. CloudFormation puts the stack's, of at most 128, before the logical ID.
ACCOUNT, REGION, PARTITION = "1" * 12, "ap-southeast-1", "aws-us-gov"
KEY_ARN = f"arn:{PARTITION}:kms:us-gov-west-1:{ACCOUNT}:key/{'0' * 36}"
LONGEST_NAMES = {
    "AWS::DynamoDB::Table": 255,
    "AWS::S3::Bucket": 63,
    "AWS::SQS::Queue": 80,
    "AWS::Serverless::Function": 64,
    "AWS::Events::EventBus": 256,
}


def longest(parameter: str) -> str:
    """Returns the longest value of a parameter in production."""
    if parameter.startswith("Development"):
        return str(TEMPLATE["Parameters"][parameter]["Default"])
    if parameter == "RetiredSigningKeyArns":
        return ",".join([KEY_ARN] * RETIRED_KEYS)
    definition = TEMPLATE["Parameters"][parameter]
    if "AllowedValues" in definition:
        return max(map(str, definition["AllowedValues"]), key=len)
    return str(definition["MaxValue"]) if "MaxValue" in definition else "x" * definition["MaxLength"]


def longest_of(value: Any) -> tuple[str, str | None]:
    """Returns the longest value of a variable, and the parameter that it comes from."""
    if not isinstance(value, dict):
        return str(value), None
    ((function, argument),) = value.items()
    if function == "Fn::If":
        return max(map(longest_of, argument[1:]), key=lambda found: len(found[0]))
    if function == "Fn::GetAtt":
        assert RESOURCES[target(value)]["Type"] == "AWS::KMS::Key"
        return KEY_ARN, None
    if function == "Fn::Join":
        argument = argument[1]["Ref"]
    if argument in TEMPLATE["Parameters"]:
        return longest(argument), argument
    if argument in RESOURCES:
        kind = RESOURCES[argument]["Type"]
        name = "x" * min(LONGEST_NAMES[kind], 128 + len(f"-{argument}-") + 13)
        return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}" if kind == "AWS::SQS::Queue" else name, None
    return {"AWS::AccountId": ACCOUNT, "AWS::Partition": PARTITION}[argument], None


@pytest.mark.parametrize("several_issuers", [False, True])
@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_the_longest_parameters_fit_into_the_variables_of_a_function(function: str, several_issuers: bool) -> None:
    """The rule TokensHaveAnIssuer permits the parameters of one issuer, or TokenIssuers with the defaults of all others."""
    shared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    variables = {}
    for name, value in (shared | RESOURCES[function]["Properties"]["Environment"]["Variables"]).items():
        variables[name], parameter = longest_of(value)
        if parameter and parameter.startswith("Token") and several_issuers != (parameter == "TokenIssuers"):
            variables[name] = TEMPLATE["Parameters"][parameter]["Default"]
    # The template bounds the characters of TokenIssuers, and `token check` the bytes that Lambda counts: these.
    settings = (ROOT / "shared" / "authentication" / "src" / "settings.rs").read_text()
    bound = re.search(r"MAX_ISSUERS_LENGTH_BYTES: usize = ([0-9_]+);", settings)
    assert bound and int(bound[1]) == TEMPLATE["Parameters"]["TokenIssuers"]["MaxLength"]
    assert len(json.dumps(variables, separators=(",", ":"))) <= VARIABLES_BYTES


def test_the_page_gets_every_parameter_of_its_own() -> None:
    """The page has no other variables: it calls nothing, and has no secret."""
    variables = RESOURCES["PageFunction"]["Properties"]["Environment"]["Variables"]
    parameters = {name for name in TEMPLATE["Parameters"] if name.startswith("Page")} - {"PageReservedConcurrency"}
    assert len(parameters) == 8
    # PAGE_CLIENT_ID for PageClientId
    own = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper(): {"Ref": name} for name in parameters}
    assert variables == own | {"TOKEN_TENANT_CLAIM": {"Ref": "TokenTenantClaim"}}
    # A link with a token can sign its reader in as somebody else.
    assert TEMPLATE["Parameters"]["PageTokenInLink"]["Default"] == "disabled"
    # With one of the two, the function would not start.
    rule = json.dumps(TEMPLATE["Rules"]["PageSignsInAsAClient"])
    assert set(re.findall(r'"Ref": "(\w+)"', rule)) == {"PageIssuer", "PageClientId"}
    output = TEMPLATE["Outputs"]["PageUrl"]["Value"]["Fn::Sub"]
    assert output.endswith(RESOURCES["PageFunction"]["Properties"]["Events"]["Document"]["Properties"]["Path"])


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_concurrency_is_reserved_where_it_is_asked_for(function: str) -> None:
    condition, reserved, none = RESOURCES[function]["Properties"]["ReservedConcurrentExecutions"]["Fn::If"]
    parameter = f"{function.removesuffix('Function')}ReservedConcurrency"
    assert (reserved, none) == ({"Ref": parameter}, {"Ref": "AWS::NoValue"})
    assert TEMPLATE["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, 0]}]}
    # A new account has no concurrency to reserve.
    assert TEMPLATE["Parameters"][parameter]["Default"] == 0


def test_what_is_reserved_suffices_for_what_runs_at_a_time() -> None:
    (deliveries,) = RESOURCES["NotifierFunction"]["Properties"]["Events"].values()
    allowances = (ROOT / "shared/domain/src/allowance.rs").read_text()
    (running,) = re.findall(r"const MAX_RUNNING_TESTS: u32 = (\d+);", allowances)
    tests = int(running)
    at_a_time = {
        # Its queue, the tests of webhooks of one tenant, and one of another tenant.
        "NotifierReservedConcurrency": deliveries["Properties"]["ScalingConfig"]["MaximumConcurrency"] + tests + 1,
        # The sweep, the outbox and an erasure.
        "HousekeeperReservedConcurrency": 3,
    }
    refused = {}
    for assertion in TEMPLATE["Rules"]["ReservedConcurrencySuffices"]["Assertions"]:
        ((listed, parameter),) = (condition["Fn::Contains"] for condition in assertion["Assert"]["Fn::Not"])
        refused[parameter["Ref"]] = listed
    assert refused == {name: [str(number) for number in range(1, needed)] for name, needed in at_a_time.items()}
    for name, needed in at_a_time.items():
        assert f"at least {needed};" in TEMPLATE["Parameters"][name]["Description"]


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_function_logs_where_logs_are_kept_for_a_set_time(function: str) -> None:
    group = target(RESOURCES[function]["Properties"]["LoggingConfig"]["LogGroup"])
    assert RESOURCES[group]["Type"] == "AWS::Logs::LogGroup"
    assert target(RESOURCES[group]["Properties"]["RetentionInDays"]) == "LogRetentionDays"
