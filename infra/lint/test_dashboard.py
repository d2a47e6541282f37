"""Everything that the dashboard and the saved queries name exists, and the dashboard shows every alarm."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import Any

import pytest

from infra.dashboard import layout
from infra.dashboard.__main__ import in_template
from infra.dashboard.picture import PICTURE_FILE, draw
from infra.dashboard.recording import Recording
from infra.dashboard.source import TEMPLATE_FILE, Template, substitution
from infra.dashboard.widgets import COLUMNS, dashboard_body
from infra.lint.template import RESOURCES, TEMPLATE, of_type
from infra.lint.test_alarms import ALARMS, FILTERS, dimensions, log_calls, rust_sources, transformation

QUERIES = of_type("AWS::Logs::QueryDefinition")
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
MAXIMUM_WIDGETS = 500
MAXIMUM_METRICS_OF_A_WIDGET = 500
MAXIMUM_METRICS = 2_500
MAXIMUM_ALARMS_OF_A_WIDGET = 100
# AWS's metrics with their dimensions, as its documentation lists them.
AWS_METRICS = {
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    "AWS/ApiGateway": (
        {"4XXError", "5XXError", "Count", "IntegrationLatency", "Latency"},
        [{"ApiName", "Stage", "Resource", "Method"}],
    ),
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": ({"ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"}, [{"FunctionName"}]),
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": (
        {
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
            "NumberOfMessagesReceived",
            "NumberOfMessagesSent",
        },
        [{"QueueName"}],
    ),
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    "AWS/DynamoDB": (
        {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents"},
        [{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}],
    ),
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html
    "AWS/Logs": ({"IncomingBytes", "IncomingLogEvents"}, [{"LogGroupName"}]),
}
# The type of the resource that a dimension names, and what its variable of Fn::Sub ends with.
NAMED_BY = {
    "FunctionName": ("AWS::Serverless::Function", ""),
    "QueueName": ("AWS::SQS::Queue", ".QueueName"),
    "TableName": ("AWS::DynamoDB::Table", ""),
    "LogGroupName": ("AWS::Logs::LogGroup", ""),
}
# Fields that the functions don't log themselves: of Logs Insights, of the logging code, and of Lambda's own lines,
# https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report.
LAMBDA_FIELDS = {
    "type",
    "record.requestId",
    "record.status",
    "record.errorType",
    "record.metrics.durationMs",
    "record.metrics.maxMemoryUsedMB",
}
COMMON_FIELDS = {"@timestamp", "@message", "level", "message", "requestId"}
QUERY_WORDS = {
    "fields", "filter", "stats", "sort", "limit", "by", "as", "asc", "desc", "and", "or", "in", "like", "not",
    "count", "count_distinct", "sum", "latest", "ispresent",
}  # fmt: skip


@cache
def body_text() -> str:
    (text, _) = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    return str(text)


@cache
def body() -> dict[str, Any]:
    """Returns the body with a number in place of each variable that stands for one."""
    _, variables = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    text = body_text()
    for name in (name for name in variables if name in TEMPLATE["Mappings"]):
        text = re.sub(rf'(?<="value":)\$\{{{name}\}}', "1", text)
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def widgets(kind: str) -> list[dict[str, Any]]:
    return [widget["properties"] for widget in body()["widgets"] if widget["type"] == kind]


def shown(widget: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str], dict[str, Any]]]:
    """Yields namespace, name, dimensions and options of each metric of a widget, without the expressions."""
    for entry in widget["metrics"]:
        *path, options = entry
        if path:
            namespace, name, *rest = path
            yield namespace, name, dict(zip(rest[::2], rest[1::2], strict=True)), options


def test_the_template_has_the_dashboard_of_the_layout() -> None:
    """`make dashboard` writes it."""
    text = TEMPLATE_FILE.read_text()
    assert in_template(text, dashboard_body(layout.layout(Template.load()), layout.START)) == text


def test_the_picture_shows_the_dashboard_of_the_layout() -> None:
    """`make dashboard` draws it."""
    assert PICTURE_FILE.read_text() == draw(layout.layout(Template.load()), Recording.load())


def test_widgets_fit_on_the_grid_and_do_not_overlap() -> None:
    placed = body()["widgets"]
    for widget in placed:
        assert widget["x"] >= 0 and widget["x"] + widget["width"] <= COLUMNS
        assert widget["y"] >= 0 and 1 <= widget["height"] <= 1_000
    for one, other in combinations(placed, 2):
        beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        above = one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
        assert beside or above, (one["properties"], other["properties"])


def test_the_dashboard_is_within_the_limits_of_cloudwatch() -> None:
    counts = [len(widget["metrics"]) for widget in widgets("metric")]
    assert len(body()["widgets"]) <= MAXIMUM_WIDGETS
    assert max(counts) <= MAXIMUM_METRICS_OF_A_WIDGET
    assert sum(counts) <= MAXIMUM_METRICS
    assert all(1 <= len(widget["alarms"]) <= MAXIMUM_ALARMS_OF_A_WIDGET for widget in widgets("alarm"))


def test_each_graph_has_a_title_a_unit_and_labels() -> None:
    titles = [widget["title"] for widget in widgets("metric") if widget["view"] == "timeSeries"]
    assert len(titles) == len(set(titles)) > 20
    for widget in widgets("metric"):
        assert widget["title"]
        assert widget["view"] == "singleValue" or widget["yAxis"]["left"]["label"]
        labels = [entry[-1]["label"] for entry in widget["metrics"] if entry[-1].get("visible", True)]
        assert labels
        assert len(labels) == len(set(labels)), widget["title"]


def test_every_variable_of_the_body_is_a_resource_or_is_given() -> None:
    _, given = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    names = set(re.findall(r"\$\{([^}]+)\}", body_text()))
    assert set(given) <= names
    for name in names - set(given) - {"AWS::Region", "AWS::StackName"}:
        resource, _, attribute = name.partition(".")
        assert resource in RESOURCES, name
        assert attribute in ("", "Arn", "QueueName"), name


def test_every_metric_exists() -> None:
    own = {t["MetricName"]: {d["Key"] for d in t.get("Dimensions", [])} for t in map(transformation, FILTERS.values())}
    for namespace, name, named, _ in (metric for widget in widgets("metric") for metric in shown(widget)):
        if namespace == "AuditExport/${AWS::StackName}":
            assert set(named) == own[name], name
        else:
            names, dimension_sets = AWS_METRICS[namespace]
            assert name in names
            assert set(named) in dimension_sets, name
        for dimension, value in named.items():
            if dimension in NAMED_BY:
                kind, ending = NAMED_BY[dimension]
                resource = re.fullmatch(rf"\$\{{(\w+){re.escape(ending)}\}}", value)
                assert resource and RESOURCES[resource[1]]["Type"] == kind, value


def test_the_api_and_the_index_are_named_as_in_the_alarms() -> None:
    def values(metrics: list[tuple[str, dict[str, str]]], namespace: str, dimension: str) -> set[str]:
        return {named[dimension] for space, named in metrics if space == namespace and dimension in named}

    of_alarms = [
        (alarm["Namespace"], {name: substitution(value) for name, value in dimensions(alarm).items()})
        for alarm in ALARMS.values()
    ]
    of_widgets = [(space, named) for widget in widgets("metric") for space, _, named, _ in shown(widget)]
    for namespace, dimension in (
        ("AWS/ApiGateway", "ApiName"),
        ("AWS/ApiGateway", "Stage"),
        ("AWS/ApiGateway", "Resource"),
        ("AWS/ApiGateway", "Method"),
        ("AWS/DynamoDB", "GlobalSecondaryIndexName"),
    ):
        found = values(of_widgets, namespace, dimension)
        assert found
        assert found <= values(of_alarms, namespace, dimension)


def test_every_expression_uses_a_metric_of_its_widget() -> None:
    for widget in widgets("metric"):
        operands = {options["id"] for *_, options in shown(widget) if "id" in options}
        expressions = [entry[0]["expression"] for entry in widget["metrics"] if len(entry) == 1]
        assert {expression.split(" * ")[0] for expression in expressions} == operands


def test_every_alarm_is_on_the_dashboard_once() -> None:
    found = [arn for widget in widgets("alarm") for arn in widget["alarms"]]
    assert len(found) == len(set(found))
    assert set(found) == {f"${{{alarm}.Arn}}" for alarm in ALARMS}


@pytest.mark.parametrize("name", ALARMS)
def test_the_metric_of_an_alarm_is_drawn_as_the_alarm_sees_it(name: str) -> None:
    """With its statistic and period, and with a line at its threshold if high values raise it."""
    alarm = ALARMS[name]
    expected = (
        substitution(alarm["Namespace"]),
        alarm["MetricName"],
        {dimension: substitution(value) for dimension, value in dimensions(alarm).items()},
    )
    threshold = alarm["Threshold"]
    if isinstance(threshold, dict):
        line: float = 1  # the variable, as `body` replaces it
    elif alarm["MetricName"] == "Duration":
        line = threshold / TEMPLATE["Resources"][name.removesuffix("DurationAlarm")]["Properties"]["Timeout"] / 10
    else:
        line = threshold
    found = False
    for widget in (widget for widget in widgets("metric") if widget["view"] == "timeSeries"):
        lines = [annotation["value"] for annotation in widget.get("annotations", {}).get("horizontal", [])]
        has_line = alarm["ComparisonOperator"] == "LessThanThreshold" or line in lines
        found |= has_line and any(
            (namespace, metric, named) == expected
            and (options["stat"], options["period"]) == (alarm["Statistic"], alarm["Period"])
            for namespace, metric, named, options in shown(widget)
        )
    assert found


def test_every_metric_of_a_filter_is_on_the_dashboard() -> None:
    drawn = {
        name for widget in widgets("metric") for namespace, name, _, _ in shown(widget) if "AuditExport" in namespace
    }
    assert drawn == {transformation(metric)["MetricName"] for metric in FILTERS.values()}


def query_fields(query: str) -> set[str]:
    """Returns the fields that a query reads, without those that it makes itself."""
    text = re.sub(r'"[^"]*"|/[^/]*/', "", query)
    made = set(re.findall(r"\bas (\w+)", text))
    return set(re.findall(r"(?<![\w.@])[@a-zA-Z][\w.]*", text)) - QUERY_WORDS - made


@cache
def logged_fields() -> set[str]:
    """Returns the fields of the functions' log lines and spans."""
    spans = [
        call for source in rust_sources() for call in re.findall(r"tracing::info_span!\((.*?)\);", source, re.DOTALL)
    ]
    return {field for call in [*log_calls(), *spans] for field in fields_of(call)}


