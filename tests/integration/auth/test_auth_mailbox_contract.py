"""One contract for the fake and the real collections of tokens, changes, counts and clients."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from auth_svc.bootstrap import build_ports
from auth_svc.domain.account import Account
from auth_svc.domain.device import Device
from auth_svc.domain.email import Email
from auth_svc.domain.email_change import EmailChange
from auth_svc.domain.oauth_client import OAuthClient
from auth_svc.domain.one_time_token import OneTimeToken
from lib.errors import SeenBefore
from lib.ids import new_id
from tests.fakes.auth import START, FakeStore, FakeUnitOfWork
from tests.integration.auth.conftest import DEFAULTS

WINDOW = timedelta(minutes=15)
LATER = START + timedelta(minutes=5)


@pytest.fixture(params=["fake", "sql"])
def unit_of_work(request):
    if request.param == "fake":
        store = FakeStore()
        return lambda: FakeUnitOfWork(store)
    return build_ports(DEFAULTS, request.getfixturevalue("auth_sessions")).unit_of_work


@pytest.fixture
def ann(unit_of_work):
    account = Account.register(id=new_id(), email=Email("ann@example.com"), name="Ann", password_hash="hash", now=START)
    with unit_of_work() as uow:
        uow.accounts.add(account)
        uow.commit()
    return account.id


def token(account_id, slot="verification", **changes):
    values = {
        "account_id": account_id,
        "slot": slot,
        "purpose": slot.partition(":")[0],
        "target": "ann@example.com",
        "minted_by": new_id(),
        "token_hash": new_id().bytes,
        "created_at": START,
        "expires_at": START + timedelta(hours=1),
    }
    return OneTimeToken(**{**values, **changes})


def put(unit_of_work, *tokens):
    with unit_of_work() as uow:
        for each in tokens:
            uow.one_time_tokens.put(each)
        uow.commit()


def test_a_token_is_found_by_its_hash_and_in_its_slot(unit_of_work, ann):
    kept = token(ann, code_hash=b"code", reference=new_id())
    put(unit_of_work, replace(kept))
    with unit_of_work() as uow:
        for found in (uow.one_time_tokens.find_by_hash(kept.token_hash), uow.one_time_tokens.find(ann, kept.slot)):
            assert (found.purpose, found.target, found.minted_by) == (kept.purpose, kept.target, kept.minted_by)
            assert (found.code_hash, found.reference, found.tries) == (b"code", kept.reference, 0)
            assert (found.created_at, found.expires_at, found.used_at) == (kept.created_at, kept.expires_at, None)
        assert uow.one_time_tokens.find_by_hash(b"other") is None
        assert uow.one_time_tokens.find(ann, "claim") is None
        assert uow.one_time_tokens.find(new_id(), kept.slot) is None


def test_a_newer_token_takes_the_place_in_its_slot_with_all_that_belongs_to_it(unit_of_work, ann):
    older, newer = token(ann, tries=4, used_at=LATER, code_hash=b"code"), token(ann)
    put(unit_of_work, older)
    put(unit_of_work, replace(newer))
    with unit_of_work() as uow:
        assert uow.one_time_tokens.find_by_hash(older.token_hash) is None
        found = uow.one_time_tokens.find(ann, newer.slot)
        assert (found.token_hash, found.tries, found.used_at, found.code_hash) == (newer.token_hash, 0, None, None)


def test_tokens_are_used_up_and_keep_their_place(unit_of_work, ann):
    reset, back = token(ann, "password_reset"), token(ann, "email_revert:1", purpose="email_revert")
    used = token(ann, "claim", used_at=START)
    put(unit_of_work, reset, back, used)
    with unit_of_work() as uow:
        uow.one_time_tokens.use_up(ann, LATER, except_for=("email_revert",))
        uow.commit()
    with unit_of_work() as uow:
        moments = [
            uow.one_time_tokens.find(ann, each).used_at for each in ("password_reset", "email_revert:1", "claim")
        ]
    assert moments == [LATER, None, START]


def test_open_changes_are_listed_in_their_order(unit_of_work, ann):
    old, new = Email("ann@example.com"), Email("anna@example.org")
    first, second, ended = (
        EmailChange(
            id=new_id(), account_id=ann, old_email=old, new_email=new, requested_at=START + timedelta(hours=hour)
        )
        for hour in (2, 1, 0)
    )
    first.confirmed_at, ended.ended_at = LATER, LATER
    ids = [second.id, first.id]
    with unit_of_work() as uow:
        for each in (first, second, ended):
            uow.email_changes.add(each)
        uow.commit()
    with unit_of_work() as uow:
        assert [each.id for each in uow.email_changes.open_of(ann)] == ids
        assert uow.email_changes.open_of(new_id()) == []
        assert uow.email_changes.find(ids[0]).new_email.typed == "anna@example.org"
        assert uow.email_changes.find(new_id()) is None


def counted(unit_of_work, act):
    with unit_of_work() as uow:
        result = act(uow)
        uow.commit()
    return result


def test_attempts_are_counted_in_a_window_that_begins_with_the_first(unit_of_work):
    def attempt(moment, key=b"key"):
        return counted(unit_of_work, lambda uow: uow.login_attempts.count(key, moment, WINDOW))

    assert [attempt(START), attempt(LATER), attempt(LATER, b"other")] == [1, 2, 1]
    assert attempt(START + WINDOW - timedelta(microseconds=1)) == 3
    assert attempt(START + WINDOW) == 1
    counted(unit_of_work, lambda uow: uow.login_attempts.take_back(b"key"))
    assert attempt(START + WINDOW) == 1
    for _ in range(3):
        counted(unit_of_work, lambda uow: uow.login_attempts.take_back(b"key"))
    assert attempt(START + WINDOW) == 1
    counted(unit_of_work, lambda uow: uow.login_attempts.take_back(b"unknown"))
    counted(unit_of_work, lambda uow: uow.login_attempts.clear(b"key"))
    assert attempt(START + WINDOW) == 1


def test_an_attempt_stays_counted_whatever_comes_after_it(unit_of_work):
    with unit_of_work() as uow:
        assert uow.login_attempts.count(b"key", START, WINDOW) == 1
    with unit_of_work() as uow:
        assert uow.login_attempts.count(b"key", START, WINDOW) == 2


def begun(unit_of_work, email="ann@example.com", device=None, **changes):
    values = {"device_key": device and b"device", "known_device_only": False, "now": START, "window": WINDOW, **changes}
    address = Email(email) if email else None
    with unit_of_work() as uow:
        found = uow.login_attempts.begin(address, address_key=b"address", device=device, **values)
    return found.account and found.account.email.typed, found.attempts


def attempts(unit_of_work, key):
    """Return how many are counted under the key, and count one more."""
    return counted(unit_of_work, lambda uow: uow.login_attempts.count(key, START, WINDOW)) - 1


def test_a_login_begins_with_the_account_and_with_being_counted(unit_of_work, ann):
    assert begun(unit_of_work) == ("ann@example.com", 1)
    assert begun(unit_of_work, "ANN@example.com", now=LATER) == ("ann@example.com", 2)
    assert [begun(unit_of_work, each) for each in ("bob@example.com", None)] == [(None, 3), (None, 4)]
    assert begun(unit_of_work, now=START + WINDOW) == ("ann@example.com", 1)
    with unit_of_work() as uow:
        found = uow.login_attempts.begin(
            Email("ann@example.com"),
            address_key=b"address",
            device=None,
            device_key=None,
            known_device_only=False,
            now=START,
            window=WINDOW,
        ).account
        assert vars_of(found) == vars_of(uow.accounts.find(ann))


def vars_of(account):
    return {name: value for name, value in vars(account).items() if name != "_sa_instance_state"}


def test_an_attempt_with_a_known_device_counts_as_the_devices(unit_of_work, ann):
    # As precise as can be: what is compared is what was written.
    set_at = START + timedelta(microseconds=1)
    with unit_of_work() as uow:
        uow.accounts.get(ann).password_set_at = set_at
        uow.commit()
    known = Device(id=new_id(), account_id=ann, password_set_at=set_at)
    assert begun(unit_of_work, device=known) == ("ann@example.com", 1)
    assert begun(unit_of_work, device=known, known_device_only=True) == ("ann@example.com", 2)
    assert attempts(unit_of_work, b"address") == 0
    assert attempts(unit_of_work, b"device") == 2


@pytest.mark.parametrize(
    ("email", "changes"),
    [
        ("ann@example.com", {"account_id": new_id()}),
        ("ann@example.com", {"password_set_at": START - timedelta(microseconds=1)}),
        ("ann@example.com", {"password_set_at": None}),
        ("bob@example.com", {}),
        (None, {}),
    ],
    ids=["of another account", "before the password", "without a password", "unknown address", "no address"],
)
def test_an_attempt_with_a_strange_device_counts_as_the_addresss(unit_of_work, ann, email, changes):
    strange = replace(Device(id=new_id(), account_id=ann, password_set_at=START), **changes)
    assert begun(unit_of_work, email, device=strange)[1] == 1
    # Only known devices: nobody's attempt is counted.
    assert begun(unit_of_work, email, device=strange, known_device_only=True)[1] is None
    assert begun(unit_of_work, email, known_device_only=True)[1] is None
    assert attempts(unit_of_work, b"device") == 0
    assert attempts(unit_of_work, b"address") == 1


def test_an_account_that_never_had_a_password_knows_a_device_from_that_time(unit_of_work, ann):
    with unit_of_work() as uow:
        uow.accounts.get(ann).password_set_at = None
        uow.commit()
    known = Device(id=new_id(), account_id=ann, password_set_at=None)
    assert begun(unit_of_work, device=known, known_device_only=True) == ("ann@example.com", 1)


def test_attempts_at_the_same_moment_all_have_their_own_number(auth_sessions):
    unit_of_work = build_ports(DEFAULTS, auth_sessions).unit_of_work
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: begun(unit_of_work)[1], range(40)))
    assert sorted(numbers) == list(range(1, 41))


@pytest.mark.parametrize("forget", ["take_back", "clear"])
def test_what_is_not_committed_takes_no_attempt_back(unit_of_work, forget):
    with unit_of_work() as uow:
        uow.login_attempts.count(b"key", START, WINDOW)
    with unit_of_work() as uow:
        getattr(uow.login_attempts, forget)(b"key")
    with unit_of_work() as uow:
        assert uow.login_attempts.count(b"key", START, WINDOW) == 2


def test_mails_are_counted_by_kind(unit_of_work, ann):
    def sent(kind="verification", moment=START):
        counted(unit_of_work, lambda uow: uow.mail_counts.count(ann, kind, moment, WINDOW))

    def so_far(kind="verification", moment=START):
        return counted(unit_of_work, lambda uow: uow.mail_counts.so_far(ann, kind, moment, WINDOW))

    assert so_far() == 0
    for kind in ("verification", "verification", "claim"):
        sent(kind)
    assert [so_far(), so_far("claim"), so_far(moment=START + WINDOW)] == [2, 1, 0]
    sent(moment=START + WINDOW)
    assert so_far(moment=START + WINDOW) == 1


def test_clients_are_found_and_listed_oldest_first(unit_of_work):
    newer, older = (
        OAuthClient(id=name, name=name, secret_hash=b"hash", created_at=moment)
        for name, moment in (("a", LATER), ("b", START))
    )
    with unit_of_work() as uow:
        uow.oauth_clients.add(newer)
        uow.oauth_clients.add(older)
        uow.commit()
    with unit_of_work() as uow:
        assert [each.id for each in uow.oauth_clients.all()] == ["b", "a"]
        assert uow.oauth_clients.find("a").secret_hash == b"hash"
        assert uow.oauth_clients.find("c") is None


def test_an_event_is_seen_once_it_was_noted_and_saved(unit_of_work):
    event_id = str(new_id())
    with unit_of_work() as uow:
        assert not uow.seen("handler", event_id)
        uow.note("handler", event_id)
    with unit_of_work() as uow:
        assert not uow.seen("handler", event_id)
        uow.note("handler", event_id)
        uow.commit()
    with unit_of_work() as uow:
        assert uow.seen("handler", event_id)
        assert not uow.seen("another", event_id)
        uow.login_attempts.note_unknown(b"key", START)
        uow.note("handler", event_id)
        with pytest.raises(SeenBefore):
            uow.commit()
