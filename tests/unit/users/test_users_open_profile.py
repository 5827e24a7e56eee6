"""What happens in users_svc when an account was made."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from lib.ids import new_id
from tests.fakes.users import FakeUnitOfWork, FakeWorld
from users_svc.application.follow_account import follow_account
from users_svc.application.get_statistics import get_statistics
from users_svc.application.note_arrival import note_arrival
from users_svc.application.open_profile import open_profile
from users_svc.domain.statistics import DayStatistics, InvalidDay, day_of

DAY = date(2026, 1, 31)


@pytest.fixture
def world():
    return FakeWorld()


def registered(**changes):
    return {
        "event_id": str(new_id()),
        "user_id": str(new_id()),
        "email": "ann@example.com",
        "name": "Ann",
        "sequence": 1,
    } | changes


@pytest.mark.parametrize("invited", [False, True])
def test_a_registration_opens_the_profile_under_the_accounts_id(world, invited):
    news = registered(invited=invited)
    open_profile(world.ports(), **news)
    (profile,) = world.profiles.values()
    assert (str(profile.id), profile.email, profile.display_name) == (news["user_id"], "ann@example.com", "Ann")
    assert world.accounts[profile.id].email_sequence == 1


@pytest.mark.parametrize("invited", [False, True])
def test_the_same_event_again_changes_nothing(world, invited):
    news = registered(invited=invited)
    open_profile(world.ports(), **news)
    open_profile(world.ports(), **news | {"email": "other@example.com", "sequence": 9})
    assert [each.email for each in world.profiles.values()] == ["ann@example.com"]


def test_a_delivery_that_is_overtaken_by_another_one_of_the_same_event_changes_nothing(world):
    news = registered()
    follow_account(world.ports(), event_id=str(new_id()), user_id=news["user_id"], sequence=2, disabled=True)
    after_the_other = []

    def units():
        yield FakeUnitOfWork(world.database)
        # It has found out that the account is not new; now the other one comes to its end first.
        open_profile(world.ports(), **news)
        after_the_other.append(world.database.committed)
        yield FakeUnitOfWork(world.database)

    mine = units()
    open_profile(world.ports(unit_of_work=lambda: next(mine)), **news)
    assert after_the_other == [world.database.committed]
    assert [each.disabled for each in world.profiles.values()] == [True]


def test_an_older_event_that_comes_late_is_dropped(world):
    user_id = str(new_id())
    open_profile(world.ports(), **registered(user_id=user_id, email="new@example.com", sequence=2))
    open_profile(world.ports(), **registered(user_id=user_id, email="old@example.com", sequence=1))
    assert world.profiles[UUID(user_id)].email == "new@example.com"
    assert world.accounts[UUID(user_id)].email_sequence == 2


def test_an_event_never_takes_back_a_name_that_the_owner_chose(world):
    user_id = str(new_id())
    open_profile(world.ports(), **registered(user_id=user_id))
    world.profiles[UUID(user_id)].display_name = "Annie"
    open_profile(world.ports(), **registered(user_id=user_id, sequence=2))
    assert world.profiles[UUID(user_id)].display_name == "Annie"


def test_an_event_that_fails_on_the_way_is_taken_up_again(world):
    news = registered()

    class Dying(FakeUnitOfWork):
        def commit(self):
            raise ConnectionError("the database went away")

    with pytest.raises(ConnectionError):
        open_profile(world.ports(unit_of_work=lambda: Dying(world.database)), **news)
    assert world.profiles == {}
    open_profile(world.ports(), **news)
    assert len(world.profiles) == 1


def test_an_event_about_no_account_opens_nothing(world):
    with pytest.raises(ValueError, match="UUID"):
        open_profile(world.ports(), **registered(user_id="nobody"))
    assert world.profiles == {}


def test_each_handler_of_one_event_runs_once(world):
    news = registered()
    for _ in range(3):
        note_arrival(world.ports(), event_id=news["event_id"], occurred_at="2026-01-31T23:59:59.999999Z")
        open_profile(world.ports(), **news)
    assert len(world.profiles) == 1
    assert world.registrations == {DAY: 1}


def test_arrivals_count_on_the_day_of_the_event_in_utc(world):
    for moment in ("2026-01-31T00:00:00Z", "2026-02-01T00:30:00+01:00", "2026-02-01T00:00:00Z"):
        note_arrival(world.ports(), event_id=str(new_id()), occurred_at=moment)
    assert get_statistics(world.ports(), day="2026-01-31") == DayStatistics(DAY, registrations=2)
    assert get_statistics(world.ports(), day="2026-02-01").registrations == 1


def test_a_quiet_day_has_zero(world):
    assert get_statistics(world.ports(), day="2026-01-30") == DayStatistics(date(2026, 1, 30), registrations=0)


def test_a_moment_without_a_zone_is_no_moment():
    assert day_of(datetime(2026, 1, 31, 12, tzinfo=UTC)) == DAY
    with pytest.raises(ValueError, match="zone"):
        day_of(datetime(2026, 1, 31, 12))


@pytest.mark.parametrize(
    "day", ["", "today", "20260131", "2026-W05-6", "2026-02-30", "2026-01-31T00:00:00", None, 20260131]
)
def test_what_is_no_day_is_refused(world, day):
    with pytest.raises(InvalidDay) as refused:
        get_statistics(world.ports(), day=day)
    assert (refused.value.kind, refused.value.code) == ("invalid", "invalid_day")
