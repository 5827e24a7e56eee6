"""What the ports to users_svc's database promise, asked of the fakes and of those on PostgreSQL."""

from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest

from lib.ids import new_id
from tests.fakes.users import FakeDatabase, FakeProfileReader, FakeUnitOfWork
from users_svc.domain.account_state import AccountNews, AccountState
from users_svc.domain.handle import HandleTaken
from users_svc.domain.profile import Profile
from users_svc.infrastructure.sql import SqlProfileReader, UsersUnitOfWork
from users_svc.infrastructure.tables import map_domain

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
DAY = NOON.date()


@pytest.fixture(params=["fake", "sql"])
def database(request):
    """Return a factory of units of work on one empty database, and its reader."""
    if request.param == "fake":
        database = FakeDatabase()
        return partial(FakeUnitOfWork, database), FakeProfileReader(database)
    map_domain()
    sessions = request.getfixturevalue("users_sessions")
    return partial(UsersUnitOfWork, sessions), SqlProfileReader(sessions)


@pytest.fixture
def unit_of_work(database):
    return database[0]


@pytest.fixture
def stored(database):
    """``stored(user_id)``: the fields of the profile as they were committed, or None."""
    return database[1].find


def ann(**changes):
    profile = Profile.open(new_id(), email="ann@example.com", name="Ann", now=NOON)
    for name, value in changes.items():
        setattr(profile, name, value)
    return profile


def add(unit_of_work, profile):
    with unit_of_work() as uow:
        uow.profiles.add_or_get(profile)
        uow.commit()


def test_a_profile_comes_back_as_it_was_stored(unit_of_work, stored):
    profile = ann(
        handle="ann",
        bio="Hares 🐇 and 'quotes'",
        avatar_url="https://example.com/ann.png",
        location="Bern",
        website="https://example.com",
        birth_date=date(1990, 2, 28),
        locale="de-CH",
        time_zone="Europe/Zurich",
        discoverable=False,
        disabled=True,
        sequence=3,
    )
    expected = profile.fields()
    add(unit_of_work, profile)
    assert stored(profile.id) == expected


def test_a_bare_profile_comes_back_as_it_was_stored(unit_of_work, stored):
    profile = ann()
    expected = profile.fields()
    add(unit_of_work, profile)
    assert stored(profile.id) == expected


def test_nobody_is_found_under_a_strange_id(unit_of_work, stored):
    add(unit_of_work, ann())
    assert stored(new_id()) is None


def test_an_id_that_has_a_profile_keeps_it(unit_of_work, stored):
    first = ann()
    add(unit_of_work, first)
    second = Profile.open(first.id, email="other@example.com", name="Other", now=NOON)
    with unit_of_work() as uow:
        assert uow.profiles.add_or_get(second).email == "ann@example.com"
        uow.commit()
    assert stored(first.id)["display_name"] == "Ann"


@pytest.mark.parametrize("there_already", [True, False])
def test_what_is_done_to_the_stored_profile_is_kept(unit_of_work, stored, there_already):
    profile = ann()
    if there_already:
        add(unit_of_work, profile)
    with unit_of_work() as uow:
        account = AccountState(profile.id, email="new@example.com", name="Ann", disabled=True)
        uow.profiles.add_or_get(ann(id=profile.id)).follow(account, called="Ann", now=NOON)
        uow.commit()
    found = stored(profile.id)
    assert (found["email"], found["disabled"]) == ("new@example.com", True)


def test_a_profile_is_removed(unit_of_work, stored):
    profile, other = ann(), ann()
    add(unit_of_work, profile)
    add(unit_of_work, other)
    for _ in range(2):
        with unit_of_work() as uow:
            uow.profiles.remove(profile.id)
            uow.commit()
    assert stored(profile.id) is None
    assert stored(other.id) is not None


def test_a_profile_is_had_to_change_it_and_its_changes_are_counted(unit_of_work, stored):
    profile = ann()
    add(unit_of_work, profile)
    for version in (2, 3):
        with unit_of_work() as uow:
            uow.profiles.get(profile.id).bio = f"version {version}"
            uow.commit()
        assert (stored(profile.id)["version"], stored(profile.id)["bio"]) == (version, f"version {version}")
    with unit_of_work() as uow:
        assert uow.profiles.get(profile.id).version == 3
        assert uow.profiles.get(new_id()) is None
        uow.commit()
    assert stored(profile.id)["version"] == 3


# --- handles ---

HOUR = timedelta(hours=1)


def held(unit_of_work, key, *, retired_after=NOON):
    with unit_of_work() as uow:
        return uow.handles.holder(key, retired_after=retired_after)


def move(unit_of_work, user_id, **facts):
    with unit_of_work() as uow:
        uow.handles.move(user_id, **{"given_up": None, "taken": None, "now": NOON, **facts})
        uow.commit()


def test_a_handle_is_held_by_who_has_it(unit_of_work):
    profile = ann(handle="Hare", handle_key="hare")
    add(unit_of_work, profile)
    add(unit_of_work, ann())
    assert held(unit_of_work, "hare") == profile.id
    assert held(unit_of_work, "Hare") is None


