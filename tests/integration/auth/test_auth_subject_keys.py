"""Keys of single people on PostgreSQL: made once, erased for good, sealed anew, and never in the way of a sign-in."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from auth_svc.application.list_security_events import list_security_events
from auth_svc.application.register_account import register_account
from auth_svc.application.sign_in import sign_in
from auth_svc.domain.account import InvalidCredentials
from auth_svc.infrastructure import secret_key
from auth_svc.infrastructure import subject_keys as subject_keys_module
from auth_svc.infrastructure.subject_keys import LEFT_OUT, SubjectKeys
from auth_svc.presentation.cli import commands
from lib import context
from lib.context import ANONYMOUS, CallContext
from lib.ids import new_id
from lib.uow import SqlUnitOfWork
from tests.integration.auth.conftest import DEFAULTS
from tests.support.waiting import eventually

ANN = {"email": "ann@example.com", "password": "SecurePass123!", "name": "Ann"}

VALUES = {"ip": "192.0.2.7", "reason": "ä"}


def keys_with(secret="old-secret-key"):
    return SubjectKeys(secret_key.seal_with(secret, secret_key.SUBJECT_KEYS))


@pytest.fixture
def keys():
    return keys_with()


@pytest.fixture
def ann():
    return new_id()


@pytest.fixture
def sealed(auth_sessions):
    """Read a sealed key as it stands in the table."""

    def read(subject):
        with auth_sessions() as session:
            found = session.scalar(
                sa.text("select sealed_key from subject_keys where subject_id = :subject"), {"subject": subject}
            )
        return None if found is None else bytes(found)

    return read


def encrypt(sessions, keys, subject, mark):
    with SqlUnitOfWork(sessions) as uow:
        cipher = keys.encrypt(uow, subject, mark, VALUES)
        uow.commit()
    return cipher


def test_what_is_encrypted_is_read_again_with_the_key_in_the_table(auth_sessions, keys, ann, sealed, count):
    first, second = new_id(), new_id()
    ciphers = [encrypt(auth_sessions, keys, ann, mark) for mark in (first, second)]
    assert [keys.decrypt(sealed(ann), mark, each) for mark, each in zip((first, second), ciphers, strict=True)] == [
        VALUES,
        VALUES,
    ]
    assert keys_with().decrypt(sealed(ann), first, ciphers[0]) == VALUES
    assert count("subject_keys") == 1


def test_each_person_has_another_key_and_each_text_another_cipher(auth_sessions, keys, ann, sealed):
    mark, bob = new_id(), new_id()
    ciphers = [encrypt(auth_sessions, keys, subject, mark) for subject in (ann, ann, bob)]
    assert len({*ciphers}) == 3
    assert keys.decrypt(sealed(bob), mark, ciphers[0]) == {}


@pytest.mark.parametrize("damage", [lambda cipher: cipher[:-1], lambda cipher: b"", lambda cipher: cipher[:12]])
def test_damaged_data_is_no_data(auth_sessions, keys, ann, sealed, damage):
    mark = new_id()
    cipher = encrypt(auth_sessions, keys, ann, mark)
    assert keys.decrypt(sealed(ann), mark, damage(cipher)) == {}
    assert keys.decrypt(sealed(ann), new_id(), cipher) == {}
    assert keys.decrypt(b"no key at all", mark, cipher) == {}
    assert keys.decrypt(None, mark, cipher) == {}
    assert keys.decrypt(sealed(ann), mark, None) == {}


def test_a_key_that_was_rolled_back_is_not_remembered(auth_sessions, keys, ann, sealed):
    with SqlUnitOfWork(auth_sessions) as uow:
        uow.session.execute(sa.text("select 1"))
        # The second use in one transaction finds the key of the first.
        for _ in range(2):
            keys.encrypt(uow, ann, new_id(), VALUES)
    assert sealed(ann) is None
    mark = new_id()
    cipher = encrypt(auth_sessions, keys, ann, mark)
    assert keys.decrypt(sealed(ann), mark, cipher) == VALUES


def test_whoever_makes_a_key_never_waits_in_a_circle_with_whoever_holds_the_account(instance, auth_sessions, sealed):
    """Everybody locks the account first; a sign-in makes the key before it writes to the account."""
    ann = register_account(instance(), **ANN).account
    assert sealed(ann.id) is None
    waiting = sa.text("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")

    def somebody_waits():
        with auth_sessions() as session:
            return session.scalar(waiting)

    with ThreadPoolExecutor(1) as pool:
        with instance().unit_of_work() as uow:
            uow.accounts.get(ann.id)
            entering = pool.submit(in_call, sign_in, instance(), email=ANN["email"], password=ANN["password"])
            eventually(somebody_waits, within=10)
            uow.audit.add("account.disabled", account_id=ann.id, personal={"reason": "x"})
            uow.commit()
        assert entering.result(10).account.id == ann.id


def in_call(action, *arguments, **named):
    with context.using(CallContext(correlation_id="request-1", actor=ANONYMOUS, client_ip="192.0.2.7")):
        return action(*arguments, **named)


def test_many_first_uses_at_once_agree_on_one_key(auth_sessions, at_once, ann, sealed, count):
    marks = [new_id() for _ in range(8)]
    instances = [keys_with() for _ in range(4)]
    ciphers = at_once(8, lambda index: encrypt(auth_sessions, instances[index % 4], ann, marks[index]))
    assert count("subject_keys") == 1
    read = keys_with()
    assert [read.decrypt(sealed(ann), mark, cipher) for mark, cipher in zip(marks, ciphers, strict=True)] == [
        VALUES
    ] * 8


def test_an_erased_key_takes_everything_with_it_and_a_new_one_brings_nothing_back(auth_sessions, keys, ann, sealed):
    mark, other = new_id(), new_id()
    old = encrypt(auth_sessions, keys, ann, mark)
    with auth_sessions() as session:
        keys.erase(session, ann)
        session.commit()
    assert sealed(ann) is None
    assert keys.decrypt(sealed(ann), mark, old) == {}
    new = encrypt(auth_sessions, keys, ann, other)
    assert keys.decrypt(sealed(ann), mark, old) == {}
    assert keys.decrypt(sealed(ann), other, new) == VALUES


def test_only_so_many_keys_are_remembered(auth_sessions, keys, monkeypatch, count):
    monkeypatch.setattr(subject_keys_module, "REMEMBERED", 3)
    people = [new_id() for _ in range(5)]
    for person in people * 2:
        encrypt(auth_sessions, keys, person, new_id())
    assert len(keys._known) == 3
    assert count("subject_keys") == 5


def test_a_key_of_the_server_is_withdrawn_after_everything_was_sealed_anew(auth_sessions, ann, sealed, monkeypatch):
    monkeypatch.setattr(subject_keys_module, "RESEALED", 2)
    old, both, new = keys_with(), keys_with("new-secret-key,old-secret-key"), keys_with("new-secret-key")
    people = [ann, *(new_id() for _ in range(4))]
    mark = new_id()
    ciphers = [encrypt(auth_sessions, old, person, mark) for person in people]
    before = [sealed(person) for person in people]
    assert both.reseal(auth_sessions) == 5
    assert all(sealed(person) != each for person, each in zip(people, before, strict=True))
    for person, cipher in zip(people, ciphers, strict=True):
        assert new.decrypt(sealed(person), mark, cipher) == VALUES
        assert old.decrypt(sealed(person), mark, cipher) == {}


def test_sealing_anew_leaves_alone_what_it_cannot_open(auth_sessions, ann, sealed, caplog):
    encrypt(auth_sessions, keys_with("lost-secret-key"), ann, new_id())
    before = sealed(ann)
    assert keys_with().reseal(auth_sessions) == 0
    assert sealed(ann) == before
    assert "no key in SECRET_KEY opens" in caplog.text


def test_a_key_that_nothing_here_opens_is_left_alone(auth_sessions, at_once, ann, sealed, count):
    """Another instance opens it: one of a newer SECRET_KEY, or all but the one whose SECRET_KEY is mistyped."""
    mark = new_id()
    cipher = encrypt(auth_sessions, keys_with("another-secret-key"), ann, mark)
    before, left_out = sealed(ann), LEFT_OUT._value.get()
    assert at_once(4, lambda index: encrypt(auth_sessions, keys_with(), ann, new_id())) == [None] * 4
    assert sealed(ann) == before
    assert keys_with("another-secret-key").decrypt(sealed(ann), mark, cipher) == VALUES
    assert LEFT_OUT._value.get() == left_out + 4
    assert count("subject_keys") == 1


def test_of_keys_that_nothing_opens_the_log_tells_once_a_minute(auth_sessions, ann, caplog):
    now = [1000.0]
    keys = SubjectKeys(secret_key.seal_with("old-secret-key", secret_key.SUBJECT_KEYS), lambda: now[0])
    people = [ann, new_id()]
    for person in people:
        encrypt(auth_sessions, keys_with("another-secret-key"), person, new_id())

    def warnings():
        for person in people * 2:
            assert encrypt(auth_sessions, keys, person, new_id()) is None
        return caplog.text.count("no key in SECRET_KEY opens the key of")

    assert warnings() == 1
    now[0] += 59
    assert warnings() == 1
    now[0] += 1
    assert warnings() == 2


def test_instances_with_different_secrets_that_make_a_key_at_once_agree_on_one(auth_sessions, at_once, sealed, count):
    secrets = ("old-secret-key", "new-secret-key")
    people = [new_id() for _ in range(5)]
    for person in people:
        marks = [new_id() for _ in range(6)]
        ciphers = at_once(
            6,
            lambda index: encrypt(auth_sessions, keys_with(secrets[index % 2]), person, marks[index]),  # noqa: B023
        )
        assert not [each for each in ciphers if isinstance(each, Exception)]
        both = keys_with(",".join(secrets))
        read = [both.decrypt(sealed(person), mark, each) for mark, each in zip(marks, ciphers, strict=True)]
        assert read in ([VALUES, {}] * 3, [{}, VALUES] * 3)
    assert count("subject_keys") == len(people)


def test_people_sign_in_where_nothing_opens_their_keys_and_their_trail_stays(instance, auth_sessions, sealed):
    old, both = instance(SECRET_KEY="old"), instance(SECRET_KEY="new,old")
    with context.using(CallContext(correlation_id="request-1", actor=ANONYMOUS, client_ip="192.0.2.7")):
        account = register_account(old, **ANN).account
        assert both.audit_log.reseal_keys() == 1
        before = sealed(account.id)
        # Started before the new key was known; it has this person's key not in its memory.
        late, mistyped = instance(SECRET_KEY="old"), instance(SECRET_KEY="odl")
        assert sign_in(late, email=ANN["email"], password=ANN["password"]).access_token.value
        with pytest.raises(InvalidCredentials):
            sign_in(mistyped, email=ANN["email"], password="wrong")
        assert sign_in(both, email=ANN["email"], password=ANN["password"]).access_token.value
    assert sealed(account.id) == before
    rows = list_security_events(both, user_id=str(account.id)).data
    assert [(row["kind"], row["personal"]) for row in rows] == [
        ("login.succeeded", {"ip": "192.0.2.7"}),
        ("login.failed", {}),
        ("login.succeeded", {}),
        ("account.registered", {"ip": "192.0.2.7"}),
    ]
    with auth_sessions() as session:
        bare = sa.text("select kind from audit_events where personal is null and account_id = :id order by occurred_at")
        assert [*session.scalars(bare, {"id": account.id})] == ["login.succeeded", "login.failed"]


def test_a_new_secret_that_all_know_before_one_uses_it_leaves_nothing_out(auth_sessions, sealed):
    """Instances of two neighbouring steps run side by side while the secret is changed."""
    steps = ["old", "old,new", "new,old", "new"]

    def left_out(first, second):
        mark, person = new_id(), new_id()
        ciphers = [encrypt(auth_sessions, keys_with(secret), person, mark) for secret in (first, second)]
        return keys_with(second).decrypt(sealed(person), mark, ciphers[1]) != VALUES

    # The old secret goes away only after everything was sealed anew, so that instances of before make no more of it.
    assert not any(
        left_out(*pair) for step in (0, 1) for pair in (steps[step : step + 2], steps[step : step + 2][::-1])
    )
    assert not left_out("new,old", "new")
    assert left_out("new,old", "old"), "in one step it is not to be had"


def test_operators_seal_keys_anew_by_command(auth_sessions, ann, sealed):
    uri = auth_sessions.engine.url.render_as_string(hide_password=False)
    config = {**DEFAULTS, "DB_URIS": {"auth_svc:Base": uri}, "SECRET_KEY": "new-secret-key,old-secret-key"}
    mark = new_id()
    cipher = encrypt(auth_sessions, keys_with(), ann, mark)
    result = CliRunner().invoke(commands, ["reseal-subject-keys"], obj=config)
    assert (result.exit_code, result.output) == (0, '{"resealed": 1}\n')
    assert keys_with("new-secret-key").decrypt(sealed(ann), mark, cipher) == VALUES
