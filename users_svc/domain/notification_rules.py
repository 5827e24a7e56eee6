"""How long notifications are kept, and how many mails about other people somebody gets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

DAY = timedelta(days=1)

LEAST_KEPT = 100
"""No operator can let a person keep fewer: a page of the list is as long."""


@dataclass(frozen=True)
class NotificationRules:
    """What the operator can set.

    :param read_kept: how long one stays after it was read
    :param kept: how long one stays at all
    :param most: of one person; beyond them the oldest go
    :param social_mails_per_hour: about what other people do, to one person; beyond them the inbox alone tells
    """

    read_kept: timedelta = 90 * DAY
    kept: timedelta = 365 * DAY
    most: int = 1_000
    social_mails_per_hour: int = 10

    def is_news(self, happened_at: datetime, now: datetime) -> bool:
        """Tell whether something still comes into an inbox.

        What comes later than the shorter of the two times was sent again: its notification may have been purged, and
        would be new once more.
        """
        return now - happened_at <= min(self.read_kept, self.kept)
