"""The sandbox's post: real HTTP, signed as Stripe signs, again and again until it is received."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlalchemy as sa
import stripe

from lib.ids import utc_now
from payments_svc.infrastructure.sandbox import SandboxProvider
from payments_svc.infrastructure.sandbox_post import LEASE, WAITS, SandboxPost
from tests.integration.payments.provider_contract import charge_of
from tests.support.stack import free_port
from tests.support.statements import statements
from tests.support.waiting import eventually

SECRET, NEXT_SECRET = "whsec_now", "whsec_next"


class Clock:
    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return utc_now() + self.ahead


class Server(ThreadingHTTPServer):
    daemon_threads = True
    #: with the five that it comes with, a connection of four busy offices is made a second late, or not in time
    request_queue_size = 128


class Receiver:
    """An HTTP server that keeps what it gets and answers as it is told."""

    def __init__(self):
        self.got = []
        self.status = 204
        self.headers = {}
        self.wait = threading.Event()
        self.wait.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, dict(self.headers), body))
                outer.wait.wait(5)
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/api/v1/webhooks/sandbox"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def bodies(self):
        return [body for _, _, body in self.got]

    def close(self):
        self.wait.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sandbox(payments_sessions, clock):
    return SandboxProvider(payments_sessions, now=clock)


@pytest.fixture
def post(sandbox, payments_sessions, clock, receiver):
    posts = []

    def post(**changes):
        settings = {"url": receiver.url, "secrets": [SECRET], "now": clock}
        posts.append(SandboxPost(sandbox, payments_sessions, **{**settings, **changes}))
        return posts[-1]

    yield post
    for each in posts:
        each.close()


@pytest.fixture
def messages(payments_sessions):
    def messages(columns="tries, sent_at is not null, next_try_at is not null, error"):
        with payments_sessions() as session:
            rows = session.execute(sa.text(f"select {columns} from sandbox_messages order by created_at, id"))
            return [tuple(row) for row in rows]

    return messages


def test_a_message_arrives_signed_and_once(sandbox, post, receiver, messages):
    charge = charge_of("tok_visa")
    sandbox.execute(charge)
    office = post()
    assert [office.send_due(), office.send_due()] == [1, 0]
    ((path, headers, body),) = receiver.got
    assert path == "/api/v1/webhooks/sandbox"
    assert headers["Content-Type"].startswith("application/json")
    # Stripe's own package reads it.
    assert stripe.WebhookSignature.verify_header(body.decode(), headers["Sandbox-Signature"], SECRET, tolerance=300)
    told = json.loads(body)
    assert told["type"] == "payment.succeeded"
    assert told["data"]["attempt_id"] == str(charge.attempt_id)
    assert sandbox_reads(sandbox, body, headers)
    assert messages() == [(1, True, False, None)]


def sandbox_reads(sandbox, body, headers):
    proving = SandboxProvider(sandbox._sessions, now=utc_now, secrets=[SECRET])
    return proving.read_notice(body, headers["Sandbox-Signature"], utc_now()).about == "payment"


def test_while_secrets_change_it_signs_with_each(sandbox, post, receiver):
    sandbox.execute(charge_of("tok_visa"))
    post(secrets=[NEXT_SECRET, SECRET]).send_due()
    ((_, headers, body),) = receiver.got
    for secret in (SECRET, NEXT_SECRET):
        assert stripe.WebhookSignature.verify_header(body.decode(), headers["Sandbox-Signature"], secret)


@pytest.mark.parametrize("status", [500, 503, 429, 400, 404, 410, 302])
def test_what_is_not_received_comes_again_later_and_less_and_less_often(
    sandbox, post, receiver, clock, messages, status
):
    sandbox.execute(charge_of("tok_visa"))
    office = post()
    receiver.status = status
    receiver.headers = {"Location": receiver.url} if status == 302 else {}
    for tries, wait in enumerate(WAITS[:3], start=1):
        assert [office.send_due(), office.send_due()] == [1, 0]
        assert messages() == [(tries, False, True, f"answered with {status}")]
        clock.ahead += wait - timedelta(milliseconds=500)
        assert office.send_due() == 0
        clock.ahead += timedelta(milliseconds=600)
    receiver.status, receiver.headers = 204, {}
    assert office.send_due() == 1
    assert messages() == [(4, True, False, None)]
    # The same bytes and another time each time: an old signature would not be taken.
    assert len(set(receiver.bodies)) == 1
    assert len({headers["Sandbox-Signature"] for _, headers, _ in receiver.got}) == 4


def test_it_goes_on_for_days_and_then_gives_up(sandbox, post, receiver, clock, messages):
    assert timedelta(days=2) < sum(WAITS, timedelta()) < timedelta(days=7)
    sandbox.execute(charge_of("tok_visa"))
    receiver.status = 500
    office = post()
    for wait in (*WAITS, timedelta(days=30)):
        assert office.send_due() == 1
        clock.ahead += wait + timedelta(milliseconds=10)
    assert office.send_due() == 0
    assert messages() == [(len(WAITS) + 1, False, False, "answered with 500")]
    assert office.forget_sent() == 1
    assert messages() == []


def test_nobody_listens(sandbox, post, messages, clock, receiver):
    sandbox.execute(charge_of("tok_visa"))
    post(url=f"http://127.0.0.1:{free_port()}/").send_due()
    assert messages() == [(1, False, True, "ConnectionError")]
    clock.ahead += timedelta(seconds=1)
    post().send_due()
    assert messages() == [(2, True, False, None)]


def test_one_that_does_not_answer_is_not_waited_for(sandbox, post, receiver, messages):
    receiver.wait.clear()
    sandbox.execute(charge_of("tok_visa"))
    post(read_timeout=0.2).send_due()
    assert messages() == [(1, False, True, "ReadTimeout")]


def test_without_an_address_it_keeps_nothing_for_later(sandbox, post, messages):
    sandbox.execute(charge_of("tok_visa"))
    post(url=None).send_due()
    assert [row[:3] for row in messages()] == [(1, False, False)]


def test_whoever_dies_with_a_message_in_hand_loses_nothing(sandbox, post, receiver, clock, messages):
    sandbox.execute(charge_of("tok_visa"))
    post()._take(10)
    assert post().send_due() == 0
    clock.ahead += LEASE
    assert post().send_due() == 1
    assert messages() == [(2, True, False, None)]


def test_one_that_took_too_long_does_not_undo_what_another_has_brought(sandbox, post, receiver, clock, messages):
    sandbox.execute(charge_of("tok_visa"))
    slow, quick = post(url=f"http://127.0.0.1:{free_port()}/"), post()
    ((taken,), clock.ahead) = slow._take(10), LEASE
    assert quick.send_due() == 1
    slow._send(taken)
    assert messages() == [(2, True, False, None)]


def test_two_offices_bring_each_message_once(sandbox, post, receiver):
    for _ in range(40):
        sandbox.execute(charge_of("tok_visa"))
    offices = [post() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda each: sum(each.send_due() for _ in range(8)), offices))
    assert sum(sent) == len(receiver.got) == len(set(receiver.bodies)) == 40


def test_several_are_on_their_way_at_once(sandbox, post, receiver):
    """A receiver that takes its time does not hold up the others."""
    for _ in range(8):
        sandbox.execute(charge_of("tok_visa"))
    receiver.wait.clear()
    sending = threading.Thread(target=post().send_due)
    sending.start()
    eventually(lambda: len(receiver.got) == 8)
    receiver.wait.set()
    sending.join()


def test_what_is_due_is_settled_and_brought_in_one_run(sandbox, post, receiver, clock):
    sandbox.execute(charge_of("tok_async"))
    clock.ahead += timedelta(seconds=1)
    post().run()
    assert {json.loads(each)["type"] for each in receiver.bodies} == {"payment.processing", "payment.succeeded"}


def test_only_what_is_long_over_is_forgotten(sandbox, post, receiver, clock, messages):
    sandbox.execute(charge_of("tok_visa"))
    office = post()
    office.send_due()
    assert office.forget_sent() == 0
    sandbox.execute(charge_of("tok_visa"))
    clock.ahead += timedelta(days=8)
    assert office.forget_sent() == 1
    assert len(messages()) == 1


def test_what_is_long_over_is_forgotten_a_few_at_a_time(sandbox, post, payments_sessions, clock, messages):
    """One statement for all of it would be cut off one day, and then every time."""
    for _ in range(7):
        sandbox.execute(charge_of("tok_visa"))
    waiting = charge_of("tok_visa")
    post().send_due()
    sandbox.execute(waiting)
    clock.ahead += timedelta(days=8)
    deleted = []

    def count(_connection, cursor, statement, *_others):
        if statement.startswith("DELETE"):
            deleted.append(cursor.rowcount)

    sa.event.listen(payments_sessions.engine, "after_cursor_execute", count)
    try:
        assert post(forget_at_once=3).forget_sent() == 7
    finally:
        sa.event.remove(payments_sessions.engine, "after_cursor_execute", count)
    assert deleted == [3, 3, 1]
    assert messages("body::jsonb->'data'->>'attempt_id'") == [(str(waiting.attempt_id),)]


def test_as_long_as_nothing_is_due_it_costs_one_question(post, payments_sessions):
    """It is asked for four times a second, for as long as the service runs."""
    office = post()
    with statements(payments_sessions) as sent:
        office.run()
    assert len(sent) == 1
    assert not [each for each in sent if "FOR UPDATE" in each]
