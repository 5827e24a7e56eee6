"""A mail is prepared without a lock: what happens to its account and its token meanwhile, on a real database."""

import threading
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from auth_svc.application.change_email import change_email, confirm_email_change
from auth_svc.application.claim_account import claim_account
from auth_svc.application.disable_account import disable_account
from auth_svc.application.enable_account import enable_account
from auth_svc.application.expire_invitations import expire_invitations
from auth_svc.application.register_account import register_account
from auth_svc.application.reserve_account import reserve_account
from auth_svc.application.reset_password import reset_password
from auth_svc.application.send_mail import send_mail
from auth_svc.application.sign_in import sign_in
from auth_svc.application.verify_email import verify_email
from auth_svc.domain.one_time_token import InvalidToken
from lib.ids import new_id, utc_now
from tests.integration.auth.mailing import kinds, send
from tests.support.waiting import eventually

ANN = {"email": "ann@example.com", "password": "SecurePass123!"}
NEW = "new@example.org"
NEW_PASSWORD = "AnotherPass456!"
WHY = "a reason"


@pytest.fixture
def ports(instance):
    return instance()


@pytest.fixture
def ann(ports):
    return str(register_account(ports, **ANN, name="Ann").account.id)


def pausing(ports, act):
    """The ports of a worker for whom `act` happens once: after it has read, before it saves the token."""
    mint, acts = ports.one_time_tokens, [act]

    class Pausing:
        code, token_hash, code_hash = mint.code, mint.token_hash, mint.code_hash

        def token(self, *arguments):
            if acts:
                acts.pop()()
            return mint.token(*arguments)

    return replace(ports, one_time_tokens=Pausing())


@pytest.fixture(params=["before it", "under way"])
def meanwhile(request, auth_sessions, count):
    """``meanwhile(ports, change, work)``: do the work, with the change after it has read and before it saves.

    The change has either ended by then, or it has written all and commits only when the worker waits for it.
    """
    changer = threading.local()
    at_commit, worked = threading.Event(), threading.Event()

    def hold_on(_connection):
        if getattr(changer, "holds_on", False):
            changer.holds_on = False
            at_commit.set()
            eventually(lambda: worked.is_set() or count("pg_stat_activity", WAITS))

    def run(ports, change, work):
        def changing():
            changer.holds_on = request.param == "under way"
            change()

        thread = threading.Thread(target=changing)

        def act():
            thread.start()
            if request.param == "under way":
                assert at_commit.wait(10)
            else:
                thread.join(10)

        try:
            work(pausing(ports, act))
        finally:
            worked.set()
            thread.join(10)
        assert not thread.is_alive()

    sa.event.listen(auth_sessions.engine, "commit", hold_on)
    yield run
    sa.event.remove(auth_sessions.engine, "commit", hold_on)


WAITS = "wait_event_type = 'Lock' and datname = current_database()"


# --- meanwhile ---


@pytest.mark.parametrize("kind", ["password_reset", "verification"])
def test_an_account_that_moves_meanwhile_gets_a_mail_that_works_at_its_new_address_or_none(
    ports, ann, meanwhile, count, kind
):
    """Moving proves the new mailbox, so nothing is left to verify then."""
    change_email(ports, user_id=ann, new_email=NEW, current_password=ANN["password"])
    with ports.unit_of_work() as uow:
        (change,) = uow.email_changes.open_of(UUID(ann))
    send_mail(ports, event_id=str(new_id()), account_id=ann, kind="email_change", reference=str(change.id))
    (confirmation,) = ports.mailer.sent
    ports.mailer.sent.clear()
    meanwhile(
        ports,
        lambda: confirm_email_change(ports, token=confirmation.token),
        lambda worker: send(worker, ann, kind),
    )
    assert count("accounts", f"email = '{NEW}' and email_verified") == 1
    assert count("one_time_tokens", f"target = '{ANN['email']}' and used_at is null") == 0
    if kind == "verification":
        assert kinds(ports) == []
        return
    assert kinds(ports) == [(kind, NEW)]
    reset_password(ports, token=ports.mailer.sent[0].token, new_password=NEW_PASSWORD)
    assert sign_in(ports, email=NEW, password=NEW_PASSWORD)


def test_an_address_that_is_verified_meanwhile_gets_no_mail_and_no_token(ports, ann, meanwhile, count):
    send(ports, ann, "verification")
    token = ports.mailer.sent.pop().token
    meanwhile(ports, lambda: verify_email(ports, token=token), lambda worker: send(worker, ann, "verification"))
    assert kinds(ports) == []
    assert count("one_time_tokens", "used_at is null") == 0
    assert count("accounts", "email_verified") == 1


@pytest.mark.parametrize("standing", [True, False])
def test_an_account_that_is_closed_meanwhile_gets_no_mail_and_no_token(ports, ann, meanwhile, count, standing):
    if standing:
        send(ports, ann, "password_reset")
        ports.mailer.sent.clear()
    meanwhile(
        ports,
        lambda: disable_account(ports, account_id=ann, reason=WHY),
        lambda worker: send(worker, ann, "password_reset"),
    )
    assert kinds(ports) == []
    # One that worked when the account is opened again would be in nobody's mailbox, or in a stranger's.
    assert count("one_time_tokens", "used_at is null") == 0


