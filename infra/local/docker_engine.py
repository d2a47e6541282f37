"""The Docker engine that `make sam-local` needs, and the image that it runs functions in."""

from __future__ import annotations

import shutil
import subprocess

from infra.local.settings import ARCHITECTURE

# The image that `sam local` uses, by this name.
BASE_IMAGE = f"public.ecr.aws/lambda/provided:al2023-{ARCHITECTURE}"
PULL_SECONDS = 600


def require_engine() -> None:
    """Raises SystemExit if no Docker engine is running."""
    if shutil.which("docker") is None or _docker("version").returncode != 0:
        raise SystemExit(
            "A running Docker engine is needed: install one (https://docs.docker.com/engine/install/) and run this again.\n"
            "`make lambda-local` makes the same checks without Docker."
        )


def ensure_base_image() -> None:
    """Pulls the image unless the engine has it."""
    if _docker("image", "inspect", BASE_IMAGE).returncode == 0:
        return
    print(f"Pulling {BASE_IMAGE}.", flush=True)
    outcome = _docker("pull", "--quiet", BASE_IMAGE, timeout=PULL_SECONDS)
    if outcome.returncode != 0:
        raise SystemExit(f"docker pull failed: {outcome.stderr}")


def host_address() -> str:
    """Returns the address of this machine on the containers' default network."""
    gateway = _of_bridge("Gateway")
    # An engine that chose the bridge's address by itself reports only the subnet. The bridge has its first address.
    return gateway or _of_bridge("Subnet").partition("/")[0].rpartition(".")[0] + ".1"


def _of_bridge(field: str) -> str:
    template = f"{{{{(index .IPAM.Config 0).{field}}}}}"
    return _docker("network", "inspect", "bridge", "--format", template).stdout.strip()


def _docker(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False)
