"""Stops the local stack: `make down`."""

from __future__ import annotations

from infra.local import emulator
from infra.local.settings import STACK_FILE

if __name__ == "__main__":
    print("Stopped." if emulator.stop() else "Nothing was running.")
    STACK_FILE.unlink(missing_ok=True)
