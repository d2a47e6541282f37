"""The optional template with an HTTP API in front of ingest. The emulators give every function format 2.0, whatever the
integration says, so the format is compared with AWS's description, and ingest reads a request in it (its handler's tests)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

from infra.lint.template import ROOT, TEMPLATE

PATH = ROOT / "infra" / "http-ingest" / "http-api.yaml"
EXAMPLE = yaml_parse(PATH.read_text())
RESOURCES = EXAMPLE["Resources"]
INGEST = TEMPLATE["Resources"]["IngestFunction"]["Properties"]


def test_the_template_is_valid() -> None:
    linter = Path(sys.executable).parent / "cfn-lint"
    found = subprocess.run([linter, "--template", PATH], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_its_routes_are_those_that_ingest_serves() -> None:
    routes = {
        it["Properties"]["RouteKey"]: it["Properties"] for it in RESOURCES.values() if it["Type"].endswith("::Route")
    }
    served = [event["Properties"] for event in INGEST["Events"].values() if event["Type"] == "Api"]
    assert set(routes) == {f"{event['Method']} {event['Path']}" for event in served}
    # Ingest checks tokens itself, with all issuers of the service.
    assert all("AuthorizationType" not in route for route in routes.values())
    assert {route["Target"]["Fn::Sub"] for route in routes.values()} == {"integrations/${Integration}"}


def test_the_function_gets_the_format_of_the_rest_api_and_as_much_time() -> None:
    integration = RESOURCES["Integration"]["Properties"]
    assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "1.0")
    times = {event["Properties"]["TimeoutInMillis"] for event in INGEST["Events"].values() if event["Type"] == "Api"}
    assert {integration["TimeoutInMillis"]} == times


def test_only_this_api_s_posts_may_invoke_the_function() -> None:
    permission = RESOURCES["MayInvoke"]["Properties"]
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${AWS::AccountId}:${Api}/$default/POST/*")


def test_the_service_names_what_the_template_takes() -> None:
    output = TEMPLATE["Outputs"]["IngestFunctionArn"]["Value"]
    assert output == {"Fn::GetAtt": "IngestFunction.Arn"} or output == {"Fn::GetAtt": ["IngestFunction", "Arn"]}
    arn = "arn:aws:lambda:eu-central-1:111111111111:function:audit-export-IngestFunction-AbC123"
    assert re.fullmatch(EXAMPLE["Parameters"]["IngestFunctionArn"]["AllowedPattern"], arn)


def test_its_limits_are_those_of_the_service() -> None:
    for mine, service in (("RequestsPerSecond", "IngestRequestsPerSecond"), ("RequestsBurst", "IngestRequestsBurst")):
        assert EXAMPLE["Parameters"][mine]["Default"] == TEMPLATE["Parameters"][service]["Default"], mine


def test_the_log_has_no_token_and_no_event() -> None:
    line = json.loads(RESOURCES["Stage"]["Properties"]["AccessLogSettings"]["Format"])
    assert not [value for value in line.values() if "request.body" in value or "header" in value.lower()]
    assert line["functionRequestId"] == "$context.integration.requestId"
