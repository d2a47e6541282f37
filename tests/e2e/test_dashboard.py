"""The deployed dashboard, after CloudFormation has replaced its variables. infra/lint/test_dashboard.py tests the rest."""

from __future__ import annotations

import json

import pytest

from infra.local.stack import Stack


@pytest.mark.requires("dashboards")
def test_the_dashboard_names_what_is_deployed(stack: Stack) -> None:
    name = stack.description["stackName"]
    cloudwatch = stack.client("cloudwatch")
    text = cloudwatch.get_dashboard(DashboardName=f"{name}-{stack.region}")["DashboardBody"]
    assert "${" not in text
    widgets = [widget["properties"] for widget in json.loads(text)["widgets"]]
    metrics = [metric for widget in widgets for metric in widget.get("metrics", []) if len(metric) > 1]
    addresses = (url.rpartition("/")[2] for url in stack.queues.values())
    queues = {*addresses, *(arn.rpartition(":")[2] for arn in stack.description["queueArns"].values())}
    for dimension, deployed in (
        ("FunctionName", set(stack.functions.values())),
        ("TableName", set(stack.tables.values())),
        ("QueueName", queues),
    ):
        assert {metric[metric.index(dimension) + 1] for metric in metrics if dimension in metric} == deployed
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{name}-")
    alarms = {alarm["AlarmArn"] for page in pages for alarm in page["MetricAlarms"]}
    assert {arn for widget in widgets for arn in widget.get("alarms", [])} == alarms
    # The default of LagAlarmHours.
    [lag] = [widget for widget in widgets if widget.get("title") == "Largest lag" and "annotations" in widget]
    assert [line["value"] for line in lag["annotations"]["horizontal"]] == [6 * 3_600]
