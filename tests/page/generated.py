"""Exports of any size, signed with a new key. Their objects have random bytes, which the page does not decode."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.page.answers import BUCKET, ID, Json

PATH = f"audit/logs/{ID}"
START = datetime.datetime(2026, 11, 21, 20, tzinfo=datetime.UTC)
WINDOW = datetime.timedelta(hours=2)
OBJECTS_OF_A_WINDOW = 8
# Of ULIDs, and of the digests' names.
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TAG_LENGTH = 16


class Signer:
    """A key for digests."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self.pem = public.public_bytes(serialization.Encoding.PEM, form).decode()
        self.fingerprint = sha256(public.public_bytes(serialization.Encoding.DER, form))

    def sign(self, content: bytes) -> bytes:
        return self._key.sign(content, ec.ECDSA(hashes.SHA256()))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest_bytes(digest: Json) -> bytes:
    return json.dumps(digest, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def write_generated(folder: Path, objects: int, object_bytes: int) -> str:
    """Writes `key.pem`, and an export into a folder of its ID. Returns the time through which it is complete."""
    signer = Signer()
    (folder / "key.pem").write_text(signer.pem)
    base = os.urandom(object_bytes)
    previous: Json | None = None
    for sequence, first in enumerate(range(0, objects, OBJECTS_OF_A_WINDOW)):
        start = START + sequence * WINDOW
        delivered = [
            _write_object(folder, start + datetime.timedelta(minutes=1 + number - first), number, base)
            for number in range(first, min(objects, first + OBJECTS_OF_A_WINDOW))
        ]
        previous = _write_digest(folder, signer, sequence, start, delivered, previous)
    return _time(start + WINDOW)


def _write_object(folder: Path, received: datetime.datetime, number: int, base: bytes) -> Json:
    # Each has a hash of its own.
    content = number.to_bytes(8, "big") + base[8:]
    block = _block(received, 7)
    named = f"{_compact(received)}_{block}"
    name = f"date={received:%Y-%m-%d}/{named}-{named}.ndjson.gz"
    path = folder / ID / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {
        "bucket": BUCKET,
        "key": f"{PATH}/{name}",
        "sha256": sha256(content),
        "storedLength": len(content),
        "crc32": zlib.crc32(content[:8]),
        "rawLength": 10 * len(content),
        "events": 1000,
        "firstBlock": block,
        "lastBlock": block,
        "oldestEvent": _time(received),
        "newestEvent": _time(received),
    }


def _write_digest(
    folder: Path, signer: Signer, sequence: int, start: datetime.datetime, objects: list[Json], previous: Json | None
) -> Json:
    """Returns the reference to the digest, for the next one."""
    end = start + WINDOW
    window = {"firstBlock": _block(start, 0), "endBlock": _block(end, 0), "from": _time(start), "to": _time(end)}
    digest: dict[str, Any] = {
        "version": 1,
        "tenantId": "acme",
        "configurationId": ID,
        "sequence": sequence,
        "window": window,
        "objects": objects,
        "gaps": [],
        "previous": previous,
        "signingKey": signer.fingerprint,
    }
    content = digest_bytes(digest)
    signature = signer.sign(content)
    name = f"_digests/{sequence:010}_{_compact(end)}_{sha256(signature)[:TAG_LENGTH]}.json"
    path = folder / ID / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.with_name(f"{path.name}.sig").write_bytes(signature)
    reference = {"bucket": BUCKET, "key": f"{PATH}/{name}"}
    return reference | {"sha256": sha256(content), "signatureSha256": sha256(signature)}


def _time(time: datetime.datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.000Z"


def _compact(time: datetime.datetime) -> str:
    return f"{time:%Y%m%dT%H%M%S}000Z"


def _block(time: datetime.datetime, random: int) -> str:
    """Returns the ID of a block: a ULID."""
    number = (int(time.timestamp()) * 1000 << 80) + random
    return "".join(CROCKFORD[number >> 5 * digit & 31] for digit in reversed(range(26)))
