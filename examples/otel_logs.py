"""Sends a login as an audit event through OpenTelemetry: AUDIT_EXPORT_URL=… AUDIT_EXPORT_TOKEN=… python otel_logs.py

With the packages opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http.
"""

import os
import time

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

exporter = OTLPLogExporter(
    endpoint=f"{os.environ['AUDIT_EXPORT_URL']}/v1/logs",
    headers={"Authorization": f"Bearer {os.environ['AUDIT_EXPORT_TOKEN']}"},
    compression=Compression.Gzip,
    # Longer than the service asks to wait when a quota is used up; the exporter drops records that it can't repeat in time.
    timeout=90,
)
provider = LoggerProvider(resource=Resource({"service.name": "shop"}))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
audit = provider.get_logger("audit")

audit.emit(
    LogRecord(
        timestamp=time.time_ns(),
        severity_number=SeverityNumber.INFO,
        event_name="LOGIN",
        body="logged in",
        attributes={
            "user.id": "u-1",
            "user.name": "Zoë",
            "audit.actionStatus": "SUCCESS",
            "audit.targets": [{"id": "shop", "type": "APPLICATION"}],
        },
    )
)
# Sends what is still in memory.
provider.shutdown()
