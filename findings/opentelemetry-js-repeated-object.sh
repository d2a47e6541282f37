#!/bin/sh
# OpenTelemetry for JavaScript (@opentelemetry/sdk-logs 0.223.1) drops a log attribute whose value holds the same object twice, as in
# `targets: [table, table]` or `{before: owner, after: owner}`: it takes the second place for a circle. The record is exported without the
# attribute, `droppedAttributesCount` is 0, and nothing is printed unless a diagnostic logger was set. The value is valid by the type
# AnyValue, `JSON.stringify` writes it, and the same record with copies of the object is exported whole; so is such a value as the body.
# Reported: https://github.com/open-telemetry/opentelemetry-js/pull/7068
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix . @opentelemetry/sdk-logs@0.223.1 @opentelemetry/exporter-logs-otlp-http@0.223.1
cat > send.mjs <<'NODE'
import assert from "node:assert/strict";
import http from "node:http";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";

const received = [];
const server = http.createServer(async (request, response) => {
  const parts = await request.toArray();
  const { resourceLogs } = JSON.parse(Buffer.concat(parts).toString());
  received.push(...resourceLogs[0].scopeLogs[0].logRecords);
  response.setHeader("Content-Type", "application/json").end("{}");
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const exporter = new OTLPLogExporter({ url: `http://127.0.0.1:${server.address().port}/v1/logs` });
const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] });
const logger = provider.getLogger("audit");
const table = { id: "t1", type: "TABLE" };
const owner = { id: "ann" };
const values = {
  "targets, twice the same object": [table, table],
  "targets, the object and a copy": [table, { ...table }],
  "before and after, the same object": { before: owner, after: owner },
  "before and after, copies": { before: owner, after: { ...owner } },
};
for (const [eventName, value] of Object.entries(values)) {
  JSON.stringify(value);
  logger.emit({ eventName, body: value, attributes: { "audit.action": "GRANT", "audit.value": value } });
}
await provider.forceFlush();
await provider.shutdown();
server.close();

const seen = {};
for (const { eventName, body, attributes, droppedAttributesCount } of received) {
  assert.ok(body.arrayValue ?? body.kvlistValue);
  seen[eventName] = [attributes.map(({ key }) => key), droppedAttributesCount];
  console.log(`${eventName}:`, ...seen[eventName]);
}
const both = [["audit.action", "audit.value"], 0];
assert.deepEqual(seen, {
  "targets, twice the same object": [["audit.action"], 0],
  "targets, the object and a copy": both,
  "before and after, the same object": [["audit.action"], 0],
  "before and after, copies": both,
});
NODE
node send.mjs
