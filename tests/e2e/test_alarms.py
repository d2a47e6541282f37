"""Every alarm of the stack is raised once and reaches the topic, and the metric filters count log lines of the functions.
infra/lint/test_alarms.py tests the rest in the template.

The emulator has only metrics of functions, applies no filter, and ignores missing data and dimensions when it evaluates an alarm.
The tests put the data points that AWS would measure, under the alarm's metric and dimensions.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from infra.local.filter_patterns import DataPoint, FilterPattern, data_points
from infra.local.settings import LOCAL
from infra.local.stack import Stack, wait_until
from tests.e2e.harness import (
    EXPORT_TIMEOUT_SECONDS,
    PATIENCE_SECONDS,
    CustomerFactory,
    Record,
    lines_of_log_group,
    log_group,
    make_events,
    messages_of_the_alarms_topic,
)

INTERVALS = [f"EVERY_{hours}_HOURS" for hours in (2, 4, 6, 12, 24)]
# The number of failures that raises the alarm on a function's errors.
FAILURES = 3

evaluates = pytest.mark.requires("alarm evaluation")


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Only one test at a time sets states of alarms and puts data, of all processes: the emulator then evaluates every alarm."""
    with (LOCAL / "alarms.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def alarms(stack: Stack) -> dict[str, dict[str, Any]]:
    """Returns the alarms by logical ID: CloudFormation names them <stack>-<logical ID>-<random>."""
    prefix = f"{stack.description['stackName']}-"
    pages = stack.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
    found = [alarm for page in pages for alarm in page["MetricAlarms"]]
    return {alarm["AlarmName"].removeprefix(prefix).split("-")[0]: alarm for alarm in found}


def put(stack: Stack, alarm: dict[str, Any], *points: DataPoint) -> None:
    """Puts data points of the alarm's metric; the emulator then evaluates every alarm."""
    stack.client("cloudwatch").put_metric_data(
        Namespace=alarm["Namespace"],
        MetricData=[
            {
                "MetricName": alarm["MetricName"],
                "Dimensions": [{"Name": name, "Value": value} for name, value in point.dimensions.items()],
                "Value": point.value,
            }
            for point in points
        ],
    )


def own_dimensions(alarm: dict[str, Any]) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}


