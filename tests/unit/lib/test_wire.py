"""Buffered reads and collected writes: the same bytes in the same order, however the network cuts them."""

import struct

import eventlet
import pytest
from amqp.transport import TCPTransport
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import wire
from lib.wire import CoalescedWrites


class Socket:
    """Gives its pieces one by one, a timeout where a piece is None, and the end after the last."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.sent = []
        self.failure = None
        self.shut = False
        self.pause = False

    def recv(self, count):
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if piece is None:
            raise TimeoutError("timed out")
        if len(piece) > count:
            self.pieces.insert(0, piece[count:])
        return piece[:count]

    def sendall(self, data):
        if self.failure is not None:
            raise self.failure
        if self.pause:
            eventlet.sleep(0)
        self.sent.append(bytes(data))

    def shutdown(self, how):
        self.shut = True


def frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def transport(*pieces):
    made = TCPTransport("nowhere")
    made.sock = Socket(*pieces)
    made._read_buffer = b""
    wire._buffer_reads(made)
    return made


frames = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 5), st.binary(max_size=60)), max_size=8)


@settings(max_examples=200)
@given(frames, st.lists(st.integers(1, 40)), st.sets(st.integers(0, 60)))
def test_frames_are_read_whole_however_they_arrive(sent, cuts, silences):
    raw = b"".join(frame(*each) for each in sent)
    pieces, at = [], 0
    for cut in [*cuts, len(raw) or 1]:
        if raw[at : at + cut]:
            pieces.append(raw[at : at + cut])
        at += cut
    for index in sorted(silences, reverse=True):
        if index <= len(pieces):
            pieces.insert(index, None)
    reading, received = transport(*pieces), []
    while True:
        try:
            received.append(reading.read_frame())
        except TimeoutError:
            continue  # As the reader does after a silence: nothing that had come may be lost.
        except OSError:
            break
    assert received == sent


def test_what_has_been_read_and_not_asked_for_is_pending():
    class Connection:
        transport = transport(frame(1, 1, b"a") + frame(1, 2, b"b"))

    assert not wire.pending(Connection)
    Connection.transport.read_frame()
    assert wire.pending(Connection)
    Connection.transport.read_frame()
    assert not wire.pending(Connection)


def test_what_tls_has_decrypted_already_is_pending_too():
    class Connection:
        transport = transport()

    Connection.transport.sock.pending = lambda: 5
    assert wire.pending(Connection)
    Connection.transport.sock.pending = lambda: 0
    assert not wire.pending(Connection)


def test_the_end_of_the_connection_is_an_error_that_ends_it():
    with pytest.raises(OSError, match="closed the connection"):
        transport(frame(1, 1, b"abc")[:5]).read_frame()


# --- writes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def writes():
    class Transport:
        sock = Socket()

    return CoalescedWrites(Transport)


def test_what_one_turn_of_the_hub_writes_leaves_together_and_in_order(writes):
    for data in (b"a", memoryview(b"bc"), bytearray(b"d")):
        writes.write(data)
    assert writes._socket.sent == []
    eventlet.sleep(0)
    assert writes._socket.sent == [b"abcd"]
    writes.write(b"e")
    eventlet.sleep(0)
    assert writes._socket.sent == [b"abcd", b"e"]


def test_a_buffer_may_be_used_again_as_soon_as_it_was_written(writes):
    buffer = bytearray(b"first")
    writes.write(memoryview(buffer))
    buffer[:] = b"other"
    eventlet.sleep(0)
    assert writes._socket.sent == [b"first"]


def test_what_is_written_while_another_greenlet_sends_follows_in_order(writes):
    writes._socket.pause = True
    writes.write(b"1")
    eventlet.sleep(0)  # The sender hangs in the socket.
    for data in (b"2", b"3"):
        writes.write(data)
    for _ in range(5):
        eventlet.sleep(0)
    assert b"".join(writes._socket.sent) == b"123"


def test_the_last_flush_does_not_overtake_a_sender_that_hangs(writes):
    writes._socket.pause = True
    writes.write(b"1")
    eventlet.sleep(0)
    writes.write(b"2")
    writes._socket.pause = False
    writes.flush()
    for _ in range(5):
        eventlet.sleep(0)
    assert b"".join(writes._socket.sent) == b"12"


def test_a_flush_sends_at_once_and_nothing_twice(writes):
    writes.write(b"last words")
    writes.flush()
    assert writes._socket.sent == [b"last words"]
    eventlet.sleep(0)
    assert writes._socket.sent == [b"last words"]


@pytest.mark.parametrize("failure", [BrokenPipeError(), TimeoutError()])
def test_a_failure_ends_the_connection_and_is_told_to_the_next_writer(writes, failure):
    writes._socket.failure = failure
    writes.write(b"x")
    eventlet.sleep(0)
    assert writes._socket.shut
    with pytest.raises(type(failure)):
        writes.write(b"y")


def test_a_broker_that_does_not_read_gets_no_more_than_so_much(writes, monkeypatch):
    monkeypatch.setattr(wire, "BACKLOG", 10)
    writes.write(b"x" * 11)
    writes._socket.failure = TimeoutError()
    with pytest.raises(TimeoutError):
        writes.write(b"y")


def test_more_than_may_wait_is_sent_at_once(writes, monkeypatch):
    monkeypatch.setattr(wire, "BACKLOG", 10)
    for part in (b"x" * 11, b"y"):
        writes.write(part)
    assert writes._socket.sent == [b"x" * 11]


def test_flushing_a_connection_that_collects_nothing_is_harmless():
    class Connection:
        _transport = transport()

    wire.flush(Connection)
    Connection._transport = None
    wire.flush(Connection)


# --- connecting -----------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch):
    """``opened(uri)`` → what py-amqp is asked for."""

    class Opened:
        def __init__(self, **options):
            self.options = options
            self.transport = transport()
            self.transport.sock.settimeout = lambda seconds: self.options.update(io_timeout=seconds)

        def connect(self): ...

    monkeypatch.setattr(wire.amqp, "Connection", Opened)
    return lambda uri, **more: wire.connect(uri, name="some name", heartbeat=7, **more).options


@pytest.mark.parametrize(
    ("uri", "host", "user", "password", "vhost"),
    [
        ("amqp://u:p@h:5673/v", "h:5673", "u", "p", "v"),
        ("amqp://u:p@h", "h:5672", "u", "p", "/"),
        ("amqp://u:p@h/", "h:5672", "u", "p", "/"),
        ("amqp://u:p@h/%2F", "h:5672", "u", "p", "/"),
        ("amqp://u:p%40ss%2F@h//v", "h:5672", "u", "p@ss/", "/v"),
        ("pyamqp://h", "h:5672", "guest", "guest", "/"),
        ("amqps://u:p@h/v", "h:5671", "u", "p", "v"),
    ],
)
def test_a_uri_says_where_and_as_whom(opened, uri, host, user, password, vhost):
    options = opened(uri)
    assert (options["host"], options["userid"], options["password"], options["virtual_host"]) == (
        host,
        user,
        password,
        vhost,
    )
    assert bool(options["ssl"]) is uri.startswith("amqps")


def test_every_wait_is_bounded_and_the_connection_has_a_name(opened):
    options = opened("amqp://h/")
    assert options["connect_timeout"] == wire.CONNECT_TIMEOUT
    assert options["io_timeout"] == wire.ANSWER_TIMEOUT
    assert options["heartbeat"] == 7
    assert options["client_properties"] == {"connection_name": "some name"}


def test_namekos_own_setting_encrypts_and_says_how(opened):
    assert opened("amqp://h/", ssl={"ca_certs": "ours.pem"})["ssl"] == {"server_hostname": "h", "ca_certs": "ours.pem"}
    assert opened("amqp://h/", ssl=True)["host"] == "h:5671"


def test_an_encrypted_connection_knows_whom_it_talks_to(opened):
    assert opened("amqps://broker.example/")["ssl"]["server_hostname"] == "broker.example"
