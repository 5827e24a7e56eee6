"""Mails over SMTP (RFC 5321), with TLS (RFC 3207, RFC 8314) and addresses of every alphabet (RFC 6531)."""

from __future__ import annotations

import re
import smtplib
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from ipaddress import ip_address
from typing import Generic, Self, TypeVar
from urllib.parse import unquote, urlsplit

import idna

from lib.errors import MailRefused, MailUnavailable
from lib.mail.letters import Letter, Renderer

#: seconds that the server may take for each single step
TIMEOUT = 10.0
#: mails that one process has on their way at a time. A mail keeps a worker for as long as the server takes, and workers
#: are what calls need, too: places must be far fewer than a service has workers, so that a server that falls silent
#: holds up mails alone. Eight are plenty for a server that answers: dozens of mails per second.
PLACES = 8
PORTS = {"smtp": 587, "smtps": 465}

STATUS = re.compile(rb"\s*([245]\.\d{1,3}\.\d{1,3})\b")
#: the server wants something else of us first (signing in, TLS): no fault of the mail
OUR_FAULT = frozenset({503, 530, 534, 535, 538})


@dataclass(frozen=True)
class SmtpServer:
    """Where mails are handed over.

    :param tls: from the first byte; else STARTTLS is used if the server offers it
    :param user: None: no credentials
    """

    host: str
    port: int
    tls: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read ``smtp://user:password@host:port`` or ``smtps://…``; raises ValueError, whose text never shows it."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            host.encode("idna")
        except ValueError:
            raise ValueError("host or port cannot be read; user and password need to be percent-encoded") from None
        if parts.scheme not in PORTS:
            raise ValueError("expected a URL that starts with smtp:// or smtps://")
        if parts.path not in ("", "/") or "?" in url or "#" in url:
            raise ValueError("nothing may follow host and port; user and password need to be percent-encoded")
        if not host or not host.isascii() or port == 0 or not url.isprintable() or " " in url:
            raise ValueError("expected a host as in smtp://mail.example.com:587")
        user, password = (None if each is None else unquote(each) for each in (parts.username, parts.password))
        if bool(user) is not bool(password):
            raise ValueError("user and password belong together")
        if user and password and not (user + password).isascii():
            raise ValueError("user and password need to be ASCII")
        return cls(host, port or PORTS[parts.scheme], parts.scheme == "smtps", user or None, password or None)

    @property
    def is_here(self) -> bool:
        """True if nobody else can listen on the way."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


L = TypeVar("L", bound=Letter)


class SmtpMailer(Generic[L]):
    """Hands mails to an SMTP server, each over a fresh connection.

    Mails are few, and a connection that is kept has to be watched: servers close idle ones after a minute or so.
    A connection that breaks after the whole mail was sent, but before the server has said so, leaves open whether the
    server has it. Then the mail is sent again, with the same Message-ID.

    Nobody waits here for a place: a mail that finds none is not sent now, and waits where it costs no worker.

    :param ca_file: whose certificates are trusted; without it those of the system
    :param timeout: seconds, for each step
    :param places: mails at a time
    """

    def __init__(
        self,
        server: SmtpServer,
        renderer: Renderer[L],
        *,
        ca_file: str | None = None,
        timeout: float = TIMEOUT,
        places: int = PLACES,
    ) -> None:
        self._server = server
        self._renderer = renderer
        self._context = ssl.create_default_context(cafile=ca_file)
        self._timeout = timeout
        # Made here and not at import: under Eventlet only what is made after patching belongs to greenlets.
        self._places = threading.BoundedSemaphore(places)

    def send(self, mail: L) -> None:
        with self._place():
            self._send(mail)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise MailUnavailable("enough mails are on their way already")
        try:
            yield
        finally:
            self._places.release()

    def _send(self, mail: L) -> None:
        message = self._renderer.render(replace(mail, to=with_ascii_domain(mail.to)))
        # As it was checked and written: the header is this one address, and nothing else.
        to = str(message["To"])
        domain = to.rpartition("@")[2]
        try:
            with closing(self._connect()) as connection:
                self._open(connection)
                if not to.isascii() and not connection.has_extn("smtputf8"):
                    raise MailRefused(f"mail to {domain}: the mail server takes ASCII addresses only")
                self._hand_over(connection, message, to)
        except (OSError, ValueError) as exc:  # ValueError: an answer that is no SMTP; smtplib's own errors are OSErrors
            failure = _failure(exc, domain)
        else:
            return
        # Not inside the except clause: the errors of smtplib hold the address, and would come along as its context.
        raise failure

    def _connect(self) -> smtplib.SMTP:
        # Without a name of our own, smtplib would ask the DNS for one, and wait.
        name = self._renderer.sender.domain
        if self._server.tls:
            return smtplib.SMTP_SSL(
                self._server.host,
                self._server.port,
                local_hostname=name,
                timeout=self._timeout,
                context=self._context,
            )
        return smtplib.SMTP(self._server.host, self._server.port, local_hostname=name, timeout=self._timeout)

    def _open(self, connection: smtplib.SMTP) -> None:
        """Make the connection safe, and sign in."""
        server = self._server
        connection.ehlo_or_helo_if_needed()
        if not server.tls:
            if connection.has_extn("starttls"):
                connection.starttls(context=self._context)
            elif server.user and not server.is_here:
                raise smtplib.SMTPNotSupportedError("no STARTTLS, and credentials do not travel in the open")
        if server.user and server.password:
            connection.login(server.user, server.password)
        connection.ehlo_or_helo_if_needed()

    def _hand_over(self, connection: smtplib.SMTP, message: EmailMessage, to: str) -> None:
        connection.send_message(message, self._renderer.sender.address, [to])
        with suppress(OSError):
            # The server has taken the mail, whatever it makes of our good-bye.
            connection.quit()


def with_ascii_domain(address: str) -> str:
    """Return the address with its domain as the DNS has it (RFC 5891), so that more servers take it.

    Not with the codec of the standard library: it follows the rules of 2003, by which ``ß`` is ``ss``, and another
    domain's owner would get the mail.
    """
    local, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}{at}{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return address


def _failure(error: OSError | ValueError, domain: str) -> MailUnavailable | MailRefused:
    """Return what an error means for a mail, without the address or anything that the server says beyond numbers."""
    final = False
    match error:
        case smtplib.SMTPRecipientsRefused():
            code, answer = next(iter(error.recipients.values()))
            status = _status(answer)
            # 5.7.x is about what we may do: relaying denied, unknown sender. Nothing is wrong with the mailbox.
            final = code >= 500 and code not in OUR_FAULT and not status.startswith("5.7.")
            reason = f"recipient not accepted: {code} {status}"
        case smtplib.SMTPDataError():
            final = error.smtp_code >= 500 and error.smtp_code not in OUR_FAULT
            reason = f"content not accepted: {error.smtp_code} {_status(error.smtp_error)}"
        case smtplib.SMTPAuthenticationError():
            reason = f"signing in failed: {error.smtp_code} {_status(error.smtp_error)}"
        case smtplib.SMTPSenderRefused():
            reason = f"sender not accepted: {error.smtp_code} {_status(error.smtp_error)}"
        case smtplib.SMTPResponseException():
            reason = f"not now: {error.smtp_code} {_status(error.smtp_error)}"
        case smtplib.SMTPNotSupportedError():
            reason = f"not supported: {error}"
        case ssl.SSLCertVerificationError():
            reason = f"certificate not accepted: {error.verify_message}"
        case TimeoutError():
            reason = "no answer in time"
        case smtplib.SMTPException() | ValueError():
            reason = f"broken off: {type(error).__name__}"
        case _:
            reason = error.strerror or type(error).__name__
    kind = MailRefused if final else MailUnavailable
    return kind(f"mail to {domain}: {reason.strip()}")


def _status(answer: bytes | str) -> str:
    """Return the enhanced status code (RFC 3463) at the beginning of a server's answer; its words may hold anything."""
    match = STATUS.match(answer if isinstance(answer, bytes) else answer.encode())
    return match[1].decode() if match else ""
