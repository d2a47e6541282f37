"""Sends the events of a file: AUDIT_EXPORT_URL=… AUDIT_EXPORT_TOKEN=… python send_events.py events.ndjson"""

import gzip
import hashlib
import os
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator

# Of one request. The service takes 3.5 MiB.
MAX_EVENTS = 1_000
MAX_BYTES = 3 * 1_024 * 1_024
ATTEMPTS = 8
TEMPORARY = {429, 500, 502, 503, 504}


def batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == MAX_EVENTS or size + len(line) > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield batch


def send(lines: list[bytes]) -> None:
    body = b"".join(lines)
    headers = {
        "Authorization": f"Bearer {os.environ['AUDIT_EXPORT_TOKEN']}",
        "Content-Type": "application/x-ndjson",
        "Content-Encoding": "gzip",
        # The same for every attempt, and another one for other events.
        "Idempotency-Key": hashlib.sha256(body).hexdigest(),
    }
    url = f"{os.environ['AUDIT_EXPORT_URL']}/api/audit/events"
    request = urllib.request.Request(url, gzip.compress(body), headers)
    for attempt in range(ATTEMPTS):
        pause = random.random() * min(20.0, 0.2 * 2**attempt)
        try:
            urllib.request.urlopen(request, timeout=35).close()
            return
        except urllib.error.HTTPError as error:
            if error.code not in TEMPORARY:
                # The events or the token have to change: repeating does not help.
                sys.exit(f"{error.code}: {error.read().decode()}")
            pause = float(error.headers.get("Retry-After") or pause)
        except OSError:
            # Without an answer the events may be stored: the key makes it safe to repeat them.
            pass
        time.sleep(pause)
    sys.exit(f"no success in {ATTEMPTS} attempts")


with open(sys.argv[1], "rb") as file:
    for batch in batches(line.rstrip(b"\n") + b"\n" for line in file if line.strip()):
        send(batch)
