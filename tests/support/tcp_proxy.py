"""A TCP proxy that misbehaves on command: between a client and its server, for faults that no server would play."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time


class TcpProxy:
    """Forwards connections to `target`; the mode can change at any moment and holds for open connections, too.

    Modes: ``pass``; ``blackhole`` (accepts, keeps connections open, forwards nothing in either direction); ``refuse``
    (closes the listener); ``delay`` seconds are waited before each piece.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener: socket.socket | None = None
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._passing = threading.Event()
        self._passing.set()
        self.delay = 0.0
        self._closed = False
        self.port = 0
        self._listen()

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            for source, sink in (pair, pair[::-1]):
                threading.Thread(target=self._pump, args=(source, sink, pair), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]) -> None:
        try:
            while data := source.recv(65536):
                self._passing.wait()
                if self.delay:
                    time.sleep(self.delay)
                sink.sendall(data)
        except OSError:
            pass
        finally:
            self._close(pair)

    def _close(self, pair: tuple[socket.socket, socket.socket], *, reset: bool = False) -> None:
        with self._lock:
            self._pairs.discard(pair)
        for each in pair:
            with contextlib.suppress(OSError):
                if reset:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RDWR) if not reset else None
            each.close()

    def blackhole(self) -> None:
        """Forward nothing, and close nothing."""
        self._passing.clear()

    def heal(self) -> None:
        """Forward again; what was held back goes on."""
        self._passing.set()
        if self._listener is None and not self._closed:
            self._listen()

    def refuse(self) -> None:
        """Take no new connection, and end those that are there."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.reset()

    def reset(self) -> None:
        """End every open connection with RST."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            self._close(pair, reset=True)

    @property
    def connections(self) -> int:
        return len(self._pairs)

    def close(self) -> None:
        self._closed = True
        self._passing.set()
        self.refuse()
