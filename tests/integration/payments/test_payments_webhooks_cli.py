"""The operators' commands about messages from providers."""

import json
from dataclasses import replace

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


@pytest.fixture
def alarm(payments_sessions, notices):
    """One more: money has moved for what was given up."""
    with build_ports(CONFIG, payments_sessions).unit_of_work() as uow:
        notice = replace(notices[1], id=new_id(), event_id="evt_alarm")
        notice.park(ParkedFor.MONEY_MOVED_FOR_GIVEN_UP_ATTEMPT, utc_now(), new_id())
        uow.notices.add(notice)
        uow.commit()
    return notice


def test_an_alarm_is_replayed_by_its_id_only(run, alarm, ask):
    of_alarm = f"select status from webhook_notices where id = '{alarm.id}'"
    assert lines(run("replay-webhooks", "--type", "payout.paid")) == [{"replayed": 2}]
    assert lines(run("replay-webhooks", "--all-parked")) == [{"replayed": 2}]
    assert ask(of_alarm) == [("parked",)]
    assert lines(run("replay-webhooks", "--id", str(alarm.id))) == [{"replayed": 1}]
    assert ask(of_alarm) == [("received",)]


WHY = ("--reason", "nothing of ours")


@pytest.mark.parametrize(("type", "dismissed"), [("payout.paid", [1, 3]), ("payout.failed", [0, 2]), ("nothing", [])])
def test_parked_messages_of_a_type_are_dismissed_with_a_reason(run, notices, alarm, ask, type, dismissed):
    assert lines(run("dismiss-webhooks", "--type", type, *WHY)) == [{"dismissed": len(dismissed)}]
    found = ask("select id::text, dismissed_for from webhook_notices where status = 'dismissed' order by id")
    assert found == [(str(notices[number].id), "nothing of ours") for number in dismissed]
    listed = lines(run("webhooks", "--status", "dismissed"))
    assert {(each["dismissed_for"], each["error"]) for each in listed} <= {("nothing of ours", "unknown_type")}
    assert len(listed) == len(dismissed)
    assert ask("select count(*) from outbox") == [(0,)]


def test_one_message_is_dismissed_and_is_no_longer_among_the_parked(run, notices, alarm, ask):
    for each in (notices[0], alarm):
        assert lines(run("dismiss-webhooks", "--id", str(each.id), *WHY)) == [{"dismissed": 1}]
    assert [each["event_id"] for each in lines(run("webhooks", "--status", "parked"))] == ["evt_3", "evt_2", "evt_1"]
    assert lines(run("replay-webhooks", "--all-parked")) == [{"replayed": 3}]
    ended = run("dismiss-webhooks", "--id", str(alarm.id), *WHY)
    assert "only parked ones can be dismissed" in ended.output


@pytest.mark.parametrize(
    "command",
    [
        ["dismiss-webhooks", *WHY],
        ["dismiss-webhooks", "--type", "payout.paid"],
        ["dismiss-webhooks", "--type", "payout.paid", "--reason", ""],
        ["dismiss-webhooks", "--type", "payout.paid", "--reason", "4242 4242 4242 4242"],
        ["dismiss-webhooks", "--type", "payout.paid", "--id", str(new_id()), *WHY],
        ["dismiss-webhooks", "--id", "no-uuid", *WHY],
        ["dismiss-webhooks", "--id", str(new_id()), *WHY],
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
    assert ask("select count(*) from webhook_notices where status = 'dismissed'") == [(0,)]
