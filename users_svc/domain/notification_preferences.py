"""What somebody wants to be told of, by which channel, and when not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any, Self
from zoneinfo import ZoneInfo

from lib.errors import Invalid
from users_svc.domain.notification_types import CHANNELS, TYPES, Channel, NotificationType
from users_svc.domain.preference_records import Choice, Kind, Refused, flag, text


class InvalidUnsubscribeToken(Invalid):
    code = "invalid_unsubscribe_token"


_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
DAY = timedelta(days=1)


def clock(value: object) -> str:
    """A time of day, as on a clock of 24 hours."""
    if not _CLOCK.fullmatch(text(value)):
        raise Refused("invalid_time", "expected a time like 22:00")
    return text(value)


def _channels(of: NotificationType) -> dict[str, Choice]:
    return {each: Choice(each in of.by_default, flag, fixed=of.security) for each in CHANNELS}


NOTIFICATION_PREFERENCES = Kind(
    "notification_preferences",
    {
        "types": {each.name: _channels(each) for each in TYPES.values()},
        "quiet_hours": {
            "enabled": Choice(False, flag),
            "from": Choice("22:00", clock),
            "to": Choice("07:00", clock),
        },
    },
)


def without_mails(type_name: str) -> dict[str, Any]:
    """Return the merge patch that ends the mails of one type.

    :raises InvalidUnsubscribeToken: there is no such type any more, or its mails are not for anybody to end
    """
    if type_name not in TYPES or TYPES[type_name].security:
        raise InvalidUnsubscribeToken("there are no mails of this kind that can be ended")
    return {"types": {type_name: {"email": False}}}


@dataclass(frozen=True)
class NotificationPreferences:
    """:param values: every value of the record, the defaults included"""

    values: Mapping[str, Any]

    @classmethod
    def of(cls, chosen: Mapping[str, Any]) -> Self:
        """:param chosen: what the person's record keeps; nothing for somebody who has none"""
        return cls(NOTIFICATION_PREFERENCES.values(chosen))

    def wants(self, type_name: str, channel: Channel) -> bool:
        """Tell whether a notification of this type goes out by this channel.

        Security notices go as they always do, whatever the record says.
        """
        return bool(self.values["types"][type_name][channel])

    def mail_due(self, now: datetime, time_zone: str | None) -> datetime:
        """Return when a mail may go out: now, or as soon as it is not quiet any more where the person lives.

        :param now: with a time zone
        :param time_zone: the name of the person's; UTC for None, and for one that nobody knows any more
        """
        hours = self.values["quiet_hours"]
        if not hours["enabled"]:
            return now
        return QuietHours(time.fromisoformat(hours["from"]), time.fromisoformat(hours["to"])).end(now, _zone(time_zone))


@dataclass(frozen=True)
class QuietHours:
    """A time of each day, as a clock on the wall shows it, over midnight if it ends before it begins.

    Where it begins when it ends, no time is quiet.
    """

    start: time
    stop: time

    def hold(self, moment: time) -> bool:
        """Tell whether it is quiet when the clock shows `moment`; not any more at the end itself."""
        if self.start <= self.stop:
            return self.start <= moment < self.stop
        return moment >= self.start or moment < self.stop

    def end(self, now: datetime, zone: tzinfo) -> datetime:
        """Return the first moment from `now` on at which it is not quiet in `zone`.

        The clock may be changed on the way there: then it is looked at anew when that happens, as it may have skipped
        the end, or show quiet hours again.
        """
        moment = now.astimezone(UTC)
        while self.hold((local := moment.astimezone(zone)).time()):
            stop = datetime.combine(local.date(), self.stop)
            following = moment + (stop - local.replace(tzinfo=None)) % DAY
            offset = local.utcoffset()
            moment = following if _offset(following, zone) == offset else _change(moment, following, zone)
        return now if moment == now else moment


def _offset(moment: datetime, zone: tzinfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Return the moment between the two at which the zone's clocks are changed; that is at a whole second."""
    offset = _offset(before, zone)
    first, last = int(before.timestamp()), int(after.timestamp())
    while last - first > 1:
        middle = (first + last) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), zone) == offset:
            first = middle
        else:
            last = middle
    return datetime.fromtimestamp(last, UTC)


def _zone(name: str | None) -> tzinfo:
    try:
        return UTC if name is None else ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        # A zone that was renamed since it was chosen; some names are folders of the database.
        return UTC
