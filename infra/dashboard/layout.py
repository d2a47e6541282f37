"""The layout of the dashboard. Metrics that an alarm watches, their periods and thresholds come from the alarms."""

from __future__ import annotations

import re
from collections.abc import Iterable

from infra.dashboard.source import Template
from infra.dashboard.widgets import Alarms, Graph, Metric, Numbers, Row, Scaled, Text

# The time that the dashboard shows first.
START = "-PT12H"
MINUTES_5 = 300
MINUTES_15 = 900
FUNCTIONS = ("Api", "Ingest", "Verifier", "Exporter", "Converter", "Housekeeper", "Archiver", "Notifier", "Page")
TABLES = {
    "AuditEventsTable": "events",
    "ExportConfigurationsTable": "configurations",
    "ExportRunsTable": "runs",
}
TABLE_THROTTLES = "(Table|Index)(Read|Write)ThrottlesAlarm"
QUEUES = {
    "EventsQueue": "events",
    "TopicEventsQueue": "events by SNS",
    "RuleEventsQueue": "events by EventBridge",
    "RunsQueue": "scheduled runs",
    "ManualRunsQueue": "requested runs",
    "ConversionQueue": "scheduled conversions",
    "ManualConversionQueue": "requested conversions",
    "WebhooksQueue": "webhooks",
}
INDEX = ("GlobalSecondaryIndexName", "enabledByInterval")
LOG_GROUPS = (*FUNCTIONS, "ApiAccess")
DATA_AT_RISK = (
    "RetentionGapAlarm",
    "RetentionUsed50Alarm",
    "RetentionUsed25Alarm",
    "RefusedRetentionUsed50Alarm",
    "CorruptBlockAlarm",
    "ContentChangedAlarm",
    "SegmentDamagedAlarm",
    "ArchiveBehindAlarm",
    "ArchiveLagAlarm",
    "UnexpectedObjectAlarm",
    "LastExportStoppedAlarm",
    "EventsNotStoredAlarm",
    "EventsDeadLettersAlarm",
    "TopicEventsDeadLettersAlarm",
    "RuleEventsDeadLettersAlarm",
)
REQUESTS = (
    "IngestServerErrorsAlarm",
    "OpenTelemetryServerErrorsAlarm",
    "ApiServerErrorsAlarm",
    "PageServerErrorsAlarm",
    "PageFilesServerErrorsAlarm",
    "ApiRequestFailedAlarm",
    "ApiTryAgainAlarm",
    "IngestThrottledAlarm",
    "ApiThrottledAlarm",
    "EventsQueueAgeAlarm",
    "TopicEventsQueueAgeAlarm",
    "RuleEventsQueueAgeAlarm",
)


def layout(template: Template) -> tuple[Row, ...]:
    return (
        *_health(template),
        *_ingest(template),
        *_exports(template),
        *_queues(template),
        *_lag(template),
        *_functions(template),
        *_cost(template),
    )


def _health(template: Template) -> Iterable[Row]:
    def sweep(name: str, label: str) -> Metric:
        return template.own_metric(name, label, "Maximum", MINUTES_15)

    of_functions = template.alarms("Function(Errors|Throttles|Duration)Alarm")
    of_tables = template.alarms(TABLE_THROTTLES)
    grouped = {*DATA_AT_RISK, *REQUESTS, *of_functions, *of_tables}
    of_exports = tuple(alarm for alarm in template.alarms("Alarm") if alarm not in grouped)
    yield _heading(
        "Health at a glance",
        "Stack **${AWS::StackName}**, ${AWS::Region}. What an alarm means and what to do: ${Runbooks}. "
        "Saved queries: CloudWatch → Logs Insights → Queries → ${AWS::StackName}.",
    )
    yield Row(
        6,
        (
            Alarms("Alarms: data at risk", DATA_AT_RISK),
            Alarms("Alarms: exports are late", of_exports),
        ),
    )
    yield Row(
        6,
        (
            Alarms("Alarms: requests", REQUESTS),
            Alarms("Alarms: tables", of_tables),
            Alarms("Alarms: functions", of_functions),
        ),
    )
    yield Row(
        4,
        (
            Numbers(
                "Exports by health",
                (
                    sweep("FailingConfigurations", "failing here"),
                    sweep("RefusedConfigurations", "refused by customers"),
                    sweep("DelayedConfigurations", "delayed"),
                    sweep("NeverRunConfigurations", "never run"),
                    sweep("HealthyConfigurations", "healthy"),
                    sweep("EnabledConfigurations", "enabled"),
                ),
            ),
            Numbers("Largest lag", (sweep("LargestLagSeconds", "seconds"),)),
            Numbers(
                "Retention used",
                (
                    sweep("RetentionUsedPercent", "of exports that work or fail here, %"),
                    sweep("RefusedRetentionUsedPercent", "of refused exports, %"),
                ),
            ),
        ),
    )


