"""The operators' commands about messages from providers."""

import json

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from lib.ids import new_id, utc_now
from payments_svc.bootstrap import build_ports
from payments_svc.domain.notice import ParkedFor, StoredNotice
from payments_svc.presentation.cli import commands
from tests.integration.payments.test_payments_races import CONFIG


@pytest.fixture
def run(payments_sessions):
    uri = payments_sessions.engine.url.render_as_string(hide_password=False)

    def run(*arguments):
        config = {**CONFIG, "DB_URIS": {"payments_svc:Base": uri}, "DB_STATEMENT_TIMEOUT": 3}
        return CliRunner().invoke(commands, arguments, obj=config)

    return run


@pytest.fixture
def notices(payments_sessions):
    """Five messages: four parked, of two types, and one that was processed."""
    made = []
    with build_ports(CONFIG, payments_sessions).unit_of_work() as uow:
        for number in range(5):
            notice = StoredNotice(
                id=new_id(),
                provider="sandbox",
                event_id=f"evt_{number}",
                type="payout.paid" if number % 2 else "payout.failed",
                payload={"card": "secret of the payload"},
                correlation_id="req-1",
                received_at=utc_now(),
            )
            notice.park(ParkedFor.UNKNOWN_TYPE, utc_now())
            if number == 4:
                notice.process(new_id(), utc_now())
            uow.notices.add(notice)
            made.append(notice)
        uow.commit()
    return made


@pytest.fixture
def ask(payments_sessions):
    def ask(query):
        with payments_sessions() as session:
            return [tuple(row) for row in session.execute(sa.text(query))]

    return ask


def lines(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_messages_are_listed_newest_first_without_what_they_say(run, notices):
    listed = lines(run("webhooks"))
    assert [each["id"] for each in listed] == [str(each.id) for each in reversed(notices)]
    assert (listed[1]["status"], listed[1]["error"], listed[1]["attempts"]) == ("parked", "unknown_type", 0)
    assert "secret" not in run("webhooks").output
    assert [each["event_id"] for each in lines(run("webhooks", "--status", "processed"))] == ["evt_4"]
    assert [each["event_id"] for each in lines(run("webhooks", "--type", "payout.paid"))] == ["evt_3", "evt_1"]
    assert len(lines(run("webhooks", "--limit", "2"))) == 2


@pytest.mark.parametrize(
    "arguments, replayed",
    [(["--all-parked"], [0, 1, 2, 3]), (["--type", "payout.paid"], [1, 3]), (["--type", "nothing"], [])],
)
def test_parked_messages_are_sent_to_be_processed(run, notices, ask, arguments, replayed):
    assert lines(run("replay-webhooks", *arguments)) == [{"replayed": len(replayed)}]
    sent = {id for (id,) in ask("select envelope->'data'->>'id' from outbox where type = 'webhook.received'")}
    assert sent == {str(notices[number].id) for number in replayed}
    assert ask("select count(*) from webhook_notices where status = 'received'") == [(len(replayed),)]


def test_one_message_is_replayed_whatever_became_of_it(run, notices, ask):
    assert lines(run("replay-webhooks", "--id", str(notices[4].id))) == [{"replayed": 1}]
    assert ask("select envelope->'data'->>'id' from outbox") == [(str(notices[4].id),)]


@pytest.mark.parametrize(
    "command",
    [
        ["replay-webhooks"],
        ["replay-webhooks", "--all-parked", "--type", "x"],
        ["replay-webhooks", "--id", "no-uuid"],
        ["replay-webhooks", "--id", str(new_id())],
        ["webhooks", "--status", "lost"],
        ["webhooks", "--limit", "0"],
    ],
)
def test_a_command_that_makes_no_sense_says_so(run, notices, ask, command):
    ended = run(*command)
    assert ended.exit_code != 0
    assert isinstance(ended.exception, SystemExit)
    assert ask("select count(*) from outbox") == [(0,)]
