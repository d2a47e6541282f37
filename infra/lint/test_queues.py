"""The queues of template.yaml: who may send, who receives, and what becomes of failures."""

from __future__ import annotations

import re
from typing import Any

import pytest

from infra.lint.template import FUNCTIONS, RESOURCES, ROOT, TEMPLATE, of_type, section, target, translated

FOURTEEN_DAYS = 1_209_600


@pytest.mark.parametrize(
    ("queue", "dead_letters", "function"),
    [
        ("EventsQueue", "EventsDeadLetterQueue", "IngestFunction"),
        ("TopicEventsQueue", "TopicEventsDeadLetterQueue", "IngestFunction"),
        ("RuleEventsQueue", "RuleEventsDeadLetterQueue", "IngestFunction"),
        ("RunsQueue", "RunsDeadLetterQueue", "ExporterFunction"),
        ("ManualRunsQueue", "ManualRunsDeadLetterQueue", "ExporterFunction"),
        ("ConversionQueue", "ConversionDeadLetterQueue", "ConverterFunction"),
        ("ManualConversionQueue", "ManualConversionDeadLetterQueue", "ConverterFunction"),
    ],
)
def test_queue_waits_for_its_function_and_keeps_what_fails(queue: str, dead_letters: str, function: str) -> None:
    (event,) = [
        e
        for e in RESOURCES[function]["Properties"]["Events"].values()
        if e["Type"] == "SQS" and target(e["Properties"]["Queue"]) == queue
    ]
    properties = RESOURCES[queue]["Properties"]
    batching = event["Properties"].get("MaximumBatchingWindowInSeconds", 0)
    assert properties["VisibilityTimeout"] >= 6 * RESOURCES[function]["Properties"]["Timeout"] + batching
    assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert target(properties["RedrivePolicy"]["deadLetterTargetArn"]) == dead_letters


@pytest.mark.parametrize(
    ("function", "queue", "parameter"),
    [
        ("ExporterFunction", "RunsQueue", "MaximumConcurrentRuns"),
        ("ExporterFunction", "ManualRunsQueue", "MaximumConcurrentManualRuns"),
        ("ConverterFunction", "ConversionQueue", "MaximumConcurrentRuns"),
        ("ConverterFunction", "ManualConversionQueue", "MaximumConcurrentManualRuns"),
    ],
)
def test_runs_go_one_by_one_and_each_queue_has_its_own_share(function: str, queue: str, parameter: str) -> None:
    events = [e["Properties"] for e in RESOURCES[function]["Properties"]["Events"].values()]
    (event,) = [e for e in events if target(e["Queue"]) == queue]
    assert event["BatchSize"] == 1
    assert event["ScalingConfig"] == {"MaximumConcurrency": {"Ref": parameter}}
    # The minimum that Lambda accepts.
    assert TEMPLATE["Parameters"][parameter]["MinValue"] == 2


def test_requested_and_scheduled_runs_have_queues_of_their_own() -> None:
    variables = {name: RESOURCES[name]["Properties"]["Environment"]["Variables"] for name in FUNCTIONS}
    assert variables["ExporterFunction"]["RUN_QUEUE_URL"] == {"Ref": "RunsQueue"}
    assert variables["ExporterFunction"]["MANUAL_RUN_QUEUE_URL"] == {"Ref": "ManualRunsQueue"}
    assert variables["ExporterFunction"]["MAX_RUNS_PER_TENANT"] == {"Ref": "MaximumConcurrentRunsPerTenant"}
    queues = {"ConversionQueue": "RUN_QUEUE_URL", "ManualConversionQueue": "MANUAL_RUN_QUEUE_URL"}
    for queue, own in queues.items():
        assert variables["ConverterFunction"][own] == {"Ref": queue}
        others = own.replace("RUN_", "CONVERSION_")
        assert variables["ExporterFunction"][others] == {"Ref": queue}
    # The function refuses a larger value when it starts.
    most = TEMPLATE["Parameters"]["MaximumConcurrentRunsPerTenant"]["MaxValue"]
    settings = (ROOT / "shared" / "export-runs" / "src" / "settings.rs").read_text()
    assert f"MAX_SHARES_PER_TENANT: u32 = {most};" in settings
    assert variables["ApiFunction"]["MANUAL_RUN_QUEUE_URL"] == {"Ref": "ManualRunsQueue"}
    assert "RUN_QUEUE_URL" not in variables["ApiFunction"]


