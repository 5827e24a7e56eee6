"""Start the gateway: ``python -m gateway``.

Granian runs GATEWAY_WORKERS processes that work on GATEWAY_THREADS requests each at a time, beside STREAMS streams.
SIGTERM stops accepting, ends the streams, answers what is running, within DRAIN_TIMEOUT, and ends with 0. A
configuration that cannot be used or a port that is taken ends the start with one line and a code that is not 0.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.mp import MPServer

from gateway.admission import SPARE_THREADS
from gateway.settings import load_config
from lib import config as configuration
from lib import logs

EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h

LARGEST_HEADERS = 64 * 1024
#: for a request's headers to arrive, and for a kept connection to be used again
HEADERS_WITHIN_MS = 30_000
CONNECTIONS = 4096
#: for a client to take what was sent to it; then its connection is closed, and the thread that sends is free
TAKEN_WITHIN_MS = 30_000
#: between the signal to stop and the end of listening
LEAVING_SECONDS = 0.5
#: how long workers take at most to notice that their main process was killed
ORPHANED_AFTER = 0.5
#: for the workers of a killed predecessor to leave
PORT_WITHIN = 5.0
METRICS_PREFIX = "leveret-metrics-"
METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def main() -> int:
    try:
        config = load_config(os.environ.get("CONFIG_PATH", configuration.DEFAULT_PATH))
        address = _free_address(config["GATEWAY_HOST"], config["GATEWAY_PORT"])
    except configuration.ConfigError as exc:
        print(f"error: {exc}", file=sys.stderr, flush=True)
        return EXIT_CONFIG
    logs.configure(service="gateway", level=config["LOG_LEVEL"], fmt=config["LOG_FORMAT"])
    # Nameko imports Eventlet, which says this; nothing here is run by it.
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    # Read by prometheus_client when it is imported, which only the workers do.
    ours = None
    if not os.environ.get(METRICS_DIRECTORY):
        ours = os.environ[METRICS_DIRECTORY] = _metrics_directory()
    _take_signals(signal.SIGINT, signal.SIGTERM)
    try:
        _server(config, address).serve(spawn_target=_serve, target_loader=partial(_load, config), wrap_loader=False)
    finally:
        if ours is not None:
            shutil.rmtree(ours, ignore_errors=True)
    return 0


def _metrics_directory() -> str:
    """Return a new folder, and remove those of processes that were killed before they could."""
    for left in Path(tempfile.gettempdir()).glob(f"{METRICS_PREFIX}*"):
        process = left.name.removeprefix(METRICS_PREFIX).partition("-")[0]
        if process.isdecimal() and not Path(f"/proc/{process}").exists():
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{METRICS_PREFIX}{os.getpid()}-")


def _free_address(host: str, port: int) -> str:
    """Return the host's IP address; raise `ConfigError` if somebody else listens there.

    The server sets SO_REUSEPORT, with which the kernel would quietly share the port between the two of us.
    """
    give_up = time.monotonic() + PORT_WITHIN
    while True:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                return str(address[0])
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE and time.monotonic() < give_up:
                time.sleep(0.1)
                continue
            raise configuration.ConfigError(f"GATEWAY_PORT: cannot listen on {host}:{port}: {exc.strerror}") from exc


def _server(config: dict[str, Any], address: str) -> MPServer:
    # It takes the spare threads for a mistake.
    logging.getLogger("_granian").addFilter(lambda record: "Python threads" not in record.getMessage())
    return MPServer(
        "gateway.wsgi:application",
        address=address,
        port=config["GATEWAY_PORT"],
        interface=Interfaces.WSGI,
        workers=config["GATEWAY_WORKERS"],
        blocking_threads=config["GATEWAY_THREADS"] + SPARE_THREADS + config["STREAMS"],
        # Counts connections, of which most are idle; threads are what bounds the work.
        backpressure=CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=HEADERS_WITHIN_MS, max_buffer_size=LARGEST_HEADERS),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=config["DRAIN_TIMEOUT"],
        # Granian's own lines go where all others go.
        log_dictconfig={"handlers": {}, "loggers": {"_granian": {"propagate": True}}},
    )


def _take_signals(*awaited: int, first: Callable[[], None] = lambda: None) -> None:
    """Have Granian told to stop once, by a thread.

    Its handlers take a lock that the main thread, which they interrupt, may hold itself: of two signals in a row, as
    Ctrl-C and a supervisor send them, the second can hang the process for ever.

    :param awaited: the signals that mean to stop; the other one is ignored
    :param first: what to do before
    """
    before = signal.getsignal(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})

    def tell() -> None:
        signal.sigwait(awaited)
        first()
        # The signal may come before the server is there to be told.
        while (handler := signal.getsignal(signal.SIGTERM)) is before or not callable(handler):
            time.sleep(0.05)
        handler(signal.SIGTERM, None)

    threading.Thread(target=tell, name="signals", daemon=True).start()


# --- in the worker processes ---

_workers: list[Any] = []


def _load(config: dict[str, Any]) -> Any:
    """Make the application."""
    # Nothing of it may exist before the fork: neither a connection nor a file that metrics are kept in.
    from gateway.wsgi import Worker  # noqa: PLC0415

    worker = Worker(config)
    _workers.append(worker)
    return worker.start()


def _serve(worker_id: int, name: str | None, loader: Any, sockets: Any, *args: Any, **kwargs: Any) -> None:
    """Serve until the signal to stop, then close what `_load` has opened."""
    # SIGINT is for the main process, which sends us SIGTERM.
    _take_signals(signal.SIGTERM, first=_take_leave)
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), name="parent", daemon=True).start()
    try:
        MPServer._spawn_wsgi_worker(worker_id, name, loader, _listening(sockets), *args, **kwargs)
    finally:
        for worker in _workers:
            worker.stop()
        logging.shutdown()


def _listening(sockets: Any) -> Any:
    """Listen as Granian would, and have the kernel give up clients that read nothing (inherited by connections)."""
    (spec, _), shared = sockets
    held = spec.build()
    with socket.socket(fileno=os.dup(held.get_fd())) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TAKEN_WITHIN_MS)
    return (None, held), shared


def _leave_with_parent(parent: int) -> None:
    """Stop when the main process is gone, however it went: nobody else would stop us, and the port would stay taken."""
    while os.getppid() == parent:
        time.sleep(ORPHANED_AFTER)
    os.kill(os.getpid(), signal.SIGTERM)


def _take_leave() -> None:
    """Let clients that keep their connections go elsewhere, before these are closed under their hands."""
    for worker in _workers:
        worker.drain()
    time.sleep(LEAVING_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
