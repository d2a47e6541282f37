#!/bin/sh
# OpenTelemetry for JavaScript (@opentelemetry/otlp-transformer 0.223.1) writes other numbers in JSON than in Protobuf for the same record.
# 2**62 is 4611686018427387904 in Protobuf and `"intValue":4611686018427388000` in JSON. A whole number outside of int64, such as 1e19, is
# a doubleValue in Protobuf, but an intValue in JSON, which Protobuf's JSON parser refuses, and with it the request and so the other records
# of the batch. The exporter exporter-logs-otlp-http sends JSON, exporter-logs-otlp-proto Protobuf. OTLP asks for decimal strings:
# https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding. Seen by others: https://github.com/pydantic/logfire-js/pull/305;
# reported for NaN: https://github.com/open-telemetry/opentelemetry-js/pull/4435
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install opentelemetry-proto==1.45.2 protobuf==7.36.2
npm install --silent --no-audit --no-fund --prefix . @opentelemetry/sdk-logs@0.223.1 @opentelemetry/otlp-transformer@0.223.1
cat > encode.mjs <<'NODE'
import { writeFileSync } from "node:fs";
import { JsonLogsSerializer, ProtobufLogsSerializer } from "@opentelemetry/otlp-transformer";
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";

for (const [name, rows] of [["small", 2 ** 62], ["large", 1e19]]) {
  const exporter = new InMemoryLogRecordExporter();
  const logger = new LoggerProvider({ processors: [new SimpleLogRecordProcessor({ exporter })] }).getLogger("audit");
  logger.emit({ eventName: "LOGIN", timestamp: 1 });
  logger.emit({ eventName: "QUERY", timestamp: 2, attributes: { rows } });
  const records = exporter.getFinishedLogRecords();
  writeFileSync(`${name}.json`, JsonLogsSerializer.serializeRequest(records));
  writeFileSync(`${name}.bin`, ProtobufLogsSerializer.serializeRequest(records));
}
NODE
node encode.mjs
venv/bin/python - <<'PYTHON'
from pathlib import Path

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


def rows(request):
    login, query = request.resource_logs[0].scope_logs[0].log_records
    assert login.event_name == "LOGIN"
    value = query.attributes[0].value
    kind = value.WhichOneof("value")
    return kind, getattr(value, kind)


def from_json(name):
    try:
        return rows(json_format.Parse(Path(name).read_text(), ExportLogsServiceRequest()))
    except json_format.ParseError as error:
        return str(error)


seen = {}
for name in ("small", "large"):
    seen[name] = rows(ExportLogsServiceRequest.FromString(Path(f"{name}.bin").read_bytes())), from_json(f"{name}.json")
    print(name, "- Protobuf:", seen[name][0], "JSON:", seen[name][1])
assert seen["small"] == (("int_value", 2**62), ("int_value", 2**62 + 96))
assert seen["large"][0] == ("double_value", 1e19)
assert '"intValue":10000000000000000000' in Path("large.json").read_text()
assert "Value out of range: 10000000000000000000" in seen["large"][1]
PYTHON
