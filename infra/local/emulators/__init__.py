"""The emulators that the local stack can run on. All differences between them are in this package."""

from __future__ import annotations

from infra.local.emulators.interface import Emulator
from infra.local.emulators.localstack import LocalStack
from infra.local.emulators.ministack import MiniStack


def by_name(name: str) -> Emulator:
    """Returns the emulator with this name; raises SystemExit if there is none."""
    emulators: list[Emulator] = [MiniStack(), LocalStack()]
    for emulator in emulators:
        if emulator.name == name:
            return emulator
    raise SystemExit(f"EMULATOR={name}: it has to be one of {', '.join(emulator.name for emulator in emulators)}.")
