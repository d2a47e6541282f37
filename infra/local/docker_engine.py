"""A Docker engine for `make sam-local`: the one that runs; or, as root on Debian, one of this project's own, whose programs are
installed from Debian and whose data stays in .tools/docker.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from programs import running
from settings import ARCHITECTURE, LOCAL, TOOL_DIRECTORY

# What `sam local` runs functions in, by the name that it looks for.
BASE_IMAGE = f"public.ecr.aws/lambda/provided:al2023-{ARCHITECTURE}"
ROOT_FILES = TOOL_DIRECTORY / "docker" / "base-image.tar"
DATA = TOOL_DIRECTORY / "docker" / "data"
START_SECONDS = 60
STOP_SECONDS = 30
PULL_SECONDS = 600


@contextmanager
def engine() -> Iterator[dict[str, str]]:
    """The environment that leads to it. Raises SystemExit if there is none and none can be had."""
    if _answers({}):
        yield {}
        return
    _install("dockerd", "docker.io")
    # Unix sockets may have no long paths.
    with tempfile.TemporaryDirectory(prefix="docker-") as directory:
        environment = {"DOCKER_HOST": f"unix://{directory}/docker.sock"}
        command = [
            "dockerd", "--host", environment["DOCKER_HOST"], "--data-root", str(DATA), "--exec-root", f"{directory}/exec",
            "--pidfile", f"{directory}/pid",
        ]  # fmt: skip
        with (
            (LOCAL / "dockerd.log").open("wb") as log,
            running(command, dict(os.environ), log, STOP_SECONDS) as process,
        ):
            deadline = time.monotonic() + START_SECONDS
            while not _answers(environment):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"The Docker engine did not start; see {LOCAL / 'dockerd.log'}")
                time.sleep(0.2)
            yield environment


def ensure_base_image(environment: dict[str, str]) -> None:
    """The official image; or, where no registry is reached, Debian's base system, whose C library is new enough for the functions."""
    if _docker(environment, "image", "inspect", BASE_IMAGE).returncode == 0:
        return
    print(f"Pulling {BASE_IMAGE}.", flush=True)
    if _docker(environment, "pull", "--quiet", BASE_IMAGE, timeout=PULL_SECONDS).returncode == 0:
        return
    print("No registry is reached; making an image of Debian's base system.", flush=True)
    if not ROOT_FILES.exists():
        _install("debootstrap", "debootstrap")
        _make_root_files()
    outcome = _docker(environment, "import", str(ROOT_FILES), BASE_IMAGE, timeout=PULL_SECONDS)
    if outcome.returncode != 0:
        raise SystemExit(f"docker import failed: {outcome.stderr}")


def host_address(environment: dict[str, str]) -> str:
    """Of this machine, as a container on the default network sees it."""
    return _docker(
        environment, "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"
    ).stdout.strip() or _first_of_subnet(environment)


def _first_of_subnet(environment: dict[str, str]) -> str:
    """An engine that chose the bridge's address by itself tells the subnet alone; the bridge has its first address."""
    subnet = _docker(
        environment, "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"
    ).stdout.strip()
    return subnet.partition("/")[0].rpartition(".")[0] + ".1"


def _make_root_files() -> None:
    ROOT_FILES.parent.mkdir(parents=True, exist_ok=True)
    release = _debian()["VERSION_CODENAME"]
    with tempfile.TemporaryDirectory(prefix="base-image-") as directory:
        _run("debootstrap", "--variant=minbase", "--include=ca-certificates", release, directory)
        partial = ROOT_FILES.with_suffix(".partial")
        _run("tar", "-C", directory, "-cf", partial, ".")
        partial.rename(ROOT_FILES)


def _install(program: str, package: str) -> None:
    if shutil.which(program):
        return
    if _debian().get("ID") != "debian" or os.geteuid() != 0:
        raise SystemExit(
            f"{program} is missing. Start a Docker engine and run this again; it is set up by itself only for root on Debian. "
            "`make lambda-local` does the same without Docker."
        )
    print(f"Installing {package}.", flush=True)
    # RUNLEVEL=1: not to be started as a service.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    _run("apt-get", "update", "--quiet", environment=environment)
    _run("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", package, environment=environment)


def _debian() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except FileNotFoundError:
        return {}
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def _run(*command: object, environment: dict[str, str] | None = None) -> None:
    outcome = subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, text=True, check=False
    )
    if outcome.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{outcome.stdout[-2000:]}{outcome.stderr[-2000:]}")


def _answers(environment: dict[str, str]) -> bool:
    return shutil.which("docker") is not None and _docker(environment, "version").returncode == 0


def _docker(environment: dict[str, str], *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
