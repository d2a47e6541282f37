"""Real S3 servers other than AWS's on this machine, for `make s3-servers`.

They are installed from crates.io into .tools/s3-servers, in the versions that are pinned here.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local import programs
from infra.local.emulator import free_port
from infra.local.settings import ROOT, TOOL_DIRECTORY

INSTALLED = TOOL_DIRECTORY / "s3-servers"
# The variable that describes the running servers to the tests.
VARIABLE = "S3_SERVERS"
BUCKET = "acme-audit"
START_SECONDS = 60
STOP_SECONDS = 10


@dataclass(frozen=True)
class RunningServer:
    """A server that listens, with an empty bucket."""

    name: str
    address: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    # The code with which the connection test has to refuse it; None: it has to work.
    refused_with: str | None
    bucket: str = BUCKET


@dataclass(frozen=True)
class Program:
    """A server on crates.io, and how to run it with a folder, a port and an access key."""

    crate: str
    version: str
    region: str
    refused_with: str | None
    command: Callable[..., list[str]]
    features: tuple[str, ...] = ()
    makes_bucket: bool = False


def _s3s_fs(folder: Path, port: int, access_key_id: str, secret_access_key: str) -> list[str]:
    return [
        *("s3s-fs", "--host", "127.0.0.1", "--port", str(port)),
        *("--access-key", access_key_id, "--secret-key", secret_access_key, str(folder)),
    ]


def _garage(folder: Path, port: int, *_: str) -> list[str]:
    # It reads the access key from variables.
    configuration = folder / "garage.toml"
    configuration.write_text(
        f"""
        metadata_dir = "{folder}/metadata"
        data_dir = "{folder}/data"
        db_engine = "sqlite"
        replication_factor = 1
        rpc_bind_addr = "127.0.0.1:{free_port(0)}"
        rpc_secret = "{secrets.token_hex(32)}"
        [s3_api]
        s3_region = "garage"
        api_bind_addr = "127.0.0.1:{port}"
        root_domain = ".s3.localhost"
        """
    )
    return ["garage", "--config", str(configuration), "server", "--single-node", "--default-bucket"]


PROGRAMS = [
    Program("s3s-fs", "0.14.1", "us-east-1", None, _s3s_fs, features=("binary",)),
    # It ignores If-None-Match on PutObject.
    Program("garage", "2.5.0", "garage", "CONDITIONAL_WRITES_MISSING", _garage, makes_bucket=True),
]


def install() -> None:
    """Installs the servers that are missing. Building one takes minutes."""
    for program in PROGRAMS:
        features = ("--features", ",".join(program.features)) if program.features else ()
        command = [
            *("cargo", "install", "--quiet", "--locked", "--root", str(INSTALLED), *features),
            f"{program.crate}@{program.version}",
        ]
        subprocess.run(command, cwd=ROOT, check=True)


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Runs the servers; yields the environment that describes them to the tests."""
    with ExitStack() as stack:
        servers = [asdict(stack.enter_context(_running(program))) for program in PROGRAMS]
        yield {VARIABLE: json.dumps(servers)}


@contextmanager
def _running(program: Program) -> Iterator[RunningServer]:
    with tempfile.TemporaryDirectory(prefix="audit-export-") as name:
        folder = Path(name)
        port = free_port(0)
        # Both have the form of Garage's, which other servers accept.
        access_key_id, secret_access_key = f"GK{secrets.token_hex(12)}", secrets.token_hex(32)
        command = program.command(folder, port, access_key_id, secret_access_key)
        environment = os.environ | {
            "GARAGE_DEFAULT_ACCESS_KEY": access_key_id,
            "GARAGE_DEFAULT_SECRET_KEY": secret_access_key,
            "GARAGE_DEFAULT_BUCKET": BUCKET,
        }
        server = RunningServer(
            f"{program.crate} {program.version}",
            f"http://127.0.0.1:{port}",
            program.region,
            access_key_id,
            secret_access_key,
            program.refused_with,
        )
        command[0] = str(INSTALLED / "bin" / command[0])
        with (folder / "log").open("wb") as log, programs.running(command, environment, log, STOP_SECONDS) as process:
            _prepare_bucket(server, process, program.makes_bucket, folder / "log")
            yield server


def client(server: RunningServer) -> BaseClient:
    """Returns a client with the server's access key."""
    return boto3.client(
        "s3",
        endpoint_url=server.address,
        region_name=server.region,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        config=Config(
            retries={"max_attempts": 1},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _prepare_bucket(server: RunningServer, process: subprocess.Popen[bytes], is_made: bool, log: Path) -> None:
    """Waits until the server answers, and creates the bucket unless the server does."""
    s3 = client(server)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if is_made:
                s3.head_bucket(Bucket=BUCKET)
            else:
                s3.create_bucket(Bucket=BUCKET)
            return
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                print(log.read_text(errors="replace")[-4_000:], file=sys.stderr)
                raise SystemExit(f"{server.name} did not start: {error}") from error
            time.sleep(0.2)