def total(stack: Stack, alarm: dict[str, Any]) -> float:
    """Returns the sum of the data points within the longest window of the alarm."""
    now = datetime.now(UTC)
    points = stack.client("cloudwatch").get_metric_statistics(
        Namespace=alarm["Namespace"],
        MetricName=alarm["MetricName"],
        Dimensions=alarm["Dimensions"],
        StartTime=now - timedelta(days=2),
        EndTime=now + timedelta(hours=1),
        Period=86_400,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(point["Sum"] for point in points)


# Of this process: lines of earlier runs on the same stack would be read again and again.
STARTED_MILLISECONDS = int(time.time() * 1_000)


def log_lines(stack: Stack, function: str, since_milliseconds: int = STARTED_MILLISECONDS) -> list[str]:
    return lines_of_log_group(stack, log_group(stack, function), since_milliseconds)


def deployed_milliseconds(stack: Stack) -> int:
    """Returns when the filters that are deployed now can have begun to count."""
    (found,) = stack.client("cloudformation").describe_stacks(StackName=stack.description["stackName"])["Stacks"]
    deployed: datetime = found.get("LastUpdatedTime", found["CreationTime"])
    return int(deployed.timestamp() * 1_000)


def filters(stack: Stack, function: str) -> dict[str, dict[str, Any]]:
    """Returns the deployed filters of a function's log group, by the name of their metric."""
    paginator = stack.client("logs").get_paginator("describe_metric_filters")
    pages = paginator.paginate(logGroupName=log_group(stack, function))
    found = [entry for page in pages for entry in page["metricFilters"]]
    return {entry["metricTransformations"][0]["metricName"]: entry for entry in found}


def counted(metric_filter: dict[str, Any], lines: list[str]) -> list[DataPoint]:
    (transformation,) = metric_filter["metricTransformations"]
    fields = transformation.get("dimensions", {})
    return data_points(metric_filter["filterPattern"], transformation["metricValue"], fields, lines)


@pytest.fixture
def received(stack: Stack) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Returns a function that reads all messages of alarms so far. The other messages of the topic are text."""
    with messages_of_the_alarms_topic(stack) as texts:
        yield lambda: [json.loads(text) for text in texts() if text.startswith("{")]


@evaluates
def test_every_alarm_is_raised_and_reaches_the_topic(
    stack: Stack, received: Callable[[], list[dict[str, Any]]]
) -> None:
    cloudwatch = stack.client("cloudwatch")
    # Alarms that are raised by low values have a separate test, whose data must not matter here.
    provoked = {
        name: alarm
        for name, alarm in alarms(stack).items()
        if alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    }
    assert len(provoked) > 30
    for name, alarm in provoked.items():
        cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="the test begins")
        put(stack, alarm, DataPoint(alarm["Threshold"], own_dimensions(alarm)))
        (now,) = cloudwatch.describe_alarms(AlarmNames=[alarm["AlarmName"]])["MetricAlarms"]
        assert now["StateValue"] == "ALARM", name
    names = {alarm["AlarmName"] for alarm in provoked.values()}

    def all_received() -> bool:
        return names <= {message["AlarmName"] for message in received() if message["NewStateValue"] == "ALARM"}

    wait_until(all_received, "a message of each alarm", timeout_seconds=PATIENCE_SECONDS)


# It dispatches every configuration, and other tests expect that nobody else runs theirs.
@pytest.mark.last
@evaluates
def test_an_interval_is_in_alarm_until_it_is_dispatched(
    stack: Stack, received: Callable[[], list[dict[str, Any]]], invoke: Callable[[str, Any], dict[str, Any]]
) -> None:
    cloudwatch = stack.client("cloudwatch")
    by_interval = {
        own_dimensions(alarm)["Interval"]: alarm
        for alarm in alarms(stack).values()
        if alarm["MetricName"] == "Dispatched"
    }
    assert set(by_interval) == set(INTERVALS)

    def states() -> set[str]:
        names = [alarm["AlarmName"] for alarm in by_interval.values()]
        return {alarm["StateValue"] for alarm in cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]}

    for interval, alarm in by_interval.items():
        # Offsets the data of an earlier run on the same stack.
        put(stack, alarm, DataPoint(-total(stack, alarm), {"Interval": interval}))
    assert states() == {"ALARM"}
    for interval in INTERVALS:
        invoke("exporter", {"dispatch": {"interval": interval, "scheduledTime": "2026-03-01T00:20:00Z"}})
    metric_filter = filters(stack, "exporter")["Dispatched"]

    def dispatched() -> list[DataPoint]:
        points = counted(metric_filter, log_lines(stack, "exporter"))
        return points if {point.dimensions["Interval"] for point in points} == set(INTERVALS) else []

    points = wait_until(dispatched, "a log line of each interval", timeout_seconds=PATIENCE_SECONDS)
    assert {point.value for point in points} == {1}
    put(stack, by_interval[INTERVALS[0]], *(DataPoint(1, {"Interval": interval}) for interval in INTERVALS))
    assert states() == {"OK"}
    names = {alarm["AlarmName"] for alarm in by_interval.values()}

    def announced(state: str) -> bool:
        """Checks that a message of each alarm has announced this state."""
        return names <= {message["AlarmName"] for message in received() if message["NewStateValue"] == state}

    for state in ("ALARM", "OK"):
        wait_until(
            partial(announced, state),
            f"a message of each alarm in {state}",
            timeout_seconds=PATIENCE_SECONDS,
        )


@evaluates
def test_a_function_that_fails_is_seen(stack: Stack) -> None:
    """With the emulator's metrics of functions, under the dimension of the alarm."""
    cloudwatch = stack.client("cloudwatch")
    by_function = {
        own_dimensions(alarm)["FunctionName"]: alarm
        for alarm in alarms(stack).values()
        if alarm["MetricName"] == "Errors"
    }
    assert set(by_function) == set(stack.functions.values())
    for function, alarm in by_function.items():
        cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="the test begins")
        for _ in range(FAILURES):
            answer = stack.client("lambda").invoke(FunctionName=function, Payload=b'"not a request"')
            assert "FunctionError" in answer, function
        (failed,) = [
            metric
            for metric in cloudwatch.list_metrics(
                Namespace="AWS/Lambda", MetricName="Errors", Dimensions=alarm["Dimensions"]
            )["Metrics"]
            if metric["Dimensions"] == alarm["Dimensions"]
        ]
        assert failed["Namespace"] == alarm["Namespace"]
        # Adds nothing, but makes the emulator evaluate the alarm.
        put(stack, alarm, DataPoint(0, own_dimensions(alarm)))
        (now,) = cloudwatch.describe_alarms(AlarmNames=[alarm["AlarmName"]])["MetricAlarms"]
        assert now["StateValue"] == "ALARM", function


