#!/bin/sh
# OpenTelemetry for Python 1.45.2: an integer outside of int64 anywhere in a log attribute, such as in an object of an object, removes the
# whole attribute: the record is sent without it, and its dropped_attributes_count is 0. The same integer in the body loses the whole
# batch: none of its records is sent, and force_flush returns True. Only the log of the exporter says so; the SDK accepts both without a
# warning. A float of the same size is sent as a double.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
venv/bin/python - <<'PYTHON'
import gzip
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

logging.disable()
received = []


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            content = gzip.decompress(content)
        for logs in ExportLogsServiceRequest.FromString(content).resource_logs:
            received.extend(record for scope in logs.scope_logs for record in scope.log_records)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
exporter = OTLPLogExporter(endpoint=f"http://127.0.0.1:{server.server_port}/v1/logs")


def sent(*records):
    """Sends the records as one batch, and returns what arrives: name, names of attributes, number of dropped attributes."""
    received.clear()
    provider = LoggerProvider()
    processor = BatchLogRecordProcessor(exporter)
    provider.add_log_record_processor(processor)
    for name, fields in records:
        provider.get_logger("audit").emit(LogRecord(timestamp=1, event_name=name, **fields))
    assert processor.force_flush() is True
    return [
        (record.event_name, [attribute.key for attribute in record.attributes], record.dropped_attributes_count)
        for record in received
    ]


def attributes(rows):
    return {"attributes": {"audit.action": "QUERY", "audit.auditPayload": {"query": "SELECT 1", "plan": {"rows": rows}}}}


login = ("LOGIN", {"body": "ann"})
seen = {
    "attribute, 63 bits": sent(login, ("QUERY", attributes(2**63 - 1))),
    "attribute, float": sent(login, ("QUERY", attributes(float(2**64)))),
    "attribute, 64 bits": sent(login, ("QUERY", attributes(2**63))),
    "body, 63 bits": sent(login, ("QUERY", {"body": {"rows": 2**63 - 1}})),
    "body, 64 bits": sent(login, ("QUERY", {"body": {"rows": 2**63}})),
}
for name, records in seen.items():
    print(name, records)
whole = [("LOGIN", [], 0), ("QUERY", ["audit.action", "audit.auditPayload"], 0)]
assert seen["attribute, 63 bits"] == seen["attribute, float"] == whole
assert seen["attribute, 64 bits"] == [("LOGIN", [], 0), ("QUERY", ["audit.action"], 0)]
assert seen["body, 63 bits"] == [("LOGIN", [], 0), ("QUERY", [], 0)]
assert seen["body, 64 bits"] == []
server.shutdown()
PYTHON