def test_a_handle_that_was_given_up_is_held_for_a_while(unit_of_work):
    user_id, other = new_id(), new_id()
    move(unit_of_work, user_id, given_up="hare")
    assert held(unit_of_work, "hare", retired_after=NOON - HOUR) == user_id
    assert held(unit_of_work, "hare", retired_after=NOON) is None
    move(unit_of_work, other, given_up="hare", now=NOON + HOUR)
    assert held(unit_of_work, "hare", retired_after=NOON) == other


def test_who_has_a_handle_comes_before_who_gave_it_up(unit_of_work):
    profile = ann(handle="hare", handle_key="hare")
    move(unit_of_work, new_id(), given_up="hare")
    add(unit_of_work, profile)
    assert held(unit_of_work, "hare", retired_after=NOON - HOUR) == profile.id


def test_a_handle_in_use_again_is_not_given_up_any_more(unit_of_work):
    user_id = new_id()
    move(unit_of_work, user_id, given_up="hare")
    move(unit_of_work, user_id, given_up="rabbit", taken="hare")
    assert held(unit_of_work, "hare", retired_after=NOON - HOUR) is None
    assert held(unit_of_work, "rabbit", retired_after=NOON - HOUR) == user_id


def test_who_comes_second_for_a_handle_is_told_on_commit(unit_of_work, stored):
    first, second = ann(handle="hare", handle_key="hare"), ann()
    add(unit_of_work, first)
    add(unit_of_work, second)
    with unit_of_work() as uow:
        uow.profiles.get(second.id).handle_key = "hare"
        with pytest.raises(HandleTaken):
            uow.commit()
    assert stored(second.id)["handle_key"] is None


# --- what is known of accounts ---


def known(account):
    return {
        name: getattr(account, name)
        for name in ("id", "email", "name", "disabled", "email_sequence", "name_sequence", "status_sequence")
    }


def remember(unit_of_work, account):
    """Store the state, and return what is stored then."""
    with unit_of_work() as uow:
        found = uow.accounts.add_or_get(account)
        uow.commit()
    return None if found is None else known(found)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"email": "ann@example.com", "name": "Ann 🐇", "disabled": True},
        {"email": "ann@example.com", "email_sequence": 3, "name_sequence": 2, "status_sequence": 4},
    ],
)
def test_what_is_known_of_an_account_comes_back(unit_of_work, changes):
    account = AccountState(new_id(), **changes)
    expected = known(account)
    assert remember(unit_of_work, account) == expected
    assert remember(unit_of_work, AccountState(account.id)) == expected


@pytest.mark.parametrize("there_already", [True, False])
def test_what_is_heard_of_an_account_is_kept(unit_of_work, there_already):
    account_id = new_id()
    if there_already:
        remember(unit_of_work, AccountState(account_id))
    with unit_of_work() as uow:
        uow.accounts.add_or_get(AccountState(account_id)).hear(AccountNews(account_id, 4, email="new@example.com"))
        uow.commit()
    found = remember(unit_of_work, AccountState(account_id))
    assert (found["email"], found["email_sequence"]) == ("new@example.com", 4)


def bury(unit_of_work, account_id, *, commit=True):
    with unit_of_work() as uow:
        uow.accounts.bury(uow.accounts.add_or_get(AccountState(account_id)), NOON)
        if commit:
            uow.commit()


@pytest.mark.parametrize("there_already", [True, False])
def test_nothing_is_known_of_a_buried_account_any_more(unit_of_work, there_already):
    account_id, other = new_id(), new_id()
    if there_already:
        remember(unit_of_work, AccountState(account_id, email="ann@example.com"))
    bury(unit_of_work, account_id)
    for _ in range(2):
        assert remember(unit_of_work, AccountState(account_id, email="ann@example.com")) is None
    assert remember(unit_of_work, AccountState(other)) is not None


def test_a_burial_that_is_not_committed_has_not_happened(unit_of_work):
    account_id = new_id()
    bury(unit_of_work, account_id, commit=False)
    assert remember(unit_of_work, AccountState(account_id)) is not None


def test_what_is_not_committed_has_not_happened(unit_of_work, stored):
    profile = ann()
    event_id = str(new_id())
    with unit_of_work() as uow:
        uow.profiles.add_or_get(profile)
        uow.statistics.add_registration(DAY)
        assert uow.first_time("one", event_id)
    with unit_of_work() as uow:
        assert stored(profile.id) is None
        assert uow.statistics.of(DAY).registrations == 0
        assert uow.first_time("one", event_id)


def test_a_failure_undoes_everything(unit_of_work, stored):
    profile = ann()

    def fail():
        with unit_of_work() as uow:
            uow.profiles.add_or_get(profile)
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        fail()
    assert stored(profile.id) is None


def test_an_event_is_new_once_for_each_handler(unit_of_work):
    event_id, other = str(new_id()), str(new_id())
    with unit_of_work() as uow:
        assert uow.first_time("one", event_id)
        assert not uow.first_time("one", event_id)
        uow.commit()
    with unit_of_work() as uow:
        assert not uow.first_time("one", event_id)
        assert uow.first_time("two", event_id)
        assert uow.first_time("one", other)


def test_registrations_are_counted_by_day(unit_of_work):
    for _ in range(2):
        with unit_of_work() as uow:
            uow.statistics.add_registration(DAY)
            uow.commit()
    with unit_of_work() as uow:
        assert uow.statistics.of(DAY).registrations == 2
        assert uow.statistics.of(date(2026, 2, 1)).registrations == 0