def test_a_token_that_was_saved_first_is_used_up_by_a_closing_that_waits_for_it(ports, ann, auth_sessions, count):
    send(ports, ann, "password_reset")
    # Whoever holds the token's row holds the worker's message up, which has the account by then.
    with auth_sessions() as session:
        session.execute(sa.text("select 1 from one_time_tokens for update"))
        worker = threading.Thread(target=send, args=(ports, ann, "password_reset"))
        closing = threading.Thread(target=disable_account, args=(ports,), kwargs={"account_id": ann, "reason": WHY})
        for number, thread in enumerate((worker, closing), start=1):
            thread.start()
            eventually(lambda number=number: count("pg_stat_activity", WAITS) == number)
        on_the_account = f"{WAITS} and query like '%FROM accounts%FOR NO KEY UPDATE%' and query not like '%WITH%'"
        assert count("pg_stat_activity", on_the_account) == 1, "the closing waits for the worker"
        session.commit()
    for thread in (worker, closing):
        thread.join(10)
    assert len(ports.mailer.sent) == 2
    enable_account(ports, account_id=ann, reason=WHY)
    with pytest.raises(InvalidToken):
        reset_password(ports, token=ports.mailer.sent[-1].token, new_password=NEW_PASSWORD)


def test_an_invitation_that_expires_meanwhile_is_not_mailed(ports, meanwhile, count):
    account, _ = reserve_account(ports, email=ANN["email"], name="Ann", request_key="key")
    later = replace(ports, now=lambda: utc_now() + ports.rules.invitation_lifetime + timedelta(days=1))
    meanwhile(ports, lambda: expire_invitations(later), lambda worker: send(worker, str(account.id), "claim"))
    assert kinds(ports) == []
    assert count("accounts") == count("one_time_tokens") == 0


def test_an_invitation_that_is_claimed_meanwhile_is_not_mailed_again(ports, meanwhile, count):
    account, _ = reserve_account(ports, email=ANN["email"], name="Ann", request_key="key")
    send(ports, str(account.id), "claim")
    token = ports.mailer.sent.pop().token
    meanwhile(
        ports,
        lambda: claim_account(ports, token=token, password=NEW_PASSWORD),
        lambda worker: send(worker, str(account.id), "claim"),
    )
    assert kinds(ports) == []
    assert count("one_time_tokens", "used_at is null") == 0


# --- two mails at once ---


@pytest.mark.parametrize("standing", [True, False])
@pytest.mark.parametrize("overtaking", ["newer", "older"])
def test_of_two_mails_of_a_kind_the_newer_one_s_token_works_whoever_is_first(ports, ann, overtaking, standing):
    if standing:
        send(ports, ann, "verification")
        ports.mailer.sent.clear()
    ids = {"older": str(new_id()), "newer": str(new_id())}
    overtaken = "older" if overtaking == "newer" else "newer"
    worker = pausing(ports, lambda: send(ports, ann, "verification", event_id=ids[overtaking]))
    send(worker, ann, "verification", event_id=ids[overtaken])
    # An older mail whose place is taken has no sense any more.
    expected = ["older", "newer"] if overtaken == "newer" else ["newer"]
    assert [mail.id for mail in ports.mailer.sent] == [ids[each] for each in expected]
    assert verify_email(ports, token=ports.mailer.sent[-1].token) == "verified"


@pytest.mark.parametrize("standing", [True, False])
def test_of_many_mails_of_a_kind_at_once_the_newest_one_s_token_works(ports, ann, at_once, standing):
    number = 6
    if standing:
        send(ports, ann, "verification")
        ports.mailer.sent.clear()
    ids = [str(new_id()) for _ in range(number)]
    all_have_read = threading.Barrier(number)
    unlimited = replace(ports, rules=replace(ports.rules, mails_per_hour=None))
    results = at_once(
        number,
        lambda index: send(
            pausing(unlimited, lambda: all_have_read.wait(10)), ann, "verification", event_id=ids[index]
        ),
    )
    assert [each for each in results if each is not None] == []
    newest = max(ports.mailer.sent, key=lambda mail: mail.id)
    assert newest.id == max(ids)
    assert verify_email(ports, token=newest.token) == "verified"


def test_copies_of_one_event_at_once_send_the_same_token(ports, ann, at_once, count):
    event_id = str(new_id())
    both_have_read = threading.Barrier(2)
    worker = [pausing(ports, lambda: both_have_read.wait(10)) for _ in range(2)]
    assert at_once(2, lambda index: send(worker[index], ann, "verification", event_id=event_id)) == [None, None]
    assert len({(mail.id, mail.token, mail.code) for mail in ports.mailer.sent}) == 1
    assert count("one_time_tokens") == count("inbox", "handler = 'send_mail'") == 1
    assert count("mail_counts", "mails = 1") == 1
    assert verify_email(ports, token=ports.mailer.sent[0].token) == "verified"
