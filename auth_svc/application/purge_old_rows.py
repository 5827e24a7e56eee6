"""What nobody needs any more is deleted."""

from __future__ import annotations

from datetime import timedelta

from auth_svc.application.ports import OldRow, Ports

BATCH = 1_000
#: of each kind in one run: a run is not to hold up a service that wants to stop
MOST = 20_000

DAY = timedelta(days=1)
#: for how long after it is over a row is kept
KEPT: dict[OldRow, timedelta] = {
    "expired_sessions": 90 * DAY,
    "ended_sessions": 90 * DAY,
    "one_time_tokens": 7 * DAY,
    "email_changes": 90 * DAY,
    "unknown_logins": 30 * DAY,
    "mail_counts": DAY,
}


def purge_old_rows(ports: Ports) -> int:
    """Return how many rows were deleted."""
    # A count is over with its window.
    kept: dict[OldRow, timedelta] = {**KEPT, "login_attempts": ports.rules.lockout.window + DAY}
    return sum(_purge(ports, kind, age) for kind, age in kept.items())


def _purge(ports: Ports, kind: OldRow, age: timedelta) -> int:
    before, deleted = ports.now() - age, 0
    while deleted < MOST:
        batch = ports.old_rows.delete(kind, before, BATCH)
        deleted += batch
        if batch < BATCH:
            break
    return deleted