@pytest.mark.parametrize("name", QUERIES)
def test_a_saved_query_reads_fields_that_are_logged(name: str) -> None:
    groups = {group["Ref"] for group in QUERIES[name]["LogGroupNames"]}
    assert all(RESOURCES[group]["Type"] == "AWS::Logs::LogGroup" for group in groups)
    fields = query_fields(QUERIES[name]["QueryString"])
    if groups == {"ApiAccessLogGroup"}:
        known = set(json.loads(RESOURCES["HttpApi"]["Properties"]["AccessLogSetting"]["Format"]))
    else:
        known = logged_fields() | LAMBDA_FIELDS
    assert fields - COMMON_FIELDS - known == set()
    assert fields


# Words that the reader of a query replaces, and what Lambda logs.
KNOWN_TEXTS = {"CONFIGURATION", "REQUEST_ID", "TENANT", "ERROR", "WARN", "platform.report", "success"}


@pytest.mark.parametrize("name", QUERIES)
def test_a_saved_query_looks_for_messages_and_marks_that_are_logged(name: str) -> None:
    sources = "\n".join(rust_sources())
    for text in re.findall(r'"([^"]*)"', QUERIES[name]["QueryString"]):
        assert text in KNOWN_TEXTS or f'"{text}"' in sources, text


