"""The schedules of template.yaml."""

from __future__ import annotations

import json

import pytest

from infra.lint.template import RESOURCES, TEMPLATE, target


@pytest.mark.parametrize(("hours", "cron_hours"), [(2, "0/2"), (4, "0/4"), (6, "0/6"), (12, "0/12"), (24, "0")])
def test_schedule_fires_after_each_boundary(hours: int, cron_hours: str) -> None:
    properties = RESOURCES[f"Every{hours}HoursSchedule"]["Properties"]
    development, real = properties["ScheduleExpression"]["Fn::If"][1:]
    assert development == {"Ref": "DevelopmentScheduleExpression"}
    expression, variables = real["Fn::Sub"]
    assert expression == f"cron(${{Minute}} {cron_hours} * * ? *)"
    assert variables == {"Minute": {"Fn::FindInMap": ["SettleMinute", {"Ref": "SettleSeconds"}, "Minute"]}}
    assert properties["ScheduleExpressionTimezone"] == "UTC"
    assert properties["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert f'"EVERY_{hours}_HOURS"' in properties["Target"]["Input"]
    assert "<aws.scheduler.scheduled-time>" in properties["Target"]["Input"]
    assert target(properties["Target"]["DeadLetterConfig"]["Arn"]) == "SchedulesDeadLetterQueue"
    assert properties["Target"]["RetryPolicy"]["MaximumRetryAttempts"] > 0


def test_a_schedule_fires_exactly_when_its_slot_has_settled() -> None:
    minutes = {int(s): int(entry["Minute"]) for s, entry in TEMPLATE["Mappings"]["SettleMinute"].items()}
    assert set(minutes) == {int(value) for value in TEMPLATE["Parameters"]["SettleSeconds"]["AllowedValues"]}
    assert {seconds: minute for seconds, minute in minutes.items() if seconds >= 1200} == {
        1200: 20,
        1500: 25,
        1800: 30,
        2700: 45,
    }


def test_the_sweep_comes_every_quarter_of_an_hour_and_asks_for_nothing_else() -> None:
    properties = RESOURCES["SweepSchedule"]["Properties"]
    _, development, real = properties["ScheduleExpression"]["Fn::If"]
    assert (development, real) == ({"Ref": "DevelopmentScheduleExpression"}, "rate(15 minutes)")
    assert target(properties["Target"]["Arn"]) == "HousekeeperFunction"
    assert json.loads(properties["Target"]["Input"]) == {"sweep": {}}


def test_an_undelivered_sweep_leaves_no_dead_letter() -> None:
    """Documented in docs/RUNBOOKS.md, in the entry of LargestLagAlarm."""
    assert "DeadLetterConfig" not in RESOURCES["SweepSchedule"]["Properties"]["Target"]
    assert "DestinationConfig" not in RESOURCES["HousekeeperFunction"]["Properties"]["EventInvokeConfig"]
    assert "sweep" not in RESOURCES["SchedulesDeadLettersAlarm"]["Properties"]["AlarmDescription"]


def test_the_archive_is_looked_after_every_quarter_of_an_hour() -> None:
    properties = RESOURCES["ArchiveSchedule"]["Properties"]
    _, development, real = properties["ScheduleExpression"]["Fn::If"]
    assert (development, real) == ({"Ref": "DevelopmentScheduleExpression"}, "rate(15 minutes)")
    assert target(properties["Target"]["Arn"]) == "ArchiverFunction"
    assert json.loads(properties["Target"]["Input"]) == {"archive": {}}
    assert "DeadLetterConfig" not in properties["Target"]
    assert RESOURCES["ArchiverFunction"]["Properties"]["EventInvokeConfig"]["MaximumRetryAttempts"] == 0
