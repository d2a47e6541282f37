"""Builds, deploys and starts the local stack: `make up`."""

from __future__ import annotations

from infra.local import emulator, schedules
from infra.local.build import build
from infra.local.deploy import deploy
from infra.local.settings import LOCAL, STACK_FILE
from infra.local.stack import Stack, sign_token


def up() -> None:
    LOCAL.mkdir(parents=True, exist_ok=True)
    build()
    description = deploy(*emulator.start())
    stack = Stack(description)
    schedules.enable(stack)
    print(f"Running at {description['apiUrl']}; described in {STACK_FILE}. Stop it with `make down`.")
    print("The page for administrators, signed in as one of the tenant acme for an hour:")
    print(f"{description['pageUrl']}#token={sign_token('acme')}")


if __name__ == "__main__":
    up()
