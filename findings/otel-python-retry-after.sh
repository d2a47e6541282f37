#!/bin/sh
# opentelemetry-exporter-otlp-proto-http 1.45.2 drops log records at once if a server that is busy asks for a longer pause
# (Retry-After) than is left of the exporter's time-out, 10 s by default. It neither waits until the time-out nor keeps them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
venv/bin/python - <<'PYTHON'
import http.server
import threading
import time

from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

requests = []


class Busy(http.server.BaseHTTPRequestHandler):
    pause = "30"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        requests.append(self.path)
        self.send_response(429)
        self.send_header("retry-after", self.pause)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def seconds(pause):
    """Returns how long the exporter tries, and how often."""
    Busy.pause = pause
    requests.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    provider = LoggerProvider()
    exporter = OTLPLogExporter(endpoint=f"http://127.0.0.1:{server.server_port}/v1/logs")
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    provider.get_logger("audit").emit(LogRecord(timestamp=time.time_ns(), body="x"))
    started = time.monotonic()
    provider.force_flush()
    return time.monotonic() - started, len(requests)


short, long = seconds("2"), seconds("30")
print("Retry-After: 2 ", short)
print("Retry-After: 30", long)
assert short[0] > 6 and short[1] > 3
assert long[0] < 2 and long[1] == 1
PYTHON