def _ingest(template: Template) -> Iterable[Row]:
    def requests(name: str, label: str, statistic: str = "Sum") -> Metric:
        return _request(template, "IngestServerErrorsAlarm", name, label, statistic)

    def graphql(name: str, label: str) -> Metric:
        return _request(template, "ApiServerErrorsAlarm", name, label)

    yield _heading(
        "Ingest", "Requests to `/api/audit/events` and `/v1/logs`; stored events come from requests and from queues."
    )
    yield Row(
        6,
        (
            Graph(
                "Requests with events",
                "requests in 5 minutes",
                (
                    requests("Count", "all"),
                    requests("4XXError", "4xx"),
                    requests("5XXError", "5xx"),
                    *(
                        _request(template, "OpenTelemetryServerErrorsAlarm", name, f"OpenTelemetry, {label}")
                        for name, label in (("Count", "all"), ("4XXError", "4xx"), ("5XXError", "5xx"))
                    ),
                ),
                template.thresholds(["IngestServerErrorsAlarm", "OpenTelemetryServerErrorsAlarm"]),
            ),
            Graph(
                "Latency of requests with events",
                "milliseconds",
                (
                    *(requests("Latency", name, name) for name in ("p50", "p99")),
                    *(
                        _request(template, "OpenTelemetryServerErrorsAlarm", "Latency", f"OpenTelemetry, {name}", name)
                        for name in ("p50", "p99")
                    ),
                ),
            ),
            _graph(
                template,
                "Throttled requests (429 of API Gateway)",
                "requests in 5 minutes",
                {"IngestThrottledAlarm": "events", "ApiThrottledAlarm": "GraphQL and others"},
            ),
        ),
    )
    yield Row(
        6,
        (
            Graph(
                "Events stored",
                "events in 5 minutes",
                (template.own_metric("IngestedEvents", "events", "Sum", MINUTES_5),),
            ),
            Graph(
                "Bytes stored",
                "bytes in 5 minutes",
                (
                    template.own_metric("IngestedBytes", "as received, decompressed", "Sum", MINUTES_5),
                    template.own_metric("StoredBytes", "in blocks, compressed", "Sum", MINUTES_5),
                ),
            ),
            Graph(
                "GraphQL requests, and the page",
                "requests in 5 minutes",
                (
                    graphql("Count", "all"),
                    graphql("4XXError", "4xx"),
                    graphql("5XXError", "5xx"),
                    template.alarm_metric("ApiTryAgainAlarm", "TRY_AGAIN"),
                    template.alarm_metric("ApiRequestFailedAlarm", "INTERNAL"),
                    _request(template, "PageServerErrorsAlarm", "5XXError", "page, 5xx"),
                    _request(template, "PageFilesServerErrorsAlarm", "5XXError", "files of the page, 5xx"),
                ),
                template.thresholds(
                    [
                        "ApiServerErrorsAlarm",
                        "ApiTryAgainAlarm",
                        "ApiRequestFailedAlarm",
                        "PageServerErrorsAlarm",
                        "PageFilesServerErrorsAlarm",
                    ]
                ),
            ),
        ),
    )


def _exports(template: Template) -> Iterable[Row]:
    yield _heading("Exports", "A run is one invocation of the exporter for one configuration, or one slice of it.")
    yield Row(
        6,
        (
            Graph(
                "Events delivered",
                "events in 5 minutes",
                (template.own_metric("DeliveredEvents", "events", "Sum", MINUTES_5),),
            ),
            Graph(
                "Bytes delivered",
                "bytes in 5 minutes",
                (template.own_metric("DeliveredBytes", "compressed", "Sum", MINUTES_5),),
            ),
        ),
    )
    yield Row(
        6,
        (
            Graph(
                "Invocations of the exporter",
                "invocations in 5 minutes",
                (
                    _function("Exporter", "Invocations", "all: runs, slices, deferrals, dispatches"),
                    _function("Exporter", "Errors", "errors"),
                ),
            ),
            _graph(
                template,
                "Slots dispatched",
                "slots in an hour",
                {alarm: alarm.removesuffix("DispatchAlarm") for alarm in template.alarms("DispatchAlarm")},
            ),
            Graph(
                "Duration of the exporter",
                "milliseconds",
                tuple(_function("Exporter", "Duration", name, name) for name in ("p50", "p99", "Maximum")),
            ),
        ),
    )
    yield Row(
        6,
        (
            _graph(
                template,
                "Runs, sweeps and notices that failed",
                "occurrences",
                {
                    "RunFailedAlarm": "failed, in 5 minutes",
                    "SlicesExhaustedAlarm": "slices exhausted, in 5 minutes",
                    "RunCrashedAlarm": "crashed, in an hour",
                    "SweepIncompleteAlarm": "incomplete sweeps, in 5 minutes",
                    "NoticeNotSentAlarm": "notices not sent, in 5 minutes",
                    "WebhookGivenUpAlarm": "notices given up, in 5 minutes",
                },
            ),
            _graph(
                template,
                "Data at risk",
                "occurrences in 5 minutes",
                {
                    "CorruptBlockAlarm": "corrupt block",
                    "ContentChangedAlarm": "content changed",
                    "SegmentDamagedAlarm": "segment damaged",
                    "ArchiveBehindAlarm": "archive behind",
                    "RetentionGapAlarm": "retention gap",
                    "UnexpectedObjectAlarm": "unexpected object",
                    "LastExportStoppedAlarm": "last export stopped",
                    "EventsNotStoredAlarm": "events not stored",
                },
            ),
        ),
    )


