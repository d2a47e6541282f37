"""The exporter that one would write first: boto3, zlib, gzip, put_object. What it does not have is what this project is
about: order over shards, exactly-once delivery, digests, bounded memory whatever the events are.

    python_exporter.py TENANT BUCKET [--items]

With --items, the table has an item for every event, which is there as text. Prints what the export took, as JSON.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import time
import zlib
from pathlib import Path

import boto3
from boto3.dynamodb.conditions import Key

SHARDS = 16
TARGET_RAW_BYTES = 128 * 1024 * 1024
KIBIBYTE = 1024


class Exporter:
    """Collects events and uploads a file whenever there are enough."""

    def __init__(self, tenant: str, bucket: str) -> None:
        self._tenant = tenant
        self._bucket = bucket
        dynamodb = boto3.resource("dynamodb")
        self._table = dynamodb.Table("AuditEvents")
        self._items = dynamodb.Table("AuditEventItems")
        self._s3 = boto3.client("s3")
        self._number = 0
        self._begin()

    def export_items(self) -> None:
        arguments = {"KeyConditionExpression": Key("tenantId").eq(self._tenant), "ConsistentRead": True}
        while True:
            page = self._items.query(**arguments)
            for item in page["Items"]:
                self._add(item["event"].encode() + b"\n")
            if "LastEvaluatedKey" not in page:
                break
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        self._upload()

    def export_blocks(self) -> None:
        for shard in range(SHARDS):
            arguments = {
                "KeyConditionExpression": Key("partition").eq(f"{self._tenant}#{shard:02}"),
                "ConsistentRead": True,
            }
            while True:
                page = self._table.query(**arguments)
                for item in page["Items"]:
                    self._add(zlib.decompress(item["block"].value + b"\x03\x00", wbits=-zlib.MAX_WBITS))
                if "LastEvaluatedKey" not in page:
                    break
                arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        self._upload()

    def _begin(self) -> None:
        self._output = io.BytesIO()
        self._file = gzip.GzipFile(fileobj=self._output, mode="wb", compresslevel=6)
        self._raw_bytes = 0

    def _add(self, lines: bytes) -> None:
        self._file.write(lines)
        self._raw_bytes += len(lines)
        if self._raw_bytes >= TARGET_RAW_BYTES:
            self._upload()

    def _upload(self) -> None:
        if not self._raw_bytes:
            return
        self._file.close()
        self._s3.put_object(
            Bucket=self._bucket, Key=f"audit/{self._tenant}/{self._number:06}.ndjson.gz", Body=self._output.getvalue()
        )
        self._number += 1
        self._begin()


def _peak_memory_bytes() -> int:
    """What `getrusage` says begins with the memory of whoever started this program."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) * KIBIBYTE


if __name__ == "__main__":
    exporter = Exporter(sys.argv[1], sys.argv[2])
    cpu, wall = time.process_time(), time.monotonic()
    if "--items" in sys.argv:
        exporter.export_items()
    else:
        exporter.export_blocks()
    usage = {
        "peakMemoryBytes": _peak_memory_bytes(),
        "cpuSeconds": time.process_time() - cpu,
        "wallSeconds": time.monotonic() - wall,
    }
    print(json.dumps(usage))
