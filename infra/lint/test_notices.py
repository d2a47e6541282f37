"""The rules that forward notices fit the notices that the service publishes: that of the stack, and the example for mail."""

from __future__ import annotations

import re
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from infra.lint.template import RESOURCES, ROOT, TEMPLATE, statements
from infra.lint.test_alarms import TOPIC

EXAMPLE = yaml_parse((ROOT / "infra" / "notices" / "sns-mail.yaml").read_text())
RULE = EXAMPLE["Resources"]["Rule"]["Properties"]
OWN_RULE = RESOURCES["LastExportRule"]["Properties"]


def kinds() -> set[str]:
    """Returns the kinds of notices that docs/NOTICES.md has examples of. A test of `domain` compares them with the code."""
    return set(re.findall(r'"kind": "([A-Z_]+)"', (ROOT / "docs" / "NOTICES.md").read_text()))


@pytest.mark.parametrize("rule", [RULE, OWN_RULE])
def test_a_rule_matches_the_service_s_source(rule: dict[str, Any]) -> None:
    adapter = (ROOT / "shared" / "aws-adapters" / "src" / "notice_bus.rs").read_text()
    [source] = re.findall(r'const NOTICE_SOURCE: &str = "([a-z-]+)";', adapter)
    assert rule["EventPattern"]["source"] == [source]


def test_the_example_matches_kinds_that_exist() -> None:
    matched = set(RULE["EventPattern"]["detail-type"])
    assert len(matched) >= 9
    assert matched <= kinds()


@pytest.mark.parametrize("rule", [RULE, OWN_RULE])
def test_a_message_shows_fields_of_a_notice(rule: dict[str, Any]) -> None:
    transformer = rule["Targets"][0]["InputTransformer"]
    fields = set(re.findall(r'^ +"(\w+)":', (ROOT / "docs" / "NOTICES.md").read_text(), re.MULTILINE))
    for path in transformer["InputPathsMap"].values():
        assert path == "$.detail-type" or set(path.removeprefix("$.").split(".")) <= fields | {"detail"}, path
    assert set(re.findall(r"<(\w+)>", transformer["InputTemplate"])) == set(transformer["InputPathsMap"])


def test_the_example_takes_the_bus_that_the_stack_names() -> None:
    assert TEMPLATE["Outputs"]["NoticeBusName"]["Value"] == {"Ref": "NoticeBus"}
    assert RULE["EventBusName"] == {"Ref": "BusName"}


def test_each_end_of_a_last_export_goes_from_the_bus_to_the_topic_of_the_alarms() -> None:
    assert OWN_RULE["EventBusName"] == {"Ref": "NoticeBus"}
    # Whatever kind of change it is.
    assert OWN_RULE["EventPattern"] == {"source": ["audit-export"], "detail": {"detail": {"isLastExport": [True]}}}
    [target] = OWN_RULE["Targets"]
    assert target["Arn"] == TOPIC
    shown = target["InputTransformer"]["InputPathsMap"]
    assert {"tenant", "configuration", "kind", "author", "time", "message"} <= set(shown)


def test_only_the_rule_of_last_exports_uses_the_topic_and_the_dead_letters_of_others() -> None:
    [target] = OWN_RULE["Targets"]
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["SchedulesDeadLetterQueue", "Arn"]}}
    [dead_letters] = RESOURCES["SchedulesDeadLetterQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    [_, topic] = RESOURCES["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    for statement, action in ((dead_letters, "sqs:SendMessage"), (topic, "sns:Publish")):
        assert (statement["Effect"], statement["Action"]) == ("Allow", action)
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}
        # Another rule, or another account's, can't pass for it.
        rule = {"Fn::GetAtt": ["LastExportRule", "Arn"]}
        assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": rule}}


def test_a_topic_of_any_account_gets_messages_by_a_role_that_can_do_nothing_else() -> None:
    # Without RoleArn, EventBridge delivers to its own account alone; AWS has used topic policies for that case for longer.
    [target] = OWN_RULE["Targets"]
    role = {"Fn::GetAtt": ["LastExportRole", "Arn"]}
    assert target["RoleArn"] == {"Fn::If": ["HasAlarmTopic", role, {"Ref": "AWS::NoValue"}]}
    assert RESOURCES["LastExportRole"]["Condition"] == "HasAlarmTopic"
    assert TEMPLATE["Conditions"]["HasAlarmTopic"] == {"Fn::Not": [TEMPLATE["Conditions"]["MakesAlarmTopic"]]}
    [trust] = RESOURCES["LastExportRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "events.amazonaws.com"}
    rules = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${NoticeBus}/*"
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {"aws:SourceArn": {"Fn::Sub": rules}},
    }
    [_, key] = statements("LastExportRole")
    # SNS uses a key for this topic alone.
    assert key["Condition"] == {"StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": {"Ref": "AlarmTopicArn"}}}
