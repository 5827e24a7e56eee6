"""A TCP proxy that misbehaves on command: between a client and its server, for faults that no server would play."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

HOST = "127.0.0.1"
CHUNK = 64 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Direction:
    """What travels from `source` to `sink`."""

    __slots__ = ("ended", "held", "sink", "source")

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.held = b""
        self.ended = False


class TcpProxy:
    """Forwards connections on `port` to a server; every method returns when what it says is the case.

    One thread does all the work with sockets that never block it, so that no command can meet a half-done step, and a
    reset is on its way at once (closing a socket in which another thread waits does nothing before that wait ends).
    It can be used as a context manager.

    :param host, port: of the server
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._selector = selectors.DefaultSelector()
        self._pairs: list[tuple[Direction, Direction]] = []
        self._lost: list[tuple[Direction, Direction]] = []
        self._passing = True
        self._commands: list[tuple[Callable[[], Any], Future[Any]]] = []
        self._closed = False
        self._bell, self._rope = socket.socketpair()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._listener: socket.socket | None = None
        self.port = 0
        self._listen()
        self._thread = threading.Thread(target=self._run, name="tcp proxy", daemon=True)
        self._thread.start()

    # --- commands ---

    def blackhole(self) -> None:
        """Forward nothing and close nothing; new connections are taken, and get no answer either."""
        self._do(lambda: self._set_passing(False))

    def lose(self) -> None:
        """Never forward anything again on the connections that are open now; new ones work."""
        self._do(self._lose)

    def heal(self) -> None:
        """Forward again, with what was held back, and take connections."""
        self._do(self._heal)

    def refuse(self) -> None:
        """Take no new connection, and reset those that are there."""
        self._do(self._refuse)

    def reset(self) -> None:
        """End every open connection with RST, on both sides."""
        self._do(self._reset)

    @property
    def connections(self) -> int:
        """How many connections are forwarded, or would be if the proxy were not a black hole."""
        return len(self._pairs)

    def close(self) -> None:
        """End everything; a second time changes nothing."""
        if not self._closed:
            self._do(self._shut)
            self._thread.join()
            self._selector.close()
            self._bell.close()
            self._rope.close()

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # --- the proxy's own thread ---

    def _do(self, command: Callable[[], None]) -> None:
        done: Future[Any] = Future()
        self._commands.append((command, done))
        self._rope.send(b"!")
        done.result(timeout=10)

    def _run(self) -> None:
        while not self._closed:
            for key, events in self._selector.select():
                if key.fileobj is self._bell:
                    self._obey()
                    # A command may have closed what the rest of this list is about.
                    break
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._forward(key.data, key.fileobj, events)

    def _obey(self) -> None:
        self._bell.recv(1024)
        while self._commands:
            command, done = self._commands.pop(0)
            try:
                command()
            except Exception as exc:
                done.set_exception(exc)
            else:
                done.set_result(None)

    def _listen(self) -> None:
        listener = socket.create_server((HOST, self.port), backlog=64)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        try:
            server = socket.create_connection(self._target, timeout=2)
        except OSError:
            _close(client, reset=True)
            return
        for each in (client, server):
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (Direction(client, server), Direction(server, client))
        self._pairs.append(pair)
        self._watch(pair)

    def _watch(self, pair: tuple[Direction, Direction]) -> None:
        """Wait for what each direction needs next: something to read, or room to write what is held."""
        for direction, back in (pair, pair[::-1]):
            events = 0
            if self._passing and not direction.held and not direction.ended:
                events |= selectors.EVENT_READ
            if self._passing and back.held:
                events |= selectors.EVENT_WRITE
            self._select(direction.source, events, pair)

    def _select(self, sock: socket.socket, events: int, pair: tuple[Direction, Direction]) -> None:
        registered = sock in self._selector.get_map()
        if events and registered:
            self._selector.modify(sock, events, pair)
        elif events:
            self._selector.register(sock, events, pair)
        elif registered:
            self._selector.unregister(sock)

    def _forward(self, pair: tuple[Direction, Direction], sock: Any, events: int) -> None:
        if pair not in self._pairs:
            return
        try:
            for direction in pair:
                if direction.sink is sock and events & selectors.EVENT_WRITE:
                    self._write(direction)
                if direction.source is sock and events & selectors.EVENT_READ:
                    direction.held = sock.recv(CHUNK)
                    direction.ended = not direction.held
                    self._write(direction)
        except BlockingIOError:
            pass
        except OSError:
            # One side has reset the connection: the other one learns of it in the same way.
            self._drop(pair, reset=True)
            return
        if all(each.ended and not each.held for each in pair):
            self._drop(pair, reset=False)
        else:
            self._watch(pair)

    @staticmethod
    def _write(direction: Direction) -> None:
        if direction.held:
            with suppress(BlockingIOError):
                sent = direction.sink.send(direction.held)
                direction.held = direction.held[sent:]
        if direction.ended and not direction.held:
            direction.sink.shutdown(socket.SHUT_WR)

    def _drop(self, pair: tuple[Direction, Direction], *, reset: bool) -> None:
        if pair in self._pairs:
            self._pairs.remove(pair)
        for direction in pair:
            self._select(direction.source, 0, pair)
            _close(direction.source, reset=reset)

    def _set_passing(self, passing: bool) -> None:
        self._passing = passing
        for pair in self._pairs:
            self._watch(pair)

    def _lose(self) -> None:
        for pair in self._pairs:
            for direction in pair:
                self._select(direction.source, 0, pair)
        self._lost += self._pairs
        self._pairs.clear()

    def _heal(self) -> None:
        self._set_passing(True)
        if self._listener is None:
            self._listen()

    def _refuse(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        self._reset()

    def _reset(self) -> None:
        for pair in [*self._pairs, *self._lost]:
            self._drop(pair, reset=True)
        self._lost.clear()

    def _shut(self) -> None:
        self._refuse()
        self._closed = True


def _close(sock: socket.socket, *, reset: bool) -> None:
    if reset:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    sock.close()
