"""The WSGI application of one worker process.

`gateway.__main__` serves it with Granian; another server takes ``gateway.wsgi:application``. It must be made after
the server has forked its workers: the cluster's connection and thread belong to one process.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from prometheus_client import multiprocess

from gateway.access_log import StreamAccessLog
from gateway.app import create_app
from gateway.bearer import KeyKeeper
from gateway.revocations import RevocationKeeper
from gateway.settings import SERVICES, load_config
from gateway.state import gateway
from lib import config as configuration
from lib import logs
from lib.cluster import Cluster


class Worker:
    """What one worker process runs, from its start to its end."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        logs.configure(service="gateway", level=config["LOG_LEVEL"], fmt=config["LOG_FORMAT"])
        _forget_dead_processes()
        self._cluster = Cluster(config, name="gateway", services=SERVICES, timeout=float(config["RPC_TIMEOUT"]))
        # The lines of requests are lines of the level INFO.
        access_log = StreamAccessLog(config["LOG_FORMAT"]) if config["LOG_LEVEL"] in ("DEBUG", "INFO") else None
        self.app = create_app(config, self._cluster, access_log=access_log)
        with self.app.app_context():
            own = gateway()
        self._keepers = (KeyKeeper(own.tokens.keys), RevocationKeeper(own.revocations))

    def start(self) -> Flask:
        """Connect, in the background, and return the application."""
        self._cluster.start()
        for keeper in self._keepers:
            keeper.start()
        # What is there now stays; looking through it again and again is most of the garbage collector's work.
        gc.collect()
        gc.freeze()
        return self.app

    def drain(self) -> None:
        """Say that the end is near: not ready any more, no connection is kept, and streams end."""
        with self.app.app_context():
            own = gateway()
            own.draining.set()
            own.streams.close()

    def stop(self) -> None:
        """Close the connection; the requests have been answered."""
        for keeper in self._keepers:
            keeper.stop()
        self._cluster.stop()


def _forget_dead_processes() -> None:
    """Take out of the metrics what a worker that was killed, and whose place we take, said of its own state."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for file in Path(folder).glob("gauge_live*_*.db") if folder else ():
        process = file.stem.rpartition("_")[2]
        if process.isdecimal() and not Path(f"/proc/{process}").exists():
            multiprocess.mark_process_dead(int(process))  # type: ignore[no-untyped-call]


def __getattr__(name: str) -> Any:
    # Made when a server asks for it, and not when somebody imports this module.
    if name != "application":
        raise AttributeError(name)
    config = load_config(os.environ.get("CONFIG_PATH", configuration.DEFAULT_PATH))
    application = globals()["application"] = Worker(config).start()
    return application
