"""Builds, deploys and starts the local stack: `make up`."""

from __future__ import annotations

from infra.local import emulator, schedules
from infra.local.build import build
from infra.local.deploy import deploy
from infra.local.settings import LOCAL, STACK_FILE
from infra.local.stack import Stack


def up() -> None:
    LOCAL.mkdir(parents=True, exist_ok=True)
    build()
    description = deploy(*emulator.start())
    schedules.enable(Stack(description))
    print(f"Running at {description['apiUrl']}; described in {STACK_FILE}. Stop it with `make down`.")


if __name__ == "__main__":
    up()
