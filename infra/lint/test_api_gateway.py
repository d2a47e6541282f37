"""The API of template.yaml: budgets, access logs, and the responses of API Gateway itself."""

from __future__ import annotations

import json
import re

from infra.lint.template import FUNCTIONS, RESOURCES, ROOT, target, translated

API_GATEWAY_TIMEOUT_SECONDS = 29


def test_functions_answer_before_api_gateway_gives_up() -> None:
    timeout = {name: RESOURCES[name]["Properties"]["Timeout"] for name in FUNCTIONS}
    assert timeout["VerifierFunction"] < timeout["ApiFunction"] < API_GATEWAY_TIMEOUT_SECONDS
    client = (ROOT / "shared" / "aws-adapters" / "src" / "notifier_client.rs").read_text()
    [seconds] = re.findall(r"NOTIFIER_TIMEOUT: Duration = Duration::from_secs\((\d+)\);", client)
    assert int(seconds) < timeout["ApiFunction"]
    assert timeout["IngestFunction"] < API_GATEWAY_TIMEOUT_SECONDS


def test_access_logs_hold_no_body_header_or_query() -> None:
    log_format = RESOURCES["HttpApi"]["Properties"]["AccessLogSetting"]["Format"]
    for forbidden in ("header", "querystring", "body", "authorizer", "$context.path", "input"):
        assert forbidden not in log_format.lower()
    for method in RESOURCES["HttpApi"]["Properties"]["MethodSettings"]:
        assert method["DataTraceEnabled"] is False
        assert method["LoggingLevel"] == "OFF"


def test_a_line_of_the_access_log_leads_to_the_lines_of_the_function() -> None:
    """The functions log the ID of Lambda's invocation; `requestId` of API Gateway is another one."""
    logged = json.loads(RESOURCES["HttpApi"]["Properties"]["AccessLogSetting"]["Format"])
    assert logged["requestId"] == "$context.requestId"
    assert logged["integrationRequestId"] == "$context.integration.requestId"


def test_producers_and_administrators_have_budgets_of_their_own() -> None:
    settings = {
        (method["HttpMethod"], method["ResourcePath"]): (
            target(method["ThrottlingRateLimit"]),
            target(method["ThrottlingBurstLimit"]),
        )
        for method in RESOURCES["HttpApi"]["Properties"]["MethodSettings"]
    }
    administrators = ("ApiRequestsPerSecond", "ApiRequestsBurst")
    producers = ("IngestRequestsPerSecond", "IngestRequestsBurst")
    assert settings == {
        ("*", "/*"): administrators,
        ("POST", "/~1api~1audit~1graphql"): administrators,
        ("POST", "/~1api~1audit~1events"): producers,
        ("POST", "/~1v1~1logs"): producers,
    }
    # API Gateway writes "/" as "~1" in the name of a path. Each setting must be for an existing path.
    paths = {path.removeprefix("/").replace("~1", "/") for _, path in settings} - {"*"}
    events = [event for name in FUNCTIONS for event in RESOURCES[name]["Properties"].get("Events", {}).values()]
    # The page, which reads and changes nothing, has the budget of all other paths.
    page = {"/audit", "/audit/{proxy+}"}
    assert paths | page == {event["Properties"]["Path"] for event in events if event["Type"] == "Api"}


def test_a_request_without_a_token_does_not_reach_a_function() -> None:
    """Tested in the translated template. The error has the same text as the functions' error."""
    body = translated()["Resources"]["HttpApi"]["Properties"]["Body"]
    page = {"/audit", "/audit/{proxy+}"}
    assert set(body["paths"]) == {"/api/audit/graphql", "/api/audit/events", "/v1/logs"} | page
    assert {method for path in page for method in body["paths"][path]} == {"get", "head"}
    for methods in (methods for path, methods in body["paths"].items() if path not in page):
        validator = body["x-amazon-apigateway-request-validators"][
            methods["post"]["x-amazon-apigateway-request-validator"]
        ]
        assert validator == {"validateRequestBody": False, "validateRequestParameters": True}
        parameters = {(p["in"], p["name"]) for p in methods["post"]["parameters"] if p.get("required")}
        assert parameters == {("header", "Authorization")}
    response = body["x-amazon-apigateway-gateway-responses"]["BAD_REQUEST_PARAMETERS"]
    assert response["statusCode"] == "401"
    assert (
        response["responseParameters"]["gatewayresponse.header.WWW-Authenticate"] == "'Bearer realm=\"audit-export\"'"
    )
    (error,) = json.loads(response["responseTemplates"]["application/json"])["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    functions_words = (ROOT / "shared" / "authentication" / "src" / "access_error.rs").read_text()
    assert f'#[error("{error["message"]}")]\n    Missing,' in functions_words


def test_api_gateway_answers_in_our_shape() -> None:
    responses = RESOURCES["HttpApi"]["Properties"]["GatewayResponses"]
    status = {kind: response.get("StatusCode") for kind, response in responses.items()}
    wanted = {"REQUEST_TOO_LARGE": 413, "UNSUPPORTED_MEDIA_TYPE": 415, "THROTTLED": 429, "INTEGRATION_TIMEOUT": 504}
    assert wanted.items() <= status.items()
    assert {"DEFAULT_4XX", "DEFAULT_5XX"} <= set(responses)
    for response in responses.values():
        (body,) = response["ResponseTemplates"].values()
        assert body.startswith('{"errors":[{"message":"')
        assert '"extensions":{"code":"' in body


def test_a_web_acl_is_put_before_the_api_if_there_is_one() -> None:
    assert RESOURCES["WebAclAssociation"]["Condition"] == "HasWebAcl"
    properties = RESOURCES["WebAclAssociation"]["Properties"]
    assert properties["WebACLArn"] == {"Ref": "WebAclArn"}
    assert properties["ResourceArn"]["Fn::Sub"].endswith("/restapis/${HttpApi}/stages/${HttpApi.Stage}")
