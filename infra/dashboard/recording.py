"""Metrics of a running local stack, recorded for the picture of the dashboard.

The emulator has the metrics of functions alone, and applies no metric filter. So those of the stack's own filters are computed from
the log lines, and the others are missing in the picture.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from infra.dashboard.source import Template, substitution
from infra.dashboard.widgets import Alarms, Graph, Metric, Numbers, Row, Scaled
from infra.local.filter_patterns import data_points
from infra.local.stack import Stack

RECORDING_FILE = Path(__file__).with_name("recording.json")
MINUTES = 30
MINUTE = timedelta(minutes=1)
OWN_NAMESPACE = "AuditExport/"
# The most queries of one GetMetricData: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
MAXIMUM_QUERIES = 500


@dataclass(frozen=True)
class Recording:
    source: str
    start: str
    """The first minute, in UTC."""
    points: dict[str, dict[int, float]]
    """The values of each series, by the minute from the start."""
    states: dict[str, str]
    """The states of the alarms, by logical ID."""

    @classmethod
    def load(cls) -> Recording:
        stored = json.loads(RECORDING_FILE.read_text())
        points = {
            key: {int(minute): value for minute, value in series.items()} for key, series in stored["points"].items()
        }
        return cls(stored["source"], stored["start"], points, stored["states"])

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def metrics(rows: tuple[Row, ...]) -> dict[str, Metric]:
    """Returns the metrics of all widgets, by their key."""
    series = [
        one for row in rows for widget in row.widgets if isinstance(widget, Graph | Numbers) for one in widget.series
    ]
    operands = [one.operand if isinstance(one, Scaled) else one for one in series]
    return {metric.key: metric for metric in operands}


def record(stack: Stack, rows: tuple[Row, ...]) -> Recording:
    """Reads the last half an hour."""
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    start = end - MINUTES * MINUTE
    wanted = metrics(rows)
    own = {key: metric for key, metric in wanted.items() if metric.namespace.startswith(OWN_NAMESPACE)}
    of_aws = [metric for key, metric in wanted.items() if key not in own]
    points = _from_cloudwatch(stack, of_aws, start, end) | _from_logs(stack, own, start)
    alarms = [alarm for row in rows for widget in row.widgets if isinstance(widget, Alarms) for alarm in widget.alarms]
    return Recording(
        source=f"a local stack on {stack.description['emulator']}, a point for each minute",
        start=start.isoformat(timespec="minutes").replace("+00:00", "Z"),
        points={key: series for key, series in points.items() if series},
        states=_states(stack, alarms),
    )


def _from_cloudwatch(stack: Stack, wanted: list[Metric], start: datetime, end: datetime) -> dict[str, dict[int, float]]:
    names = _physical_names(stack)
    assert len(wanted) <= MAXIMUM_QUERIES
    queries = [
        {
            "Id": f"m{index}",
            "MetricStat": {
                "Metric": {
                    "Namespace": metric.namespace,
                    "MetricName": metric.name,
                    "Dimensions": [
                        {"Name": name, "Value": _resolve(value, names)} for name, value in metric.dimensions
                    ],
                },
                "Period": 60,
                "Stat": metric.statistic,
            },
        }
        for index, metric in enumerate(wanted)
    ]
    pages = stack.client("cloudwatch").get_paginator("get_metric_data")
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for page in pages.paginate(MetricDataQueries=queries, StartTime=start, EndTime=end, ScanBy="TimestampAscending"):
        for result in page["MetricDataResults"]:
            series = found[wanted[int(result["Id"][1:])].key]
            for time, value in zip(result["Timestamps"], result["Values"], strict=True):
                series[(time - start) // MINUTE] = round(value, 3)
    return found


def _from_logs(stack: Stack, wanted: dict[str, Metric], start: datetime) -> dict[str, dict[int, float]]:
    """Applies the stack's metric filters to the log lines."""
    template = Template.load()
    names = _physical_names(stack)
    values: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    lines = {group: list(_log_lines(stack, names[group])) for group in template.of_type("AWS::Logs::LogGroup")}
    for properties in map(template.properties, template.of_type("AWS::Logs::MetricFilter")):
        (transformation,) = properties["MetricTransformations"]
        fields = {dimension["Key"]: dimension["Value"] for dimension in transformation.get("Dimensions", [])}
        for line in lines[properties["LogGroupName"]["Ref"]]:
            for point in data_points(properties["FilterPattern"], transformation["MetricValue"], fields, [line]):
                minute = (datetime.fromisoformat(json.loads(line)["timestamp"]) - start) // MINUTE
                namespace, dimensions = substitution(transformation["MetricNamespace"]), tuple(point.dimensions.items())
                for key, metric in wanted.items():
                    is_same = (metric.namespace, metric.name, metric.dimensions) == (
                        namespace, transformation["MetricName"], dimensions,
                    )  # fmt: skip
                    if is_same and 0 <= minute < MINUTES:
                        values[key][minute].append(point.value)
    combine: dict[str, Callable[[list[float]], float]] = {"Sum": sum, "Maximum": max}
    return {
        key: {minute: combine[wanted[key].statistic](found) for minute, found in sorted(series.items())}
        for key, series in values.items()
    }


def _log_lines(stack: Stack, group: str) -> Iterable[str]:
    for page in stack.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group):
        for event in page["events"]:
            yield from event["message"].splitlines()


def _states(stack: Stack, alarms: list[str]) -> dict[str, str]:
    prefix = f"{stack.description['stackName']}-"
    pages = stack.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
    states = {
        alarm["AlarmName"].removeprefix(prefix).split("-")[0]: alarm["StateValue"]
        for page in pages
        for alarm in page["MetricAlarms"]
    }
    return {alarm: states[alarm] for alarm in alarms if alarm in states}


def _physical_names(stack: Stack) -> dict[str, str]:
    """Returns the names of the stack's resources, by logical ID. A queue's physical ID is its URL."""
    name = stack.description["stackName"]
    pages = stack.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
    resources: list[dict[str, Any]] = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return {"AWS::StackName": name, "AWS::Region": stack.region} | {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"].rpartition("/")[2]
        if resource["ResourceType"] == "AWS::SQS::Queue"
        else resource["PhysicalResourceId"]
        for resource in resources
    }


def _resolve(text: str, names: dict[str, str]) -> str:
    return re.sub(r"\$\{([\w:]+)(?:\.QueueName)?\}", lambda found: names[found[1]], text)
