"""The sandbox's post: it brings its messages to the webhook by HTTP, as often as it takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from threading import Thread
from typing import Any

import requests
import sqlalchemy as sa
import urllib3

from lib.database import Sessions
from lib.ids import lowest_id_at
from payments_svc.infrastructure import signatures
from payments_svc.infrastructure.sandbox import SandboxProvider
from payments_svc.infrastructure.sandbox_books import DUE
from payments_svc.infrastructure.sandbox_tables import sandbox_messages

log = logging.getLogger(__name__)

SIGNATURE_HEADER = "Sandbox-Signature"
CONNECT_TIMEOUT, READ_TIMEOUT = 2.0, 10.0
#: longer than two rounds of deliveries can take, so that nobody else brings the same messages meanwhile
LEASE = timedelta(seconds=30)
#: after which try how long to wait for the next; after the last one the message is given up, three days later
WAITS = tuple(
    timedelta(seconds=each)
    for each in (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, *[2 * 3600] * 6, *[6 * 3600] * 9)
)
KEPT = timedelta(days=7)
#: in one statement, so that none takes long, nor is cut off
FORGOTTEN_AT_ONCE = 1000
#: in one run, so that one that is asked to end does
MOST_ROUNDS = 20
LONGEST_ERROR, LONGEST_ANSWER = 200, 64 * 1024

_DUE = (
    sa.select(sandbox_messages.c.id)
    .where(sandbox_messages.c.next_try_at <= sa.bindparam("now"))
    .order_by(sandbox_messages.c.next_try_at)
    .limit(sa.bindparam("at_most"))
)
_TAKE = _DUE.with_for_update(skip_locked=True)
#: has a row as long as there is something to do
_ANYTHING = sa.union_all(DUE.subquery().select(), _DUE.subquery().select())
# An id is of the time when the message was written, so the old ones are found by the primary key.
_OLD = (
    sa.select(sandbox_messages.c.id)
    .where(sandbox_messages.c.id < sa.bindparam("before"), sandbox_messages.c.next_try_at.is_(None))
    .order_by(sandbox_messages.c.id)
    .limit(sa.bindparam("at_most"))
    .with_for_update(skip_locked=True)
)
_FORGET = sa.delete(sandbox_messages).where(sandbox_messages.c.id.in_(_OLD))
# What somebody else has brought meanwhile, because this one took so long, is over.
_UPDATE = sa.update(sandbox_messages).where(sandbox_messages.c.sent_at.is_(None))


class SandboxPost:
    """See the module's text. Several processes share the work: each message is in the hands of one.

    :param url: where messages go; None: they are not sent, and given up
    :param secrets: what they are signed with, each
    """

    def __init__(
        self,
        sandbox: SandboxProvider,
        sessions: Sessions,
        *,
        url: str | None,
        secrets: Sequence[str],
        now: Callable[[], datetime],
        at_once: int = 8,
        read_timeout: float = READ_TIMEOUT,
        forget_at_once: int = FORGOTTEN_AT_ONCE,
    ) -> None:
        self._sandbox = sandbox
        self._sessions = sessions
        self._url = url
        self._secrets = tuple(secrets)
        self._now = now
        self._at_once = at_once
        self._forget_at_once = forget_at_once
        self._timeout = (CONNECT_TIMEOUT, read_timeout)
        self._http = requests.Session()
        self._http.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=at_once))
        self._http.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=at_once))
        # No proxy of the environment stands between us and ourselves.
        self._http.trust_env = False

    def close(self) -> None:
        """Close the connections that are kept."""
        self._http.close()

    def run(self) -> None:
        """Let time pass for the sandbox, and bring what it has to tell."""
        # Asked for four times a second, and most of the time there is nothing: worth one question, and no more.
        if self._sessions.first(_ANYTHING, now=self._now(), at_most=1) is None:
            return
        self._sandbox.settle_due()
        for _ in range(MOST_ROUNDS):
            if not self.send_due():
                return

    def send_due(self, at_most: int = 16) -> int:
        """Bring up to `at_most` messages; return how many were taken up."""
        messages = self._take(at_most)
        left = iter(messages)
        # Plain threads, as Eventlet makes greenlets of them; the queue of an executor would block its hub.
        senders = [Thread(target=self._send_all, args=(left,)) for _ in messages[: self._at_once]]
        for each in senders:
            each.start()
        for each in senders:
            each.join()
        return len(messages)

    def forget_sent(self) -> int:
        """Delete what was delivered or given up long ago; return how many."""
        forgotten, before = 0, lowest_id_at(self._now() - KEPT)
        while True:
            with self._sessions() as session, session.begin():
                deleted = session.execute(_FORGET, {"before": before, "at_most": self._forget_at_once})
            gone = int(deleted.rowcount)  # type: ignore[attr-defined]  # a CursorResult, as of every DELETE
            forgotten += gone
            if gone < self._forget_at_once:
                return forgotten

    def _take(self, at_most: int) -> list[dict[str, Any]]:
        """Put off the next try of what is due, and return it: whoever dies with it in hand loses nothing."""
        now = self._now()
        # The last time that it is asked for there is nothing: not worth a transaction.
        if self._sessions.first(_DUE, now=now, at_most=1) is None:
            return []
        with self._sessions() as session, session.begin():
            ids = list(session.execute(_TAKE, {"now": now, "at_most": at_most}).scalars())
            if not ids:
                return []
            taken = session.execute(
                sa.update(sandbox_messages)
                .where(sandbox_messages.c.id.in_(ids))
                .values(next_try_at=now + LEASE, tries=sandbox_messages.c.tries + 1)
                .returning(sandbox_messages.c.id, sandbox_messages.c.body, sandbox_messages.c.tries)
            )
            return [dict(row) for row in taken.mappings()]

    def _send_all(self, messages: Iterator[dict[str, Any]]) -> None:
        for each in messages:
            self._send(each)

    def _send(self, message: dict[str, Any]) -> None:
        error = self._deliver(message["body"].encode())
        now = self._now()
        values: dict[str, Any] = {"sent_at": now, "next_try_at": None, "error": None}
        if error is not None:
            tries = message["tries"]
            next_try = now + WAITS[tries - 1] if tries <= len(WAITS) and self._url else None
            values = {"next_try_at": next_try, "error": error[:LONGEST_ERROR]}
            if next_try is None:
                log.warning("a message of the sandbox is given up: %s", error)
        with self._sessions() as session, session.begin():
            session.execute(_UPDATE.where(sandbox_messages.c.id == message["id"]).values(**values))

    def _deliver(self, body: bytes) -> str | None:
        """Return what went wrong, or None: only 2xx is a receipt."""
        if self._url is None:
            return "there is no address to send it to"
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            # Each try has a time of its own: an old signature would be refused.
            SIGNATURE_HEADER: signatures.sign(body, self._secrets, self._now()),
        }
        try:
            answer = self._http.post(
                self._url,
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            with answer:
                # Read, so that the connection can be used again; what is longer is no receipt of ours.
                answer.raw.read(LONGEST_ANSWER)
                return None if 200 <= answer.status_code < 300 else f"answered with {answer.status_code}"
        except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
            return type(exc).__name__
