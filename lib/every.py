"""Work that comes again and again, beside the calls: a sealer, a sender, a sweeper.

Nameko's timer keeps to the clock: what took too long is made up for at once. Here the pause counts from the end of the
last run, so a slow database is not asked more often than a fast one, and runs never pile up. What a run raises is told
in the log, and the next run comes all the same.
"""

from __future__ import annotations

import random
from typing import Any

from eventlet import Timeout
from eventlet.event import Event
from nameko.exceptions import ContainerBeingKilled
from nameko.timer import Timer

#: of the pause, so that instances that started together do not come to the database together for ever
JITTER = 0.1


class Every(Timer):
    """``@every(seconds=0.5)`` on a method without arguments: once at the start, then again and again.

    The method runs as the system actor in a worker of the service, so it counts among ``max_workers``. A drain lets a
    run that has begun finish and starts no further one. Each instance of the service runs it: a method that must not
    run in two places at a time takes a lock in the database.

    :param seconds: from the end of a run to the beginning of the next
    """

    #: `lib.container` writes a line about a run only if it failed
    quiet = True

    def __init__(self, seconds: float, **kwargs: Any) -> None:
        if seconds <= 0:
            raise ValueError("every: expected more than 0 seconds")
        super().__init__(interval=seconds, eager=True, **kwargs)

    def start(self) -> None:
        self.gt = self.container.spawn_managed_thread(self._run, identifier=f"every {self.method_name}")

    def stop(self) -> None:
        if not self.should_stop.ready():
            self.should_stop.send(True)
        if self.gt is not None:
            self.gt.wait()

    def kill(self) -> None:
        if self.gt is not None:
            self.gt.kill()

    def _run(self) -> None:
        while not self.should_stop.ready():
            ended = Event()

            def tell(worker_ctx: Any, result: Any, exc_info: Any, ended: Event = ended) -> tuple[Any, Any]:
                ended.send()
                return result, exc_info

            try:
                self.container.spawn_worker(self, (), {}, handle_result=tell)
            except ContainerBeingKilled:
                return
            ended.wait()
            with Timeout(self._pause(), exception=False):
                self.should_stop.wait()

    def _pause(self) -> float:
        return float(self.interval) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (not for secrets)


every = Every.decorator