@evaluates
def test_a_corrupt_block_is_counted_by_its_filter_alone(customers: CustomerFactory, stack: Stack) -> None:
    customer = customers.with_role()
    administrator = customer.tenant.administrator
    # No run reads the block before it is corrupt.
    administrator.disable(customer.id)
    customer.tenant.send(make_events(3))
    (block,) = [item for item in customer.tenant.stored_blocks() if item["eventCount"] == {"N": "3"}]
    content = block["block"]["B"]
    stack.client("dynamodb").update_item(
        TableName=stack.tables["events"],
        Key={"partition": block["partition"], "blockId": block["blockId"]},
        UpdateExpression="SET #b = :b",
        ExpressionAttributeNames={"#b": "block"},
        ExpressionAttributeValues={":b": {"B": content[:-1] + bytes([content[-1] ^ 1])}},
    )
    customer.settle()
    administrator.enable(customer.id)
    administrator.run(customer.id)
    found = filters(stack, "exporter")

    def line() -> str | None:
        own = (line for line in log_lines(stack, "exporter") if customer.id in line)
        return next((line for line in own if '"alarm"' in line), None)

    logged = wait_until(line, "the log line", timeout_seconds=EXPORT_TIMEOUT_SECONDS)
    # Otherwise its run would be repeated for hours.
    administrator.delete(customer.id)
    assert [name for name, entry in found.items() if counted(entry, [logged])] == ["CorruptBlock"]
    assert counted(found["CorruptBlock"], [logged]) == [DataPoint(1, {})]


@evaluates
def test_a_sweep_gives_each_of_its_metrics_a_figure(stack: Stack, invoke: Callable[[str, Any], dict[str, Any]]) -> None:
    invoke("housekeeper", {"sweep": {}})
    found = {name: entry for name, entry in filters(stack, "housekeeper").items() if "sweep" in entry["filterPattern"]}
    assert set(found) == {
        "EnabledConfigurations",
        "HealthyConfigurations",
        "NeverRunConfigurations",
        "DelayedConfigurations",
        "FailingConfigurations",
        "RefusedConfigurations",
        "LargestLagSeconds",
        "RefusedTenantsPercent",
        "RetentionUsedPercent",
        "RefusedRetentionUsedPercent",
    }

    def figures() -> dict[str, list[DataPoint]]:
        lines = log_lines(stack, "housekeeper")
        points = {name: counted(entry, lines) for name, entry in found.items()}
        return points if all(points.values()) else {}

    points = wait_until(figures, "the log line of a sweep", timeout_seconds=PATIENCE_SECONDS)
    # One line has all of the fields.
    assert len({len(of_one) for of_one in points.values()}) == 1
    assert all(point.value >= 0 and not point.dimensions for of_one in points.values() for point in of_one)


@evaluates
def test_delivered_events_and_bytes_are_counted_without_a_dimension(customers: CustomerFactory, stack: Stack) -> None:
    customer = customers.with_role()
    sent = customer.tenant.send(make_events(7))
    customer.run_export(sent)
    delivered = {
        name: entry for name, entry in filters(stack, "exporter").items() if "window" in entry["filterPattern"]
    }
    assert set(delivered) == {"DeliveredEvents", "DeliveredBytes"}

    def points() -> dict[str, list[DataPoint]] | None:
        """Returns the data points of the export, once its window is finished. Changes to configurations are events, too."""
        lines = [line for line in log_lines(stack, "exporter") if customer.id in line]
        found = {name: counted(entry, lines) for name, entry in delivered.items()}
        return found if sum(point.value for point in found["DeliveredEvents"]) >= len(sent) else None

    found = wait_until(points, "the log line of the window", timeout_seconds=EXPORT_TIMEOUT_SECONDS)
    assert sum(point.value for point in found["DeliveredBytes"]) > 0
    assert all(not point.dimensions for of_one in found.values() for point in of_one)


@pytest.mark.last
@evaluates
def test_every_line_that_raises_an_alarm_is_counted_by_one_filter(stack: Stack, record: Record) -> None:
    """Checks the log lines of all tests before, also of those in other processes."""
    if not record.answers:
        pytest.skip("no other test ran")
    since = deployed_milliseconds(stack)
    seen = set()
    for function in stack.functions:
        patterns = [FilterPattern.parse(entry["filterPattern"]) for entry in filters(stack, function).values()]
        for line in log_lines(stack, function, since):
            if line.startswith("{") and (alarm := json.loads(line).get("alarm")):
                assert [pattern.matches(line) for pattern in patterns].count(True) == 1, line
                seen.add(alarm)
    assert "CORRUPT_BLOCK" in seen
