"""One contract for the fake and the real unit of work."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from auth_svc.domain.account import Account, AccountNotFound, RequestKeyTaken
from auth_svc.domain.email import Email, EmailTaken
from auth_svc.domain.session import Session
from auth_svc.domain.signing_key import SigningKey, SigningKeyExists
from auth_svc.infrastructure import secret_key
from auth_svc.infrastructure.audit import AuditWriter, origin_of_call
from auth_svc.infrastructure.sql import AuthUnitOfWork
from auth_svc.infrastructure.subject_keys import SubjectKeys
from auth_svc.infrastructure.tables import map_domain
from lib.errors import Overtaken
from lib.ids import new_id
from tests.fakes.auth import POLICY, START, FakeStore, FakeUnitOfWork


@pytest.fixture(params=["fake", "sql"])
def unit_of_work(request):
    if request.param == "fake":
        store = FakeStore()
        return lambda: FakeUnitOfWork(store)
    sessions = request.getfixturevalue("auth_sessions")
    map_domain()
    return lambda: sql_unit_of_work(sessions)


def sql_unit_of_work(sessions):
    keys = SubjectKeys(secret_key.seal_with("a secret key", secret_key.SUBJECT_KEYS))
    return AuthUnitOfWork(sessions, AuditWriter(keys, origin_of_call))


def ann(**changes):
    values = {"id": new_id(), "email": Email("Ann@Example.com"), "name": "Ann", "password_hash": "hash", "now": START}
    return Account.register(**{**values, **changes})


def invited(email, request_key):
    return Account.invite(id=new_id(), email=Email(email), name="Bob", request_key=request_key, now=START)


def session_of(account, **changes):
    session = Session.open(
        id=new_id(), account_id=account.id, token_hash=b"\x00\xff", amr=("pwd",), now=START, lifetime=POLICY.lifetime
    )
    for name, value in changes.items():
        setattr(session, name, value)
    return session


def key(kid, state="active"):
    return SigningKey(
        kid=kid,
        algorithm="ES256",
        public_jwk={"kty": "EC", "x": "1"},
        sealed_private=b"\x00sealed",
        state=state,
        created_at=START,
    )


def save(unit_of_work, *aggregates):
    with unit_of_work() as uow:
        shelves = {Account: uow.accounts, Session: uow.sessions, SigningKey: uow.signing_keys}
        for each in aggregates:
            shelves[type(each)].add(each)
        uow.commit()


def fields(aggregate):
    return {name: getattr(aggregate, name) for name in aggregate.__dataclass_fields__}


def test_an_account_comes_back_as_it_was(unit_of_work):
    account = ann()
    account.roles = ("admin", "finance")
    save(unit_of_work, account)
    with unit_of_work() as uow:
        for found in (uow.accounts.get(account.id), uow.accounts.find(account.id)):
            assert fields(found) == fields(account)
            assert found.email.typed == "Ann@Example.com"


@pytest.mark.parametrize("email", ["Ann@Example.com", "ann@example.com", "ANN@EXAMPLE.COM"])
def test_an_account_is_found_by_its_address_whatever_the_case(unit_of_work, email):
    account = ann()
    save(unit_of_work, account)
    with unit_of_work() as uow:
        assert uow.accounts.find_by_email(Email(email)).id == account.id
        assert uow.accounts.find_by_email(Email("bob@example.com")) is None


def test_the_id_alone_is_found_by_the_address(unit_of_work):
    account = ann()
    save(unit_of_work, account)
    with unit_of_work() as uow:
        assert uow.accounts.find_id_by_email(Email("ANN@example.com")) == account.id
        assert uow.accounts.find_id_by_email(Email("bob@example.com")) is None


def as_read(unit_of_work, account):
    with unit_of_work() as uow:
        return uow.accounts.find(account.id)


def log_in(unit_of_work, account):
    """Save something new about an account that was read before."""
    with unit_of_work() as uow:
        uow.accounts.update(account)
        account.log_in(session_id=new_id(), method="pwd", password_set_at=account.password_set_at)
        uow.audit.add("login.succeeded", account_id=account.id)
        uow.commit()


def test_an_account_that_was_read_without_a_lock_is_saved_if_it_has_not_changed(unit_of_work):
    account = ann()
    save(unit_of_work, account)
    log_in(unit_of_work, as_read(unit_of_work, account))
    log_in(unit_of_work, as_read(unit_of_work, account))
    assert as_read(unit_of_work, account).sequence == account.sequence + 2


@pytest.mark.parametrize("change", [lambda account: account.disable("fraud", START), lambda account: account.delete()])
def test_an_account_that_has_changed_since_it_was_read_is_left_alone(unit_of_work, change):
    account = ann()
    save(unit_of_work, account)
    known = as_read(unit_of_work, account)
    with unit_of_work() as uow:
        locked = uow.accounts.get(account.id)
        change(locked)
        if locked.is_active:
            uow.accounts.remove(locked)
        uow.commit()
    with pytest.raises(Overtaken):
        log_in(unit_of_work, known)
    found = as_read(unit_of_work, account)
    assert found is None or not found.is_active


def test_an_account_is_found_by_the_key_of_the_request_that_made_it(unit_of_work):
    account = invited("bob@example.com", "key-1")
    save(unit_of_work, account)
    with unit_of_work() as uow:
        found = uow.accounts.find_by_request_key("key-1")
        assert fields(found) == fields(account)
        assert uow.accounts.find_by_request_key("key-2") is None


def test_an_unknown_account_is_not_found(unit_of_work):
    with unit_of_work() as uow:
        assert uow.accounts.find(new_id()) is None
        with pytest.raises(AccountNotFound):
            uow.accounts.get(new_id())


def test_an_address_belongs_to_one_account_in_every_spelling(unit_of_work):
    save(unit_of_work, ann())
    with pytest.raises(EmailTaken):
        save(unit_of_work, ann(email=Email("ANN@example.COM")))


def test_an_account_is_added_if_its_address_is_free(unit_of_work):
    with unit_of_work() as uow:
        uow.accounts.add_if_free(ann())
        uow.commit()
    late = ann(email=Email("ANN@example.COM"))
    with unit_of_work() as uow:
        uow.accounts.add_if_free(late)
        uow.sessions.add(session_of(late))
        with pytest.raises(EmailTaken):
            uow.commit()
    with unit_of_work() as uow:
        assert uow.accounts.find(late.id) is None
        assert uow.accounts.find_by_email(Email("ann@example.com")) is not None


def test_a_changed_address_is_found_and_taken(unit_of_work):
    account = ann()
    save(unit_of_work, account)
    with unit_of_work() as uow:
        uow.accounts.get(account.id).email = Email("Ann.New@example.com")
        uow.commit()
    with unit_of_work() as uow:
        assert uow.accounts.find_by_email(Email("ann.new@example.com")).id == account.id
        assert uow.accounts.find_by_email(Email("ann@example.com")) is None
    with pytest.raises(EmailTaken):
        save(unit_of_work, ann(email=Email("ann.NEW@example.com")))


def test_a_request_key_belongs_to_one_account(unit_of_work):
    save(unit_of_work, invited("bob@example.com", "key-1"))
    with pytest.raises(RequestKeyTaken):
        save(unit_of_work, invited("eve@example.com", "key-1"))
    save(unit_of_work, ann(), ann(email=Email("no.key.either@example.com")))


def test_without_commit_nothing_happened(unit_of_work):
    account = ann()
    with unit_of_work() as uow:
        uow.accounts.add(account)
        uow.sessions.add(session_of(account))
    save(unit_of_work, other := ann(email=Email("other@example.com")))
    with unit_of_work() as uow:
        uow.accounts.get(other.id).name = "Changed"
    with unit_of_work() as uow:
        assert uow.accounts.find(account.id) is None
        assert uow.accounts.find(other.id).name == "Ann"


def test_a_change_is_kept(unit_of_work):
    account = ann()
    save(unit_of_work, account)
    with unit_of_work() as uow:
        found = uow.accounts.get(account.id)
        found.upgrade_hash("hash", "better hash")
        found.roles = ("admin",)
        uow.commit()
    with unit_of_work() as uow:
        found = uow.accounts.find(account.id)
        assert (found.password_hash, found.roles) == ("better hash", ("admin",))


def test_an_account_and_its_first_session_are_saved_together_in_any_order(unit_of_work):
    for email in ("one@example.com", "two@example.com"):
        account = ann(email=Email(email))
        session = session_of(account)
        with unit_of_work() as uow:
            uow.sessions.add(session)
            uow.accounts.add(account)
            uow.commit()
        with unit_of_work() as uow:
            assert fields(uow.sessions.find(session.id)) == fields(session)


def test_a_rotated_session_comes_back_as_it_was(unit_of_work):
    account = ann()
    session = session_of(account, previous_hash=b"\x01", rotated_at=START, generation=3)
    save(unit_of_work, account, session)
    with unit_of_work() as uow:
        found = uow.sessions.find(session.id)
        assert fields(found) == fields(session)
        found.revoke("logout", START + timedelta(seconds=1))
        uow.commit()
    with unit_of_work() as uow:
        found = uow.sessions.find(session.id)
        assert (found.revoked_at, found.revoked_reason) == (START + timedelta(seconds=1), "logout")
        assert found.sequence == 1


def test_an_unknown_session_is_not_found(unit_of_work):
    with unit_of_work() as uow:
        assert uow.sessions.find(new_id()) is None


def test_live_sessions_are_those_of_the_account_that_have_not_ended(unit_of_work):
    account, other = ann(), ann(email=Email("other@example.com"))
    first, second = session_of(account), session_of(account)
    gone = session_of(account, revoked_at=START, revoked_reason="logout")
    expired = session_of(account, expires_at=START + timedelta(hours=1))
    save(unit_of_work, account, other, second, first, gone, expired, session_of(other))
    with unit_of_work() as uow:
        live = uow.sessions.live_of(account.id, START + timedelta(hours=1))
        assert [each.id for each in live] == [first.id, second.id]


def test_there_is_one_active_signing_key(unit_of_work):
    save(unit_of_work, key("first"), key("old", "retiring"), key("upcoming", "next"))
    with pytest.raises(SigningKeyExists):
        save(unit_of_work, key("second"))
    with unit_of_work() as uow:
        found = uow.signing_keys.published()
        assert [each.kid for each in found] == ["first", "old", "upcoming"]
        assert (found[0].public_jwk, bytes(found[0].sealed_private)) == ({"kty": "EC", "x": "1"}, b"\x00sealed")


# What only the database does.


def outbox(sessions):
    with sessions() as session:
        return session.execute(sa.text("select envelope from outbox order by position")).scalars().all()


def test_events_are_written_with_the_state_and_in_order(auth_sessions):
    map_domain()
    account = ann()
    session = session_of(account)
    save(lambda: sql_unit_of_work(auth_sessions), account, session)
    with sql_unit_of_work(auth_sessions) as uow:
        uow.accounts.get(account.id).log_in(session_id=session.id, method="pwd", password_set_at=START)
        uow.sessions.find(session.id).revoke("logout", START)
        uow.commit()
    written = [(each["type"], each["subject"], each["sequence"]) for each in outbox(auth_sessions)]
    assert written[0] == ("user.registered", str(account.id), 1)
    assert sorted(written[1:]) == [
        ("session.revoked", str(session.id), 1),
        ("user.logged_in", str(account.id), 2),
    ]


def test_what_is_rolled_back_sends_nothing(auth_sessions):
    map_domain()
    save(lambda: sql_unit_of_work(auth_sessions), ann())
    with pytest.raises(EmailTaken):
        save(lambda: sql_unit_of_work(auth_sessions), ann())
    assert len(outbox(auth_sessions)) == 1


def test_a_session_needs_its_account(auth_sessions):
    map_domain()
    with pytest.raises(sa.exc.IntegrityError, match="sessions_account_id_fkey"):
        save(lambda: sql_unit_of_work(auth_sessions), session_of(ann()))


def test_an_account_with_an_unknown_status_is_refused_by_the_database(auth_sessions):
    map_domain()
    account = ann()
    account.status = "made_up"
    with pytest.raises(sa.exc.IntegrityError, match="accounts_status_check"):
        save(lambda: sql_unit_of_work(auth_sessions), account)


@pytest.mark.parametrize("begun", [False, True])
def test_an_address_that_is_taken_breaks_no_constraint(auth_sessions, begun):
    """PostgreSQL writes the values of what breaks one to its log."""
    map_domain()
    save(lambda: sql_unit_of_work(auth_sessions), ann())
    late = ann()
    with sql_unit_of_work(auth_sessions) as uow:
        if begun:
            uow.session.connection()
        uow.accounts.add_if_free(late)
        with pytest.raises(EmailTaken) as refusal:
            uow.commit()
    assert isinstance(refusal.value.__cause__, Overtaken)
    assert len(outbox(auth_sessions)) == 1
