"""A mail is prepared without a lock, on a real database: how many messages that takes, and what a crash leaves."""

import pytest
import sqlalchemy as sa

from auth_svc.application.claim_account import claim_account
from auth_svc.application.register_account import register_account
from auth_svc.application.reserve_account import reserve_account
from auth_svc.application.reset_password import reset_password
from auth_svc.application.verify_email import verify_email
from auth_svc.domain.one_time_token import InvalidToken
from lib.errors import MailUnavailable
from lib.ids import new_id
from tests.integration.auth.mailing import kinds, send

ANN = {"email": "ann@example.com", "password": "SecurePass123!"}
NEW_PASSWORD = "AnotherPass456!"


@pytest.fixture
def ports(instance):
    return instance()


@pytest.fixture
def ann(ports):
    return str(register_account(ports, **ANN, name="Ann").account.id)


@pytest.fixture
def messages(auth_sessions):
    """The messages that PostgreSQL gets, each with whether it is a transaction by itself."""
    seen = []

    def note(_connection, cursor, statement, *_):
        seen.append((statement.split()[0], cursor.connection.autocommit))

    sa.event.listen(auth_sessions.engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(auth_sessions.engine, "before_cursor_execute", note)


def test_a_registration_is_one_message(ports, ann, messages):
    del ann  # The first one also makes the key that tokens are signed with.
    messages.clear()
    register_account(ports, email="bob@example.com", password=ANN["password"], name="Bob")
    assert messages == [("SELECT", True)]


@pytest.mark.parametrize("kind", ["verification", "password_reset"])
def test_a_mail_with_a_token_is_one_look_one_message_and_a_note(ports, ann, messages, kind):
    for _ in range(2):  # The second one takes the first one's place.
        messages.clear()
        send(ports, ann, kind)
        assert messages == [("SELECT", True), ("SELECT", True), ("INSERT", True)]
    assert kinds(ports) == [(kind, ANN["email"])] * 2


def test_an_invitation_is_one_look_one_message_and_a_note(ports, messages):
    account, _ = reserve_account(ports, email=ANN["email"], name="Ann", request_key="key")
    messages.clear()
    send(ports, str(account.id), "claim")
    assert messages == [("SELECT", True), ("SELECT", True), ("INSERT", True)]
    assert claim_account(ports, token=ports.mailer.last("claim").token, password=NEW_PASSWORD)


def test_a_mail_without_a_token_saves_nothing_before_it_is_sent(ports, ann, messages):
    messages.clear()
    send(ports, ann, "password_changed")
    assert messages == [("SELECT", True), ("INSERT", True)]
    assert kinds(ports) == [("password_changed", ANN["email"])]


def test_an_event_that_comes_again_sends_nothing(ports, ann, count):
    event_id = str(new_id())
    for _ in range(3):
        send(ports, ann, "password_changed", event_id=event_id)
    assert len(ports.mailer.sent) == 1
    assert count("mail_counts", "mails = 1") == 1


def test_a_forgotten_password_that_was_never_set_leads_to_an_invitation(ports):
    account, _ = reserve_account(ports, email=ANN["email"], name="Ann", request_key="key")
    send(ports, str(account.id), "password_reset")
    assert claim_account(ports, token=ports.mailer.last("claim").token, password=NEW_PASSWORD)


def test_a_crash_between_token_and_mail_leaves_one_token_that_works(ports, ann, messages, count):
    event_id = str(new_id())
    ports.mailer.failures = [MailUnavailable("the worker has died")]
    with pytest.raises(MailUnavailable):
        send(ports, ann, "verification", event_id=event_id)
    messages.clear()
    send(ports, ann, "verification", event_id=event_id)
    assert messages == [("SELECT", True), ("INSERT", True)], "the token is there"
    assert count("one_time_tokens") == 1
    assert verify_email(ports, token=ports.mailer.last("verification").token) == "verified"


def test_a_token_that_was_used_does_not_work_again_when_its_mail_does(ports, ann, auth_sessions):
    event_id = str(new_id())
    send(ports, ann, "password_reset", event_id=event_id)
    token = ports.mailer.last("password_reset").token
    reset_password(ports, token=token, new_password=NEW_PASSWORD)
    with auth_sessions() as session:
        session.execute(sa.text("delete from inbox"))
        session.commit()
    send(ports, ann, "password_reset", event_id=event_id)
    assert [mail.token for mail in ports.mailer.sent] == [token, token]
    with pytest.raises(InvalidToken):
        reset_password(ports, token=token, new_password="YetAnother789!")
