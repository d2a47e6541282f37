"""Every failure has an alarm, every alarm has an action, and every metric has a source."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from infra.lint.template import RESOURCES, ROOT, TEMPLATE, of_type, target, translated
from infra.local.filter_patterns import FilterPattern, data_points

ALARMS = of_type("AWS::CloudWatch::Alarm")
FILTERS = of_type("AWS::Logs::MetricFilter")
FUNCTIONS = of_type("AWS::Serverless::Function")
QUEUES = of_type("AWS::SQS::Queue")
TABLES = of_type("AWS::DynamoDB::Table")
INTERVALS = (2, 4, 6, 12, 24)
OWN_NAMESPACE = {"Fn::Sub": "AuditExport/${AWS::StackName}"}
TOPIC = {"Fn::If": ["MakesAlarmTopic", {"Ref": "AlarmTopic"}, {"Ref": "AlarmTopicArn"}]}
# Metrics without an alarm; infra/lint/test_dashboard.py checks that the dashboard shows them.
FOR_THE_DASHBOARD = {
    "DelayedConfigurations",
    "DeliveredBytes",
    "DeliveredEvents",
    "EnabledConfigurations",
    "HealthyConfigurations",
    "NeverRunConfigurations",
    "RefusedConfigurations",
    "IngestedBytes",
    "IngestedEvents",
    "StoredBytes",
}
HOUR = 3_600
DAY = 24 * HOUR
# The dimensions of AWS's metrics. With others an alarm would never be raised.
DIMENSIONS = {
    "AWS/ApiGateway": [{"ApiName", "Stage", "Resource", "Method"}],
    "AWS/Lambda": [{"FunctionName"}],
    "AWS/SQS": [{"QueueName"}],
    "AWS/DynamoDB": [{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}],
}


def dimensions(alarm: dict[str, Any]) -> dict[str, Any]:
    return {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])}


def transformation(metric_filter: dict[str, Any]) -> dict[str, Any]:
    (only,) = metric_filter["MetricTransformations"]
    return only


def watching(metric: str, dimension: str, resource: str) -> list[dict[str, Any]]:
    """Returns the alarms on a metric of a resource, without those on a part of it."""
    return [
        alarm
        for alarm in ALARMS.values()
        if alarm["MetricName"] == metric
        and set(dimensions(alarm)) == {dimension}
        and target(dimensions(alarm)[dimension]).removesuffix(".QueueName") == resource
    ]


def rust_sources() -> list[str]:
    return [
        path.read_text()
        for folder in ("functions", "shared")
        for path in (ROOT / folder).rglob("*.rs")
        if "tests" not in path.parts and path.name != "tests.rs"
    ]


def log_calls() -> list[str]:
    """Returns the arguments of each call of a `tracing` macro."""
    calls = re.compile(
        r"tracing::(?:error|warn|info)!\((.*?)\);|inspect_err\(\|\w+\| tracing::\w+!\((.*?)\)\)", re.DOTALL
    )
    return [first or second for source in rust_sources() for first, second in calls.findall(source)]


def raised_by_the_sources() -> set[str]:
    """Returns the values of the field `alarm`: literals, constants, and the constants of which a method `alarm` returns one."""
    text = "\n".join(rust_sources())
    values: set[str] = set()
    named: set[str] = set()
    for call in log_calls():
        if found := re.search(r'\balarm = (?:"([A-Z_]+)"|([A-Z_]+))', call):
            (values if found[1] else named).add(found[1] or found[2])
    for body in re.findall(r"fn alarm\(&self\).*?\n    \}\n", text, re.DOTALL):
        named.update(re.findall(r"Some\(([A-Z_]+)\)", body))
    return values | {value for name in named for value in re.findall(rf'const {name}: &str = "([A-Z_]+)"', text)}


def marked(metric_filter: dict[str, Any]) -> str | None:
    """Returns the value of the field `alarm` in the filter, None if it has none."""
    found = re.fullmatch(r'\{ \$\.alarm = "([A-Z_]+)" \}', metric_filter["FilterPattern"])
    return found and found[1]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_reaches_somebody_and_says_what_missing_data_means(name: str) -> None:
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == [TOPIC]
    assert alarm["TreatMissingData"] in ("breaching", "notBreaching")
    assert alarm["AlarmDescription"].endswith(".")
    assert "ActionsEnabled" not in alarm


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_of_a_state_says_that_it_is_over_and_one_of_a_log_line_does_not(name: str) -> None:
    of_a_line = {transformation(metric)["MetricName"] for metric in FILTERS.values() if marked(metric)}
    expected = None if ALARMS[name]["MetricName"] in of_a_line else [TOPIC]
    assert ALARMS[name].get("OKActions") == expected


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_can_be_evaluated(name: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
    alarm = ALARMS[name]
    assert alarm["Period"] % 60 == 0
    assert alarm["Period"] * alarm["EvaluationPeriods"] <= (7 * DAY if alarm["Period"] >= HOUR else DAY)
    assert 1 <= alarm.get("DatapointsToAlarm", 1) <= alarm["EvaluationPeriods"]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarms_metric_has_a_source(name: str) -> None:
    alarm = ALARMS[name]
    if alarm["Namespace"] == OWN_NAMESPACE:
        # The same line of two functions makes one metric.
        sources = [t for t in map(transformation, FILTERS.values()) if t["MetricName"] == alarm["MetricName"]]
        assert sources
        for source in sources:
            assert source["MetricNamespace"] == OWN_NAMESPACE
            assert set(dimensions(alarm)) == {dimension["Key"] for dimension in source.get("Dimensions", [])}
    else:
        assert set(dimensions(alarm)) in DIMENSIONS[alarm["Namespace"]]


def test_every_metric_of_a_filter_is_documented_with_its_alarms() -> None:
    watching: dict[str, set[str]] = {transformation(metric)["MetricName"]: set() for metric in FILTERS.values()}
    for name, alarm in ALARMS.items():
        if alarm["Namespace"] == OWN_NAMESPACE:
            watching[alarm["MetricName"]].add(name)
    section = re.split(r"\n## ", (ROOT / "docs" / "OPERATIONS.md").read_text().partition("\n## Metrics\n")[2])[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|(.*)\|$", section, re.MULTILINE)
    documented = {metric: set(re.findall(r"`(\w+Alarm)`", alarms)) for metric, _, alarms in rows}
    # All intervals have one metric, with a dimension.
    watching["Dispatched"] = set()
    assert documented == watching


def test_every_metric_of_a_filter_has_an_alarm_or_is_for_the_dashboard() -> None:
    watched = {alarm["MetricName"] for alarm in ALARMS.values() if alarm["Namespace"] == OWN_NAMESPACE}
    made = {transformation(metric)["MetricName"] for metric in FILTERS.values()}
    assert made - watched == FOR_THE_DASHBOARD
    assert watched <= made


def test_the_quarter_of_the_retention_that_delays_an_export_raises_the_alarm() -> None:
    source = (ROOT / "shared" / "domain" / "src" / "export_health.rs").read_text()
    [percent] = re.findall(r"pub const DELAYED_RETENTION_PERCENT: u64 = (\d+);", source)
    assert ALARMS["RetentionUsed25Alarm"]["Threshold"] == int(percent)


def test_the_lines_of_exports_are_read_of_both_functions_that_export() -> None:
    read = {
        group: {
            (metric["FilterPattern"], json.dumps(metric["MetricTransformations"]))
            for metric in FILTERS.values()
            if target(metric["LogGroupName"]) == group and "the slot was dispatched" not in metric["FilterPattern"]
        }
        for group in ("ExporterLogGroup", "ConverterLogGroup")
    }
    assert len(read["ExporterLogGroup"]) >= 9
    assert read["ConverterLogGroup"] == read["ExporterLogGroup"]


def test_every_value_of_the_field_alarm_has_a_filter() -> None:
    filtered = {value for value in map(marked, FILTERS.values()) if value}
    assert len(filtered) >= 6
    assert raised_by_the_sources() == filtered


@pytest.mark.parametrize("name", [name for name, metric in FILTERS.items() if "$.message" in metric["FilterPattern"]])
def test_a_message_that_a_filter_looks_for_is_logged_with_the_fields_that_it_reads(name: str) -> None:
    (condition,) = FilterPattern.parse(FILTERS[name]["FilterPattern"]).conditions
    (call,) = [call for call in log_calls() if f'"{condition.text}"' in call]
    read = [transformation(FILTERS[name])["MetricValue"]]
    read += [dimension["Value"] for dimension in transformation(FILTERS[name]).get("Dimensions", [])]
    for field in (field.removeprefix("$.") for field in read if field.startswith("$.")):
        assert re.search(rf"\b{field}\b", call), field


@pytest.mark.parametrize("name", [name for name, metric in FILTERS.items() if "$.errorType" in metric["FilterPattern"]])
def test_filters_of_the_access_log_match_its_fields(name: str) -> None:
    properties = RESOURCES["HttpApi"]["Properties"]
    logged = json.loads(properties["AccessLogSetting"]["Format"])
    error, *paths = FilterPattern.parse(FILTERS[name]["FilterPattern"]).conditions
    assert [logged[error.field], *(logged[path.field] for path in paths)] == [
        "$context.error.responseType", "$context.resourcePath", "$context.resourcePath",
    ]  # fmt: skip
    assert str(properties["GatewayResponses"][error.text]["StatusCode"]) == "429"
    events = (FUNCTIONS[name]["Events"] for name in ("ApiFunction", "IngestFunction"))
    known = {event["Properties"]["Path"] for each in events for event in each.values() if event["Type"] == "Api"}
    assert {path.text for path in paths} <= known | {"-"}
    assert target(FILTERS[name]["LogGroupName"]) == "ApiAccessLogGroup"


def test_every_throttled_request_is_counted_once() -> None:
    patterns = [metric["FilterPattern"] for metric in FILTERS.values() if "$.errorType" in metric["FilterPattern"]]
    for path in ("/api/audit/events", "/v1/logs", "/api/audit/graphql", "-"):
        line = json.dumps({"errorType": "THROTTLED", "resourcePath": path})
        counted = [FilterPattern.parse(pattern).matches(line) for pattern in patterns]
        is_ingest = path in ("/api/audit/events", "/v1/logs")
        assert counted == [is_ingest, not is_ingest]
    refused = json.dumps({"errorType": "BAD_REQUEST_PARAMETERS", "resourcePath": "/api/audit/events"})
    assert not any(FilterPattern.parse(pattern).matches(refused) for pattern in patterns)


def test_a_filter_with_a_dimension_has_no_default() -> None:
    """CloudWatch refuses an alarm with both."""
    with_dimensions = [t for t in map(transformation, FILTERS.values()) if "Dimensions" in t]
    assert with_dimensions
    assert all("DefaultValue" not in t for t in with_dimensions)


def test_a_filter_makes_data_points_of_matching_lines_alone() -> None:
    lines = [
        '{"message":"done","lag":7,"interval":"EVERY_2_HOURS"}',
        '{"message":"done","lag":9}',
        '{"message":"begun","lag":8,"interval":"EVERY_2_HOURS"}',
        "not JSON",
    ]
    pattern = '{ $.message = "done" }'
    assert [point.value for point in data_points(pattern, "$.lag", {}, lines)] == [7, 9]
    assert [point.dimensions for point in data_points(pattern, "1", {"Interval": "$.interval"}, lines)] == [
        {"Interval": "EVERY_2_HOURS"}
    ]
    with pytest.raises(ValueError, match="unsupported filter pattern"):
        FilterPattern.parse('{ $.message = "done" || $.lag > 7 }')


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_functions_failures_are_seen(function: str) -> None:
    for metric in ("Errors", "Throttles", "Duration"):
        assert len(watching(metric, "FunctionName", function)) == 1, metric


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_that_comes_near_its_time_out_is_seen_before_it_gets_there(function: str) -> None:
    (alarm,) = watching("Duration", "FunctionName", function)
    assert alarm["Statistic"] == "Maximum"
    # 90 %, in milliseconds.
    assert alarm["Threshold"] == 900 * FUNCTIONS[function]["Timeout"]


def test_sweeps_that_fail_raise_the_alarm_of_their_function() -> None:
    """One sweep starts in each period, and none is repeated."""
    (alarm,) = watching("Errors", "FunctionName", "HousekeeperFunction")
    assert RESOURCES["SweepSchedule"]["Properties"]["ScheduleExpression"]["Fn::If"][2] == "rate(15 minutes)"
    assert FUNCTIONS["HousekeeperFunction"]["EventInvokeConfig"]["MaximumRetryAttempts"] == 0
    assert (alarm["Period"], alarm["Threshold"]) == (900, 1)
    assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (3, 4)


def test_an_erasure_that_uses_all_of_its_time_raises_no_alarm() -> None:
    source = (ROOT / "functions" / "housekeeper" / "src" / "erasure.rs").read_text()
    [margin] = re.findall(r"const DEADLINE_MARGIN: Duration = Duration::from_mins\((\d+)\);", source)
    (alarm,) = watching("Duration", "FunctionName", "HousekeeperFunction")
    assert FUNCTIONS["HousekeeperFunction"]["Timeout"] - 60 * int(margin) < alarm["Threshold"] / 1_000


def test_every_line_that_a_filter_reads_is_logged() -> None:
    """Functions log nothing below INFO."""
    sources = "\n".join(rust_sources())
    calls = re.findall(r"tracing::(debug|trace)!\((.*?)\);", sources, re.DOTALL)
    assert not [call for _, call in calls if re.search(r"\balarm\b", call)]
    read = [FilterPattern.parse(metric["FilterPattern"]).conditions for metric in FILTERS.values()]
    messages = {c.text for conditions in read for c in conditions if c.field == "message"}
    logged = re.findall(r"tracing::(?:error|warn|info)!\((.*?)\);", sources, re.DOTALL)
    assert messages
    assert all(any(f'"{message}"' in call for call in logged) for message in messages)


@pytest.mark.parametrize("queue", QUEUES)
def test_messages_that_wait_and_messages_that_failed_are_seen(queue: str) -> None:
    ages = watching("ApproximateAgeOfOldestMessage", "QueueName", queue)
    waiting = watching("ApproximateNumberOfMessagesVisible", "QueueName", queue)
    if "RedrivePolicy" in QUEUES[queue]:
        (age,) = ages
        # A message whose receiver died is hidden for that long, which is not a backlog.
        assert age["Threshold"] > QUEUES[queue]["VisibilityTimeout"]
        assert waiting == []
    else:
        assert ages == []
        assert [alarm["Threshold"] for alarm in waiting] == [1]


@pytest.mark.parametrize("table", TABLES)
def test_throttles_of_a_table_and_its_indexes_are_seen(table: str) -> None:
    indexes = {index["IndexName"] for index in TABLES[table].get("GlobalSecondaryIndexes", [])}
    for metric in ("ReadThrottleEvents", "WriteThrottleEvents"):
        assert len(watching(metric, "TableName", table)) == 1
        of_indexes = [
            dimensions(alarm)["GlobalSecondaryIndexName"]
            for alarm in ALARMS.values()
            if alarm["MetricName"] == metric
            and len(dimensions(alarm)) == 2
            and target(dimensions(alarm)["TableName"]) == table
        ]
        assert len(of_indexes) == len(indexes)
        assert set(of_indexes) == indexes


def test_server_errors_of_every_path_are_seen() -> None:
    alarms = [dimensions(alarm) for alarm in ALARMS.values() if alarm["MetricName"] == "5XXError"]
    events = [event["Properties"] for f in FUNCTIONS.values() for event in f.get("Events", {}).values()]
    # HEAD reaches the function that GET reaches.
    paths = {(event["Method"], event["Path"]) for event in events if event.get("Method", "HEAD") != "HEAD"}
    assert {(alarm["Method"], alarm["Resource"]) for alarm in alarms} == paths
    assert len(alarms) == len(paths)
    body = translated()["Resources"]["HttpApi"]["Properties"]
    for alarm in alarms:
        # The API's name comes from its definition.
        assert alarm["ApiName"] == body["Body"]["info"]["title"] == {"Ref": "AWS::StackName"}
        assert "Name" not in body
    # Metrics per method exist only if they are enabled.
    assert all(setting["MetricsEnabled"] is True for setting in RESOURCES["HttpApi"]["Properties"]["MethodSettings"])


@pytest.mark.parametrize("hours", INTERVALS)
def test_an_interval_without_a_dispatch_is_seen(hours: int) -> None:
    alarm = ALARMS[f"Every{hours}HoursDispatchAlarm"]
    schedule = RESOURCES[f"Every{hours}HoursSchedule"]["Properties"]["Target"]
    interval = json.loads(schedule["Input"])["dispatch"]["interval"]
    assert dimensions(alarm) == {"Interval": interval}
    # Each period without a dispatch counts, with or without data.
    assert alarm["TreatMissingData"] == "breaching"
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == ("Sum", "LessThanThreshold", 1)
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]
    window = alarm["Period"] * alarm["EvaluationPeriods"]
    assert window == hours * HOUR + schedule["RetryPolicy"]["MaximumEventAgeInSeconds"]


def test_the_alarm_on_lag_takes_the_hours_that_were_chosen() -> None:
    parameter = TEMPLATE["Parameters"]["LagAlarmHours"]
    seconds = {int(hours): entry["Seconds"] for hours, entry in TEMPLATE["Mappings"]["LagAlarmSeconds"].items()}
    assert seconds == {int(hours): int(hours) * HOUR for hours in parameter["AllowedValues"]}
    alarm = ALARMS["LargestLagAlarm"]
    assert alarm["Threshold"] == {"Fn::FindInMap": ["LagAlarmSeconds", {"Ref": "LagAlarmHours"}, "Seconds"]}
    # The alarm is also raised if no sweep runs.
    assert alarm["TreatMissingData"] == "breaching"
    # The first alarm on retention is raised later, even with the shortest retention.
    quarter = ALARMS["RetentionUsed25Alarm"]["Threshold"] / 100
    assert int(parameter["Default"]) * HOUR < quarter * TEMPLATE["Parameters"]["RetentionDays"]["MinValue"] * DAY


def test_an_alarm_on_an_age_is_raised_before_the_age_has_doubled() -> None:
    """Of an alarm whose periods are longer than that, the message would be wrong about how long something has waited."""
    shortest = min(entry["Seconds"] for entry in TEMPLATE["Mappings"]["LagAlarmSeconds"].values())
    ages = {name: alarm for name, alarm in ALARMS.items() if re.search(r"Age|Seconds$", alarm["MetricName"])}
    assert {"LargestLagAlarm", "OldestNoticeAlarm", "EventsQueueAgeAlarm"} <= set(ages)
    for name, alarm in ages.items():
        threshold = shortest if isinstance(alarm["Threshold"], dict) else alarm["Threshold"]
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= threshold, name


@pytest.mark.parametrize(("name", "time"), [("LargestLagAlarm", "an hour"), ("OldestNoticeAlarm", "ten minutes")])
def test_the_message_says_after_which_time_without_data_an_alarm_is_raised(name: str, time: str) -> None:
    alarm = ALARMS[name]
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["Period"] * alarm["DatapointsToAlarm"] == {"an hour": HOUR, "ten minutes": 600}[time]
    assert f"for {time}." in alarm["AlarmDescription"]
    [row] = re.findall(rf"^\| `{name}` \|.*$", (ROOT / "docs" / "RUNBOOKS.md").read_text(), re.MULTILINE)
    assert f" for {time}" in row


def test_the_stack_makes_a_topic_unless_one_is_given() -> None:
    assert TEMPLATE["Conditions"]["MakesAlarmTopic"] == {"Fn::Equals": [{"Ref": "AlarmTopicArn"}, ""]}
    assert TEMPLATE["Parameters"]["AlarmTopicArn"]["Default"] == ""
    for name in ("AlarmTopic", "AlarmTopicPolicy"):
        assert RESOURCES[name]["Condition"] == "MakesAlarmTopic"
    # CloudWatch can't use the key that AWS manages for SNS.
    assert "KmsMasterKeyId" not in RESOURCES["AlarmTopic"].get("Properties", {})
    (statement, _) = RESOURCES["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sns:Publish")
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert TEMPLATE["Outputs"]["AlarmTopicArn"]["Value"] == TOPIC


def test_an_address_is_subscribed_to_the_own_topic_alone() -> None:
    subscription = RESOURCES["AlarmEmailSubscription"]
    assert subscription["Condition"] == "SendsAlarmEmail"
    assert subscription["Properties"]["TopicArn"] == {"Ref": "AlarmTopic"}
    (assertion,) = TEMPLATE["Rules"]["AlarmEmailNeedsTheOwnTopic"]["Assertions"]
    empty = [{"Fn::Equals": [{"Ref": name}, ""]} for name in ("AlarmEmail", "AlarmTopicArn")]
    assert assertion["Assert"] == {"Fn::Or": empty}


@pytest.mark.parametrize("address", ["", "on-call+audit@example.co.uk"])
def test_an_address_is_taken(address: str) -> None:
    assert re.fullmatch(TEMPLATE["Parameters"]["AlarmEmail"]["AllowedPattern"], address)


@pytest.mark.parametrize("text", ["example.com", "a@b", "a@example.com b@example.com", "a@example.com,b@example.com"])
def test_malformed_addresses_are_refused(text: str) -> None:
    assert not re.fullmatch(TEMPLATE["Parameters"]["AlarmEmail"]["AllowedPattern"], text)