def _queues(template: Template) -> Iterable[Row]:
    yield _heading("Queues", "The age includes messages that are processed or wait for their next attempt.")
    yield Row(
        6,
        (
            _graph(
                template,
                "Age of the oldest message",
                "seconds",
                {f"{queue}AgeAlarm": label for queue, label in QUEUES.items()} | {"OldestNoticeAlarm": "notices"},
            ),
            Graph("Messages that wait", "messages", _queue_metrics("ApproximateNumberOfMessagesVisible", "Maximum")),
            _graph(template, "Messages in flight", "messages", {"WebhooksQueueInFlightAlarm": "webhooks"}),
            _graph(
                template,
                "Dead letters",
                "messages",
                {
                    "EventsDeadLettersAlarm": "events",
                    "TopicEventsDeadLettersAlarm": "events by SNS",
                    "RuleEventsDeadLettersAlarm": "events by EventBridge",
                    "RunsDeadLettersAlarm": "scheduled runs",
                    "ManualRunsDeadLettersAlarm": "requested runs",
                    "ConversionDeadLettersAlarm": "scheduled conversions",
                    "ManualConversionDeadLettersAlarm": "requested conversions",
                    "SchedulesDeadLettersAlarm": "schedules",
                    "WebhooksDeadLettersAlarm": "webhooks",
                },
            ),
        ),
    )


def _lag(template: Template) -> Iterable[Row]:
    yield _heading("Lag and retention", "Measured by the sweep over all enabled configurations, every 15 minutes.")
    yield Row(
        6,
        (
            _graph(
                template, "Largest lag", "seconds", {"LargestLagAlarm": "of exports that the customer's side admits"}
            ),
            _graph(
                template,
                "Retention used",
                "percent",
                {
                    "RetentionUsed25Alarm": "",
                    "RetentionUsed50Alarm": "of exports that work or fail here",
                    "RefusedRetentionUsed50Alarm": "of exports that the customer's side refuses",
                },
            ),
            _graph(
                template,
                "Failing exports",
                "exports",
                {"FailingConfigurationsAlarm": "failing through a fault of the service"},
            ),
            _graph(
                template,
                "Refused tenants",
                "percent",
                {"RefusedTenantsAlarm": "tenants whose connection is refused"},
            ),
            _graph(template, "Archive behind", "seconds", {"ArchiveLagAlarm": "of the tenant that is furthest behind"}),
        ),
    )


def _functions(template: Template) -> Iterable[Row]:
    yield _heading("Functions and tables", "Errors are crashes, time-outs, and failed dispatches or sweeps.")

    def by_function(metric: str) -> dict[str, str]:
        return {f"{name}Function{metric}Alarm": name.lower() for name in FUNCTIONS}

    durations = []
    for alarm, label in by_function("Duration").items():
        timeout = template.properties(alarm.removesuffix("DurationAlarm"))["Timeout"]
        # From milliseconds to percent of the time-out in seconds.
        durations.append(Scaled(template.alarm_metric(alarm, label, f"d_{label}"), 0.1 / timeout, label))
    yield Row(
        6,
        (
            _graph(template, "Errors of functions", "errors in 15 minutes", by_function("Errors")),
            _graph(template, "Throttled invocations", "invocations in 15 minutes", by_function("Throttles")),
            Graph(
                "Longest invocation",
                "percent of the time-out",
                tuple(durations),
                template.thresholds_in_percent("FunctionDurationAlarm"),
            ),
        ),
    )
    yield Row(
        6,
        (
            Graph(
                "Concurrent invocations",
                "invocations",
                tuple(_function(name, "ConcurrentExecutions", name.lower(), "Maximum") for name in FUNCTIONS),
                is_stacked=True,
            ),
            _graph(
                template,
                "Throttled requests of tables",
                "requests in 5 minutes",
                {alarm: _words(alarm.removesuffix("ThrottlesAlarm")) for alarm in template.alarms(TABLE_THROTTLES)},
            ),
        ),
    )


