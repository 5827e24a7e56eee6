"""A real SMTP server on this machine that takes mails down or refuses them as told, and a mailer for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult

from auth_svc.domain.mail import Mail
from auth_svc.infrastructure.mail.rendering import MailRenderer
from lib import mail as mails

HOST = "127.0.0.1"
#: instead of an answer: the connection ends, or nothing at all is said
GONE, SILENCE = "gone", "silence"


@dataclass(frozen=True)
class Received:
    """A mail that the server has taken.

    :param greeting: the name by which the client said hello
    :param options: of the command MAIL, as ``SMTPUTF8``
    :param tls: the connection was encrypted when it came
    :param user: who had signed in
    """

    greeting: str
    sender: str
    recipients: list[str]
    content: bytes
    options: list[str]
    tls: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=default)


class SmtpServer:
    """aiosmtpd on a free port, as a context manager.

    :param tls: encrypts from the first byte
    :param starttls: offers STARTTLS
    :param login: user and password that it wants
    :param utf8: offers SMTPUTF8
    :ivar logins: the users who have tried to sign in
    :param answers: to MAIL, RCPT, DATA or QUIT, instead of the usual one; may be changed while it runs
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        utf8: bool = True,
        answers: Mapping[str, str] | None = None,
    ) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.logins: list[str] = []
        self.answers = dict(answers or {})
        self.port = 0
        self._tls = tls
        self._login = login
        self._options = {
            "hostname": "mail.test",
            "enable_SMTPUTF8": utf8,
            "tls_context": starttls,
            "auth_required": login is not None,
            "auth_require_tls": login is None or starttls is not None,
            "authenticator": self._authenticate if login else None,
        }
        self._sessions: list[SMTP] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp", daemon=True)

    def url(self, host: str = HOST, credentials: str = "") -> str:
        return f"{'smtps' if self._tls else 'smtp'}://{credentials}{host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(self._session, HOST, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for session in self._sessions:
            if session.transport is not None:
                # Older versions of Python 3.11 fail so for an encrypted one that is closed already.
                with contextlib.suppress(AttributeError):
                    session.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _session(self) -> SMTP:
        self.connections += 1
        with warnings.catch_warnings():
            # Credentials without TLS are one of the cases.
            warnings.simplefilter("ignore")
            session = SMTP(self, loop=self._loop, **self._options)
        self._sessions.append(session)
        return session

    # --- what aiosmtpd calls ---

    def _authenticate(self, _server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        self.logins.append(given[0])
        return AuthResult(success=given == self._login, handled=False, auth_data=given[0])

    async def handle_MAIL(self, server: SMTP, _session: Any, envelope: Any, address: str, options: list[str]) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self._answer(server, "MAIL")

    async def handle_RCPT(self, server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:
        envelope.rcpt_tos.append(address)
        return await self._answer(server, "RCPT")

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        answer = await self._answer(server, "DATA")
        if answer.startswith("250"):
            self.received.append(
                Received(
                    greeting=session.host_name,
                    sender=envelope.mail_from,
                    recipients=envelope.rcpt_tos,
                    content=envelope.original_content,
                    options=envelope.mail_options,
                    tls=server.transport.get_extra_info("sslcontext") is not None,
                    user=session.auth_data if session.authenticated else None,
                )
            )
        return answer

    async def handle_QUIT(self, server: SMTP, _session: Any, _envelope: Any) -> str:
        return await self._answer(server, "QUIT", "221 Bye")

    async def _answer(self, server: SMTP, command: str, usual: str = "250 OK") -> str:
        answer = self.answers.get(command, usual)
        if answer == GONE:
            server.transport.abort()
        if answer == SILENCE:
            await asyncio.Event().wait()
        return answer


@contextmanager
def silent_server() -> Iterator[str]:
    """Yield the URL of a server that takes connections and never says a word."""
    with socket.create_server((HOST, 0)) as listener:
        yield f"smtp://{HOST}:{listener.getsockname()[1]}"


@contextmanager
def scripted_server(script: bytes, *, hangs_up: bool) -> Iterator[str]:
    """Yield the URL of a server that says what it has to say at once and hears nothing.

    :param hangs_up: it does not even wait for the other side to go
    """

    def serve() -> None:
        # Ends when the listener is closed.
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(script)
                    while not hangs_up and connection.recv(1024):
                        pass

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"smtp://{HOST}:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def nobody() -> str:
    """Return the URL of a port where nobody listens."""
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    return f"smtp://{HOST}:{port}"


def mailer_to(url: str, ca_file: object = None, timeout: float = 5.0) -> mails.SmtpMailer[Mail]:
    renderer = MailRenderer(
        mails.Sender("Leveret", "no-reply@example.org"), "https://api.example.org", lambda: datetime.now(UTC)
    )
    return mails.SmtpMailer(
        mails.SmtpServer.parse(url), renderer, ca_file=str(ca_file) if ca_file else None, timeout=timeout
    )
