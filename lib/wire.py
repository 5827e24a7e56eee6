"""Connections to the broker: every wait bounded, and few system calls.

py-amqp reads a message with nine system calls and writes each frame set with one. Under load most of a small call's
time went into the kernel. `tune` makes a connection read what has arrived in one go and, in a service, send what many
greenlets have to say in one go: the writes of one turn of the hub leave together.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import amqp
import eventlet
from amqp import serialization, spec
from amqp.method_framing import frame_writer
from amqp.transport import TCPTransport
from eventlet import patcher
from eventlet.semaphore import Semaphore
from kombu.utils.url import url_to_parts

CONNECT_TIMEOUT = 3.0
#: for the broker to take what we write
IO_TIMEOUT = 3.0
#: for the broker to answer a declaration; a cluster that is starting takes its time for a quorum queue
ANSWER_TIMEOUT = 10.0
HEARTBEAT_FRAME = 8
CHUNK = 16 * 1024
#: bytes that may wait for the hub's next turn; whoever has more to send waits for the socket
BACKLOG = 8 * 1024 * 1024
#: the property that says why a message's properties could not be read
UNREADABLE = "unreadable"


def _decode_properties(buffer: bytes, offset: int) -> tuple[dict[str, Any], int]:
    """Read a message's properties.

    RabbitMQ passes on what py-amqp cannot read: bytes that are no UTF-8, times after the year 9999, headers nested
    without end. An exception here would come out of the reader and take the process down, each time anew.
    """
    try:
        properties, end = serialization.decode_properties_basic(buffer, offset)
        if any(not isinstance(name, str) for name in properties.get("application_headers", ())):
            raise UnicodeError("a header's name")
    except Exception as exc:
        return {UNREADABLE: exc}, len(buffer)
    return properties, end


serialization.PROPERTY_CLASSES[spec.Basic.CLASS_ID] = _decode_properties


def connect(
    uri: str, *, name: str, heartbeat: float, ssl: bool | Mapping[str, Any] | None = None, **options: Any
) -> amqp.Connection:
    """Open a connection whose every wait is bounded: by `ANSWER_TIMEOUT`, or after `hurry` by `IO_TIMEOUT`.

    :param name: shown in the management UI
    :param heartbeat: seconds
    :param ssl: Nameko's ``AMQP_SSL``: True, or what `ssl` needs (``ca_certs``, ``certfile``, ``keyfile`` …)
    """
    parts = url_to_parts(uri)
    encrypted = parts.scheme == "amqps" or bool(ssl)
    connection = amqp.Connection(
        host=f"{parts.hostname or '127.0.0.1'}:{parts.port or (5671 if encrypted else 5672)}",
        userid=parts.username or "guest",
        password=parts.password or "guest",
        virtual_host=parts.path or "/",
        # With the name the certificate is checked against, not only its chain.
        ssl={"server_hostname": parts.hostname, **(ssl if isinstance(ssl, Mapping) else {})} if encrypted else False,
        heartbeat=heartbeat,
        connect_timeout=CONNECT_TIMEOUT,
        client_properties={"connection_name": name},
        **options,
    )
    connection.connect()
    connection.transport.sock.settimeout(ANSWER_TIMEOUT)
    tune(connection)
    return connection


def hurry(connection: amqp.Connection) -> None:
    """Wait less from now on: nobody declares any more, and a broker that does not read is to be given up soon."""
    connection.transport.sock.settimeout(IO_TIMEOUT)


def tune(connection: amqp.Connection) -> None:
    """Buffer the connection's reads, and, where greenlets write to it, its writes. Encrypted ones stay as they are."""
    transport = connection.transport
    if not isinstance(transport, TCPTransport):
        return
    _buffer_reads(transport)
    if patcher.is_monkey_patched("socket"):
        writes = transport.coalesced = CoalescedWrites(transport)
        connection.frame_writer = frame_writer(connection, writes)


def pending(connection: amqp.Connection) -> bool:
    """True if something has been read from the socket that nobody has asked for yet."""
    transport = connection.transport
    decrypted = getattr(transport.sock, "pending", None)
    return bool(transport._read_buffer) or (decrypted is not None and decrypted() > 0)


def flush(connection: amqp.Connection) -> None:
    """Send what is waiting, before the connection is closed."""
    writes = getattr(connection._transport, "coalesced", None)
    if writes is not None:
        writes.flush()


def _buffer_reads(transport: TCPTransport) -> None:
    receive = transport.sock.recv

    def read(count: int, _initial: bool = False) -> bytes:
        # py-amqp puts a half-read frame back into the same buffer when a read times out.
        buffer = transport._read_buffer
        while len(buffer) < count:
            try:
                data = receive(CHUNK)
            except OSError:
                transport._read_buffer = buffer
                raise
            if not data:
                raise OSError("the broker has closed the connection")
            buffer += data
        transport._read_buffer = buffer[count:]
        return bytes(buffer[:count])

    transport._read = read


class CoalescedWrites:
    """Stands in for the transport when frames are written: collects them until the hub's next turn."""

    def __init__(self, transport: TCPTransport) -> None:
        self._socket: Any = transport.sock
        self._waiting = bytearray()
        self._scheduled = False
        self._failure: OSError | None = None
        self._sending = Semaphore()

    def write(self, data: Any) -> None:
        """Take a frame; raises what the last attempt to send raised."""
        if self._failure is not None:
            raise self._failure
        if len(self._waiting) > BACKLOG:
            self.flush()
            if self._failure is not None:
                raise self._failure
        self._waiting += data
        if not self._scheduled:
            self._scheduled = True
            eventlet.spawn_n(self.flush)

    def flush(self) -> None:
        """Send everything. Only one greenlet sends at a time: the others' frames wait for it in `_waiting`."""
        with self._sending:
            try:
                while self._waiting:
                    data, self._waiting = self._waiting, bytearray()
                    self._socket.sendall(data)
            except OSError as exc:
                self._failure = exc
                # The reader finds out that the connection is over.
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
            finally:
                self._scheduled = False


def read_message(connection: amqp.Connection) -> None:
    """Read one whole message or one other frame.

    Not ``drain_events``: that one does not count a heartbeat, and would wait for something else.
    """
    while True:
        frame = connection.transport.read_frame()
        if connection.on_inbound_frame(frame) or frame[0] == HEARTBEAT_FRAME:
            return


def waiter(sock: socket.socket) -> Callable[[float], bool]:
    """Return ``readable(seconds)`` for a socket.

    ``select`` cannot watch descriptors past 1023, ``poll`` can; but Eventlet only has a green ``select``.
    """
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return lambda seconds: bool(poll.poll(seconds * 1000))
    return lambda seconds: bool(select.select([sock], [], [], seconds)[0])


def process_name(kind: str) -> str:
    """Return ``gateway on host/123``: which process it is, for the management UI."""
    return f"{kind} on {socket.gethostname()}/{os.getpid()}"