def test_lambda_does_not_stop_what_continues_through_its_own_queue() -> None:
    """Tested in the translated template: the translator must keep the property. No other function is in a loop."""
    loops = {
        name: resource["Properties"].get("RecursiveLoop")
        for name, resource in translated()["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    assert loops == dict.fromkeys(FUNCTIONS, None) | {
        "ConverterFunction": "Allow",
        "ExporterFunction": "Allow",
        "NotifierFunction": "Allow",
    }


@pytest.mark.parametrize("queue", sorted(of_type("AWS::SQS::Queue")))
def test_queue_is_encrypted_and_keeps_messages_for_14_days(queue: str) -> None:
    properties = RESOURCES[queue]["Properties"]
    assert properties["SqsManagedSseEnabled"] is True
    assert properties["MessageRetentionPeriod"] == FOURTEEN_DAYS


def test_ingest_knows_its_queues_and_the_quota() -> None:
    variables = RESOURCES["IngestFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["EVENTS_QUEUE_URL"] == {"Ref": "EventsQueue"}
    assert variables["TOPIC_EVENTS_QUEUE_URL"] == {"Ref": "TopicEventsQueue"}
    assert variables["TOPIC_DELIVERY"] == {"Ref": "EventTopicDelivery"}
    # The default of SNS.
    assert TEMPLATE["Parameters"]["EventTopicDelivery"]["Default"] == "Enveloped"
    assert variables["RULE_EVENTS_QUEUE_URL"] == {"Ref": "RuleEventsQueue"}
    assert variables["INGEST_MEGABYTES_PER_TENANT_MINUTE"] == {"Ref": "IngestMegabytesPerTenantMinute"}


def test_queue_batches_leave_concurrency_for_http() -> None:
    events = RESOURCES["IngestFunction"]["Properties"]["Events"].values()
    batches = [event["Properties"] for event in events if event["Type"] == "SQS"]
    assert len(batches) == 3
    for properties in batches:
        assert properties["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "MaximumConcurrentIngestBatches"}}
    assert TEMPLATE["Parameters"]["MaximumConcurrentIngestBatches"]["MinValue"] == 2


@pytest.mark.parametrize(
    ("queue", "service", "parameter", "condition"),
    [
        ("TopicEventsQueue", "sns.amazonaws.com", "EventTopicArns", "HasEventTopics"),
        ("RuleEventsQueue", "events.amazonaws.com", "EventRuleArns", "HasEventRules"),
    ],
)
def test_a_queue_of_a_service_takes_messages_of_listed_sources_alone(
    queue: str, service: str, parameter: str, condition: str
) -> None:
    """Only a service can set aws:SourceArn, so no other sender can pass for a topic or a rule."""
    (policy,) = [p for p in of_type("AWS::SQS::QueuePolicy").values() if [target(q) for q in p["Queues"]] == [queue]]
    listed, named, others, _ = policy["PolicyDocument"]["Statement"]
    assert listed["Fn::If"][0] == condition
    assert listed["Fn::If"][1]["Principal"] == {"Service": service}
    assert listed["Fn::If"][1]["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": parameter}}}
    assert named["Fn::If"][1]["Principal"] == {"AWS": {"Ref": "EventSenders"}}
    assert (others["Effect"], others["Principal"], others["Action"]) == ("Deny", "*", "sqs:SendMessage")
    nobody = {"Fn::GetAtt": [queue, "Arn"]}
    assert others["Condition"] == {
        "ArnNotEquals": {
            "aws:SourceArn": {"Fn::If": [condition, {"Ref": parameter}, nobody]},
            "aws:PrincipalArn": {"Fn::If": ["HasEventSenders", {"Ref": "EventSenders"}, nobody]},
        }
    }


def queue_policies() -> dict[str, list[dict[str, Any]]]:
    """Returns the statements of each queue's policy that apply in every stack."""
    return {
        target(queue): [s for s in policy["PolicyDocument"]["Statement"] if "Fn::If" not in s]
        for policy in of_type("AWS::SQS::QueuePolicy").values()
        for queue in policy["Queues"]
    }


def queues_of_events() -> list[str]:
    events = RESOURCES["IngestFunction"]["Properties"]["Events"].values()
    return [target(event["Properties"]["Queue"]) for event in events if event["Type"] == "SQS"]


def test_messages_with_events_come_from_admitted_senders_alone() -> None:
    """A message names its tenant. One in a dead-letter queue is stored as well, once an operator redrives it."""
    for queue in queues_of_events():
        dead_letters = target(RESOURCES[queue]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"])
        (denied,) = [s for s in queue_policies()[queue] if s["Effect"] == "Deny"]
        assert (denied["Principal"], denied["Action"], target(denied["Resource"])) == ("*", "sqs:SendMessage", queue)
        (denied,) = queue_policies()[dead_letters]
        assert {key: value for key, value in denied.items() if key != "Sid"} == {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:SendMessage",
            "Resource": {"Fn::GetAtt": [dead_letters, "Arn"]},
        }
        # What the template can't restrict, the operator does.
        assert {f"{queue}Arn", f"{dead_letters}Url"} <= set(TEMPLATE["Outputs"])
        loop = section("OPERATIONS.md", "After the first deployment").partition("redrivePermission")[0]
        assert re.search(rf"for queue in [\w ]*\b{queue.removesuffix('Queue')}\b", loop)


@pytest.mark.parametrize("heading", ["Erase a tenant", "Uninstall"])
def test_whoever_removes_events_looks_into_every_queue_that_holds_some(heading: str) -> None:
    text = section("OPERATIONS.md", heading)
    assert "dead-letter queues" in text
    named = re.findall(r"`(\w+Queue)`", text)
    assert {name for name in named if not name.endswith("DeadLetterQueue")} == set(queues_of_events())
