"""The schedules of the local stack, which stand still during the tests.

A schedule runs every enabled configuration of its interval each minute, in the middle of any test on a slow machine: it would export
events before the test changes them, test connections, open windows, and keep the machine busy with the configurations of tests that
have ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator

from infra.local.settings import LOCAL
from infra.local.stack import Stack

# The schedule of this interval fires, for the tests of the schedule.
FIRING_INTERVAL = "EVERY_6_HOURS"
# Every process of the tests holds it, so that the last one to end is known.
LOCK = LOCAL / "schedules.lock"
FIELDS = ("FlexibleTimeWindow", "GroupName", "Name", "ScheduleExpression", "ScheduleExpressionTimezone", "Target")


def enable(stack: Stack) -> None:
    """Enables the schedules that killed tests have left disabled, unless tests run now."""
    with LOCK.open("w") as lock, contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        set_state(stack, "ENABLED")


@contextlib.contextmanager
def standing_still(stack: Stack) -> Iterator[Stack]:
    """Disables the schedules of exports, except one, until the last process has left the block."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        set_state(stack, "DISABLED")
        try:
            yield stack
        finally:
            # Fails if another process still holds the lock.
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                set_state(stack, "ENABLED")


def set_state(stack: Stack, state: str) -> None:
    scheduler = stack.client("scheduler")
    group = stack.description["stackName"]
    for entry in scheduler.list_schedules(GroupName=group)["Schedules"]:
        schedule = scheduler.get_schedule(GroupName=group, Name=entry["Name"])
        interval = json.loads(schedule["Target"]["Input"]).get("dispatch", {}).get("interval", FIRING_INTERVAL)
        if interval != FIRING_INTERVAL and schedule["State"] != state:
            unchanged = {field: schedule[field] for field in FIELDS if field in schedule}
            scheduler.update_schedule(**unchanged, State=state)
