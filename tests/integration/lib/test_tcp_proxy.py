"""The proxy does what the tests that use it believe."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets, and ends when its client does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for each in threads:
        each.join(5)
        assert not each.is_alive(), "the proxy has left a connection open"


@pytest.fixture
def proxy(echo: int) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", echo) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: TcpProxy) -> Iterator[socket.socket]:
    with connected(proxy) as client:
        assert said(client, b"hello") == b"hello"
        yield client


def connected(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def said(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    return client.recv(100)


def hears_nothing(client: socket.socket) -> bool:
    client.settimeout(0.2)
    try:
        client.recv(100)
    except TimeoutError:
        return True
    finally:
        client.settimeout(5)
    return False


def test_it_forwards_more_than_any_buffer_holds(client: socket.socket) -> None:
    data = bytes(range(256)) * 40_000
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    received = b""
    while len(received) < len(data):
        received += client.recv(1 << 20)
    sender.join()
    assert received == data


def test_an_end_is_passed_on(proxy: TcpProxy, client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)
    assert client.recv(10) == b""
    eventually(lambda: proxy.connections == 0)


def test_a_black_hole_swallows_and_gives_back_in_order(proxy: TcpProxy, client: socket.socket) -> None:
    proxy.blackhole()
    client.sendall(b"one")
    with connected(proxy) as late:
        late.sendall(b"late")
        assert hears_nothing(client)
        assert hears_nothing(late)
        client.sendall(b"two")
        proxy.heal()
        assert client.recv(6, socket.MSG_WAITALL) == b"onetwo"
        assert late.recv(100) == b"late"


def test_lost_connections_stay_silent_and_new_ones_work(proxy: TcpProxy, client: socket.socket) -> None:
    proxy.lose()
    client.sendall(b"anybody?")
    with connected(proxy) as fresh:
        assert said(fresh, b"fresh") == b"fresh"
        proxy.heal()
        assert hears_nothing(client)
        assert proxy.connections == 1


@pytest.mark.parametrize("mode", ["pass", "blackhole", "lose"])
def test_a_reset_reaches_a_client_that_waits(proxy: TcpProxy, client: socket.socket, mode: str) -> None:
    if mode != "pass":
        getattr(proxy, mode)()
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    assert proxy.connections == 0


def test_refusing_ends_what_is_there_and_heals(proxy: TcpProxy, client: socket.socket) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    proxy.heal()
    with connected(proxy) as fresh:
        assert said(fresh, b"fresh") == b"fresh"


def test_a_server_that_is_away_looks_like_one() -> None:
    # The end may come so soon that it is connecting that fails.
    with TcpProxy("127.0.0.1", 1) as nowhere, pytest.raises(ConnectionResetError), connected(nowhere) as client:
        client.recv(10)