def fields_of(call: str) -> set[str]:
    """Returns the fields of a call of a `tracing` macro."""
    arguments = re.sub(r'"(?:[^"\\]|\\.)*"', '""', call)
    return set(re.findall(r"(?:^|[,(])\s*[%?]?(\w+)\s*(?=,|=[^=]|$)", arguments))


def messages_of(query: str) -> list[str]:
    """Returns the messages that a query looks for."""
    listed = re.findall(r'\bmessage (?:= ("[^"]*")|in \[([^\]]*)\])', query)
    return [text for one, several in listed for text in re.findall(r'"([^"]*)"', one or several)]


# Fields that only some of the lines of a query have.
OF_SOME_LINES = {
    # Messages of a queue have no status.
    "RefusedRequestsQuery": {"status"},
    # Lines of the outbox name no receiver, and those of a whole batch no tenant. A receiver fails with a code, the service with an error.
    "NoticesQuery": {"notice", "tenant", "host", "code", "error"},
}


@pytest.mark.parametrize("name", [name for name, query in QUERIES.items() if messages_of(query["QueryString"])])
def test_each_line_that_a_saved_query_looks_for_has_the_fields_of_the_query(name: str) -> None:
    query = QUERIES[name]["QueryString"]
    required = query_fields(query) - COMMON_FIELDS - LAMBDA_FIELDS - OF_SOME_LINES.get(name, set())
    for message in messages_of(query):
        calls = [call for call in log_calls() if f'"{message}"' in call]
        assert calls, message
        for call in calls:
            assert required - fields_of(call) == set(), message


def test_saved_queries_about_one_invocation_or_configuration_search_every_log_that_has_it() -> None:
    def groups(query: str) -> set[str]:
        return {group["Ref"] for group in QUERIES[query]["LogGroupNames"]}

    of_functions = {
        function["LoggingConfig"]["LogGroup"]["Ref"] for function in of_type("AWS::Serverless::Function").values()
    }
    assert groups("InvocationQuery") == of_functions
    # Ingest, the archiver and the page know no configurations.
    assert groups("ConfigurationHistoryQuery") == of_functions - {"IngestLogGroup", "ArchiverLogGroup", "PageLogGroup"}


def test_fields_of_log_calls_and_of_queries_are_found() -> None:
    assert {"tenant", "configuration", "stored_bytes", "requestId", "code", "alarm"} <= logged_fields()
    assert not {"as_str", "len", "error_kind"} & logged_fields()
    query = 'fields @timestamp, a.b | filter c = "d e" | stats sum(f) as g by h | sort g desc'
    assert query_fields(query) == {"@timestamp", "a.b", "c", "f", "h"}


def test_saved_queries_are_in_the_folder_of_the_stack() -> None:
    names = [substitution(query["Name"]) for query in QUERIES.values()]
    assert len(names) == len(set(names)) >= 7
    assert all(name.startswith("${AWS::StackName}/") for name in names)
