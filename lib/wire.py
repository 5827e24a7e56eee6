"""Fewer system calls for py-amqp: it reads a message with nine of them and writes each frame set with one.

Under load most of a small call's time went into the kernel. `tune` makes a connection read what has arrived in one go
and, in a service, send what many greenlets have to say in one go: the writes of one turn of the hub leave together.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

import amqp
import eventlet
from amqp.method_framing import frame_writer
from amqp.transport import TCPTransport
from eventlet import patcher
from eventlet.semaphore import Semaphore

CHUNK = 16 * 1024
#: bytes that may wait for a broker that does not read
BACKLOG = 8 * 1024 * 1024


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
    return bool(connection.transport._read_buffer)


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
            raise TimeoutError("the broker does not read")
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
