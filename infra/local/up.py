"""Builds, deploys and starts the local stack: `make up`."""

from __future__ import annotations

from infra.local import emulator
from infra.local.build import build
from infra.local.deploy import deploy
from infra.local.settings import LOCAL, STACK_FILE


def up() -> None:
    LOCAL.mkdir(parents=True, exist_ok=True)
    build()
    description = deploy(*emulator.start())
    print(f"Running at {description['apiUrl']}; described in {STACK_FILE}. Stop it with `make down`.")


if __name__ == "__main__":
    up()
