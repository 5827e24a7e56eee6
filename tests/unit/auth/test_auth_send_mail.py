"""The worker that sends mails: at least once, with one token, and nothing that makes no sense any more."""

from dataclasses import replace
from datetime import timedelta

import pytest

from auth_svc.application.register_account import register_account
from auth_svc.application.reserve_account import reserve_account
from auth_svc.application.send_mail import send_mail
from auth_svc.application.sign_in import sign_in
from auth_svc.application.verify_email import verify_email
from auth_svc.domain.email import Email
from auth_svc.domain.mail import MailRequested
from lib.errors import MailRefused, MailUnavailable
from lib.ids import new_id, new_id_after, utc_now
from tests.fakes.auth import AuthWorld
from tests.fakes.auth_postman import deliver

ANN = {"email": "ann@example.com", "password": "SecurePass123!"}


@pytest.fixture
def world():
    world = AuthWorld()
    world.ann = str(register_account(world.ports, **ANN, name="Ann").account.id)
    return world


def send(world, kind="verification", *, account_id=None, event_id=None, reference=None):
    send_mail(
        world.ports,
        event_id=event_id or str(new_id()),
        account_id=account_id or world.ann,
        kind=kind,
        reference=reference,
    )


def test_a_repeated_event_sends_nothing_more(world):
    event_id = str(new_id())
    for _ in range(3):
        send(world, event_id=event_id)
    assert len(world.mailer.sent) == 1


def test_a_mail_that_failed_is_sent_later_with_the_same_token(world):
    event_id = str(new_id())
    world.mailer.failures = [MailUnavailable("the server is away")]
    with pytest.raises(MailUnavailable):
        send(world, event_id=event_id)
    stored = dict(world.store.one_time_tokens)
    send(world, event_id=event_id)
    assert world.store.one_time_tokens.keys() == stored.keys()
    (mail,) = world.mailer.sent
    assert mail.id == event_id
    assert verify_email(world.ports, token=mail.token) == "verified"


def test_a_mail_that_was_sent_before_a_crash_and_again_after_it_holds_one_token_and_one_id(world):
    event_id = str(new_id())
    send(world, event_id=event_id)
    world.store.seen.clear()
    send(world, event_id=event_id)
    first, second = world.mailer.sent
    assert (first.id, first.token, first.code) == (second.id, second.token, second.code)


def test_a_token_that_was_used_before_the_mail_came_again_stays_used(world):
    event_id = str(new_id())
    send(world, event_id=event_id)
    verify_email(world.ports, token=world.mailer.sent[0].token)
    world.store.seen.clear()
    send(world, event_id=event_id)
    assert len(world.mailer.sent) == 1


def test_a_late_mail_does_not_replace_the_token_of_a_newer_one(world):
    older, newer = str(new_id()), str(new_id())
    send(world, event_id=newer)
    send(world, event_id=older)
    (mail,) = world.mailer.sent
    assert mail.id == newer
    assert verify_email(world.ports, token=mail.token) == "verified"


def test_a_clock_that_once_ran_ahead_keeps_no_later_mail_back(world):
    ahead, now = str(new_id_after(utc_now() + timedelta(hours=1))), str(new_id())
    send(world, event_id=ahead)
    verify_email(world.ports, token=world.mailer.sent[0].token)
    world.only_account().email_verified = False
    send(world, event_id=now)
    assert [mail.id for mail in world.mailer.sent] == [ahead, now]


def test_a_refused_mail_is_given_up_and_audited(world):
    world.mailer.failures = [MailRefused("no such mailbox")]
    event_id = str(new_id())
    send(world, event_id=event_id)
    send(world, event_id=event_id)
    assert world.mailer.sent == []
    entry = world.store.audit[-1]
    assert (entry.kind, entry.outcome, entry.details) == ("mail.refused", "failure", {"mail": "verification"})


def test_only_hashes_are_kept(world):
    send(world)
    mail = world.mailer.sent[0]
    kept = repr(vars(next(iter(world.store.one_time_tokens.values()))))
    assert mail.token not in kept
    assert f"'{mail.code}'" not in kept


def test_a_name_that_a_stranger_may_have_chosen_is_not_in_the_mail(world):
    send(world)
    assert world.mailer.last("verification").name is None
    verify_email(world.ports, token=world.mailer.last("verification").token)
    send(world, "password_changed")
    assert world.mailer.last("password_changed").name == "Ann"
    reserve_account(world.ports, email="bob@example.com", name="Bob", request_key="key")
    deliver(world)
    assert world.mailer.last("claim").name is None


def test_an_hour_has_room_for_some_mails_of_a_kind(world):
    most = world.ports.rules.mails_per_hour
    for _ in range(most + 3):
        send(world)
    assert len(world.mailer.sent) == most
    send(world, "password_reset")
    assert len(world.mailer.sent) == most + 1
    world.clock.advance(hours=1)
    send(world)
    assert len(world.mailer.sent) == most + 2


