"""One contract for the fake and the real look at what a mail depends on, and for what guards it afterwards."""

from dataclasses import replace
from datetime import timedelta

import pytest

from auth_svc.bootstrap import build_ports
from auth_svc.domain.account import Account
from auth_svc.domain.email import Email
from auth_svc.domain.one_time_token import OneTimeToken
from lib.errors import Overtaken
from lib.ids import new_id
from tests.fakes.auth import START, FakeStore, FakeUnitOfWork
from tests.integration.auth.conftest import DEFAULTS

WINDOW = timedelta(hours=1)
EVENT = str(new_id())


@pytest.fixture(params=["fake", "sql"])
def unit_of_work(request):
    if request.param == "fake":
        store = FakeStore()
        return lambda: FakeUnitOfWork(store)
    return build_ports(DEFAULTS, request.getfixturevalue("auth_sessions")).unit_of_work


@pytest.fixture
def ann(unit_of_work):
    account = Account.register(id=new_id(), email=Email("Ann@example.com"), name="Ann", password_hash="hash", now=START)
    account.roles = ("support",)
    commit(unit_of_work, lambda uow: uow.accounts.add(account))
    return account.id


def commit(unit_of_work, act):
    with unit_of_work() as uow:
        result = act(uow)
        uow.commit()
    return result


def look(
    unit_of_work, account_id, *, kind="verification", slot="verification", since=START - WINDOW, seen_by="handler"
):
    with unit_of_work() as uow:
        return uow.accounts.find_for_mail(account_id, kind=kind, slot=slot, since=since, unless_seen=(seen_by, EVENT))


def token(account_id, slot="verification", **changes):
    values = {
        "account_id": account_id,
        "slot": slot,
        "purpose": slot,
        "target": "ann@example.com",
        "minted_by": new_id(),
        "token_hash": new_id().bytes,
        "created_at": START,
        "expires_at": START + WINDOW,
    }
    return OneTimeToken(**{**values, **changes})


def test_an_account_without_mails_is_found_as_it_is(unit_of_work, ann):
    basis = look(unit_of_work, ann)
    account = basis.account
    assert (account.id, account.email.typed, account.email.key, account.name) == (
        ann,
        "Ann@example.com",
        "ann@example.com",
        "Ann",
    )
    assert (account.status, account.roles, account.created_at, account.sequence) == ("active", ("support",), START, 1)
    assert (basis.token, basis.mails) == (None, 0)
    assert look(unit_of_work, new_id()) is None


def test_the_token_in_the_slot_comes_along_and_no_other(unit_of_work, ann):
    kept = token(ann, code_hash=b"code", reference=new_id(), tries=2, used_at=START)
    expected = dict(vars(replace(kept)))
    commit(unit_of_work, lambda uow: (uow.one_time_tokens.put(kept), uow.one_time_tokens.put(token(ann, "claim"))))
    found = look(unit_of_work, ann).token
    for name in OneTimeToken.__dataclass_fields__:
        assert getattr(found, name) == expected[name], name
    assert look(unit_of_work, ann, slot="password_reset").token is None
    assert look(unit_of_work, ann, slot=None).token is None


def test_the_mails_of_the_kind_are_counted_since_their_window_began(unit_of_work, ann):
    for kind in ("verification", "verification", "claim"):
        commit(unit_of_work, lambda uow, kind=kind: uow.mail_counts.count(ann, kind, START, WINDOW))
    assert look(unit_of_work, ann).mails == 2
    assert look(unit_of_work, ann, kind="claim").mails == 1
    assert look(unit_of_work, ann, kind="new_device").mails == 0
    assert look(unit_of_work, ann, since=START - timedelta(microseconds=1)).mails == 2
    assert look(unit_of_work, ann, since=START).mails == 0


def test_nothing_is_found_for_what_was_dealt_with(unit_of_work, ann):
    commit(unit_of_work, lambda uow: uow.note("handler", EVENT))
    assert look(unit_of_work, ann) is None
    assert look(unit_of_work, ann, seen_by="another") is not None


def test_what_was_read_is_not_saved(unit_of_work, ann):
    with unit_of_work() as uow:
        basis = uow.accounts.find_for_mail(
            ann, kind="verification", slot=None, since=START, unless_seen=("handler", EVENT)
        )
        basis.account.name = "Changed"
        uow.accounts.hold(basis.account)
        uow.commit()
    assert look(unit_of_work, ann).account.name == "Ann"


def hold(unit_of_work, account, before=lambda: None):
    """Commit with the account held, and something else to save; `before` happens before."""
    with unit_of_work() as uow:
        uow.accounts.hold(account)
        uow.login_attempts.note_unknown(b"key", START)
        before()
        uow.commit()


def test_an_account_that_is_as_it_was_read_is_held(unit_of_work, ann):
    account = look(unit_of_work, ann).account
    hold(unit_of_work, account)
    hold(unit_of_work, account)
    assert look(unit_of_work, ann).account.sequence == 1


@pytest.mark.parametrize("change", ["changed", "gone"])
def test_an_account_that_has_changed_or_gone_is_not_held(unit_of_work, ann, change):
    account = look(unit_of_work, ann).account

    def act(uow):
        other = uow.accounts.get(ann)
        if change == "gone":
            uow.accounts.remove(other)
        else:
            other.verify_email()

    with pytest.raises(Overtaken):
        hold(unit_of_work, account, before=lambda: commit(unit_of_work, act))


@pytest.mark.parametrize("others", [[], ["verification"], ["claim"]])
def test_a_token_takes_the_place_that_was_free_if_it_is_free(unit_of_work, ann, others):
    for slot in others:
        commit(unit_of_work, lambda uow, slot=slot: uow.one_time_tokens.put(token(ann, slot)))
    mine = token(ann)
    hashed = mine.token_hash
    with unit_of_work() as uow:
        uow.one_time_tokens.replace(None, mine)
        if "verification" in others:
            with pytest.raises(Overtaken):
                uow.commit()
            return
        uow.commit()
    assert look(unit_of_work, ann).token.token_hash == hashed


@pytest.mark.parametrize("by_now", ["as it was", "used", "replaced", "gone"])
def test_a_token_takes_the_place_of_the_one_that_was_read(unit_of_work, ann, by_now):
    commit(unit_of_work, lambda uow: uow.one_time_tokens.put(token(ann, tries=3, code_hash=b"code")))
    standing = look(unit_of_work, ann).token
    mine = token(ann)
    expected = {name: getattr(mine, name) for name in OneTimeToken.__dataclass_fields__}

    def act(uow):
        if by_now == "used":
            uow.one_time_tokens.use_up(ann, START)
        elif by_now == "replaced":
            uow.one_time_tokens.put(token(ann))
        elif by_now == "gone":
            uow.accounts.remove(uow.accounts.get(ann))

    with unit_of_work() as uow:
        uow.one_time_tokens.replace(standing, mine)
        if by_now != "gone" or not isinstance(uow, FakeUnitOfWork):
            commit(unit_of_work, act)
        else:
            # The fake's accounts do not take their tokens along.
            uow._store.one_time_tokens.clear()
        if by_now in ("replaced", "gone"):
            with pytest.raises(Overtaken):
                uow.commit()
            return
        uow.commit()
    found = look(unit_of_work, ann).token
    assert {name: getattr(found, name) for name in OneTimeToken.__dataclass_fields__} == expected
