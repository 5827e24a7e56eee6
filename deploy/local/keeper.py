"""Bringing back a server of the infrastructure that died under a running `make up`."""

from __future__ import annotations

import threading
import time

from deploy.local.console import LocalError, say
from deploy.local.find import Servers
from deploy.local.parts import Part

PAUSE = 2.0


class Keeper:
    """Restarts dead servers in the background, so that the services are looked after meanwhile."""

    def __init__(self, servers: Servers | None) -> None:
        self.servers = servers
        self.threads: dict[str, threading.Thread] = {}
        self.due: dict[str, float] = {}

    def check(self) -> None:
        for part in self.servers.ended() if self.servers else ():
            thread = self.threads.get(part.name)
            if thread and thread.is_alive():
                continue
            if part.name not in self.due:
                say(f"  {part.title} ended unexpectedly (its log: {part.log}); starting it again")
                self.due[part.name] = time.monotonic() + PAUSE
            if time.monotonic() >= self.due[part.name]:
                thread = threading.Thread(target=self._start, args=(part,), daemon=True)
                self.threads[part.name] = thread
                thread.start()

    def _start(self, part: Part) -> None:
        try:
            part.start()
        except LocalError as exc:
            say(f"  {exc}")
            self.due[part.name] = time.monotonic() + 5 * PAUSE
        else:
            say(f"  {part.title} runs again")
            self.due.pop(part.name, None)

    def stop(self) -> None:
        """Wait for starts under way: what is just being started could not be stopped reliably."""
        for thread in self.threads.values():
            thread.join()