def test_tries_that_failed_do_not_count(world):
    event_id = str(new_id())
    world.mailer.failures = [MailUnavailable("the server is away")] * 20
    for _ in range(20):
        with pytest.raises(MailUnavailable):
            send(world, event_id=event_id)
    send(world, event_id=event_id)
    assert len(world.mailer.sent) == 1


@pytest.mark.parametrize("kind", ["verification", "claim", "password_reset", "account_exists", "password_changed"])
def test_a_closed_account_gets_no_mail(world, kind):
    world.only_account().disable("spam", world.clock())
    send(world, kind)
    assert world.mailer.sent == []


def test_mails_that_make_no_sense_any_more_are_not_sent(world):
    send(world)
    verify_email(world.ports, token=world.mailer.sent.pop().token)
    send(world, "verification")
    send(world, "claim")
    send(world, "email_change", reference=str(new_id()))
    send(world, "email_change")
    send(world, account_id=str(new_id()))
    invited, _ = reserve_account(world.ports, email="bob@example.com", name="Bob", request_key="key")
    send(world, "verification", account_id=str(invited.id))
    send(world, "password_changed", account_id=str(invited.id))
    assert world.mailer.sent == []


def test_a_sign_in_from_a_new_device_is_told_with_where_and_when(world):
    send(world)
    verify_email(world.ports, token=world.mailer.sent.pop().token)
    world.events.clear()
    known = sign_in(world.ports, **ANN)
    (request,) = [each for each in world.events if isinstance(each, MailRequested)]
    deliver(world)
    mail = world.mailer.last("new_device")
    assert dict(mail.facts) == {"Signed in": "2026-01-31 12:00 UTC", "Address": "192.0.2.7", "Device": "Firefox"}
    assert request.kind == "new_device"
    sign_in(world.ports, **ANN, device_token=known.device_token)
    assert not [each for each in world.events if isinstance(each, MailRequested)]


def test_facts_that_nobody_knows_are_left_out(world):
    world.origin = replace(world.origin, ip=None, user_agent=None)
    session = world.refresh_tokens.session_of(sign_in(world.ports, **ANN).refresh_token)
    send(world, "session_ended", reference=str(session))
    assert [name for name, _ in world.mailer.last("session_ended").facts] == ["Signed in", "Device"]
    send(world, "session_ended", reference=str(new_id()))
    assert world.mailer.last("session_ended").facts == ()
    send(world, "session_ended")
    assert world.mailer.last("session_ended").facts == ()


# --- what changes between the look and the message that saves the token ---


def meanwhile(world, what):
    world.store.meanwhile.append(what)


def change(world, **values):
    """What a parallel transaction has saved: another version of the account."""
    account = world.only_account()
    world.store.accounts = {account.id: replace(account, sequence=account.sequence + 1, **values)}


def test_an_account_that_moves_meanwhile_gets_the_mail_at_its_new_address(world):
    meanwhile(world, lambda: change(world, email=Email("new@example.org")))
    send(world)
    assert [mail.to for mail in world.mailer.sent] == ["new@example.org"]
    assert verify_email(world.ports, token=world.mailer.sent[0].token) == "verified"


def test_an_address_that_is_verified_meanwhile_gets_no_mail(world):
    meanwhile(world, lambda: change(world, email_verified=True))
    send(world)
    assert world.mailer.sent == []
    assert world.store.one_time_tokens == {}


def test_an_account_that_goes_meanwhile_gets_no_mail(world):
    meanwhile(world, lambda: world.store.accounts.clear())  # noqa: PLW0108
    send(world)
    assert world.mailer.sent == []


@pytest.mark.parametrize("other", ["same", "newer", "older"])
def test_a_mail_that_another_worker_sends_meanwhile_is_sent_once_or_gives_way_or_goes_on(world, other):
    older, newer = str(new_id()), str(new_id())
    mine, their = {"same": (older, older), "newer": (older, newer), "older": (newer, older)}[other]
    meanwhile(world, lambda: send(world, event_id=their))
    send(world, event_id=mine)
    assert [mail.id for mail in world.mailer.sent] == ([older, newer] if other == "older" else [their])
    assert verify_email(world.ports, token=world.mailer.sent[-1].token) == "verified"


@pytest.mark.parametrize("kind", ["password_changed", "new_device", "session_ended"])
def test_a_mail_without_a_token_saves_nothing_before_it_is_sent(world, kind):
    world.mailer.failures = [MailUnavailable("the server is away")]
    happened = []
    meanwhile(world, lambda: happened.append("a commit"))
    with pytest.raises(MailUnavailable):
        send(world, kind)
    assert happened == []


def test_who_never_had_a_password_and_forgot_it_is_invited_within_the_limit_of_invitations(world):
    bob, _ = reserve_account(world.ports, email="bob@example.com", name="Bob", request_key="key")
    most = world.ports.rules.mails_per_hour
    for _ in range(most + 1):
        send(world, "password_reset", account_id=str(bob.id))
    assert [mail.kind for mail in world.mailer.sent] == ["claim"] * most
    assert [slot for _, slot in world.store.one_time_tokens] == ["claim"]