def _cost(template: Template) -> Iterable[Row]:
    yield _heading(
        "Cost drivers",
        "What grows with traffic. S3 bills the requests to a bucket to its owner, the customer; KMS signs once per window.",
    )

    def units(name: str) -> tuple[Metric, ...]:
        tables = [((("TableName", f"${{{table}}}"),), label) for table, label in TABLES.items()]
        index = ((*tables[1][0], INDEX), "index of configurations")
        return tuple(
            Metric("AWS/DynamoDB", name, dimensions, "Sum", MINUTES_5, label) for dimensions, label in (*tables, index)
        )

    computing = []
    for name in FUNCTIONS:
        megabytes = template.properties(f"{name}Function")["MemorySize"]
        operand = _function(name, "Duration", name.lower(), identifier=f"g_{name.lower()}")
        # From milliseconds to GB-seconds.
        computing.append(Scaled(operand, megabytes / 1024 / 1000, name.lower()))
    yield Row(
        6,
        (
            Graph("DynamoDB: write units", "units in 5 minutes", units("ConsumedWriteCapacityUnits")),
            Graph("DynamoDB: read units", "units in 5 minutes", units("ConsumedReadCapacityUnits")),
            Graph("Lambda: duration by memory", "GB-seconds in 5 minutes", tuple(computing), is_stacked=True),
        ),
    )
    yield Row(
        6,
        (
            Graph(
                "API Gateway: requests",
                "requests in 5 minutes",
                (
                    _request(template, "IngestServerErrorsAlarm", "Count", "events"),
                    _request(template, "OpenTelemetryServerErrorsAlarm", "Count", "OpenTelemetry"),
                    _request(template, "ApiServerErrorsAlarm", "Count", "GraphQL"),
                    _request(template, "PageServerErrorsAlarm", "Count", "page"),
                    _request(template, "PageFilesServerErrorsAlarm", "Count", "files of the page"),
                ),
                is_stacked=True,
            ),
            Graph(
                "SQS: messages received",
                "messages in 5 minutes",
                _queue_metrics("NumberOfMessagesReceived", "Sum"),
                is_stacked=True,
            ),
            Graph(
                "CloudWatch Logs: bytes",
                "bytes in 5 minutes",
                tuple(
                    Metric("AWS/Logs", "IncomingBytes", (("LogGroupName", f"${{{name}LogGroup}}"),), "Sum", MINUTES_5, label)
                    for name, label in ((name, "api access" if name == "ApiAccess" else name.lower()) for name in LOG_GROUPS)
                ),
                is_stacked=True,
            ),
        ),
    )  # fmt: skip


def _heading(title: str, text: str) -> Row:
    return Row(2, (Text(f"## {title}\n{text}"),))


def _graph(template: Template, title: str, unit: str, alarms: dict[str, str]) -> Graph:
    """Returns a graph of the metrics that alarms watch, by label, with their thresholds. No label: only the threshold."""
    series = tuple(template.alarm_metric(alarm, label) for alarm, label in alarms.items() if label)
    return Graph(title, unit, series, template.thresholds(list(alarms)))


def _function(name: str, metric: str, label: str, statistic: str = "Sum", identifier: str = "") -> Metric:
    dimensions = (("FunctionName", f"${{{name}Function}}"),)
    return Metric("AWS/Lambda", metric, dimensions, statistic, MINUTES_5, label, identifier)


def _request(template: Template, alarm: str, name: str, label: str, statistic: str = "Sum") -> Metric:
    """Returns a metric of the API's method that an alarm watches."""
    watched = template.alarm_metric(alarm, label)
    return Metric(watched.namespace, name, watched.dimensions, statistic, MINUTES_5, label)


def _queue_metrics(name: str, statistic: str) -> tuple[Metric, ...]:
    return tuple(
        Metric("AWS/SQS", name, (("QueueName", f"${{{queue}.QueueName}}"),), statistic, MINUTES_5, label)
        for queue, label in QUEUES.items()
    )


def _words(name: str) -> str:
    """Returns the words of a logical ID: EventsTableRead is "events table read"."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
